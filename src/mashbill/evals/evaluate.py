"""``evaluate``: systems against human gold labels, on rows that no step has learned from."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.evaluation import Result
from mashbill.core.missing import missing_in
from mashbill.core.proportions import wilson
from mashbill.core.record import FROM, one_batch
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.evals.confusion import Confusion
from mashbill.evals.remarks import against_majority
from mashbill.evals.statistics import paired_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.core.stage import StageContext


class EvaluateSpec(StageSpec):
    """``kind = "evaluate"``."""

    streams = False
    repeats: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("input", "systems")

    kind: Literal["evaluate"] = "evaluate"
    input: str
    """dataset with the human labels in its column ``gold``"""
    systems: dict[str, str] = Field(min_length=1)
    """system -> dataset of its labels for those rows, made by ``label`` or ``apply``"""
    compare: tuple[tuple[str, str], ...] = ()
    """pairs of systems whose difference is wanted"""

    @model_validator(mode="after")
    def _pairs_are_systems(self) -> EvaluateSpec:
        for name in (name for pair in self.compare for name in pair):
            if name not in self.systems:
                msg = f"compare names {name!r}, which is not one of systems {list(self.systems)}"
                raise ValueError(msg)
        return self

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Also leave out comparisons with systems that are gone."""
        new = super().renamed(table, names)
        pairs = [p for p in table.get("compare", []) if all(s in new.get("systems", {}) for s in p)]
        return {**new, "compare": pairs} if pairs else {k: new[k] for k in new if k != "compare"}

    def uses(self) -> tuple[Uses, ...]:
        """The gold rows, with the systems' labels beside them."""
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            *(Uses(name, "beside", Channel.JUDGEMENT) for name in self.systems.values()),
        )

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many as the input."""
        return inputs.get(self.input)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield a row a held-out text: gold, and each system's label; measure the rest."""
        table = pa.Table.from_batches(records)
        if "gold" not in table.column_names or table.num_rows == 0:
            msg = (
                f"{self.input} has no human labels, so nothing can be compared with humans: add "
                "[stages.*.gold] to the corpus stage, or leave the evaluate stage out"
            )
            raise InputError(msg)
        gold = self._gold(table)
        columns = {"text": table.column("text"), "gold": table.column("gold")}
        scores: dict[str, np.ndarray] = {}
        label, commonest = _majority(gold)
        majority = commonest / len(gold)
        results: dict[str, Any] = {}
        for system, name in self.systems.items():
            labels = self._aligned(name, table.num_rows, ctx)
            # A row without a label is an empty text in the dataset, as it always was.
            columns[system] = pa.array([given or "" for given in labels], pa.string())
            scores[system] = np.array([float(a == b) for a, b in zip(labels, gold, strict=True)])
            results[system] = _result(Confusion.of(gold, labels), majority)
        low, high = wilson(majority, len(gold))
        ctx.measures |= {
            "systems": results,
            "rows": table.num_rows,
            "majority": majority,
            "majority_label": label,
            "majority_low": low,
            "majority_high": high,
        }
        ctx.measures["compare"] = [
            dict(
                zip(
                    ("first", "second", "difference", "low", "high"),
                    (one, other, *paired_difference(scores[one], scores[other], ctx.seed)),
                    strict=True,
                )
            )
            for one, other in self.compare
        ]
        positions = pa.array(np.arange(table.num_rows), pa.int64())
        yield one_batch(pa.table({**columns, FROM: positions}))

    def _gold(self, table: pa.Table) -> list[str]:
        """Return the human label of each row.

        Raises:
            InputError: if a row has none.
        """
        column = table.column("gold")
        lacking = int(missing_in(column, blank=True).sum())
        if lacking:
            if lacking == len(column):
                msg = (
                    f"{self.input}: none of its {len(column):,} rows has a human label, so nothing "
                    "can be compared with humans; add [stages.*.gold] to the corpus stage that its "
                    "rows come from, or leave the evaluate stage out"
                )
                raise InputError(msg)
            msg = (
                f"{self.input}: {lacking:,} of {len(column):,} rows have no human label, "
                "so there is nothing to hold a system to; put a stage of kind 'split' with gold = "
                "'require' before, which keeps the rows that have one"
            )
            raise InputError(msg)
        return [str(label) for label in column.to_pylist()]

    def _aligned(self, name: str, rows: int, ctx: StageContext) -> list[str | None]:
        """Return a system's labels in the order of the gold rows; None where it gave none.

        A row that a teacher refused to label is a row that it got wrong.

        Raises:
            InputError: if its dataset is not a labelling of these rows.
        """
        dataset = ctx.input(name)
        if dataset.num_rows <= rows and "label" in dataset.columns:
            positions = np.asarray(dataset.column(FROM))
            ordered = bool((np.diff(positions) > 0).all())
            unanswered = rows - len(positions)
            if ordered and unanswered == dataset.manifest.rejected_rows and positions[-1] < rows:
                labels: list[str | None] = [None] * rows
                given = dataset.column("label")
                none = missing_in(given, blank=True)
                for place, label in zip(
                    positions[~none], given.filter(pa.array(~none)), strict=True
                ):
                    labels[place] = str(label.as_py())
                return labels
        msg = (
            f"{name} is not a labelling of the rows of {self.input}, one for one; make it with "
            f"kind = 'label' or 'apply' and input = {self.input!r}"
        )
        raise InputError(msg)


def _majority(gold: list[str]) -> tuple[str, int]:
    """Return the commonest label, the first in the alphabet of those that tie, and its rows."""
    counts = Counter(gold)
    label = min(counts, key=lambda name: (-counts[name], name))
    return label, counts[label]


def _result(confusion: Confusion, majority: float) -> dict[str, Any]:
    low, high = wilson(confusion.right / confusion.total, confusion.total)
    result: dict[str, Any] = {
        "accuracy": confusion.right / confusion.total,
        "low": low,
        "high": high,
        "macro_f1": confusion.macro_f1(),
        "labels": confusion.by_label(),
        "confusion": confusion.as_json(),
        "unanswered": confusion.unanswered,
        "only": confusion.only,
    }
    standing = against_majority(Result(result["accuracy"], low, high), majority)
    return {**result, "against_majority": standing}
