"""Decisions about an artifact: both engines over its circuit, and house rules over both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.source import Channel, Source
from mashbill.core.use import Use
from mashbill.lineage.circuit.arrays import LABELS, MODEL, Circuit
from mashbill.lineage.circuit.reach import SETS, WRITTEN, Reach, reach
from mashbill.lineage.circuit.semirings import FAR, FEWEST_HOPS, evaluate
from mashbill.lineage.circuit.unrecorded import all_not_recorded, named_few
from mashbill.lineage.circuit.witness import witnesses
from mashbill.lineage.duties.calling import calls_of
from mashbill.lineage.duties.house_rules import RulesPut, put_rules
from mashbill.lineage.duties.obligations import OutputLicence, decide_obligations, output_licence
from mashbill.lineage.duties.releasing import decide_release
from mashbill.policy.case import Question, Student
from mashbill.policy.decision import Decision, Outcome, strictest
from mashbill.policy.restrictions import decide_use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from mashbill.core.store import Store
    from mashbill.core.use import StudentKind
    from mashbill.lineage.bills.prompted import PromptCoverage
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule

_CHANNELS = tuple(Channel)

DECIDE = "decide"
"""event of the ledger: what was decided about a plan before it ran"""


@dataclass(frozen=True)
class Decided:
    """All decisions about an artifact or a plan, and the licence that is left for it."""

    about: str
    as_of: date
    use: Use
    decisions: tuple[Decision, ...]
    licence: OutputLicence

    @property
    def outcome(self) -> Outcome:
        """The strictest of all."""
        return strictest(decision.outcome for decision in self.decisions)

    def of(self, outcome: Outcome) -> list[Decision]:
        """Return the decisions with this outcome."""
        return [decision for decision in self.decisions if decision.outcome == outcome]

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "about": self.about,
            "as_of": self.as_of.isoformat(),
            "outcome": self.outcome,
            "use": self.use.facts(),
            "decisions": [decision.as_json() for decision in self.decisions],
            "licence": self.licence.as_json(),
        }


def students_of(
    circuit: Circuit, kind_of: Callable[[str], StudentKind], *, only_root: bool = False
) -> dict[Source, list[Student]]:
    """Return the models that rest on each source, direct ones first.

    A model that rests on a source in several ways (sets of channels) is told once for each.

    Args:
        circuit: an artifact's.
        kind_of: artifact's address -> what kind of model it is.
        only_root: leave out models further down, which other circuits tell. Public models further
            down are never told: what their makers did was under terms of their own.
    """
    found: dict[Source, list[Student]] = {}
    sources = circuit.sources()
    for node in sources.tolist():
        if node != circuit.root:
            found.setdefault(circuit.source(node), [])
    own = (circuit.type == MODEL) & ~circuit.described
    own[circuit.root] = circuit.type[circuit.root] == MODEL
    models = [circuit.root] if only_root else np.flatnonzero(own).tolist()
    models = [node for node in models if own[node]]
    rests = reach(circuit)
    ways = _Ways(circuit)
    for node in models:
        name = str(circuit.facts(node).get("artifact", circuit.digest(node)))
        by_ways = _by_ways(rests, node)
        bases = tuple(
            circuit.source(int(sources[place])).name
            for place, channels in by_ways
            if channels == {Channel.WEIGHTS}
        )
        for (place, channels), depth in by_ways.items():
            at = int(sources[place])
            if at == node:
                continue
            found[circuit.source(at)].append(
                Student(
                    name=name,
                    kind=kind_of(name),
                    hops=max(depth, 1),
                    channels=channels,
                    path=ways.of(at, node),
                    bases=bases,
                )
            )
    for students in found.values():
        students.sort(key=lambda student: (student.hops, student.name))
    return found


def _by_ways(rests: Reach, node: int) -> dict[tuple[int, frozenset[Channel]], int]:
    """Return the least depth by (place of a source, channels on the way) of a node."""
    found: dict[tuple[int, frozenset[Channel]], int] = {}
    own = slice(rests.start[node], rests.start[node + 1])
    entries = zip(rests.key[own].tolist(), rests.depth[own].tolist(), strict=True)
    for key, depth in sorted(entries, key=lambda entry: (entry[0] & ~WRITTEN, entry)):
        way = key // SETS, _channels(key % SETS)
        found[way] = min(depth, found.get(way, depth))
    return found


def _channels(mask: int) -> frozenset[Channel]:
    """Return the channels of a set; content only where there is none but weights.

    Text by a model that was built on a source's weights is no use of these weights alone.
    """
    told = frozenset(c for bit, c in enumerate(_CHANNELS[1:]) if mask >> bit & 1)
    return told | {Channel.CONTENT} if told == {Channel.WEIGHTS} and mask & WRITTEN else told


class _Ways:
    """The shortest ways from sources to models, for people; each is looked for once."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._hop = circuit.is_model().astype(np.int32)
        self._nearest: tuple[int, np.ndarray] = (-1, np.empty(0, np.int32))
        self._found: dict[tuple[int, int], tuple[str, ...]] = {}

    def of(self, source: int, model: int) -> tuple[str, ...]:
        """Return the shortest way from a source to a model."""
        if (source, model) not in self._found:
            self._found[source, model] = self._way(source, model)
        return self._found[source, model]

    def _way(self, source: int, model: int) -> tuple[str, ...]:
        circuit = self._circuit
        matched = np.zeros(circuit.size, bool)
        matched[source] = True
        if self._nearest[0] != source:
            own = np.where(matched, np.int32(0), FAR)
            self._nearest = (source, evaluate(circuit, FEWEST_HOPS, own, self._hop))
        every = np.ones(len(LABELS), bool)
        told = witnesses(circuit, matched, self._nearest[1], self._hop, every, 1, model)
        if not told:
            return ()
        steps = [f"{step.what} by {step.channel.value}" for step in told[0].steps]
        return (*reversed(steps), circuit.title(model))


