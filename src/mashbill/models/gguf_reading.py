"""What a GGUF file says of its model, as transformers has it: config, and float32 weights by name.

This undoes what :mod:`mashbill.models.gguf_writing` does, for the same architectures, and a law in
the tests holds the two to each other. What a file says and this does not know (experts, windows,
positions scaled otherwise, tensors that have no place) is refused: left out, it would be another
model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from gguf import MODEL_ARCH_NAMES, get_tensor_name_map
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

from mashbill.core.errors import TeacherError
from mashbill.core.parsing import foreign
from mashbill.models.folder_bounds import check_config
from mashbill.models.gguf_architectures import ARCHITECTURES, Architecture

if TYPE_CHECKING:
    from mashbill.models.gguf_file import GgufFile

READ = tuple(dict.fromkeys(MODEL_ARCH_NAMES[how.arch] for how in ARCHITECTURES.values()))
"""architectures that are read, as GGUF calls them"""
_SIZES = {
    "max_position_embeddings": "context_length",
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
"""key of config.json -> key of the file, behind the name of the architecture"""
_SCALES = {
    "attention_multiplier": "attention.scale",
    "embedding_multiplier": "embedding_scale",
    "residual_multiplier": "residual_scale",
    "logits_scaling": "logit_scale",
}
_REMEDY = "name the folder or the repository that it was made from (kind = 'folder' or 'hub')"


def weights_of_gguf(file: GgufFile) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the config of a file's model, and its weights as that model's state has them.

    Raises:
        TeacherError: if it says something of its model that is not known here.
    """
    kind, how = _kind_of(file)
    tensors = dict(file.weights())
    with foreign(file.path, "a GGUF file of a language model", error=TeacherError):
        config = _config(file, kind, how, tensors)
        check_config(config.to_dict(), file.path.name)
        with torch.device("meta"):
            model = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config)
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if config.tie_word_embeddings:
        del shapes["lm_head.weight"]
    names = get_tensor_name_map(how.arch, config.num_hidden_layers)
    found: dict[str, np.ndarray] = {}
    for own, shape in shapes.items():
        gguf = names.get_name(own, try_suffixes=(".weight", ".bias"))
        values = tensors.pop(str(gguf), None)
        if values is None or values.shape != shape:
            has = "none" if values is None else f"one of shape {values.shape}"
            _refuse(file, f"a {kind} of its sizes has a tensor {gguf!r} of shape {shape}, it {has}")
        found[own] = np.ascontiguousarray(_straight(own, values, config, how), np.float32)
    if tensors:
        _refuse(file, f"its tensor {min(tensors)!r:.80} has no place in a {kind} of transformers")
    return config, found


def _kind_of(file: GgufFile) -> tuple[str, Architecture]:
    """Return what transformers calls the architecture, the first by the name of the file's."""
    return next(
        (kind, how)
        for kind, how in ARCHITECTURES.items()
        if MODEL_ARCH_NAMES[how.arch] == file.architecture
    )


def _config(file: GgufFile, kind: str, how: Architecture, tensors: dict[str, np.ndarray]) -> Any:
    """Return the config that a file's metadata and its tensors tell."""

    def said(key: str, default: Any = None) -> Any:
        value = file.value(f"{file.architecture}.{key}")
        return default if value is None else value

    sizes = {own: said(key) for own, key in _SIZES.items()}
    lacking = [key for own, key in _SIZES.items() if sizes[own] is None]
    if lacking:
        _refuse(file, f"it does not say {file.architecture}.{lacking[0]}")
    heads, context = sizes["num_attention_heads"], sizes["max_position_embeddings"]
    width = said("attention.key_length", sizes["hidden_size"] // heads)
    if said("expert_count"):
        _refuse(file, f"it has {said('expert_count')} experts")
    if said("attention.sliding_window", context) < context:
        _refuse(file, f"its attention looks {said('attention.sliding_window')} tokens back")
    if (said("rope.dimension_count", width), said("attention.value_length", width)) != (width,) * 2:
        _refuse(file, "only a part of its heads is turned, or values are wider than keys")
    keys = {
        **sizes,
        "vocab_size": said("vocab_size", len(file.value("tokenizer.ggml.tokens"))),
        "num_key_value_heads": said("attention.head_count_kv", heads),
        "head_dim": width,
        "tie_word_embeddings": "output.weight" not in tensors,
        "attention_bias": "blk.0.attn_output.bias" in tensors,
        "mlp_bias": "blk.0.ffn_down.bias" in tensors,
        "rope_parameters": _positions(file, said, tensors),
    }
    if how.scales:
        keys |= {own: said(key, 1.0) for own, key in _SCALES.items()}
    elif any(said(key) is not None for key in _SCALES.values()):
        _refuse(file, f"it scales what a {kind} does not")
    return CONFIG_MAPPING[kind](**keys)


def _positions(file: GgufFile, said: Any, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return how positions are turned."""
    theta = float(said("rope.freq_base", 10_000.0))
    scaling = said("rope.scaling.type", "none")
    if "rope_freqs.weight" in tensors or scaling not in ("none", "linear"):
        _refuse(file, "its positions are scaled in a way that the file does not tell in full")
    if scaling == "linear":
        factor = float(said("rope.scaling.factor", 1.0))
        return {"rope_type": "linear", "rope_theta": theta, "factor": factor}
    return {"rope_type": "default", "rope_theta": theta}


def _straight(name: str, values: np.ndarray, config: Any, how: Architecture) -> np.ndarray:
    """Return a matrix with the rows of queries and keys in the order of transformers."""
    part = name.split(".")[-2]
    if not how.rotates_pairs or part not in ("q_proj", "k_proj"):
        return values
    heads = config.num_attention_heads if part == "q_proj" else config.num_key_value_heads
    grouped = values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:])
    return grouped.swapaxes(1, 2).reshape(values.shape)


def _refuse(file: GgufFile, what: str) -> NoReturn:
    msg = f"{file.path.name}: {what}, which is not read of GGUF; {_REMEDY}"
    raise TeacherError(msg)
