"""Which things an expression holds of, and of which it is not known whether it does.

A fact that is not recorded is no text: it is neither before 2020 nor another licence than MIT. So a
comparison with it is open, and the logic has three values: ``&&`` is false if a side is, ``||`` is
true if a side is, and what stays open is told and not taken. Who asks for the blank itself
(``license == ""``, ``country == "unknown"``) gets an answer. A day of which only the month or the
year is recorded is open where its first and its last day answer in different ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.lineage.whatif.comparisons import compared
from mashbill.lineage.whatif.days import NEVER, ends_of_day
from mashbill.lineage.whatif.things import FACTS
from mashbill.policy.expressions import Expression, LackingError
from mashbill.policy.licence_words import read_licence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.lineage.whatif.comparisons import Comparison, Joined
    from mashbill.lineage.whatif.things import Things

BLANKS = ("", "unknown")
"""texts that say that a fact is not recorded"""
_MAY_BE_BLANK = tuple(name for name in FACTS if name not in ("name", "what"))
_NO_LICENCE = ("closed-api", "program", "test-double")
"""kinds of source that have no licence which could be recorded"""

_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_BLANK = re.compile(
    rf"//[^\n]*|(?<![\w.])(?P<fact>{'|'.join(_MAY_BE_BLANK)})\s*(?P<sign>[=!]=)\s*"
    rf"(?P<q>[\"'])(?P<blank>{'|'.join(BLANKS)})(?P=q)|{_TEXT}"
)


@dataclass(frozen=True)
class Selection:
    """What an expression says of every node, each bool, shape (n,)."""

    holds: np.ndarray
    """things of which it holds"""
    open: np.ndarray
    """things of which it is not known whether it does"""
    lacking: Mapping[str, np.ndarray]
    """fact -> of the open, those of which it is asked for and not recorded"""


def select(things: Things, expression: Expression) -> Selection:
    """Put an expression to all things.

    Raises:
        InputError: if it cannot be put to texts, or gives something else than true or false.
    """
    joined = compared(expression.text)
    names = [name for name in FACTS if name in expression.names]
    blank = {name: blank_of(things, name) for name in names}
    if joined is not None:
        holds, is_open = _compared(things, joined, blank)
    else:
        holds, is_open = _evaluated(things, expression, names, blank)
    is_open &= things.thing
    vague = {name: blank[name] | _vague(things, name) for name in names}
    lacking = {name: is_open & vague[name] for name in names if (is_open & vague[name]).any()}
    return Selection(things.thing & holds, is_open, lacking)


def blank_of(things: Things, fact: str) -> np.ndarray:
    """Return of which nodes a fact is not recorded, bool, shape (n,).

    What only an API serves has no licence, and that is known of it; so house rules see it, too.
    """
    if fact not in _MAY_BE_BLANK:
        return np.zeros(things.circuit.size, bool)
    column = things.columns[fact]
    if fact != "license":
        values = np.array([text in BLANKS for text in column.values], bool)
        found: np.ndarray = values[column.code]
        return found
    values = np.array([read_licence(text).kind == "none" for text in column.values], bool)
    kind, route = things.columns["kind"], things.columns["route"]
    none = np.array([text in _NO_LICENCE for text in kind.values], bool)[kind.code]
    read = np.array([text.startswith("dataset:") for text in route.values], bool)[route.code]
    unsaid: np.ndarray = values[column.code] & ~(none & ~read)
    return unsaid


def _compared(
    things: Things, joined: Joined, blank: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return where comparisons hold, and where that is open; each bool, shape (n,)."""
    yes = np.full(things.circuit.size, joined.every)
    no = ~yes
    for part in joined.parts:
        mine, is_open = _one(things, part, blank[part.fact])
        true, false = mine & ~is_open, ~mine & ~is_open
        yes, no = (yes & true, no | false) if joined.every else (yes | true, no & false)
    return yes, ~yes & ~no


