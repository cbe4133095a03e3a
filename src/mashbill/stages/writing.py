"""What stages have in common whose teacher writes: prompts, samples, structure, checks, a judge.

A row of the input and a sample's number are a *candidate*. Each is asked, read by the schema if
there is one (and asked again with the error shown, where it does not fit), put to the checks and
then to the judge. What fails is a rejected row with its reason; nothing is dropped.

With ``accept`` the stage stops at so many accepted rows: candidates are asked in waves, in order,
each as large as what is lacking needs at the rate so far, so that few are bought for nothing.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from mashbill.core.errors import InputError
from mashbill.core.record import CALL, FROM, user_columns
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import Question, StageSpec, Uses
from mashbill.stages.asking import calls_column, marks
from mashbill.stages.prompting import Prompt, shipped_prompt
from mashbill.stages.structure import Structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mashbill.core.stage import Answer, StageContext, TeacherSession

_LOWEST_RATE = 0.05  # of acceptance: waves are sized as if it were no lower
_YES, _NO = " yes", " no"


@dataclass(slots=True)
class Candidate:
    """One thing asked for."""

    row: int
    """position within the slice"""
    sample: int
    values: dict[str, Any]
    """the row's columns"""
    question: Question
    call: str = ""
    text: str = ""
    value: Any = None
    """the answer as JSON, where there is a schema"""
    reason: str | None = None
    """why it is rejected"""
    answer: Answer | None = None
    right: float | None = None
    """how sure the judge was"""
    columns: dict[str, Any] = field(default_factory=dict)
    """further columns of its row"""
    first: str = ""
    """what was asked at first, where more was asked after it"""

    def prompt(self, spec: WritingSpec) -> str:
        """Return what its column ``prompt`` says."""
        return spec.prompt_text(self.values, self.first or self.question.body)


