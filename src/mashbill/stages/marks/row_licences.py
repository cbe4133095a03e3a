"""Licences that rows say of themselves, where they ask for more than the one that is declared.

An import gives each row its own licence. A corpus has one for all, so that a column of stricter
ones speaks against it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.marks import Mark
from mashbill.policy.licence_cells import licence_of
from mashbill.policy.licence_words import read_licence
from mashbill.policy.licences import STRICTER, licence_kind
from mashbill.stages.marks.columns import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.files.rows.cells import Cells

_COLUMNS = frozenset(["license", "licence", "licenses", "licences", "license_name", "licence_name",
                      "license_id", "license_url", "spdx", "spdx_id"])  # fmt: skip
_DISTINCT = 1_000
"""licences of a column that are counted"""


class RowLicences:
    """Looks at columns of licences, some rows at a time."""

    def __init__(self) -> None:
        self._found: dict[str, Counter[str]] = {}
        """column -> licence, with rows"""

    def see(self, columns: Mapping[str, Cells]) -> None:
        """Look at some rows."""
        for column, cells in columns.items():
            name = plain_name(column)
            kind = cells.array.type
            if name not in _COLUMNS or not (
                pa.types.is_string(kind) or pa.types.is_large_string(kind)
            ):
                continue
            counts = self._found.setdefault(column, Counter())
            for item in pc.value_counts(cells.array).to_pylist():
                licence = _read(item["values"], is_json=cells.is_json)
                if licence is not None and (licence in counts or len(counts) < _DISTINCT):
                    counts[licence] += item["counts"]

    def stricter(self, declared: str | None, rows: int) -> Iterator[Mark]:
        """Yield marks of columns whose licences ask for more than a declared one.

        Args:
            declared: the licence of all rows; with none it is asked what is more than permissive.
            rows: how many were looked at.
        """
        bound = STRICTER.index(licence_kind(declared)) if declared else 0
        for column, counts in self._found.items():
            fits = {
                licence: count
                for licence, count in counts.items()
                if STRICTER.index(licence_kind(licence)) > bound
            }
            if fits:
                names = sorted(fits, key=lambda licence: (-fits[licence], licence))
                yield Mark("licence", column, tuple(names), sum(fits.values()), rows)


def _read(text: Any, *, is_json: bool) -> str | None:
    """Return the licence of a cell, if it is one that SPDX lists: `Class C` is of another kind."""
    value = text
    if is_json and isinstance(text, str):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
    found = licence_of(value)
    if found is None or read_licence(found).kind == "name":
        return None
    return found
