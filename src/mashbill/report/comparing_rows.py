"""The scores that rows of an evaluation have, of each system, for differences paired by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from mashbill.core.canonical import digest_bytes

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.dataset import Dataset
    from mashbill.core.store import Store

_GOLD = "gold"
_BY_ROW = frozenset({"accuracy", "score"})
"""measures whose mean over rows is the system's"""
_BITS = "bits_per_byte"
"""the measure whose mean over rows, each by its bytes, is the system's"""
_MOST_ROWS = 5_000_000


@dataclass(frozen=True)
class RowScores:
    """Scores of one system in one evaluation."""

    values: np.ndarray
    """shape (seeds, rows), NaN where there is none"""
    weights: np.ndarray | None = None
    """of the rows in the mean, shape (rows,); None for one each"""


def row_scores(store: Store, manifest: Manifest, system: str) -> RowScores | None:
    """Return the scores of a system's rows; None where the rows hold none.

    Args:
        store: where the evaluation lies.
        manifest: of the evaluation.
        system: as it calls it.
    """
    metric = manifest.measures.get("metric", "accuracy")
    if manifest.kind != "dataset" or manifest.rows > _MOST_ROWS:
        return None
    data = store.dataset(manifest.ref)
    if metric == _BITS:
        return _bits(data, system, str(manifest.stage.get("text", "text")))
    if metric not in _BY_ROW:
        return None
    names = [system] if f"{system}_1" not in data.columns else _numbered(data, system)
    if any(name not in data.columns for name in names):
        return None
    found = [_of_column(data, name, metric) for name in names]
    known = [one for one in found if one is not None]
    return RowScores(np.stack(known)) if known and len(known) == len(found) else None


def _bits(data: Dataset, system: str, text: str) -> RowScores | None:
    """Return the bits that a model needs for a byte of each text, weighed by its bytes."""
    nats = f"{system}_nats"
    if nats not in data.columns or text not in data.columns:
        return None
    column = data.column(text)
    if not (pt.is_string(column.type) or pt.is_large_string(column.type)):
        return None  # of conversations some turns count, which the rows do not tell
    sizes = np.array([len((one or "").encode()) for one in column.to_pylist()], np.float64)
    found = data.column(nats).cast(pa.float64()).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(sizes > 0, found / (math.log(2) * sizes), math.nan)
    return RowScores(bits[None], sizes)


def _numbered(data: Dataset, system: str) -> list[str]:
    """Return the columns of a system that was measured with several seeds in one evaluation."""
    names, number = [], 1
    while f"{system}_{number}" in data.columns:
        names.append(f"{system}_{number}")
        number += 1
    return names


def _of_column(data: Dataset, name: str, metric: str) -> np.ndarray | None:
    column = data.column(name)
    if metric == "accuracy":
        if _GOLD not in data.columns:
            return None
        gold = data.column(_GOLD).to_pylist()
        return np.array([float(a == b) for a, b in zip(column.to_pylist(), gold, strict=True)])
    if not (pt.is_floating(column.type) or pt.is_integer(column.type)):
        return None
    values = column.cast(pa.float64()).to_numpy()
    return np.asarray(values, np.float64)


def rows_from(manifest: Manifest) -> tuple[str, ...]:
    """Return the digests of the inputs whose rows an evaluation's are."""
    return tuple(item.digest for item in manifest.inputs if item.role == "rows")


def texts_key(store: Store, manifest: Manifest) -> Any:
    """Return what evaluations have in common that were made on the same texts, in their order."""
    data = store.dataset(manifest.ref) if manifest.kind == "dataset" else None
    if data is None or "text" not in data.columns:
        return rows_from(manifest)
    texts = data.column("text").to_pylist()
    gold = data.column(_GOLD).to_pylist() if _GOLD in data.columns else []
    return digest_bytes(repr([texts, gold]).encode("utf-8", "surrogatepass"))
