"""Scenarios as people write them: what goes, from which day, and in whose words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.use import Use
from mashbill.lineage.whatif.comparisons import compared
from mashbill.lineage.whatif.lead import LeadTimes, shipped
from mashbill.lineage.whatif.passes import what_if
from mashbill.lineage.whatif.selection import Selection, select
from mashbill.lineage.whatif.summary import Summary
from mashbill.lineage.whatif.things import expression
from mashbill.lineage.whatif.use_terms import Asking
from mashbill.lineage.whatif.words import in_words, spoken_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.lineage.bills.definitions import Definition
    from mashbill.lineage.whatif.population import Population
    from mashbill.lineage.whatif.things import Things
    from mashbill.policy.documents import Registry

_TERMS = re.compile(r"\s*(?P<who>.+?)\s+forbids\s+training\s+from\s+(?P<day>\S+)\s*")


@dataclass(frozen=True)
class Scenario:
    """What goes, from when, and in whose words."""

    title: str
    """in words"""
    asked: str
    """as it was asked for"""
    removed: np.ndarray
    """bool, shape (n,)"""
    start: date
    """first day on which it is gone"""
    is_terms: bool = False
    """whether only new use is barred: what was made before stands as it is"""
    lacking: Mapping[str, np.ndarray] = field(default_factory=dict)
    """fact -> bool, shape (n,): things that would go or stay by it, if it were recorded"""


def removing(things: Things, text: str, start: date, title: str = "") -> Scenario:
    """Return the scenario in which all that a CEL expression holds of goes.

    Args:
        things: what it is put to.
        text: the expression.
        start: first day on which it is gone.
        title: the scenario in words; they are made from the expression if there are none.

    Raises:
        InputError: if it is no such expression, or nothing fits it.
    """
    found = select(things, expression(text, "--remove"))
    if not found.holds.any():
        hint = _spelt_otherwise(things, text) or f"; {_examples(things)}"
        msg = f"--remove {text!r} fits nothing{_left_open(found)}{hint}"
        raise InputError(msg)
    title = title or f"Without {in_words(text)}"
    return Scenario(title, text, found.holds, start, lacking=found.lacking)


def _left_open(found: Selection) -> str:
    if not found.open.any():
        return ""
    return (
        f" that is recorded; of {int(found.open.sum()):,} it is not known, since "
        f"{' and '.join(found.lacking)} is not recorded"
    )


def _spelt_otherwise(things: Things, text: str) -> str:
    """Return the values that were meant, where an expression compares with one that nothing has."""
    joined = compared(text)
    for part in joined.parts if joined is not None else ():
        values = things.columns[part.fact].values if part.fact in things.columns else ()
        if part.how == "==" and part.text not in values and (hint := near(part.text, values)):
            return hint
    return ""


def _examples(things: Things) -> str:
    parts = []
    for name in ("provider", "country", "kind"):
        values = sorted(value for value in things.columns[name].values if value)[:8]
        parts.append(f"{name} is one of {', '.join(values)}, ...")
    return f"facts of things are texts: {'; '.join(parts)}"


def forbidding(things: Things, text: str, registry: Registry) -> Scenario:
    """Return the scenario ``PROVIDER forbids training from DATE``: its API is closed off.

    Weights that were given out stay under the licence that they came with.

    Raises:
        InputError: if it is written in another way, or the provider serves nothing by an API here.
    """
    found = _TERMS.fullmatch(text)
    try:
        start = date.fromisoformat(found["day"]) if found else None
    except ValueError:
        start = None
    if found is None or start is None:
        msg = f"--terms {text!r}: write 'PROVIDER forbids training from YYYY-MM-DD'"
        raise InputError(msg)
    known = registry.provider(found["who"])
    who = known.name if known else found["who"]
    providers, routes = things.columns["provider"], things.columns["route"]
    mine = np.array([value.lower() == who.lower() for value in providers.values])
    by_api = np.array([value.startswith("api:") for value in routes.values])
    removed = things.thing & mine[providers.code] & by_api[routes.code]
    if not removed.any():
        msg = f"--terms {text!r}: {who} serves nothing by an API here; {_examples(things)}"
        raise InputError(msg)
    title = f"If {who} forbids training on what its API answers, from {spoken_day(start)} on"
    return Scenario(title, text, removed, start, is_terms=True)


def tell(
    things: Things,
    scenario: Scenario,
    definitions: Sequence[Definition],
    registry: Registry,
    as_of: date,
    *,
    lead: LeadTimes | None = None,
    use: Use | None = None,
    population: Population | None = None,
    ids: Mapping[str, str] | None = None,
) -> Summary:
    """Put a scenario to everything, with substitutes that terms do not bar.

    Args:
        things: what it is put to.
        scenario: what goes.
        definitions: under which losses are told.
        registry: terms that substitutes are held against.
        as_of: the day whose terms count.
        lead: how long a step takes; what the package ships if None.
        use: what is declared about the use; nothing if None, so that much leads to review.
        population: the list over which a score is told.
        ids: lower-case id or alias -> id, for names of that list.
    """
    lead = lead or shipped()
    asking = Asking(registry, use or Use(), as_of, scenario.start)
    outcome = what_if(things, scenario.removed, definitions, asking, lead)
    return Summary(scenario, things, outcome, lead, population, ids or {})
