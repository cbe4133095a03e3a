"""The circuit of a whole catalogue from its index, over columns: for questions about everything.

It is the circuit of :func:`mashbill.lineage.catalogue.public.lineage_of`; a law holds the two to
the same nodes and edges. A claim without figures is an edge, and those are added all at once. Where
figures are stated, phases are weighed, and that is left to the code that does it for one entity.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.source import Channel, Source, parse_via, via
from mashbill.lineage.catalogue.public import (
    REST,
    Building,
    own_route,
    source_of_entity,
    without_circles,
)
from mashbill.lineage.circuit.arrays import DATASET, LABELS, MADE, MODEL, SOURCE, Circuit
from mashbill.lineage.circuit.levels import ragged
from mashbill.lineage.circuit.unrecorded import NOT_SAID
from mashbill.policy.claims import ENTIRE, Catalogue
from mashbill.policy.keeping import array_of, code_of, derived
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import COUNTED

if TYPE_CHECKING:
    from mashbill.policy.claims import Entity
    from mashbill.policy.index import Index
    from mashbill.policy.statuses import Status

_EDGES = ("to", "label", "tokens", "records")
_FIGURES = ("share", "tokens", "of_tokens")
_CODE = (
    "catalogue/hub", "catalogue/public", "circuit/arrays", "circuit/levels", "circuit/unrecorded",
)  # fmt: skip
"""modules that make what is kept: another text of them makes it anew"""
_ELSEWHERE = 1 << 40
"""added to the number of a node that a making did not add itself"""


@dataclass(frozen=True)
class Hub:
    """A catalogue's circuit, and which nodes are its entities."""

    index: Index
    circuit: Circuit
    row: np.ndarray
    """int32, shape (nodes,): row of the entity that a node is, by its number in the circuit; -1 of
    what lies between"""
    by_api: np.ndarray
    """bool, shape (nodes,): reached through an API though its weights are out"""


@dataclass
class _Claims:
    """Claims that count, by column, each shape (claims,)."""

    at: np.ndarray
    """rows in the index"""
    child: np.ndarray
    to: np.ndarray
    """number of the node that is the parent by the route stated"""
    label: np.ndarray
    records: np.ndarray
    is_weights: np.ndarray


@dataclass
class _Graph:
    """Nodes and edges, by column and in pieces."""

    kind: list[np.ndarray]
    edges: list[tuple[np.ndarray, ...]]
    """parent, to, label, tokens, records"""
    texts: list[tuple[str, str]]
    """name and JSON of the nodes that stand behind those of entities and of what is left over"""


def hub_of(index: Index, statuses: Sequence[Status] = COUNTED) -> Hub:
    """Return the circuit of a catalogue; where the index is kept, so is this.

    Args:
        index: entities and claims.
        statuses: which claims count, by who stands behind them.

    Raises:
        InputError: if figures of an entity add up to more than the whole.
    """
    counted = sorted(statuses)
    name = f"circuit{digest_bytes(canonical(counted))[:8]}"
    code = code_of("mashbill.lineage", _CODE)
    return _hub(index, derived(index, name, code, lambda: _tables(index, statuses)))


def _tables(index: Index, statuses: Sequence[Status]) -> dict[str, pa.Table]:
    """Make the circuit, as tables of numbers; nodes stand in the order of the circuit."""
    size = index.size
    claims, twice = _counted(index, statuses)
    figured = _figured(index, claims)
    is_data = _is(index, "what", "dataset")
    made = np.bincount(claims.child, minlength=size) > 0
    step = _is(index, "is_step", "true")
    kind = np.where(made, np.where(is_data, DATASET, MODEL), SOURCE).astype(np.uint8)
    kind[made & is_data & step & ~_stating(index, claims, ["tokens"])] = MADE
    graph = _Graph([kind, kind[twice]], [], [])
    owner = np.concatenate([np.arange(size), twice])
    rest = _plain(graph, claims, figured, owner, size)
    _weighed(graph, index, claims, figured, twice, len(owner) + len(rest))
    columns = [np.concatenate(column) for column in zip(*graph.edges, strict=True)]
    kinds = np.concatenate(graph.kind)
    count, known = len(kinds), len(owner) + len(rest)
    described = np.arange(count) < known
    described[known:] = kinds[known:] == SOURCE
    described[: len(owner)] &= ~(step & made)[owner]
    models = kinds == SOURCE  # what is not known may be one
    nobody_says = step & ~made & ~_is(index, "kind", "program")
    models[: len(owner)] = (~is_data | nobody_says)[owner]
    names = _Named(index, owner, rest, [name for name, _ in graph.texts])
    circuit = Circuit.build(kinds, *columns, digests=names, described=described)
    before = np.empty(count, np.int64)
    before[circuit.place] = np.arange(count)
    row = np.full(count, -1, np.int32)
    row[: len(owner)] = owner
    return {
        "nodes": pa.table(
            {
                "type": circuit.type,
                "place": circuit.place,
                "before": before,
                "described": circuit.described.astype(np.uint8),
                "models": models[before].astype(np.uint8),
                "row": row[before],
                "by_api": ((before >= size) & (before < len(owner))).astype(np.uint8),
            }
        ),
        "edges": pa.table({name: getattr(circuit, name) for name in _EDGES}),
        "start": pa.table({"start": circuit.start}),
        "levels": pa.table({"levels": circuit.levels}),
        "owner": pa.table({"owner": owner}),
        "rest": pa.table({"rest": rest}),
        "others": pa.table(
            [pa.array([text[at] for text in graph.texts], pa.string()) for at in (0, 1)],
            ["name", "about"],
        ),
    }


