"""The files of a trained student, as ``save_pretrained`` of transformers and peft writes them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import torch

from mashbill.models.causal_folder import no_bar

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.base_model import BaseWeights

_BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json",
    "added_tokens.json", "generation_config.json",
)  # fmt: skip
_OTHERS = ("README.md",)
"""what peft writes beside, which says nothing that the card does not"""


def save_student(model: Any, base: BaseWeights, dtype: str, out: Path) -> None:
    """Write a student, its weights rounded to a type: so they are in memory, too, from then on.

    Args:
        model: of transformers, or adapters of peft around one.
        base: where its tokenizer and template come from.
        dtype: float32, bfloat16 or float16.
        out: the folder.
    """
    kind = getattr(torch, dtype)
    is_apart = hasattr(model, "peft_config")
    plain = model.get_base_model() if is_apart else model
    plain.config.use_cache = True
    with torch.no_grad():
        # Weights alone: what a model computes by itself, such as angles of positions, stays exact.
        for parameter in model.parameters():
            if parameter.requires_grad or not is_apart:
                parameter.copy_(parameter.to(kind))
    with no_bar():
        _write(model, base, kind, out, is_apart=is_apart)
    for name in _BESIDE:
        if (base.folder / name).exists():
            shutil.copyfile(base.folder / name, out / name)
    if not (out / "config.json").exists():
        shutil.copyfile(base.folder / "config.json", out / "config.json")
    for name in _OTHERS:
        (out / name).unlink(missing_ok=True)


def _write(model: Any, base: BaseWeights, kind: torch.dtype, out: Path, *, is_apart: bool) -> None:
    if is_apart:
        # The base stays as it is, and goes with its adapters: what is saved needs nothing else.
        model.save_pretrained(out)
        for path in base.folder.iterdir():
            if path.name.startswith("model") and ".safetensors" in path.name:
                shutil.copyfile(path, out / path.name)
    else:
        model.config.dtype = kind
        rounded: dict[int, torch.Tensor] = {}  # one for weights that stand under two names
        own = {
            name: rounded.setdefault(tensor.data_ptr(), tensor.to(kind))
            for name, tensor in model.state_dict().items()
        }
        model.save_pretrained(out, state_dict=own, max_shard_size="100GB")
