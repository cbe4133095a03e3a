"""The fake teacher, and the journal that keeps what teachers write."""

import json
import sqlite3

import pytest
from jsonschema import validate

from mashbill.calls.journal import Journal
from mashbill.calls.paid_call import request_digest
from mashbill.calls.sitting import Sitting
from mashbill.core.canonical import digest_bytes
from mashbill.core.teacher import Answer, Question
from mashbill.teachers.fake import FakeTeacherSpec
from mashbill.teachers.fake_json import Drawer

WORDS = {"good": ("kind", "warm"), "bad": ("cold", "dull")}


def spec(**keys):
    return FakeTeacherSpec(words=WORDS, **keys)


def written(teacher, body, prefix=""):
    (answer,) = teacher.load(None, None, 1).answer([Question(prefix, body)])
    return answer.text


def test_it_stays_the_test_double_that_it_was():
    plain = spec()
    assert plain.source.model_dump(exclude_defaults=True) == {
        "name": "fake teacher",
        "what": "model",
        "kind": "test-double",
        "route": "in-process",
    }
    words = {choice: list(some) for choice, some in WORDS.items()}
    assert plain.identity == {"kind": "fake", "words": words, "noise": 0.0}


def test_a_stand_in_says_that_it_is_one():
    source = spec(name="X", source_kind="closed-api", provider="P", country="US").source
    assert source.title == "X (stand-in)"
    assert (source.kind, source.provider, source.country) == ("closed-api", "P", "US")
    assert source.route == "in-process"
    assert spec(name="X").source.title == "X"


def test_it_writes_the_same_for_the_same_question_and_else_not():
    body = "tell me of the cold river and the dull stone bridge by the mill"
    text = written(spec(), body)
    assert text == written(spec(), body)
    others = [written(spec(name="Y"), body), written(spec(), body, "[sample 2]\n")]
    assert text not in others
    assert set(text.split()) <= {*body.split(), "kind", "warm", "cold", "dull"}
    assert set(text.split()[-4:]) <= {"cold", "dull"}
    assert text.rsplit(" ", 4)[0] in body


def test_a_choice_with_a_line_of_its_own_is_judged_by_that_line():
    judge = FakeTeacherSpec(words={"A": ("kind",), "B": ("kind",)}).load(None, None, 1)
    (answer,) = judge.answer([Question("", "kind\nA: a kind day\nB: kind kind\n", (" A", " B"))])
    assert answer.logprobs[1] - answer.logprobs[0] == 1


FIRST_TABLE = (
    "CREATE TABLE calls (request TEXT PRIMARY KEY, teacher TEXT NOT NULL, prefix TEXT NOT NULL, "
    "body TEXT NOT NULL, choices TEXT NOT NULL, logprobs TEXT NOT NULL, tokens INTEGER NOT NULL, "
    "price REAL NOT NULL, at TEXT NOT NULL) WITHOUT ROWID"
)


def test_a_journal_from_before_teachers_could_write_is_read_and_taken_over(tmp_path):
    path = tmp_path / "calls.sqlite"
    teacher = {"kind": "t"}
    old = [Question("p", f"b{i}", (" x", " y")) for i in range(3)]
    answer = Answer((-1.0, -0.5), 2)
    known = [request_digest(teacher, question) for question in old]
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID")
        db.execute(FIRST_TABLE)
        prefix = digest_bytes(b"p")
        db.execute("INSERT INTO texts VALUES (?, 'p')", [prefix])
        for request, question in zip(known, old, strict=True):
            choices, logprobs = json.dumps(question.choices), json.dumps(answer.logprobs)
            row = [request, '{"kind":"t"}', prefix, question.body, choices, logprobs]
            db.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, 2, 0.0, '2026-01-01')", row)
    db.close()
    before = path.read_bytes()
    reader = Journal(path)
    assert reader.answers(known) == dict.fromkeys(known, answer)
    assert reader.here.answers_to(known) == dict.fromkeys(known, answer)
    assert reader.call(known[0]).text == ""
    assert reader.call(known[0]).prefix == "p"
    root = reader.merkle_root(known)
    reader.close()
    assert path.read_bytes() == before
    journal = Journal(path, writable=True)
    assert journal.merkle_root(known) == root
    asked = Question("p", "write")
    request = request_digest(teacher, asked)
    sitting, said = Sitting.of([request]), Answer((), 3, "words")
    journal.here.record(teacher, sitting, [(request, asked, said)], at="2026-01-02")
    assert journal.answers(sitting.calls.values()) == {sitting.calls[request]: said}
    assert journal.here.answers_to([request, *known]) == {
        request: said,
        **dict.fromkeys(known, answer),
    }
    assert journal.merkle_root(known) == root
    journal.close()


NODE = {
    "type": "object",
    "required": ["v"],
    "properties": {
        "v": {"type": "string"},
        "kids": {"type": "array", "items": {"$ref": "#/$defs/n"}},
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "maximum": -5},
        {"type": "integer", "exclusiveMinimum": 0.5, "maximum": 3},
        {"type": "integer", "minimum": 1, "maximum": 20, "multipleOf": 7},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.0001},
        {"type": "string", "minLength": 50, "maxLength": 60},
        {"type": "array", "minItems": 5, "items": {"type": "boolean"}},
        {"type": "array", "maxItems": 0},
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "null"}}},
        {"$defs": {"n": NODE}, "$ref": "#/$defs/n"},
        {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}], "description": "x"},
        {
            "allOf": [
                {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
                {"required": ["b"], "properties": {"b": {"enum": [1]}}},
            ]
        },
    ],
)
def test_what_it_draws_satisfies_the_schema(schema):
    for key in range(30):
        validate(Drawer(str(key), ["a", "word"]).value(schema), schema)
