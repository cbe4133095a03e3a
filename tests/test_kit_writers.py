"""``check_trainer`` of models that write: what keeps the laws passes, a slip is told by its law."""

# ruff: noqa: ARG002, ARG003 - methods of protocols, which take more than a toy needs
from __future__ import annotations

import json
import random
from typing import ClassVar, Literal

import numpy as np
import pytest

from mashbill import Answer, Channel, StageSpec, Uses
from mashbill.core.canonical import digest_bytes
from mashbill.stages.apply import ApplySpec
from mashbill.stages.generate import GenerateSpec
from mashbill.teachers.student import StudentSpec
from mashbill.testing import LawError, check_stage, check_trainer
from mashbill.train.pretrain import PretrainSpec

ROWS = [{"text": f"a {'kind' if at % 2 else 'dull'} day {at}", "label": str(at % 2)}
        for at in range(16)]  # fmt: skip


class Words:
    """Writes words that it has met, drawn by the digest of what it is asked."""

    def __init__(self, words):
        self.words = words

    def key(self, question, decoding):
        told = [question.prefix, question.body, question.sample, decoding.seed]
        return json.dumps(told if decoding.temperature else told[:2])

    def answer(self, questions, decoding):
        return [self.one(question, decoding) for question in questions]

    def one(self, question, decoding):
        if question.choices:
            return Answer(tuple(-1.0 - len(choice) for choice in question.choices), tokens=1)
        draw = random.Random(digest_bytes(self.key(question, decoding).encode()))
        written = draw.choices(self.words, k=min(5, decoding.max_tokens))
        return Answer((), tokens=len(written), text=" ".join(written), finish="length")


class WordsSpec(StageSpec):
    kind: Literal["words"] = "words"
    output: ClassVar = "model"
    can_label: ClassVar[bool] = False
    can_write: ClassVar[bool] = True
    model: ClassVar = Words
    input: str = "rows"

    def uses(self):
        return (Uses(self.input, "trained-on", Channel.CONTENT),)

    def train(self, ctx, out):
        data = ctx.input(self.input)
        ctx.seen[self.input] = np.ones(data.num_rows, np.int64)
        words = sorted({word for text in data.column("text").to_pylist() for word in text.split()})
        ctx.trained = self.model(words)
        (out / "words.json").write_text(json.dumps(words))

    @classmethod
    def load(cls, folder, threads):
        return cls.model(json.loads((folder / "words.json").read_text()))


def test_a_trainer_that_only_writes_keeps_all_laws():
    held = check_trainer(WordsSpec(), ROWS)
    assert {"it writes", "what is drawn", "it stops", "answers in order"} <= set(held)
    assert "it labels" not in held


def test_the_models_that_pretrain_makes_label_and_write():
    spec = PretrainSpec(
        inputs=("rows",), steps=3, width=16, layers=1, heads=2, vocabulary=512, batch_tokens=128
    )
    assert {"it labels", "it writes", "what is drawn"} <= set(check_trainer(spec, ROWS))


class OfTheBatch(Words):
    def answer(self, questions, decoding):
        return [self.one(questions[-1], decoding) for question in questions]


class OfTheClock(Words):
    asked = 0

    def key(self, question, decoding):
        type(self).asked += 1
        return f"{super().key(question, decoding)} {self.asked}"


class Deaf(Words):
    def key(self, question, decoding):
        return json.dumps([question.prefix, question.body])


class Short(Words):
    def answer(self, questions, decoding):
        return super().answer(questions, decoding)[1:]


class Surer(Words):
    def one(self, question, decoding):
        answer = super().one(question, decoding)
        return Answer((1.0,) * len(question.choices), 1) if question.choices else answer


class Chatty(Words):
    def one(self, question, decoding):
        answer = super().one(question, decoding)
        return answer if question.choices else Answer((), 1, answer.text, finish="done")


class NoWriter:
    def __init__(self, words):
        self.words = words


SLIPS = {
    OfTheBatch: "answers in order",
    Deaf: "what is drawn",
    Short: "an answer each",
    Surer: "answer to",
    Chatty: "its finish is 'done'",
}


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.__name__)
def test_a_slip_is_told_by_its_law(slip, monkeypatch):
    monkeypatch.setattr(WordsSpec, "model", slip)
    with pytest.raises(LawError, match=SLIPS[slip]):
        check_trainer(WordsSpec(), ROWS)


class WritesElse(WordsSpec):
    @classmethod
    def load(cls, folder, threads):
        return Words(["else"])


class Clock(WordsSpec):
    model: ClassVar = OfTheClock


class Mute(WordsSpec):
    model: ClassVar = NoWriter


class Idle(WordsSpec):
    can_write: ClassVar[bool] = False


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (WritesElse, "writes otherwise than the one it trained"),
        (Clock, "writes otherwise than the one it trained"),
        (Mute, "has no attribute 'answer'"),
        (Idle, "neither labels nor writes"),
    ],
)
def test_what_is_saved_is_what_was_trained(made, told):
    with pytest.raises(LawError, match=told):
        check_trainer(made(), ROWS)


def test_stages_are_tried_with_models_that_are_trained_on_the_way():
    small = PretrainSpec(
        inputs=["learned"], steps=2, width=16, layers=1, heads=2, vocabulary=512, batch_tokens=64,
        context=32,
    )  # fmt: skip
    rows = {"rows": [{"text": row["text"]} for row in ROWS[:6]], "learned": ROWS}
    held = check_stage(ApplySpec(input="rows", model="m"), rows, models={"m": small})
    assert "the same twice" in held
    written = check_stage(
        GenerateSpec(input="rows", teacher="t", prompt="on.txt", keep_cut=True),
        rows,
        teachers={"t": StudentSpec(model="m", max_tokens=4)},
        models={"m": small},
        files={"on.txt": "{{ text }}"},
    )
    assert "no row is dropped" in written
    with pytest.raises(ValueError, match=r"it takes the model 'm'; give its trainer"):
        check_stage(ApplySpec(input="rows", model="m"), rows)
