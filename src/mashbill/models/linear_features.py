"""The featuriser of a linear classifier as one file of Python that needs nothing of this package.

It is what :mod:`mashbill.models.linear` does with a text, its own text where that is possible, and
scikit-learn's hashing written out (MurmurHash3, x86, 32 bits), so that whoever has the file and the
ONNX beside it gets the same numbers. A test holds both to each other.
"""

from __future__ import annotations

import ast
import inspect

from mashbill.core import letters, words
from mashbill.models import linear

FEATURES_FILE = "features.py"
_HEAD = '''"""Texts to the features that {artifact} reads: the input "features" of its ONNX file.

    from features import features
    session.run(None, {{"features": features(["a text", "another"])}})

Written by mashbill {version}, Apache-2.0; it needs Python 3.11 and numpy. Words of a text, without
case, with their first four and last three letters, are hashed into {buckets:,} buckets; a row holds
its distinct buckets, and {buckets:,} where a longer row has more.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import numpy as np

BUCKETS = {buckets}
'''
_TAIL = '''

def murmur(data: bytes) -> int:
    """Return MurmurHash3 (x86, 32 bits, seed 0) of some bytes, as a signed number."""
    mask, state = 0xFFFFFFFF, 0
    whole = len(data) // 4 * 4
    for start in range(0, len(data), 4):
        piece = int.from_bytes(data[start : start + 4], "little") * 0xCC9E2D51 & mask
        state ^= ((piece << 15 | piece >> 17) & mask) * 0x1B873593 & mask
        if start < whole:
            state = ((state << 13 | state >> 19) & mask) * 5 + 0xE6546B64 & mask
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & mask
    state = (state ^ state >> 13) * 0xC2B2AE35 & mask
    state ^= state >> 16
    return state - (1 << 32) if state >> 31 else state


def features(texts: list[str]) -> np.ndarray:
    """Return the buckets of each text, int64, shape (texts, the most of one, at least 1)."""
    found = [[abs(murmur(word.encode())) % BUCKETS for word in {taken}(text)] for text in texts]
    rows = [sorted(set(row)) for row in found]
    made = np.full((len(rows), max([1, *map(len, rows)])), BUCKETS, np.int64)
    for number, row in enumerate(rows):
        made[number, : len(row)] = row
    return made
'''


def featuriser(artifact: str, version: str, buckets: int, rule: int) -> str:
    """Return the file's text.

    Args:
        artifact: address of the classifier.
        version: of this package.
        buckets: into which words are hashed.
        rule: by which texts are taken apart.
    """
    if rule == 1:
        parts = [f"FIRST_WORDS = re.compile({linear.FIRST_WORDS.pattern!r})"]
        parts.append(inspect.getsource(linear.first_features))
        taken = "first_features"
    else:
        parts = [_without_imports(inspect.getsource(module)) for module in (letters, words)]
        source = inspect.getsource(linear.features)
        taken = "words_of"
        parts.append(source.replace("def features(", f"def {taken}(", 1))
    head = _HEAD.format(artifact=artifact, version=version, buckets=buckets)
    return "\n\n".join([head, *parts]).rstrip() + "\n" + _TAIL.format(taken=taken)


def _without_imports(source: str) -> str:
    """Return a module's text without what it imports, and its own first words as a comment."""
    lines = source.splitlines()
    left_out: set[int] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno - 1, node.end_lineno or node.lineno))
    return "\n".join(line for number, line in enumerate(lines) if number not in left_out).strip()
