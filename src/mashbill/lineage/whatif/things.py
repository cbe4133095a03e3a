"""What scenarios are put to: every source and artifact of a catalogue or a store, with its facts.

Facts are columns of codes, so that an expression is evaluated once for each combination of the
facts that it names and not once for each of millions of models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.store import Store
from mashbill.lineage.circuit.arrays import DATASET, MADE, MODEL, SOURCE, Circuit
from mashbill.lineage.circuit.contradicted import beside, contradictions
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.texts import Texts
from mashbill.policy.claims import MEDIA
from mashbill.policy.expressions import Expression
from mashbill.policy.sizes import parameters_by_name, total_parameters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from mashbill.core.marks import Contradiction
    from mashbill.lineage.catalogue.public import PublicLineage
    from mashbill.policy.claims import Entity

FACTS = ("name", "what", "provider", "country", "kind", "license", "route", "released")
"""names that an expression may use; all are texts, empty where not recorded"""


@dataclass(frozen=True)
class Column:
    """One fact of every node."""

    code: np.ndarray
    """int8 to int32, as many as there are values, shape (n,): place in ``values``"""
    values: Sequence[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Column:
        """Return the column of these texts, one a node."""
        places: dict[str, int] = {}
        codes = [places.setdefault(text, len(places)) for text in texts]
        return cls(np.array(codes, np.int32), list(places))

    def __getitem__(self, node: int) -> str:
        """Return the text of a node."""
        return self.values[int(self.code[node])]

    def texts(self, nodes: np.ndarray) -> list[str]:
        """Return the texts of many nodes."""
        code = self.code[nodes]
        if isinstance(self.values, Texts):
            return self.values.many(code)
        return [self.values[at] for at in code.tolist()]

    def places(self, wanted: Collection[str]) -> dict[str, int]:
        """Return the places in ``values`` of those of some texts that are there."""
        if isinstance(self.values, Texts):
            return self.values.places(wanted)
        return {text: place for place, text in enumerate(self.values) if text in wanted}

    def ending(self, end: str) -> list[int]:
        """Return the places in ``values`` of texts with an end."""
        if isinstance(self.values, Texts):
            return self.values.ending(end)
        return [place for place, text in enumerate(self.values) if text.endswith(end)]


@dataclass(frozen=True)
class Measures:
    """What is recorded of every node in numbers, each shape (n,); datasets have no size here."""

    parameters: np.ndarray
    """float64: all parameters; NaN where not recorded"""
    context: np.ndarray
    """float64: tokens that it takes in at most; NaN where not recorded"""
    takes: np.ndarray
    """uint8: what it takes in, a bit for each of MEDIA; 0 where not recorded"""
    downloads: np.ndarray
    """float64: downloads in 30 days; NaN where not recorded"""

    @classmethod
    def unknown(cls, size: int) -> Measures:
        """Return measures of which none is recorded."""
        blank = np.full(size, np.nan)
        return cls(blank, blank, np.zeros(size, np.uint8), blank)

    @classmethod
    def of(cls, entities: Sequence[Entity | None]) -> Measures:
        """Return the measures of these entities, one a node; None has none."""
        nan = float("nan")

        def number(value: float | None) -> float:
            return nan if value is None else float(value)

        rows = [
            (nan, nan, 0, nan) if entity is None else
            (number(parameters_of(entity)), number(entity.context),
             sum(1 << MEDIA.index(medium) for medium in set(entity.takes)),
             number(entity.downloads))
            for entity in entities
        ]  # fmt: skip
        found = np.array(rows, np.float64).reshape(len(rows), 4)
        return cls(found[:, 0], found[:, 1], found[:, 2].astype(np.uint8), found[:, 3])


def parameters_of(entity: Entity) -> float | None:
    """Return all parameters of a model, as stated or as its name says; None if neither does."""
    if entity.what != "model":
        return None
    return total_parameters(entity.parameters) or parameters_by_name(entity.id)


@dataclass(frozen=True)
class Things:
    """A circuit with the facts of its nodes."""

    circuit: Circuit
    thing: np.ndarray
    """bool, shape (n,): nodes that are a source or an artifact, and not something in between"""
    columns: dict[str, Column]
    """by the names in FACTS"""
    measures: Measures | None = None
    """sizes and adoption; nothing is recorded of them if None"""

    @cached_property
    def made(self) -> np.ndarray:
        """Things whose making is recorded in part at least, bool, shape (n,)."""
        circuit = self.circuit
        inner = np.flatnonzero(np.diff(circuit.start) > 0)
        found = np.zeros(circuit.size, bool)
        if len(inner):
            known = ~self.unrecorded[circuit.to]
            found[inner] = np.logical_or.reduceat(known, circuit.start[inner])
        made: np.ndarray = self.thing & found
        return made

    @cached_property
    def unrecorded(self) -> np.ndarray:
        """Nodes that stand for what is not recorded of a making, bool, shape (n,)."""
        found: np.ndarray = ~self.thing & (self.circuit.type == SOURCE)
        return found

    @cached_property
    def is_model(self) -> np.ndarray:
        """Things that are models, bool, shape (n,); what may be either is none."""
        what = self.columns["what"]
        named = np.array([*(value == "model" for value in what.values), False], bool)
        found: np.ndarray = self.thing & named[what.code]
        return found

    @cached_property
    def measured(self) -> Measures:
        """Sizes and adoption of every node."""
        return self.measures or Measures.unknown(self.circuit.size)

    def title(self, node: int) -> str:
        """Name a thing for people."""
        return self.columns["name"][node]


def expression(text: str, where: str) -> Expression:
    """Compile an expression over the facts of things."""
    return Expression(text, where, FACTS)


def things_of_catalogue(lineage: PublicLineage) -> Things:
    """Return the entities of a catalogue as things; what is not recorded is none."""
    circuit = lineage.circuit
    size = circuit.size
    rows = {name: [""] * size for name in FACTS}
    thing = np.zeros(size, bool)
    described: list[Entity | None] = [None] * size
    for (name, route), node in lineage.node.items():
        entity = lineage.catalogue.entities[name]
        facts = {
            "name": entity.id, "what": entity.what, "provider": entity.provider,
            "country": entity.country, "kind": entity.kind, "license": entity.license or "",
            "route": route, "released": entity.released,
        }  # fmt: skip
        thing[node], described[node] = True, entity
        for key, value in facts.items():
            rows[key][node] = value
    columns = {key: Column.of(texts) for key, texts in rows.items()}
    return Things(circuit, thing, columns, Measures.of(described))


def things_of_store(store: Store) -> Things:
    """Return the sources and artifacts of a store as things."""
    table = NodeTable()
    told: dict[str, Contradiction] = {}
    for manifest in store.manifests():
        table.absorb(NodeTable.of(store, manifest))
        told |= contradictions(store, manifest)
    circuit = Circuit.of(beside(table, told.values()))
    rows = {name: [""] * circuit.size for name in FACTS}
    thing = np.zeros(circuit.size, bool)
    for node in range(circuit.size):
        if circuit.type[node] == MADE:
            continue
        thing[node] = True
        if circuit.described[node]:
            source = circuit.source(node)
            facts = {
                "name": source.title, "what": source.what, "provider": source.provider,
                "country": source.country, "kind": source.kind, "license": source.license or "",
                "route": source.route,
            }  # fmt: skip
        else:
            what = {MODEL: "model", DATASET: "dataset"}[int(circuit.type[node])]
            facts = {"name": circuit.title(node), "what": what, "provider": "own", "kind": "own"}
        for key, value in facts.items():
            rows[key][node] = value
    columns = {key: Column.of(texts) for key, texts in rows.items()}
    return Things(circuit, thing, columns, _by_names(columns))


def _by_names(columns: dict[str, Column]) -> Measures:
    """Return the sizes that the names of models say; a store has no other record of them."""
    size = len(columns["name"].code)
    parameters = np.full(size, np.nan)
    for node in range(size):
        if columns["what"][node] == "model":
            parameters[node] = parameters_by_name(columns["name"][node]) or np.nan
    return replace(Measures.unknown(size), parameters=parameters)
