"""WebDataset: tar files whose members are one row where their names are one up to the first dot.

After the format's own text (github.com/webdataset/webdataset) and reader: ``KEY.txt`` and
``KEY.json`` lie together and are one sample, whose columns are the endings, and ``__key__``. Text
is text, JSON its value, ``cls`` a number; whatever else there is stays as its bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value
from mashbill.files.archives import tar_members
from mashbill.files.opening import ELEMENT, most_of_row, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)
_OWN = re.compile(r".*__[^/]*__(?:/|$)", re.DOTALL)
"""members that the format keeps for itself"""
_TEXTS = frozenset({"txt", "text", "md", "transcript", "caption", "prompt", "completion"})
_JSON = frozenset({"json", "jsn"})
_NUMBERS = frozenset({"cls", "cls2", "class", "count", "index", "inx", "id"})
_ROWS = 1024
_BYTES = 32 << 20


def webdataset_rows(
    data: bytes | Path, name: str, encoding: str
) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """Yield numbers of samples and the samples, some at a time, in the order of the file.

    Args:
        data: the tar's bytes, or where it lies; compressed or not.
        name: how errors name it.
        encoding: of texts.

    Raises:
        InputError: naming the file and the member, if it is no tar, a sample is larger than a row
            may be, a text or JSON is none, or one sample's members lie apart.
    """
    most = most_of_row()
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    number, size, all_sizes = 0, 0, 0
    for member, content in tar_members(data, name, most):
        found = _NAME.fullmatch(member)
        if _OWN.match(member):
            continue
        if found is None:
            msg = f"{name}!{member[:160]} has no ending, by which WebDataset tells what it holds"
            raise InputError(msg)
        key, ending = found[1], found[2].lower()
        if not rows or rows[-1]["__key__"] != key:
            if key in seen:
                msg = (
                    f"{name}!{member[:160]}: the members of sample {key[:160]!r} do not lie "
                    "together, so that it would become two rows; sort the archive by name"
                )
                raise InputError(msg)
            if rows and (len(rows) >= _ROWS or all_sizes > _BYTES):
                yield list(range(number - len(rows) + 1, number + 1)), rows
                rows, all_sizes = [], 0
            seen.add(key)
            rows.append({"__key__": key})
            number, size = number + 1, 0
        if ending in rows[-1]:
            msg = f"{name}!{member[:160]} is there twice; keep one"
            raise InputError(msg)
        size += len(content)
        if size > most:
            msg = f"{name}!{member[:160]}: its sample {too_large(most)}"
            raise InputError(msg)
        rows[-1][ending] = _value(content, ending, f"{name}!{member[:160]}", encoding)
        all_sizes += len(content) + ELEMENT * (content.count(b",") if ending in _JSON else 1)
    if rows:
        yield list(range(number - len(rows) + 1, number + 1)), rows


def _value(content: bytes, ending: str, shown: str, encoding: str) -> Any:
    kind = ending.rsplit(".", 1)[-1]  # of seg.txt it is the last that says what it holds
    if kind not in _TEXTS | _JSON | _NUMBERS:
        return content
    try:
        text = content.decode("utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding)
    except UnicodeError as error:
        msg = f"{shown} is not {encoding} ({error!s:.100}); set encoding in the recipe"
        raise InputError(msg) from error
    if kind in _JSON:
        return json_value(text, shown, constants=True)
    bare = text.strip()
    if kind in _NUMBERS and bare.lstrip("-").isascii() and bare.lstrip("-").isdecimal():
        is_written_so = len(bare) < 40 and str(int(bare)) == bare  # 007 is a name, and 0 a number
        return int(bare) if is_written_so else bare
    return text
