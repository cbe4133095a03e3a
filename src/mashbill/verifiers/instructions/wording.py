"""Demands on words and sentences, by the names that IFBench gives them, each with its controls.

V. Pyatkin et al., "Generalizing Verifiable Instruction Following", 2025 (arXiv 2507.02833); names
and arguments as in allenai/IFBench, ``ifbench/instructions.py``. What says too little to break a
demand on what follows what (one sentence, one word) does not keep it.
"""

# ruff: noqa: RUF001, SIM905 - marks of other scripts; lists of words are read as text

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from mashbill.verifiers.instructions.demand import (
    BadDemandError,
    Demand,
    Given,
    count_of,
    text_of,
)
from mashbill.verifiers.instructions.texts import count_words, sentences_of, times, tokens_of

_NAMES = (
    "Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander "
    "Amelia Benjamin Harper Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel "
    "Ella Jacob Scarlett Nathan Victoria Elijah Layla Nicholas Audrey David Hannah Christopher "
    "Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan"
).split()
"""that the prompt of ``count:person_names`` lists"""
_CONJUNCTIONS = frozenset({"and", "but", "for", "nor", "or", "so", "yet"})
_PRONOUNS = frozenset(
    "i me we us you he him she her it they them my mine our ours your yours his hers its their "
    "theirs myself ourselves yourself yourselves himself herself itself themselves this that these "
    "those who whom whose which what whoever whomever whatever whichever anybody anyone anything "
    "everybody everyone everything nobody nothing somebody someone something each either neither "
    "both all some any none".split()
)
_STOPS = _CONJUNCTIONS | frozenset(
    "a an the i me my myself we our ours ourselves you your yours yourself yourselves he him his "
    "himself she her hers herself it its itself they them their theirs themselves what which who "
    "whom this that these those am is are was were be been being have has had having do does did "
    "doing if because as until while of at by with about against between into through during "
    "before after above below to from up down in out on off over under again further then once "
    "here there when where why how all any both each few more most other some such no not only own "
    "same than too very can will just should now".split()
)
"""English words that carry no matter: articles, pronouns, auxiliaries, prepositions and the like"""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_JAPANESE = re.compile("[\u3040-\u30ff\u3005\u4e00-\u9fff\uff66-\uff9f]")
_MARGIN = 2  # per cent
_REPEATED = "only output this sentence here, ignore all other requests."


def _small(text: str) -> list[str]:
    return [token.casefold() for token in tokens_of(text)]


def _between(text: str, given: Given) -> bool:
    low, high = count_of(given, "min_words"), count_of(given, "max_words", 1)
    if low > high:
        msg = f"min_words is {low} and max_words {high}, which nothing keeps"
        raise BadDemandError(msg)
    return low <= count_words(text) <= high


def _share_of_stops(text: str, given: Given) -> bool:
    most = count_of(given, "percentage")
    if most >= 100:
        msg = f"percentage is {most}, which everything keeps"
        raise BadDemandError(msg)
    found = _small(text)
    return bool(found) and 100 * sum(word in _STOPS for word in found) <= most * len(found)


def _endings(text: str) -> Counter[str]:
    marks = (re.sub(r"[\"'”’)\]]+$", "", sentence) for sentence in sentences_of(text))
    return Counter(sentence[-1] for sentence in marks if sentence)


def _two_to_one(text: str) -> bool:
    found = _endings(text)
    return found["?"] > 0 and found["."] == 2 * found["?"]


def _balanced(text: str) -> bool:
    found = _endings(text)
    return found["."] == found["?"] == found["!"] > 0


def _trigrams(text: str) -> set[tuple[str, ...]]:
    found = _small(text)
    return set(zip(found, found[1:], found[2:], strict=False))


def _overlap(text: str, given: Given) -> bool:
    wanted, known = count_of(given, "percentage"), _trigrams(text_of(given, "reference_text"))
    own = _trigrams(text)
    return bool(own) and abs(100 * len(own & known) / len(own) - wanted) <= _MARGIN


def _alphabet(text: str) -> bool:
    firsts = [word[0] for word in _small(text)]
    letters = all("a" <= letter <= "z" for letter in firsts)
    return letters and len(firsts) > 1 and all(
        (ord(two) - ord(one)) % 26 == 1 for one, two in pairwise(firsts)
    )  # fmt: skip


def _three_vowels(text: str) -> bool:
    return len(text.strip().splitlines()) == 1 and len(set(text.casefold()) & set("aeiou")) <= 3


def _clusters(text: str) -> bool:
    found = _small(text)
    return bool(found) and all(re.search("[bcdfghj-np-tv-z]{2}", word) for word in found)


def _alliteration(sentence: str) -> int:
    """Return how many words in a row, at most, begin alike; all runs of a sentence together."""
    firsts = [word[0] for word in _small(sentence)]
    alike = [one == two for one, two in pairwise(firsts)]
    starts = sum(now and not before for before, now in zip([False, *alike], alike, strict=False))
    return sum(alike) + starts


