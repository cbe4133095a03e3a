"""``reasoning-gym``: who passed the controls scores, in a process that can be ended."""

from __future__ import annotations

import json
import time

import pytest
from pydantic import ValidationError
from tests_gym import install
from tests_support import rows_of, run_stages

from mashbill.core.controls import JUNK, check
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.verifier import Case, VerifierSession
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.verifiers.reasoning_gym.allowed import allowed, listed
from mashbill.verifiers.reasoning_gym.spec import ReasoningGymSpec, answer_in

REFUSED = {
    "game_of_life_halting": "pays 1.00 for white space; .*pays 1.00 for 'I don't know', and 6 more",
    "prime_factorization": "raises ValueError for letters without sense",
    "boxnet": "no answer that is known to be right",
    "graph_color": "no answer that is known to be right",
    "propositional_logic": "no answer that is known to be right",
    "rubiks_cube": "no answer that is known to be right",
    "rush_hour": "no answer that is known to be right",
    "gsm_symbolic": "pays 1.00 for the question again",
    "countdown": "runs texts as programs",
    "simple_integration": "runs texts as programs",
    "composite": "cannot be tried",
    "chain_sums": "has no generator 'chain_sums'.*chain_sum",
}
PARTLY = ["coin_flip", "game_of_life", "knights_knaves", "time_intervals", "tower_of_hanoi"]


@pytest.fixture
def toy(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "site")


def session(*names, **keys):
    spec = ReasoningGymSpec(generators=names or ("chain_sum",), **keys)
    return VerifierSession("v", spec, lambda: spec.load(None, None, 1))


def row(n=7, name="chain_sum", **config):
    item = {"question": f"What is {n} + {n}?", "answer": str(2 * n),
            "metadata": {"source_dataset": name}, "config": config}  # fmt: skip
    return {"task": json.dumps(item)}


@pytest.mark.parametrize("name", REFUSED)
def test_a_generator_that_cannot_tell_is_refused_by_name_and_reason(name):
    with pytest.raises(ValidationError, match=f"(?s){REFUSED[name]}") as told:
        ReasoningGymSpec(generators=("chain_sum", name))
    assert name in str(told.value)


@pytest.mark.parametrize("name", PARTLY)
def test_partial_credit_has_a_list_of_its_own(name):
    assert ReasoningGymSpec(generators=(name,)).partial is False
    with pytest.raises(ValidationError, match=f"{name} .* with partial credit"):
        ReasoningGymSpec(generators=(name,), partial=True)


def test_the_list_says_what_was_tried_and_when():
    told = listed()
    assert (told["package"], told["version"], len(told["generators"])) == (
        "reasoning-gym", "0.1.25", 106,
    )  # fmt: skip
    assert told["made"] >= "2026-11-29"
    assert 60 < len(allowed(partial=True)) < len(allowed()) < 100
    for name in allowed():
        paid = told["generators"][name]["paid"]
        wrong = {control: most for control, most in paid.items() if control != "the right answer"}
        assert paid["the right answer"] == 1
        assert max(wrong.values()) < 1, name
        assert {*JUNK, "the question again", "another task's answer (1 on)"} <= set(wrong)


SCORED = [  # an output of the toy, outcome, value, what the reason says
    ("14", "scored", 1.0, "right"),
    ("<answer>13</answer> no: <ANSWER> 14\n</ANSWER>", "scored", 1.0, "right"),
    ("13", "scored", 0.0, "0.01 of 1"),
    (" \n", "scored", 0.0, "no answer"),
    ("<answer></answer>", "scored", 0.0, "no answer"),
    ("hang", "failed", None, "took longer than 1 s"),
    ("14", "scored", 1.0, "right"),  # by another process
    ("die", "failed", None, "its process ended"),
    ("raise", "undecided", None, "raised ValueError: no such word"),
    ("nan", "undecided", None, "no number from 0 to 1"),
    ("inf", "undecided", None, "no number from 0 to 1"),
    ("two", "undecided", None, "no number from 0 to 1"),
    ("text", "undecided", None, "no number from 0 to 1"),
    ("memory", "undecided", None, "MemoryError"),
    ("x" * 200_000, "undecided", None, "200,000 characters"),
]