class WritingSpec(StageSpec):
    """Keys of every stage whose teacher writes."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher", "judge")
    asks_to_write: ClassVar[bool] = True
    shipped: ClassVar[str] = ""
    """name of the prompt that is used where the recipe names none"""
    adds: ClassVar[tuple[str, ...]] = ()
    """variables that the stage itself gives its prompt"""
    takes: ClassVar[Channel] = Channel.PROMPT
    """how the rows reach what is written"""
    gives: ClassVar[Channel] = Channel.CONTENT
    """how the teacher does"""
    spreads: ClassVar[bool] = True
    """whether each property of the schema becomes a column"""

    input: str
    """dataset whose rows are asked about"""
    teacher: str
    """which of [teachers.*]"""
    prompt: str = ""
    """Jinja file beside the recipe; the stage's own prompt if empty"""
    samples: int = Field(default=1, gt=0)
    """answers to each prompt"""
    output_schema: str = Field(default="", alias="schema")
    """JSON Schema file beside the recipe, or FILE.py:NAME of a pydantic model"""
    retries: int = Field(default=2, ge=0)
    """times that an answer which does not fit the schema is asked for again, with the error"""
    min_chars: int = Field(default=0, ge=0)
    """shorter answers are rejected"""
    max_answer_chars: int | None = Field(default=None, gt=0)
    """longer answers are rejected"""
    match: str = ""
    """regular expression that an answer must hold"""
    refuse: str = ""
    """regular expression that an answer must not hold"""
    keep_cut: bool = False
    """whether answers that were cut off at max_tokens are kept"""
    max_chars: int = Field(default=32000, gt=0)
    """longer prompts are rejected without being asked: a part of them would be lost"""
    judge: str = ""
    """which of [teachers.*] says whether an answer is right; none if empty"""
    judge_prompt: str = ""
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
        try:
            re.compile(text)
        except re.error as error:
            msg = f"not a regular expression: {error}"
            raise ValueError(msg) from error
        return text

    @model_validator(mode="after")
    def _judge_has_somebody(self) -> WritingSpec:
        if self.judge_prompt and not self.judge:
            msg = "judge_prompt is set and judge is not; name the teacher that judges"
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
            self._judging(folder).check(("prompt", "text"))
        if self.output_schema:
            Structure.of(folder, self.output_schema)

    def template(self, folder: Path) -> Prompt | None:
        """Return the prompt; None if rows are asked as they are."""
        if self.prompt:
            return Prompt(folder / self.prompt)
        return Prompt(shipped_prompt(self.shipped)) if self.shipped else None

    def _judging(self, folder: Path) -> Prompt:
        named = folder / self.judge_prompt if self.judge_prompt else shipped_prompt("judge")
        return Prompt(named)

    @property
    def wanted(self) -> int | None:
        """As many rows as ``accept`` says."""
        return self.accept

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """So many answers to each prompt, or as many as are wanted."""
        most = inputs[self.input] * self.samples
        return most if self.accept is None else min(self.accept, most)

    # -- what a stage of this kind says ----------------------------------------------------------

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """Return what the stage adds to a row's columns, for its prompt.

        Args:
            row: the row.
            sample: which answer to it.
            rows: all rows of its slice.
            ctx: the context.
        """
        del row, sample, rows, ctx
        return {}

    def tools_text(self, folder: Path) -> str:
        """Return the tools that the teacher may call, as JSON; empty if there are none."""
        del folder
        return ""

    def go_on(self, items: Sequence[Candidate], work: Work) -> None:
        """Go on from first answers that are in order: further turns, results of tools."""
        del items, work

    def rows_of(self, candidate: Candidate) -> list[dict[str, Any]]:
        """Return the rows that an accepted answer makes; a list of none rejects the candidate.

        A row sets ``text``, may set ``prompt`` and the columns of :meth:`further`, and is rejected
        by itself where it sets ``reason``.
        """
        return [{"text": candidate.text, **candidate.columns}]

    def prompt_text(self, row: dict[str, Any], user: str) -> str:
        """Return what the column ``prompt`` of a row says."""
        del row
        return user

    def further(self) -> dict[str, pa.DataType]:
        """Return the columns that :meth:`rows_of` sets beside ``text``."""
        return {}

    def structure(self, folder: Path) -> Structure | None:
        """Return the schema of its answers."""
        return Structure.of(folder, self.output_schema) if self.output_schema else None

    # -- the work --------------------------------------------------------------------------------

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield prompt, text and sample, and the schema's columns; with rejects and why."""
        work = Work(self, ctx)
        start = 0
        for batch in records:
            rows = batch.select(user_columns(batch.schema.names)).to_pylist()
            yield from work.slice(rows, start)
            start += batch.num_rows
            if self.accept is not None and ctx.kept + work.kept >= self.accept:
                break
        work.measure()


