"""Who could take the place of what goes, by role, by what it can do, and by the terms of that use.

A candidate serves in the role on record already, does not go, does not rest on what goes, and is
not known to come later. It is *known to fit* if its size, context and media are recorded and are
those of what is lost (:mod:`capability`), and its terms allow the use; it *might fit* if enough is
known of it (:mod:`floor`) and nothing that is recorded speaks against it. What is not recorded
never counts as fitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.lineage.whatif.capability import PROFILES, described, fit, profiles
from mashbill.lineage.whatif.days import first_day
from mashbill.lineage.whatif.floor import enough_known
from mashbill.lineage.whatif.roles import CHANNELS, SERVES
from mashbill.policy.callers import may_be_known
from mashbill.policy.deciding import Student
from mashbill.policy.decision import OUTCOMES, strictest
from mashbill.policy.restrictions import Question, decide_use, reached_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from mashbill.core.source import Channel, Source
    from mashbill.core.use import Use
    from mashbill.lineage.things import Things
    from mashbill.policy.decision import Outcome as Allowed
    from mashbill.policy.documents import Registry

_ALLOW, _REVIEW, _DENY = (OUTCOMES.index(word) for word in ("allow", "review", "deny"))


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
class Places:
    """Who could take which place, over all nodes."""

    profile: np.ndarray
    """int16, shape (n,), of :func:`capability.profiles`"""
    candidates: dict[int, tuple[np.ndarray, np.ndarray]]
    """place of a channel -> nodes that serve in it and stay whole, and what terms say to each as a
    place in OUTCOMES; those that terms deny, or of which too little is known, are left out"""
    little_known: dict[int, np.ndarray]
    """place of a channel -> nodes that serve in it, of which too little is known to offer them"""
    no_fit: np.ndarray
    """uint8, shape (n,): channels, a bit each, in which nothing known to fit could follow a node"""
    no_might: np.ndarray
    """uint8, shape (n,): channels in which nothing that might fit could"""


def places_of(
    things: Things,
    removed: np.ndarray,
    loses: np.ndarray,
    uses: np.ndarray,
    asking: Asking | None,
) -> Places:
    """Return who could take which place.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,).
        loses: bool, shape (n,): made, and rests on what goes.
        uses: int32, shape (n, channels).
        asking: terms and days; neither is asked about if None.
    """
    circuit = things.circuit
    profile = profiles(things.measured, ~circuit.is_model())
    whole = things.thing & ~removed & ~loses
    if asking is not None:
        whole &= first_day(things.columns["released"]) <= asking.start.toordinal()
    present = np.flatnonzero(np.bincount(profile, minlength=PROFILES + 1))
    row = np.zeros(PROFILES + 1, np.int64)
    row[present] = np.arange(len(present))
    candidates, little_known = {}, {}
    no_fit, no_might = np.zeros(circuit.size, np.uint8), np.zeros(circuit.size, np.uint8)
    lost = uses[removed | loses].any(axis=0)
    for place, channel in enumerate(CHANNELS):
        if not lost[place]:
            continue
        nodes = np.flatnonzero(whole & (uses[:, place] > 0))
        terms, governed = _terms(things, nodes, channel, asking)
        enough = enough_known(things, nodes, governed | (terms != _REVIEW))
        little_known[place] = nodes[(terms != _DENY) & ~enough]
        nodes, terms = nodes[(terms != _DENY) & enough], terms[(terms != _DENY) & enough]
        candidates[place] = nodes, terms
        found = fit(present, channel)
        allowed = np.bincount(profile[nodes[terms == _ALLOW]], minlength=PROFILES + 1) > 0
        some = np.bincount(profile[nodes], minlength=PROFILES + 1) > 0
        bit, none = np.uint8(1 << place), np.uint8(0)
        no_fit |= np.where((found.fits & allowed).any(axis=1), none, bit)[row[profile]]
        no_might |= np.where((found.might & some).any(axis=1), none, bit)[row[profile]]
    return Places(profile, candidates, little_known, no_fit, no_might)


def _terms(
    things: Things, nodes: np.ndarray, channel: Channel, asking: Asking | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what terms say to a model that learns from each node in a role, places in OUTCOMES.

    Beside it stands whether texts in the registry govern that, bool. Those of which nothing differs
    that terms look at are asked about once.
    """
    found, governed = np.full(len(nodes), _ALLOW, np.uint8), np.zeros(len(nodes), bool)
    if asking is None or not len(nodes):
        return found, governed
    known_source = things.circuit.described[nodes]
    found[~known_source] = _REVIEW  # what is one's own is under what it rests on, which is open
    asked = np.flatnonzero(known_source)
    found[asked], governed[asked] = _asked_of(things, nodes[asked], channel, asking)
    return found, governed


