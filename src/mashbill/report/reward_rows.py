"""The rows that a verifier scored, as the numbers that figures of a reward are made of.

They are those of a stage ``verify``, or the rollouts of a trainer that a verifier pays.

Three numbers of each row are held, so of more than two million a part is looked at: whole prompts
where a column tells them, wherever their attempts lie; else row groups, and no others are read.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.errors import StoreError
from mashbill.core.missing import is_text
from mashbill.core.parsing import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest

PART = "score_"
"""what the column of a part begins with"""
MOST_PARTS = 32
_MOST = 2_000_000  # rows that are looked at
_BATCH = 4096  # a few bytes of a dictionary may stand for a text in each row
_LONG = 40  # characters from which an output is no mere answer
_TEXTS = 200_000  # passing outputs that are compared with each other


def is_sampled(manifest: Manifest) -> bool:
    """Return whether rows are the rollouts of a trainer that a verifier pays."""
    stage = manifest.stage
    return bool(stage.get("part") == "rollouts" and stage.get("by"))


class RewardRows:
    """The numbers of a stage's rows, kept and rejected."""

    def __init__(self, manifest: Manifest, passes: float, earlier: tuple[str, ...]) -> None:
        self._manifest, self._passes, self._earlier = manifest, passes, earlier
        sampled = is_sampled(manifest)
        self._output = "completion" if sampled else str(manifest.stage.get("column", "text"))
        self._score = "reward" if sampled else "score"
        self._group = ["step", "group"] if sampled else ["group"]
        self._grouped = sampled or isinstance(manifest.stage.get("group"), list)
        self.rows = manifest.rows + manifest.rejected_rows
        self.every = max(-(-self.rows // _MOST), 1)
        """about one row in so many is looked at"""
        self._seen = 0  # row groups
        self._texts: Counter[bytes] = Counter()
        self._compared = 0

    @property
    def repeated(self) -> tuple[int, int]:
        """How often the commonest long output passes, and how many passing ones were compared."""
        return max(self._texts.values(), default=0), self._compared

    def read(self, folder: Path) -> pa.Table:
        """Return ``score``, ``score_NAME``, ``length`` in characters, and ``group`` if rows do."""
        pieces: list[pa.Table] = []
        for shard in (*self._manifest.shards, *self._manifest.rejected):
            path = folder / shard.file
            if not path.exists():
                continue  # a store that lost a file is told of by an audit
            pieces += [self._figures(batch) for batch in self._batches(path)]
        if not pieces:
            return pa.table({"score": pa.array([], pa.float64())})
        return pa.concat_tables(pieces, promote_options="default")

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        told = foreign(path, "a Parquet file", error=StoreError, remedy="run `mashbill audit`")
        with told, pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            own = names[names.index("reason") :] if "reason" in names else []
            parts = [name for name in own if name.startswith(PART)][:MOST_PARTS]
            grouped = self._group if self._grouped else []
            wanted = [self._score, *parts, *self._earlier, self._output, *grouped]
            there = [name for name in dict.fromkeys(wanted) if name in names]
            whole = range(file.num_row_groups)
            if self.every > 1 and not self._grouped:
                whole = range(-self._seen % self.every, file.num_row_groups, self.every)
            self._seen += file.num_row_groups
            if not there or not whole:
                return
            for batch in file.iter_batches(_BATCH, row_groups=list(whole), columns=there):
                yield self._of_some_prompts(batch) if self._grouped else batch

    def _of_some_prompts(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the attempts at those prompts that are looked at, told by their names."""
        if self.every == 1 or "group" not in batch.schema.names:
            return batch
        names = self._groups(batch).to_pylist()
        digests = (blake2b((name or "").encode(), digest_size=8).digest() for name in names)
        chosen = [int.from_bytes(digest) % self.every == 0 for digest in digests]
        return batch.filter(pa.array(chosen, pa.bool_()))

    def _groups(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the name of each row's group, which is of one step where steps sample."""
        names = [batch.column(name).cast(pa.large_string()) for name in self._group]
        return (
            names[0]
            if len(names) == 1
            else pc.binary_join_element_wise(*names, pa.scalar("/", pa.large_string()))
        )

    def _figures(self, batch: pa.RecordBatch) -> pa.Table:
        found: dict[str, pa.Array] = {"score": pa.nulls(batch.num_rows, pa.float64())}
        for name in batch.schema.names:
            column = batch.column(name)
            if name == self._output:
                if is_text(column.type):
                    found["length"] = pc.utf8_length(column).cast(pa.float64())
            elif name in self._group:
                found["group"] = self._groups(batch)
            elif name == self._score:
                found["score"] = column.cast(pa.float64())
            elif pa.types.is_floating(column.type):
                found[name] = column.cast(pa.float64())
        if "length" in found:
            self._compare(batch.column(self._output), found["score"], found["length"])
        return pa.table(found)

    def _compare(self, texts: pa.Array, score: pa.Array, length: pa.Array) -> None:
        value, chars = (np.asarray(side.to_numpy(zero_copy_only=False), np.float64)
                        for side in (score, length))  # fmt: skip
        rows = np.flatnonzero((value >= self._passes) & (chars >= _LONG))
        rows = rows[: max(_TEXTS - self._compared, 0)]
        self._compared += len(rows)
        for text in texts.take(pa.array(rows)).to_pylist():
            self._texts[blake2b(text.encode(), digest_size=8).digest()] += 1
