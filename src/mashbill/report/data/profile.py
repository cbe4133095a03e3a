"""What the rows of one dataset are like: columns, duplicates, languages, and how it came to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.record import ID, user_columns
from mashbill.report.data.columns import Column, main_column
from mashbill.report.data.languages import Languages, languages_of
from mashbill.report.data.measured import TOLD_KINDS, sentences
from mashbill.report.data.sketches import Distinct
from mashbill.report.data.yields import Yield, behind, measured_on_the_way, yields_of

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_ROWS = 16_384  # that are read at once
_TEXTS = 2000  # whose language is told


@dataclass(frozen=True)
class DataProfile:
    """A dataset, looked at."""

    manifest: Manifest
    size: int
    """bytes of its files"""
    main: str | None
    """the column that its texts are in"""
    rows: Distinct
    """whole rows"""
    columns: tuple[Column, ...]
    languages: Languages | None
    """of the main column; None if there is none"""
    yields: tuple[Yield, ...]
    """of the stages that it came through, the first first"""
    contamination: tuple[tuple[str, dict[str, Any]], ...]
    """(artifact, what was measured) of the stages on the way that looked for evaluation sets"""
    measured: tuple[tuple[str, str, dict[str, Any]], ...]
    """(artifact, kind, measures) of the stages on the way whose measures are told, first first"""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        manifest = self.manifest
        return {
            "artifact": str(manifest.ref),
            "rows": manifest.rows,
            "rejected_rows": manifest.rejected_rows,
            "tokens": manifest.tokens,
            "token_unit": manifest.token_unit,
            "bytes": self.size,
            "main_column": self.main,
            "equal_rows": self.rows.as_json(),
            "columns": [column.as_json() for column in self.columns],
            "language": self.languages.as_json() if self.languages else None,
            "yields": [each.as_json() for each in self.yields],
            "contamination": dict(self.contamination) or None,
            "measured": [
                {
                    "artifact": name,
                    "kind": kind,
                    "measures": measures,
                    "says": [told for _, told in sentences(name, kind, measures)],
                }
                for name, kind, measures in self.measured
            ],
        }


def profile(store: Store, manifest: Manifest) -> DataProfile:
    """Look at all rows of a dataset, once.

    Raises:
        InputError: if it is a model.
    """
    if manifest.kind != "dataset":
        msg = f"{manifest.ref} is a model, and has no rows; name the dataset it learned from"
        raise InputError(msg)
    data = store.dataset(manifest.ref)
    folder = store.folder(manifest.kind, manifest.ref)
    main = main_column(data)
    names = user_columns(data.columns)
    columns = [Column(data.schema.field(name), is_main=name == main) for name in names]
    whole, texts = Distinct(), list[str]()
    step = max(1, data.num_rows // _TEXTS)
    for start, rows in data.chunks(_ROWS, [*names, ID]):
        ids = rows.column(ID).combine_chunks()
        halves = np.frombuffer(ids.buffers()[1], "<u8").reshape(-1, 2)
        whole.add(halves[ids.offset : ids.offset + len(ids), 0].astype(np.uint64))
        for column in columns:
            said = column.add(rows, start)
            if column.name == main and said is not None:
                texts += said[-start % step :: step]
    return DataProfile(
        manifest,
        sum((folder / shard.file).stat().st_size for shard in manifest.shards),
        main,
        whole,
        tuple(columns),
        languages_of([text for text in texts if text.strip()]) if main is not None else None,
        tuple(yields_of(store, manifest)),
        tuple(measured_on_the_way(store, manifest)),
        tuple(
            (str(one.ref), str(one.stage.get("kind", "")), one.measures)
            for one in behind(store, manifest)
            if one.stage.get("kind") in TOLD_KINDS
        ),
    )
