"""Schemas: what is told before anything is bought, and which columns there are."""

import json
import subprocess
import sys

import pytest
from tests_support import rows_of
from tests_ways import TEXTS, both, made, says

from mashbill import Answer, RecipeError, load_recipe
from mashbill.prompts.schema import Structure

STAGE = 'schema = "s.json"\nretries = 1'


def schema(**properties):
    return {"type": "object", "properties": properties}


def files(**properties):
    return {"s.json": json.dumps(schema(**properties))}


def answers(monkeypatch, value):
    """Let the teacher write a value; return the questions that it was asked."""
    asked = []

    def answer(question):
        asked.append(question)
        text = value(question) if callable(value) else value
        return Answer((), 1, text if isinstance(text, str) else json.dumps(text))

    says(monkeypatch, answer)
    return asked


@pytest.mark.parametrize(
    "kind", [{"type": ["integer", "null"]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}]
)
def test_what_may_be_null_is_a_column_with_nulls(tmp_path, monkeypatch, kind):
    answers(monkeypatch, lambda question: {"size": None if "owl" in question.body else 3})
    store = made(tmp_path, "generate", STAGE, files(size=kind))
    assert [row["size"] for row in rows_of(store, "out")] == [None] + [3] * 7


def test_a_property_of_several_types_is_json(tmp_path, monkeypatch):
    answers(monkeypatch, lambda question: {"a": "x" if "owl" in question.body else 3, "b": 0.5})
    kinds = files(a={"type": ["integer", "string"]}, b={"type": ["integer", "number"]})
    rows = rows_of(made(tmp_path, "generate", STAGE, kinds), "out")
    assert [row["a"] for row in rows] == ['"x"'] + ["3"] * 7
    assert [row["b"] for row in rows] == [0.5] * 8


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (schema(a={"$ref": "#/$defs/none"}), r"\$ref '#/\$defs/none' leads nowhere"),
        (schema(a={"$ref": "https://example.org/a"}), r"'https://example.org/a' leads nowhere"),
        ({"$defs": {"a": {"items": {"$ref": "#b"}}}}, "'#b' leads nowhere"),
        ({"anyOf": [{"$ref": "#"}]}, "refers to itself without end"),
        (schema(a={"pattern": "("}), "not a JSON Schema, at properties/a/pattern"),
        (schema(a={"enum": ["\ud83d"]}), "not valid Unicode"),
    ],
)
def test_a_schema_that_cannot_serve_is_told_when_the_recipe_is_read(tmp_path, written, message):
    with pytest.raises(RecipeError, match=message):
        made(tmp_path, "generate", STAGE, {"s.json": json.dumps(written)})
    assert not list(tmp_path.glob("store/datasets/*"))


@pytest.mark.parametrize(
    ("name", "keys"),
    [("text", ""), ("prompt", ""), ("sample", ""), ("_id", ""), ("right", 'judge = "t"')],
)
def test_a_property_that_would_have_no_column_is_refused(tmp_path, name, keys):
    with pytest.raises(
        RecipeError, match=f"property '{name}' cannot have a column .* another name"
    ):
        made(tmp_path, "generate", f"{STAGE}\n{keys}", files(**{name: {"type": "string"}}))
    made(tmp_path / "fine", "generate", STAGE, files(right={"type": "string"}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "\\ud83d"}', "not valid Unicode"),
        ('{"\\ud83d": 1}', "not valid Unicode"),
        ('{"size": NaN}', "a number that JSON does not have"),
        ('{"name": ' + "[" * 80 + "]" * 80 + "}", "more than 64 lists"),
        ("[" * 4000, "not JSON"),
    ],
)
def test_an_answer_that_no_column_can_hold_is_a_rejected_row(tmp_path, monkeypatch, text, reason):
    asked = answers(monkeypatch, lambda q: text if "owl" in q.body + q.turns.to_json() else "{}")
    store = made(tmp_path, "generate", STAGE, files(name={}, size={"type": "number"}))
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"].startswith(f"it does not fit the schema: {reason}")
    assert gone["text"] == text
    assert len(rows_of(store, "out")) == len(TEXTS) - 1
    assert len(asked) == len(TEXTS) + 1


