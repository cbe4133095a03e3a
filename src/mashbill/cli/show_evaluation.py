"""Printing evaluations: accuracies, what has to be said of them, and short confusion matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from mashbill.cli.options import out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.report.confusion import Matrix

_MOST = 8  # labels of which a terminal shows the matrix
_NAME = 16  # characters of a label over a column


def print_evaluations(evaluations: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Print each evaluation of a run, or that there are no human labels to compare with."""
    if not evaluations:
        out.print("No evaluation: the recipe has no evaluate stage, so no human labels were used.")
    for name, evaluation in evaluations:
        print_evaluation(evaluation, name if len(evaluations) > 1 else "")


def print_evaluation(evaluation: Mapping[str, Any], name: str = "") -> None:
    """Print the systems' accuracies, the majority label's beside them, and their mistakes."""
    from mashbill.report.confusion import Evaluation, by_accuracy

    where = f"{name}: accuracy" if name else "Accuracy"
    table = Table(
        title=escape(f"{where} against humans on {evaluation['rows']:,} held-out rows"),
        title_justify="left",
    )
    for column in ("system", "accuracy", "95% interval", "macro F1"):
        table.add_column(column)
    for system, result in by_accuracy(evaluation):
        table.add_row(
            escape(system),
            f"{result['accuracy']:.3f}",
            f"{result['low']:.3f} to {result['high']:.3f}",
            f"{result['macro_f1']:.3f}",
        )
    label = evaluation.get("majority_label")
    table.add_row(
        "majority label" + ("" if label is None else escape(f", {label!r}")),
        f"{evaluation['majority']:.3f}",
        f"{evaluation['majority_low']:.3f} to {evaluation['majority_high']:.3f}"
        if "majority_low" in evaluation
        else "",
        "",
        style="dim",
    )
    out.print(table)
    shown = Evaluation(name, evaluation)
    for system, text in shown.remarks:
        out.print(f"[red]{escape(system)}[/]: {escape(text)}", highlight=False, soft_wrap=True)
    for pair in evaluation["compare"]:
        beyond = "" if pair["low"] <= 0 <= pair["high"] else ", beyond chance"
        out.print(
            f"{pair['first']} - {pair['second']}: {pair['difference']:+.3f} "
            f"({pair['low']:+.3f} to {pair['high']:+.3f}){beyond}",
            highlight=False,
            markup=False,
        )
    for matrix in shown.matrices:
        _print_matrix(matrix)


def _print_matrix(matrix: Matrix) -> None:
    """Print a matrix: whole for three to eight labels, else in a line."""
    if 2 < len(matrix.rows) <= _MOST and len(matrix.columns) <= _MOST + 2:
        title = f"{matrix.system}: what humans said (down), what it said (across)"
        out.print(title, style="italic", highlight=False, markup=False, soft_wrap=True)
        table = Table()
        table.add_column("")
        for name, _ in matrix.columns:
            table.add_column(escape(_short(name)), justify="right")
        table.add_column("recall", justify="right")
        table.add_column("F1", justify="right")
        for row in matrix.rows:
            counts = [f"[bold]{c.count:,}[/]" if c.is_right else f"{c.count:,}" for c in row.cells]
            scores = (f"{row.score['recall']:.2f}", f"{row.score['f1']:.2f}")
            table.add_row(escape(_short(row.label)), *counts, *scores)
        out.print(table)
        return
    if matrix.is_large or len(matrix.rows) > _MOST:
        said = "; ".join(
            f"{label!r} taken for {said!r} {count:,} times"
            for label, said, count in matrix.mistakes[:3]
        )
        text = f"commonest mistakes: {said}" if said else "no mistake"
    else:
        text = "finds " + ", ".join(
            f"{row.label!r} in {row.score['recall']:.2f} of its {row.score['gold']:,} rows"
            for row in matrix.rows
        )
    out.print(f"{matrix.system}: {text}", highlight=False, markup=False, soft_wrap=True)


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"