def _hub(index: Index, tables: dict[str, pa.Table]) -> Hub:
    """Return the circuit of tables that :func:`_tables` made."""

    def nodes(name: str) -> np.ndarray:
        return array_of(tables["nodes"], name)

    owner, rest = (array_of(tables[name], name) for name in ("owner", "rest"))
    names = _Named(index, owner, rest, tables["others"].column("name"))
    edges: dict[str, Any] = {name: array_of(tables["edges"], name) for name in _EDGES}
    circuit = Circuit(
        type=nodes("type"),
        start=array_of(tables["start"], "start"),
        **edges,
        levels=array_of(tables["levels"], "levels"),
        place=nodes("place"),
        digests=names,
        about=_Texts(names, nodes("type"), nodes("place"), tables["others"].column("about")),
        described=nodes("described").view(bool),
        _models=nodes("models").view(bool),
        before=nodes("before"),
    )
    return Hub(index, circuit, nodes("row"), nodes("by_api").view(bool))


def _is(index: Index, fact: str, value: str) -> np.ndarray:
    code, texts = index.codes(fact)
    found: np.ndarray = np.array([text == value for text in texts], bool)[code]
    return found


def _counted(index: Index, statuses: Sequence[Status]) -> tuple[_Claims, np.ndarray]:
    """Return the claims that count, and the entities that are reached in two ways."""
    merged = index.merged
    code, texts = index.claimed("status")
    at = np.flatnonzero(np.array([text in statuses for text in texts], bool)[code])
    dropped = _in_circles(index, at)
    at = at[~np.isin(at, dropped)] if len(dropped) else at
    child, parent = merged.child[at].astype(np.int64), merged.parent[at].astype(np.int64)
    code, texts = index.claimed("relation")
    ways = [via(*RELATIONS[text][:2]) for text in texts]
    weights = np.array([parse_via(way)[0] is Channel.WEIGHTS for way in ways], bool)
    label = np.array([LABELS.index(way) for way in ways], np.uint8)
    relation = code[at]
    code, texts = index.claimed("route")
    by_api = np.array([text == "api" for text in texts], bool)[code[at]]
    by_api &= _is(index, "what", "model")[parent] & ~_is(index, "kind", "closed-api")[parent]
    twice = np.unique(parent[by_api])
    to = np.where(by_api, index.size + np.searchsorted(twice, parent), parent)
    code, texts = index.claimed("rows")
    records = np.array([int(float(text)) if text else -1 for text in texts], np.int64)[code[at]]
    return _Claims(at, child, to, label[relation], records, weights[relation]), twice


def _in_circles(index: Index, at: np.ndarray) -> np.ndarray:
    """Return the claims that would make a thing its own ancestor, the weakest of each circle."""
    child, parent = index.merged.child[at], index.merged.parent[at]
    left = np.arange(len(at))
    for end, other in ((child, parent), (parent, child)):
        left = left[_held(end[left], other[left], index.size)]
    if not len(left):
        return left
    claims = index.claims(at[left])
    kept, _ = without_circles(claims)
    same = {id(claim) for claim in kept}
    return at[left[[n for n, claim in enumerate(claims) if id(claim) not in same]]]


def _held(end: np.ndarray, other: np.ndarray, size: int) -> np.ndarray:
    """Return which edges stay when what no edge holds goes, again and again; shape (edges,)."""
    held = np.bincount(end, minlength=size)
    order = np.argsort(other, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(other, minlength=size))])
    gone = np.zeros(size, bool)
    waiting = np.flatnonzero(held == 0)
    while len(waiting):
        gone[waiting] = True
        met, times = np.unique(
            end[order[ragged(start[waiting], start[waiting + 1])]], return_counts=True
        )
        held[met] -= times
        waiting = met[(held[met] == 0) & ~gone[met]]
    stays: np.ndarray = ~gone[end] & ~gone[other]
    return stays


def _figured(index: Index, claims: _Claims) -> np.ndarray:
    """Return the entities whose phases state figures, or are entire, bool, shape (n,)."""
    found = _stating(index, claims, _FIGURES)
    code, texts = index.claimed("of")
    entire = np.array([text == ENTIRE for text in texts], bool)[code[claims.at]]
    found[claims.child[entire]] = True
    return found


def _stating(index: Index, claims: _Claims, figures: Sequence[str]) -> np.ndarray:
    """Return the entities of which some claim states one of these figures, bool, shape (n,)."""
    found = np.zeros(index.size, bool)
    for name in figures:
        code, texts = index.claimed(name)
        said = np.array([text != "" for text in texts], bool)[code[claims.at]]
        found[claims.child[said & ~claims.is_weights]] = True
    return found


