"""Printing scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.cli.printing import table
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.whatif.beside import interval, side_by_side
from mashbill.lineage.whatif.summary import GROUPED_BY, rebuilt_words
from mashbill.lineage.whatif.words import counted, role_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

_ARTIFACTS = 20
_PLACES = 8
"""so many of a scenario a terminal shows; the page and --json have more"""


def print_whatif(facts: Sequence[dict[str, Any]], counted: str) -> None:
    """Print scenarios side by side, and then each.

    Args:
        facts: scenarios as ``Summary.as_json`` gives them.
        counted: a sentence on what they were put to.
    """
    side = table("", *(item["title"] for item in facts), title=f"What if? {counted}")
    for name, values in side_by_side(facts):
        side.add_row(name, *values)
    out.print(side)
    for item in facts:
        _print_scenario(item)
    out.print(
        "Claims are never complete, so losses are the least that is recorded. Impact is the sum, "
        "over the models that go or rest on what goes, of 50% channel, 30% share and 20% nearness; "
        "what goes counts as one. The score is the mean over a stated list of names. A loss is "
        "about technique; it says nothing on how access was had.",
        style="dim",
    )


def _print_scenario(facts: dict[str, Any]) -> None:
    out.print()
    out.say((facts["title"], "bold"), f" ({facts['scenario']})")
    for sentence in facts["first_lines"]:
        out.say(sentence)
    for group in GROUPED_BY[:3]:
        named = [
            f"{row[group]} {row['stay_and_lose']} of {row['made']}"
            for row in facts["groups"][group]
            if row["stay_and_lose"]
        ]
        out.say(
            f"Stay and lose an ancestor, by {group}: {'; '.join(named[:12]) or 'nobody'}"
            f"{f'; and {len(named) - 12} more' if len(named) > 12 else ''}"
        )
    for role in facts["roles"]:
        out.say(role_sentence(role))
    for place in facts["lost"]["told"][:_PLACES]:
        out.say(
            f"{place['name']} {place['role']}, {counted(place['used_by'], 'time')} "
            f"({'; '.join(place['asked_for'])}). Known to fit: {_named(place, 'fit')}. "
            f"Might fit: {_named(place, 'might_fit')}.{_little(place)}"
        )
    rest = facts["lost"]["in_all"] - _PLACES
    if rest > 0:
        out.say(f"and {rest:,} more that go and serve")
    _print_artifacts(facts)


def _little(place: dict[str, Any]) -> str:
    number = place["too_little_known_of"]
    return f" Of {number:,} more not enough is known." if number else ""


def _named(place: dict[str, Any], key: str) -> str:
    named = [
        item["name"]
        + (f" (not known: {', '.join(item['not_known'])})" if "not_known" in item else "")
        for item in place[key][:3]
    ]
    rest = place[f"{key}_in_all"] - len(named)
    return "; ".join(named + ([f"and {rest:,} more"] if rest > 0 else [])) or "none"


def _print_artifacts(facts: dict[str, Any]) -> None:
    names = list(facts["under"])
    hit = table("artifact", "provider", "loses directly", *names, "other path", "stands",
                "made anew by", "impact, 0 to 100", title="Hardest hit")  # fmt: skip
    for item in facts["artifacts"][:_ARTIFACTS]:
        hit.add_row(
            item["name"],
            item["provider"],
            ", ".join(item["loses_directly"]) or "what it was built on",
            *(_under(item["definitions"][name]) for name in names),
            "yes" if item["keeps_an_unaffected_path"] else "no",
            item["stands"],
            rebuilt_words(item),
            interval(item["impact"]["score"]),
        )
    out.print(hit)
    rest = facts["artifacts_in_all"] - _ARTIFACTS
    if rest > 0:
        out.say(f"and {rest:,} more; --json and the page tell as many as --most says")


def _under(verdict: dict[str, Any]) -> str:
    if not verdict["loses"]:
        return "no"
    low, high = verdict["share"]
    hops = verdict["hops"]
    return f"{hops} hop{'' if hops == 1 else 's'}, {share_text((low, high))}"
