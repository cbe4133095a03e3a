"""Scenarios in words, and the sentences about them that can be read out.

An expression of the common forms (``fact == "value"``, joined by ``&&`` or by ``||``) is put into
words; any other one is quoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.lineage.whatif.comparisons import compared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mashbill.lineage.whatif.comparisons import Comparison

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
    "public-dataset": "public datasets",
    "own-dataset": "datasets of one's own",
    "human": "people who wrote or labelled",
    "program": "programs that check or make by rules",
}
_FACTS = {"license": "licence", "released": "day of release"}
_WHATS = {"model": "models", "dataset": "datasets", "program": "programs"}
_LONGEST = 300  # characters of an expression that is put into words
_HOW = {"startsWith": "begins with", "endsWith": "ends with", "contains": "contains"}


def in_words(text: str) -> str:
    """Return what goes by an expression, as a noun: ``models with open weights from China``."""
    joined = compared(text) if len(text) < _LONGEST else None
    if joined is not None:
        groups = [joined.parts] if joined.every else [(part,) for part in joined.parts]
        said = [_all_of(group) for group in groups]
        if all(said):
            return " and ".join(str(part) for part in said)
    if text.strip() == "true":
        return "everything on record"
    return f"everything for which {text} holds"


def _all_of(parts: Sequence[Comparison]) -> str | None:
    facts: dict[str, str] = {}
    more: list[str] = []
    for part in parts:
        if part.fact in facts or part.how == "!=":
            return None
        if part.how == "==":
            facts[part.fact] = part.text
        else:
            fact = _FACTS.get(part.fact, part.fact)
            more.append(f"whose {fact} {_HOW[part.how]} {part.text!r}")
    if set(facts) == {"name"} and not more:
        return facts["name"]
    kind, what = facts.pop("kind", None), facts.pop("what", None)
    noun = "models and datasets"
    if kind is not None:
        if kind not in _KINDS or (what and _WHATS.get(what, what) not in _KINDS[kind]):
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
        facts: the scenario as :meth:`Summary.as_json` gives it.
    """
    models, data = facts["impact"]["models"], facts["impact"]["datasets"]
    lose, unknown = models["stay_and_lose"], facts["unknown"]["models"]
    gone = _both(models["go"], data["go"])
    how = f"would be gone from {facts['from_in_words']} on"
    if facts["only_new_use_is_barred"]:
        how = "could no longer be learned from in any way"
    others = _both(lose, data["stay_and_lose"], "other ")
    others = others[0].upper() + others[1:]
    were = "was" if lose + data["stay_and_lose"] < 2 else "were"
    their = "its" if models["go"] + data["go"] == 1 else "their"
    in_all, hit = models["in_all"], models["hit"]
    said = [
        f"{facts['title']}, {gone} {how}.",
        *_partly(facts),
        *_left_open(facts["not_known_whether_they_go"]),
        f"{others} {were} made with {their} help, as far as is recorded.",
        _together(hit, in_all),
    ]
    rest, gaps = in_all - hit, unknown["if_anything_missing"] - hit
    if rest:
        said += [_gaps(gaps, rest), *_one_gap(facts["one_gap"])]
    if lose:
        weights = facts["stand"]["models"]["as weights"]
        said += [_stand(weights, lose, their), _anew(*facts["made_again"]["models"].values())]
    return said


def _together(hit: int, in_all: int) -> str:
    """Say how many models are hit, of all on record."""
    if not in_all:
        return "No model is on record."
    if not hit:
        return f"None of the {counted(in_all, 'model')} on record is hit."
    if hit == in_all:
        return "That is every model on record."
    return f"Together that is {hit:,} of the {counted(in_all, 'model')} on record."


def _gaps(gaps: int, rest: int) -> str:
    """Say in how many records of those that are not hit the same may hide."""
    if rest == 1:
        has = "has gaps in its record" if gaps else "has no gap in its record"
        return f"The one other {has} in which the same may hide."
    if not gaps:
        return f"None of the other {rest:,} has a gap in its record in which the same may hide."
    if gaps == rest:
        return f"All of the other {rest:,} have gaps in their record in which the same may hide."
    have = "has gaps in its record" if gaps == 1 else "have gaps in their record"
    return f"Of the other {rest:,}, {gaps:,} {have} in which the same may hide."


