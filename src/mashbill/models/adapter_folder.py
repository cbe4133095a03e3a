"""A model that is adapters beside its base, as one folder of whole weights to start from.

In float32: what adapters add is added in full, and rounded by nobody.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file

from mashbill.models.causal_folder import load_causal

if TYPE_CHECKING:
    from pathlib import Path

_BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json",
    "added_tokens.json", "generation_config.json",
)  # fmt: skip


def write_merged(folder: Path, out: Path) -> None:
    """Write the folder of a model whose adapters are added to the weights of its base.

    Args:
        folder: a model with ``adapter_config.json``.
        out: an empty folder.

    Raises:
        StoreError: if it cannot be loaded.
    """
    model = load_causal(folder, dtype=torch.float32)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, layer.get_base_layer())
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    if model.config.tie_word_embeddings:  # the embeddings once, as save_pretrained writes them
        weights.pop("lm_head.weight", None)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    model.config.dtype = "float32"
    model.config.save_pretrained(out)
    for name in _BESIDE:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