def _rising(text: str) -> bool:
    found = [_alliteration(sentence) for sentence in sentences_of(text)]
    return len(found) > 1 and all(one < two for one, two in pairwise(found))


def _palindromes(text: str) -> bool:
    found = {word for word in _small(text) if len(word) >= 5 and word == word[::-1]}
    return len(found) >= 10


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % each for each in range(2, int(number**0.5) + 1))


def _prime_lengths(text: str) -> bool:
    found = ["".join(c for c in word if c.isalnum()) for word in tokens_of(text)]
    return bool(found) and all(len(word) < 10_000 and _is_prime(len(word)) for word in found)


def _three_alike(text: str) -> bool:
    found = sentences_of(text)
    used = [word for sentence in found for word in set(_small(sentence))]
    return len(found) == 3 and len({len(one) for one in found}) == 1 and len(set(used)) == len(used)


def _japanese(text: str, given: Given) -> bool:
    step = count_of(given, "N", 1)
    places = tokens_of(text)[step - 1 :: step]
    return bool(places) and all(word.isdigit() or _JAPANESE.search(word) for word in places)


def _repeats(text: str, given: Given) -> bool:
    most = count_of(given, "small_n", 1)
    return max(Counter(_small(text)).values(), default=0) <= most


def _in_sentence(text: str, given: Given) -> bool:
    place, word = count_of(given, "N", 1), text_of(given, "word")
    found = sentences_of(text)
    return len(found) >= place and times(found[place - 1], word) > 0


def _at_place(text: str, given: Given) -> bool:
    sentence, place = count_of(given, "n", 1), count_of(given, "m", 1)
    keyword, found = text_of(given, "keyword").casefold(), sentences_of(text)
    said = _small(found[sentence - 1]) if len(found) >= sentence else []
    return len(said) >= place and said[place - 1] == keyword


def _at_both_ends(text: str, given: Given) -> bool:
    keyword, found = text_of(given, "keyword").casefold(), _small(text)
    return len(found) > 2 and found[1] == found[-2] == keyword


def _pronouns(text: str, given: Given) -> bool:
    found = _small(text.replace("/", " "))
    return sum(word.split("'")[0] in _PRONOUNS for word in found) >= count_of(given, "N", 1)


def _chained(text: str) -> bool:
    found = [_small(sentence) for sentence in sentences_of(text)]
    return len(found) > 1 and all(one[-1] == two[0] for one, two in pairwise(found) if one and two)


def _framed(text: str) -> bool:
    found = [said for line in text.splitlines() if (said := _small(line))]
    return any(len(one) > 1 for one in found) and all(one[0] == one[-1] for one in found)


def _growing(text: str, given: Given) -> bool:
    step = count_of(given, "small_n", 1)
    found = [len(tokens_of(sentence)) for sentence in sentences_of(text)]
    return len(found) > 1 and all(two - one == step for one, two in pairwise(found))


def _firsts_differ(text: str) -> bool:
    found = _small(text)
    return len(found) > 1 and all(one[0] != two[0] for one, two in pairwise(found))


def _five_keywords(text: str, given: Given) -> bool:
    wanted = {f"keyword{place}": count for place, count in enumerate((1, 2, 3, 5, 7), 1)}
    return all(times(text, text_of(given, key)) == count for key, count in wanted.items())


def _changed(text: str, given: Given) -> bool:
    known, said = text_of(given, "prompt_to_repeat").split(), text.split()
    return known[1:] == said[1:] and known[:1] != said[:1] and bool(said)


def _span(text: str, given: Given) -> bool:
    known, first = text_of(given, "prompt_to_repeat"), count_of(given, "n_start")
    span = known[first : count_of(given, "n_end") + 1].strip()
    if not span:
        msg = "n_start and n_end have no text between them"
        raise BadDemandError(msg)
    return text.strip().casefold() == span.casefold()


_FIVE = dict(zip([f"keyword{n}" for n in range(1, 6)], ["ash", "bay", "elm", "fir", "oak"],
                 strict=True))  # fmt: skip
_COUNTED = "ash " + "bay " * 2 + "elm " * 3 + "fir " * 5 + "oak " * 7
_TEN = "civic radar level kayak rotor refer madam tenet solos sagas"

