"""When two texts count as the same."""

from __future__ import annotations

import hashlib
import re

_BETWEEN_WORDS = re.compile(r"\W+")


def matching_key(text: str) -> str:
    """Return the text without case, punctuation and spacing: equal keys are duplicates."""
    return _BETWEEN_WORDS.sub(" ", text.lower()).strip()


def place(text: str, seed: int) -> float:
    """Return where a text falls in [0, 1), by a hash of its matching key.

    Duplicates fall together, and a text keeps its place however the corpus grows.
    """
    data = f"{seed}\n{matching_key(text)}".encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48
