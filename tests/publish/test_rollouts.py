"""Verified rollouts as JSON lines: conversation, calls, reward with its parts, and how it ended."""

from __future__ import annotations

import json

import pytest
from tests_support import TEACHER, rows_of, run_stages
from tests_ways import says

from mashbill import Answer, InputError
from mashbill.core.chat import ToolCall
from mashbill.publish.publish import Wish, publish

TASKS = [{"text": "2 + 2", "known": "4"}, {"text": "3 + 3", "known": "6"}]
STAGES = """
[verifiers.reward]
kind = "rubric"
[verifiers.reward.parts.right]
kind = "exact"
weight = 3
[verifiers.reward.parts.short]
kind = "form"
max_words = 3

[stages.tasks]
kind = "corpus"
title = "tasks"
origin = "own-dataset"
source = "tasks.jsonl"

[stages.attempts]
kind = "tools"
input = "tasks"
teacher = "t"
tools = "tools.json"
results = "known.jsonl"
samples = 3
rollouts = true
keep = ["known"]

[stages.verified]
kind = "verify"
input = "attempts"
by = "reward"
reference = "known"
group = ["prompt"]
finish = "finish"
threshold = 0
truncated = "keep"

[stages.again]
kind = "import"
title = "again"
source = "out"
generator = "none"
"""
CALL = ToolCall("c1", "add", '{"a": 2}')
FILES = {
    "tasks.jsonl": TASKS,
    "tools.json": json.dumps(
        [{"name": "add", "description": "adds", "parameters": {"type": "object"}}]
    ),
    "known.jsonl": json.dumps({"name": "add", "arguments": {"a": 2}, "result": 4}) + "\n",
}


def answers(question):
    if not question.turns:
        return Answer((), 4, "", finish="tool_calls", tool_calls=(CALL,))
    if question.sample == 2:
        return Answer((), 9, "so it", finish="length")
    return Answer((), 6, "4" if question.sample == 0 else "I think 4", finish="stop")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        says(patch, answers)
        stages = STAGES.partition("[stages.again]")[0]
        return run_stages(tmp_path_factory.mktemp("rollouts"), stages, FILES, teachers=TEACHER)


def written(store, to, name="verified"):
    done = publish(store, store.find(name), str(to), Wish(format="jsonl", form="rollouts"))
    return [json.loads(line) for line in (to / "data" / "part-00000.jsonl").open()], done.shaped


def test_a_rollout_has_all_that_was_said_and_paid(store, tmp_path):
    rows, shaped = written(store, tmp_path / "out")
    assert len(rows) == 6
    first, wrong, cut = rows[:3]
    assert first["prompt"] == [{"role": "user", "content": "2 + 2"}]
    assert [turn["role"] for turn in first["completion"]] == ["assistant", "tool", "assistant"]
    assert first["completion"][0]["tool_calls"][0]["function"]["name"] == "add"
    assert first["tools"][0]["function"]["name"] == "add"
    assert (first["reward"], first["rewards"]) == (1, {"right": 1, "short": 1})
    assert (wrong["reward"], wrong["rewards"]) == (0.25, {"right": 0, "short": 1})
    assert (cut["reward"], cut["rewards"]) == (None, {"right": None, "short": None})
    assert cut["reason"].startswith("truncated: ")
    assert [row["finish"] for row in rows[:3]] == ["stop", "stop", "length"]
    assert [row["tokens"] for row in rows[:3]] == [10, 10, 13]
    assert [row["rank"] for row in rows[:3]] == [1, 2, None]
    assert first["verifier"] == "reward (rubric 1 right:1 short:2)"
    assert first["group"] == wrong["group"] != rows[3]["group"]
    assert len(first["_id"]) == 32
    assert set(shaped.columns) == {"calls", "known"}


def test_what_is_written_is_read_again(store, tmp_path):
    rows, _ = written(store, tmp_path / "out")
    stages = "[stages.again]" + STAGES.partition("[stages.again]")[2]
    again = run_stages(tmp_path, stages, {}, teachers="")
    back = rows_of(again, "again")
    assert [row["text"] for row in back] == [row["completion"][-1]["content"] for row in rows]
    assert [row["reward"] for row in back] == [row["reward"] for row in rows]


def test_what_was_never_scored_is_no_rollout(store, tmp_path):
    with pytest.raises(InputError, match=r"needs a column .score'.*`verify` by a verifier gives"):
        written(store, tmp_path / "out", "attempts")


@pytest.mark.parametrize(("named", "kept"), [("finish_reason", True), ("why", True), ("", False)])
def test_the_column_that_says_how_each_ended_goes_along_by_its_own_name(tmp_path, named, kept):
    stages = """
[verifiers.right]
kind = "exact"
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"
[stages.verified]
kind = "verify"
input = "got"
by = "right"
reference = "known"
threshold = 0
[stages.part]
kind = "split"
input = "verified"
range = [0, 1]
"""
    stages = stages.replace("threshold = 0", f'threshold = 0\nfinish = "{named}"')
    row = {"prompt": "p", "text": "4", "known": "4", "by": "toy"}
    rows = [{**row, named or "why": "stop"}]
    store = run_stages(tmp_path, stages, {"got.jsonl": rows}, teachers="")
    for name in ("verified", "part"):
        (found,), shaped = written(store, tmp_path / name, name)
        assert (found.get(named or "why") == "stop") is kept
        assert ((named or "why") in shaped.columns) is not kept
