"""When two texts count as the same."""

from __future__ import annotations

import hashlib
import re

import pyarrow as pa
import pyarrow.compute as pc

_BETWEEN_WORDS = re.compile(r"\W+")


def matching_key(text: str) -> str:
    """Return the text without case, punctuation and spacing: equal keys are duplicates."""
    return _BETWEEN_WORDS.sub(" ", text.lower()).strip()


def matching_keys(texts: pa.Array) -> pa.Array:
    """Return :func:`matching_key` of each text, shape (rows,); of a missing one a missing one.

    Arrow does it for texts of ASCII, where it means the same by case and by word.
    """
    ascii_only = pc.string_is_ascii(texts)
    spaced = pc.replace_substring_regex(pc.ascii_lower(texts), "[^0-9A-Za-z_]+", " ")
    keys = pc.ascii_trim(spaced, " ")
    if pc.all(ascii_only).as_py() is not False:
        return keys
    others = pc.fill_null(pc.invert(ascii_only), fill_value=False)
    found = [matching_key(text) for text in texts.filter(others).to_pylist()]
    return pc.replace_with_mask(keys, others, pa.array(found, keys.type))


def place(text: str, seed: int) -> float:
    """Return where a text falls in [0, 1), by a hash of its matching key.

    Duplicates fall together, and a text keeps its place however the corpus grows.
    """
    data = f"{seed}\n{matching_key(text)}".encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48