def _one(things: Things, part: Comparison, blank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    column, test = things.columns[part.fact], part.test()
    holds = np.fromiter(map(test, column.values), bool, len(column.values))
    is_open = np.zeros(len(column.values), bool)
    if part.fact == "released":
        ways = [readings(text) for text in column.values]
        is_open = np.array([len(set(map(test, way[1:]))) > 1 for way in ways], bool)
    asks = part.how in ("==", "!=") and part.text in BLANKS
    return holds[column.code], is_open[column.code] | (blank & (not asks))


def _evaluated(
    things: Things, expression: Expression, names: list[str], blank: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of any expression, which is put once to each combination of facts."""
    size = things.circuit.size
    asked = _Asked(expression)
    if not names:
        return np.full(size, expression.holds({})), np.zeros(size, bool)
    combined = np.zeros(size, np.int64)
    for name in names:
        column = things.columns[name]
        combined = (
            combined * len(column.values) * 2 + column.code.astype(np.int64) * 2 + blank[name]
        )
    nodes = np.flatnonzero(things.thing)
    distinct, first, back = np.unique(combined[nodes], return_index=True, return_inverse=True)
    found = np.zeros((2, len(distinct)), bool)
    for place, at in enumerate(first.tolist()):
        node = int(nodes[at])
        facts = {name: things.columns[name][node] for name in names}
        lacks = {name for name in names if blank[name][node]}
        answer = asked.put(facts, lacks)
        found[:, place] = answer is True, answer is None
    whole = np.zeros((2, size), bool)
    whole[:, nodes] = found[:, back]
    return whole[0], whole[1]


class _Asked:
    """An expression in which questions for a blank stand apart, since they have an answer."""

    def __init__(self, expression: Expression) -> None:
        self._questions: dict[str, re.Match[str]] = {}
        text = _BLANK.sub(self._apart, expression.text)
        self._expression = (
            Expression(text, expression.where, (*FACTS, *self._questions))
            if self._questions
            else expression
        )

    def _apart(self, found: re.Match[str]) -> str:
        if found["fact"] is None:
            return found[0]
        name = f"blank_{len(self._questions)}"
        self._questions[name] = found
        return name

    def put(self, facts: Mapping[str, str], lacks: set[str]) -> bool | None:
        """Return whether it holds of these facts, some of which are not recorded; None if open."""
        answers = {
            name: (facts[str(found["fact"])] == found["blank"]) == (found["sign"] == "==")
            for name, found in self._questions.items()
        }
        ways = readings(facts["released"]) if "released" in facts else ("",)
        told: list[bool | None] = []
        for released in ways:
            known: dict[str, Any] = {
                name: released if name == "released" else text
                for name, text in facts.items()
                if name not in lacks
            }
            try:
                told.append(self._expression.holds({**known, **answers}))
            except LackingError:
                if not lacks:  # then it is the expression that asks for what there is not
                    raise self._cannot() from None
                told.append(None)
        return told[0] if len(ways) == 1 or told[1] == told[2] else None

    def _cannot(self) -> InputError:
        """Return the error of an expression that takes facts for something else than texts."""
        return InputError(
            f"{self._expression.where}: {self._expression.text} cannot be put to things: their "
            "facts are texts. They are held against texts in quotes, as in released < "
            '"2024-01-31", and take startsWith, endsWith, contains and matches'
        )


def readings(text: str) -> tuple[str, ...]:
    """Return a day as it is recorded and, if that is a month or a year, its first and last day."""
    first, last = ends_of_day(text)
    if first in (int(NEVER), last):
        return (text,)
    return text, date.fromordinal(first).isoformat(), date.fromordinal(last).isoformat()


def _vague(things: Things, fact: str) -> np.ndarray:
    """Return of which nodes a day is recorded as a month or a year, bool, shape (n,)."""
    column = things.columns[fact]
    if fact != "released":
        return np.zeros(things.circuit.size, bool)
    found: np.ndarray = np.array([len(set(readings(text))) > 1 for text in column.values], bool)[
        column.code
    ]
    return found
