"""Which engine a student is asked by: can OpenVINO compute it? Told from its files, unloaded.

The answer is part of what identifies a student's answers, and is needed before anything is loaded.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import StoreError
from mashbill.core.parsing import json_object
from mashbill.models.gguf_pre_tokenizers import name_of

if TYPE_CHECKING:
    from pathlib import Path

_ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
"""model_type of config.json, of those whose logits by OpenVINO were held to transformers'"""
_PACKAGES = {"openvino_genai": "local", "gguf": "students", "transformers": "students"}
"""package -> the extra that brings it"""


def is_causal(folder: Path) -> bool:
    """Whether a folder is a language model as transformers keeps it."""
    return bool(_read(folder / "config.json").get("model_type"))


def obstacle(folder: Path) -> str:
    """Say why OpenVINO does not compute the model of a folder; empty if it does."""
    config = _read(folder / "config.json")
    kind = config.get("model_type")
    if kind not in _ARCHITECTURES:
        return f"it reads {', '.join(_ARCHITECTURES)}, and this is {kind!r:.60}"
    return _of_config(config) or _of_tokenizer(folder, config) or _of_packages()


def _of_config(config: dict[str, Any]) -> str:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scaled = rope.get("rope_type", rope.get("type", "default"))
    width = (config.get("hidden_size") or 0) // (config.get("num_attention_heads") or 1)
    if scaled != "default":
        return f"its positions are scaled ({scaled!s:.40})"
    if config.get("hidden_act", "silu") != "silu":
        return f"hidden_act is {config['hidden_act']!r:.40}"
    for key in ("attention_bias", "mlp_bias"):
        if config.get(key):
            return f"{key} is set, and biases are not read"
    if config["model_type"] != "qwen3" and config.get("head_dim") not in (None, width):
        return f"head_dim is {config['head_dim']!r:.40}, and {width} is what would be taken"
    window = config.get("sliding_window")
    if window and config.get("use_sliding_window", config["model_type"] == "mistral"):
        return f"sliding_window is {window!r:.40}, which is not looked through"
    return ""


def _of_tokenizer(folder: Path, config: dict[str, Any]) -> str:
    if not (folder / "tokenizer.json").is_file():
        return "there is no tokenizer.json"
    if name_of(_read(folder / "tokenizer.json")) is None:
        return "its tokenizer is none that GGUF has a name for"
    said = _read(folder / "generation_config.json").get("eos_token_id", config.get("eos_token_id"))
    if said is None and not _read(folder / "tokenizer_config.json").get("eos_token"):
        return "nothing says which token ends a text"
    return ""


def _of_packages() -> str:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    return f"{', '.join(missing)} is not installed" if missing else ""


def _read(file: Path) -> dict[str, Any]:
    return json_object(file, error=StoreError) if file.is_file() else {}
