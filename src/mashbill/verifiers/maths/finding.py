"""Where in what a model wrote its answer stands: a box, a phrase that says so, or all of it."""

from __future__ import annotations

import re

_BOXES = (r"\boxed", r"\fbox")
_HASHES = re.compile(r"^\s*####\s*(\S.*?)\s*$", re.MULTILINE)
_PHRASE = re.compile(
    r"\b(?:final\s+answer|answer)\s*(?:\*\*)?\s*(?:is|=|:)\s*(?:\*\*)?\s*:?\s*(\S[^\n]*)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.;](?:\s|$)|\s(?:because|since|so that|which)(?:\s|$)")
_MATHS = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_ALONE = 200
"""characters of an output that may be an answer and nothing else"""
_LONGEST = 400_000
"""characters that are looked through, from the end"""


def answer_in(text: str) -> str | None:
    """Return the answer that an output gives; None if none is marked.

    The last box counts, then a last line after ``####``, then what follows the last "answer is";
    else an output that is short and one line is its answer.
    """
    text = text[-_LONGEST:]
    boxed = _boxed(text)
    if boxed is not None:
        return boxed
    found = _HASHES.findall(text)
    if found:
        return _clean(found[-1])
    phrases = _PHRASE.findall(text)
    if phrases:
        said: str = phrases[-1]
        maths = _MATHS.match(said)
        return _clean(maths[0] if maths else _SENTENCE.split(said, maxsplit=1)[0])
    plain = text.strip()
    return _clean(plain) if plain and len(plain) <= _ALONE and "\n" not in plain else None


def _boxed(text: str) -> str | None:
    """Return what stands in the last box whose braces close."""
    end = len(text)
    while end > 0:
        start = max(text.rfind(box, 0, end) for box in _BOXES)
        if start < 0:
            return None
        inside = _braced(text, text.find("{", start, start + 12))
        if inside is not None:
            return _clean(inside)
        end = start
    return None


def _braced(text: str, start: int) -> str | None:
    if start < 0:
        return None
    depth = 0
    for at in range(start, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : at]
    return None


def _clean(said: str) -> str:
    plain = said.strip().strip("*`").strip()
    whole = _MATHS.fullmatch(plain)
    if whole is not None:
        plain = next(group for group in whole.groups() if group is not None).strip()
    return plain
