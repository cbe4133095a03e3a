"""Demands on the form of an output, by the names that IFEval gives them, each with its controls.

J. Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023 (arXiv
2311.07911); names and arguments as in google-research/instruction_following_eval. What is searched
for is taken as it stands and never as a pattern, and an output without any text keeps no demand.
"""

# ruff: noqa: RUF001 - marks of other scripts, as texts have them

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mashbill.core.words import words

Given = Mapping[str, Any]
Check = Callable[[str, Given], bool]


class BadDemandError(ValueError):
    """A demand whose arguments are lacking or make no sense."""


@dataclass(frozen=True)
class Demand:
    """One kind of demand."""

    check: Check
    """told the output and the demand's arguments"""
    given: Given
    """arguments of its controls"""
    good: str
    """an output that keeps it"""
    bad: str
    """one that does not"""
    keys: tuple[str, ...] = field(init=False)
    """arguments that it has to be given"""

    def __post_init__(self) -> None:
        """Take the keys of its controls."""
        object.__setattr__(self, "keys", tuple(self.given))


def _count(given: Given, key: str) -> int:
    value = given.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as a table with gaps holds whole numbers
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        msg = f"{key} is {value!r:.40}, and has to be a number of 0 or more"
        raise BadDemandError(msg)
    return value


def _text(given: Given, key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value.strip():
        msg = f"{key} is {value!r:.40}, and has to be a text"
        raise BadDemandError(msg)
    return value.strip()


def _texts(given: Given, key: str) -> list[str]:
    value = given.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        msg = f"{key} is {value!r:.40}, and has to be a list of texts"
        raise BadDemandError(msg)
    return [one.strip() for one in value if one.strip()]


def _related(count: int, given: Given, key: str, relation: str = "relation") -> bool:
    how = given.get(relation)
    if how not in ("less than", "at least"):
        msg = f"{relation} is {how!r:.40}, and has to be 'less than' or 'at least'"
        raise BadDemandError(msg)
    wanted = _count(given, key)
    return count < wanted if how == "less than" else count >= wanted


def _times(text: str, word: str) -> int:
    """Return how often a word stands in a text, by itself, whatever its case."""
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()


def _sentences(text: str) -> int:
    ends = re.findall(r"[^.!?…。！？]+(?:[.!?…]+(?=\s|$)|[。！？]+|$)", text.strip())
    return sum(bool(part.strip()) for part in ends)


def _paragraphs(text: str, given: Given) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text.strip())
    inner = parts[1:-1]
    if any(not part.strip() for part in inner):
        return False
    return sum(bool(part.strip()) for part in parts) == _count(given, "num_paragraphs")


def _first_word(text: str, given: Given) -> bool:
    parts = [part for part in text.split("\n\n") if part.strip()]
    place, wanted = _count(given, "nth_paragraph"), _text(given, "first_word").casefold()
    if len(parts) != _count(given, "num_paragraphs") or not 1 <= place <= len(parts):
        return False
    first = parts[place - 1].split()[0].strip("\"'“”‘’.,?!;:")
    return first.casefold() == wanted


def _bullets(text: str, given: Given) -> bool:
    found = re.findall(r"^[ \t]*(?:\*(?!\*)|-)[ \t]*\S.*$", text, re.MULTILINE)
    return len(found) == _count(given, "num_bullets")


def _highlights(text: str, given: Given) -> bool:
    found = re.findall(r"(\*{1,2})(?!\s)([^\n*]+?)(?<!\s)\1", text)
    return len(found) >= _count(given, "num_highlights")


def _sections(text: str, given: Given) -> bool:
    marker = re.escape(_text(given, "section_spliter"))
    found = re.findall(rf"(?<!\w){marker}\s?\d+", text)
    return len(found) >= _count(given, "num_sections")


def _json(text: str) -> bool:
    plain = re.sub(r"\A```(?:json)?\s*|\s*```\Z", "", text.strip(), flags=re.IGNORECASE)
    try:
        json.loads(plain)
    except (ValueError, RecursionError):
        return False
    return True


def _two(text: str) -> bool:
    parts = text.split("******")
    told = [part.strip() for part in parts if part.strip()]
    return len(told) == 2 and told[0] != told[1] and all(part.strip() for part in parts[1:-1])


def _capitals(text: str, given: Given) -> bool:
    capital = [word for word in re.findall(r"[^\W\d_]+", text) if word.isupper()]
    return _related(len(capital), given, "capital_frequency", "capital_relation")


def _lasts(text: str, phrase: str) -> bool:
    return text.strip().strip('"”').rstrip().casefold().endswith(phrase.casefold())


def _cased(text: str, *, upper: bool) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    wrong = str.islower if upper else str.isupper
    return bool(letters) and not any(wrong(letter) for letter in letters)


def _letters(text: str, given: Given) -> bool:
    letter = _text(given, "letter").casefold()
    if len(letter) != 1:
        msg = f"letter is {letter!r:.20}, and has to be one"
        raise BadDemandError(msg)
    count = text.casefold().count(letter)
    return _related(count, given, "let_frequency", "let_relation")


