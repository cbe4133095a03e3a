"""What is in a store, and what is in an artifact: its rows, what was rejected and why, a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import InputError
from mashbill.core.json_fields import json_columns
from mashbill.core.reasons import rejections
from mashbill.core.record import REASON, user_columns
from mashbill.lineage.described import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.core.reasons import Counted
    from mashbill.lineage.described import Described
    from mashbill.workspace.artifact import Artifact
    from mashbill.workspace.questions import Questions

MOST = 1000
"""rows that are shown at once, at most"""


@dataclass(frozen=True)
class Listed:
    """An artifact, in a line."""

    name: str
    kind: str
    """dataset or model"""
    made_by: str
    """kind of the stage"""
    rows: int
    rejected: int
    made: str
    """when it was committed, as the ledger says it: ISO 8601, UTC"""
    bytes: int
    """of its files"""
    removed: str = ""
    """when, by whom and why its rows or weights were removed; empty if they were not"""
    removed_on: str = ""
    """the day, YYYY-MM-DD; empty if they were not"""


def listed(space: Questions) -> list[Listed]:
    """Return what is in a store, oldest first."""
    committed = space.store().committed()
    return [
        Listed(
            one.name,
            one.manifest.kind,
            str(one.manifest.stage["kind"]),
            one.manifest.rows,
            one.manifest.rejected_rows,
            str(committed[one.name].predicate.get("at", "")),
            sum(path.stat().st_size for path in one.folder.rglob("*") if path.is_file()),
            str(one.removal or ""),
            one.removal.day if one.removal is not None else "",
        )
        for one in space.artifacts()
    ]


@dataclass(frozen=True)
class Row:
    """A row, as it is shown."""

    number: int
    values: dict[str, Any]
    """of its columns, receipts left out"""
    reason: str = ""
    """why it was rejected, if it was"""


@dataclass(frozen=True)
class Shown:
    """What there is to see of an artifact."""

    artifact: Artifact
    columns: dict[str, str]
    """name -> type, in words; empty of a model"""
    rows: tuple[Row, ...]
    reasons: tuple[Counted, ...]
    """why rows were rejected, the commonest first"""
    described: Described | None = None
    """of a model: what it is, how it is used, how good it is"""
    nested: frozenset[str] = frozenset()
    """columns whose lists and tables a store keeps as texts of JSON"""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of a model that labels."""
        return () if self.described is None else tuple(one.name for one in self.described.labels)

    def told(self) -> dict[str, Any]:
        """Return it as a value of JSON."""
        manifest = self.artifact.manifest
        return {
            "name": self.artifact.name,
            "kind": manifest.kind,
            "stage": manifest.stage,
            "inputs": [one.name for one in manifest.inputs],
            "rows": manifest.rows,
            "rejected": manifest.rejected_rows,
            "reasons": [{"reason": one.reason, "rows": one.rows} for one in self.reasons],
            "columns": self.columns,
            "labels": list(self.labels),
            "described": None if self.described is None else self.described.as_json(),
            "measures": manifest.measures,
            "removed": self.artifact.removal.as_json() if self.artifact.removal else None,
            "shown": [
                {"row": one.number, "reason": one.reason or None, "values": one.values}
                for one in self.rows
            ],
        }


def shown(
    artifact: Artifact,
    *,
    start: int = 0,
    rows: int = 5,
    rejects: bool = False,
    columns: Sequence[str] = (),
) -> Shown:
    """Return what there is to see of an artifact.

    Args:
        artifact: it.
        start: row from which on rows are shown; from the end if it is negative.
        rows: how many, at most :data:`MOST`.
        rejects: whether those are shown that were rejected.
        columns: that are shown; all if empty.

    Raises:
        InputError: if it has no such column, or rows of a model are asked for.
    """
    manifest = artifact.manifest
    reasons = rejections(artifact.folder, manifest.rejected)
    why = tuple(reasons.commonest(None))
    if manifest.kind == "model":
        if rejects or columns:
            msg = f"{artifact.name} is a model, and has no rows; `mashbill predict` asks it"
            raise InputError(msg)
        return Shown(artifact, {}, (), why, describe(artifact.store, manifest))
    if artifact.removal is not None:
        if columns:
            artifact.store.check_there(manifest.ref)
        return Shown(artifact, {}, (), why)
    data = artifact.store.dataset(manifest.ref)
    there = user_columns(data.columns)
    lacking = [name for name in columns if name not in there]
    if lacking:
        msg = (
            f"{artifact.name} has no column {', '.join(map(repr, lacking))}; it has "
            f"{', '.join(there)}"
        )
        raise InputError(msg)
    wanted = [name for name in there if not columns or name in columns]
    whole = manifest.rejected_rows if rejects else manifest.rows
    begin = max(0, whole + start) if start < 0 else start
    end = min(whole, begin + min(rows, MOST))
    if rejects:
        found = tuple(_rejected(artifact, wanted, begin, end))
    else:
        table = data.read(begin, max(begin, end), wanted).to_pylist()
        found = tuple(Row(begin + at, values) for at, values in enumerate(table))
    types = {name: _type(data.schema.field(name).type) for name in wanted}
    return Shown(artifact, types, found, why, nested=frozenset(json_columns(data.schema)))


def _rejected(artifact: Artifact, wanted: Sequence[str], begin: int, end: int) -> Iterator[Row]:
    number = 0
    for shard in artifact.manifest.rejected:
        if number >= end:
            return
        if number + shard.rows > begin:
            path = artifact.folder / shard.file
            with pq.ParquetFile(path) as file:
                names = [name for name in (*wanted, REASON) if name in file.schema_arrow.names]
                for at, row in enumerate(file.read(names).to_pylist(), number):
                    if begin <= at < end:
                        reason = row.pop(REASON, None) or "no reason was given"
                        yield Row(at, row, str(reason))
        number += shard.rows


def _type(kind: pa.DataType) -> str:
    """Return a type in words."""
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return f"table of {', '.join(field.name for field in kind)}"
    words: Mapping[str, Any] = {
        "text": (pa.types.is_string, pa.types.is_large_string),
        "whole number": (pa.types.is_integer,),
        "number": (pa.types.is_floating, pa.types.is_decimal),
        "true or false": (pa.types.is_boolean,),
        "time": (pa.types.is_temporal,),
        "bytes": (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary),
        "nothing": (pa.types.is_null,),
    }
    found = (word for word, tests in words.items() if any(test(kind) for test in tests))
    return next(found, str(kind))