def decide_circuit(
    registry: Registry,
    circuits: Iterable[Circuit],
    result: Circuit,
    kind_of: Callable[[str], StudentKind],
    use: Use,
    as_of: date,
    *,
    is_public: bool = False,
    is_planned: bool = False,
    rules: Sequence[HouseRule] = (),
    stated: str | None = None,
    is_release: bool = False,
    prompted: PromptCoverage | None = None,
) -> Decided:
    """Return the decisions about an artifact, or about what a plan would make.

    Args:
        registry: terms and licences.
        circuits: of every model that is made, or of the artifact alone.
        result: of the artifact that duties are asked about.
        kind_of: artifact's address -> what kind of model it is.
        use: what is declared about the use.
        as_of: the day that is asked about.
        is_public: the artifact is somebody else's, and out already.
        is_planned: it is not made yet, so shares are not known.
        rules: house rules.
        stated: the licence that the artifact itself is under, where its stage says so; a declared
            one goes before it.
        is_release: ask for what a release wants to have on record, too.
        prompted: whose words teachers were asked by, where a store tells it.
    """
    several = list(circuits)
    students: dict[Source, list[Student]] = {}
    for circuit in several:
        for source, found in students_of(circuit, kind_of, only_root=len(several) > 1).items():
            students.setdefault(source, []).extend(found)
    decisions: list[Decision] = []
    calls = [calls_of(circuit) for circuit in several]
    for source, found in sorted(students.items(), key=lambda item: item[0].title):
        question = Question(
            source,
            tuple(dict.fromkeys(found)),
            use,
            as_of,
            by_others=not any(source in each.ours for each in calls),
            carried=any(source in each.carried for each in calls),
        )
        decisions += decide_use(registry, question)
    licence = output_licence(registry, result, as_of, stated=use.license or stated)
    name = result.title(result.root)
    if not students:
        decisions.append(_not_recorded(name, as_of, ("what it was made from",)))
    elif is_public and (more := all_not_recorded(result)):
        decisions.append(_not_recorded(name, as_of, more))
    decisions += decide_obligations(licence, name, use, as_of, is_public=is_public)
    if is_release:
        decisions += decide_release(
            result, licence, use, as_of, is_public=is_public, prompted=prompted
        )
    decided = Decided(name, as_of, use, tuple(decisions), licence)
    if not rules:
        return decided
    put = RulesPut(
        result, decided.about, use, as_of, decided.decisions, licence, is_planned, prompted
    )
    house = put_rules(rules, put)
    return replace(decided, decisions=(*decisions, *house))


def _not_recorded(name: str, as_of: date, what: Sequence[str]) -> Decision:
    """Return the review of a thing whose making is not recorded, or not all of it."""
    return Decision(
        "review", "use restriction", "making-not-recorded", name,
        f"it is not recorded {named_few(what)}", as_of, lacking=tuple(what[:5]),
    )  # fmt: skip


def differing(before: Decided, after: Decided) -> list[tuple[Decision | None, Decision | None]]:
    """Return the decisions that changed outcome or text, as (before, after); None if not there."""

    def keyed(decided: Decided) -> dict[tuple[str, ...], Decision]:
        return {
            (item.about, item.engine, item.document, item.rule, *item.path): item
            for item in decided.decisions
        }

    one, two = keyed(before), keyed(after)
    return [
        (one.get(key), two.get(key))
        for key in dict.fromkeys((*one, *two))
        if _changed(one.get(key), two.get(key))
    ]


def _changed(one: Decision | None, two: Decision | None) -> bool:
    if one is None or two is None:
        return True
    return (one.outcome, one.effective_from) != (two.outcome, two.effective_from)


def decided_runs(store: Store) -> tuple[dict[str, Any], ...]:
    """Return what was decided before each run and who accepted it, by entries that count."""
    return tuple(
        entry.predicate
        for entry in store.ledger.accepted
        if entry.event == DECIDE and "stands" not in entry.predicate
    )


def declared_use(store: Store, artifact: str) -> Use:
    """Return the use that the run declared which made an artifact; nothing if none did."""
    declared = found = Use()
    for entry in store.ledger.accepted:
        if entry.event == DECIDE:
            declared = Use.model_validate(entry.predicate.get("use", {}))
        elif entry.event == "commit" and entry.told("artifact") == artifact:
            found = declared
    return found
