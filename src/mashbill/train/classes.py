"""What a classifier learns: texts, and of each its label or the share of each label.

Labels are a column that a labeller or people filled, or columns ``p_LABEL`` of a labeller's whole
distribution. What they lack is told with the labels and their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.errors import InputError, RecipeError
from mashbill.core.explaining import near
from mashbill.core.missing import missing_in, numbers_of
from mashbill.core.record import user_columns
from mashbill.train.usable import usable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.train.usable import Usable

FOLDS = 5
"""of cross-validation: as many rows of each label are needed"""
_OFF = 1e-3  # that shares may differ from 1 in sum
_NAMED = 5  # labels that an error names
_LISTED = 20  # columns that it names
_KEEP_GOLD = 'write gold = "require"'


@dataclass(frozen=True)
class Task:
    """What there is to learn."""

    texts: list[str]
    labels: list[str]
    truth: np.ndarray
    """what the labeller says of each row: 1 for its label, or shares; shape (rows, labels)"""
    weight: np.ndarray
    """of each row, shape (rows,)"""

    @property
    def target(self) -> np.ndarray:
        """Place of each row's likeliest label, shape (rows,)."""
        places: np.ndarray = self.truth.argmax(axis=1)
        return places


def check_target(
    target: str, columns: Sequence[str], of: str, stage: str = "", *, drops: bool = False
) -> None:
    """See that the column of the labels is there.

    Args:
        target: its name.
        columns: those that there are, or may be.
        of: whose they are, as it is told.
        stage: that made them.
        drops: whether that is a split which leaves gold out.

    Raises:
        RecipeError: with the columns that there are, and what may be done.
    """
    if target in columns:
        return
    shown = [name for name in user_columns(columns) if not name.startswith("original_")]
    more = f" and {len(shown) - _LISTED:,} more" if len(shown) > _LISTED else ""
    there = f"; it has {', '.join(shown[:_LISTED])}{more}" if shown else ", nor any other"
    if target == "gold" and drops:
        remedy = f"; {_KEEP_GOLD} in stages.{stage}, a split, which leaves gold out otherwise"
    elif target == "gold":
        remedy = f"; if a split left it out, {_KEEP_GOLD} there; else name the column in target"
    elif target == "label":
        remedy = '; name the column of the labels in target, or put a stage of kind "label" before'
    else:
        remedy = near(target, shown) or "; name one of them in target"
    msg = f"{of} has no column {target!r}, of which the labels are{there}{remedy}"
    raise RecipeError(msg)


def hard_task(
    rows: Dataset, ctx: StageContext, target: str, otherwise: str
) -> tuple[Task, np.ndarray]:
    """Return what there is to learn, and which rows of the dataset that is of.

    Args:
        rows: with a column of labels.
        ctx: is told of rows that lack something.
        target: that column; where it is ``label``, a labeller's confidence is beside it.
        otherwise: label of rows whose target is empty; such rows are left out if it is empty.

    Raises:
        InputError: if the column is not there, or labels have too few rows.
    """
    beside = ["confidence"] if target == "label" else []
    _check_rows(rows)
    made_by = rows.manifest.stage
    drops = made_by.get("kind") == "split" and made_by.get("gold") == "drop"
    try:
        check_target(target, rows.columns, str(rows.manifest.ref), rows.manifest.name, drops=drops)
    except RecipeError as error:
        raise InputError(str(error)) from error
    found = usable(rows, ctx, ["text"] if otherwise else ["text", target], beside)
    if otherwise:
        column = rows.read(0, rows.num_rows, [target]).column(target).filter(pa.array(found.there))
    else:
        column = found.table.column(target)
    blank = missing_in(column, blank=True)
    words = [
        otherwise if empty else str(word)
        for word, empty in zip(column.to_pylist(), blank, strict=True)
    ]
    labels = sorted(set(words))
    places = {label: place for place, label in enumerate(labels)}
    truth = np.eye(len(labels))[[places[word] for word in words]]
    _check_labels(rows, labels, truth, target)
    texts = found.table.column("text").to_pylist()
    if not beside:
        return Task(texts, labels, truth, np.ones(len(truth))), found.there
    confidence = _numbers(rows, found, "confidence", "a confidence")
    weight = np.clip((confidence * len(labels) - 1) / (len(labels) - 1), 0.01, 1)
    return Task(texts, labels, truth, weight), found.there