def _stand(weights: int, lose: int, their: str) -> str:
    """Say how many models that were made with the help of what goes exist as weights."""
    if lose == 1:
        can = "can still be had as weights, whatever goes" if weights else "is not had as weights"
        return f"The other model made with {their} help {can}."
    if weights == lose:
        who = f"All of the {lose:,} other models made with {their} help"
    else:
        who = f"Of the {lose:,} other models made with {their} help, {_some(weights)}"
    return f"{who} can still be had as weights, whatever goes."


def _anew(fits: int, might: int, none: int) -> str:
    """Say for how many models what they need would be found, were they made anew."""
    known = "in what stays or in substitutes that are known to fit"
    if fits + might + none == 1:
        if none:
            return "Made anew, it would lack something: of whoever might fit too little is known."
        where = known if fits else "only if substitutes fit that might"
        return f"Made anew, it would find all that it needs {where}."
    nowhere = f", and for {none:,} too little is known of whoever might" if none else ""
    return (
        f"Made anew, {_some(fits)} would find all that they need {known}, {_some(might)} only in "
        f"such as might fit{nowhere}."
    )


def role_sentence(role: dict[str, Any]) -> str:
    """Say how many lose a role, and for how many of them nothing is known to take its place."""
    lose, unfitted, unserved = (
        role[key] for key in ("lost_by", "none_known_to_fit", "none_that_might")
    )
    if lose == 1:
        first = f"1 loses what {role['role']}; a substitute is known to fit."
        if unfitted:
            might = "and none might" if unserved else "though one might"
            first = f"1 loses what {role['role']}; no substitute is known to fit, {might}."
        return first
    head = f"{lose:,} lose what {role['role']}; "
    if not unfitted:
        return f"{head}for each of them a substitute is known to fit."
    which = "none" if unfitted == lose else f"{lose - unfitted:,}"
    told = f"for {which} of them a substitute is known to fit"
    if not unserved:
        each = "each of them" if unfitted == lose else "each of the rest"
        return f"{head}{told}, though for {each} one might."
    return f"{head}{told}, and for {unserved:,} none might."


def _partly(facts: dict[str, Any]) -> list[str]:
    """Say how many go by one way of reaching them and stay by another."""
    models, data = (facts["impact"][key]["go_by_one_way_only"] for key in ("models", "datasets"))
    if not models and not data:
        return []
    how = "would go by one way and stay by another"
    if facts["only_new_use_is_barred"]:
        how = "could still be learned from by another way"
    return [f"{_both(models, data, 'more ')} {how}, such as weights."]


def _one_gap(told: dict[str, Any]) -> list[str]:
    """Say how much hangs on one gap alone."""
    looked_at, models = told["looked_at"], told["models"]
    if not models["most"]:
        return []
    which = f"the {counted(told['things'], 'thing')} with such gaps"
    if looked_at < told["things"]:
        which = f"{looked_at:,} of {which} that are looked at"
    mean, most = models["mean"], counted(models["most"], "more model")
    said = f"If only one of {which} hid it, {most} would be hit at most, with"
    return [f"{said} {models['most_by']}, and {mean:,.1f} on average."]


def _left_open(told: dict[str, Any]) -> list[str]:
    """Say for how many it is not known whether they go, and for want of which fact."""
    number, facts = told["things"], told["not_recorded"]
    if not number:
        return []
    named = [(_FACTS.get(fact, fact), count) for fact, count in facts.items() if count]
    they = "it goes" if number == 1 else "they go"
    why = (
        f"{named[0][0]} is not recorded"
        if len(named) == 1
        else "not recorded are " + " and ".join(f"the {fact} of {n:,}" for fact, n in named)
    )
    return [f"For {counted(number, 'thing')} it is not known whether {they}: {why}."]


def _both(models: int, data: int, other: str = "") -> str:
    parts = [
        counted(number, f"{other}{noun}")
        for number, noun in ((models, "model"), (data, "dataset"))
        if number
    ]
    return " and ".join(parts) or f"no {other}model and no dataset"


def _some(number: int) -> str:
    return f"{number:,}" if number else "none"
