"""What a stage may yield, held to it at the boundary: a slip is told once, with whose it is.

A stage's rows become records, so what is wrong with them has to be found before any lineage is
composed of it: a row without ``_from`` would belong to nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core import registry
from mashbill.core.errors import StageError
from mashbill.core.record import BILL, FROM, ID, REASON, REJECTED_BY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mashbill.core.stage import StageSpec

_DOCUMENT = "CONTRIBUTING.md, 'A stage'"


class Contract:
    """Holds what a stage yields to what a stage may yield."""

    def __init__(self, name: str, spec: StageSpec) -> None:
        """Prepare for one stage.

        Args:
            name: of the stage in its recipe.
            spec: its keys.
        """
        self._name = name
        self._spec = spec
        self._schema: pa.Schema | None = None

    def held(
        self, batches: Iterable[pa.RecordBatch], rows: int | None, first: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches as they come, each once it was looked at.

        Args:
            batches: what the stage yields.
            rows: of the input that ``_from`` counts in; None for a first stage.
            first: row of the input with which these begin, for messages.

        Raises:
            StageError: naming stage, kind, distribution, the rows and what is wrong with them.
        """
        seen = 0
        for batch in batches:
            wrong = self._wrong(batch, rows)
            if wrong:
                raise self._error(wrong, batch, seen, first)
            seen += batch.num_rows
            yield batch

    def _error(self, wrong: str, batch: object, seen: int, first: int) -> StageError:
        made = getattr(batch, "num_rows", 0) if isinstance(batch, pa.RecordBatch) else 0
        where = (
            f"rows {seen:,} to {seen + made - 1:,} of what it yields"
            if made
            else (f"after {seen:,} rows")
        )
        of = f", from row {first:,} of its input on" if first else ""
        origin = registry.origin(self._spec.kind, registry.STAGES, registry.TRAINERS)
        whose = " ".join(origin.get(key, "") for key in ("distribution", "version")).strip()
        return StageError(
            f"stages.{self._name}: kind {self._spec.kind!r} of {whose or 'no distribution'} broke "
            f"what a stage promises, {where}{of}: {wrong} (see {_DOCUMENT})"
        )

    def _wrong(self, batch: object, rows: int | None) -> str:
        """Return what is wrong with a batch; empty if nothing is."""
        if not isinstance(batch, pa.RecordBatch):
            return f"it yielded {type(batch).__name__!r} and not a pyarrow.RecordBatch"
        names = batch.schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            return f"columns of one name: {', '.join(map(repr, twice))}"
        if ID in names:
            return f"it set {ID!r}, which the run gives to each row"
        if BILL in names and rows is not None:
            return f"it set {BILL!r}; a stage says whence a row comes by {FROM!r}, and no more"
        if (REASON in names) != (REJECTED_BY in names):
            return f"{REJECTED_BY!r} and {REASON!r} go together"
        return ("" if rows is None else self._misplaced(batch, rows)) or self._changed(batch)

    def _changed(self, batch: pa.RecordBatch) -> str:
        """Return how the columns differ from those of the batches before."""
        if self._schema is None:
            self._schema = batch.schema
        if batch.schema.equals(self._schema):
            return ""
        before = {field.name: str(field.type) for field in self._schema}
        now = {field.name: str(field.type) for field in batch.schema}
        differ = [
            f"{name} is {now.get(name, 'not there')} and was {before.get(name, 'not there')}"
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name)
        ]
        return f"its columns change on the way: {', '.join(differ)}" if differ else ""

    def _misplaced(self, batch: pa.RecordBatch, rows: int) -> str:
        """Return what is wrong with the positions that rows come from."""
        if FROM not in batch.schema.names:
            return f"its rows have no column {FROM!r}, so nobody knows what each was made of"
        column = batch.column(FROM)
        is_list = pa.types.is_list(column.type)
        inner = column.type.value_type if is_list else column.type
        if is_list != self._spec.merges or inner != pa.int64():
            wanted = pa.list_(pa.int64()) if self._spec.merges else pa.int64()
            return f"{FROM!r} is of type {column.type}, and has to be {wanted}"
        flat = column.flatten() if self._spec.merges else column
        if column.null_count or flat.null_count:
            return f"{FROM!r} is null in some rows"
        places = np.asarray(flat)
        if len(places) and (places.min() < 0 or places.max() >= rows):
            bad = int(places.min() if places.min() < 0 else places.max())
            return f"{FROM!r} names row {bad:,} of an input that has {rows:,}"
        return ""
