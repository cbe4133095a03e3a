"""Rollouts as data: what an attempt was, how it ended, and what came of it when it was verified."""

from __future__ import annotations

import json

import pytest
from tests_support import TEACHER, rows_of, run_stages
from tests_ways import says

from mashbill import Answer, RecipeError
from mashbill.core.chat import ToolCall
from mashbill.core.errors import InputError
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver
from mashbill.stages.generate import GenerateSpec

TASKS = [
    {"text": "2 + 2", "known": "4", "finish": "hers"},
    {"text": "3 + 3", "known": "6", "finish": "hers"},
]
STAGES = """
[verifiers.same]
kind = "exact"

[stages.tasks]
kind = "corpus"
title = "tasks"
origin = "own-dataset"
source = "tasks.jsonl"

[stages.attempts]
kind = "KIND"
input = "tasks"
teacher = "t"
samples = 4
rollouts = true
KEYS
"""
VERIFIED = """
keep = ["known", "finish"]

[stages.verified]
kind = "verify"
input = "attempts"
by = "same"
reference = "known"
group = ["prompt"]
finish = "finish"
threshold = 0
truncated = "keep"
"""


SERVICE = "it was cut off at the teacher's max_tokens before it wrote anything"
"""as a service's answer has it all of whose tokens went into reasoning"""


def answers(question):
    """Answer rightly, wrongly, cut off in the middle, and cut off before anything was said."""
    right = "4" if "2 + 2" in question.body else "6"
    return [
        Answer((), 7, right, finish="stop"),
        Answer((), 8, "17", finish="stop"),
        Answer((), 9, "let me th", finish="length"),
        Answer((), 10, "", failed=SERVICE, finish="length"),
    ][question.sample]


def made(folder, kind="generate", keys="", files=None, more=""):
    stages = STAGES.replace("KIND", kind).replace("KEYS", keys) + more
    return run_stages(folder, stages, {"tasks.jsonl": TASKS, **(files or {})}, teachers=TEACHER)


def test_an_attempt_is_a_row_with_its_conversation_its_end_and_its_tokens(tmp_path, monkeypatch):
    says(monkeypatch, answers)
    prompt = (
        "{% block system %}Say the sum.{% endblock %}{% block user %}{{ prompt }}{% endblock %}"
    )
    store = made(tmp_path, keys='prompt = "p.j2"', files={"p.j2": prompt})
    rows = rows_of(store, "attempts")
    assert [(row["finish"], row["tokens"], row["text"]) for row in rows[:4]] == [
        ("stop", 7, "4"), ("stop", 8, "17"), ("length", 9, "let me th"), ("length", 10, ""),
    ]  # fmt: skip
    assert json.loads(rows[0]["messages_json"]) == [
        {"role": "system", "content": "Say the sum."},
        {"role": "user", "content": "2 + 2"},
        {"role": "assistant", "content": "4"},
    ]
    assert len(rows) == 8
    assert Auditor(store.root, rederive=Rederiver(store)).run().findings == []


def test_verified_rollouts_say_what_was_wrong_and_what_was_cut_off(tmp_path, monkeypatch):
    says(monkeypatch, answers)
    store = made(tmp_path, more=VERIFIED)
    rows = rows_of(store, "verified")
    assert [row["score"] for row in rows[:4]] == [1, 0, None, None]
    assert [row["rank"] for row in rows[:4]] == [1, 2, None, None]
    assert rows[2]["reason"] == "truncated: it was cut off at the teacher's max_tokens"
    assert {row["verifier"] for row in rows} == {"same (exact 1)"}
    assert len({row["group"] for row in rows}) == 2
    measures = store.find("verified").measures
    assert measures["scores"] == {"scored": 4, "passed": 2, "undecided": 0, "failed": 0,
                                  "truncated": 4}  # fmt: skip
    one = measures["attempts"]["pass_at"]["1"]
    assert (one["estimate"], one["at_least"], one["at_most"]) == (0.5, 0.25, 0.75)
    assert [row["known"] for row in rows] == ["4"] * 4 + ["6"] * 4
    assert {row["original_finish"] for row in rows} == {"hers"}
    told = {(item.name, item.channel) for item in store.find("attempts").inputs}
    assert ("tasks@1", "content") in told
    assert Auditor(store.root, rederive=Rederiver(store)).run().findings == []


