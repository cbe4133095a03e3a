"""Whether the words that a teacher is to choose from go on where its prompt ends.

A teacher in this process weighs the first token of each choice, right behind the prompt. A label
without its leading space is another token, which hardly ever stands there: nothing fails, and the
labels are worse (0.482 instead of 0.629 in recipes/grey_area.toml). Where a tokenizer is at hand it
is asked; otherwise the text itself, and the examples that the prompt holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.letters import is_word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Encode = Callable[[str], list[int]]

_OPENERS = frozenset("([{<“‘«„‚「『（【《‹`-_/\\=#@~+*")  # noqa: RUF001
_QUOTES = "\"'"
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True)
class Finding:
    """Something about choices that costs answers, and what to write instead."""

    says: str
    is_error: bool = False
    """whether the teacher cannot tell two choices from each other"""

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True)
class Weighing:
    """How a teacher weighs choices."""

    encode: Encode | None = None
    """its tokenizer, where it is at hand: token ids of a text that goes on"""
    decode: Callable[[list[int]], str] | None = None
    strips: bool = False
    """whether spaces around a choice make no difference to it (services)"""
    chats: bool = False
    """whether the prompt is a turn that it answers, so that a choice does not go on from it"""
    by_first_token: bool = True
    """whether the first token alone decides"""


def check(before: str, choices: Mapping[str, str], how: Weighing) -> list[Finding]:
    """Return what is wrong with choices behind a prompt.

    Args:
        before: the text up to where a choice goes on, its examples included.
        choices: what a recipe calls each choice (``labels.good``, ``right``) -> its text.
        how: how the teacher weighs them.
    """
    blank = [key for key, choice in choices.items() if not choice.strip()]
    if blank:
        return [Finding(f"{key} is {choices[key]!r}: it has no word; write one", is_error=True)
                for key in blank]  # fmt: skip
    same = _the_same(choices, how)
    if same:
        return same
    found = _joined(before, choices, how)
    return found + _prefixes(choices, how) + _tokens(choices, how)


def _the_same(choices: Mapping[str, str], how: Weighing) -> list[Finding]:
    seen: dict[Any, str] = {}
    for key, choice in choices.items():
        same: Any = choice.strip() if how.strips else choice
        what = "the same word"
        if how.encode is not None and how.by_first_token:
            ids = how.encode(choice)
            same, what = (ids[0] if ids else None), "words with one first token"
            if choice in (choices[other] for other in seen.values()):
                what = "the same word"
        if same in seen:
            first = seen[same]
            return [Finding(
                f"{first} = {choices[first]!r} and {key} = {choice!r} are {what} to the teacher, "
                f"which cannot tell them from each other; {_other_words(choices, how)}",
                is_error=True,
            )]  # fmt: skip
        seen[same] = key
    return []


def _other_words(choices: Mapping[str, str], how: Weighing) -> str:
    """Return what to write where first tokens are the same: a space may be a token of its own."""
    bare = {key: choice.strip() for key, choice in choices.items()}
    if bare == dict(choices) or not _collide(choices, how) or _collide(bare, how):
        return "choose words that begin differently"
    written = ", ".join(f"{key} = {_toml(word)}" for key, word in bare.items())
    return f"end the prompt with a space, and write {written}"


def _collide(choices: Mapping[str, str], how: Weighing) -> bool:
    """Return whether two choices have one first token, as digits behind a space often have."""
    if how.encode is None or not how.by_first_token:
        return False
    first = [how.encode(choice)[:1] for choice in choices.values()]
    return len({tuple(ids) for ids in first}) < len(first)


def _joined(before: str, choices: Mapping[str, str], how: Weighing) -> list[Finding]:
    """Return where prompt and choice do not read as one text, all choices in one finding."""
    cures: dict[str, str] = {}
    whys: dict[str, str] = {}
    for key, choice in choices.items():
        cured = _cure(before, choice, how)
        if cured is not None:
            whys[key], cures[key] = cured
    if not cures:
        return []
    end = before[-24:].rsplit("\n", 1)[-1] or before[-24:]
    if _collide({**choices, **cures}, how):
        if before != before.rstrip(" \t"):
            return []  # the space is the prompt's, and the words are told from each other
        return [Finding(
            f"behind the prompt's end {end!r} stands no space, and words that begin with one would "
            "have one first token, which alone is weighed; end the prompt with a space instead"
        )]  # fmt: skip
    written = ", ".join(f"{key} = {_toml(cures[key])}" for key in cures)
    now = ", ".join(f"{key} = {_toml(choices[key])}" for key in cures)
    why = "; ".join(dict.fromkeys(whys.values()))
    trailing = before != before.rstrip(" \t")
    cut = " and end the prompt's file without the space after its last word" if trailing else ""
    return [Finding(
        f"behind the prompt's end {end!r}, {now} do not go on as text does ({why}), and the "
        f"teacher would weigh tokens that hardly ever stand there; write {written}{cut}"
    )]  # fmt: skip


def _cure(before: str, choice: str, how: Weighing) -> tuple[str, str] | None:
    """Return what is wrong with a choice and how it is written instead; None if nothing is."""
    word, bare = choice.strip(), before.rstrip(" \t")
    gap, lead = before[len(bare) :], choice[: len(choice) - len(choice.lstrip())]
    shown = _shown(bare, word)
    if how.chats:
        if shown is None or shown[1] == word:
            return None
        return f"its examples write {shown[1]!r}", shown[1]
    if shown is not None:
        space, as_written = shown
        wanted = f"{space}{as_written}"
        if gap + choice.rstrip() == wanted and not gap:
            return _merged(before, choice, wanted, how)
        if gap:
            why = "the prompt ends with a space, which belongs to the word's first token"
        elif as_written != word:
            why = f"its examples write {as_written!r}"
        else:
            why = f"its examples have {space!r} there"
        return why, wanted
    if gap and lead:
        return "two spaces, one of the prompt and one of the word", f" {word}"
    if gap:
        return "the prompt ends with a space, which belongs to the word's first token", f" {word}"
    apart = _apart(bare, word)
    if len(lead) > 1 and not lead.startswith("\n"):
        return "more than one space", f" {word}" if apart else word
    if apart and not lead:
        return "no space between them", f" {word}"
    if not apart and lead == " " and bare[-1:] in _OPENERS - set("-/=*+~_#"):
        return "a space behind an opening mark", word
    return _merged(before, choice, f" {word}" if apart else word, how)


def _merged(before: str, choice: str, wanted: str, how: Weighing) -> tuple[str, str] | None:
    """Ask the tokenizer whether it would cut the whole text between prompt and choice."""
    if how.encode is None:
        return None
    line = before[-200:]
    if how.encode(line + choice)[: len(how.encode(line))] == how.encode(line):
        return None
    options = [wanted, f" {choice.strip()}", choice.strip(), f"\n{choice.strip()}"]
    fits = (
        text for text in options
        if text != choice and how.encode(line + text) == how.encode(line) + how.encode(text)
    )  # fmt: skip
    return "its first token merges with the prompt's last", next(fits, wanted)


def _shown(bare: str, word: str) -> tuple[str, str] | None:
    """Return the space and the word as the prompt's own examples have them behind its last cue."""
    cue = bare.rsplit(None, 1)[-1] if bare.split() else ""
    if len(cue) < 2 or is_word(cue):
        return None
    pattern = rf"{re.escape(cue)}([ \t\n]*)({re.escape(word)})"
    found = [
        (match[1], match[2])
        for match in re.finditer(pattern, bare, re.IGNORECASE)
        if not is_word(bare[match.end() : match.end() + 1])
    ]
    if not found:
        return None
    exact = [item for item in found if item[1] == word]
    space, as_written = Counter(exact or found).most_common(1)[0][0]
    return str(space), str(as_written)


