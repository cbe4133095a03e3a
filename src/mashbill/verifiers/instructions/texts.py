"""What demands count in a text: words, sentences, how often a word stands there."""

# ruff: noqa: RUF001 - marks of other scripts, as texts have them

from __future__ import annotations

import re
import string
import unicodedata

from mashbill.core.letters import UNSPACED

_UNSPACED = re.compile(rf"[{UNSPACED}]")
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_EDGE = string.punctuation + "“”‘’«»„¡¿…–—、。，！？：；（）「」『』"
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+[」』”]*")
_SHORT = re.compile(r"(?:^|[\s(])(?:(?i:mr|mrs|ms|dr|prof|vs|e\.g|i\.e)|[A-HJ-Z])\.$")


def count_words(text: str) -> int:
    """Return how many words a text has; a letter of a script without spaces counts as one."""
    return len(_WORD.findall(text))


def tokens_of(text: str) -> list[str]:
    """Return what stands between white space, without the marks around it; marks alone are none."""
    found = [token.strip(_EDGE) for token in unicodedata.normalize("NFC", text).split()]
    return [token for token in found if any(letter.isalnum() for letter in token)]


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text: what ends with a mark before white space, or at the end.

    A mark behind "Mr", "e.g." or one capital letter ends none.
    """
    found: list[str] = []
    joins = False
    for part in _pieces(text):
        if joins:
            found[-1] += f" {part}"
        elif part:
            found.append(part)
        joins = bool(found) and _SHORT.search(found[-1]) is not None
    return found


def _pieces(text: str) -> list[str]:
    found, start = [], 0
    for end in _END.finditer(text):
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return [part for part in found if any(letter.isalnum() for letter in part)]


def times(text: str, word: str) -> int:
    """Return how often a word stands in a text by itself, whatever its case.

    Where the word begins or ends with a letter of a script without spaces, no edge is looked for
    there, since none is written.
    """
    word, text = unicodedata.normalize("NFC", word), unicodedata.normalize("NFC", text)
    before = "" if _UNSPACED.match(word[0]) else r"(?<!\w)"
    behind = "" if _UNSPACED.match(word[-1]) else r"(?!\w)"
    return len(re.findall(rf"{before}{re.escape(word)}{behind}", text, re.IGNORECASE))