def _plain(
    graph: _Graph, claims: _Claims, figured: np.ndarray, owner: np.ndarray, size: int
) -> np.ndarray:
    """Add edges for all claims without figures; return the nodes that rest on something more."""
    plain = np.flatnonzero(~figured[claims.child])
    order = plain[np.lexsort((~claims.is_weights[plain], claims.child[plain]))]
    start = np.concatenate([[0], np.cumsum(np.bincount(claims.child[order], minlength=size))])
    sizes = start[owner + 1] - start[owner]
    mine = order[ragged(start[owner], start[owner + 1])]
    above = np.repeat(np.arange(len(owner)), sizes)
    blank = np.full(len(mine), np.nan)
    graph.edges.append((above, claims.to[mine], claims.label[mine], blank, claims.records[mine]))
    rest = np.flatnonzero(sizes > 0)  # no claim without figures says that it is all
    number = len(owner) + np.arange(len(rest))
    content = np.full(len(rest), LABELS.index("content"), np.uint8)
    graph.edges.append((rest, number, content, np.full(len(rest), np.nan), np.full(len(rest), -1)))
    graph.kind.append(np.full(len(rest), SOURCE, np.uint8))
    return rest


def _weighed(
    graph: _Graph, index: Index, claims: _Claims, figured: np.ndarray, twice: np.ndarray, count: int
) -> None:
    """Add what is made of claims with figures, an entity at a time."""
    mine = np.flatnonzero(figured[claims.child])
    if not len(mine):
        return
    rows = index.claims(claims.at[mine])
    ends = np.unique(np.concatenate([claims.child[mine], index.merged.parent[claims.at[mine]]]))
    entities = {entity.id: entity for entity in index.entities(ends)}
    number = {name: int(row) for name, row in zip(entities, ends.tolist(), strict=True)}
    second = {int(row): index.size + place for place, row in enumerate(twice.tolist())}
    building = Building(Catalogue(entities, tuple(rows), {}), rows)

    def node(entity: Entity, route: str) -> int:
        row = number[entity.id]
        return row if route == own_route(entity) else second[row]

    stands_for: dict[int, int] = {}
    for row in np.unique(claims.child[mine]).tolist():
        entity = entities[index.ids_of([row])[0].as_py()]
        routes = [own_route(entity)]
        if row in second:
            routes.append(f"api:{entity.provider.lower()}")
        for route in routes:
            making, answer = building.made(entity, route), None
            while True:
                try:
                    answer = _ELSEWHERE + node(*making.send(cast("int", answer)))
                except StopIteration as done:
                    stands_for[done.value] = node(entity, route)
                    break
    added = [n for n in range(len(building.kinds)) if n not in stands_for]
    stands_for |= {n: count + place for place, n in enumerate(added)}
    graph.kind.append(np.array([building.kinds[n] for n in added], np.uint8))
    graph.texts += [(building.names[n], building.about[n]) for n in added]
    above, to, label, tokens, records = zip(*building.edges, strict=True)
    graph.edges.append((
        np.array([stands_for[n] for n in above], np.int64),
        np.array([n - _ELSEWHERE if n >= _ELSEWHERE else stands_for[n] for n in to], np.int64),
        np.array(label, np.uint8), np.array(tokens, np.float64), np.array(records, np.int64),
    ))  # fmt: skip


class _Named(Sequence[str]):
    """Names of nodes, by the number that each had first."""

    def __init__(
        self, index: Index, owner: np.ndarray, rest: np.ndarray, others: Sequence[Any]
    ) -> None:
        self.entries, self.owner, self._rest, self._others = index, owner, rest, others

    def __len__(self) -> int:
        return len(self.owner) + len(self._rest) + len(self._others)

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        if number < len(self.owner):
            return self._called(number)
        place = number - len(self.owner)
        if place < len(self._rest):
            return f"{self._called(self._rest[place])}: {REST}"
        return str(self._others[place - len(self._rest)])

    def _called(self, number: int) -> str:
        return str(self.entries.ids_of([self.owner[number]])[0].as_py())

    def other(self, number: int) -> int:
        """Return the place of a node among those that are no entity and no rest; below 0 if not."""
        return number - len(self.owner) - len(self._rest)


class _Texts(Sequence[str]):
    """JSON of each node's own fields, by the number that it had first; made when asked for."""

    def __init__(
        self, names: _Named, kinds: np.ndarray, place: np.ndarray, others: Sequence[Any]
    ) -> None:
        self._names, self._kinds, self._place, self._others = names, kinds, place, others

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        names = self._names
        if names.other(number) >= 0:
            return str(self._others[names.other(number)])
        if number >= len(names.owner):
            rest = Source(name=names[number], what="unknown", kind="unknown", route=NOT_SAID)
            return rest.model_dump_json()
        entity = names.entries.entities([names.owner[number]])[0]
        route = f"api:{entity.provider.lower()}" if number >= names.entries.size else ""
        source = source_of_entity(entity, route).model_dump(mode="json")
        if self._kinds[self._place[number]] == SOURCE:
            return json.dumps(source)
        return json.dumps({"artifact": entity.id, "source": source})
