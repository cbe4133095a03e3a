"""A judge that a service is: asked once the plan is permitted, within the budget, and paid once."""

from __future__ import annotations

import json

import pytest
from tests_service import Service, chat
from tests_support import execute, rows_of

from mashbill import RecipeError, Signer, Store, load_recipe
from mashbill.calls.journal import Journal
from mashbill.client.budget import Caps
from mashbill.core.errors import BudgetError, LosingError, MashbillError
from mashbill.plan import build
from mashbill.run.executor import Execution

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

RECIPE = """
[recipe]
name = "judged"
version = "1"

[teachers.mine]
kind = "server"
model = "m-1"
license = "MIT"
base_url = "{url}/v1"

[verifiers.fair]
kind = "judge"
teachers = ["mine"]
prompt = "rubric.jinja"
columns = ["prompt"]
answer = "number"
{keys}
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"

[stages.out]
kind = "verify"
input = "got"
by = "fair"
shard_rows = 8
undecided = "keep"
failed = "keep"
"""
RUBRIC = (
    "{% block system %}You judge answers.{% endblock %}{% block user %}Question: {{ prompt }}\n"
    "Answer: {{ output }}\nHow good, from 0 to 10?{% endblock %}"
)
ROWS = [
    {"prompt": f"question {n}", "text": f"good answer to question {n}", "by": "x"}
    for n in range(24)
]


def judging(handler, path, data):
    """Be a judge that wants an answer to the question, and thinks aloud."""
    asked = json.loads(data)["messages"][-1]["content"]
    question, answer, _ = (line.partition(": ")[2] for line in asked.split("\n", 2))
    is_good = answer.endswith(question) and answer != question
    handler.reply(200, chat(f"Let me see.\nScore: {9 if is_good else 1}"))


def run(folder, service, keys="", caps=None, rows=ROWS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rubric.jinja").write_text(RUBRIC)
    (folder / "got.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "r.toml"
    path.write_text(RECIPE.format(url=service.url, keys=keys))
    store = Store(folder / "s", Signer.default())
    plan = build(load_recipe(path), store)
    execute(plan, store, Execution(folder / "c", threads=1, caps=caps or Caps()))
    return store, plan


def test_it_scores_and_its_controls_are_in_the_journal_and_paid_once(tmp_path):
    with Service(judging) as service:
        store, plan = run(tmp_path, service)
        assert {row["score"] for row in rows_of(store, "out")} == {0.9}
        told = store.find("out").measures
        assert told["controls"] == {"fair": {"tried": 10, "wrong": []}}
        calls = Journal(store.root / "calls.sqlite").totals()[0]
        assert calls == len(service.asked) <= plan.stages[1].projected.most.calls
        assert calls >= plan.stages[1].projected.least.calls
        bodies = [json.loads(data)["messages"] for _, _, data in service.asked]
        assert {body[0]["content"] for body in bodies} == {"You judge answers."}
        first = {text for body in bodies[:12] for text in body[-1]["content"].split("\n")[1:2]}
        assert "Answer: I don't know." in first  # before the rows
        run(tmp_path, service)
        assert len(service.asked) == calls


def test_one_that_pays_for_junk_is_refused_before_a_row_is_bought(tmp_path):
    with Service(lambda handler, *_: handler.reply(200, chat("10"))) as service:
        with pytest.raises(RecipeError, match=r"verifiers.fair: kind 'judge' pays 1.00 for an emp"):
            run(tmp_path, service)
        assert len(service.asked) == 10


def test_its_controls_keep_to_the_budget(tmp_path):
    with Service(judging) as service:
        with pytest.raises(BudgetError):
            run(tmp_path, service, caps=Caps(calls=4))
        assert len(service.asked) <= 4


def test_what_cannot_be_read_is_undecided_and_an_outage_failed_and_neither_is_0(tmp_path):
    def odd(handler, path, data):
        asked = json.loads(data)["messages"][-1]["content"]
        number = next((n for n in range(20, 24) if f"answer to question {n}\n" in asked), 0)
        if number in (20, 21):
            return handler.reply(200, chat("It depends. Perhaps 7, or 8."))
        if number == 22:
            return handler.reply(400, {"error": {"message": "this prompt is not answered"}})
        return judging(handler, path, data)

    with Service(odd) as service:
        store, _ = run(tmp_path, service)
    rows = {row["prompt"]: row for row in rows_of(store, "out")}
    assert [rows[f"question {n}"]["score"] for n in (19, 20, 21, 22, 23)] == [
        0.9, None, None, None, 0.9,
    ]  # fmt: skip
    assert rows["question 20"]["reason"].startswith("undecided: it wrote 'It depends.")
    assert rows["question 22"]["reason"].startswith("failed: ")
    told = store.find("out").measures["judging"]["fair"]["judges"]["mine"]
    assert told == {"answered": 21, "undecided": 2, "failed": 1}


def test_a_judge_that_turns_nearly_all_down_stops_the_run(tmp_path):
    rows = [{**row, "text": "nonsense"} for row in ROWS * 4]
    rows = [{**row, "prompt": f"question {n}"} for n, row in enumerate(rows)]
    with Service(judging) as service:
        with pytest.raises(LosingError, match="answers of mine"):
            run(tmp_path, service, rows=rows)
        assert len(service.asked) < 60


def test_a_run_that_was_cut_off_goes_on_and_buys_nothing_twice(tmp_path):
    cut = [True]

    def at_times(handler, path, data):
        if cut[0] and len(service.asked) > 16:
            return handler.reply(401, {"error": {"message": "the key is not known any more"}})
        return judging(handler, path, data)

    with Service(at_times) as service:
        with pytest.raises(MashbillError):
            run(tmp_path / "cut", service)
        cut[0] = False
        store, _ = run(tmp_path / "cut", service)
        whole, _ = run(tmp_path / "whole", service)
    calls = [Journal(one.root / "calls.sqlite").totals()[0] for one in (store, whole)]
    assert calls[0] == calls[1]
    found = [
        [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows_of(one, "out")]
        for one in (store, whole)
    ]
    assert found[0] == found[1]
    assert store.find("out").measures == whole.find("out").measures
