"""What scenarios are put to: every source and artifact of a catalogue or a store, with its facts.

Facts are columns of codes, so that an expression is evaluated once for each combination of the
facts that it names and not once for each of millions of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.store import Store
from mashbill.lineage.circuit import DATASET, MADE, MODEL, Circuit
from mashbill.lineage.nodes import NodeTable
from mashbill.policy.expressions import Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.lineage.public import PublicLineage

FACTS = ("name", "what", "provider", "country", "kind", "license", "route", "released")
"""names that an expression may use; all are texts, empty where not recorded"""


@dataclass(frozen=True)
class Column:
    """One fact of every node."""

    code: np.ndarray
    """int32, shape (n,): place in ``values``"""
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


@dataclass(frozen=True)
class Things:
    """A circuit with the facts of its nodes."""

    circuit: Circuit
    thing: np.ndarray
    """bool, shape (n,): nodes that are a source or an artifact, and not something in between"""
    columns: dict[str, Column]
    """by the names in FACTS"""

    @property
    def made(self) -> np.ndarray:
        """Things whose making is recorded, bool, shape (n,)."""
        return self.thing & (np.diff(self.circuit.start) > 0)

    def matching(self, expression: Expression) -> np.ndarray:
        """Return which things an expression holds of, bool, shape (n,).

        Raises:
            InputError: if it cannot be put to texts, or gives something else than true or false.
        """
        names = [name for name in FACTS if name in expression.names]
        size = self.circuit.size
        if not names:
            return self.thing & expression.holds({})
        combined = np.zeros(size, np.int64)
        for name in names:
            column = self.columns[name]
            combined = combined * len(column.values) + column.code
        distinct, first, back = np.unique(combined, return_index=True, return_inverse=True)
        holds = np.zeros(len(distinct), bool)
        for place, node in enumerate(first.tolist()):
            facts: dict[str, Any] = {name: self.columns[name][node] for name in names}
            holds[place] = expression.holds(facts)
        return self.thing & holds[back]

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
    for (name, route), node in lineage.node.items():
        entity = lineage.catalogue.entities[name]
        facts = {
            "name": entity.id, "what": entity.what, "provider": entity.provider,
            "country": entity.country, "kind": entity.kind, "license": entity.license or "",
            "route": route, "released": entity.released,
        }  # fmt: skip
        thing[node] = True
        for key, value in facts.items():
            rows[key][node] = value
    return Things(circuit, thing, {key: Column.of(texts) for key, texts in rows.items()})


def things_of_store(store: Store) -> Things:
    """Return the sources and artifacts of a store as things."""
    table = NodeTable()
    for manifest in store.manifests():
        table.absorb(NodeTable.of(store, manifest))
    circuit = Circuit.of(table)
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
    return Things(circuit, thing, {key: Column.of(texts) for key, texts in rows.items()})
