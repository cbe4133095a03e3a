"""Walking from one record back to where it came from, or on to what was made of it.

By row position, a lookup a hop (as in Psallidas and Wu, "Smoke", VLDB 2018): ``_from`` of a row
counts over all inputs of role ``rows``, one behind the other.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.errors import InputError, StoreError
from mashbill.core.record import BILL, CALL, FROM, printable
from mashbill.core.words import words
from mashbill.lineage.bills.telling import counted
from mashbill.lineage.circuit.contradicted import table_of
from mashbill.lineage.circuit.nodes import edges, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mashbill.calls.asked_here import Call
    from mashbill.calls.journal import Journal
    from mashbill.core.dataset import Dataset
    from mashbill.core.source import Source
    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable

_NESTED = 40  # hops inside each other that JSON has
_MANY = 2_000  # hops from which on a row that was shown is not shown again: there may be 2^n ways


@dataclass
class Hop:
    """One hop of a trace: a row, a model, a call or a source, and what lies behind it."""

    kind: str
    """row, model, call or source"""
    what: str
    """artifact address with row, or a title"""
    facts: dict[str, Any] = field(default_factory=dict)
    behind: list[Hop] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the hop and all behind it for a program.

        Readers of JSON follow only so many levels: what is nested deeper than 40 hops stands in
        ``further`` of the outermost, and in its place a hop of kind ``further`` whose fact
        ``place`` says where in that list.
        """
        top = self._alone()
        further: list[dict[str, Any]] = []
        waiting = [(self, top, 1)]
        while waiting:
            hop, made, depth = waiting.pop()
            for other in hop.behind:
                own = other._alone()  # noqa: SLF001
                if depth < _NESTED:
                    made["behind"].append(own)
                    waiting.append((other, own, depth + 1))
                    continue
                pointer = Hop("further", other.what, {"place": len(further)})
                made["behind"].append(pointer._alone())
                further.append(own)
                waiting.append((other, own, 1))
        return {**top, "further": further} if further else top

    def _alone(self) -> dict[str, Any]:
        return {"kind": self.kind, "what": self.what, "facts": self.facts, "behind": []}

    def walk(self) -> Iterator[tuple[int, Hop]]:
        """Yield (depth, hop) of this one, at depth 0, and of all behind it, each before its own."""
        waiting = [(0, self)]
        while waiting:
            depth, hop = waiting.pop()
            yield depth, hop
            waiting += [(depth + 1, other) for other in reversed(hop.behind)]


@dataclass(frozen=True)
class _Open:
    """A row that is still to be traced."""

    hop: Hop
    manifest: Manifest
    position: int
    models: frozenset[str]
    """those that this branch has already opened"""


