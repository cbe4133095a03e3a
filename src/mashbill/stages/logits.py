"""``logits``: a teacher says of each token that would be learned what else it might have been.

Rows keep their columns and get their tokens and the teacher's distributions, written as
:mod:`mashbill.models.logit_records` says and bound to tokenizer, template, teacher and the values
that they were made of (:mod:`mashbill.models.logit_cache`). The teacher runs once, and a student
learns of the rows as often as it likes (``logit_kd``). Nothing is asked in words, so no journal has
calls: rows are committed shard by shard, and a run that was killed goes on with the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.record import FROM, REASON, REJECTED_BY, columns_beside, kept_beside
from mashbill.core.source import Channel
from mashbill.core.stage import Uses
from mashbill.core.teacher import Asks
from mashbill.models.learned_rows import Learned, LearnedRowKeys, LearnedRows, NotLearnedError
from mashbill.models.logit_cache import COLUMNS, How, columns, marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.models.logit_records import Records
    from mashbill.models.teacher_logits import TeacherLogits


_TOO_LONG = {
    "cut_rows": "rows were cut at",
    "dropped_sequences": "of rows that are several sequences some have no logits, longer than",
}
"""measure -> what is said where there are any"""


class LogitsSpec(LearnedRowKeys):
    """``kind = "logits"``."""

    keeps_texts: ClassVar[bool] = True
    extras: ClassVar[tuple[str, ...]] = ("students",)
    references: ClassVar[tuple[str, ...]] = ("input", "teacher")

    kind: Literal["logits"] = "logits"
    input: str
    """dataset whose rows a student will learn from"""
    teacher: str
    """which of [teachers.*]; its weights have to be here"""
    form: Literal["sampled", "top"] = "sampled"
    """sampled keeps classes drawn so that their shares are unbiased, three bytes each and one more;
    top keeps the likeliest and one bucket for all others, four bytes each"""
    classes: int = Field(default=12, gt=0, le=255)
    """classes that are kept of each position"""
    temperature: float = Field(default=1.0, ge=0.01, le=1000)
    """that the distribution is kept at, and learned at"""
    batch_tokens: int = Field(default=1024, gt=0)
    """tokens that are computed at once"""
    shard_rows: int = Field(default=256, gt=0)
    """rows a shard: what a run that is killed does again at most"""

    @model_validator(mode="after")
    def _a_sequence_is_computed_whole(self) -> LogitsSpec:
        if self.batch_tokens < self.max_tokens and "batch_tokens" in self.model_fields_set:
            msg = (
                f"batch_tokens = {self.batch_tokens} is less than max_tokens = {self.max_tokens}, "
                "and a sequence is computed at once; raise the one or lower the other"
            )
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows, and the teacher's logits."""
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            Uses(self.teacher, "actor", Channel.LOGITS, is_teacher=True),
        )

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """Nothing is asked in words."""
        del rows, data, folder
        return Asks(0, 0, (), ())

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Its input's columns, and its own."""
        del files
        given = inputs.get(self.input)
        return None if given is None else columns_beside(given, COLUMNS)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield rows with tokens and logits; those that nothing can be learned of are rejected."""
        with needs("reading a teacher's logits", "students"):
            from mashbill.models.devices import device_of
            from mashbill.models.logit_records import Records
            from mashbill.models.teacher_logits import TeacherLogits

        teacher: TeacherLogits = ctx.once(
            "teacher",
            lambda: TeacherLogits(ctx.teacher_weights(self.teacher), ctx.threads, device_of(0)),
        )
        form = Records(self.form, min(self.classes, teacher.vocabulary), teacher.vocabulary)
        reader = LearnedRows(self, teacher.encoder, ctx.recipe_folder)
        ctx.overall |= {
            "tokenizer": teacher.ids,
            "vocabulary": teacher.vocabulary,
            "classes": form.classes,
            "bytes_a_position": form.bytes,
        }
        start = 0
        for batch in records:
            yield self._cached(batch, start, teacher, form, reader, ctx)
            start += batch.num_rows

    def _cached(
        self,
        batch: pa.RecordBatch,
        start: int,
        teacher: TeacherLogits,
        form: Records,
        reader: LearnedRows,
        ctx: StageContext,
    ) -> pa.RecordBatch:
        """Return a batch of rows with what the teacher gives to them."""
        names = reader.columns(batch.schema.names, self.input)
        found: list[Learned | None] = []
        reasons: list[str | None] = []
        rows = batch.select(names).to_pylist()
        for place, row in enumerate(rows):
            try:
                where = f"{self.input}, row {ctx.first + start + place}"
                found.append(reader.row(row, where))
                self._check_length(found[-1], teacher, where)
                reasons.append(None)
            except NotLearnedError as error:
                found.append(None)
                reasons.append(str(error))
        made = self._given(found, start, teacher, form, ctx)
        bound = reader.bound(batch.schema.names)
        hows = [self._how(row, teacher, form, bound) for row in found]
        cells = columns(made, hows, rows)
        turned_down = [None if reason is None else self.kind for reason in reasons]
        return pa.RecordBatch.from_pydict(
            {
                **kept_beside(batch, COLUMNS),
                **cells,
                FROM: pa.array(range(start, start + batch.num_rows), pa.int64()),
                REJECTED_BY: pa.array(turned_down, pa.string()),
                REASON: pa.array(reasons, pa.string()),
            }
        )

    @staticmethod
    def _check_length(row: Learned | None, teacher: TeacherLogits, where: str) -> None:
        longest = max((len(one.ids) for one in row.sequences), default=0) if row else 0
        if teacher.context and longest > teacher.context:
            msg = (
                f"{where}: a sequence of it has {longest:,} tokens, and the teacher was made for "
                f"{teacher.context:,}; set max_tokens = {teacher.context}, or less"
            )
            raise InputError(msg)

    def _how(
        self, row: Learned | None, teacher: TeacherLogits, form: Records, bound: list[str]
    ) -> How:
        return How(
            tokenizer=teacher.ids,
            reading=teacher.reading,
            template=teacher.template if row is not None and row.is_conversation else "",
            teacher=teacher.digest,
            form=form.form,
            classes=form.classes,
            vocabulary=form.vocabulary,
            temperature=self.temperature,
            columns=bound,
        )

    def _given(
        self,
        found: Sequence[Learned | None],
        start: int,
        teacher: TeacherLogits,
        form: Records,
        ctx: StageContext,
    ) -> list[tuple[np.ndarray, bytes] | None]:
        """Return marked tokens and records of each row; what is drawn follows from its position."""
        sequences: list[tuple[Sequence[int], Sequence[bool]]] = []
        draws: list[np.ndarray] = []
        for place, row in enumerate(found):
            random = np.random.default_rng([ctx.seed, ctx.first + start + place])
            for one in () if row is None else row.sequences:
                sequences.append((one.ids, one.learned))
                draws.append(random.random((sum(one.learned[1:]), form.draws)))
        given = iter(
            teacher.records(
                sequences, form, self.temperature, draws,
                most=max(self.batch_tokens, self.max_tokens),
            )
        )  # fmt: skip
        made: list[tuple[np.ndarray, bytes] | None] = []
        for row in found:
            if row is None:
                made.append(None)
                continue
            own = b"".join(next(given) for _ in row.sequences)
            made.append((marked([(one.ids, one.learned) for one in row.sequences]), own))
        self._count(found, made, form, ctx)
        return made

    def _count(
        self,
        found: Sequence[Learned | None],
        made: Sequence[tuple[np.ndarray, bytes] | None],
        form: Records,
        ctx: StageContext,
    ) -> None:
        counts: dict[str, Any] = {
            "tokens": sum(len(row[0]) for row in made if row is not None),
            "positions": sum(len(row[1]) // form.bytes for row in made if row is not None),
            "cut_rows": sum(row.is_cut for row in found if row is not None),
            "dropped_sequences": sum(row.dropped for row in found if row is not None),
        }
        for name, says in _TOO_LONG.items():
            if counts[name]:
                ctx.warn(f"{self.input}: {says} max_tokens = {self.max_tokens:,} ({name})")
        for name, count in counts.items():
            ctx.measures[name] = ctx.measures.get(name, 0) + count
