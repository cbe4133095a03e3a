"""Where in what a model wrote its answer stands: a box, a phrase that says so, or all of it."""

from __future__ import annotations

import re

_BOXES = (r"\boxed", r"\fbox")
_HASHES = re.compile(r"^\s*####\s*(\S.*?)\s*$", re.MULTILINE)
_TAGGED = re.compile(r"<answer>\s*([^<>]*?)\s*</answer>", re.IGNORECASE)
_BOLD = re.compile(r"^\s*\*\*\s*([^*\n]+?)\s*\*\*\s*$")
_PHRASE = re.compile(
    r"\b(?:final\s+answer|answer)\s*(?:\*\*)?\s*"
    r"(?:(?:is|=|:)\s*(?:\*\*)?\s*:?\s*(?=\S)|(?=\$|\\\[|\\\())",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"(?:\s|[,;&$]|\\[,;:! ()\[\]]|\\(?:quad|qquad|text|textrm|mathrm|land|lor)(?![a-zA-Z])|"
    r"[{}]|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z]))*"
)
"""what stands between boxes that are one answer together"""
_SENTENCE = re.compile(r"[.;](?:\s|$)|\s(?:because|since|so that|which)(?:\s|$)")
_MATHS = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_TOGETHER = 40
_ALONE = 200
"""characters of an output that may be an answer and nothing else"""
_LONGEST = 400_000
"""characters that are looked through, from the end"""


def answer_in(text: str) -> str | None:
    """Return the answer that an output gives; None if none is marked.

    What the last tags ``<answer>`` hold counts, then the last box, then a last line after ``####``,
    then what follows the last "answer is", then a last line that is bold as a whole; else an output
    that is short and one line is its answer.
    """
    text = text[-_LONGEST:]
    tagged = _TAGGED.findall(text)
    if tagged:
        return _boxed(tagged[-1]) or _clean(tagged[-1])
    boxed = _boxed(text)
    if boxed is not None:
        return boxed
    found = _HASHES.findall(text)
    if found:
        return _clean(found[-1])
    phrases = list(_PHRASE.finditer(text))
    if phrases:
        said = text[phrases[-1].end() :].strip()
        maths = _MATHS.match(said)
        if maths is None:
            said = _SENTENCE.split(said.partition("\n")[0], maxsplit=1)[0]
        return _clean(maths[0] if maths else said)
    plain = text.strip()
    bold = _BOLD.match(plain.rpartition("\n")[2])
    if bold is not None:
        return _clean(bold[1])
    if not plain or len(plain) > _ALONE or "\n" in plain:
        return None
    return _clean(_only_maths(plain) or plain)


def _only_maths(text: str) -> str:
    """Return the one formula of a line of words without numbers; empty if there is no such."""
    found = list(_MATHS.finditer(text))
    if len(found) != 1:
        return ""
    around = text[: found[0].start()] + text[found[0].end() :]
    words = re.findall(r"[^\W\d_]{3,}", around)
    return found[0][0] if words and not re.search(r"\d", around) else ""


def _boxed(text: str) -> str | None:
    """Return what stands in the last box whose braces close, and in those right before it."""
    end, found, after = len(text), list[str](), -1
    while end > 0:
        start = max(text.rfind(box, 0, end) for box in _BOXES)
        if start < 0:
            break
        opens = text.find("{", start, start + 12)
        inside = _braced(text, opens)
        if inside is not None:
            closes = opens + len(inside) + 2
            if found and not _BETWEEN.fullmatch(text, closes, after):
                break
            found.append(_clean(inside))
            after = start
            if len(found) > _TOGETHER:
                break
        end = start
    return ", ".join(reversed(found)) if found else None


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
