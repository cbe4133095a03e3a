"""``filter``: keep rows by a score, by conditions on columns, by rules on their text.

Rows that go are rejects, each with the first condition, rule or threshold that it did not meet,
with its value and the limit.

* ``keep_top`` of ``column``: the share to keep is that of the rows that have a score. A row without
  one (null, NaN, an empty text) is rejected and decides nothing. Texts that write numbers are
  numbers; all are compared exactly.
* ``where``: comparisons of a column, and members of a list (:mod:`mashbill.stages.conditions`). A
  classifier of the recipe gives ``label`` and ``confidence`` by ``apply``; that is what a filter by
  a classifier is: ``where = [{ column = "label", one_of = ["good"] }]`` and ``by = "CLASSIFIER"``.
* ``heuristics``: named rules of published corpora (:mod:`mashbill.stages.heuristics.rules`), with
  limits that the user may set. They look at one text alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.cells import number_of
from mashbill.core.errors import InputError
from mashbill.core.explaining import check_columns
from mashbill.core.missing import Numbers, as_measure, numbers_of, told
from mashbill.core.record import FROM, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.files.rows.spoken import spoken
from mashbill.stages.conditions import Condition
from mashbill.stages.heuristics.trying import Trying, chosen
from mashbill.stages.judging import marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext


class FilterSpec(StageSpec):
    """``kind = "filter"``."""

    keeps_columns: ClassVar[bool] = True
    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = frozenset(
        {"where", "heuristics", "limits", "text", "stop_words"}
    )

    kind: Literal["filter"] = "filter"
    input: str
    """dataset to filter"""
    column: str = ""
    """column to keep the highest of: numbers, or texts that write them"""
    by: str = ""
    """model whose score or label the columns are (a stage), or "rule" if no model wrote them"""
    keep_top: float | None = Field(default=None, gt=0, le=1)
    """share of the rows with a score to keep; rows that tie with the last one kept are kept too"""
    where: tuple[Condition, ...] = ()
    """conditions that all must hold, as { column = "score", at_least = 0.5 }; at_least, at_most,
    above, below, one_of, none_of"""
    heuristics: tuple[str, ...] = ()
    """rules on the text, by name or family: gopher (-quality, -repetition), c4, mc4, fineweb"""
    limits: dict[str, float] = Field(default={})
    """rule -> limit, in the place of the paper's"""
    text: str = "text"
    """column that the rules read: a text, or a list of turns"""
    stop_words: tuple[str, ...] = ()
    """words of which gopher-stop-words counts those that a text has; English ones if not said"""

    @model_validator(mode="after")
    def _asks_for_something(self) -> FilterSpec:
        if bool(self.column) != (self.keep_top is not None):
            msg = "column and keep_top go together: the share of the rows to keep, by that column"
            raise ValueError(msg)
        if not (self.column or self.where or self.heuristics):
            msg = "it keeps all rows; set column with keep_top, where, or heuristics"
            raise ValueError(msg)
        if (self.column or self.where) and not self.by:
            msg = (
                "by is missing: name the model whose score or label the columns are, a stage of "
                'the recipe, or write by = "rule" if no model wrote them'
            )
            raise ValueError(msg)
        rules = chosen(self.heuristics, self.limits, self.stop_words)
        if self.stop_words and "gopher-stop-words" not in {rule.name for rule in rules}:
            msg = "stop_words is for the rule gopher-stop-words, which is not chosen"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows, selected by the model that scored them."""
        rows = Uses(self.input, "rows", Channel.CONTENT)
        if self.by in ("rule", ""):
            return (rows,)
        return rows, Uses(self.by, "actor", Channel.SELECTION)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """The share to keep; all that there are where conditions and rules decide."""
        return round(inputs[self.input] * (1 if self.keep_top is None else self.keep_top))

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns are there, where they are known."""
        del folder
        named = [(f"where[{at}].column", each.column) for at, each in enumerate(self.where)]
        named += [("text", self.text)] if self.heuristics else []
        named += [("column", self.column)]
        check_columns(named, columns.get(self.input), self.input)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows, those that do not meet it all marked as rejected."""
        threshold: Any = None
        if self.column:
            # Once for all slices: it is that of the whole column.
            ctx.overall |= ctx.once("measured", lambda: self._measured(ctx))
            threshold = number_of(ctx.overall["threshold"])
        trying = Trying(chosen(self.heuristics, self.limits, self.stop_words), self.stop_words)
        start = 0
        for batch in records:
            rows = batch.select(user_columns(batch.schema.names))
            reasons: list[str | None] = [None] * batch.num_rows
            if self.column:
                reasons = self._reasons(batch, threshold)
            for at, each in enumerate(self.where):
                told_of = each.reasons(batch, self.input)
                failed = sum(reason is not None for reason in told_of)
                counts = ctx.measures.setdefault("conditions", {})
                name = f"{at}: {each.column}"
                counts[name] = counts.get(name, 0) + failed
                reasons = _first(reasons, told_of)
            if self.heuristics:
                reasons = self._by_rules(batch, reasons, trying)
            columns = {
                **dict(zip(rows.schema.names, rows.columns, strict=True)),
                FROM: pa.array(np.arange(start, start + batch.num_rows), pa.int64()),
                **marks("filter", reasons),
            }
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows
        if self.heuristics:
            trying.tell(ctx)

    def _by_rules(
        self, batch: pa.RecordBatch, before: list[str | None], trying: Trying
    ) -> list[str | None]:
        """Return for each row why it is not kept; the rules read those that are kept so far."""
        texts = spoken(batch, self.text, self.input)
        return [
            reason or (trying.reason(text) if text.strip() else f"{self.text} is missing")
            for reason, text in zip(before, texts, strict=True)
        ]

    def _reasons(self, batch: pa.RecordBatch, threshold: Any) -> list[str | None]:
        """Return for each row why it is not kept."""
        numbers = self._numbers(batch.column(self.column))
        reasons: list[str | None] = [None] * batch.num_rows
        # What is rounded tells which are below, but for those that round to the same.
        near = float(as_measure(threshold))
        for row in np.flatnonzero(~(numbers.about > near)).tolist():
            if numbers.missing[row]:
                reasons[row] = f"{self.column} is missing"
            elif numbers.wrong[row]:
                value = numbers.column[row].as_py()
                reasons[row] = f"{self.column} {value!r:.80} is no number"
            elif numbers.exact(row) < threshold:
                reasons[row] = f"{self.column} {told(numbers.exact(row))} below {told(threshold)}"
        return reasons

    def _numbers(self, column: Any) -> Numbers:
        """Return the column as numbers.

        Raises:
            InputError: if it holds something else than numbers and texts.
        """
        numbers = numbers_of(column)
        if numbers is None:
            msg = f"{self.input}: column {self.column!r} holds {column.type}; filter needs numbers"
            raise InputError(msg)
        return numbers

    def _measured(self, ctx: StageContext) -> dict[str, Any]:
        """Return the least score that is kept, and how many rows have one, where not all do.

        Raises:
            InputError: if no row has a number.
        """
        numbers = self._numbers(ctx.input(self.input).column(self.column))
        scored, missing = int(numbers.known.sum()), int(numbers.missing.sum())
        if not scored:
            wrong = np.flatnonzero(numbers.wrong)
            has = f" (it has {numbers.column[int(wrong[0])].as_py()!r:.80})" if len(wrong) else ""
            msg = (
                f"{self.input}: no row has a number in column {self.column!r}{has}, so there is "
                "nothing to keep the highest of; name the column that holds the scores, or score "
                "the rows first"
            )
            raise InputError(msg)
        threshold = numbers.nth(math.ceil((scored - 1) * (1 - (self.keep_top or 1))))
        found: dict[str, Any] = {"threshold": as_measure(threshold)}
        if scored < len(numbers.about):
            found |= {"scored": scored, "missing": missing}
            found |= {"no_number": int(numbers.wrong.sum())} if numbers.wrong.any() else {}
        return found


def _first(reasons: list[str | None], others: list[str | None]) -> list[str | None]:
    """Return for each row the first reason that there is."""
    return [mine or its for mine, its in zip(reasons, others, strict=True)]
