"""What terms say to a model that learns from others in a role, asked once of those that are alike.

Which texts govern a node does not depend on the role, so it is looked up once for all roles. Nodes
of which nothing differs that terms look at are one kind, and each kind is asked about once a role.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mashbill.policy.callers import may_be_known
from mashbill.policy.case import Question, Student
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.restrictions import decide_use, reached_by

if TYPE_CHECKING:
    from datetime import date

    from mashbill.core.source import Channel, Source
    from mashbill.core.use import Use
    from mashbill.lineage.whatif.things import Things
    from mashbill.policy.decision import Outcome as Allowed
    from mashbill.policy.documents import Registry

ALLOW, REVIEW, DENY = (np.uint8(OUTCOMES.index(word)) for word in ("allow", "review", "deny"))


@dataclass(frozen=True)
class Asking:
    """What is asked of a substitute beyond what it can do."""

    registry: Registry
    use: Use
    """what is declared about the use; what is not leads to review"""
    as_of: date
    """day whose terms count"""
    start: date
    """day on which it is needed"""


@dataclass(frozen=True)
class _Kinds:
    kind: np.ndarray
    """int32, shape (asked,): kind of each node"""
    governed: np.ndarray
    """bool, shape (asked,): texts in the registry govern its use"""
    sources: list[Source]
    """one of each kind"""


class Terms:
    """What terms say about some nodes, role by role."""

    def __init__(self, things: Things, nodes: np.ndarray, asking: Asking | None) -> None:
        """Begin.

        Args:
            things: a circuit with facts.
            nodes: nodes that may be asked about, ascending.
            asking: terms and days; everything is allowed if None.
        """
        self._things, self._asking = things, asking
        self._nodes = nodes[things.circuit.described[nodes]]

    def say(self, nodes: np.ndarray, channel: Channel) -> tuple[np.ndarray, np.ndarray]:
        """Return what terms say about nodes in a role, places in OUTCOMES, uint8, shape (nodes,).

        Beside it stands whether texts in the registry govern that, bool.
        """
        if self._asking is None:
            return np.full(len(nodes), ALLOW, np.uint8), np.zeros(len(nodes), bool)
        # What is one's own is under what it rests on, which is open.
        found, governed = np.full(len(nodes), REVIEW, np.uint8), np.zeros(len(nodes), bool)
        known = np.flatnonzero(self._things.circuit.described[nodes])
        if len(known):
            place = np.searchsorted(self._nodes, nodes[known])
            kind = self._kinds.kind[place]
            told = np.full(len(self._kinds.sources), REVIEW, np.uint8)
            for at in np.flatnonzero(np.bincount(kind)).tolist():
                told[at] = _asked(self._asking, self._kinds.sources[at], channel)
            found[known], governed[known] = told[kind], self._kinds.governed[place]
        return found, governed

    @cached_property
    def _kinds(self) -> _Kinds:
        things, nodes, asking = self._things, self._nodes, self._asking
        assert asking is not None  # noqa: S101 - nothing is asked otherwise
        kind, governed = np.zeros(len(nodes), np.int32), np.zeros(len(nodes), bool)
        named = _named_by_texts(things, nodes, asking)
        place: dict[tuple[str, ...], int] = {}
        sources: list[Source] = []
        for at in np.flatnonzero(named).tolist():
            source = things.circuit.source(int(nodes[at]))
            governing = tuple(
                document.id
                for who, route in reached_by(source)
                for document in asking.registry.governing(who, source.name, route, asking.as_of)
            )
            is_data = source.what == "dataset"
            key = (source.name,) if is_data else (*governing, source.license or "")
            if key not in place:
                place[key] = len(sources)
                sources.append(source)
            kind[at], governed[at] = place[key], bool(governing)
        rest = np.flatnonzero(~named)
        key_of = np.zeros(len(rest), np.int64)
        for fact in ("kind", "route", "license", "what"):
            column = things.columns[fact]
            code = _api_as_one(things, nodes[rest]) if fact == "route" else column.code[nodes[rest]]
            key_of = key_of * (len(column.values) + 1) + code
        _, first, back = np.unique(key_of, return_index=True, return_inverse=True)
        kind[rest] = len(sources) + back
        sources += [things.circuit.source(int(nodes[rest[at]])) for at in first.tolist()]
        return _Kinds(kind, governed, sources)


def _api_as_one(things: Things, nodes: np.ndarray) -> np.ndarray:
    """Return the routes of nodes as numbers, with one for the API of whoever makes a model.

    Whose it is, is asked of the maker and not of the route, where the maker is recorded.
    """
    route, provider = things.columns["route"], things.columns["provider"]
    by_api = np.array([text.startswith("api:") for text in route.values], bool)
    unknown = np.array([text == "unknown" for text in provider.values], bool)
    code = route.code[nodes].astype(np.int64)
    return np.where(by_api[code] & ~unknown[provider.code[nodes]], len(route.values), code)


def _named_by_texts(things: Things, nodes: np.ndarray, asking: Asking) -> np.ndarray:
    """Return which nodes terms may tell from others of their kind by name, bool, shape (nodes,)."""
    provider, name = things.columns["provider"], things.columns["name"]
    code = provider.code[nodes]
    known = np.zeros(len(provider.values), bool)
    for at in np.flatnonzero(np.bincount(code)).tolist():
        known[at] = asking.registry.provider(provider.values[at]) is not None
    named: np.ndarray = known[code]
    data = np.flatnonzero(~things.circuit.is_model()[nodes])
    texts = name.texts(nodes[data])
    named[data] |= np.fromiter(map(may_be_known, texts), bool, len(data))
    return named


def _asked(asking: Asking, source: Source, channel: Channel) -> int:
    student = Student("a model made anew", "language-model", 1, frozenset({channel}))
    question = Question(source, (student,), asking.use, asking.as_of)
    outcome: Allowed = strictest(d.outcome for d in decide_use(asking.registry, question))
    return OUTCOMES.index(outcome)
