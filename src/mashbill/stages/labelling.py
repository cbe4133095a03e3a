"""Writing a label and its confidence into rows; ``label`` and ``apply`` share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.record import CALL, FROM, kept_beside
from mashbill.core.texts import calls_column

if TYPE_CHECKING:
    from collections.abc import Sequence


GIVEN = frozenset({"label", "confidence"})
"""columns that rows are given"""
_NEAR = 1e-6


def differing(
    rows: pa.Table, labels: Sequence[str], probabilities: np.ndarray, *, soft: bool
) -> np.ndarray:
    """Return which rows have other labels or scores than these probabilities, shape (rows,).

    Args:
        rows: as :func:`labelled` made them.
        labels: names, in the order of the columns of ``probabilities``.
        probabilities: shape (rows, labels); NaN where there is no label.
        soft: whether they have every label's probability.
    """
    none = np.isnan(probabilities).any(axis=1)
    known = np.where(none[:, None], 0.0, probabilities)
    place = {label: at for at, label in enumerate(labels)}
    said = [place.get(label, -1) for label in rows.column("label").to_pylist()]
    most = known.max(axis=1, initial=0.0)
    # Labels that tie, but for the last bits of a sum, are either's.
    differ = np.array([at < 0 or known[row, at] < most[row] - _NEAR for row, at in enumerate(said)])
    differ = np.where(none, np.array(said, np.int64) >= 0, differ)
    scores = [("confidence", most)]
    scores += [(f"p_{label}", known[:, at]) for at, label in enumerate(labels) if soft]
    for name, wanted in scores:
        told = np.asarray(rows.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False))
        differ |= np.where(none, ~np.isnan(told), ~np.isclose(told, wanted, rtol=0, atol=_NEAR))
    return differ


def labelled(
    batch: pa.RecordBatch,
    start: int,
    labels: Sequence[str],
    probabilities: np.ndarray,
    calls: Sequence[str | None] | None = None,
    *,
    soft: bool = False,
) -> pa.RecordBatch:
    """Return the rows with ``label``, ``confidence`` and ``_from``.

    A row whose probabilities are NaN has no label.

    Args:
        batch: input rows; a label and confidence that they have stay, as ``original_label`` and
            ``original_confidence``.
        start: position of the first row.
        labels: names, in the order of the columns of ``probabilities``.
        probabilities: shape (rows, labels).
        calls: digest of the teacher call that each label rests on, hexadecimal; None if none.
        soft: whether to keep every label's probability, in a column ``p_LABEL``.
    """
    probability = [f"p_{label}" for label in labels] if soft else []
    new = {"label", "confidence", *probability}
    # What else is called so would be taken for a label's probability by who learns from these.
    others = {name for name in batch.schema.names if soft and name.startswith("p_")}
    kept = kept_beside(batch, new | others)
    best = probabilities.argmax(axis=1)
    none = np.isnan(probabilities).any(axis=1)
    most = probabilities[np.arange(len(best)), best].astype(np.float64)
    columns = list(kept.values())
    columns += [
        pa.array([labels[i] for i in best], pa.string(), mask=none),
        pa.array(most, mask=none),
        *(
            pa.array(probabilities[:, i].astype(np.float64), mask=none)
            for i in range(len(probability))
        ),
        pa.array(np.arange(start, start + len(best)), pa.int64()),
    ]
    names = [*kept, "label", "confidence", *probability, FROM]
    if calls is not None:
        columns.append(calls_column(calls))
        names.append(CALL)
    return pa.RecordBatch.from_arrays(columns, names)
