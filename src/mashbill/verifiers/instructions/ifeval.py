"""Demands on the form of an output, by the names that IFEval gives them, each with its controls.

J. Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023 (arXiv
2311.07911); names and arguments as in google-research/instruction_following_eval. What is searched
for is taken as it stands and never as a pattern, and an output without any text keeps no demand.
"""

# ruff: noqa: RUF001 - marks of other scripts, as texts have them

from __future__ import annotations

import json
import re

from mashbill.verifiers.instructions.demand import (
    BadDemandError,
    Demand,
    Given,
    count_of,
    is_related,
    text_of,
    texts_of,
)
from mashbill.verifiers.instructions.texts import count_words, sentences_of, times


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()


def _paragraphs(text: str, given: Given) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text.strip())
    inner = parts[1:-1]
    if any(not part.strip() for part in inner):
        return False
    return sum(bool(part.strip()) for part in parts) == count_of(given, "num_paragraphs", 1)


def _first_word(text: str, given: Given) -> bool:
    parts = [part for part in text.split("\n\n") if part.strip()]
    place, wanted = count_of(given, "nth_paragraph", 1), text_of(given, "first_word").casefold()
    if len(parts) != count_of(given, "num_paragraphs", 1) or not 1 <= place <= len(parts):
        return False
    first = parts[place - 1].split()[0].strip("\"'“”‘’.,?!;:")
    return first.casefold() == wanted


def _bullets(text: str, given: Given) -> bool:
    found = re.findall(r"^[ \t]*(?:\*(?!\*)|-)[ \t]*\S.*$", text, re.MULTILINE)
    return len(found) == count_of(given, "num_bullets")


def _highlights(text: str, given: Given) -> bool:
    found = re.findall(r"(\*{1,2})(?!\s)([^\n*]+?)(?<!\s)\1", text)
    return len(found) >= count_of(given, "num_highlights", 1)


def _sections(text: str, given: Given) -> bool:
    marker = re.escape(text_of(given, "section_spliter"))
    found = re.findall(rf"(?<!\w){marker}\s?\d+", text)
    return len(found) >= count_of(given, "num_sections", 1)


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
    return is_related(len(capital), given, "capital_frequency", "capital_relation")


def _lasts(text: str, phrase: str) -> bool:
    return text.strip().strip('"”').rstrip().casefold().endswith(phrase.casefold())


def _cased(text: str, *, upper: bool) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    wrong = str.islower if upper else str.isupper
    return bool(letters) and not any(wrong(letter) for letter in letters)


def _letters(text: str, given: Given) -> bool:
    letter = text_of(given, "letter").casefold()
    if len(letter) != 1:
        msg = f"letter is {letter!r:.20}, and has to be one"
        raise BadDemandError(msg)
    count = text.casefold().count(letter)
    return is_related(count, given, "let_frequency", "let_relation")


_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_LEAST = {"relation": "at least"}

IFEVAL: dict[str, Demand] = {
    "keywords:existence": Demand(
        lambda text, given: all(times(text, word) for word in texts_of(given, "keywords")),
        {"keywords": ["river", "stone"]}, "A stone in the River.", "A stony riverbed.",
    ),
    "keywords:frequency": Demand(
        lambda text, given: is_related(times(text, text_of(given, "keyword")), given, "frequency"),
        {"keyword": "river", "frequency": 2, **_LEAST}, "River by river.", "One river.",
    ),
    "keywords:forbidden_words": Demand(
        lambda text, given: not any(times(text, w) for w in texts_of(given, "forbidden_words")),
        {"forbidden_words": ["river"]}, "Rivers run.", "The river runs.",
    ),
    "keywords:letter_frequency": Demand(
        _letters, {"letter": "z", "let_frequency": 2, "let_relation": "at least"},
        "Zigzag.", "A maze.",
    ),
    "length_constraints:number_sentences": Demand(
        lambda text, given: is_related(len(sentences_of(text)), given, "num_sentences"),
        {"num_sentences": 2, **_LEAST}, "It rains. It pours!", "It rains and pours.",
    ),
    "length_constraints:number_paragraphs": Demand(
        _paragraphs, {"num_paragraphs": 2}, "One.\n***\nTwo.", "One.\n\nTwo.",
    ),
    "length_constraints:number_words": Demand(
        lambda text, given: is_related(count_words(text), given, "num_words"),
        {"num_words": 3, **_LEAST}, "One two three.", "One two.",
    ),
    "length_constraints:nth_paragraph_first_word": Demand(
        _first_word, {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"},
        "First.\n\nThen more.", "Then first.\n\nMore.",
    ),
    "detectable_content:number_placeholders": Demand(
        lambda text, given: len(re.findall(r"\[[^\[\]\n]+\]", text))
        >= count_of(given, "num_placeholders", 1),
        {"num_placeholders": 2}, "To [name], at [address].", "To [name].",
    ),
    "detectable_content:postscript": Demand(
        lambda text, given: any(
            _squeezed(line).startswith(_squeezed(text_of(given, "postscript_marker")))
            for line in text.splitlines()
        ),
        {"postscript_marker": "P.S."}, "Bye.\nP.S. Write soon.", "Bye. Write soon.",
    ),
    "detectable_format:number_bullet_lists": Demand(
        _bullets, {"num_bullets": 2}, "* one\n* two", "* one\n* two\n" * 3,
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
            text_of(given, "prompt_to_repeat").casefold()),
        {"prompt_to_repeat": "Name a river."}, "Name a river. The Rhine.", "The Rhine.",
    ),
    "startend:end_checker": Demand(
        lambda text, given: _lasts(text, text_of(given, "end_phrase")),
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