_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_LEAST = {"relation": "at least"}

DEMANDS: dict[str, Demand] = {
    "keywords:existence": Demand(
        lambda text, given: all(_times(text, word) for word in _texts(given, "keywords")),
        {"keywords": ["river", "stone"]}, "A stone in the River.", "A stony riverbed.",
    ),
    "keywords:frequency": Demand(
        lambda text, given: _related(_times(text, _text(given, "keyword")), given, "frequency"),
        {"keyword": "river", "frequency": 2, **_LEAST}, "River by river.", "One river.",
    ),
    "keywords:forbidden_words": Demand(
        lambda text, given: not any(_times(text, w) for w in _texts(given, "forbidden_words")),
        {"forbidden_words": ["river"]}, "Rivers run.", "The river runs.",
    ),
    "keywords:letter_frequency": Demand(
        _letters, {"letter": "z", "let_frequency": 2, "let_relation": "at least"},
        "Zigzag.", "A maze.",
    ),
    "length_constraints:number_sentences": Demand(
        lambda text, given: _related(_sentences(text), given, "num_sentences"),
        {"num_sentences": 2, **_LEAST}, "It rains. It pours!", "It rains and pours.",
    ),
    "length_constraints:number_paragraphs": Demand(
        _paragraphs, {"num_paragraphs": 2}, "One.\n***\nTwo.", "One.\n\nTwo.",
    ),
    "length_constraints:number_words": Demand(
        lambda text, given: _related(len(words(text)), given, "num_words"),
        {"num_words": 3, **_LEAST}, "One two three.", "One two.",
    ),
    "length_constraints:nth_paragraph_first_word": Demand(
        _first_word, {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        "First.\n\nThen more.", "Then first.\n\nMore.",
    ),
    "detectable_content:number_placeholders": Demand(
        lambda text, given: len(re.findall(r"\[[^\[\]\n]+\]", text))
        >= _count(given, "num_placeholders"),
        {"num_placeholders": 2}, "To [name], at [address].", "To [name].",
    ),
    "detectable_content:postscript": Demand(
        lambda text, given: any(
            _squeezed(line).startswith(_squeezed(_text(given, "postscript_marker")))
            for line in text.splitlines()
        ),
        {"postscript_marker": "P.S."}, "Bye.\nP.S. Write soon.", "Bye. Write soon.",
    ),
    "detectable_format:number_bullet_lists": Demand(
        _bullets, {"num_bullets": 2}, "* one\n* two", "* one\n* two\n* three",
    ),
    "detectable_format:constrained_response": Demand(
        lambda text, _: any(option in text for option in _OPTIONS), {},
        "My answer is no.", "No.",
    ),
    "detectable_format:number_highlighted_sections": Demand(
        _highlights, {"num_highlights": 2}, "A *first* and a **second** one.", "A *first* one.",
    ),
    "detectable_format:multiple_sections": Demand(
        _sections, {"section_spliter": "Section", "num_sections": 2},
        "Section 1\nA.\nSection 2\nB.", "Section 1\nA.\nB.",
    ),
    "detectable_format:json_format": Demand(
        lambda text, _: _json(text), {}, '```json\n{"a": 1}\n```', "a: 1",
    ),
    "detectable_format:title": Demand(
        lambda text, _: re.search(r"<<[^\n<>]*[^\s<>][^\n<>]*>>", text) is not None, {},
        "<<Of Rivers>>\nThey run.", "Of Rivers\n<< >>",
    ),
    "combination:two_responses": Demand(
        lambda text, _: _two(text), {}, "One way.\n******\nAnother.", "One way.\n******\nOne way.",
    ),
    "combination:repeat_prompt": Demand(
        lambda text, given: text.strip().casefold().startswith(
            _text(given, "prompt_to_repeat").casefold()),
        {"prompt_to_repeat": "Name a river."}, "Name a river. The Rhine.", "The Rhine.",
    ),
    "startend:end_checker": Demand(
        lambda text, given: _lasts(text, _text(given, "end_phrase")),
        {"end_phrase": "That is all."}, "A river. That is all.", "That is all. A river.",
    ),
    "startend:quotation": Demand(
        lambda text, _: len(text.strip()) > 2 and text.strip()[0] == text.strip()[-1] == '"', {},
        '"All of it."', 'All of "it".',
    ),
    "change_case:capital_word_frequency": Demand(
        _capitals, {"capital_frequency": 2, "capital_relation": "at least"},
        "STOP and LOOK.", "STOP and look.",
    ),
    "change_case:english_capital": Demand(
        lambda text, _: _cased(text, upper=True), {}, "ALL OF IT, 3 TIMES.", "ALL OF it.",
    ),
    "change_case:english_lowercase": Demand(
        lambda text, _: _cased(text, upper=False), {}, "all of it, 3 times.", "All of it.",
    ),
    "punctuation:no_comma": Demand(
        lambda text, _: not any(comma in text for comma in ",،，、"), {},
        "One and two.", "One, two.",
    ),
}  # fmt: skip
"""name -> demand; ``language:response_language`` is none of them, since no rule tells a language"""
