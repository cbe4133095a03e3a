"""The work of a stage whose teacher writes: asking, reading, checking, judging, in waves.

A row of the input and a sample's number are a *candidate*. Each is asked, read by the schema if
there is one (and asked again with the error shown, where it does not fit), and makes a row or
several; each row is put to the checks and then to the judge. What fails is a rejected row with its
reason; nothing is dropped.

With ``accept`` the stage stops at so many accepted rows: candidates are asked in waves, in order,
each as large as what is lacking needs at the rate so far, so that few are bought for nothing. At
first the rate is what the stage says that an answer makes.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.json_fields import json_columns, with_json
from mashbill.core.naming import free_names
from mashbill.core.patterns import found
from mashbill.core.record import BILL, CALL, FROM, beyond, kept_beside, user_columns
from mashbill.core.teacher import CUT_OFF, Question
from mashbill.core.texts import calls_column, texts_of
from mashbill.files.rows.cells import as_text
from mashbill.prompts.nested import read_again, read_cells
from mashbill.prompts.prompt import Rendered
from mashbill.prompts.schema import flaw
from mashbill.stages.judging import marks, right_of, unchosen
from mashbill.stages.writing.candidate import Candidate, _may_mend, once_more

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import Answer, TeacherSession
    from mashbill.prompts.prompt import Prompt
    from mashbill.stages.writing.spec import WritingSpec

_LOWEST_RATE = 0.05  # accepted rows an answer: waves are sized as if it were no lower
_YES, _NO = " yes", " no"


class Work:
    """One slice of a writing stage."""

    def __init__(self, spec: WritingSpec, ctx: StageContext) -> None:
        self.spec = spec
        self.ctx = ctx
        self.kept = 0
        self.taken = 0
        """candidates gone through"""
        self.counts = {"asked": 0, "accepted": 0, "asked_again": 0, "repaired": 0}
        self._template = spec.template(ctx.recipe_folder)
        self._structure = spec.structure(ctx.recipe_folder)
        self._tools = spec.told_tools(ctx.recipe_folder)
        self._json: dict[str, pa.DataType] = {}
        """columns of the rows at hand that hold JSON"""
        self._judging = spec.judging(ctx.recipe_folder) if spec.judge else None

    def measure(self) -> None:
        """Add what was counted to the stage's measures."""
        for name, count in self.counts.items():
            self.ctx.measures[name] = self.ctx.measures.get(name, 0) + count

    def batch(self, batch: pa.RecordBatch, start: int) -> Iterator[pa.RecordBatch]:
        """Yield the records of some rows; all at once, or in waves until enough are accepted."""
        names = batch.schema.names
        self._json = json_columns(batch.schema)
        rows = batch.select(user_columns(names)).to_pylist()
        near = _alike(rows, batch.column(BILL).to_pylist() if BILL in names else [0] * len(rows))
        todo = [(i, n) for i in range(len(rows)) for n in range(self.spec.samples)]
        if self.ctx.trial is not None:
            todo = todo[: max(self.ctx.trial - self.taken, 0)]
        self.taken += len(todo)
        place = 0
        while place < len(todo):
            size = min(self._wave() or len(todo), len(todo) - place)
            wave = [
                self._candidate(rows[i], near[i], (i, n), start + i)
                for i, n in todo[place : place + size]
            ]
            self._complete(wave)
            yield self._records(wave, batch, start)
            place += size
            if self._lacking() == 0:
                return

    def _wave(self) -> int | None:
        """Return how many candidates to ask at once; None for all.

        The rate is that of all slices so far, and counts what is expected of one answer; and no
        wave is more than twice what was asked before. So a few rejections at first buy no flood.
        """
        lacking = self._lacking()
        if lacking is None:
            return None
        asked, accepted = (
            self.ctx.before.get(name, 0) + self.counts[name] for name in ("asked", "accepted")
        )
        each = self.spec.rows_each
        rate = max((accepted + each) / (asked + 1), _LOWEST_RATE)
        hoped, rated = math.ceil(lacking / each), math.ceil(lacking / float(rate))
        return max(min(rated, max(hoped, 2 * int(asked))), 1)

    def _lacking(self) -> int | None:
        if self.spec.accept is None:
            return None
        return max(self.spec.accept - self.ctx.kept - self.kept, 0)

    def _candidate(
        self, row: dict[str, Any], near: Sequence[dict[str, Any]], which: tuple[int, int], at: int
    ) -> Candidate:
        spec, (place, sample) = self.spec, which
        where = f"row {at} of {spec.input}"
        added = spec.asked(row, sample, near, self.ctx)
        values = {**row, **added}
        system, user = "", ""
        if self._template is None:
            lacking = spec.lacking(row, ())
            user = spec.prompt_text(row, "") if lacking is None else ""
        else:
            lacking, said = self._filled(self._template, row, added, where)
            system, user = said.system, said.user
        schema = self._structure.asked if self._structure else None
        question = Question(
            "", user, system=system, schema=schema, tools=self._tools, sample=sample
        )
        made = Candidate(place, sample, values, question, user, where)
        made.reason = lacking or spec.unfit(values, system, user)
        return made

    def _filled(
        self, template: Prompt, row: dict[str, Any], added: dict[str, Any], where: str
    ) -> tuple[str | None, Rendered]:
        """Return why a row is not asked about, and what its prompt comes to."""
        spec, names = self.spec, template.reads(row)
        if spec.called in template.variables and spec.about in row:
            names |= {spec.about}
        try:
            there = read_cells(row, self._json, names)
            if spec.about in self._json and spec.called in added:  # the same cell, by another name
                added = {**added, spec.called: read_again(added[spec.called], spec.about)}
        except InputError as error:  # one row's: the others can be asked about
            return str(error), Rendered("", "")
        lacking = spec.lacking(there, template.variables | names)
        if lacking is not None:
            return lacking, Rendered("", "")
        return None, template.render({**there, **added}, where, there)

    def _complete(self, wave: list[Candidate]) -> None:
        """Ask, read, make rows, check and judge."""
        teacher = self.ctx.teacher(self.spec.teacher)
        todo = [item for item in wave if item.reason is None]
        self.counts["asked"] += len(todo)
        self.ask(teacher, [(item, item.question) for item in todo])
        for _ in range(self.spec.retries if self._structure else 0):
            wrong = [item for item in todo if item.reason is not None and _may_mend(item)]
            if not wrong:
                break
            self.counts["asked_again"] += len(wrong)
            self.ask(
                teacher,
                [
                    (item, once_more(item.question, item.answer, item.reason.removeprefix("it ")))
                    for item in wrong
                    if item.answer is not None and item.reason is not None
                ],
            )
        self.spec.go_on([item for item in todo if item.reason is None], self)
        judged = []
        for item in todo:
            if item.reason is not None:
                continue
            item.rows = self.spec.rows_of(item)
            if not item.rows:
                item.reason = "no row could be made of its answer"
            for row in item.rows:
                row["reason"] = row.get("reason") or self._checked(row["text"])
                judged += [(item, row)] if row["reason"] is None else []
        if self._judging is not None:
            self._judge(judged, self._judging)

    def ask(self, teacher: TeacherSession, asked: Sequence[tuple[Candidate, Question]]) -> None:
        """Ask for candidates, and read the answers."""
        answers = teacher.ask([question for _, question in asked])
        for (item, question), (call, answer) in zip(asked, answers, strict=True):
            item.question, item.call, item.answer = question, call, answer
            item.tokens += answer.tokens
            item.text, item.value = as_text(answer.text), None
            item.reason = self._read(item, answer)

    def _read(self, item: Candidate, answer: Answer) -> str | None:
        was_cut = answer.finish == "length" and (not answer.failed or CUT_OFF in answer.failed)
        if was_cut and self.spec.keeps_nothing_said and not item.text.strip():
            return None  # all of it may have gone into reasoning
        if unfinished := answer.unfinished(keep_cut=self.spec.keeps_cut):
            return unfinished
        if not item.text.strip() and not answer.tool_calls:
            return "the teacher wrote nothing"
        if flawed := flaw([answer.text, *(call.value() for call in answer.tool_calls)]):
            return f"it is {flawed}"
        if self._structure is None or item.question.schema is None:
            return None
        read = self._structure.read(item.text, may_mend=answer.says_whole)
        if read.problem and answer.finish == "length":  # it might have, had it been whole
            return f"{CUT_OFF}, so it does not fit the schema: {read.problem}"
        if read.problem:
            return f"it does not fit the schema: {read.problem}"
        self.counts["repaired"] += read.repaired
        item.value = read.value
        item.text = json.dumps(read.value, ensure_ascii=False, sort_keys=True)
        return None

    def _checked(self, text: str) -> str | None:
        """Return what a check finds; white space around a text is its own, and no check's."""
        spec, text = self.spec, text.strip()
        if len(text) < spec.min_chars:
            return f"{len(text)} characters, below {spec.min_chars}"
        if spec.max_answer_chars is not None and len(text) > spec.max_answer_chars:
            return f"{len(text)} characters, above {spec.max_answer_chars}"
        try:
            if spec.match and not found(spec.match, text):
                return f"does not match {spec.match!r}"
            if spec.refuse and found(spec.refuse, text):
                return f"matches {spec.refuse!r}, which is refused"
        except InputError as error:  # it was bought, so it is kept and not raised
            return str(error)
        return None

    def _judge(self, judged: list[tuple[Candidate, dict[str, Any]]], judging: Prompt) -> None:
        questions, asked = [], []
        for item, row in judged:
            try:
                said = judging.render(self.spec.judged(item, row), item.where)
            except InputError as error:  # it was bought, so it is kept and not raised
                row["reason"] = f"the judge cannot be asked: {error}"
                continue
            asked.append(row)
            questions.append(Question("", said.user, (_YES, _NO), system=said.system))
        answers = self.ctx.teacher(self.spec.judge).ask(questions)
        for row, (_, answer) in zip(asked, answers, strict=True):
            if problem := unchosen(answer):
                row["reason"] = f"the judge gave no answer: {problem}"
                continue
            row["right"] = right_of(answer)
            if row["right"] < self.spec.threshold:
                row["reason"] = f"right at {row['right']:.4f}, below {self.spec.threshold}"

    def _records(self, wave: list[Candidate], batch: pa.RecordBatch, start: int) -> pa.RecordBatch:
        """Return the rows of a wave; what is accepted beyond what is wanted is rejected too."""
        made: list[tuple[Candidate, dict[str, Any]]] = []
        for item in wave:
            for row in item.rows:
                if row["reason"] is None and self._lacking() == 0:
                    row["reason"] = beyond(self.spec.accept)
                self.kept += row["reason"] is None
                self.counts["accepted"] += row["reason"] is None
                made.append((item, row))
            if not item.rows:
                made.append((item, {**item.columns, "text": item.text, "reason": item.reason}))
        return self._batch(made, batch, start)

    def _batch(
        self,
        made: Sequence[tuple[Candidate, dict[str, Any]]],
        batch: pa.RecordBatch,
        start: int,
    ) -> pa.RecordBatch:
        spec = self.spec
        columns = self._first_columns(made, batch)
        for name, kind in spec.further().items():
            columns[name] = pa.array([row.get(name) for _, row in made], kind)
        if beside := spec.beside():
            told = [spec.told_beside(item) for item, _ in made]
            columns |= {n: pa.array([row.get(n) for row in told], kind) for n, kind in
                        beside.items()}  # fmt: skip
        if self._structure is not None and spec.spreads:
            arrays = self._structure.arrays([item.value for item, _ in made])
            columns |= {name: arr for name, arr in arrays.items() if name not in columns}
        if self._judging is not None:
            columns["right"] = pa.array([row.get("right") for _, row in made], pa.float64())
        columns |= {
            FROM: pa.array([start + item.row for item, _ in made], pa.int64()),
            CALL: calls_column([item.call or None for item, _ in made]),
            **marks(spec.kind, [row["reason"] for _, row in made]),
        }
        as_json = spec.as_json | {"messages_json"} & set(spec.beside())
        if self._structure is not None and spec.spreads:
            as_json = as_json | self._structure.json_columns()
        return with_json(pa.RecordBatch.from_pydict(columns), as_json)

    def _first_columns(
        self, made: Sequence[tuple[Candidate, dict[str, Any]]], batch: pa.RecordBatch
    ) -> dict[str, Any]:
        """Return prompt, text and sample; or where a stage keeps the columns that are there, those.

        Kept rows get a sample's number where there are several.
        """
        text = pa.array([row["text"] for _, row in made], pa.string())
        sample = pa.array([item.sample for item, _ in made], pa.int64())
        if self.spec.keeps:
            places = pa.array([item.row for item, _ in made], pa.int64())
            given = {"sample": sample} if self.spec.samples > 1 else {}
            judged = {"right"} if self._judging is not None else set()
            own = {**self.spec.further(), **self.spec.beside()}
            before = kept_beside(batch, {*given, *judged, *own})
            kept = {name: column.take(places) for name, column in before.items()}
            return kept | {"text": text} | given
        prompts = [
            row.get("prompt", self.spec.prompt_text(item.values, item.first)) for item, row in made
        ]
        columns = {"prompt": pa.array(prompts, pa.string()), "text": text, "sample": sample}
        return columns | self._along(made, batch, set(columns))

    def _along(
        self, made: Sequence[tuple[Candidate, dict[str, Any]]], batch: pa.RecordBatch,
        given: set[str],
    ) -> dict[str, Any]:  # fmt: skip
        """Return the columns of the input that go along, under names that are free beside others.

        Raises:
            InputError: if one is not there.
        """
        spec = self.spec
        for name in spec.along:
            if name not in batch.schema.names:
                texts_of(batch, name, spec.input)
        spread = set(self._structure.columns()) if self._structure and spec.spreads else set()
        taken = {*given, *spec.further(), *spec.beside(), *spread, "right"}
        places = pa.array([item.row for item, _ in made], pa.int64())
        named = free_names(spec.along, taken)
        return {new: batch.column(name).take(places) for name, new in named.items()}


def _alike(rows: Sequence[dict[str, Any]], bills: Sequence[int]) -> list[list[dict[str, Any]]]:
    """Return for each row those that rest on the same sources, itself among them."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for row, node in zip(rows, bills, strict=True):
        groups.setdefault(node, []).append(row)
    return [groups[node] for node in bills]