def test_what_a_generator_does_is_told_and_never_0(toy):
    verifier = session(seconds=1)
    began = time.monotonic()
    scores = verifier.score([Case(output, row=row()) for output, *_ in SCORED])
    assert time.monotonic() - began < 60
    for score, (output, outcome, value, why) in zip(scores, SCORED, strict=True):
        assert (score.outcome, score.value) == (outcome, value), output[:40]
        assert why in score.reason, output[:40]


PROGRAMS = ["open({0!r}, 'w')", "__import__('pathlib').Path({0!r}).touch()", "1 + 1"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_output_is_run_as_a_program(toy, tmp_path, program):
    mark = tmp_path / "mark"
    (score,) = session().score([Case("run:" + program.format(str(mark)), row=row())])
    assert score.outcome == "undecided"
    assert "it runs a text as a program" in score.reason
    assert not mark.exists()


def test_partial_credit_counts_where_it_is_asked_for(toy):
    cases = [Case("13", row=row()), Case("14", row=row())]
    assert [score.value for score in session(partial=True).score(cases)] == [0.01, 1.0]
    assert [score.value for score in session().score(cases)] == [0.0, 1.0]


ODD_ROWS = [
    ({}, "undecided"), ({"task": None}, "undecided"), ({"task": "["}, "undecided"),
    ({"task": "[]"}, "undecided"), ({"task": '{"metadata": {}}'}, "undecided"),
    ({"task": "[" * 100_000}, "undecided"),
    ({"task": '{"metadata": {"source_dataset": 3}}'}, "undecided"),
    ({"task": '{"metadata": {"source_dataset": "chain_sum"}, "config": []}'}, "scored"),
    ({"task": '{"metadata": {"source_dataset": "chain_sum"}, "config": [1]}'}, "undecided"),
    (row(name="game_of_life_halting"), "failed"),
    (row(nonsense=1), "undecided"),
    (row(generous=True), "failed"),
]  # fmt: skip


def test_a_row_that_is_no_task_is_undecided_and_one_of_another_generator_failed(toy):
    scores = session().score([Case("14", row=each) for each, _ in ODD_ROWS[:7] + ODD_ROWS[8:]])
    assert [score.outcome for score in scores] == [
        outcome for _, outcome in ODD_ROWS[:7] + ODD_ROWS[8:]
    ]
    assert "pays for junk" in scores[-1].reason


def test_a_generator_that_pays_for_junk_here_is_refused_whatever_the_list_says(toy, monkeypatch):
    check("v", session(), session().spec.controls())
    monkeypatch.setattr("mashbill.verifiers.reasoning_gym.allowed.listed", _all_pass)
    from mashbill.verifiers.reasoning_gym import spec as module

    def generous(gym, name, config, *, partial):
        return _faults(gym, name, {"generous": True}, partial=partial)

    _faults = module._faults
    monkeypatch.setattr(module, "_faults", generous)
    with pytest.raises(RecipeError, match=r"game_of_life_halting does not pass .*pays 1\.00 for"):
        ReasoningGymSpec(generators=("game_of_life_halting",)).controls()


def _all_pass():
    told = {"faults": [], "partly": [], "paid": {}, "runs": False}
    return {"version": "0.1.25", "generators": dict.fromkeys(["game_of_life_halting"], told)}


def test_another_version_than_was_tried_is_refused(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "site", "0.2.0")
    with pytest.raises(InputError, match=r"reasoning-gym 0\.2\.0 is installed.*tried at 0\.1\.25"):
        session().spec.controls()


def test_what_stands_in_the_last_tags_is_the_answer():
    assert answer_in("a <answer>1\n2</answer> <answer> 3 </answer> b") == "3"
    assert answer_in("<answer>3") == "<answer>3"


FOUND = [
    ("The final answer is 3 - 1 = 2.", "2"), ("so 12 - 15 = -3", "-3"), ("1,200 and 3.5", "3.5"),
    ("it is 1,200.", "1200"), ("x2 and v1.2", ""), ("none", ""), ("<answer>7</answer> 8", "7"),
    ("5 \u2212 \u22122", "-2"), ("5-3", "3"),
]  # fmt: skip


def test_an_answer_may_be_the_last_number_or_line():
    assert [answer_in(text, "last-number") for text, _ in FOUND] == [said for _, said in FOUND]
    assert answer_in("so\n\n 4 2 \n1 3\n\n", "last-line") == "1 3"
    assert answer_in(" \n", "last-line") == ""


STAGES = """
[stages.sums]
kind = "reasoning-gym"

[stages.sums.levels.few]
generator = "chain_sum"
rows = 8
config = {{ numbers = 5 }}

[stages.sums.levels.many]
generator = "lcm"
rows = {rows}

[verifiers.right]
kind = "reasoning-gym"
generators = ["chain_sum", "lcm"]

[stages.kept]
kind = "verify"
input = "sums"
by = "right"
column = "answer"
"""


def test_tasks_are_rows_by_their_seed_and_the_generator_is_a_program(toy, tmp_path):
    store = run_stages(tmp_path / "one", STAGES.format(rows=600), {}, teachers="")
    again = run_stages(tmp_path / "two", STAGES.format(rows=600), {}, teachers="")
    assert rows_of(store, "sums") == rows_of(again, "sums")
    rows = rows_of(store, "sums")
    assert [sum(one["level"] == level for one in rows) for level in ("few", "many")] == [5, 600]
    assert len(rows_of(store, "sums", "rejected")) == 3
    first = rows[0]
    assert first["task_name"] == "chain_sum"
    assert json.loads(first["difficulty"]) == {"digits": [1, 4]}
    assert json.loads(first["task"])["config"] == {"numbers": 5}
    assert {one["score"] for one in rows_of(store, "kept")} == {1.0}
    told = {
        line.source.name: line.source.kind
        for line in bill(Circuit.of_artifact(store, store.find("kept")))
    }
    assert told == {
        "reasoning-gym chain_sum": "program", "reasoning-gym lcm": "program",
        "verifier reasoning-gym": "program",
    }  # fmt: skip


def test_two_stages_share_no_task_by_their_seeds(toy, tmp_path):
    stages = """
[stages.{0}]
kind = "reasoning-gym"
[stages.{0}.levels.a]
generator = "chain_sum"
rows = 40
"""
    store = run_stages(tmp_path, stages.format("one") + stages.format("two"), {}, teachers="")
    texts = [{row["text"] for row in rows_of(store, name)} for name in ("one", "two")]
    assert len(texts[0] & texts[1]) < 5


@pytest.mark.parametrize(
    ("level", "why"),
    [
        ('generator = "chain_sum"\nrows = 3\nconfig = { nonsense = 1 }', "unexpected keyword"),
        ('generator = "chain_sum"\nrows = 3\nconfig = { stuck = true }', "took longer than 1 s"),
        ('generator = "chain_sums"\nrows = 3', "has no generator 'chain_sums'"),
        ('generator = "chain_sum"\nrows = 3\nconfig = { seed = 3 }', "has seed, which follows"),
        ('generator = "chain_sum"\nrows = 0', "greater than 0"),
    ],
)
def test_a_level_that_cannot_be_made_is_named(toy, tmp_path, level, why):
    stages = f'[stages.s]\nkind = "reasoning-gym"\nseconds = 1\n[stages.s.levels.hard]\n{level}\n'
    with pytest.raises((RecipeError, InputError), match=f"(?s)levels.hard.*{why}"):
        run_stages(tmp_path, stages, {}, teachers="")


@pytest.mark.slow
def test_the_list_is_what_its_controls_find():
    pytest.importorskip("reasoning_gym")
    from mashbill.verifiers.reasoning_gym.listing import make_list

    assert make_list()["generators"] == listed()["generators"]


@pytest.mark.slow
def test_each_generator_that_passed_pays_for_what_is_right_and_for_no_junk():
    pytest.importorskip("reasoning_gym")
    names = allowed()
    verifier = session(*names, seconds=20)
    check("v", verifier, verifier.spec.controls())
