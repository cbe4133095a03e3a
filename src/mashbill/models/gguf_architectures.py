"""Which architectures are written as GGUF, and what of their configs and matrices goes in how.

Names of tensors are gguf's own map. An architecture stands in the table once a test has held what
llama.cpp computes of such a file to what transformers does (tests/models/test_gguf_writing.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gguf import MODEL_ARCH, RopeScalingType
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gguf import GGUFWriter


@dataclass(frozen=True)
class Architecture:
    """How one architecture is written."""

    arch: MODEL_ARCH
    rotates_pairs: bool
    """whether llama.cpp turns neighbouring numbers of a head, where transformers turns halves"""
    scales: bool = False
    """whether it has Granite's four multipliers"""


ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(MODEL_ARCH.LLAMA, rotates_pairs=True),
    "mistral": Architecture(MODEL_ARCH.LLAMA, rotates_pairs=True),
    "qwen2": Architecture(MODEL_ARCH.QWEN2, rotates_pairs=False),
    "qwen3": Architecture(MODEL_ARCH.QWEN3, rotates_pairs=False),
    "olmo2": Architecture(MODEL_ARCH.OLMO2, rotates_pairs=False),
    "granite": Architecture(MODEL_ARCH.GRANITE, rotates_pairs=True, scales=True),
}
"""model_type of config.json -> how it is written"""
_REMEDY = "hand the folder itself on: plain transformers loads it"


def architecture_of(config: Any, folder: Path) -> Architecture:
    """Return how a config's model is written.

    Raises:
        InputError: if it is of another architecture, or has a part that is not written.
    """
    shown = folder / "config.json"
    found = ARCHITECTURES.get(config.model_type)
    if found is None:
        msg = (
            f"{shown}: model_type is {config.model_type!r:.80}, and GGUF is written of "
            f"{', '.join(ARCHITECTURES)}; {_REMEDY}"
        )
        raise InputError(msg)
    act = getattr(config, "hidden_act", "silu")
    window = getattr(config, "sliding_window", None)
    has_window = window and getattr(config, "use_sliding_window", True)
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    said = ""
    if act not in ("silu", "swish"):
        said = f"hidden_act is {act!r:.40}, and silu is what GGUF means for it"
    elif has_window and window < config.max_position_embeddings:
        said = f"sliding_window is {window}, which the reader would not look through"
    elif kinds and not (has_window and window >= config.max_position_embeddings):
        said = f"layer_types has {sorted(kinds)}, and full_attention is what GGUF means for it"
    if said:
        msg = f"{shown}: {said}; {_REMEDY}"
        raise InputError(msg)
    return found


def write_config(writer: GGUFWriter, config: Any, how: Architecture, folder: Path) -> None:
    """Put what a config says of the computation into a file's metadata.

    Raises:
        InputError: if its positions are scaled in a way that is not written.
    """
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", None) or heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(width)
    if how.scales:
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    rope = config.rope_parameters
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
    elif kind not in ("default", "llama3"):
        msg = (
            f"{folder / 'config.json'}: rope_type is {kind!r:.40}; default, linear and llama3 are "
            f"written; {_REMEDY}"
        )
        raise InputError(msg)


def rope_factors(config: Any) -> np.ndarray | None:
    """Return by what each frequency of a config's positions is divided; None if by nothing."""
    if config.rope_parameters.get("rope_type") != "llama3":
        return None
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, device="cpu")
    width = scaled.shape[0]
    base = float(config.rope_parameters["rope_theta"])
    plain = base ** -(np.arange(width) / width)
    factors: np.ndarray = (plain / scaled.double().numpy()).astype(np.float32)
    return factors


def reordered(name: str, values: np.ndarray, config: Any, how: Architecture) -> np.ndarray:
    """Return a matrix as GGUF has it: queries' and keys' rows in the order in which it turns them.

    Args:
        name: as the folder calls it.
        values: a matrix, or the vector of a bias.
        config: of the model.
        how: of its architecture.
    """
    part = name.split(".")[-2]
    if not how.rotates_pairs or part not in ("q_proj", "k_proj"):
        return values
    heads = config.num_attention_heads
    if part == "k_proj":
        heads = getattr(config, "num_key_value_heads", None) or heads
    grouped = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return grouped.swapaxes(1, 2).reshape(values.shape)


def is_left_out(name: str, names: Iterable[str], config: Any) -> bool:
    """Whether a tensor is no part of a GGUF file: it follows from the config or another one."""
    is_tied = name == "lm_head.weight" and config.tie_word_embeddings
    return name.endswith(".rotary_emb.inv_freq") or (
        is_tied and "model.embed_tokens.weight" in names
    )
