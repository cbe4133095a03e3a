"""What became of the rows on the way to a dataset: by stage, by source, and why rows went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from mashbill.core.artifact import ArtifactRef
from mashbill.core.reasons import Counted, rejections
from mashbill.core.record import BILL
from mashbill.core.source import Channel
from mashbill.lineage.circuit.nodes import NodeTable, children, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_REASONS = 8  # that are told of a stage
_SOURCES = 12  # that are told of a stage; the rest is put together
_NAMED = 3  # sources of one row that are named
OTHERS = "others"
_LOOKED = frozenset({"decontaminate"})


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
    sources: tuple[tuple[str, int, int], ...]
    """(whose text it is, rows kept, rows rejected), the most rows first"""

    @property
    def share(self) -> float:
        """Rows kept, of all that it made."""
        return self.kept / (self.kept + self.rejected) if self.kept + self.rejected else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "artifact": self.artifact, "kind": self.kind, "taken": self.taken, "kept": self.kept,
            "rejected": self.rejected,
            "reasons": [{"rows": each.rows, "reason": each.reason} for each in self.reasons],
            "sources": [
                {"source": name, "kept": kept, "rejected": gone}
                for name, kept, gone in self.sources
            ],
        }  # fmt: skip


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
    for one in chain:
        folder = store.folder(one.kind, one.ref)
        reasons = rejections(folder, one.rejected)
        taken = [rows.get(item.name) for item in one.inputs if item.role == "rows"]
        known = [count for count in taken if count is not None]
        yield Yield(
            str(one.ref),
            str(one.stage.get("kind", "")),
            sum(known) if taken and len(known) == len(taken) else None,
            one.rows,
            one.rejected_rows,
            tuple(reasons.commonest(_REASONS)),
            tuple(_by_source(store, one)),
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


def _by_source(store: Store, manifest: Manifest) -> list[tuple[str, int, int]]:
    """Return (whose text it is, rows kept, rows rejected)."""
    table = NodeTable.of(store, manifest)
    gone = np.zeros(len(table.numbered), np.int64)
    folder = store.folder(manifest.kind, manifest.ref)
    for shard in manifest.rejected:
        path = folder / shard.file
        if path.exists():  # a store that lost a file is told of by an audit
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=[BILL]):
                    bills = np.asarray(batch.column(0), np.int64)
                    gone += np.bincount(bills, minlength=len(gone))[: len(gone)]
    kept: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    names = _names(table)
    for node, records, less in zip(table.numbered, table.records, gone.tolist(), strict=True):
        kept[names[node]] += records
        lost[names[node]] += less
    every = kept + lost
    told = [name for name, _ in every.most_common(_SOURCES)]
    found = [(name, kept[name], lost[name]) for name in told]
    rest = (kept.total() - sum(each[1] for each in found),
            lost.total() - sum(each[2] for each in found))  # fmt: skip
    return [*found, (OTHERS, *rest)] if any(rest) else found


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
