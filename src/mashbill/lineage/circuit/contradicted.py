"""Declared origins with what speaks against them, put beside the nodes where lineage is read.

A node says what was declared, and its digest does not depend on what else a store holds. That the
declaration is contradicted stands in the ledger's entry of the commit; here both are read together:
a declared source becomes one of which nothing is known, and what its marks lead to becomes a part
of it. So every bill, verdict, decision and page tells of it, of the artifact itself and of all that
was made from it. An audit and the executor read the nodes alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import digest
from mashbill.core.errors import RecipeError, StoreError
from mashbill.core.given import TAKEN_IN
from mashbill.core.marks import CONTRADICTED, Contradiction
from mashbill.core.parsing import foreign
from mashbill.core.source import Source
from mashbill.lineage.circuit.nodes import CONTENT, NodeTable, check_body, parts_of, source_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.core.artifact import Manifest
    from mashbill.core.ledger import Entry
    from mashbill.core.store import Store

_LONGEST = 1_000  # characters of the sentence that goes with a source


def told_of(store: Store, artifact: str) -> Contradiction | None:
    """Return what speaks against the origin declared of an artifact, as its last commit has it.

    Entries that do not count are not read: else whoever can write would take it back.
    """
    entry = store.committed().get(artifact)
    value = None if entry is None else entry.predicate.get(CONTRADICTED)
    if entry is None or not isinstance(value, dict):
        return None
    return Contradiction.read(value, f"entry {entry.index} of the ledger")


def contradictions(store: Store, manifest: Manifest) -> dict[str, Contradiction]:
    """Return what speaks against declared origins of an artifact and of all that it rests on.

    Returns:
        Artifact that the origin was declared of -> contradiction, itself first.
    """
    entries = store.committed()
    if not any(entry.predicate.keys() & {CONTRADICTED, TAKEN_IN} for entry in entries.values()):
        return {}
    found: dict[str, Contradiction] = {}
    for each in behind(store, manifest):
        told = told_of(store, str(each.ref))
        if told is not None:
            found[str(each.ref)] = told
        found |= _taken_in(entries[str(each.ref)])
    return found


def _taken_in(entry: Entry) -> dict[str, Contradiction]:
    """Return what spoke against origins behind an artifact in the store that it was taken from."""
    told = entry.predicate.get(TAKEN_IN)
    listed = told.get(CONTRADICTED) if isinstance(told, dict) else None
    where = f"entry {entry.index} of the ledger"
    return {
        f"{entry.told('artifact')}, taken in ({number})": Contradiction.read(value, where)
        for number, value in enumerate(listed if isinstance(listed, list) else [], 1)
        if isinstance(value, dict)
    }


def behind(store: Store, manifest: Manifest) -> list[Manifest]:
    """Return an artifact and all artifacts of the store that it rests on, itself first."""
    met: dict[str, Manifest] = {}
    waiting: list[Manifest | None] = [manifest]
    while waiting:
        current = waiting.pop(0)
        if current is not None and str(current.ref) not in met:
            met[str(current.ref)] = current
            waiting += [_artifact(store, item.name) for item in current.inputs]
    return list(met.values())


def _artifact(store: Store, name: str) -> Manifest | None:
    try:
        return store.get(ArtifactRef.parse(name))
    except RecipeError:  # a teacher's title is no address
        return None


def table_of(store: Store, manifest: Manifest) -> NodeTable:
    """Return an artifact's nodes as they are to be read: with what speaks against them."""
    return beside(NodeTable.of(store, manifest), contradictions(store, manifest).values())


def beside(table: NodeTable, told: Iterable[Contradiction]) -> NodeTable:
    """Return a table in which contradicted sources are no longer what they were declared as.

    Node digests stay those of what was declared: the result is for answering questions, not
    evidence, as that of :func:`mashbill.lineage.circuit.nodes.supposing` is.

    Raises:
        StoreError: if what a contradiction leads to are no nodes.
    """
    found = [(one, [leaf for leaf in one.leaves if _is_leaf(table, leaf)]) for one in told]
    exchanged = {leaf for _, leaves in found for leaf in leaves}
    if not exchanged:
        return table
    bodies = dict(table.bodies)
    for one, leaves in found:
        if not leaves:
            continue
        with foreign("the ledger", "nodes", error=StoreError, remedy="run `mashbill audit`"):
            nodes, called = _apart(one.nodes, exchanged)
            bodies |= {name: body for name, body in nodes.items() if name not in bodies}
            for leaf in leaves:
                bodies |= _exchanged(table.bodies[leaf], leaf, one, called)
    return NodeTable(bodies, table.numbered, table.records, table.tokens, table.root)