def soft_task(rows: Dataset, ctx: StageContext) -> tuple[Task, np.ndarray]:
    """Return what there is to learn, and which rows of the dataset that is of.

    Raises:
        InputError: if there are no shares, if those of a row are none, or labels have too few rows.
    """
    _check_rows(rows)
    names = sorted(name for name in rows.columns if name.startswith("p_"))
    if not names:
        msg = (
            f"{rows.manifest.ref} has no columns p_LABEL, which soft = true learns from; set "
            "soft = true in the label stage too"
        )
        raise InputError(msg)
    found = usable(rows, ctx, ["text"], names)
    truth = np.stack([_numbers(rows, found, name, "a label's share") for name in names], axis=1)
    off = np.flatnonzero(~(np.abs(truth.sum(axis=1) - 1) < _OFF))
    if len(off):
        msg = (
            f"{rows.manifest.ref}: {', '.join(names)} do not add up to 1 in row "
            f"{found.places[off[0]]}, as the shares of labels do; rename columns that begin with "
            "p_ and are no label's share"
        )
        raise InputError(msg)
    labels = [name.removeprefix("p_") for name in names]
    _check_labels(rows, labels, truth, "label")
    texts = found.table.column("text").to_pylist()
    return Task(texts, labels, truth, np.ones(len(truth))), found.there


def _check_rows(rows: Dataset) -> None:
    if not rows.num_rows:
        msg = (
            f"{rows.manifest.ref} has no rows, so there is nothing to learn from; `mashbill show "
            f"{rows.manifest.ref} --rejects` says why its rows were left out, if it had any"
        )
        raise InputError(msg)


def _numbers(rows: Dataset, found: Usable, name: str, what: str) -> np.ndarray:
    """Return a column of numbers, or of texts that write them, float64, shape (rows,).

    Raises:
        InputError: naming column and row, if one is no number.
    """
    column = found.table.column(name)
    numbers = numbers_of(column)
    if numbers is None:
        msg = f"{rows.manifest.ref}: column {name!r} holds {column.type}, and {what} is a number"
        raise InputError(f"{msg}; rename it")
    none = np.flatnonzero(~numbers.known)
    if len(none):
        msg = (
            f"{rows.manifest.ref}: column {name!r} holds {column[int(none[0])].as_py()!r:.80} in "
            f"row {found.places[none[0]]}, and {what} is a number; correct it, or leave it empty"
        )
        raise InputError(msg)
    return numbers.about


def _check_labels(rows: Dataset, labels: list[str], truth: np.ndarray, target: str) -> None:
    """Raise InputError unless there are two labels, and rows enough of each."""
    is_asked = target == "label"  # a labeller was, and people filled any other column
    counts = np.bincount(truth.argmax(axis=1), minlength=len(labels))
    column = "" if is_asked else f" in column {target!r}"
    if len(labels) < 2:
        msg = (
            f"{rows.manifest.ref} holds only the label {labels[0]!r:.80}{column}, of "
            f"{_counted(int(counts[0]))}; a classifier needs two: "
        )
        what = "label more rows, or mend the prompt" if is_asked else "add rows of another"
        raise InputError(msg + what)
    rare = sorted(np.flatnonzero(counts < FOLDS).tolist(), key=lambda place: int(counts[place]))
    if not rare:
        return
    enough = [label for label, count in zip(labels, counts, strict=True) if count >= FOLDS]
    named = ", ".join(
        f"{labels[place]!r:.80} ({_counted(int(counts[place]))}{near(labels[place], enough)})"
        for place in rare[:_NAMED]
    )
    more = f" and {len(rare) - _NAMED:,} more labels" if len(rare) > _NAMED else ""
    remedy = (
        "label more rows, or mend the prompt"
        if is_asked
        else "correct the spelling where it is a slip, add rows of it, or leave its rows out"
    )
    msg = (
        f"{rows.manifest.ref} has too few rows of {named}{more}{column}; cross-validation needs "
        f"{FOLDS} of each label: {remedy}"
    )
    raise InputError(msg)


def _counted(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"
