"""A teacher in this process is asked in batches that nothing but its own questions decides."""

import contextlib
import hashlib
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.calls.journal import Journal
from mashbill.calls.paid_call import request_digest
from mashbill.calls.sitting import Sitting, call_in
from mashbill.calls.upkeep import export, take_in
from mashbill.core.errors import InputError
from mashbill.core.source import Source
from mashbill.core.teacher import Answer, Question
from mashbill.teachers.session import Session

IDENTITY = {"kind": "toy"}
SOURCE = Source(name="toy", what="program", kind="program", route="file")


class Stopped(Exception):  # noqa: N818
    """The run was killed."""


class Noisy:
    """Gives an answer that depends on all that stands in its batch, as padding does."""

    identity = IDENTITY
    can_write = False
    batch = 3

    def __init__(self, stops_after=10**9):
        self.left = stops_after
        self.asked = 0

    def sizes(self, questions):
        return [len(question.body) for question in questions]

    def answer(self, questions):
        if not self.left:
            raise Stopped
        self.left -= 1
        self.asked += len(questions)
        beside = "\n".join(question.body for question in questions)
        noise = int(hashlib.sha256(beside.encode()).hexdigest()[:8], 16) / 2**40
        return [Answer((-1.0 - noise, -0.5), 1) for _ in questions]


def questions(bodies):
    return [Question("p", body, (" x", " y")) for body in bodies]


def asked(journal, bodies, teacher):
    return Session(SOURCE, lambda: teacher, IDENTITY, journal.here).ask(questions(bodies))


BODIES = st.lists(st.text("abc", max_size=4), min_size=1, max_size=12)


@given(BODIES, st.lists(BODIES, max_size=3), st.integers(0, 4))
def test_answers_depend_on_a_slices_own_questions_alone(tmp_path_factory, bodies, others, killed):
    folder = tmp_path_factory.mktemp("journal")
    alone = Journal(folder / "alone.sqlite", writable=True)
    wanted = asked(alone, bodies, Noisy())
    alone.close()
    busy = Journal(folder / "busy.sqlite", writable=True)
    for other in others:
        asked(busy, other, Noisy())
    with contextlib.suppress(Stopped):
        asked(busy, bodies, Noisy(stops_after=killed))
    assert asked(busy, bodies, Noisy()) == wanted
    assert asked(busy, list(reversed(bodies)), Noisy(0)) == list(reversed(wanted))
    busy.close()


def test_what_is_there_is_not_asked_again_and_no_teacher_is_loaded(tmp_path):
    journal = Journal(tmp_path / "calls.sqlite", writable=True)
    teacher = Noisy()
    bodies = [str(number) for number in range(8)]
    asked(journal, [*bodies, *bodies], teacher)
    assert teacher.asked == 8

    def load():
        pytest.fail("the teacher was loaded for what the journal holds")

    Session(SOURCE, load, IDENTITY, journal.here).ask(questions(bodies))
    journal.close()


def test_one_question_put_in_two_sittings_has_two_answers(tmp_path):
    journal = Journal(tmp_path / "calls.sqlite", writable=True)
    ((one, first),) = asked(journal, ["a"], Noisy())
    ((other, second), *_) = asked(journal, ["a", "b"], Noisy())
    assert one != other
    assert first != second
    assert journal.call(one).logprobs == first.logprobs
    assert journal.call(other).logprobs == second.logprobs
    assert journal.call(one).body == journal.call(other).body == "a"
    (request,) = {request_digest(IDENTITY, question) for question in questions(["a"])}
    least = min((one, first), (other, second), key=lambda pair: pair[0])
    assert journal.here.answers_to([request]) == {request: least[1]}
    journal.close()


ALTERED = {
    "asked": "'0'",
    "batch": "'0'",
    "batch away": "''",
    "place": "place + 1",
    "body": "'else'",
    "logprobs": "'[-9.0, -0.1]'",
    "teacher": """'{"kind":"other"}'""",
    "tokens": "tokens + 1",
}


def test_whatever_is_altered_of_a_call_changes_the_root(tmp_path):
    path = tmp_path / "calls.sqlite"
    journal = Journal(path, writable=True)
    calls = [call for call, _ in asked(journal, ["a", "b", "c", "d"], Noisy())]
    root = journal.merkle_root(calls)
    journal.close()
    whole = path.read_bytes()
    for column, value in ALTERED.items():
        path.write_bytes(whole)
        with sqlite3.connect(path) as db:
            db.execute(f"UPDATE calls SET {column.split()[0]} = {value} WHERE body = 'a'")  # noqa: S608
        db.close()
        reader = Journal(path)
        assert reader.merkle_root(calls) != root, column
        reader.close()


def test_an_export_is_taken_in_with_its_sittings_and_one_that_lies_of_them_is_not(tmp_path):
    path, file = tmp_path / "calls.sqlite", tmp_path / "calls.jsonl"
    journal = Journal(path, writable=True)
    answers = dict(asked(journal, ["a", "b", "c", "d"], Noisy()))
    root = journal.merkle_root(answers)
    journal.close()
    export(path, file)
    taken = tmp_path / "taken.sqlite"
    assert take_in(taken, file) == (4, 0)
    reader = Journal(taken)
    assert reader.answers(answers) == answers
    assert reader.merkle_root(answers) == root
    reader.close()
    lied = file.read_text().replace('"place": 1', '"place": 7')
    file.write_text(lied)
    with pytest.raises(InputError, match="altered"):
        take_in(tmp_path / "other.sqlite", file)


@given(st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=1, unique=True))
def test_calls_of_a_sitting_are_told_apart_by_sitting_place_and_request(requests):
    sitting = Sitting.of([*requests, *requests])
    assert sitting == replace(Sitting.of(reversed(requests)))
    assert list(sitting.calls) == sorted(requests)
    assert len(set(sitting.calls.values())) == len(requests)
    assert {call_in("", 3, request) for request in requests} == set(requests)


def test_calls_are_led_to_those_of_the_sitting_in_which_all_would_have_been_asked(tmp_path):
    journal = Journal(tmp_path / "calls.sqlite", writable=True)
    first = [call for call, _ in asked(journal, ["a", "b", "c"], Noisy())]
    second = [call for call, _ in asked(journal, ["d", "e"], Noisy())]
    sample = dict(zip("ad", [first[0], second[0]], strict=True))
    at_once = {
        body: call
        for body, (call, _) in zip("ad", asked(journal, ["a", "d"], Noisy()), strict=True)
    }
    found = journal.here.together([*sample.values(), "of a service"])
    assert found == {sample[body]: at_once[body] for body in "ad"}
    journal.close()
