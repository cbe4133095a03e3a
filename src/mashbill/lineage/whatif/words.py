"""Scenarios in words, and the sentences about them that can be read out.

An expression of the common forms (``fact == "value"``, joined by ``&&`` or by ``||``) is put into
words; any other one is quoted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

COUNTRIES = {
    "AE": "the United Arab Emirates", "AT": "Austria", "AU": "Australia", "BE": "Belgium",
    "BR": "Brazil", "CA": "Canada", "CH": "Switzerland", "CN": "China", "CZ": "Czechia",
    "DE": "Germany", "DK": "Denmark", "ES": "Spain", "FI": "Finland", "FR": "France",
    "GB": "the United Kingdom", "GR": "Greece", "HK": "Hong Kong", "IE": "Ireland", "IL": "Israel",
    "IN": "India", "IR": "Iran", "IT": "Italy", "JP": "Japan", "KP": "North Korea",
    "KR": "South Korea", "NL": "the Netherlands", "NO": "Norway", "PL": "Poland", "PT": "Portugal",
    "RU": "Russia", "SA": "Saudi Arabia", "SE": "Sweden", "SG": "Singapore", "TR": "Türkiye",
    "TW": "Taiwan", "UA": "Ukraine", "US": "the United States", "ZA": "South Africa",
}  # fmt: skip
_KINDS = {
    "open-weights": "models with open weights",
    "closed-api": "models that only an API serves",
    "public-dataset": "public data sets",
    "own-dataset": "data sets of one's own",
    "human": "people who wrote or labelled",
}
_FACTS = {"license": "licence", "released": "day of release"}
_WHATS = {"model": "models", "dataset": "data sets"}
_PART = re.compile(
    r"""\s*\(?\s*(?P<fact>[a-z]+)\s*
        (?:==\s*(?P<q>["'])(?P<value>[^"'\\]*)(?P=q)
         |\.(?P<how>startsWith|endsWith|contains)\((?P<r>["'])(?P<part>[^"'\\]*)(?P=r)\))
        \s*\)?\s*""",
    re.VERBOSE,
)
_HOW = {"startsWith": "begins with", "endsWith": "ends with", "contains": "contains"}


def in_words(text: str) -> str:
    """Return what goes by an expression, as a noun: ``models with open weights from China``."""
    if text.count("(") == text.count(")") and len(text) < 500:
        plain = "&&" not in text or "||" not in text
        said = [_all_of(part) for part in text.split("||")] if plain else [None]
        if all(said):
            return " and ".join(str(part) for part in said)
    return f"everything for which {text} holds"


def _all_of(text: str) -> str | None:
    facts: dict[str, str] = {}
    more: list[str] = []
    for part in text.split("&&"):
        found = _PART.fullmatch(part)
        if found is None or found["fact"] in facts:
            return None
        if found["how"]:
            more.append(f"whose {found['fact']} {_HOW[found['how']]} {found['part']!r}")
        else:
            facts[found["fact"]] = found["value"]
    if set(facts) == {"name"} and not more:
        return facts["name"]
    kind, what = facts.pop("kind", None), facts.pop("what", None)
    noun = "models and data sets"
    if kind is not None:
        if kind not in _KINDS or (what and _WHATS.get(what) not in _KINDS[kind]):
            return None
        noun = _KINDS[kind]
    elif what is not None:
        noun = _WHATS.get(what, what)
    words = {
        "provider": "by {}", "country": "from {}", "license": "under {}", "name": "named {}",
        "route": "reached by {}", "released": "released on {}",
    }  # fmt: skip
    if not set(facts) <= set(words):
        return None
    for fact, form in words.items():
        if fact in facts:
            value = facts[fact]
            if not value:
                more.insert(0, f"whose {_FACTS.get(fact, fact)} is not recorded")
                continue
            noun += " " + form.format(COUNTRIES.get(value, value) if fact == "country" else value)
    return " ".join([noun, " and ".join(more)]).strip()


def spoken_day(day: date) -> str:
    """Return a day as it is read out: ``1 January 2027``."""
    return f"{day.day} {day:%B %Y}"


def counted(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun: ``1 model``, ``1,204 models``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def first_line(facts: dict[str, Any]) -> list[str]:
    """Return the sentences about a scenario that come first, each one fact, to be read out.

    Args:
        facts: the scenario as :meth:`Told.as_json` gives it.
    """
    models, data = facts["impact"]["models"], facts["impact"]["datasets"]
    lose, unknown = models["stay_and_lose"], facts["unknown"]["models"]
    gone = _both(models["go"], data["go"])
    how = f"would be gone from {facts['from_in_words']} on"
    if facts["only_new_use_is_barred"]:
        how = "could no longer be learned from"
    others = _both(lose, data["stay_and_lose"], "other ")
    were = "was" if lose + data["stay_and_lose"] == 1 else "were"
    in_all, hit = counted(models["in_all"], "model"), models["hit"]
    said = [
        f"{facts['title']}, {gone} {how}.",
        f"{others} {were} made with their help, as far as is recorded.",
        f"Together that is {hit:,} of the {in_all} on record.",
    ]
    rest, gaps = models["in_all"] - hit, unknown["if_anything_missing"] - hit
    if rest:
        which = f"All of the other {rest:,}" if gaps == rest else f"Of the other {rest:,}, {gaps:,}"
        said.append(f"{which} have gaps in their record in which the same may hide.")
    if lose:
        weights = facts["stand"]["models"]["as weights"]
        fits, might, none = facts["made_again"]["models"].values()
        said.append(
            f"Of the {counted(lose, 'other model')} made with their help, {weights:,} can still be "
            "had as weights, whatever goes."
        )
        said.append(
            f"Of these, {fits:,} could be made anew with what stays or with substitutes that are "
            f"known to fit, {might:,} only with such as might fit, {none:,} with none on record."
        )
    return said


def _both(models: int, data: int, other: str = "") -> str:
    parts = [
        counted(number, f"{other}{noun}")
        for number, noun in ((models, "model"), (data, "data set"))
        if number
    ]
    return " and ".join(parts) or f"no {other}model and no data set"