class Tracer:
    """Traces records of one store. What it read once it keeps, so that many rows are quick."""

    def __init__(
        self, store: Store, journal: Journal | None, withheld: Mapping[str, str] | None = None
    ) -> None:
        """Trace in ``store``.

        Args:
            store: where the artifacts lie.
            journal: of calls; without one they are named and not shown.
            withheld: address -> why the texts of its rows are not shown; a trace stops there.
        """
        self._withheld = withheld or {}
        self._store = store
        self._journal = journal
        self._nodes: dict[ArtifactRef, NodeTable] = {}
        self._manifests: dict[ArtifactRef, Manifest] = {}
        self._named: dict[str, Manifest] = {}
        self._datasets: dict[ArtifactRef, Dataset] = {}
        self._words: dict[ArtifactRef, list[frozenset[str]]] = {}
        self._rarity: dict[ArtifactRef, dict[str, float]] = {}

    def trace(self, name: str, row: int) -> Hop:
        """Trace a row of a dataset, or of the training set of a model.

        Raises:
            StoreError: if there is no artifact of that name.
            InputError: if it has no such row.
        """
        manifest = self._named.get(name) or self._store.find(name)
        self._named[name] = manifest
        if manifest.kind == "dataset":
            return self._walk(manifest, row, self._row)
        place = row
        inputs = _inputs(manifest, "trained-on")
        sizes = [self._manifest(ref).rows for ref in inputs]
        for ref, size in zip(inputs, sizes, strict=True):
            if 0 <= place < size:
                behind = self._walk(self._manifest(ref), place, self._row)
                facts = {"rows it learned from": sum(sizes), **_small(manifest.measures)}
                return Hop("model", str(manifest.ref), facts, [behind])
            place -= size
        msg = f"{manifest.ref} learned from rows 0 to {sum(sizes) - 1}; row {row} is not one"
        raise InputError(msg)

    def _manifest(self, ref: ArtifactRef) -> Manifest:
        manifest = self._manifests.get(ref) or self._store.get(ref)
        if manifest is None:
            msg = f"{self._store.root} lacks {ref}, which the trace leads to; copy it as well"
            raise StoreError(msg)
        self._manifests[ref] = manifest
        return manifest

    def _dataset(self, ref: ArtifactRef) -> Dataset:
        if ref not in self._datasets:
            self._datasets[ref] = self._store.dataset(ref)
        return self._datasets[ref]

    def _table(self, manifest: Manifest) -> NodeTable:
        if manifest.ref not in self._nodes:
            self._nodes[manifest.ref] = table_of(self._store, manifest)
        return self._nodes[manifest.ref]

    def _walk(
        self, manifest: Manifest, position: int, step: Callable[[list[_Open], _Open], None]
    ) -> Hop:
        """Trace a row, one hop after the other: a chain may be longer than calls may nest.

        Args:
            manifest: the dataset's.
            position: the row in it.
            step: traces one row, and opens the rows that follow it.
        """
        waiting: list[_Open] = []
        top = self._opened(waiting, manifest, position, frozenset())
        shown: set[tuple[ArtifactRef, int]] = set()
        count = 0
        while waiting:
            work = waiting.pop()
            count += 1
            if count > _MANY and (work.manifest.ref, work.position) in shown:
                work.hop.facts["see"] = "above"
                continue
            shown.add((work.manifest.ref, work.position))
            step(waiting, work)
        return top

    def _opened(
        self, waiting: list[_Open], manifest: Manifest, position: int, models: frozenset[str]
    ) -> Hop:
        """Return the hop of a row that is still to be traced."""
        hop = Hop("row", f"{manifest.ref} row {position}")
        waiting.append(_Open(hop, manifest, position, models))
        return hop

    def _row(self, waiting: list[_Open], work: _Open) -> None:
        """Trace a row, and open the rows behind it."""
        hop, manifest, shown = work.hop, work.manifest, work.models
        why = self._withheld.get(str(manifest.ref))
        if why is not None:
            hop.facts |= {"by": manifest.stage["kind"], "its texts": why}
            return
        row = self._dataset(manifest.ref).row(work.position)
        facts = {key: value for key, value in printable(row).items() if not key.startswith("_")}
        hop.facts |= {"by": manifest.stage["kind"], **facts}
        for ref in _inputs(manifest, "actor"):
            text = facts.get("text", "")
            hop.behind.append(self._model(waiting, self._manifest(ref), text, shown))
            if str(ref) not in shown:
                shown |= {str(ref)}
        if row.get(CALL) is not None:
            hop.behind.append(self._call(row[CALL].hex()))
        came_from = row.get(FROM)
        positions: list[Any] = came_from if isinstance(came_from, list) else [came_from]
        rows = _inputs(manifest, "rows")
        for place in positions if rows else ():
            ref, at = self._input_row(rows, int(place))
            hop.behind.append(self._opened(waiting, self._manifest(ref), at, shown))
        if not rows:
            hop.behind += self._origins(manifest, row)

    def _input_row(self, rows: list[ArtifactRef], place: int) -> tuple[ArtifactRef, int]:
        """Return which input a position over all of them falls in, and the row there."""
        for ref in rows[:-1]:
            size = self._manifest(ref).rows
            if place < size:
                return ref, place
            place -= size
        return rows[-1], place

    def _origins(self, manifest: Manifest, row: dict[str, Any]) -> list[Hop]:
        """Return the sources that a first row came from."""
        table = self._table(manifest)
        hops = []
        for how, leaf in _leaves(table, table.numbered[row[BILL]]):
            details = {"row in its file": row.get(FROM), "license": leaf.license, "kind": leaf.kind}
            if leaf.contradicted:
                details["contradicted"] = leaf.contradicted
            if how != "content":
                details["through"] = how
            hops.append(Hop("source", leaf.title, details))
        return hops

    def forward(self, name: str, row: int) -> Hop:
        """Trace a row of a dataset on, to everything in the store that was made of it.

        Raises:
            StoreError: if there is no artifact of that name.
            InputError: if it has no such row, or is a model.
        """
        manifest = self._store.find(name)
        if manifest.kind == "model":
            msg = f"{manifest.ref} is a model; a row to trace forward must be a dataset's"
            raise InputError(msg)
        after: dict[ArtifactRef, list[Manifest]] = {}
        for other in self._store.manifests():
            for item in other.inputs:
                if "@" in item.name:
                    users = after.setdefault(ArtifactRef.parse(item.name), [])
                    users += [other] if other not in users else []
        return self._walk(manifest, row, lambda waiting, work: self._ahead(waiting, work, after))

    def _ahead(
        self, waiting: list[_Open], work: _Open, after: dict[ArtifactRef, list[Manifest]]
    ) -> None:
        hop, manifest, position = work.hop, work.manifest, work.position
        values = printable(self._dataset(manifest.ref).row(position))
        facts = {key: value for key, value in values.items() if not key.startswith("_")}
        hop.facts |= {"by": manifest.stage["kind"], **facts}
        for other in after.get(manifest.ref, ()):
            rows = _inputs(other, "rows")
            if manifest.ref in _inputs(other, "trained-on"):
                hop.behind.append(self._learned(other, after))
            elif manifest.ref in rows:
                before = sum(self._manifest(ref).rows for ref in rows[: rows.index(manifest.ref)])
                for place in self._dataset(other.ref).made_of(before + position):
                    hop.behind.append(self._opened(waiting, other, place, frozenset()))

    def _learned(self, model: Manifest, after: dict[ArtifactRef, list[Manifest]]) -> Hop:
        """Name a model that learned from a row, and what it did then: to all rows alike."""
        acted = [str(other.ref) for other in after.get(model.ref, ())]
        facts = {"then acted on": ", ".join(acted)} if acted else {}
        return Hop("model", str(model.ref), {"learned from it": True, **facts})

    def _model(
        self, waiting: list[_Open], manifest: Manifest, text: str, shown: frozenset[str]
    ) -> Hop:
        channel = next((i.channel for i in manifest.inputs if i.role == "trained-on"), "")
        facts: dict[str, Any] = {"learned through": channel}
        if str(manifest.ref) in shown:
            return Hop("model", str(manifest.ref), {"see": "above"})
        hop = Hop("model", str(manifest.ref), facts)
        for ref in _inputs(manifest, "trained-on"):
            trained_on = self._manifest(ref)
            if trained_on.kind != "dataset" or not trained_on.rows:
                continue
            place, shared = self._closest(trained_on, text)
            facts["learned from"] = f"{counted(trained_on.rows, 'row')} of {ref}"
            facts["shown"] = f"row {place}, the closest of them by words ({', '.join(shared)})"
            models = shown | {str(manifest.ref)}
            hop.behind.append(self._opened(waiting, trained_on, place, models))
        return hop

    def _closest(self, manifest: Manifest, text: str) -> tuple[int, list[str]]:
        """Return the row that shares most words, rare ones weighing more, and those words.

        A model learned from all of its rows; one has to stand for them on the page. The measure is
        Jaccard's index with inverse document frequencies for weights.
        """
        if manifest.ref not in self._words:
            texts = self._dataset(manifest.ref).column("text").to_pylist()
            split = [frozenset(words(text)) for text in texts]
            counts = Counter(word for row in split for word in row)
            self._words[manifest.ref] = split
            self._rarity[manifest.ref] = {
                word: math.log((1 + len(split)) / count) for word, count in counts.items()
            }
        own = frozenset(words(text))
        others = self._words[manifest.ref]
        rarity = self._rarity[manifest.ref]

        def closeness(place: int) -> float:
            shared = sum(rarity[word] for word in own & others[place])
            alone = sum(rarity[word] for word in others[place] - own)
            return shared / (1 + shared + alone)

        best = max(range(len(others)), key=closeness)
        return best, sorted(own & others[best], key=lambda word: (-rarity[word], word))[:5]

    def _call(self, request: str) -> Hop:
        call: Call | None = self._journal.call(request) if self._journal else None
        if call is None:
            return Hop("call", request[:16], {"request": request, "journal": "not in this store"})
        return Hop(
            "call",
            request[:16],
            {
                "asked": call.body,
                "after": f"{len(call.prefix)} characters of few-shot prompt",
                **_answer(call),
                "at": call.at,
                "tokens": call.tokens,
                "price": call.price,
                "teacher": call.teacher,
                "request": request,
            },
        )


def _leaves(table: NodeTable, node: str) -> list[tuple[str, Source]]:
    """Return (via, source) of a first row's origins; of what is contradicted, what it is by now."""
    found = []
    waiting, met = [("content", node)], {node}
    while waiting:
        how, name = waiting.pop(0)
        body = table.bodies[name]
        if body["type"] == "source":
            found.append((how, source_of(body)))
        for via, part, _, _ in edges(body):
            if part not in met:
                met.add(part)
                waiting.append((via if how == "content" else how, part))
    return found


def _answer(call: Call) -> dict[str, Any]:
    """Say what a teacher answered: the text that it wrote, or how likely it held each choice."""
    if not call.choices:
        return {"wrote": call.text}
    pairs = zip(call.choices, call.logprobs, strict=True)
    return {"answered, log-probabilities": {choice: round(value, 4) for choice, value in pairs}}


def _inputs(manifest: Manifest, role: str) -> list[ArtifactRef]:
    return [
        ArtifactRef.parse(item.name)
        for item in manifest.inputs
        if item.role == role and "@" in item.name
    ]


def _small(measures: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in measures.items() if isinstance(value, int | float | str)}