def _apart(bare: str, word: str) -> bool:
    """Return whether a text and the next word want a space between them."""
    if not bare or bare[-1].isspace():
        return False
    last, first = bare[-1], word[0]
    if any(_script(character) in _UNSPACED for character in (last, first)):
        return False
    if unicodedata.east_asian_width(last) in "WF":
        return False
    if last in _OPENERS or not (first.isalnum() or first in _QUOTES + "([{<“‘«"):  # noqa: RUF001
        return False
    # A quotation that is open: its word follows at once.
    line = bare.rsplit("\n", 1)[-1]
    return not (last in _QUOTES and len(re.findall(rf"{last}(?!\w)|(?<!\w){last}", line)) % 2)


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ")[0]


def _prefixes(choices: Mapping[str, str], how: Weighing) -> list[Finding]:
    """Return choices that begin alike, where only the beginning is weighed."""
    if not how.by_first_token or how.encode is not None:
        return []  # with a tokenizer, first tokens that are the same are an error already
    names = list(choices)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            a, b = choices[one].strip(), choices[other].strip()
            if a.startswith(b) or b.startswith(a) or a.split()[0] == b.split()[0]:
                return [Finding(
                    f"{one} = {choices[one]!r} and {other} = {choices[other]!r} begin alike, and "
                    "the first token alone is weighed: what may mean either counts for none; "
                    "choose words that differ from their first letters on"
                )]  # fmt: skip
    return []


def _tokens(choices: Mapping[str, str], how: Weighing) -> list[Finding]:
    """Return that the first token of one choice is all of it, and of another a piece."""
    if how.encode is None or not how.by_first_token:
        return []
    ids = {key: how.encode(choice) for key, choice in choices.items()}
    counts = {key: len(found) for key, found in ids.items()}
    if len(set(counts.values())) == 1:
        return []

    def piece(key: str) -> str:
        shown = repr(how.decode([ids[key][0]])) if how.decode is not None else "its first"
        return f"{key} = {choices[key]!r} is {counts[key]} tokens, of which {shown} is weighed"

    told = "; ".join(piece(key) for key in choices if counts[key] > 1)
    return [Finding(
        f"the first token alone is weighed, and not all choices are one token: {told}. Such a "
        "piece begins other words too, so the teacher leans to it; choose words of one token"
    )]  # fmt: skip


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'
