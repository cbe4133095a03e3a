"""``mashbill.testing``: what keeps the laws passes, and each slip is told by its law."""

# ruff: noqa: ARG002, ARG004, ARG005 - methods of protocols, which take more than a toy needs
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import model_validator

from mashbill import FROM, Answer, Channel, Source, StageSpec, TeacherSpec, Uses
from mashbill.core.record import REASON, REJECTED_BY
from mashbill.core.verifier import Case, Score, VerifierSpec
from mashbill.stages.dedup import DedupSpec
from mashbill.stages.filter import FilterSpec
from mashbill.stages.verify import VerifySpec
from mashbill.teachers.fake import FakeTeacherSpec
from mashbill.testing import LawError, check_stage, check_teacher, check_trainer, check_verifier
from mashbill.verifiers.exact import ExactSpec

ROWS = [{"text": f"text {at}", "mark": at % 3} for at in range(8)]


class Stage(StageSpec):
    kind: Literal["x"] = "x"
    input: str = "rows"
    keeps_texts: ClassVar[bool] = True

    def uses(self):
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def made(self, text, place):
        return text, place

    def run(self, records, ctx):
        start = 0
        for batch in records:
            place = pa.array(range(start, start + batch.num_rows), pa.int64())
            yield pa.RecordBatch.from_arrays(
                list(self.made(batch.column("text"), place)), ["text", FROM]
            )
            start += batch.num_rows


class OffByOne(Stage):
    def made(self, text, place):
        return text, pc.min_element_wise(pc.add(place, 1), len(text) - 1)


class Outside(Stage):
    def made(self, text, place):
        return text, pc.add(place, 1)


class Dropping(Stage):
    def made(self, text, place):
        return text.slice(1), place.slice(1)


class Drawing(Stage):
    keeps_texts: ClassVar[bool] = False

    def made(self, text, place):
        return pa.array([str(random.random()) for _ in text]), place


class Neighbour(Stage):
    keeps_texts: ClassVar[bool] = False

    def made(self, text, place):
        return pa.array([f"{len(text)} {one}" for one in text.to_pylist()]), place


class NoPlace(Stage):
    def run(self, records, ctx):
        for batch in records:
            yield batch.select(["text"])


class Remembering(Stage):
    last: list[int] = []  # noqa: RUF012 - pydantic copies it

    def made(self, text, place):
        self.last.append(len(text))
        return text, place


class Stumbling(Stage):
    def made(self, text, place):
        return (text, place, text[0])[:2]


class Changing(Stage):
    width: int = 1

    @model_validator(mode="before")
    @classmethod
    def _wider(cls, given):
        return {**given, "width": given.get("width", 1) + 1}


class Asking(Stage):
    def made(self, text, place):
        raise ZeroDivisionError("by no row")


STAGES = {
    OffByOne: "_from is right", Outside: "it runs", Dropping: "no row is dropped",
    Drawing: "the same twice", Neighbour: "slices are the whole", NoPlace: "it runs",
    Remembering: "keys stay", Stumbling: "no rows are no error", Changing: "literals come back",
    Asking: "it runs",
}  # fmt: skip


@pytest.mark.parametrize(("made", "law"), STAGES.items())
def test_a_slip_of_a_stage_is_told_by_its_law(made, law):
    with pytest.raises(LawError) as told:
        check_stage(made(), ROWS)
    assert law in told.value.laws, told.value
    assert f"  {law}: " in str(told.value)


def test_stages_that_keep_the_laws_pass():
    assert "slices are the whole" in check_stage(Stage(), ROWS)
    assert "it runs" in check_stage(
        FilterSpec(input="rows", column="mark", by="rule", keep_top=0.5), ROWS
    )
    twice = [*ROWS, ROWS[0]]
    assert "the same twice" in check_stage(DedupSpec(input="rows"), twice)
    verify = VerifySpec(input="rows", by="v", reference="text")
    assert "slices are the whole" in check_stage(verify, ROWS, verifiers={"v": ExactSpec()})


class Echo:
    batch = 4
    can_write = True

    def __init__(self, identity):
        self.identity = identity

    def sizes(self, questions):
        return [len(q.body) for q in questions]

    def answer(self, questions):
        return [self.one(q) for q in questions]

    def one(self, q):
        if not q.choices:
            return Answer((), 1, q.body, finish="stop")
        return Answer(tuple(-float(len(q.body) + at) for at in range(len(q.choices))), 1)


class EchoSpec(TeacherSpec):
    kind: Literal["echo"] = "echo"
    can_write: ClassVar[bool] = True
    loads: ClassVar[type] = Echo

    @property
    def source(self):
        return Source(name="echo", what="model", kind="test-double", route="in-process")

    @property
    def identity(self):
        return {"kind": "echo"}

    def load(self, folder, cache, threads):
        return self.loads(self.identity)


def teacher(**methods):
    return type("Loaded", (Echo,), methods)


SLIPS = {
    "answers in order": {
        "answer": lambda self, qs: [self.one(q) for q in sorted(qs, key=lambda q: q.body)]
    },
    "an answer each": {"answer": lambda self, qs: [self.one(q) for q in qs[1:]]},
    "answer to": {"one": lambda self, q: Answer((0.5,) * len(q.choices), 1)},
    "batch": {"batch": 0},
    "can_write": {"can_write": False},
    "loaded as planned": {"__init__": lambda self, identity: setattr(self, "identity", {})},
    "sizes": {"sizes": lambda self, qs: [1]},
}


