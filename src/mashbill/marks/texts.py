"""The texts of rows, each told by 8 bytes of a hash of its matching key.

Two texts are the same here as they are for ``corpus`` and ``dedup``: if they differ in case,
punctuation and spacing only (:mod:`mashbill.stages.text`). Texts in lists and objects count by
themselves: a turn of a chat, a field of an answer in JSON.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.stages.text import matching_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST = 24
"""bytes of a key from which on a text counts by itself: shorter ones are alike by chance"""
_SHORTEST = 2
_DEEPEST = 8
_LEAVES = 500
"""texts of one cell that are looked at"""
_ASKED = frozenset(["user", "human", "system", "developer", "prompter"])
HASHED = np.dtype([("hash", "<u8"), ("row", "<i8"), ("long", "?")])


def hashed(texts: pa.Array, rows: np.ndarray) -> np.ndarray:
    """Return the hashes of texts, of HASHED; those that say nothing are left out.

    Args:
        texts: shape (texts,).
        rows: int64, shape (texts,), the row of each.
    """
    if pa.types.is_large_string(texts.type):
        texts = texts.cast(pa.string())
    there = np.asarray(pc.fill_null(pc.greater_equal(pc.binary_length(texts), _SHORTEST),
                                    fill_value=False))  # fmt: skip
    keys = matching_keys(texts.filter(pa.array(there)))
    data = keys.cast(pa.large_binary())
    buffers = data.buffers()
    raw = memoryview(buffers[2] or b"")
    ends = memoryview(buffers[1]).cast("q")[data.offset : data.offset + len(data) + 1]
    found = np.zeros(len(data), HASHED)
    found["hash"] = np.frombuffer(
        b"".join([blake2b(raw[a:b], digest_size=8).digest() for a, b in pairwise(ends.tolist())]),
        "<u8",
    )
    found["row"] = rows[there]
    found["long"] = np.asarray(pc.greater_equal(pc.binary_length(keys), LEAST))
    return found


def hashed_within(texts: pa.Array, rows: np.ndarray, *, answers: bool) -> np.ndarray:
    """Return the hashes of texts within cells that write lists or objects as JSON.

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
    return hashed(_array(found), np.array(of, np.int64))


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
        elif depth > _DEEPEST:
            continue
        elif isinstance(item, list):
            waiting += [(each, depth + 1) for each in item]
        elif isinstance(item, dict):
            who = item.get("role", item.get("from"))
            if answers and isinstance(who, str) and who.lower() in _ASKED:
                continue
            waiting += [(each, depth + 1) for each in item.values()]
