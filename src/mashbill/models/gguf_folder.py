"""A GGUF file written as a folder that plain transformers loads.

Weights are dequantised to float32, which holds exactly what the file's numbers stand for. The
tokenizer gets the file's control tokens as special tokens, under the numbers that they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors.numpy import save_file
from tokenizers import AddedToken
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from mashbill.core.errors import TeacherError
from mashbill.core.parsing import foreign
from mashbill.models.gguf_file import GgufFile
from mashbill.models.gguf_reading import READ, weights_of_gguf

if TYPE_CHECKING:
    from pathlib import Path

_CONTROL, _USER_DEFINED = 3, 4  # llama.cpp's types of tokens


def write_folder(gguf: Path, folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer, chat template and generation settings.

    Args:
        gguf: the file.
        folder: an empty one.

    Raises:
        TeacherError: if it is of an architecture, or has a tokenizer, that is not read here.
    """
    file = GgufFile(gguf, READ)
    tokenizer = _tokenizer(file)
    config, weights = weights_of_gguf(file)
    begin, end, pad = (_token(file, name) for name in ("bos", "eos", "padding"))
    config.bos_token_id, config.eos_token_id, config.pad_token_id = begin, end, pad
    config.architectures = [MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].__name__]
    config.dtype = "float32"
    ends = sorted({one for one in (end, _token(file, "eot")) if one is not None})
    said = GenerationConfig(
        bos_token_id=begin, eos_token_id=ends if len(ends) > 1 else end, pad_token_id=pad
    )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    said.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _token(file: GgufFile, name: str) -> int | None:
    """Return the number of one of the tokens that a file names."""
    value = file.value(f"tokenizer.ggml.{name}_token_id")
    return value if isinstance(value, int) else None


def _tokenizer(file: GgufFile) -> PreTrainedTokenizerFast:
    """Return the file's tokenizer with its special tokens and its chat template."""
    plain = file.tokenizer()
    tokens: list[str] = file.value("tokenizer.ggml.tokens")
    kinds = file.value("tokenizer.ggml.token_type") or []
    with foreign(file.path, "a file with a tokenizer", error=TeacherError):
        for kind, special in ((_CONTROL, True), (_USER_DEFINED, False)):
            added = [
                AddedToken(token, special=special, normalized=False)
                for token, own in zip(tokens, kinds, strict=False)
                if own == kind
            ]
            (plain.add_special_tokens if special else plain.add_tokens)(added)
        names: dict[str, Any] = {}
        for key, name in _NAMES.items():
            number = _token(file, name)
            if number is not None:
                names[key] = tokens[number]
        made = PreTrainedTokenizerFast(
            tokenizer_object=plain,
            model_max_length=int(file.value(f"{file.architecture}.context_length") or 0) or None,
            clean_up_tokenization_spaces=False,
            **names,
        )
    template = file.value("tokenizer.chat_template")
    if template:
        made.chat_template = template
    return made


_NAMES = {
    "bos_token": "bos",
    "eos_token": "eos",
    "pad_token": "padding",
    "unk_token": "unknown",
}
"""key of tokenizer_config.json -> what GGUF calls it"""
