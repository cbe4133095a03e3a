"""What became of the rows on the way to a dataset: by stage, by source, and why rows went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.artifact import ArtifactRef
from mashbill.core.reasons import Counted, Reasons, rejections
from mashbill.core.record import BILL, REASON
from mashbill.core.source import Channel
from mashbill.lineage.circuit.nodes import NodeTable, children, source_of
from mashbill.lineage.evidence.withheld import withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_REASONS = 8  # that are told of a stage
_SOURCES = 12  # that are told of a stage; the rest is put together
_OF_SOURCE = 3  # reasons that are told of a source
_NAMED = 3  # sources of one row that are named
OTHERS = "others"
_LOOKED = frozenset({"decontaminate"})


@dataclass(frozen=True)
class OfSource:
    """What a stage made of the rows of one source, or of several that made them together."""

    source: str
    """whose text it is"""
    kept: int
    rejected: int
    reasons: tuple[Counted, ...]
    """why its rows went, the commonest first"""

    def __str__(self) -> str:
        gone = f", {self.rejected:,} rejected" if self.rejected else ""
        why = f" ({'; '.join(map(str, self.reasons))})" if self.reasons else ""
        return f"{self.source}: {self.kept:,} kept{gone}{why}"


@dataclass(frozen=True)
class Yield:
    """What a stage made of its rows."""

    artifact: str
    kind: str
    """of the stage"""
    taken: int | None
    """rows that it took; None of a first stage"""
    kept: int
    rejected: int
    reasons: tuple[Counted, ...]
    """why rows went, the commonest first"""
    sources: tuple[OfSource, ...]
    """the most rows first"""

    @property
    def share(self) -> float:
        """Rows kept, of all that it made."""
        return self.kept / (self.kept + self.rejected) if self.kept + self.rejected else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "artifact": self.artifact, "kind": self.kind, "taken": self.taken, "kept": self.kept,
            "rejected": self.rejected,
            "reasons": _listed(self.reasons),
            "sources": [
                {"source": each.source, "kept": each.kept, "rejected": each.rejected,
                 "reasons": _listed(each.reasons)}
                for each in self.sources
            ],
        }  # fmt: skip


def _listed(reasons: tuple[Counted, ...]) -> list[dict[str, Any]]:
    return [{"rows": each.rows, "reason": each.reason} for each in reasons]


def behind(store: Store, manifest: Manifest) -> list[Manifest]:
    """Return the datasets that a dataset's rows came through, it too, the first first."""
    found: dict[str, Manifest] = {}
    waiting = [manifest]
    while waiting:
        one = waiting.pop()
        if str(one.ref) in found:
            continue
        found[str(one.ref)] = one
        for item in one.inputs:
            if item.is_artifact and item.role == "rows":
                source = store.get(ArtifactRef.parse(item.name))
                waiting += [source] if source is not None else []
    order = {str(one.ref): at for at, one in enumerate(store.manifests())}
    return sorted(found.values(), key=lambda one: order.get(str(one.ref), 0))


def yields_of(store: Store, manifest: Manifest) -> Iterator[Yield]:
    """Yield what each stage on the way to a dataset made of its rows, the first first."""
    chain = behind(store, manifest)
    rows = {str(one.ref): one.rows for one in chain}
    hidden = withheld(store, manifest)
    for one in chain:
        folder = store.folder(one.kind, one.ref)
        elided = str(one.ref) in hidden
        reasons = rejections(folder, one.rejected, elided=elided)
        taken = [rows.get(item.name) for item in one.inputs if item.role == "rows"]
        known = [count for count in taken if count is not None]
        yield Yield(
            str(one.ref),
            str(one.stage.get("kind", "")),
            sum(known) if taken and len(known) == len(taken) else None,
            one.rows,
            one.rejected_rows,
            tuple(reasons.commonest(_REASONS)),
            tuple(_by_source(store, one, elided=elided)),
        )


def measured_on_the_way(store: Store, manifest: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what stages measured that looked for evaluation sets among the rows."""
    for one in behind(store, manifest):
        if one.stage.get("kind") in _LOOKED:
            yield str(one.ref), dict(_figures(one.measures))


def _figures(measures: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield all numbers among some measures, by the names on the way to each."""
    waiting: list[tuple[str, Any]] = [*measures.items()]
    while waiting:
        name, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting[:0] = [(f"{name}: {key}", inner) for key, inner in value.items()]
        elif isinstance(value, int | float):
            yield name, value


def _by_source(store: Store, manifest: Manifest, *, elided: bool) -> list[OfSource]:
    table = NodeTable.of(store, manifest)
    names = _names(table)
    kept: Counter[str] = Counter()
    for node, records in zip(table.numbered, table.records, strict=True):
        kept[names[node]] += records
    lost: dict[str, Reasons] = {}
    folder = store.folder(manifest.kind, manifest.ref)
    for shard in manifest.rejected:
        path = folder / shard.file
        if path.exists():  # a store that lost a file is told of by an audit
            for bill, reason, rows in _rejected(path):
                name = names[table.numbered[bill]]
                lost.setdefault(name, Reasons(elided=elided)).add(
                    reason or "no reason was given", rows
                )
    gone = Counter({name: reasons.rows for name, reasons in lost.items()})
    told = [name for name, _ in (kept + gone).most_common(_SOURCES)]
    found = [
        OfSource(name, kept[name], gone[name],
                 tuple(lost[name].commonest(_OF_SOURCE)) if name in lost else ())
        for name in told
    ]  # fmt: skip
    rest = OfSource(
        OTHERS,
        kept.total() - sum(each.kept for each in found),
        gone.total() - sum(each.rejected for each in found),
        (),
    )
    return [*found, rest] if rest.kept or rest.rejected else found


def _rejected(path: Path) -> Iterator[tuple[int, str | None, int]]:
    """Yield (node, reason, rows) of a file of rejected rows."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[BILL, REASON]):
            rows = pa.Table.from_batches([batch])
            for each in rows.group_by([BILL, REASON]).aggregate([([], "count_all")]).to_pylist():
                yield each[BILL], each[REASON], each["count_all"]


def _names(table: NodeTable) -> dict[str, str]:
    """Return of each node that rows point at whose text it is, in words."""
    found: dict[str, frozenset[str]] = {}
    waiting = list(table.numbered)
    while waiting:
        node = waiting[-1]
        body = table.bodies[node]
        if body["type"] == "source":
            found[node] = frozenset({source_of(body).title})
        elif body["type"] == "model":
            found[node] = frozenset({str(body["artifact"])})
        else:
            texts = [part for channel, part in children(body) if channel is Channel.CONTENT]
            parts = texts or [part for _, part in children(body)]
            missing = [part for part in parts if part not in found]
            if missing and node not in found:
                found[node] = frozenset()  # what leads back to itself adds nothing
                waiting += missing
                continue
            found[node] = frozenset().union(*(found[part] for part in parts))
        waiting.pop()
    return {node: _named(found[node]) for node in table.numbered}


def _named(names: frozenset[str]) -> str:
    told = sorted(names)
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return " + ".join(told[:_NAMED]) + more if told else "not recorded"
