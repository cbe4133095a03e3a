"""The tokenizer of a language model from scratch: trained on its texts, or taken from a base."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import json_object
from mashbill.core.store import write_atomically
from mashbill.models.folder import ends_of, plain_tokenizer
from mashbill.train.token_file import Marks, read_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset

_PAD, _END, _BEGIN = "<pad>", "<end>", "<begin>"
_LETTERS = 48 << 20
"""bytes of text that a tokenizer is trained on at most: merges settle long before"""
_ROWS = 1_024
FILE = "tokenizer.json"
SETTINGS = "tokenizer_config.json"


@dataclass(frozen=True)
class Reading:
    """How texts are read."""

    tokenizer: Tokenizer
    """reads every text as text: no mark that it spells out is one"""
    marks: Marks
    files: dict[str, bytes]
    """what goes beside the weights, for transformers"""


def trained(datasets: Sequence[Dataset], column: str, size: int, folder: Path) -> Reading:
    """Return a byte-level BPE of the texts, trained unless an earlier run has.

    Args:
        datasets: of texts.
        column: of the texts.
        size: of the vocabulary, at most: fewer texts have fewer merges.
        folder: scratch of the stage.
    """
    file = folder / FILE
    if not file.exists():
        # One thread, so that ties between merges are broken in the same order every time.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.train_from_iterator(
            _some(datasets, column),
            trainers.BpeTrainer(
                vocab_size=size,
                special_tokens=[_PAD, _END, _BEGIN],
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
        begin = tokenizer.token_to_id(_BEGIN)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{_BEGIN} $A", pair=f"{_BEGIN} $A {_BEGIN} $B", special_tokens=[(_BEGIN, begin)]
        )
        write_atomically(file, tokenizer.to_str().encode())
    settings = {
        "add_prefix_space": False,
        "bos_token": _BEGIN,
        "clean_up_tokenization_spaces": False,
        "eos_token": _END,
        "pad_token": _PAD,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    tokenizer, _ = plain_tokenizer(folder)
    marks: list[Any] = [tokenizer.token_to_id(mark) for mark in (_BEGIN, _END, _PAD)]
    return Reading(
        tokenizer,
        Marks(*marks),
        {FILE: file.read_bytes(), SETTINGS: json.dumps(settings, indent=2).encode()},
    )


def taken(folder: Path, title: str) -> Reading:
    """Return the tokenizer of a base, with what the base says of its marks.

    Args:
        folder: of the base, as transformers loads it.
        title: of the base, for errors.

    Raises:
        InputError: if it does not say what ends a text.
    """
    tokenizer, begins = plain_tokenizer(folder)
    try:
        end = ends_of(folder, tokenizer)[0]
    except TeacherError as error:
        msg = f"tokenizer: {title}: {error}; leave the key out, and one is trained on the inputs"
        raise InputError(msg) from error
    settings = _settings(folder)
    settings.pop("chat_template", None)  # what is trained here is texts, and no chat
    begin = begins[-1] if begins else _said(settings, "bos_token", tokenizer, None)
    pad = _said(settings, "pad_token", tokenizer, end)
    files = {
        FILE: (folder / FILE).read_bytes(),
        SETTINGS: json.dumps(settings, indent=2, ensure_ascii=False).encode(),
    }
    return Reading(tokenizer, Marks(begin, end, pad), files)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    return dict(json_object(path, error=InputError)) if path.exists() else {}


def _said(settings: dict[str, Any], key: str, tokenizer: Tokenizer, otherwise: Any) -> Any:
    """Return the id of a token that tokenizer_config.json names."""
    named = settings.get(key)
    token = named.get("content") if isinstance(named, dict) else named
    found = tokenizer.token_to_id(token) if isinstance(token, str) else None
    return otherwise if found is None else found


def _some(datasets: Sequence[Dataset], column: str) -> Iterator[str]:
    """Yield texts from all over the datasets, up to so many bytes in all."""
    slices = sum(-(-data.num_rows // _ROWS) for data in datasets)
    allowed = 0.0
    for data in datasets:
        for _, texts in read_texts(data, column, _ROWS):
            allowed += _LETTERS / slices
            for text in texts.to_pylist():
                if allowed <= 0:
                    break
                if text is not None:
                    piece = text[: int(allowed) + 1]
                    allowed -= len(piece.encode(errors="replace"))
                    yield piece
