"""Ways to generate, each through the real runner with the fake teacher."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from tests_support import TEACHER, rows_of, run_stages

from mashbill import Answer, InputError, RecipeError, Store
from mashbill.lineage.evidence.audit import Auditor
from mashbill.prompts.schema import Structure
from mashbill.teachers.fake import FakeTeacher
from mashbill.teachers.fake_json import Drawer

ANIMALS = ["owl", "fox", "cat", "bat", "lynx", "moth", "eel", "wolf"]
TEXTS = [
    {"text": f"The {animal} sleeps by day and hunts at night, row {i}."}
    for i, animal in enumerate(ANIMALS)
]
CORPUS = """
[stages.texts]
kind = "corpus"
title = "texts"
origin = "own-dataset"
source = "texts.jsonl"
"""
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "score", "tags"],
    "properties": {
        "name": {"type": "string", "minLength": 3, "maxLength": 30},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    },
}


def made(tmp_path, stage, files=None, teachers=TEACHER) -> Store:
    stages = f"{CORPUS}\n[stages.out]\ninput = 'texts'\nteacher = 't'\n{stage}"
    return run_stages(tmp_path / "r", stages, {"texts.jsonl": TEXTS, **(files or {})}, teachers)


def channels(store, name="out"):
    return {(i.role, i.channel) for i in store.find(name).inputs}


def test_qa_makes_a_row_a_pair_and_wants_the_words_of_the_document(tmp_path, monkeypatch):
    def answer(self, question, schema, key, asked):
        document = next(row["text"] for row in TEXTS if row["text"] in question.body)
        quotes = [document[4:18].upper(), "said nowhere"]
        pairs = [{"question": "Q?", "answer": "A", "quote": quote} for quote in quotes]
        return Answer((), asked, json.dumps({"pairs": pairs}))

    monkeypatch.setattr(FakeTeacher, "_fill", answer)
    store = made(tmp_path, 'kind = "qa"\npairs = 2\n')
    good, bad = rows_of(store, "out"), rows_of(store, "out", "rejected")
    texts = [row["text"].casefold() for row in TEXTS]
    for row in good:
        assert " ".join(row["quote"].casefold().split()) in texts[row["_from"]]
    assert {row["_reason"] for row in bad} == {"its quote is not in the document"}
    assert len(good) == len(bad) == len(TEXTS)
    assert {(row["prompt"], row["text"]) for row in good} == {("Q?", "A")}
    assert channels(store) == {("rows", "content"), ("teacher", "content")}


def test_qa_wants_quotes_as_long_as_it_is_told(tmp_path, monkeypatch):
    def answer(self, question, schema, key, asked):
        document = next(row["text"] for row in TEXTS if row["text"] in question.body)
        pairs = [{"question": "Q?", "answer": "A", "quote": document[4:end]} for end in (5, 14, 18)]
        return Answer((), asked, json.dumps({"pairs": pairs}))

    monkeypatch.setattr(FakeTeacher, "_fill", answer)
    store = made(tmp_path, 'kind = "qa"\npairs = 3\nmin_quote = 9\n')
    good, bad = rows_of(store, "out"), rows_of(store, "out", "rejected")
    assert min(len(row["quote"].strip()) for row in good) >= 9
    assert good
    assert bad
    assert all("characters, below 9" in row["_reason"] for row in bad)


def test_qa_with_no_quote_in_any_document_says_so(tmp_path):
    teachers = TEACHER.replace('"t"', '"t"')
    with pytest.raises(InputError, match="its quote is not in the document"):
        made(tmp_path, 'kind = "qa"\ncolumn = "text"\npairs = 1\nprompt = "p.jinja"',
             {"p.jinja": "Ask about nothing."}, teachers)  # fmt: skip


def test_instructions_come_from_seeds_and_near_copies_are_rejected(tmp_path):
    store = made(tmp_path, 'kind = "instruct"\ncount = 4\nsamples = 2\nnear = 0.9')
    rows = rows_of(store, "out") + rows_of(store, "out", "rejected")
    assert len(rows) >= 2 * len(TEXTS)
    again = made(tmp_path / "again", 'kind = "instruct"\ncount = 4\nsamples = 2\nnear = 0.9')
    assert [r["_id"] for r in rows_of(again, "out")] == [r["_id"] for r in rows_of(store, "out")]
    strict = made(tmp_path / "strict", 'kind = "instruct"\ncount = 4\nsamples = 2\nnear = 0.55')
    reasons = Counter(r["_reason"].split("%")[1] for r in rows_of(strict, "out", "rejected"))
    assert reasons
    assert set(reasons) == {" of its words stand in one that was there"}


def test_evolving_keeps_the_operation_and_what_it_was_made_from(tmp_path):
    store = made(tmp_path, 'kind = "evolve"\nsamples = 3')
    rows = rows_of(store, "out")
    assert {row["original"] for row in rows} == {row["text"] for row in TEXTS}
    assert len({row["operation"] for row in rows}) > 2


def test_personas_and_what_they_ask(tmp_path):
    stage = 'kind = "personas"\n[stages.asked]\nkind = "personas"\ninput = "out"\nteacher = "t"\n'
    store = made(tmp_path, stage + 'task = "a problem of arithmetic"')
    assert len(rows_of(store, "out")) == len(rows_of(store, "asked")) == len(TEXTS)
    assert "a problem of arithmetic" in rows_of(store, "asked")[0]["prompt"]


def test_conversations_have_their_turns_and_the_user_is_a_prompt(tmp_path):
    store = made(tmp_path, 'kind = "converse"\nturns = 3')
    for row, text in zip(rows_of(store, "out"), TEXTS, strict=True):
        turns = json.loads(row["messages_json"])
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * 3
        assert turns[0]["content"] == text["text"] == row["prompt"]
        assert turns[-1]["content"] == row["text"]
        assert row["turns"] == 3
    assert ("teacher", "prompt") in channels(store)
    assert Auditor(store.root).run().holds


TOOLS = [
    {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "required": ["town"],
            "properties": {"town": {"type": "string"}},
        },
    }
]


def test_traces_of_tools_end_with_an_answer(tmp_path):
    store = made(
        tmp_path,
        'kind = "tools"\ntools = "tools.json"\nsimulator = "t"',
        {"tools.json": json.dumps(TOOLS)},
    )
    for row in rows_of(store, "out"):
        roles = [turn["role"] for turn in json.loads(row["messages_json"])]
        assert roles == ["user", "assistant", "tool", "assistant"]
        assert row["calls"] == 1
        assert json.loads(row["tools_json"])[0]["name"] == "weather"
    assert Auditor(store.root).run().holds


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ("not json", "tools.json: line 1: not a list of tools in JSON"),
        ('[{"name": "a"}]', r"tools.json: tool 0 lacks description, parameters"),
        (
            '[{"name": "a", "description": "", "parameters": {"type": "obect"}}]',
            r"tools.json: tool 'a': not a JSON Schema, at type",
        ),
    ],
)
def test_tools_that_are_none_are_told_before_anything_runs(tmp_path, tools, message):
    with pytest.raises(RecipeError, match=message):
        made(
            tmp_path, 'kind = "tools"\ntools = "tools.json"\nsimulator = "t"', {"tools.json": tools}
        )


def test_structured_rows_satisfy_their_schema_and_broken_ones_are_asked_again(tmp_path):
    teachers = TEACHER.replace("noise = 0.5", "invalid = 0.5")
    stage = 'kind = "generate"\nschema = "s.json"\nsamples = 4\n'
    store = made(tmp_path, stage, {"s.json": json.dumps(SCHEMA)}, teachers)
    rows = rows_of(store, "out")
    assert len(rows) == 4 * len(TEXTS)
    for row in rows:
        value = json.loads(row["text"])
        validate(value, SCHEMA)
        assert (row["name"], row["score"]) == (value["name"], value["score"])
        assert json.loads(row["tags"]) == value["tags"]
    measures = store.find("out").measures
    assert measures["asked_again"] + measures["repaired"] > 0
    none = made(
        tmp_path / "none", stage + "retries = 0\n", {"s.json": json.dumps(SCHEMA)}, teachers
    )
    for row in rows_of(none, "out", "rejected"):
        assert "does not fit the schema" in row["_reason"]


def test_a_pydantic_model_is_a_schema(tmp_path):
    model = (
        "from pydantic import BaseModel\nclass Thing(BaseModel):\n    name: str\n    size: int\n"
    )
    store = made(tmp_path, 'kind = "generate"\nschema = "m.py:Thing"', {"m.py": model})
    assert {type(row["size"]) for row in rows_of(store, "out")} == {int}


def test_a_judge_turns_down_and_says_how_sure_it_was(tmp_path):
    judge = '[teachers.j]\nkind = "fake"\nname = "J"\nwords.yes = ["owl", "fox"]\n'
    teachers = f'{TEACHER}{judge}words.no = ["eel", "bat"]\n'
    store = made(tmp_path, 'kind = "generate"\njudge = "j"\nthreshold = 0.5', None, teachers)
    rejected = rows_of(store, "out", "rejected")
    assert rejected
    assert all(row["right"] < 0.5 and "below 0.5" in row["_reason"] for row in rejected)
    assert ("teacher", "judgement/verifying") in channels(store)


def test_prompts_run_out_before_enough_is_accepted(tmp_path):
    with pytest.raises(InputError, match=r"8 rows were accepted and 50 are wanted"):
        made(tmp_path, 'kind = "generate"\naccept = 50')


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ nothing }}", r"p.jinja cannot be filled for row 0 of texts: 'nothing' is undefined"),
        ("{{ ''.__class__.__mro__ }}", r"p.jinja cannot be filled.*unsafe"),
        ("{% for i in range(1000000000) %}x{% endfor %}", r"p.jinja cannot be filled.*[Rr]ange"),
        ("{{ 'x' * 10**9 }}", r"p.jinja cannot be filled"),
        ("{{ text", r"p.jinja, line 1: not a Jinja template"),
        ("{% block other %}x{% endblock %}", r"p.jinja: has blocks \['other'\]"),
    ],
)
def test_a_template_can_do_no_harm(tmp_path, template, message):
    with pytest.raises((InputError, RecipeError), match=message):
        made(tmp_path, 'kind = "generate"\nprompt = "p.jinja"', {"p.jinja": template})


def test_a_prompt_that_changes_is_another_stage(tmp_path):
    stage = 'kind = "generate"\nprompt = "p.jinja"'
    made(tmp_path, stage, {"p.jinja": "Say: {{ text }}"})
    with pytest.raises(Exception, match=r"already made, from something else"):
        made(tmp_path, stage, {"p.jinja": "Tell: {{ text }}"})


@given(st.text(max_size=200))
def test_any_text_is_read_or_told(text):
    read = Structure(SCHEMA, "here").read(text)
    assert bool(read.problem) != (read.value is not None)


@given(st.text(max_size=30))
def test_what_is_drawn_satisfies_the_schema(key):
    validate(Drawer(key, ["a", "word"]).value(SCHEMA), SCHEMA)
