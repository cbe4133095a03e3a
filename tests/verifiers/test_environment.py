"""``environment``: what it cannot say is failed, and one that cannot tell is refused."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import PackageNotFoundError, version

import pytest
from tests_rubrics import WITH_RUBRIC, WITH_RUNTIME, WITH_TASKSET, install
from tests_support import rows_of, run_stages

from mashbill.core.errors import InputError, MissingExtraError, RecipeError
from mashbill.core.verifier import Case
from mashbill.verifiers.environment.spec import EnvironmentSpec

TASK = {"question": "2+2?", "answer": "4"}
EXAMPLE = json.dumps({"task": TASK, "right": "4"})


@pytest.fixture
def toy(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "site", {"sums": WITH_RUBRIC})


def loaded(folder, module="sums", example=EXAMPLE, **keys):
    folder.mkdir(exist_ok=True)
    (folder / "e.jsonl").write_text(example)
    spec = EnvironmentSpec(module=module, examples="e.jsonl", seconds=2, **keys)
    return spec.load(folder, folder, 1)


SCORED = [
    ("4", "scored", 1.0, "1 of 1 (correct 1"),
    ("5", "scored", 0.0, "0 of 1"),
    ("raise", "failed", None, "correct raised RuntimeError: the judge is away"),
    ("none", "failed", None, "correct raised TypeError"),
    ("nan", "failed", None, "its reward is nan"),
    ("2", "failed", None, "its reward is 2, beyond 0 to 1: see full"),
    ("-1", "failed", None, "its reward is -1, beyond 0 to 1"),
    ("hang", "failed", None, "it took longer than 2 s"),
    ("4", "scored", 1.0, "1 of 1"),  # by another process
    ("late", "failed", None, "ran out while its event loop stood still"),
    ("slow", "scored", 0.0, "0 of 1"),  # its own limit, and the loop went on
    ("x" * 500_000, "undecided", None, "500,000 characters"),
]


def test_what_is_no_judgement_is_failed_and_never_0(toy, tmp_path):
    verifier = loaded(tmp_path / "r")
    row = {"task": json.dumps(TASK)}
    scores = verifier.score([Case(output, row=row) for output, *_ in SCORED])
    for score, (output, outcome, value, why) in zip(scores, SCORED, strict=True):
        assert (score.outcome, score.value) == (outcome, value), (output[:20], score)
        assert why in score.reason, output[:20]


def test_a_cell_that_is_no_task_is_undecided(toy, tmp_path):
    verifier = loaded(tmp_path / "r")
    cells = [None, "", "[", "[1]", 3, "[" * 99_999]
    scores = verifier.score([Case("4", row={"task": cell}) for cell in cells])
    assert {score.outcome for score in scores} == {"undecided"}


REFUSED = {
    "no_parser": ({}, "sums pays 0.00 for the right output, '4'.*a parser that is missing"),
    "generous": ({}, "sums pays 1.00 for an empty output"),
    "empty": ({}, "no reward function with a weight"),
    "compared": ({}, "compares the outputs of a group"),
    "nothing": ({}, "FileNotFoundError: its data are not there"),
    "correct": ({"weight": 0.0}, "no reward function with a weight"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_one_that_cannot_tell_is_refused_by_its_examples(toy, tmp_path, how):
    arguments, why = REFUSED[how]
    with pytest.raises(RecipeError, match=why):
        loaded(tmp_path / "r", arguments={"how": how, **arguments})


def test_a_full_reward_may_be_another_number(toy, tmp_path):
    verifier = loaded(tmp_path / "r", arguments={"weight": 2.5}, full=2.5)
    (score,) = verifier.score([Case("4", row={"task": json.dumps(TASK)})])
    assert score.value == 1


def test_one_that_asks_a_model_says_which(toy, tmp_path):
    with pytest.raises(RecipeError, match="asks a model, which the recipe does not name"):
        loaded(tmp_path / "r", arguments={"judge": True})
    keys = {"arguments": {"judge": True}, "judge": "Example", "judge_kind": "closed-api"}
    verifier = loaded(tmp_path / "q", **keys)
    assert verifier.score([Case("4", row={"task": json.dumps(TASK)})])[0].value == 1
    spec = EnvironmentSpec(module="sums", examples="e.jsonl", **keys)
    assert (spec.source.what, spec.source.kind) == ("model", "closed-api")
    assert spec.controls() == ()


@pytest.mark.parametrize("example", ["", "[]", "{", '{"task": 3, "right": "4"}', '{"task": {}}'])
def test_examples_are_told_by_line(toy, tmp_path, example):
    with pytest.raises(InputError, match=r"e\.jsonl: (it has no example|line 1 is no object)"):
        loaded(tmp_path / "r", example=example)


def test_a_plan_holds_it_to_its_examples_and_a_run_scores(toy, tmp_path):
    stages = """
[stages.rows]
kind = "corpus"
title = "rows"
source = "rows.jsonl"

[verifiers.reward]
kind = "environment"
module = "sums"
examples = "e.jsonl"
arguments = { how = "HOW" }

[stages.out]
kind = "verify"
input = "rows"
by = "reward"
"""
    rows = [{"text": text, "task": TASK} for text in ("4", "5", "raise")]
    files = {"rows.jsonl": rows, "e.jsonl": EXAMPLE}
    with pytest.raises(RecipeError, match=r"pays 0\.00 for the right output"):
        run_stages(tmp_path / "a", stages.replace("HOW", "no_parser"), files, teachers="")
    store = run_stages(tmp_path / "b", stages.replace("HOW", "correct"), files, teachers="")
    assert [row["text"] for row in rows_of(store, "out")] == ["4"]
    said = {row["text"]: row["_reason"] for row in rows_of(store, "out", "rejected")}
    assert said["raise"].startswith("failed: sums: ")


def test_the_package_that_is_lacking_is_named(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "verifiers" else find(name, *a),
    )
    with pytest.raises(MissingExtraError, match="environments"):
        loaded(tmp_path / "r")


def _installed():
    try:
        return version("verifiers")
    except PackageNotFoundError:
        return ""


@pytest.mark.slow
@pytest.mark.skipif(not _installed().startswith("0.1."), reason="needs verifiers 0.1")
def test_a_real_environment_with_a_rubric(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path / "site", {"sums": WITH_RUBRIC}, toy=False)
    test_what_is_no_judgement_is_failed_and_never_0(None, tmp_path)
    with pytest.raises(RecipeError, match="a parser that is missing"):
        loaded(tmp_path / "r", arguments={"how": "no_parser"})


@pytest.mark.slow
@pytest.mark.skipif(_installed() < "0.4", reason="needs verifiers 0.4")
def test_a_real_environment_with_a_taskset(monkeypatch, tmp_path):
    modules = {"tasks": WITH_TASKSET, "boxed": WITH_RUNTIME}
    install(monkeypatch, tmp_path / "site", modules, toy=False)
    example = json.dumps({"task": {"prompt": "2+2?", "answer": "4"}, "right": "4"})
    verifier = loaded(tmp_path / "r", "tasks", example)
    row = {"task": json.dumps({"prompt": "2+2?", "answer": "4"})}
    right, wrong, away = verifier.score([Case(text, row=row) for text in ("4", "5", "raise")])
    assert (right.value, wrong.value, away.outcome) == (1.0, 0.0, "failed")
    assert "the judge is away" in away.reason
    (score,) = verifier.score([Case("4", row={"task": '{"prompt": "no answer"}'})])
    assert score.outcome == "failed"
    with pytest.raises(RecipeError, match="short needs a runtime of its own"):
        loaded(tmp_path / "q", "boxed", example)
