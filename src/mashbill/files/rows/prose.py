"""What a text is made of, counted: letters by script, words, lines, paragraphs, sentences.

Counts here are those of rules that keep or reject a text (:mod:`mashbill.stages.heuristics`) and of
reports on data. All are of one text alone.

* **Words** stand between white space. What stands at a word's ends and is neither letter, mark nor
  number is no part of it; what has nothing else is a *symbol* (``#``, ``-``, ``|``).
* **Lines** are what line breaks divide, without white space around them; blank ones are none.
* **Paragraphs** are lines between blank lines.
* **Sentences** end with a mark that ends one in some script. Thai, Lao and their neighbours write
  none, so nothing can be said of them.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from functools import cached_property

from mashbill.core.letters import UNSPACED, folded
from mashbill.files.rows.repeating import Runs

ENDS = ".!?…。！？｡．؟۔।॥՞։᙮᠃᠉။៕។།༎‼⁇⁈⁉⸮꓿꘎꘏꛳꛷꡶꡷꣎꣏꩝꩞꩟꫰꫱꯫﹒﹖﹗჻۔܀܁܂߹፧።‽"  # noqa: RUF001
"""marks that end a sentence, by script"""
_CLOSING = "\"'”’»›」』）)]】〉》*_`"  # noqa: RUF001
BULLETS = ("•", "‣", "◦", "▪", "●", "■", "·", "∙", "⁃", "-", "*", "–", "—")  # noqa: RUF001
_ELLIPSES = ("...", "…")
_UNENDED = frozenset({"THAI", "LAO", "TAI", "NEW", "CHAM"})
"""scripts whose writing has no mark at the end of a sentence, as Unicode names their letters"""
_UNSPACED = re.compile(f"[{UNSPACED}]")
_FEW = 0.2
"""share of its letters from which on a text counts as one of a script without spaces"""
_SENTENCE = re.compile(rf"[{re.escape(ENDS)}]+[{re.escape(_CLOSING)}]*(?=\s|$|[^\x00-\u02ff])")
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_ALSO = {
    "MODIFIER": "OTHER", "MATHEMATICAL": "OTHER", "FEMININE": "LATIN", "MASCULINE": "LATIN",
    "MICRO": "GREEK", "KANGXI": "CJK", "IDEOGRAPHIC": "CJK",
}  # fmt: skip
"""first words of names that are not those of a script"""
_READ = 20_000
"""characters by which a text's script is told"""


def count_words(text: str) -> int:
    """Return how many words a text has, as people count them.

    One is what stands between white space and has a letter or a number; of scripts without spaces
    each letter is one, with its marks.
    """
    unspaced = sum(unicodedata.category(each)[0] != "M" for each in _UNSPACED.findall(text))
    return unspaced + sum(
        any(map(str.isalnum, piece)) for piece in _UNSPACED.sub(" ", text).split()
    )


class Prose:
    """One text, and what was counted of it so far."""

    def __init__(self, text: str) -> None:
        """Take a text; nothing is counted before it is asked for."""
        self.text = text

    @cached_property
    def chars(self) -> int:
        """Characters, without white space around the text."""
        return len(self.text.strip())

    @cached_property
    def pieces(self) -> list[str]:
        """What stands between white space."""
        return self.text.split()

    @cached_property
    def words(self) -> list[str]:
        """Those pieces that have a letter or a number, without what stands at their ends."""
        found = (bare(piece) for piece in self.pieces)
        return [word for word in found if word]

    @cached_property
    def runs(self) -> Runs:
        """Runs of pieces."""
        return Runs(self.pieces)

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not blank, without white space around them."""
        return [line for line in map(str.strip, self.text.splitlines()) if line]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What blank lines divide."""
        return [part for part in map(str.strip, _BLANK.split(self.text)) if part]

    @cached_property
    def scripts(self) -> Counter[str]:
        """Letters by script, those of the first 20,000 characters."""
        return scripts_of(self.text[:_READ])

    @cached_property
    def is_unspaced(self) -> bool:
        """Whether it is of a script without spaces between words, so that words are not told apart.

        One of five letters is enough, since each stands for a word or half of one.
        """
        letters = self.scripts.total()
        return bool(letters) and len(_UNSPACED.findall(self.text[:_READ])) > _FEW * letters

    @cached_property
    def is_unended(self) -> bool:
        """Whether it is of a script that has no mark at the end of a sentence."""
        none = sum(count for name, count in self.scripts.items() if name in _UNENDED)
        return none > _FEW * self.scripts.total()

    @cached_property
    def is_syllabic(self) -> bool:
        """Whether its letters are syllables, as those of Korean are."""
        return self.scripts["HANGUL"] > _FEW * self.scripts.total()

    @cached_property
    def is_latin(self) -> bool:
        """Whether most of its letters are Latin."""
        return 2 * self.scripts["LATIN"] > self.scripts.total()

    @cached_property
    def has_letters(self) -> bool:
        """Whether it has any."""
        return bool(self.scripts.total())


def bare(piece: str) -> str:
    """Return a word without signs and punctuation at its ends; nothing if it is made of those."""
    first, last = 0, len(piece)
    while first < last and not _is_part(piece[first]):
        first += 1
    while last > first and not _is_part(piece[last - 1]):
        last -= 1
    return piece[first:last]


def _is_part(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def ends_sentence(line: str) -> bool:
    """Return whether a line ends with a mark that ends a sentence, quotes and brackets aside.

    A quotation mark alone counts as one, as it does in C4 and FineWeb.
    """
    bare_line = line.rstrip(_CLOSING)
    if bare_line != line and line[-1:] in "\"'”’»」』":  # noqa: RUF001
        return True
    return bare_line[-1:] in ENDS and bare_line != ""


def ends_in_ellipsis(line: str) -> bool:
    """Return whether a line ends in three points."""
    return line.endswith(_ELLIPSES)


def ellipses(text: str) -> int:
    """Return how many times three points stand in a text."""
    return sum(text.count(each) for each in _ELLIPSES)


def sentences(line: str) -> int:
    """Return how many sentences a line has: one for each end, and one for what has none."""
    ends = list(_SENTENCE.finditer(line))
    rest = line[ends[-1].end() :] if ends else line
    return len(ends) + bool(bare(rest.strip()))


def scripts_of(text: str) -> Counter[str]:
    """Return letters by script: the first word of a letter's name in Unicode, such as LATIN."""
    found: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            found[script(character)] += count
    return found


@functools.lru_cache(maxsize=1 << 16)
def script(letter: str) -> str:
    """Return a letter's script: the first word of its name in Unicode.

    Half- and full-width letters are of the script that they are wide letters of.
    """
    name = unicodedata.name(letter, "UNNAMED").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    first = name.split(" ", 1)[0].split("-", 1)[0]
    return _ALSO.get(first, first)


def known_words(words: list[str], wanted: frozenset[str]) -> int:
    """Return how many of some words a text has, each counted once and without case."""
    return len({folded(word) for word in words} & wanted)