class Work:
    """One slice of a writing stage."""

    def __init__(self, spec: WritingSpec, ctx: StageContext) -> None:
        self.spec = spec
        self.ctx = ctx
        self.kept = 0
        self.counts = {"asked": 0, "accepted": 0, "asked_again": 0, "repaired": 0}
        self._template = spec.template(ctx.recipe_folder)
        self._structure = spec.structure(ctx.recipe_folder)
        self._tools = spec.tools_text(ctx.recipe_folder)
        self._judging = spec._judging(ctx.recipe_folder) if spec.judge else None  # noqa: SLF001

    def measure(self) -> None:
        """Add what was counted to the stage's measures."""
        for name, count in self.counts.items():
            self.ctx.measures[name] = self.ctx.measures.get(name, 0) + count

    def slice(self, rows: list[dict[str, Any]], start: int) -> Iterator[pa.RecordBatch]:
        """Yield the records of some rows; all at once, or in waves until enough are accepted."""
        todo = [(i, n) for i in range(len(rows)) for n in range(self.spec.samples)]
        place = asked = 0
        while place < len(todo):
            size = len(todo) - place
            lacking = self._lacking()
            if lacking is not None:
                rate = max(self.kept / asked if asked else 1.0, _LOWEST_RATE)
                size = min(size, math.ceil(lacking / rate))
            wave = [self._candidate(rows, i, n, start + i) for i, n in todo[place : place + size]]
            self._complete(wave)
            yield self._records(wave, start)
            place, asked = place + size, asked + size
            if self._lacking() == 0:
                return

    def _lacking(self) -> int | None:
        if self.spec.accept is None:
            return None
        return max(self.spec.accept - self.ctx.kept - self.kept, 0)

    def _candidate(
        self, rows: Sequence[dict[str, Any]], place: int, sample: int, at: int
    ) -> Candidate:
        spec, row = self.spec, rows[place]
        values = {**row, **spec.asked(row, sample, rows, self.ctx)}
        where = f"row {at} of {spec.input}"
        if self._template is None:
            system, user = "", spec.prompt_text(row, "")
        else:
            said = self._template.render(values, where)
            system, user = said.system, said.user
        schema = self._structure.text if self._structure else ""
        made = Candidate(
            place,
            sample,
            values,
            Question("", user, system=system, schema=schema, tools=self._tools, sample=sample),
        )
        if not user.strip():
            made.reason = "its prompt is empty"
        elif len(user) + len(system) > spec.max_chars:
            made.reason = f"its prompt is longer than {spec.max_chars} characters"
        return made

    def _complete(self, wave: list[Candidate]) -> None:
        """Ask, read, check and judge."""
        teacher = self.ctx.teacher(self.spec.teacher)
        todo = [item for item in wave if item.reason is None]
        self.counts["asked"] += len(todo)
        self.ask(teacher, [(item, item.question) for item in todo])
        for _ in range(self.spec.retries if self._structure else 0):
            wrong = [item for item in todo if item.reason is not None and _may_mend(item)]
            if not wrong:
                break
            self.counts["asked_again"] += len(wrong)
            self.ask(teacher, [(item, _again(item)) for item in wrong])
        self.spec.go_on([item for item in todo if item.reason is None], self)
        for item in todo:
            if item.reason is None:
                item.reason = self._checked(item.text)
        if self._judging is not None:
            self._judge([item for item in todo if item.reason is None], self._judging)

    def ask(self, teacher: TeacherSession, asked: Sequence[tuple[Candidate, Question]]) -> None:
        """Ask for candidates, and read the answers."""
        answers = teacher.ask([question for _, question in asked])
        for (item, question), (call, answer) in zip(asked, answers, strict=True):
            item.question, item.call, item.answer = question, call, answer
            item.text, item.value = answer.text.strip(), None
            item.reason = self._read(item, answer)

    def _read(self, item: Candidate, answer: Answer) -> str | None:
        if answer.failed:
            return answer.failed
        if answer.finish == "length" and not self.spec.keep_cut:
            return "it was cut off at the teacher's max_tokens"
        if not item.text and not answer.tool_calls:
            return "the teacher wrote nothing"
        if self._structure is None or not item.question.schema:
            return None
        read = self._structure.read(item.text)
        if read.problem:
            return f"it does not fit the schema: {read.problem}"
        self.counts["repaired"] += read.repaired
        item.value = read.value
        item.text = json.dumps(read.value, ensure_ascii=False, sort_keys=True)
        return None

    def _checked(self, text: str) -> str | None:
        spec = self.spec
        if len(text) < spec.min_chars:
            return f"{len(text)} characters, below {spec.min_chars}"
        if spec.max_answer_chars is not None and len(text) > spec.max_answer_chars:
            return f"{len(text)} characters, above {spec.max_answer_chars}"
        if spec.match and not re.search(spec.match, text):
            return f"does not match {spec.match!r}"
        if spec.refuse and re.search(spec.refuse, text):
            return f"matches {spec.refuse!r}, which is refused"
        return None

    def _judge(self, items: list[Candidate], judging: Prompt) -> None:
        questions = []
        for item in items:
            said = judging.render(
                {"prompt": item.question.body, "text": item.text}, f"row {item.row}"
            )
            questions.append(Question("", said.user, (_YES, _NO), system=said.system))
        answers = self.ctx.teacher(self.spec.judge).ask(questions)
        for item, (_, answer) in zip(items, answers, strict=True):
            if answer.failed:
                item.reason = f"the judge gave no answer: {answer.failed}"
                continue
            item.right = 1 / (1 + math.exp(answer.logprobs[1] - answer.logprobs[0]))
            if item.right < self.spec.threshold:
                item.reason = f"right at {item.right:.4f}, below {self.spec.threshold}"

    def _records(self, wave: list[Candidate], start: int) -> pa.RecordBatch:
        """Return the rows of a wave; what is accepted beyond what is wanted is rejected too."""
        spec, made = self.spec, []
        for item in wave:
            rows = spec.rows_of(item) if item.reason is None else []
            if item.reason is None and not rows:
                item.reason = "no row could be made of its answer"
            for row in rows:
                lacking = self._lacking()
                reason = row.get("reason")
                if reason is None and lacking == 0:
                    reason = f"{spec.accept} were accepted before it"
                self.kept += reason is None
                self.counts["accepted"] += reason is None
                made.append((item, row, reason))
            if not rows:
                made.append((item, {**item.columns, "text": item.text}, item.reason))
        return self._batch(made, start)

    def _batch(
        self, made: Sequence[tuple[Candidate, dict[str, Any], str | None]], start: int
    ) -> pa.RecordBatch:
        spec = self.spec
        columns: dict[str, Any] = {
            "prompt": pa.array(
                [row.get("prompt", item.prompt(spec)) for item, row, _ in made], pa.string()
            ),
            "text": pa.array([row["text"] for _, row, _ in made], pa.string()),
            "sample": pa.array([item.sample for item, _, _ in made], pa.int64()),
        }
        for name, kind in spec.further().items():
            columns[name] = pa.array([row.get(name) for _, row, _ in made], kind)
        if self._structure is not None and spec.spreads:
            values = [item.value for item, _, _ in made]
            arrays = self._structure.arrays(values)
            columns |= {name: arr for name, arr in arrays.items() if name not in columns}
        if self._judging is not None:
            columns["right"] = pa.array([item.right for item, _, _ in made], pa.float64())
        columns |= {
            FROM: pa.array([start + item.row for item, _, _ in made], pa.int64()),
            CALL: _calls(item.call for item, _, _ in made),
            **marks(spec.kind, [reason for _, _, reason in made]),
        }
        return pa.RecordBatch.from_pydict(columns)


