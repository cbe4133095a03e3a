"""Printing evaluations: accuracies, what has to be said of them, and short confusion matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.printing import out, styled, table
from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.evaluation import Evaluation
    from mashbill.report.confusion import Matrix

_MOST = 8  # labels of which a terminal shows the matrix
_NAME = 16  # characters of a label over a column


def print_evaluations(evaluations: Mapping[str, Evaluation]) -> None:
    """Print each evaluation of a run, or that there are no human labels to compare with."""
    if not evaluations:
        out.say("No evaluation: the recipe has no evaluate stage, so no human labels were used.")
    for name, evaluation in evaluations.items():
        print_evaluation(evaluation, name if len(evaluations) > 1 else "")


def print_evaluation(evaluation: Evaluation, name: str = "") -> None:
    """Print the systems' accuracies, the majority label's beside them, and their mistakes."""
    from mashbill.report.confusion import Shown

    where = f"{name}: accuracy" if name else "Accuracy"
    listing = table(
        "system",
        "accuracy",
        "95% interval",
        "macro F1",
        title=f"{where} against humans on {evaluation.rows or 0:,} held-out rows",
    )
    for system, result in evaluation.by_accuracy():
        low, high = result.interval
        listing.add_row(
            system,
            f"{result.accuracy:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{result.facts['macro_f1']:.3f}",
        )
    label = evaluation.measures.get("majority_label")
    interval = evaluation.majority_interval
    listing.add_row(
        "majority label" + ("" if label is None else f", {label!r}"),
        f"{evaluation.majority or 0:.3f}",
        "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}",
        "",
        style="dim",
    )
    out.print(listing)
    shown = Shown(name, evaluation)
    for system, text in shown.remarks:
        out.say((system, "red"), f": {text}")
    for pair in evaluation.compare:
        beyond = "" if pair["low"] <= 0 <= pair["high"] else ", beyond chance"
        out.say(
            f"{pair['first']} - {pair['second']}: {pair['difference']:+.3f} "
            f"({pair['low']:+.3f} to {pair['high']:+.3f}){beyond}"
        )
    for matrix in shown.matrices:
        _print_matrix(matrix)


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
