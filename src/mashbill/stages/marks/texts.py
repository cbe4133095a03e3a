"""The texts of rows, each told by 8 bytes of a hash of its matching key, and the keys themselves.

Two texts are the same here as they are for ``corpus`` and ``dedup``: if they differ in case,
punctuation and spacing only (:mod:`mashbill.files.rows.text`). Texts in lists and objects count by
themselves: a turn of a chat, a field of an answer in JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.files.rows.text import matching_keys
from mashbill.stages.marks.dress import one_dress

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST = 24
"""bytes of a key from which on a text counts by itself: shorter ones are alike by chance"""
FULL = 48
"""bytes from which on a few texts are enough: those below two people write alike"""
FEW = 0.01
"""part of all rows from which on shorter ones are enough"""
_SHORTEST = 2
_DEEPEST = 8
_LEAVES = 500
"""texts of one cell that are looked at"""
_ASKED = frozenset(["user", "human", "system", "developer", "prompter"])
HASHED = np.dtype([("hash", "<u8"), ("row", "<i8"), ("long", "?"), ("full", "?")])


@dataclass(frozen=True)
class Keyed:
    """Matching keys of texts, one behind the other."""

    data: np.ndarray
    """uint8: the bytes of all"""
    ends: np.ndarray
    """int64, shape (texts + 1,): where each begins, and the last one ends"""
    rows: np.ndarray
    """int64, shape (texts,): the row of each"""

    def hashed(self) -> np.ndarray:
        """Return the hashes of whole texts, of HASHED."""
        raw = self.data.tobytes()
        found = np.zeros(len(self.rows), HASHED)
        found["hash"] = np.frombuffer(
            b"".join(
                [blake2b(raw[a:b], digest_size=8).digest() for a, b in pairwise(self.ends.tolist())]
            ),
            "<u8",
        )
        found["row"] = self.rows
        sizes = np.diff(self.ends)
        found["long"], found["full"] = sizes >= LEAST, sizes >= FULL
        return found


def keyed(texts: pa.Array, rows: np.ndarray) -> Keyed:
    """Return the keys of texts; those that say nothing are left out.

    Args:
        texts: shape (texts,).
        rows: int64, shape (texts,), the row of each.
    """
    if pa.types.is_large_string(texts.type):
        texts = texts.cast(pa.string())
    there = np.asarray(
        pc.fill_null(pc.greater_equal(pc.binary_length(texts), _SHORTEST), fill_value=False)
    )
    data = matching_keys(_in_one_dress(texts.filter(pa.array(there)))).cast(pa.large_binary())
    buffers = data.buffers()
    ends = np.frombuffer(buffers[1], np.int64)[data.offset : data.offset + len(data) + 1]
    first, last = int(ends[0]), int(ends[-1])
    raw = np.frombuffer(buffers[2] or b"", np.uint8)[first:last]
    return Keyed(raw, ends - first, rows[there])


def hashed(texts: pa.Array, rows: np.ndarray) -> np.ndarray:
    """Return the hashes of texts, of HASHED; see :func:`keyed`."""
    return keyed(texts, rows).hashed()


def keyed_within(texts: pa.Array, rows: np.ndarray, *, answers: bool) -> Keyed:
    """Return the keys of texts within cells that write lists or objects as JSON.

    Args:
        texts: the cells.
        rows: int64, shape (cells,), the row of each.
        answers: leave out turns of a chat that ask.
    """
    like = pc.fill_null(pc.match_substring_regex(texts, r"^\s*[\[{]"), fill_value=False)
    places = np.flatnonzero(np.asarray(like))
    found: list[str] = []
    of: list[int] = []
    for place, text in zip(places.tolist(), texts.filter(like).to_pylist(), strict=True):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        leaves = list(_leaves(value, answers=answers))
        found += leaves
        of += [int(rows[place])] * len(leaves)
    return keyed(_array(found), np.array(of, np.int64))


def _in_one_dress(texts: pa.Array) -> pa.Array:
    """Return texts with letters that look alike in one spelling; those of ASCII are as they are."""
    plain = pc.fill_null(pc.string_is_ascii(texts), fill_value=True)
    if pc.all(plain).as_py():
        return texts
    others = pc.invert(plain)
    found = [one_dress(text) for text in texts.filter(others).to_pylist()]
    return pc.replace_with_mask(texts, others, pa.array(found, texts.type))


def _array(texts: list[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair
        plain = [text.encode("utf-8", "replace").decode() for text in texts]
        return pa.array(plain, pa.string())


def _leaves(value: Any, *, answers: bool) -> Iterable[str]:
    """Yield the texts in a value, few of them if there are too many."""
    waiting = [(value, 0)]
    count = 0
    while waiting and count < _LEAVES:
        item, depth = waiting.pop()
        if isinstance(item, str):
            count += 1
            yield item
            if depth < _DEEPEST and (inner := _written(item)) is not None:
                waiting.append((inner, depth + 1))
        elif depth > _DEEPEST:
            continue
        elif isinstance(item, list):
            waiting += [(each, depth + 1) for each in item]
        elif isinstance(item, dict):
            who = item.get("role", item.get("from"))
            if answers and isinstance(who, str) and who.lower() in _ASKED:
                continue
            waiting += [(each, depth + 1) for each in item.values()]


def _written(text: str) -> Any:
    """Return the list or object that a text writes as JSON; None if it writes none."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None
