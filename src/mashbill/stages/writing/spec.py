"""What stages have in common whose teacher writes: their keys, and what each says for itself.

The keys are about prompts, samples, structure, checks and a judge;
:mod:`mashbill.stages.writing.work` does the work. With ``accept`` a stage stops at so many accepted
rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from mashbill.core.patterns import compiled
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.teacher import Asks
from mashbill.files.rows.cells import as_text
from mashbill.prompts.prompt import Prompt, shipped_prompt
from mashbill.prompts.schema import Structure
from mashbill.stages.judging import FileName
from mashbill.stages.writing.candidate import is_empty
from mashbill.stages.writing.work import Work

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.chat import Tool
    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import Answer
    from mashbill.stages.writing.candidate import Candidate


class WritingSpec(StageSpec):
    """Keys of every stage whose teacher writes."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher", "judge")
    asks_to_write: ClassVar[bool] = True
    heeds_trial: ClassVar[bool] = True
    shipped: ClassVar[str] = ""
    """name of the prompt that is used where the recipe names none"""
    takes: ClassVar[Channel] = Channel.PROMPT
    """how the rows reach what is written"""
    gives: ClassVar[Channel] = Channel.CONTENT
    """how the teacher does"""
    spreads: ClassVar[bool] = True
    """whether each property of the schema becomes a column"""
    keeps: ClassVar[bool] = False
    """whether a row keeps the columns that it had, ``text`` replaced"""
    called: ClassVar[str] = ""
    """what a prompt may call the column that is asked about, beside the column's own name"""
    as_json: ClassVar[frozenset[str]] = frozenset()
    """which of the columns of :meth:`further` are JSON"""
    takes_schema: ClassVar[bool] = True
    """whether a recipe may set a schema; else it is the stage's own, or there is none"""

    input: str
    """dataset whose rows are asked about"""
    teacher: str
    """which of [teachers.*]"""
    prompt: FileName = ""
    """Jinja file beside the recipe; the stage's own prompt if empty"""
    samples: int = Field(default=1, gt=0)
    """answers to each prompt"""
    output_schema: FileName = Field(default="", alias="schema")
    """JSON Schema file beside the recipe, or FILE.py:NAME of a pydantic model: that file is
    executed whenever the recipe is read, if the user allows it by name (--allow FILE.py)"""
    retries: int = Field(default=2, ge=0)
    """times that an answer which does not fit the schema is asked for again, with the error"""
    min_chars: int = Field(default=0, ge=0)
    """shorter answers are rejected"""
    max_answer_chars: int | None = Field(default=None, gt=0)
    """longer answers are rejected"""
    match: str = ""
    """regular expression that an answer must hold; as Python's, without looking around and without
    going back to a group"""
    refuse: str = ""
    """regular expression that an answer must not hold"""
    keep_cut: bool = False
    """whether answers that were cut off at max_tokens are kept"""
    max_chars: int = Field(default=32000, gt=0)
    """longer prompts are rejected without being asked: a part of them would be lost"""
    judge: str = ""
    """which of [teachers.*] says whether an answer is right; none if empty"""
    judge_prompt: FileName = ""
    """Jinja file for the judge, with {{ prompt }} and {{ text }}; the stage's own if empty"""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """answers whose probability of being right is below this are rejected"""
    accept: int | None = Field(default=None, gt=0)
    """stop at so many accepted rows; all candidates if absent"""
    shard_rows: int = Field(default=1024, gt=0)
    """input rows a shard"""

    model_config: ClassVar[Any] = {**StageSpec.model_config, "populate_by_name": True}

    @field_validator("match", "refuse")
    @classmethod
    def _is_expression(cls, text: str) -> str:
        compiled(text)
        return text

    @model_validator(mode="after")
    def _judge_has_somebody(self) -> WritingSpec:
        if self.judge_prompt and not self.judge:
            msg = "judge_prompt is set and judge is not; name the teacher that judges"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _schema_has_a_use(self) -> WritingSpec:
        if self.output_schema and not self.takes_schema:
            msg = f"schema cannot be set: what {self.kind} asks for has its own form; remove it"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows, who writes, and who judges what was written."""
        uses = [
            Uses(self.input, "rows", self.takes),
            Uses(self.teacher, "actor", self.gives, is_teacher=True, purpose=self.purpose_of()),
        ]
        if self.judge:
            judging, verifying = Channel.JUDGEMENT, Purpose.VERIFYING
            uses.append(Uses(self.judge, "actor", judging, is_teacher=True, purpose=verifying))
        return tuple(uses)

    def purpose_of(self) -> Purpose:
        """Return to what end the teacher writes."""
        return Purpose.MAKING

    def files(self) -> tuple[str, ...]:
        """The prompts and the schema."""
        named = (self.prompt, self.judge_prompt, self.output_schema.partition(":")[0])
        return tuple(name for name in named if name)

    def own_files(self) -> dict[str, Path]:
        """The shipped prompts that are used."""
        own = {}
        if not self.prompt and self.shipped:
            own[self.shipped] = shipped_prompt(self.shipped)
        if self.judge and not self.judge_prompt:
            own["judge"] = shipped_prompt("judge")
        return own

    def check(self, folder: Path) -> None:
        """Read prompts and schema."""
        self.template(folder)
        if self.judge:
            self.judging(folder).check(("prompt", "text"))
        if self.output_schema:
            taken = {"prompt", "text", "sample", *self.further(), *self.beside()}
            structure = Structure.of(folder, self.output_schema)
            structure.check_columns(taken | ({"right"} if self.judge else set()))

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """Hold what the prompt looks up in ``row`` to the columns that there are."""
        template = self.template(folder)
        if template is not None and self.input in columns:
            template.check_row(columns[self.input], self.input)

    def template(self, folder: Path) -> Prompt | None:
        """Return the prompt; None if rows are asked as they are."""
        if self.prompt:
            return Prompt(folder / self.prompt)
        return Prompt(shipped_prompt(self.shipped)) if self.shipped else None

    def judging(self, folder: Path) -> Prompt:
        """Return the judge's prompt."""
        named = folder / self.judge_prompt if self.judge_prompt else shipped_prompt("judge")
        return Prompt(named)

    @property
    def about(self) -> str:
        """Name of the column that is asked about."""
        return str(getattr(self, "column", "text"))

    @property
    def rows_each(self) -> int:
        """How many rows an answer makes, if all goes well: what ``accept`` counts on at first."""
        return 1

    @property
    def wanted(self) -> int | None:
        """As many rows as ``accept`` says."""
        return self.accept

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """So many answers to each prompt, or as many as are wanted."""
        most = inputs[self.input] * self.samples
        return most if self.accept is None else min(self.accept, most)

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """Each candidate's dialogue, and the judge about each row that may be made of it."""
        del data
        most = rows[self.input] * self.samples
        needed = most if self.accept is None else math.ceil(self.accept / self.rows_each)
        once, worst = self.dialogue(folder)
        judging = (self.judge,) if self.judge else ()
        if worst is not None:
            worst = (*worst, *judging * self.rows_each)
        return Asks(min(needed, most), most, (*once, *judging), worst)

    def dialogue(self, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
        """Return who is asked until there is an answer: if all goes well, and at worst."""
        again = self.retries if self.structure(folder) else 0
        return (self.teacher,), (self.teacher,) * (1 + again)

    # -- what a stage of this kind says ----------------------------------------------------------

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """Return what the stage adds to a row's columns, for its prompt.

        Args:
            row: the row.
            sample: which answer to it.
            rows: those of its slice that rest on the same sources, itself among them: what is
                made of several of them has the bill of each.
            ctx: the context.
        """
        del row, sample, rows, ctx
        return {}

    def told_tools(self, folder: Path) -> tuple[Tool, ...]:
        """Return the tools that the teacher may call."""
        del folder
        return ()

    def lacking(self, row: dict[str, Any], variables: Collection[str]) -> str | None:
        """Return why a row is not asked about: it is empty where its prompt asks about it.

        Args:
            row: its columns.
            variables: those that the recipe's own prompt has, if it has one.
        """
        names = [self.about]
        if self.prompt and not {self.about, self.called} & set(variables):
            names = [name for name in row if name in variables]
        filled = [name for name in names if name not in row or not is_empty(row[name])]
        if filled or not names:
            return None
        return f"its column {' and '.join(names)} is empty"

    def unfit(self, values: dict[str, Any], system: str, user: str) -> str | None:
        """Return why a row is rejected without being asked about."""
        del values
        if not user.strip():
            return "its prompt is empty"
        if len(user) + len(system) > self.max_chars:
            return f"its prompt is longer than {self.max_chars} characters"
        return None

    def go_on(self, items: Sequence[Candidate], work: Work) -> None:
        """Go on from first answers that are in order: further turns, results of tools."""
        del items, work

    def rows_of(self, candidate: Candidate) -> list[dict[str, Any]]:
        """Return the rows that an accepted answer makes; a list of none rejects the candidate.

        A row sets ``text``, may set ``prompt`` and the columns of :meth:`further`, and is rejected
        by itself where it sets ``reason``.
        """
        return [{"text": candidate.text, **candidate.columns}]

    def judged(self, candidate: Candidate, row: dict[str, Any]) -> dict[str, str]:
        """Return what the judge is shown of a row: what was asked, and the answer."""
        return {"prompt": row.get("prompt", candidate.first), "text": row["text"]}

    def prompt_text(self, row: dict[str, Any], user: str) -> str:
        """Return what the column ``prompt`` of a row says."""
        del row
        return user

    def further(self) -> dict[str, pa.DataType]:
        """Return the columns that :meth:`rows_of` sets beside ``text``."""
        return {}

    @property
    def keeps_cut(self) -> bool:
        """Whether answers that were cut off are kept."""
        return self.keep_cut

    @property
    def keeps_nothing_said(self) -> bool:
        """Whether an answer that was cut off before it said anything is kept."""
        return False

    @property
    def along(self) -> tuple[str, ...]:
        """Columns of the input that go along into each row, where a stage does not keep all."""
        return ()

    def beside(self) -> dict[str, pa.DataType]:
        """Return the columns of :meth:`told_beside`."""
        return {}

    def told_beside(self, candidate: Candidate) -> dict[str, Any]:
        """Return what is told of a candidate's answer in every row that is made of it."""
        del candidate
        return {}

    def structure(self, folder: Path) -> Structure | None:
        """Return the schema of its answers."""
        return Structure.of(folder, self.output_schema) if self.output_schema else None

    def denied(
        self,
        rows: pa.Table,
        answers: Sequence[Answer | None],
        choices: tuple[str, ...],
        measures: Mapping[str, Any],
    ) -> np.ndarray | None:
        """Return which rows have another text than their answers; None where it is made of them."""
        del measures, choices
        own = type(self)
        is_plain = (own.rows_of, own.go_on) == (WritingSpec.rows_of, WritingSpec.go_on)
        if not is_plain or self.output_schema or own.structure is not WritingSpec.structure:
            return None
        texts = rows.column("text").to_pylist()
        return np.array(
            [answer is not None and text not in {None, as_text(answer.text)}
             for text, answer in zip(texts, answers, strict=True)], bool,
        )  # fmt: skip

    # -- the work --------------------------------------------------------------------------------

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield prompt, text and sample, and the schema's columns; with rejects and why."""
        work = Work(self, ctx)
        start = 0
        for batch in records:
            yield from work.batch(batch, start)
            start += batch.num_rows
            if ctx.trial is not None and work.taken >= ctx.trial:
                break
            if self.accept is not None and ctx.kept + work.kept >= self.accept:
                break
        work.measure()
