"""The words of a text, in any script.

Where a script sets spaces between words, a word is the letters, marks and numbers that stand
together. Where it sets none (Thai, Lao, Khmer, Burmese, Chinese, Japanese) one, two and three
letters in a row, each with its marks, stand for words: no dictionary is needed, and what tells two
words apart is among them. Emoji and signs are words too.

A classifier keeps by which rule it takes texts apart, and is asked by that one for ever.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from mashbill.core.letters import UNSPACED, folded, kind, members, word_pattern

_ASCII_SIGNS = r"#$%&*+/<=>@\\^|~"
_MARKS = "[!?:;)(¿¡؟！？：；）（]+"  # noqa: RUF001
_MINUS = r"-(?=\s?\d)(?<![^\W\d_]-)|-(?=\w\b)(?<!\w-)"
"""before a number or a single letter; no hyphen"""
_NAME = r"(?<!\S)\.(?=\w)"
"""of .NET"""
_EMOJI = (
    "[\U0001f1e6-\U0001f1ff]{2}|%s[\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u20e3]*"
    "(?:\u200d%s[\U0001f3fb-\U0001f3ff]*)*"
)
_SKINS = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUNS = re.compile(f"[{UNSPACED}]+|[^{UNSPACED}]+")
_LONGEST = 3  # letters of a script without spaces that are taken together


def words(text: str, *, marks: bool = False) -> list[str]:
    """Return the words and signs of a text, without case, in order.

    Args:
        text: what to take apart.
        marks: also what may tell how something is meant: runs of ``! ? : ; ) (``.
    """
    small = folded(text)
    found: list[str] = _pattern(plain=small.isascii(), marks=marks).findall(small)
    if small.isascii():
        return found
    return [part for word in found for part in _parts(word)]


@functools.cache
def _pattern(*, plain: bool, marks: bool) -> re.Pattern[str]:
    signs = rf"[{_ASCII_SIGNS}]+"
    if plain:
        ways = [r"\w+", signs, _MINUS, _NAME]
    else:
        others = members("sign") + members("sign", beyond=True)
        sign = rf"(?![{_ASCII_SIGNS}])[{others}]"
        ways = [word_pattern(), _EMOJI % (sign, sign), signs, _MINUS, _NAME]
    ways += [_MARKS] if marks else []
    return re.compile(f"{'|'.join(ways)}")


def is_unspaced(word: str) -> bool:
    """Return whether a word is letters of a script without spaces."""
    return _UNSPACED.match(word) is not None


def _parts(word: str) -> list[str]:
    """Return a word as what it counts for: letters in a row, or an emoji and what it is made of."""
    if _UNSPACED.search(word):
        return [part for run in _RUNS.findall(word) for part in _in_a_row(run)]
    if len(word) > 1 and kind(word[0]) == "sign" and not word.isascii():
        made_of = [each for each in word if kind(each) == "sign" and each not in _SKINS]
        return [word, *made_of]
    return [word]


def _in_a_row(run: str) -> list[str]:
    """Return up to three letters in a row, each with its marks; another script's run as it is."""
    if not _UNSPACED.match(run):
        return [run]
    letters: list[str] = []
    for character in run:
        if letters and unicodedata.category(character)[0] == "M":
            letters[-1] += character
        else:
            letters.append(character)
    return [
        "".join(letters[start : start + size])
        for size in range(1, _LONGEST + 1)
        for start in range(len(letters) - size + 1)
    ]
