"""Bounds of what a stranger's folder of weights says, looked at before a library acts on it.

A library in Rust that is asked for more memory than there is ends the process, and nothing can
catch that: what a tokenizer makes of each character is bounded before it is loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from mashbill.core.errors import TeacherError
from mashbill.core.parsing import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECTIONS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_STEPS = 50  # in one of them
_CHARACTERS = 100  # of what a step puts in
_GROWTH = 10_000  # characters that all the steps of a section may make of one
_EMPTY = re.compile(r"[*?|^$({]|\\[bBAzZGK]")  # what a pattern has that may match nothing
_SIZES = {
    "num_hidden_layers": 1000,
    "hidden_size": 100_000,
    "intermediate_size": 10_000_000,
    "vocab_size": 10_000_000,
}
"""key of config.json -> the largest that is taken; several times that of any model there is"""


def check_config(config: dict[str, Any], shown: object) -> None:
    """Raise TeacherError if config.json tells of a model that is larger than any, or of none."""
    for table in _tables(config):
        for key, most in _SIZES.items():
            value = table.get(key)
            values = value if isinstance(value, list) else [value]
            if any(v is not None and (type(v) is not int or not 1 <= v <= most) for v in values):
                msg = (
                    f"{shown}: {key} is {value!r:.60}, and a whole number from 1 to {most:,} is "
                    "needed; fetch it again, or name another model"
                )
                raise TeacherError(msg)


def check_tokenizer(file: Path, shown: object = "") -> None:
    """Raise TeacherError if a tokenizer.json would make much of little.

    Args:
        file: the file.
        shown: how the error names it.
    """
    shown = shown or file
    data = json_object(file, shown=shown, error=TeacherError, what="a tokenizer")
    for section in _SECTIONS:
        steps = [(kind, step) for step in _tables(data.get(section)) if (kind := _kind(step))]
        growth = 1.0
        if len(steps) > _STEPS:
            _refuse(shown, f"its {section} has {len(steps):,} steps, and {_STEPS} may be")
        if sum(kind == "Precompiled" for kind, _ in steps) > 1:
            _refuse(shown, f"its {section} has more than one step of type Precompiled")
        for kind, step in steps:
            for key in ("content", "prepend", "prefix", "replacement"):
                if isinstance(text := step.get(key), str) and len(text) > _CHARACTERS:
                    what = f"a {kind:.30} of {len(text):,} characters"
                    _refuse(shown, f"its {section} has {what}, and {_CHARACTERS} may be")
            growth *= _grown(kind, step)
            if growth > _GROWTH:
                _refuse(
                    shown, f"its {section} makes more than {_GROWTH:,} characters of one, in steps"
                )
        if any(kind == "FixedLength" and step.get("length") == 0 for kind, step in steps):
            _refuse(shown, f"its {section} cuts texts into pieces of no length")


def _kind(table: dict[str, Any]) -> str:
    """Return which step a table is, empty if it is none; tokenizers takes those without type."""
    if "type" in table:
        return str(table["type"])
    marks = {"content": "Replace", "precompiled_charsmap": "Precompiled", "single":
             "TemplateProcessing", "prepend": "Prepend", "normalizers": "Sequence"}  # fmt: skip
    return next((kind for mark, kind in marks.items() if mark in table), "")


def _grown(kind: str, step: dict[str, Any]) -> float:
    """Return about how many characters, or tokens, a step makes of one at most."""
    if kind == "Replace":
        pattern, length = step.get("pattern"), len(str(step.get("content") or ""))
        wanted = pattern if isinstance(pattern, dict) else {}
        if text := wanted.get("String"):
            return max(1.0, length / len(str(text)))
        return max(
            1.0, length + bool(_EMPTY.search(str(wanted.get("Regex") or "|"))) * bool(length)
        )
    if kind == "ByteLevel":
        return 2.0
    if kind == "TemplateProcessing":
        texts = [step.get("single"), step.get("pair")]
        ids = [token.get("ids") for token in _tables(step.get("special_tokens"))]
        most = [max([1, *(len(x) for x in all_ if isinstance(x, list))]) for all_ in (texts, ids)]
        return float(most[0] * most[1])
    return 1.0


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every table within a value."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _refuse(shown: object, what: str) -> NoReturn:
    msg = f"{shown}: {what}: a text would fill the memory; name another model"
    raise TeacherError(msg)