def _asked_of(
    things: Things, nodes: np.ndarray, channel: Channel, asking: Asking
) -> tuple[np.ndarray, np.ndarray]:
    found, governed = np.full(len(nodes), _REVIEW, np.uint8), np.zeros(len(nodes), bool)
    named = _named_by_texts(things, nodes, asking)
    texts: dict[tuple[str, ...], int] = {}
    for at in np.flatnonzero(named).tolist():
        source = things.circuit.source(int(nodes[at]))
        governing = tuple(
            document.id
            for who, route in reached_by(source)
            for document in asking.registry.governing(who, source.name, route, asking.as_of)
        )
        key = (source.name,) if source.what == "dataset" else (*governing, source.license or "")
        if key not in texts:
            texts[key] = _asked(asking, source, channel)
        found[at], governed[at] = texts[key], bool(governing)
    rest = np.flatnonzero(~named)
    key_of = np.zeros(len(rest), np.int64)
    for fact in ("kind", "route", "license", "what"):
        column = things.columns[fact]
        code = _api_as_one(things, nodes[rest]) if fact == "route" else column.code[nodes[rest]]
        key_of = key_of * (len(column.values) + 1) + code
    _, first, back = np.unique(key_of, return_index=True, return_inverse=True)
    sources = (things.circuit.source(int(nodes[rest[at]])) for at in first.tolist())
    told = np.array([_asked(asking, source, channel) for source in sources], np.uint8)
    found[rest] = told[back] if len(told) else _REVIEW
    return found, governed


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
    for at in np.unique(code).tolist():
        known[at] = asking.registry.provider(provider.values[at]) is not None
    named: np.ndarray = known[code]
    data = np.flatnonzero(~things.circuit.is_model()[nodes])
    asked = (may_be_known(name.values[at]) for at in name.code[nodes[data]].tolist())
    named[data] |= np.fromiter(asked, bool, len(data))
    return named


def _asked(asking: Asking, source: Source, channel: Channel) -> int:
    student = Student("a model made anew", "language-model", 1, frozenset({channel}))
    question = Question(source, (student,), asking.use, asking.as_of)
    outcome: Allowed = strictest(d.outcome for d in decide_use(asking.registry, question))
    return OUTCOMES.index(outcome)


def lost_places(
    things: Things, removed: np.ndarray, uses: np.ndarray, most: int
) -> tuple[list[tuple[int, int, int]], int]:
    """Return (node, place of a channel, uses) of what goes and serves, the most used first.

    What goes by several ways is one, with the uses of all of them.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,).
        uses: int32, shape (n, channels).
        most: how many are wanted.

    Returns:
        At most so many, and how many there are.
    """
    gone = np.flatnonzero(removed & things.thing)
    _, first, back = np.unique(
        things.columns["name"].code[gone], return_index=True, return_inverse=True
    )
    counted = np.zeros((len(first), uses.shape[1]), np.int64)
    np.add.at(counted, back, uses[gone])
    gone = gone[first]
    at, place = np.nonzero(counted)
    weight = counted[at, place]
    order = np.argsort(-weight, kind="stable")
    if len(order) > most:  # names decide between equals, so that order of rows does not
        order = order[weight[order] >= weight[order[most - 1]]]
    found = sorted(
        ((int(gone[at[n]]), int(place[n]), int(weight[n])) for n in order.tolist()[: most * 20]),
        key=lambda item: (-item[2], things.title(item[0]), item[1]),
    )
    return found[:most], len(at)