def _calls(calls: Iterable[str]) -> pa.Array:
    return calls_column([call or None for call in calls])


def _may_mend(item: Candidate) -> bool:
    """Return whether showing the error could help: the teacher did write, and not too much."""
    answer = item.answer
    return (
        answer is not None and not answer.failed and answer.finish != "length" and bool(item.text)
    )


def _again(item: Candidate) -> Question:
    """Return the question that shows the teacher its answer and what is wrong with it."""
    turns = json.loads(item.question.turns) if item.question.turns else []
    item.first = item.first or item.question.body
    turns += [
        {"role": "user", "content": item.question.body},
        {"role": "assistant", "content": item.text},
    ]
    return Question(
        "",
        f"That answer {(item.reason or '').removeprefix('it ')}. Write it again so that it is one "
        "JSON value that satisfies the schema, and nothing else.",
        system=item.question.system,
        turns=json.dumps(turns, ensure_ascii=False),
        schema=item.question.schema,
        sample=item.question.sample,
    )


def needs_column(row: dict[str, Any], column: str, of: str) -> str:
    """Return a row's text in a column; an absent value is empty.

    Raises:
        InputError: if there is no such column, or it holds no text.
    """
    if column not in row:
        have = ", ".join(row)
        msg = f"{of} has no column {column!r}; it has {have}; correct the column name in the recipe"
        raise InputError(msg)
    value = row[column]
    if value is not None and not isinstance(value, str):
        msg = f"{of}: column {column!r} holds {type(value).__name__}; text is needed"
        raise InputError(msg)
    return value or ""
