"""The rules by name: what is counted, the limit, which texts it can say nothing of, and its source.

Limits are those of the papers as they were read in the code that is the common reference for
them, huggingface/datatrove: ``src/datatrove/pipeline/filters/gopher_quality_filter.py`` and
``gopher_repetition_filter.py`` at commit 06c98b0f (which quotes table A1), ``c4_filters.py`` at
10c00469, ``fineweb_quality_filter.py`` at 05194d39, and release 0.10.1 of the package.

One limit is not that of this code: ``fineweb-repeated-line-chars`` is 0.1, second-hand: the
FineWeb paper (arXiv 2406.17557) is said to give it, and was not opened here. datatrove's default,
which was read, is 0.01, a tenth.

A rule counts words, or marks at the end of sentences, or knows English. What it counts is not
there in every script: such a rule says nothing of such a text, which is counted as *left out*, and
is no reason to keep or reject it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mashbill.files.rows.prose import (
    BULLETS,
    ellipses,
    ends_in_ellipsis,
    ends_sentence,
    known_words,
    sentences,
)
from mashbill.files.rows.repeating import repeated

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.files.rows.prose import Prose

Needs = Literal["nothing", "spaces", "letters", "ends", "english"]
"""what a text must have for a rule to say something of it: words that spaces divide; such words of
letters that stand for one sound each, so that a length in characters means what it means in
English (not so in Korean, where one is a syllable); marks at the end of sentences; English words"""

ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")
"""of which a text is to have some, by Gopher's rule"""
_POLICY = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
    "use cookies",
)  # fmt: skip
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_FEWEST = 3  # words of a line that C4 keeps
_LONG = 200  # characters of a line that mC4 takes for a paragraph
_SHORT = 30  # characters of a line that FineWeb takes for a short one


@dataclass(frozen=True)
class Rule:
    """One rule."""

    name: str
    family: str
    counts: str
    """what is counted, for people"""
    value: Callable[[Prose], float]
    """counts it"""
    side: Literal["at least", "at most"]
    """on which side of the limit a text is kept; the limit itself is within"""
    limit: float
    """that of the paper"""
    needs: Needs = "nothing"

    def says_of(self, prose: Prose, *, own_words: bool = False) -> bool:
        """Return whether it can say something of a text.

        Args:
            prose: the text.
            own_words: whether the words that it looks for are the user's and not English ones.
        """
        if self.needs == "ends":
            return not prose.is_unended
        if self.needs == "spaces" or own_words:
            return not prose.is_unspaced
        if self.needs == "letters":
            return not (prose.is_unspaced or prose.is_syllabic)
        if self.needs == "english":
            return prose.is_latin or not prose.has_letters
        return True

    def turns_down(self, value: float, limit: float) -> bool:
        """Return whether a text with this value goes."""
        return value < limit if self.side == "at least" else value > limit


def stop_words(wanted: tuple[str, ...]) -> Callable[[Prose], float]:
    """Return what counts how many of some words a text has."""
    words = frozenset(word.lower() for word in wanted)
    return lambda prose: known_words(prose.words, words)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _mean_word(prose: Prose) -> float:
    return _share(sum(map(len, prose.words)), len(prose.words))


def _share_of_lines(holds: Callable[[str], bool]) -> Callable[[Prose], float]:
    return lambda prose: _share(sum(map(holds, prose.lines)), len(prose.lines))


def _with_letters(prose: Prose) -> float:
    lettered = sum(any(map(str.isalpha, piece)) for piece in prose.pieces)
    return _share(lettered, len(prose.pieces))


def _c4_sentences(prose: Prose) -> float:
    """Return the sentences in lines that C4 would keep of a page."""
    total = 0
    for line in prose.lines:
        small = line.lower()
        if (
            ends_sentence(line)
            and not ends_in_ellipsis(line)
            and (len(line.split()) >= _FEWEST or prose.is_unspaced)
            and "javascript" not in small
            and not any(phrase in small for phrase in _POLICY)
        ):
            total += sentences(line)
    return total


def _commonest(length: int) -> Callable[[Prose], float]:
    return lambda prose: _share(prose.runs.commonest(length), prose.chars)


def _repeated(length: int) -> Callable[[Prose], float]:
    return lambda prose: _share(prose.runs.repeated(length), prose.chars)