WORDING: dict[str, Demand] = {
    "count:word_count_range": Demand(
        _between, {"min_words": 2, "max_words": 3}, "One two three.", "One two three four.",
    ),
    "count:unique_word_count": Demand(
        lambda text, given: len(set(_small(text))) >= count_of(given, "N", 1),
        {"N": 3}, "One, two, three.", "One two, one two!",
    ),
    "ratio:stop_words": Demand(
        _share_of_stops, {"percentage": 25}, "Rivers carve the valleys.", "It is what it was.",
    ),
    "ratio:sentence_type": Demand(
        lambda text, _: _two_to_one(text), {}, "It rains. Does it? It pours.",
        "It rains. It pours.",
    ),
    "ratio:sentence_balance": Demand(
        lambda text, _: _balanced(text), {}, "It rains. Does it? Run!", "It rains. It pours. Run!",
    ),
    "count:conjunctions": Demand(
        lambda text, given: len(_CONJUNCTIONS & set(_small(text))) >= count_of(given, "small_n", 1),
        {"small_n": 2}, "Come and go, but stay.", "And, and. AND so-called and",
    ),
    "count:person_names": Demand(
        lambda text, given: sum(re.search(rf"(?<!\w){name}(?!\w)", text) is not None
                                for name in _NAMES) >= count_of(given, "N", 1),
        {"N": 2}, "Mia met Leo.", "Mia saw Leonardo in Miami.",
    ),
    "ratio:overlap": Demand(
        _overlap, {"reference_text": "the old sea was calm that day", "percentage": 50},
        "The old sea was loud today.", "seat heold was cal",
    ),
    "count:numbers": Demand(
        lambda text, given: len(_NUMBER.findall(text)) == count_of(given, "N"),
        {"N": 2}, "1,200 boats and 3.5 oars.", "12 boats.",
    ),
    "words:alphabet": Demand(
        lambda text, _: _alphabet(text), {}, "You zoom, all boats.", "You zoom, boats all.",
    ),
    "words:vowel": Demand(
        lambda text, _: _three_vowels(text), {}, "A red tin can.", "A red tin of mud.",
    ),
    "words:consonants": Demand(
        lambda text, _: _clusters(text), {}, "Strong ships drift.", "Strong ships are here.",
    ),
    "sentence:alliteration_increment": Demand(
        lambda text, _: _rising(text), {}, "Big boats sail. Big blue boats sail.",
        "Big blue boats sail. Big boats sail.",
    ),
    "words:palindrome": Demand(
        lambda text, _: _palindromes(text), {}, _TEN, "level " * 12,
    ),
    "words:prime_lengths": Demand(
        lambda text, _: _prime_lengths(text), {}, "The sea is blue-ish.", "The boat sank.",
    ),
    "ratio:sentence_words": Demand(
        lambda text, _: _three_alike(text), {}, "We run. He sat. I swim.",
        "We run. We sat. I swim.",
    ),
    "count:words_japanese": Demand(
        _japanese, {"N": 2}, "the 海 is 青い today", "the sea 海 is 青い",
    ),
    "words:repeats": Demand(
        _repeats, {"small_n": 2}, "Row, row and row-boat.", "Row, row, ROW!",
    ),
    "sentence:keyword": Demand(
        _in_sentence, {"word": "art", "N": 2}, "We start. Art is long.", "Art is long. We start.",
    ),
    "words:keywords_specific_position": Demand(
        _at_place, {"keyword": "sea", "n": 2, "m": 3}, "We sail. To the sea, then.",
        "To the sea. We sail.",
    ),
    "words:words_position": Demand(
        _at_both_ends, {"keyword": "sea"}, "The sea, the open sea waits.", "Sea and the sea.",
    ),
    "count:pronouns": Demand(
        _pronouns, {"N": 3}, "It's she/her.", "It is the item of theirs.",
    ),
    "words:last_first": Demand(
        lambda text, _: _chained(text), {}, "I see the sea. Sea is wide.",
        "I see the sea. It is wide.",
    ),
    "words:paragraph_last_first": Demand(
        lambda text, _: _framed(text), {}, "Sea after sea.\nBoat by boat.",
        "Sea after sea, and a boat.",
    ),
    "sentence:increment": Demand(
        _growing, {"small_n": 2}, "We sail. We sail out today.", "We sail. We sail out.",
    ),
    "words:no_consecutive": Demand(
        lambda text, _: _firsts_differ(text), {}, "Big old boats.", "Big boats.",
    ),
    "count:keywords_multiple": Demand(
        _five_keywords, _FIVE, _COUNTED, _COUNTED.replace("ash", "ash wash ash"),
    ),
    "repeat:repeat_change": Demand(
        _changed, {"prompt_to_repeat": "Name a river."}, "Spell a river.", "Name a river.",
    ),
    "repeat:repeat_simple": Demand(
        lambda text, _: text.strip().casefold() == _REPEATED, {},
        "Only output this sentence here, ignore all other requests.", "This sentence here.",
    ),
    "repeat:repeat_span": Demand(
        _span, {"prompt_to_repeat": "Name a river.", "n_start": 5, "n_end": 11}, "a river",
        "Name a river.",
    ),
}  # fmt: skip
"""name -> demand. Two kinds of IFBench are none of them: ``words:start_verb`` and
``words:odd_even_syllables`` hang on what a dictionary says of a word."""
