"""A folder as transformers keeps it, written as one GGUF file that llama.cpp and OpenVINO read.

Matrices are written as they are asked for, vectors in float32. Quantisation is gguf's own, which
gives llama.cpp's reference bytes. Q4_1 is never written: OpenVINO's reader of it is wrong. A file
follows from its folder and from what is said of it: no time and no machine is in it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gguf import (
    GGML_QUANT_SIZES,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    LlamaFileType,
    get_tensor_name_map,
    quantize,
)
from safetensors import safe_open
from transformers import CONFIG_MAPPING

from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.parsing import foreign, json_object
from mashbill.models.causal_folder import ADAPTER, load_causal
from mashbill.models.folder_bounds import check_config
from mashbill.models.gguf_architectures import (
    architecture_of,
    is_left_out,
    reordered,
    rope_factors,
    write_config,
)
from mashbill.models.gguf_vocabulary import vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mashbill.models.gguf_architectures import Architecture
    from mashbill.models.quantisations import Quantisation

_TYPES = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (GGMLQuantizationType.Q4_0, LlamaFileType.MOSTLY_Q4_0),
}
_OUTER = ("token_embd.weight", "output.weight")
"""matrices that weigh most on what is said: q4_0 leaves them eight bits"""
_F16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class GgufWritten:
    """What was written."""

    architecture: str
    """as GGUF calls it"""
    parameters: int
    matrices: dict[str, int]
    """type -> matrices of that type"""

    @property
    def told(self) -> str:
        """Say of which types the matrices are."""
        return ", ".join(f"{count:,} as {name}" for name, count in self.matrices.items())


def write_gguf(
    folder: Path, to: Path, quantise: Quantisation, facts: Mapping[str, str | int]
) -> GgufWritten:
    """Write a folder as a GGUF file.

    Args:
        folder: config.json, safetensors and tokenizer; an adapter is merged into its base.
        to: the file.
        quantise: of matrices. One whose rows are no multiple of 32 stays float16 where eight or
            four bits are asked for.
        facts: further metadata, texts and numbers by their keys.

    Raises:
        InputError: naming what in the folder cannot be written, and what to do.
    """
    config = _config(folder)
    how = architecture_of(config, folder)
    name = _namer(how, config, folder)
    with ExitStack() as opened:
        tensors = _tensors(folder, opened)
        plan = {own: name(own) for own in sorted(tensors) if not is_left_out(own, tensors, config)}
        rows = next(
            tensors[own].shape[0] for own, gguf in plan.items() if gguf == "token_embd.weight"
        )
        writer = GGUFWriter(to, str(_arch_name(how)))
        writer.add_type("model")
        writer.add_file_type(_TYPES[quantise][1])
        writer.add_quantization_version(2)  # llama.cpp's GGML_QNT_VERSION
        for key in sorted(facts):
            value = facts[key]
            if isinstance(value, str):
                writer.add_string(key, value)
            else:
                writer.add_uint32(key, value)
        write_config(writer, config, how, folder)
        vocabulary_of(folder, rows).write(writer)
        return _write(writer, tensors, plan, quantise, config, how)


def _config(folder: Path) -> Any:
    file = folder / "config.json"
    data = json_object(file, error=InputError)
    check_config(data, file)
    kind = data.get("model_type")
    with foreign(file, "a config of a model", error=InputError):
        if kind not in CONFIG_MAPPING:
            msg = f"transformers has no architecture {kind!r:.80}"
            raise ValueError(msg)
        return CONFIG_MAPPING[kind].from_dict(data)


def _arch_name(how: Architecture) -> str:
    return str(MODEL_ARCH_NAMES[how.arch])


def _namer(how: Architecture, config: Any, folder: Path) -> Callable[[str], str]:
    names = get_tensor_name_map(how.arch, config.num_hidden_layers)

    def name(own: str) -> str:
        found = names.get_name(own, try_suffixes=(".weight", ".bias"))
        if found is None:
            msg = (
                f"{folder}: its tensor {own!r:.120} has no place in a GGUF file of architecture "
                f"{_arch_name(how)}; hand the folder itself on: plain transformers loads it"
            )
            raise InputError(msg)
        return str(found)

    return name


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    read: Callable[[], Any]
    """gives the values, a torch tensor"""

    def values(self) -> np.ndarray:
        found: np.ndarray = self.read().detach().to(torch.float32).numpy()
        return found


def _tensors(folder: Path, opened: ExitStack) -> dict[str, _Tensor]:
    """Return the tensors of a folder, read one by one as they are needed."""
    if (folder / ADAPTER).exists():
        state = _merged(load_causal(folder, dtype=torch.float32))
        return {
            name: _Tensor(tuple(value.shape), partial(_itself, value))
            for name, value in state.items()
        }
    found: dict[str, _Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with foreign(file, "a file of weights", error=InputError):
            held = opened.enter_context(safe_open(str(file), framework="pt"))
            for name in held.keys():  # noqa: SIM118 - it is no mapping
                shape = tuple(held.get_slice(name).get_shape())
                found[name] = _Tensor(shape, partial(held.get_tensor, name))
    if not found:
        msg = f"{folder} has no *.safetensors, so there is nothing to write"
        raise InputError(msg)
    return found


def _itself(value: Any) -> Any:
    return value


def _merged(model: Any) -> dict[str, Any]:
    """Return the weights of a model with an adapter, as they are without one."""
    with needs("a model that is an adapter", "students"):
        from peft.tuners.tuners_utils import BaseTunerLayer

    for part in model.modules():
        if isinstance(part, BaseTunerLayer):
            part.merge()
    return {
        name.replace(".base_layer.", "."): value
        for name, value in model.state_dict().items()
        if ".lora_" not in name
    }


def _write(
    writer: GGUFWriter,
    tensors: Mapping[str, _Tensor],
    plan: Mapping[str, str],
    quantise: Quantisation,
    config: Any,
    how: Architecture,
) -> GgufWritten:
    types = {own: _type_of(gguf, tensors[own].shape, quantise) for own, gguf in plan.items()}
    factors = rope_factors(config)
    if factors is not None:
        writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.dtype, factors.nbytes)
    for own, gguf in plan.items():
        shape, (kind, nbytes) = tensors[own].shape, _room(tensors[own].shape, types[own])
        writer.add_tensor_info(gguf, shape, np.dtype(np.float32), nbytes, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors)
    for own in plan:
        values = reordered(own, tensors[own].values(), config, how)
        if types[own] == GGMLQuantizationType.F16 and np.abs(values).max(initial=0) > _F16:
            msg = f"{own} has numbers beyond those of float16; write it with f32 or q8_0"
            raise InputError(msg)
        writer.write_tensor_data(quantize(np.ascontiguousarray(values), types[own]))
    writer.close()
    counts = Counter(types[own].name.lower() for own in plan if len(tensors[own].shape) > 1)
    size = sum(int(np.prod(tensors[own].shape)) for own in plan)
    return GgufWritten(_arch_name(how), size, dict(counts))


def _type_of(gguf: str, shape: tuple[int, ...], quantise: Quantisation) -> GGMLQuantizationType:
    if len(shape) < 2:
        return GGMLQuantizationType.F32
    kind = _TYPES[quantise][0]
    if quantise == "q4_0" and gguf in _OUTER:
        kind = GGMLQuantizationType.Q8_0
    block = GGML_QUANT_SIZES[kind][0]
    return kind if shape[-1] % block == 0 else GGMLQuantizationType.F16


def _room(shape: tuple[int, ...], kind: GGMLQuantizationType) -> tuple[GGMLQuantizationType, int]:
    """Return a tensor's type and its bytes."""
    block, size = GGML_QUANT_SIZES[kind]
    return kind, int(np.prod(shape)) // block * size