@pytest.mark.parametrize("law", SLIPS)
def test_a_slip_of_a_teacher_is_told_by_its_law(law, monkeypatch):
    monkeypatch.setattr(EchoSpec, "loads", teacher(**SLIPS[law]))
    with pytest.raises(LawError) as told:
        check_teacher(EchoSpec())
    assert any(one.startswith(law) for one in told.value.laws), told.value


def test_teachers_that_keep_the_laws_pass():
    assert "answers in order" in check_teacher(EchoSpec())
    fake = FakeTeacherSpec.model_validate({"kind": "fake", "words": {"yes": ["kind"], "no": []}})
    assert "answers are kept" in check_teacher(fake)


class Scoring(VerifierSpec):
    kind: Literal["scoring"] = "scoring"
    repeats: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = True
    scores: ClassVar[Any] = None

    def load(self, folder, cache, threads):
        return self

    def score(self, cases):
        return [type(self).scores(case, cases) for case in cases]


def right(case, cases):
    if case.reference is None:
        return Score.undecided("nothing is known")
    return Score(float(case.output == case.reference), "looked")


VERIFIERS = {
    "right is paid": lambda case, cases: Score(0.0),
    "wrong is not paid": lambda case, cases: Score(1.0),
    "junk is not paid": lambda case, cases: (
        Score(1.0) if "know" in case.output else right(case, cases)
    ),
    "a failure is told and not 0": lambda case, cases: Score(float(case.output == case.reference)),
    "no output is too odd": lambda case, cases: (
        {}[1] if "\x00" in case.output else right(case, cases)
    ),
    "scores in order": lambda case, cases: (
        Score(right(case, cases).value / (1 + 0.1 * len(cases)))
        if case.reference is not None
        else right(case, cases)
    ),
    "a score each": lambda case, cases: 1.0,
}
GOOD = [Case("4", "4"), Case("vier", "vier")]
BAD = [Case("5", "4"), Case("drei", "vier")]


@pytest.mark.parametrize("law", VERIFIERS)
def test_a_slip_of_a_verifier_is_told_by_its_law(law, monkeypatch):
    monkeypatch.setattr(Scoring, "scores", staticmethod(VERIFIERS[law]))
    with pytest.raises(LawError) as told:
        check_verifier(Scoring(), GOOD, BAD)
    assert law in told.value.laws, told.value


def test_verifiers_that_keep_the_laws_pass(monkeypatch):
    monkeypatch.setattr(Scoring, "scores", staticmethod(right))
    assert "its scores are rows" in check_verifier(Scoring(), GOOD, BAD)
    assert "the same twice" in check_verifier(ExactSpec(fold=True), GOOD, BAD)


class Counted:
    def __init__(self, labels, shares):
        self.labels, self.shares = tuple(labels), shares

    def probabilities(self, texts):
        return np.tile(np.array(self.shares, float), (len(texts), 1))


class Counting(StageSpec):
    kind: Literal["counting"] = "counting"
    output: ClassVar[Any] = "model"
    saves: ClassVar[Any] = staticmethod(lambda shares: shares)
    sees: ClassVar[bool] = True
    input: str = "rows"

    def uses(self):
        return (Uses(self.input, "trained-on", Channel.CONTENT),)

    def train(self, ctx, out: Path):
        data = ctx.input(self.input)
        labels, counts = np.unique(data.column("text").to_pylist(), return_counts=True)
        shares = (counts / counts.sum()).tolist()
        saved = {"labels": labels.tolist(), "shares": type(self).saves(shares)}
        (out / "model.json").write_text(json.dumps(saved))
        if type(self).sees:
            ctx.seen[self.input] = np.ones(data.num_rows, np.int64)
        ctx.trained = Counted(labels.tolist(), shares)

    @staticmethod
    def load(folder, threads):
        return Counted(**json.loads((folder / "model.json").read_text()))


def test_a_trainer_that_keeps_the_laws_passes():
    assert {"it labels", "what it saw"} <= set(check_trainer(Counting(), ROWS))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "saves",
            staticmethod(lambda shares: shares[::-1][:1] + shares[1:-1] + [0.5]),
            "otherwise",
        ),
        ("saves", staticmethod(lambda _shares: [random.random()]), "otherwise"),
        ("sees", False, "does not set ctx.seen['rows']"),
    ],
)
def test_a_slip_of_a_trainer_is_told_by_its_law(key, value, said, monkeypatch):
    monkeypatch.setattr(Counting, key, value)
    with pytest.raises(LawError) as told:
        check_trainer(Counting(), ROWS)
    assert "it runs" in told.value.laws
    assert said in str(told.value)


def test_rejected_rows_are_rows_too():
    class Strict(Stage):
        def run(self, records, ctx):
            for batch in super().run(records, ctx):
                reasons = pa.array(
                    ["no" if t.endswith("0") else None for t in batch.column("text").to_pylist()],
                    pa.string(),
                )
                by = pa.array(["x" if one else None for one in reasons.to_pylist()], pa.string())
                yield batch.append_column(REJECTED_BY, by).append_column(REASON, reasons)

    with pytest.raises(LawError) as told:  # its class is no module's own, so nobody else has it
        check_stage(Strict(), ROWS)
    assert (
        set(told.value.laws) == {"spec is handed over"} or "job is handed over" in told.value.laws
    )
