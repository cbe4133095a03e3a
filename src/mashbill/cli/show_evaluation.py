"""Printing evaluations: scores, what has to be said of them, and short confusion matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.printing import out, styled, table
from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from mashbill.core.evaluation import Evaluation
    from mashbill.report.confusion import Matrix

_MOST = 8  # labels of which a terminal shows the matrix
_NAME = 16  # characters of a label over a column


def print_evaluations(evaluations: Mapping[str, Evaluation]) -> None:
    """Print each evaluation of a run, or that there is none."""
    if not evaluations:
        out.say("No evaluation: the recipe has no evaluate stage, so nothing was measured.")
    for name, evaluation in evaluations.items():
        print_evaluation(evaluation, name if len(evaluations) > 1 else "")


def print_evaluation(evaluation: Evaluation, name: str = "") -> None:
    """Print what each system is worth, what has to be said of it, and how systems differ."""
    from mashbill.report.confusion import Shown

    shown = Shown(name, evaluation)
    listing = table(*shown.scores.head, title=f"{name + ': ' if name else ''}{shown.scores.title}")
    for row in shown.scores.rows:
        listing.add_row(*row)
    if evaluation.metric == "accuracy":
        _add_majority(listing, evaluation)
    out.print(listing)
    for line in shown.levels:
        out.say(line)
    for system, text in shown.remarks:
        out.say((system, "red"), f": {text}")
    for line in (*shown.differences, *shown.retained, *shown.overlaps):
        out.say(line)
    for matrix in shown.matrices:
        _print_matrix(matrix)


def _add_majority(listing: Table, evaluation: Evaluation) -> None:
    label = evaluation.measures.get("majority_label")
    interval = evaluation.majority_interval
    row = [
        "majority label" + ("" if label is None else f", {label!r}"),
        f"{evaluation.majority or 0:.3f}",
        "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
    ]
    listing.add_row(*row, *[""] * (len(listing.columns) - len(row)), style="dim")


def _print_matrix(matrix: Matrix) -> None:
    """Print a matrix: whole for three to eight labels, else in a line."""
    if 2 < len(matrix.rows) <= _MOST and len(matrix.columns) <= _MOST + 2:
        title = f"{matrix.system}: what humans said (down), what it said (across)"
        out.say((title, "italic"))
        listing = table("", *(_short(name) for name, _ in matrix.columns), "recall", "F1")
        for column in listing.columns[1:]:
            column.justify = "right"
        for row in matrix.rows:
            counts = [styled(f"{c.count:,}", "bold" if c.is_right else "") for c in row.cells]
            scores = (f"{row.score['recall']:.2f}", f"{row.score['f1']:.2f}")
            listing.add_row(_short(row.label), *counts, *scores)
        out.print(listing)
        return
    if matrix.is_large or len(matrix.rows) > _MOST:
        said = "; ".join(
            f"{label!r} taken for {said!r} {'once' if count == 1 else f'{count:,} times'}"
            for label, said, count in matrix.mistakes[:3]
        )
        text = f"commonest mistakes: {said}" if said else "no mistake"
    else:
        text = "finds " + ", ".join(
            f"{row.label!r} in {row.score['recall']:.2f} of its {counted(row.score['gold'], 'row')}"
            for row in matrix.rows
        )
    out.say(f"{matrix.system}: {text}")


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"
