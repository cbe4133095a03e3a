"""The scores that rows of an evaluation have, of each system, for differences paired by row."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from mashbill.core.canonical import digest_bytes
from mashbill.core.evaluation import systems_in
from mashbill.core.resampling import joined, units_by
from mashbill.evals.columns_given import OVERLAPPED_BY, columns_of, nats_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.dataset import Dataset
    from mashbill.core.store import Store

_GOLD = "gold"
_BY_ROW = frozenset({"accuracy", "score"})
"""measures whose mean over rows is the system's"""
_BITS = "bits_per_byte"
"""the measure whose mean over rows, each by its bytes, is the system's"""
_MOST_ROWS = 5_000_000
_DISPLACED = re.compile(r"original(_[0-9]+)?")


@dataclass(frozen=True)
class RowScores:
    """Scores of one system in one evaluation."""

    values: np.ndarray
    """shape (seeds, rows), NaN where there is none"""
    weights: np.ndarray | None = None
    """of the rows in the mean, shape (rows,); None for one each"""
    is_share: bool = True
    """whether scores lie in [0, 1]"""


def row_scores(store: Store, manifest: Manifest, system: str) -> RowScores | None:
    """Return the scores of a system's rows; None where the rows hold none.

    Args:
        store: where the evaluation lies.
        manifest: of the evaluation.
        system: as it calls it.
    """
    metric = manifest.measures.get("metric", "accuracy")
    is_gone = store.removal(manifest.ref) is not None
    if manifest.kind != "dataset" or manifest.rows > _MOST_ROWS or is_gone:
        return None
    data = store.dataset(manifest.ref)
    if metric == _BITS:
        return _bits(data, system, _kept(data, manifest, str(manifest.stage.get("text", "text"))))
    if metric not in _BY_ROW:
        return None
    seeds = len(systems_in(manifest.stage).get(system, ()))
    several = f"{system}_1" in data.columns and (seeds > 1 or system not in data.columns)
    names = _numbered(data, system)[: seeds or None] if several else [system]
    if any(name not in data.columns for name in names):
        return None
    gold = _kept(data, manifest, _GOLD)
    found = [_of_column(data, name, metric, gold) for name in names]
    known = [one for one in found if one is not None]
    return RowScores(np.stack(known)) if known and len(known) == len(found) else None


def _bits(data: Dataset, system: str, text: str) -> RowScores | None:
    """Return the bits that a model needs for a byte of each text, weighed by its bytes."""
    nats = nats_of(system)
    if nats not in data.columns or text not in data.columns:
        return None
    column = data.column(text)
    if not (pt.is_string(column.type) or pt.is_large_string(column.type)):
        return None  # of conversations some turns count, which the rows do not tell
    sizes = np.array([len((one or "").encode()) for one in column.to_pylist()], np.float64)
    found = data.column(nats).cast(pa.float64()).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(sizes > 0, found / (math.log(2) * sizes), math.nan)
    return RowScores(bits[None], sizes, is_share=False)


def _numbered(data: Dataset, system: str) -> list[str]:
    """Return the columns of a system that was measured with several seeds in one evaluation."""
    names, number = [], 1
    while f"{system}_{number}" in data.columns:
        names.append(f"{system}_{number}")
        number += 1
    return names


def _of_column(data: Dataset, name: str, metric: str, gold: str) -> np.ndarray | None:
    column = data.column(name)
    if metric == "accuracy":
        if gold not in data.columns:
            return None
        both = zip(column.to_pylist(), data.column(gold).to_pylist(), strict=True)
        return np.array([_is_right(said, human) for said, human in both], np.float64)
    if not (pt.is_floating(column.type) or pt.is_integer(column.type)):
        return None
    values = column.cast(pa.float64()).to_numpy()
    return np.asarray(values, np.float64)


def _is_right(said: Any, human: Any) -> float:
    """Return what a label is worth: rows keep the humans' with its own type, systems say text.

    As an evaluation has it, a label that was not given is wrong; without a human one it is nothing.
    """
    if human is None:
        return math.nan
    return float(said is not None and str(said) == str(human))


def _kept(data: Dataset, manifest: Manifest, name: str) -> str:
    """Return what a column of the evaluated rows is called, which a system's may have displaced."""
    metric, seeds = manifest.measures.get("metric", "accuracy"), systems_in(manifest.stage)
    given = {
        column
        for system in manifest.measures.get("systems", {})
        for column in columns_of(metric, system, len(seeds.get(system, ())))
    }
    others = [one for one in data.columns if _DISPLACED.fullmatch(one.removesuffix(f"_{name}"))]
    return others[-1] if others and name in {*given, OVERLAPPED_BY} else name


@dataclass(frozen=True)
class RowUnits:
    """Which rows of evaluations belong together."""

    units: np.ndarray | None = None
    """counted from 0, shape (rows,); None where each row is by itself"""
    lacking: str = ""
    """what is not told of them that would have to be known; empty if all is"""


def row_units(store: Store, manifests: Sequence[Manifest]) -> RowUnits:
    """Return which rows belong together in some evaluations of the same rows: in any of them.

    Args:
        store: where they lie.
        manifests: of the evaluations.
    """
    found: np.ndarray | None = None
    for manifest in manifests:
        group = manifest.stage.get("group")
        if not isinstance(group, list | tuple) or not group:
            continue
        if (removal := store.removal(manifest.ref)) is not None:
            return RowUnits(None, f"{manifest.ref} was {removal}")
        data = store.dataset(manifest.ref)
        names = [_kept(data, manifest, str(name)) for name in group]
        if lacking := [name for name in names if name not in data.columns]:
            where = f"{manifest.ref} does not hold its rows' {lacking[0]!r}"
            return RowUnits(None, f"{where}, by which they belong together")
        own = units_by([data.column(name).to_pylist() for name in names])
        if found is not None and found.shape != own.shape:
            return RowUnits(None, f"{manifest.ref} has another number of rows")
        found = own if found is None else joined(found, own)
    return RowUnits(found)


def rows_from(manifest: Manifest) -> tuple[str, ...]:
    """Return the digests of the inputs whose rows an evaluation's are."""
    return tuple(item.digest for item in manifest.inputs if item.role == "rows")


def texts_key(store: Store, manifest: Manifest) -> Any:
    """Return what evaluations have in common that were made on the same texts, in their order."""
    is_there = manifest.kind == "dataset" and store.removal(manifest.ref) is None
    data = store.dataset(manifest.ref) if is_there else None
    text = "" if data is None else _kept(data, manifest, "text")
    if data is None or text not in data.columns:
        return rows_from(manifest)
    texts = data.column(text).to_pylist()
    named = _kept(data, manifest, _GOLD)
    gold = [str(one) for one in data.column(named).to_pylist()] if named in data.columns else []
    return digest_bytes(repr([texts, gold]).encode("utf-8", "surrogatepass"))