def _gopher_quality() -> list[Rule]:
    family = "gopher-quality"

    def bullet(line: str) -> bool:
        return line.startswith(BULLETS)

    def words(prose: Prose) -> float:
        return len(prose.words)

    def hashes(prose: Prose) -> float:
        return _share(prose.text.count("#"), len(prose.pieces))

    def dots(prose: Prose) -> float:
        return _share(ellipses(prose.text), len(prose.pieces))

    return [
        Rule("gopher-fewest-words", family, "words", words, "at least", 50, "spaces"),
        Rule("gopher-most-words", family, "words", words, "at most", 100_000, "spaces"),
        Rule("gopher-shortest-words", family, "characters of a word, in the mean", _mean_word,
             "at least", 3, "letters"),
        Rule("gopher-longest-words", family, "characters of a word, in the mean", _mean_word,
             "at most", 10, "letters"),
        Rule("gopher-hashes", family, "hash signs a word", hashes, "at most", 0.1, "spaces"),
        Rule("gopher-ellipses", family, "ellipses a word", dots, "at most", 0.1, "spaces"),
        Rule("gopher-bullet-lines", family, "of the lines begin with a bullet",
             _share_of_lines(bullet), "at most", 0.9),
        Rule("gopher-ellipsis-lines", family, "of the lines end in an ellipsis",
             _share_of_lines(ends_in_ellipsis), "at most", 0.3),
        Rule("gopher-words-with-letters", family, "of the words have a letter", _with_letters,
             "at least", 0.8, "spaces"),
        Rule("gopher-stop-words", family, "of the stop words", stop_words(ENGLISH),
             "at least", 2, "english"),
    ]  # fmt: skip


def _gopher_repetition() -> list[Rule]:
    family = "gopher-repetition"

    def lines(prose: Prose) -> float:
        return _share(repeated(prose.lines)[0], len(prose.lines))

    def line_chars(prose: Prose) -> float:
        return _share(repeated(prose.lines)[1], prose.chars)

    def paragraphs(prose: Prose) -> float:
        return _share(repeated(prose.paragraphs)[0], len(prose.paragraphs))

    def paragraph_chars(prose: Prose) -> float:
        return _share(repeated(prose.paragraphs)[1], prose.chars)

    return [
        Rule("gopher-repeated-lines", family, "of the lines were there before", lines,
             "at most", 0.3),
        Rule("gopher-repeated-paragraphs", family, "of the paragraphs were there before",
             paragraphs, "at most", 0.3),
        Rule("gopher-repeated-line-chars", family, "of the characters are in repeated lines",
             line_chars, "at most", 0.2),
        Rule("gopher-repeated-paragraph-chars", family,
             "of the characters are in repeated paragraphs", paragraph_chars, "at most", 0.2),
        *(Rule(f"gopher-commonest-n{n}", family,
               f"of the characters are in the commonest run of {_WORDS[n]} words", _commonest(n),
               "at most", limit, "spaces")
          for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))),
        *(Rule(f"gopher-repeated-n{n}", family,
               f"of the characters are in repeated runs of {_WORDS[n]} words", _repeated(n),
               "at most", limit, "spaces")
          for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1))),
    ]  # fmt: skip


def _c4() -> list[Rule]:
    def curly(prose: Prose) -> float:
        return prose.text.count("{") + prose.text.count("}")

    def lorem(prose: Prose) -> float:
        return prose.text.lower().count("lorem ipsum")

    def long_lines(prose: Prose) -> float:
        return sum(len(line) >= _LONG for line in prose.lines)

    return [
        Rule("c4-curly-brackets", "c4", "curly brackets", curly, "at most", 0),
        Rule("c4-lorem-ipsum", "c4", "times lorem ipsum", lorem, "at most", 0),
        Rule("c4-sentences", "c4", "sentences in lines that end as sentences do", _c4_sentences,
             "at least", 5, "ends"),
        Rule("mc4-long-lines", "mc4", f"lines of {_LONG} characters or more", long_lines,
             "at least", 3, "letters"),
    ]  # fmt: skip


def _fineweb() -> list[Rule]:
    family = "fineweb"

    def short(line: str) -> bool:
        return len(line) <= _SHORT

    def line_chars(prose: Prose) -> float:
        return _share(repeated(prose.lines)[1], sum(map(len, prose.lines)))

    def breaks(prose: Prose) -> float:
        return _share(prose.text.strip().count("\n"), len(prose.pieces))

    return [
        Rule("fineweb-line-ends", family, "of the lines end as sentences do",
             _share_of_lines(ends_sentence), "at least", 0.12, "ends"),
        Rule("fineweb-short-lines", family, f"of the lines have {_SHORT} characters or fewer",
             _share_of_lines(short), "at most", 0.67, "letters"),
        Rule("fineweb-repeated-line-chars", family, "of the characters are in repeated lines",
             line_chars, "at most", 0.1),
        Rule("fineweb-line-breaks", family, "line breaks a word", breaks, "at most", 0.3, "spaces"),
    ]  # fmt: skip


RULES: dict[str, Rule] = {
    rule.name: rule for rule in (*_gopher_quality(), *_gopher_repetition(), *_c4(), *_fineweb())
}
"""all rules, in the order in which they are tried: those that cost least first in each family"""
FAMILIES: dict[str, tuple[str, ...]] = {
    family: tuple(rule.name for rule in RULES.values() if rule.family == family)
    for family in dict.fromkeys(rule.family for rule in RULES.values())
}
ALSO = {"gopher": ("gopher-quality", "gopher-repetition")}
"""names of several families at once"""
