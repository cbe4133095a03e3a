"""Systems against human labels: which label each gave, and how often that is what humans said."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in
from mashbill.core.proportions import wilson
from mashbill.evals.columns_given import by_seed
from mashbill.evals.confusion import Confusion
from mashbill.evals.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.evals.answers import Answers

GOLD = "gold"
"""column with the human labels"""


def gold_of(table: pa.Table, of: str) -> list[str]:
    """Return the human label of each row.

    Args:
        table: the rows.
        of: the stage that made them.

    Raises:
        InputError: if a row has none, or there are no rows.
    """
    if GOLD not in table.column_names or table.num_rows == 0:
        msg = (
            f"{of} has no human labels, so nothing can be compared with humans: add "
            "[stages.*.gold] to the corpus stage, or leave the evaluate stage out; to score "
            "answers by a verifier instead, set by"
        )
        raise InputError(msg)
    column = table.column(GOLD)
    lacking = int(missing_in(column, blank=True).sum())
    if lacking:
        if lacking == len(column):
            msg = (
                f"{of}: none of its {len(column):,} rows has a human label, so nothing "
                "can be compared with humans; add [stages.*.gold] to the corpus stage that its "
                "rows come from, or leave the evaluate stage out"
            )
            raise InputError(msg)
        msg = (
            f"{of}: {lacking:,} of {len(column):,} rows have no human label, "
            "so there is nothing to hold a system to; put a stage of kind 'split' with gold = "
            "'require' before, which keeps the rows that have one"
        )
        raise InputError(msg)
    return [str(label) for label in column.to_pylist()]


def commonest(gold: Sequence[str]) -> tuple[str, int]:
    """Return the commonest label, the first in the alphabet of those that tie, and its rows."""
    counts = Counter(gold)
    label = min(counts, key=lambda name: (-counts[name], name))
    return label, counts[label]


def labelled(system: str, made: Sequence[Answers], gold: Sequence[str]) -> Measured:
    """Return what a system's labels are worth; a row that it gave none is one that it got wrong.

    Args:
        system: its name.
        made: its labels, a dataset a seed.
        gold: the human label of each row.

    Raises:
        InputError: if one of them holds no labels, or several of one row.
    """
    said = [_labels(answers, len(gold)) for answers in made]
    right = np.array(
        [[float(a == b) for a, b in zip(labels, gold, strict=True)] for labels in said]
    )
    together = Confusion.of(list(gold) * len(said), [label for labels in said for label in labels])
    facts: dict[str, Any] = {
        "macro_f1": together.macro_f1(),
        "labels": together.by_label(),
        "confusion": together.as_json(),
        "unanswered": together.unanswered,
        "only": together.only,
    }
    # A row without a label is an empty text in the dataset, as it always was.
    texts = [pa.array([label or "" for label in labels], pa.string()) for labels in said]
    names = [system] if len(said) == 1 else by_seed(system, len(said))
    return Measured(right, facts, dict(zip(names, texts, strict=True)))


def majority_of(gold: Sequence[str]) -> dict[str, Any]:
    """Return what always saying the commonest label would give."""
    label, count = commonest(gold)
    low, high = wilson(count / len(gold), len(gold))
    return {
        "majority": count / len(gold), "majority_label": label,
        "majority_low": low, "majority_high": high,
    }  # fmt: skip


def _labels(answers: Answers, rows: int) -> list[str | None]:
    """Return a system's labels in the order of the rows; None where it gave none."""
    data, places = answers.data, answers.places
    several = len(np.unique(places)) < len(places)
    table = data.read(0, data.num_rows) if data.num_rows else None
    if several or (table is not None and "label" not in table.column_names):
        what = "several labels of one row" if several else "no column 'label'"
        msg = (
            f"{answers.name} is not a labelling of the rows, one for one: it has {what}; make it "
            "with kind = 'label' or 'apply', or set by to score answers by a verifier"
        )
        raise InputError(msg)
    labels: list[str | None] = [None] * rows
    if table is not None:
        given = table.column("label")
        there = ~missing_in(given, blank=True)
        kept = given.filter(pa.array(there)).to_pylist()
        for place, label in zip(places[there].tolist(), kept, strict=True):
            labels[place] = str(label)
    return labels
