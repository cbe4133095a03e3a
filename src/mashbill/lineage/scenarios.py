"""Scenarios as people write them, and what became of everything as they read it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.use import Use
from mashbill.lineage.circuit import CHANNEL_OF, Circuit
from mashbill.lineage.evaluate import FAR
from mashbill.lineage.things import expression
from mashbill.lineage.whatif import CHANNELS, SERVES, Outcome, rebuilt_by, what_if
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.restrictions import Question, decide_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.source import Channel
    from mashbill.lineage.definitions import Definition
    from mashbill.lineage.things import Things
    from mashbill.policy.decision import Outcome as Allowed
    from mashbill.policy.documents import Registry

GROUPED_BY = ("provider", "country", "kind", "what")
SUBSTITUTES_SHOWN = 5

_TERMS = re.compile(r"\s*(?P<who>.+?)\s+forbids\s+training\s+from\s+(?P<day>\S+)\s*")


@dataclass(frozen=True)
class Scenario:
    """What goes, from when, and in whose words."""

    title: str
    """as it was asked for"""
    removed: np.ndarray
    """bool, shape (n,)"""
    start: date
    """first day on which it is gone"""
    is_terms: bool = False
    """whether only new use is barred: what was made before stands as it is"""


def removing(things: Things, text: str, start: date) -> Scenario:
    """Return the scenario in which all that a CEL expression holds of goes.

    Raises:
        InputError: if it is no such expression, or nothing fits it.
    """
    removed = things.matching(expression(text, "--remove"))
    if not removed.any():
        msg = f"--remove {text!r} fits nothing; facts of things are texts: {_examples(things)}"
        raise InputError(msg)
    return Scenario(text, removed, start)


def _examples(things: Things) -> str:
    parts = []
    for name in ("provider", "country", "kind"):
        values = sorted(value for value in things.columns[name].values if value)[:8]
        parts.append(f"{name} is one of {', '.join(values)}, ...")
    return "; ".join(parts)


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
    return Scenario(f"{who} forbids training from {start}", removed, start, is_terms=True)


@dataclass(frozen=True)
class Told:
    """A scenario and its outcome, as tables, JSON and page tell them."""

    scenario: Scenario
    things: Things
    outcome: Outcome
    lead_months: int
    terms_of: dict[int, Allowed] = field(default_factory=dict)
    """node of a substitute -> what terms say to training on its outputs"""

    def affected(self) -> list[int]:
        """Return the affected things, the hardest hit first."""
        impact = self.outcome.impact
        nodes = np.flatnonzero(self.outcome.affected & self.things.thing)
        return sorted(
            nodes.tolist(),
            key=lambda n: (-impact.high[n], -impact.low[n], self.things.title(n)),
        )

    def groups(self, fact: str) -> list[dict[str, Any]]:
        """Return how many of each group are made, go, and lose an ancestor, by definition."""
        column = self.things.columns[fact]
        made, size = self.things.made, len(column.values)

        def counted(mask: np.ndarray) -> np.ndarray:
            return np.bincount(column.code[mask & self.things.thing], minlength=size)

        total, gone = counted(made), counted(self.outcome.removed)
        any_way = counted(self.outcome.affected)
        under = {d.definition.name: counted(d.reached) for d in self.outcome.definitions}
        rows = [
            {
                fact: value or "not recorded",
                "made": int(total[at]),
                "go": int(gone[at]),
                "lose": int(any_way[at]),
                **{name: int(counts[at]) for name, counts in under.items()},
            }
            for at, value in enumerate(column.values)
            if any_way[at] or gone[at]
        ]
        return sorted(rows, key=lambda row: (-row["lose"], -row["go"], str(row[fact])))

    def roles(self) -> list[dict[str, Any]]:
        """Return each role that is lost: for how many, and who else could serve."""
        rows = []
        lost = self.outcome.lost[self.things.thing & self.outcome.affected]
        for channel, nodes in self.outcome.substitutes.items():
            place = CHANNELS.index(channel)
            # What terms allow stands before what wants review; what is used most, first.
            best = sorted(nodes.tolist(), key=lambda node: OUTCOMES.index(self._terms(node)))
            rows.append(
                {
                    "role": SERVES[channel],
                    "channel": channel.value,
                    "lost_by": int((lost >> place & 1).sum()),
                    "substitutes": [
                        self._substitute(node, place) for node in best[:SUBSTITUTES_SHOWN]
                    ],
                    "substitutes_in_all": len(nodes),
                }
            )
        return sorted(rows, key=lambda row: -row["lost_by"])

    def _substitute(self, node: int, place: int) -> dict[str, Any]:
        columns = self.things.columns
        return {
            "name": columns["name"][node],
            "provider": columns["provider"][node],
            "country": columns["country"][node],
            "kind": columns["kind"][node],
            "license": columns["license"][node],
            "serves": int(self.outcome.uses[node, place]),
            "terms": self._terms(node),
        }

    def _terms(self, node: int) -> Allowed:
        """Return what terms say to a substitute; what was not asked wants review."""
        return self.terms_of.get(node, "review")

    def artifact(self, node: int) -> dict[str, Any]:
        """Return everything about one affected thing."""
        outcome, impact, columns = self.outcome, self.outcome.impact, self.things.columns
        steps = int(outcome.steps[node])
        stands = self.scenario.is_terms and _is_before(columns["released"][node], self.scenario)
        return {
            "name": columns["name"][node],
            "what": columns["what"][node],
            "provider": columns["provider"][node],
            "country": columns["country"][node],
            "definitions": {
                d.definition.name: {
                    "loses": bool(d.reached[node]),
                    "hops": int(d.hops[node]) if d.hops[node] < FAR else None,
                    "share": [float(d.low[node]), float(d.high[node])] if d.reached[node] else None,
                }
                for d in outcome.definitions
            },
            "loses_directly": [SERVES[c] for c in _channels(int(outcome.lost[node]))],
            "keeps_an_unaffected_path": bool(outcome.keeps[node]),
            "rebuild_steps": steps,
            "rebuilt_by": (
                None if outcome.blocked[node]
                else rebuilt_by(self.scenario.start, steps, self.lead_months).isoformat()
            ),
            "stands_as_made": stands,
            "impact": {
                "score": [round(float(impact.low[node]), 1), round(float(impact.high[node]), 1)],
                "channel": float(impact.channel[node]),
                "share": [float(impact.share_low[node]), float(impact.share_high[node])],
                "nearness": float(impact.nearness[node]),
                "without substitute": float(impact.without[node]),
            },
        }  # fmt: skip

    def flows(self) -> list[tuple[str, str, str, int]]:
        """Return (provider of what goes, role, group of who loses, artifacts), for a Sankey.

        The roles of an affected artifact are those that it loses directly; where it loses none, as
        only what it was built on does, the role is "through others". The provider is counted once
        for each artifact and role whose nearest sources that go are its.
        """
        counted: Counter[tuple[str, str, str]] = Counter()
        providers = self.things.columns["provider"]
        for node in self.affected():
            group = providers[node] or "not recorded"
            direct = self._direct(node)
            for who, role in direct or {("", "through others")}:
                counted[who or "what was built on them", role, group] += 1
        return [(*key, count) for key, count in counted.most_common()]

    def _direct(self, node: int) -> set[tuple[str, str]]:
        """Return (provider, role) of what goes and serves a thing without a model between.

        With a dataset that goes, it is its provider that takes away what others serve through it.
        """
        circuit, removed = self.things.circuit, self.outcome.removed
        is_model = circuit.is_model()
        providers = self.things.columns["provider"]
        found: set[tuple[str, str]] = set()
        waiting: list[tuple[int, Channel | None, str | None]] = [(node, None, None)]
        seen: set[tuple[int, Channel | None, str | None]] = set()
        while waiting:
            at, through, taken_by = waiting.pop()
            for edge in range(int(circuit.start[at]), int(circuit.start[at + 1])):
                to = int(circuit.to[edge])
                channel = through or _channel(circuit, edge)
                ends = is_model[to] or circuit.start[to] == circuit.start[to + 1]
                who = {taken_by, providers[to] if removed[to] else None} - {None}
                if ends:
                    found |= {(str(name), SERVES[channel]) for name in who}
                    continue
                kept = None if channel.value == "content" else channel
                for name in who or {None}:
                    if (to, kept, name) not in seen:
                        seen.add((to, kept, name))
                        waiting.append((to, kept, name))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        things, outcome = self.things, self.outcome
        return {
            "scenario": self.scenario.title,
            "from": self.scenario.start.isoformat(),
            "lead_months": self.lead_months,
            "removed": int((outcome.removed & things.thing).sum()),
            "made": int(things.made.sum()),
            "lose_an_ancestor": int((outcome.affected & things.thing).sum()),
            "under": {
                d.definition.name: int((d.reached & things.thing).sum())
                for d in outcome.definitions
            },
            "keep_an_unaffected_path": int((outcome.keeps & things.thing).sum()),
            "without_substitute": int((outcome.blocked & things.thing).sum()),
            "impact": [round(end, 1) for end in outcome.score],
            "groups": {fact: self.groups(fact) for fact in GROUPED_BY},
            "roles": self.roles(),
            "artifacts": [self.artifact(node) for node in self.affected()],
        }  # fmt: skip


def _channel(circuit: Circuit, edge: int) -> Channel:
    return CHANNELS[int(CHANNEL_OF[circuit.label[edge]])]


def _channels(mask: int) -> list[Channel]:
    return [channel for place, channel in enumerate(CHANNELS) if mask >> place & 1]


def _is_before(released: str, scenario: Scenario) -> bool:
    return bool(released) and released < scenario.start.isoformat()[: len(released)]


def tell(
    things: Things,
    scenario: Scenario,
    definitions: Sequence[Definition],
    registry: Registry,
    as_of: date,
    *,
    lead_months: int = 6,
    use: Use | None = None,
) -> Told:
    """Put a scenario to everything, with substitutes that terms do not bar.

    Args:
        things: what it is put to.
        scenario: what goes.
        definitions: under which losses are told.
        registry: terms that substitutes are held against.
        as_of: the day whose terms count.
        lead_months: months that one rebuild takes.
        use: what is declared about the use; nothing if None, so that much leads to review.
    """
    terms_of: dict[int, Allowed] = {}
    circuit = things.circuit
    may = np.ones(circuit.size, bool)
    candidates = things.thing & circuit.described & circuit.is_model() & ~scenario.removed
    for node in np.flatnonzero(candidates).tolist():
        question = Question(circuit.source(node), (), use or Use(), as_of)
        terms_of[node] = strictest(d.outcome for d in decide_use(registry, question))
        may[node] = terms_of[node] != "deny"
    outcome = what_if(things, scenario.removed, definitions, may)
    return Told(scenario, things, outcome, lead_months, terms_of)