def test_without_the_key_rows_are_what_they_were(tmp_path, monkeypatch):
    says(monkeypatch, answers)
    store = run_stages(tmp_path, STAGES.replace("KIND", "generate").replace("KEYS", "")
                       .replace("rollouts = true", ""), {"tasks.jsonl": TASKS})  # fmt: skip
    assert "tokens" not in rows_of(store, "attempts")[0]
    assert len(rows_of(store, "attempts")) == 4
    assert len(rows_of(store, "attempts", "rejected")) == 4
    assert "rollouts" not in GenerateSpec(input="a", teacher="t").model_dump()


def test_an_outage_is_no_attempt_and_has_its_own_reason(tmp_path, monkeypatch):
    def fails(question):
        if question.sample == 1:
            return Answer((), 0, failed="the service was away", finish="")
        return Answer((), 3, "", finish="stop") if question.sample == 2 else answers(question)

    says(monkeypatch, fails)
    store = made(tmp_path)
    why = [(row["sample"], row["_reason"], row["finish"]) for row in
           rows_of(store, "attempts", "rejected")]  # fmt: skip
    assert why == [(1, "the service was away", None), (2, "the teacher wrote nothing", "stop")] * 2


@pytest.mark.parametrize("kept", ["rollouts = true", "keep_cut = true"])
def test_what_was_cut_off_before_it_fits_a_schema_is_told_as_cut_off(tmp_path, monkeypatch, kept):
    def cut(question):
        whole = question.sample == 0
        return Answer(
            (), 3, '{"a": 1}' if whole else '{"a": ', finish="stop" if whole else "length"
        )

    says(monkeypatch, cut)
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    stages = STAGES.replace("KIND", "generate").replace("KEYS", 'schema = "s.json"')
    files = {"tasks.jsonl": TASKS, "s.json": json.dumps(schema)}
    store = run_stages(tmp_path, stages.replace("rollouts = true", kept), files, teachers=TEACHER)
    why = {row["_reason"] for row in rows_of(store, "attempts", "rejected")}
    assert len(why) == 1
    told = "it was cut off at the teacher's max_tokens, so it does not fit the schema: "
    assert why.pop().startswith(told)


def test_a_conversation_has_the_tokens_of_all_its_turns(tmp_path, monkeypatch):
    says(monkeypatch, lambda question: Answer((), 5, f"so {len(question.turns)}", finish="stop"))
    store = made(tmp_path, "converse", "turns = 2")
    row = rows_of(store, "attempts")[0]
    assert (row["finish"], row["tokens"], row["turns"]) == ("stop", 10, 2)
    assert [turn["role"] for turn in json.loads(row["messages_json"])] == ["user", "assistant"] * 2


def test_a_rollout_of_tool_use_has_its_calls(tmp_path, monkeypatch):
    call = ToolCall("c1", "add", '{"a": 2}')

    def one(question):
        if not question.turns:
            return Answer((), 4, "", finish="tool_calls", tool_calls=(call,))
        return Answer((), 6, "4", finish="stop")

    says(monkeypatch, one)
    tools = [{"name": "add", "description": "adds", "parameters": {"type": "object"}}]
    known = json.dumps({"name": "add", "arguments": {"a": 2}, "result": 4}) + "\n"
    store = made(tmp_path, "tools", 'tools = "tools.json"\nresults = "known.jsonl"',
                 {"tools.json": json.dumps(tools), "known.jsonl": known})  # fmt: skip
    row = rows_of(store, "attempts")[0]
    assert (row["calls"], row["finish"], row["tokens"]) == (1, "stop", 10)
    assert json.loads(row["messages_json"])[1]["tool_calls"][0]["name"] == "add"


@pytest.mark.parametrize("kind", ["instruct", "qa", "rewrite"])
def test_what_makes_several_rows_of_an_answer_has_no_rollouts(tmp_path, kind):
    with pytest.raises((RecipeError, InputError), match="rollouts"):
        made(tmp_path, kind)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('keep = ["knwon"]', "keep = 'knwon' is no column of tasks; did you mean 'known'"),
        ('keep = ["known", "known"]', "'known' is none or twice"),
        ('keep = ["_bill"]', "'_bill' is none or twice"),
        ('keep = "known"', "keep"),
        ('rollouts = "yes please"', "rollouts"),
    ],
)
def test_a_slip_in_the_keys_is_told(tmp_path, keys, said):
    stages = STAGES.replace("KIND", "generate").replace("KEYS", keys)
    if "rollouts" in keys:
        stages = stages.replace("rollouts = true", "")
    with pytest.raises((RecipeError, InputError)) as told:
        run_stages(tmp_path, stages, {"tasks.jsonl": TASKS}, teachers=TEACHER)
    assert said in str(told.value)
