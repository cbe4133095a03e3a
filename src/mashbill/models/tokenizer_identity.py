"""When two tokenizers are the same: which text each id stands for, and how texts become ids.

The first alone says too little. Two tokenizers with one map of ids may begin texts with different
tokens, change texts before they cut them, or merge in another order; then what a teacher read is
not what a student reads. How texts become ids is told by what comes of some, since files that read
alike are written in several ways.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mashbill.core.canonical import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

_WORDS = 1 << 14
"""tokens of a vocabulary whose text is read again: at even distances, all of a smaller one"""
_SPACES = ("\u0120", "\u2581")
"""how tokens write the space before a word"""
_TEXTS = (
    "The quick brown Fox said: \u201cit's 12,345.67 in 2024, isn't it?\u201d",
    "  two  spaces, a\ttab, a\r\nline\n\n\nand three  ",
    "def f(x):\n\treturn {x: [1, 2e-3]}  # 0xFF != ~y",
    "caf\u00e9 cafe\u0301 \ufb01ne \uff21\uff22 \u00bd \u212b e\u0301\u0302",
    "Gr\u00fc\u00dfe aus K\u00d6LN, \u0130stanbul, \u00c6\u00d8\u00c5",
    "\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439\u0442\u0435",
    "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627",
    "\u05e9\u05c1\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947",
    "\u65e5\u672c\u8a9e\u306e\u6587\u3067\u3059\u3002\u304c\u304b\u3099 \u4f60\u597d\uff01",
    "\ud55c\uad6d\uc5b4 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\U0001f642\U0001f469\u200d\U0001f4bb\u00a0\u200b\ufeff\u0000end",
    "a",
    " a",
    "",
)
"""cases, digits, spaces, letters that are composed, other scripts, and what is no letter"""


def ids_digest(tokenizer: Tokenizer) -> str:
    """Return the identity of a tokenizer's map of ids: which text each id stands for."""
    return digest(sorted([i, token] for token, i in tokenizer.get_vocab().items()))


def ids_of(tokenizer: Tokenizer) -> int:
    """Return how many ids a tokenizer has: one more than its highest."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def reading_digest(tokenizer: Tokenizer, begin: Sequence[int]) -> str:
    """Return the identity of how texts become ids.

    Args:
        tokenizer: as texts are read by it.
        begin: tokens that every text begins with.
    """
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    step = -(-len(words) // _WORDS) or 1
    texts = [*_TEXTS, *(_spaced(word) for word, _ in words[::step])]
    read = [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=False)]
    model = json.loads(tokenizer.to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model.get("merges") or ()]
    return digest({"begin": list(begin), "merges": merges, "read": read})


def other_map(theirs: str, students: str) -> str:
    """Return what is said where two maps of ids differ; empty if they do not.

    Args:
        theirs: :func:`ids_digest` of what a teacher has.
        students: of what a student has.
    """
    if theirs == students:
        return ""
    return (
        f"the map of ids has digest {theirs[:12]}, the student's {students[:12]}. Sizes may be "
        "equal, and a class still be another token"
    )


def other_reading(theirs: str, students: str) -> str:
    """Return what is said where texts become other ids by one map of ids; empty if they do not.

    Args:
        theirs: :func:`reading_digest` of what a teacher has.
        students: of what a student has.
    """
    if theirs == students:
        return ""
    return (
        "the map of ids is the student's, and what texts begin with, what is changed of them "
        f"before they are cut, or the order of merges is not (digest {theirs[:12]}, the student's "
        f"{students[:12]})"
    )


def _spaced(word: str) -> str:
    for space in _SPACES:
        word = word.replace(space, " ")
    return word