def _is_leaf(table: NodeTable, name: str) -> bool:
    """Return whether a table has what a contradiction is about: a source, or a model's node."""
    return name in table.bodies and table.bodies[name]["type"] in {"source", "model"}


def _apart(
    nodes: dict[str, dict[str, Any]], exchanged: set[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return nodes with those under other names that rest on a leaf which is to be exchanged.

    What a text rests on may be declared by the same words as the set that it is found in: it would
    rest on itself.

    Returns:
        The nodes by name, and the new names of those that have one.
    """
    above: dict[str, list[str]] = {}
    for name, body in nodes.items():
        check_body(body)
        for part in parts_of(body):
            above.setdefault(part, []).append(name)
    waiting = [name for name in nodes if name in exchanged]
    called = {name: f"{name}, as it was declared elsewhere" for name in waiting}
    while waiting:
        for name in above.get(waiting.pop(), ()):
            if name not in called:
                called[name] = f"{name}, as it was declared elsewhere"
                waiting.append(name)
    return {called.get(name, name): _renamed(body, called) for name, body in nodes.items()}, called


def _renamed(body: dict[str, Any], called: dict[str, str]) -> dict[str, Any]:
    """Return a body whose parts have their new names."""
    key = "parts" if body["type"] == "made" else "members"
    if key not in body:
        return body
    return {**body, key: [[called.get(each, each) if isinstance(each, str) else each
                           for each in part] for part in body[key]]}  # fmt: skip


def _exchanged(
    body: dict[str, Any], leaf: str, one: Contradiction, called: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the bodies that stand for a contradicted leaf.

    What is behind every row is a part of it; of what is behind some rows it is not known which,
    so it stands in a mixture whose weights are not known: a share between nothing and all. A model
    that others trained rests on what its files claim, too, in parts that are not known.
    """
    if body["type"] == "model":
        return _claimed(body, leaf, one, called)
    own = {"type": "source", **unknown_source(source_of(body), one).model_dump(mode="json")}
    name = digest(own)
    told = [(how, called.get(node, node), whole) for how, node, whole in one.parts]
    parts = [[CONTENT, name], *([how, node] for how, node, whole in told if whole)]
    found = {name: own}
    some = [(how, node) for how, node, whole in told if not whole]
    if some:
        mixed = []
        for how, node in [(CONTENT, name), *some]:
            made = {"type": "made", "parts": [[how, node]]}
            key = digest(made)
            found[key] = made
            mixed.append([key, None, None])
        mixture: dict[str, Any] = {
            "type": "dataset",
            "artifact": "rows that marks lead to",
            "members": mixed,
        }
        key = digest(mixture)
        found[key] = mixture
        parts.append([CONTENT, key])
    found[leaf] = {"type": "made", "parts": [list(part) for part in parts]}
    return found


def _claimed(
    body: dict[str, Any], leaf: str, one: Contradiction, called: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the bodies that stand for a model whose files claim else than is said of it."""
    artifact = str(body["artifact"])
    source = Source(name=artifact, what="model", kind="unknown", route="training elsewhere")
    own = {"type": "source", **unknown_source(source, one).model_dump(mode="json")}
    name = digest(own)
    parts = [(how, called.get(node, node)) for how, node, _ in one.parts]
    more = [[how, node, None] for how, node in [(CONTENT, name), *parts]]
    return {name: own, leaf: {**body, "members": [*body["members"], *more]}}


def unknown_source(source: Source, one: Contradiction) -> Source:
    """Return a contradicted source: nothing of what was declared of it can be read as known."""
    says = one.says
    return source.model_copy(
        update={
            "what": "unknown", "kind": "unknown", "provider": "unknown", "country": "unknown",
            "license": None, "called_by": "",
            "contradicted": says if len(says) <= _LONGEST else f"{says[:_LONGEST]}...",
        }
    )  # fmt: skip