def test_plain_text_with_half_a_character_is_a_rejected_row(tmp_path, monkeypatch):
    class Session:
        def __init__(self, *args):
            pass

        def ask(self, questions):
            texts = ["\ud83d!" if "owl" in question.body else "fine" for question in questions]
            return [("00" * 32, Answer((), 1, text)) for text in texts]

    monkeypatch.setattr("mashbill.run.sessions.Session", Session)
    monkeypatch.setattr("mashbill.calls.journal.Journal.merkle_root", lambda *_: "")
    store = made(tmp_path, "generate")
    (gone,) = rows_of(store, "out", "rejected")
    assert (gone["text"], gone["_reason"][:26]) == ("?!", "it is not valid Unicode: i")


MODEL = """
from __future__ import annotations

from pydantic import BaseModel, field_validator


class Part(BaseModel):
    name: str


class Thing(BaseModel):
    size: int
    part: Part | None = None

    @field_validator("size")
    @classmethod
    def is_even(cls, size: int) -> int:
        if size == 7:
            raise KeyError(size)
        if size % 2:
            raise ValueError("sizes are even")
        return size * 10
"""


def test_the_validators_of_a_model_hold_and_their_error_is_shown(tmp_path, monkeypatch):
    def size(question):
        if question.turns:
            return {"size": 4 if "owl" in question.turns.to_json() else 5}
        return {"size": 3 if "owl" in question.body else 7 if "fox" in question.body else 2}

    asked = answers(monkeypatch, size)
    store = made(tmp_path, "generate", 'schema = "m.py:Thing"\nretries = 1', {"m.py": MODEL})
    assert [row["size"] for row in rows_of(store, "out")] == [4] + [2] * 6
    (gone,) = rows_of(store, "out", "rejected")
    assert gone["_reason"] == "it does not fit the schema: at size: Value error, sizes are even"
    assert json.loads(gone["text"]) == {"size": 5}
    again = [question.body for question in asked if question.turns]
    assert any("at size: Value error, sizes are even" in body for body in again)
    assert any("Thing does not take it: KeyError(7)" in body for body in again)


def test_a_model_without_a_schema_is_told(tmp_path):
    model = "from typing import Callable\nfrom pydantic import BaseModel\nclass M(BaseModel):\n"
    with pytest.raises(RecipeError, match="M has no JSON Schema"):
        made(tmp_path, "generate", 'schema = "m.py:M"', {"m.py": f"{model}    a: Callable\n"})


@pytest.mark.parametrize("value", ["/etc/passwd", "../other.txt", "a/../../b", "C:/x", "\\\\h\\x"])
@pytest.mark.parametrize(
    ("kind", "key", "rest"),
    [
        ("generate", "prompt", ""), ("generate", "schema", ""),
        ("generate", "judge_prompt", 'judge = "t"'), ("converse", "user_prompt", ""),
        ("tools", "tools", 'simulator = "t"'), ("tools", "results", 'tools = "tools.json"'),
        ("tools", "simulator_prompt", 'tools = "tools.json"\nsimulator = "t"'),
        ("label", "prompt", 'labels = { a = " a" }'), ("verify", "prompt", ""),
    ],
)  # fmt: skip
def test_a_recipe_names_no_file_outside_its_folder(tmp_path, kind, key, rest, value):
    (tmp_path / "other.txt").write_text("x")
    message = rf"stages.out.{key} = .*it leads out of the recipe's folder; put the file into it"
    with pytest.raises(RecipeError, match=message):
        made(tmp_path / "r", kind, f"{key} = '{value}'\n{rest}")


def test_a_path_within_the_folder_may_go_up_again(tmp_path):
    (tmp_path / "a").mkdir()
    made(tmp_path, "generate", 'prompt = "a/../p.jinja"', {"p.jinja": "{{ text }}"})
    assert load_recipe(tmp_path / "some.toml").stages["out"].files() == ("a/../p.jinja",)


def test_every_row_of_a_broken_answer_is_there(tmp_path, monkeypatch):
    answers(monkeypatch, lambda q: "no" if "owl" in q.body + q.turns.to_json() else {"a": "b"})
    store = made(tmp_path, "generate", STAGE + "\nsamples = 2", files(a={"type": "string"}))
    assert len(both(store)) == 2 * len(TEXTS)
    assert Structure(schema(a={"type": "string"}), "here").read("no").problem


def test_no_run_waits_for_what_schemas_are_held_by_before_there_is_one():
    program = (
        "import sys, mashbill.cli\n"
        "from importlib.metadata import entry_points\n"
        "for group in ('stages', 'teachers', 'trainers', 'verifiers'):\n"
        "    for each in entry_points(group='mashbill.' + group):\n"
        "        each.value.startswith('mashbill.') and each.load()\n"
        "print('mashbill.stages.generate' in sys.modules, 'jsonschema' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert told == "True False\n"
