"""One's own lineage, gone on with by the catalogue: the history across organisations is one graph.

A teacher is where a store's own record ends. Where the catalogue has claims about what that teacher
was made from, they go on from there, as claims: shares below it are theirs, and so are the limits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.errors import InputError
from mashbill.lineage.circuit.arrays import SOURCE, Circuit
from mashbill.policy.model_names import resolve

if TYPE_CHECKING:
    from mashbill.core.source import Source
    from mashbill.lineage.catalogue.public import PublicLineage


def extended(circuit: Circuit, lineage: PublicLineage) -> tuple[Circuit, list[str]]:
    """Return a circuit in which known sources rest on what the catalogue claims.

    Args:
        circuit: an artifact's own.
        lineage: the catalogue's.

    Returns:
        the circuit, with the same root; and (source is entity) for each that goes on, for people.
    """
    public = lineage.circuit
    nodes = lineage.entity_nodes()
    goes_on: dict[int, int] = {}
    told = []
    for node in circuit.sources().tolist():
        source = circuit.source(node)
        entity = _entity(lineage, source) if circuit.type[node] == SOURCE else None
        if entity is not None and public.start[nodes[entity] + 1] > public.start[nodes[entity]]:
            goes_on[node] = nodes[entity]
            told.append(f"{source.title} is {entity}")
    if not goes_on:
        return circuit, []
    own, offset = circuit.size, circuit.size
    kind = np.concatenate([circuit.type, public.type])
    about = [json.dumps(circuit.facts(n)) for n in range(own)]
    about += [json.dumps(public.facts(n)) for n in range(public.size)]
    parts = [_edges(circuit, 0), _edges(public, offset)]
    for node, other in goes_on.items():
        kind[node] = public.type[other]
        source = circuit.source(node)
        facts = {"artifact": source.title, "source": source.model_dump(mode="json")}
        about[node] = json.dumps(facts)
        at = slice(int(public.start[other]), int(public.start[other + 1]))
        count = at.stop - at.start
        parts.append((np.full(count, node), public.to[at].astype(np.int64) + offset,
                      public.label[at], public.tokens[at], public.records[at]))  # fmt: skip
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    whole = Circuit.build(
        kind,
        *columns,
        digests=[*map(circuit.digest, range(own)), *map(public.digest, range(public.size))],
        about=about,
        described=np.concatenate([circuit.described, public.described]),
    )
    return whole.under(int(whole.place[circuit.root])), told


def _entity(lineage: PublicLineage, source: Source) -> str | None:
    if source.what not in ("model", "dataset"):
        return None
    if source.what == "model":  # a repack is another thing, and does not go on as what it is of
        return resolve(source.name, lineage.catalogue).id or None
    try:
        entity = lineage.catalogue.find(source.name)
    except InputError:
        return None
    return entity.id if entity.what == source.what else None


def _edges(circuit: Circuit, offset: int) -> tuple[np.ndarray, ...]:
    parent = np.repeat(np.arange(circuit.size), np.diff(circuit.start)) + offset
    to = circuit.to.astype(np.int64) + offset
    return parent, to, circuit.label, circuit.tokens, circuit.records