def told_place(
    things: Things,
    places: Places,
    uses: np.ndarray,
    lost: tuple[int, int, int],
    most: int,
) -> dict[str, Any]:
    """Return what is said about one place that is lost, and who could take it.

    Args:
        things: a circuit with facts.
        places: who could take which place.
        uses: int32, shape (n, channels).
        lost: what is lost, its role as a place in CHANNELS, and how often it serves in it.
        most: how many of each kind are named.
    """
    columns = things.columns
    node, place, used_by = lost
    nodes, terms = places.candidates[place]
    could = fit(places.profile[[node]], CHANNELS[place])
    profile = places.profile[nodes]
    fits = could.fits[0][profile] & (terms == _ALLOW)
    code = columns["name"].code
    # A model that one way of reaching it is known to fit by is not told again by the other.
    might = could.might[0][profile] & ~np.isin(code[nodes], code[nodes[fits]])
    little = places.little_known[place]
    little = little[could.might[0][places.profile[little]]]
    little = little[~np.isin(code[little], code[nodes])]

    def each(mask: np.ndarray) -> int:
        return len(np.unique(code[nodes[mask]]))

    return {
        "name": columns["name"][node],
        "provider": columns["provider"][node],
        "role": SERVES[CHANNELS[place]],
        "channel": CHANNELS[place].value,
        "used_by": used_by,
        "asked_for": list(_described(things, node)),
        "fit": [
            _candidate(things, uses, *pair, place) for pair in _best(things, uses, nodes, terms,
                                                                    fits, place, most)
        ],
        "fit_in_all": each(fits),
        "might_fit": [
            {**_candidate(things, uses, at, word, place), "not_known": _unknown(things, at, word)}
            for at, word in _best(things, uses, nodes, terms, might, place, most)
        ],
        "might_fit_in_all": each(might),
        "too_little_known_of": len(np.unique(code[little])),
    }  # fmt: skip


def _best(
    things: Things, uses: np.ndarray, nodes: np.ndarray, terms: np.ndarray, which: np.ndarray,
    place: int, most: int,
) -> list[tuple[int, int]]:  # fmt: skip
    """Return (node, terms) of some candidates, each name once: most known, then most used."""
    at = np.flatnonzero(which)
    blanks = _blanks(things, nodes[at]) + (terms[at] != _ALLOW)
    order = np.lexsort((-uses[nodes[at], place], blanks))[: most * 20]
    rows = [(int(blanks[n]), -int(uses[nodes[at[n]], place]), things.title(int(nodes[at[n]])),
             int(nodes[at[n]]), int(terms[at[n]])) for n in order.tolist()]  # fmt: skip
    once: dict[str, tuple[int, int]] = {}
    for _, _, name, node, word in sorted(rows):
        once.setdefault(name, (node, word))
    return list(once.values())[:most]


def _blanks(things: Things, nodes: np.ndarray) -> np.ndarray:
    measured = things.measured
    found: np.ndarray = (
        np.isnan(measured.parameters[nodes]).astype(np.int64)
        + np.isnan(measured.context[nodes])
        + (measured.takes[nodes] == 0)
    )
    return found


def _described(things: Things, node: int) -> Iterator[str]:
    if things.circuit.is_model()[node]:
        at = things.measured
        yield from described(at.parameters[node], at.context[node], int(at.takes[node]))
    else:
        yield "data: what they would have to be like is not recorded"


def _candidate(
    things: Things, uses: np.ndarray, node: int, terms: int, place: int
) -> dict[str, Any]:
    columns = things.columns
    return {
        "name": columns["name"][node],
        "provider": columns["provider"][node],
        "country": columns["country"][node],
        "kind": columns["kind"][node],
        "license": columns["license"][node],
        "serves": int(uses[node, place]),
        "terms": OUTCOMES[terms],
        "is": list(_described(things, node)),
        "making_recorded": bool(things.made[node]),
    }


def _unknown(things: Things, node: int, terms: int) -> list[str]:
    """Say what would have to be known of a candidate, or of what it follows."""
    measured = things.measured
    blank = (
        np.isnan(measured.parameters[node]), np.isnan(measured.context[node]),
        measured.takes[node] == 0, terms == _REVIEW,
    )  # fmt: skip
    words = ("its size", "its context", "what it takes in", "whether its terms allow it")
    found = [word for word, is_blank in zip(words, blank, strict=True) if is_blank]
    return found or ["what it would replace, in full"]
