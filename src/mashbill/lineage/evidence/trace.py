"""Walking from one record back to where it came from, or on to what was made of it.

By row position, a lookup a hop (as in Psallidas and Wu, "Smoke", VLDB 2018): ``_from`` of a row
counts over all inputs of role ``rows``, one behind the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.errors import InputError, StoreError
from mashbill.core.given import TAKEN_IN
from mashbill.core.record import BILL, CALL, FROM, printable
from mashbill.lineage.bills.telling import counted
from mashbill.lineage.circuit.contradicted import table_of
from mashbill.lineage.circuit.nodes import edges, source_of
from mashbill.lineage.evidence.closest import Closest
from mashbill.lineage.evidence.hop import Hop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mashbill.calls.asked_here import Call
    from mashbill.calls.journal import Journal
    from mashbill.core.dataset import Dataset
    from mashbill.core.removals import Removal
    from mashbill.core.source import Source
    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable

_MANY = 2_000  # hops from which on a row that was shown is not shown again: there may be 2^n ways


@dataclass(frozen=True)
class _Open:
    """A row that is still to be traced."""

    hop: Hop
    manifest: Manifest
    position: int
    models: frozenset[str]
    """those that this branch has already opened"""
    of: tuple[Manifest, int] | None = None
    """the artifact and the number of the node of the row that led here; None at the beginning"""


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
        self._closest: dict[ArtifactRef, Closest] = {}

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
                facts = {"rows it learned from": sum(sizes), **_small(manifest.measures)}
                hop = Hop("model", str(manifest.ref), facts)
                waiting: list[_Open] = []
                hop.behind.append(self._opened(waiting, self._manifest(ref), place, frozenset()))
                hop.behind += self._beside(waiting, manifest, "", frozenset({str(manifest.ref)}))
                self._go_on(waiting, self._row)
                return hop
            place -= size
        if not inputs:
            msg = (
                f"{manifest.ref} learned from no rows of this store, so there is none to trace; "
                f"`mashbill bill {manifest.ref}` says what it rests on"
            )
            raise InputError(msg)
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
        self._go_on(waiting, step)
        return top

    def _go_on(self, waiting: list[_Open], step: Callable[[list[_Open], _Open], None]) -> None:
        """Trace the rows that wait, and those that they open."""
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

    def _opened(
        self,
        waiting: list[_Open],
        manifest: Manifest,
        position: int,
        models: frozenset[str],
        of: tuple[Manifest, int] | None = None,
    ) -> Hop:
        """Return the hop of a row that is still to be traced."""
        hop = Hop("row", f"{manifest.ref} row {position}")
        waiting.append(_Open(hop, manifest, position, models, of))
        return hop

    def _gone(self, work: _Open, removal: Removal) -> None:
        """Say that a row was removed, and which sources it rests on, as far as nodes tell.

        Of a row that another was made of these are the sources of both: the node of that one has
        all that is behind it.
        """
        manifest = work.manifest
        if not 0 <= work.position < manifest.rows:
            msg = (
                f"{manifest.ref} had rows 0 to {manifest.rows - 1}; row {work.position} is not one"
            )
            raise InputError(msg)
        work.hop.facts |= {"by": manifest.stage["kind"], "its rows": str(removal)}
        own = self._table(manifest)
        found = _leaves(own, own.root)
        if work.of is not None:
            table = self._table(work.of[0])
            behind = {leaf.title for _, leaf in _leaves(table, table.numbered[work.of[1]])}
            found = [(how, leaf) for how, leaf in found if leaf.title in behind]
        for how, leaf in found:
            facts = {"through": how, "license": leaf.license, "kind": leaf.kind}
            work.hop.behind.append(Hop("source", leaf.title, facts))

    def _row(self, waiting: list[_Open], work: _Open) -> None:
        """Trace a row, and open the rows behind it."""
        hop, manifest, shown = work.hop, work.manifest, work.models
        why = self._withheld.get(str(manifest.ref))
        if why is not None:
            hop.facts |= {"by": manifest.stage["kind"], "its texts": why}
            return
        removal = self._store.removal(manifest.ref)
        if removal is not None:
            self._gone(work, removal)
            return
        row = self._dataset(manifest.ref).row(work.position)
        facts = {key: value for key, value in printable(row).items() if not key.startswith("_")}
        hop.facts |= {"by": manifest.stage["kind"], **facts}
        for ref in (*_inputs(manifest, "actor"), *_inputs(manifest, "base")):
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
            came = (manifest, row[BILL])
            hop.behind.append(self._opened(waiting, self._manifest(ref), at, shown, came))
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
        removal = self._store.removal(manifest.ref)
        if removal is None:
            values = printable(self._dataset(manifest.ref).row(position))
            facts = {key: value for key, value in values.items() if not key.startswith("_")}
            hop.facts |= {"by": manifest.stage["kind"], **facts}
        elif 0 <= position < manifest.rows:
            hop.facts |= {"by": manifest.stage["kind"], "its rows": str(removal)}
        else:
            msg = f"{manifest.ref} had rows 0 to {manifest.rows - 1}; row {position} is not one"
            raise InputError(msg)
        for other in after.get(manifest.ref, ()):
            rows = _inputs(other, "rows")
            if manifest.ref in _inputs(other, "trained-on"):
                hop.behind.append(self._learned(other, after))
            elif manifest.ref in rows:
                gone = self._store.removal(other.ref)
                if gone is not None:  # which of its rows came from this one went with them
                    told = {"by": other.stage["kind"], "its rows": str(gone)}
                    hop.behind.append(Hop("dataset", str(other.ref), told))
                    continue
                before = sum(self._manifest(ref).rows for ref in rows[: rows.index(manifest.ref)])
                for place in self._dataset(other.ref).made_of(before + position):
                    hop.behind.append(self._opened(waiting, other, place, frozenset()))

    def _learned(self, model: Manifest, after: dict[ArtifactRef, list[Manifest]]) -> Hop:
        """Name a model that learned from a row, and what it did then: to all rows alike."""
        acted = [str(other.ref) for other in after.get(model.ref, ())]
        facts = {"then acted on": ", ".join(acted)} if acted else {}
        return Hop("model", str(model.ref), {"learned from it": True, **facts})

    def _model(
        self,
        waiting: list[_Open],
        manifest: Manifest,
        text: str,
        shown: frozenset[str],
    ) -> Hop:
        """Return the hop of a model, with what it learned from and started from.

        Args:
            waiting: gets the row that it learned from.
            manifest: of the model.
            text: what the model acted on, which the row is to be close to.
            shown: models that stand above in this branch.
        """
        hop = self._model_alone(waiting, manifest, text, shown)
        if str(manifest.ref) not in {*shown, *self._taken_in}:
            hop.behind += self._beside(waiting, manifest, text, shown | {str(manifest.ref)})
        return hop

    def _model_alone(
        self, waiting: list[_Open], manifest: Manifest, text: str, shown: frozenset[str]
    ) -> Hop:
        """Return the same without what reached it beside its rows."""
        facts: dict[str, Any] = {}
        channel = next((i.channel for i in manifest.inputs if i.role == "trained-on"), "")
        if channel or not manifest.inputs:
            facts["learned through"] = channel
        if str(manifest.ref) in shown:
            return Hop("model", str(manifest.ref), {"see": "above"})
        hop = Hop("model", str(manifest.ref), facts)
        if (weights := self._store.removal(manifest.ref)) is not None:
            facts["its weights"] = str(weights)
        if str(manifest.ref) in self._taken_in:
            facts["learned through"] = "what another store holds: it was taken in from there"
            hop.behind += self._sources(manifest)
            return hop
        for ref in _inputs(manifest, "trained-on"):
            trained_on = self._manifest(ref)
            if trained_on.kind != "dataset" or not trained_on.rows:
                continue
            gone = self._store.removal(ref)
            if gone is not None:
                facts["learned from"] = f"{counted(trained_on.rows, 'row')} of {ref}, {gone}"
                hop.behind += self._sources(manifest)
                continue
            if ref not in self._closest:
                self._closest[ref] = Closest(self._dataset(ref))
            place, shared = self._closest[ref].to(text)
            facts["learned from"] = f"{counted(trained_on.rows, 'row')} of {ref}"
            facts["shown"] = f"row {place}, the closest of them by words ({', '.join(shared)})"
            models = shown | {str(manifest.ref)}
            hop.behind.append(self._opened(waiting, trained_on, place, models))
        return hop

    def _beside(
        self, waiting: list[_Open], manifest: Manifest, text: str, shown: frozenset[str]
    ) -> list[Hop]:
        """Return what reached a model beside its rows: bases, and who taught while it learned.

        A chain of models that start from models is walked with a list of what waits.
        """
        hops: list[Hop] = []
        open_: list[tuple[list[Hop], Manifest, frozenset[str]]] = [(hops, manifest, shown)]
        while open_:
            into, current, seen = open_.pop()
            for item in current.inputs:
                if item.role not in {"base", "actor", "teacher"}:
                    continue
                if item.source is not None:
                    facts = {"through": item.channel, "license": item.source.license,
                             "kind": item.source.kind}  # fmt: skip
                    into.append(Hop("source", item.source.title, facts))
                    continue
                model = self._manifest(ArtifactRef.parse(item.name))
                hop = self._model_alone(waiting, model, text, seen)
                hop.facts["through"] = item.channel
                into.append(hop)
                if str(model.ref) not in seen and str(model.ref) not in self._taken_in:
                    open_.append((hop.behind, model, seen | {str(model.ref)}))
        return hops

    @cached_property
    def _taken_in(self) -> frozenset[str]:
        """Addresses of what another store made."""
        entries = self._store.committed().items()
        return frozenset(name for name, entry in entries if TAKEN_IN in entry.predicate)

    def _sources(self, manifest: Manifest) -> list[Hop]:
        """Return the sources that a model rests on, each by the channel of its last step."""
        table = self._table(manifest)
        return [
            Hop("source", leaf.title, {"through": how, "license": leaf.license, "kind": leaf.kind})
            for how, leaf in _leaves(table, table.root)
        ]

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
