"""Who could take the place of what goes, by role, by what it can do, and by the terms of that use.

A candidate serves in the role on record already, does not go, does not rest on what goes, and is
not known to come later. It is *known to fit* if its size, context and media are recorded and are
those of what is lost (:mod:`capability`), and its terms allow the use; it *might fit* if enough is
known of it (:mod:`floor`) and nothing that is recorded speaks against it. What is not recorded
never counts as fitting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.lineage.whatif.capability import PROFILES, described, fit, profiles
from mashbill.lineage.whatif.days import first_day
from mashbill.lineage.whatif.floor import Known
from mashbill.lineage.whatif.roles import CHANNELS, SERVES
from mashbill.lineage.whatif.use_terms import ALLOW, DENY, REVIEW, Terms
from mashbill.policy.decision import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.lineage.whatif.things import Things
    from mashbill.lineage.whatif.use_terms import Asking


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
    offers: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict, repr=False)
    """profile of what is lost, and place of the channel -> what was told of who could follow"""


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
        uses: int16 or int32, shape (n, channels).
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
    gone = removed | loses
    lost = [place for place in range(len(CHANNELS)) if uses[gone, place].any()]
    serving = {
        place: np.flatnonzero(whole & (uses[:, place] > 0)).astype(np.int32) for place in lost
    }
    every = np.zeros(circuit.size, bool)
    for nodes in serving.values():
        every[nodes] = True
    terms_of, known = Terms(things, np.flatnonzero(every), asking), Known(things)
    for place, channel in ((place, CHANNELS[place]) for place in lost):
        nodes = serving[place]
        terms, governed = terms_of.say(nodes, channel)
        enough = known.enough(nodes, governed | (terms != REVIEW))
        little_known[place] = nodes[(terms != DENY) & ~enough]
        nodes, terms = nodes[(terms != DENY) & enough], terms[(terms != DENY) & enough]
        candidates[place] = nodes, terms
        found = fit(present, channel)
        allowed = np.bincount(profile[nodes[terms == ALLOW]], minlength=PROFILES + 1) > 0
        some = np.bincount(profile[nodes], minlength=PROFILES + 1) > 0
        bit, none = np.uint8(1 << place), np.uint8(0)
        no_fit |= np.where((found.fits & allowed).any(axis=1), none, bit)[row[profile]]
        no_might |= np.where((found.might & some).any(axis=1), none, bit)[row[profile]]
    return Places(profile, candidates, little_known, no_fit, no_might)


def lost_places(
    things: Things, removed: np.ndarray, uses: np.ndarray, most: int
) -> tuple[list[tuple[int, int, int]], int]:
    """Return (node, place of a channel, uses) of what goes and serves, the most used first.

    What goes by several ways is one, with the uses of all of them.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,).
        uses: int16 or int32, shape (n, channels).
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
        uses: int16 or int32, shape (n, channels).
        lost: what is lost, its role as a place in CHANNELS, and how often it serves in it.
        most: how many of each kind are named.
    """
    columns = things.columns
    node, place, used_by = lost
    asked = int(places.profile[node]), place
    if asked not in places.offers:
        places.offers[asked] = _offered(things, places, uses, asked, most)
    return {
        "name": columns["name"][node],
        "provider": columns["provider"][node],
        "role": SERVES[CHANNELS[place]],
        "channel": CHANNELS[place].value,
        "used_by": used_by,
        "asked_for": list(_described(things, node)),
        **places.offers[asked],
    }


def _offered(
    things: Things, places: Places, uses: np.ndarray, asked: tuple[int, int], most: int
) -> dict[str, Any]:
    """Return who could take the place of anything of a profile in a role."""
    profile, place = asked
    nodes, terms = places.candidates[place]
    could = fit(np.array([profile]), CHANNELS[place])
    theirs = places.profile[nodes]
    fits = could.fits[0][theirs] & (terms == ALLOW)
    column = things.columns["name"]
    code = column.code[nodes]
    seen = np.zeros(len(column.values), bool)

    def among(which: np.ndarray) -> np.ndarray:
        """Mark names; what is returned holds until the next call."""
        seen[:] = False
        seen[which] = True
        return seen

    def each(mask: np.ndarray) -> int:
        return int(np.count_nonzero(among(code[mask])))

    # A model that one way of reaching it is known to fit by is not told again by the other.
    might = could.might[0][theirs] & ~among(code[fits])[code]
    little = places.little_known[place]
    little = column.code[little[could.might[0][places.profile[little]]]]
    little = little[~among(code)[little]]
    return {
        "fit": [
            _candidate(things, uses, *pair, place)
            for pair in _best(things, uses, nodes, terms, fits, place, most)
        ],
        "fit_in_all": each(fits),
        "might_fit": [
            {**_candidate(things, uses, at, word, place), "not_known": _unknown(things, at, word)}
            for at, word in _best(things, uses, nodes, terms, might, place, most)
        ],
        "might_fit_in_all": each(might),
        "too_little_known_of": int(np.count_nonzero(among(little))),
    }


def _best(
    things: Things, uses: np.ndarray, nodes: np.ndarray, terms: np.ndarray, which: np.ndarray,
    place: int, most: int,
) -> list[tuple[int, int]]:  # fmt: skip
    """Return (node, terms) of some candidates, each name once: most known, then most used."""
    at = np.flatnonzero(which)
    blanks = _blanks(things, nodes[at]) + (terms[at] != ALLOW)
    order = np.lexsort((-uses[nodes[at], place].astype(np.int64), blanks))[: most * 20]
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
        np.isnan(measured.parameters[node]),
        np.isnan(measured.context[node]),
        measured.takes[node] == 0,
        terms == REVIEW,
    )
    words = ("its size", "its context", "what it takes in", "whether its terms allow it")
    found = [word for word, is_blank in zip(words, blank, strict=True) if is_blank]
    return found or ["what it would replace, in full"]
