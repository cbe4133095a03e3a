"""``recipes/maths.toml`` and ``recipes/code.toml``: what a teacher proposes, verifiers dispose."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tests_gym import install
from tests_support import rows_of, run_stages, run_toy

import mashbill as mb
from mashbill import load_recipe
from mashbill.core.store import Store
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.plan import build

RECIPES = Path(__file__).parents[2] / "recipes"
FAKE = """[teachers.proposer]
kind = "fake"
name = "Example Writer"
source_kind = "open-weights"
license = "Apache-2.0"
words.sea = ["0", "2", "4"]
"""


def shipped(folder, name, teacher=FAKE):
    """Copy a recipe and its files, with another teacher; return the copy."""
    shutil.copytree(RECIPES, folder, ignore=shutil.ignore_patterns("*.toml"))
    text = (RECIPES / f"{name}.toml").read_text()
    path = folder / f"{name}.toml"
    path.write_text(re.sub(r"\[teachers\.proposer\][^\[]*", teacher + "\n", text, count=1))
    return path


def as_far_as_kept(text):
    """Return ``maths`` without the student that comes behind what was kept."""
    text = text[: text.index("# ---- a student: ")]
    text = re.sub(r"\[arms\].*?(?=\[verifiers)", "", text, flags=re.DOTALL)
    return text.replace('result = "student.s1"', 'result = "kept"')


@pytest.mark.parametrize("name", ["maths", "code"])
def test_the_recipes_are_planned(name):
    recipe = load_recipe(RECIPES / f"{name}.toml")
    plan = build(recipe)
    assert {"rollouts"} <= {stage.name for stage in plan.stages}
    assert recipe.stages["rollouts"].uses()


def test_attempts_at_sums_are_scored_by_level_and_those_that_are_right_are_kept(
    monkeypatch, tmp_path
):
    install(monkeypatch, tmp_path / "site")
    path = shipped(tmp_path / "r", "maths")
    text = as_far_as_kept(path.read_text())
    text = re.sub(r"config = \{.*\}", "config = { numbers = 4 }", text)  # of the toy
    path.write_text(text)
    store, _ = run_toy(path, tmp_path / "store")
    sums, problems = store.find("scored-sums"), store.find("scored-problems")
    assert {row["level"] for row in rows_of(store, "scored-sums")} <= {"digit", "digits", "chain"}
    for made in (sums, problems):
        assert sum(made.measures["scores"][key] for key in ("scored", "undecided")) > 0
        assert made.measures["attempts"]
    rows = rows_of(store, "rollouts")
    assert {"prompt", "text", "level", "messages_json", "finish", "tokens", "group", "rank",
            "score", "reason", "verifier"} <= set(rows[0])  # fmt: skip
    kept = rows_of(store, "kept")
    assert {row["score"] for row in kept} == {1.0}
    assert len(kept) + len(rows_of(store, "kept", "rejected")) == len(rows)
    lines = bill(Circuit.of_artifact(store, store.find("kept")))
    found = {(line.source.name, channel.value) for line in lines for channel in line.channels}
    assert ("Example Writer (stand-in)", "content") in found
    assert "reasoning-gym chain_sum" in {name for name, _ in found}
    assert ("verifier reasoning-gym", "judgement") in found
    assert {line.source.kind for line in lines if "reasoning" in line.source.name} == {"program"}


PROGRAMS = """
[stages.tasks]
kind = "corpus"
title = "Programming tasks"
license = "CC0-1.0"
source = "programs.jsonl"
dedup = false

[verifiers.right]
kind = "code"

[stages.scored]
kind = "verify"
input = "tasks"
by = "right"
group = ["id"]
level = "difficulty"
threshold = 0
passes = 0.5
"""


def test_solutions_pass_in_the_sandbox_and_what_is_wrong_does_not(tmp_path):
    rows = []
    for line in (RECIPES / "data" / "code-tasks.jsonl").read_text().splitlines():
        task = json.loads(line)
        fenced = f"Here it is:\n```python\n{task['solution']}```\nIt works."
        for text, is_right in [(fenced, True), *((wrong, False) for wrong in task["wrong"])]:
            keep = {key: task[key] for key in ("id", "difficulty", "tests")}
            rows.append({"text": text, "is_right": is_right, **keep})
    store = run_stages(tmp_path, PROGRAMS, {"programs.jsonl": rows}, teachers="")
    scored = rows_of(store, "scored")
    assert len(scored) == len(rows) == 64 + 122
    wrong = [row["id"] for row in scored if (row["score"] == 1.0) is not row["is_right"]]
    assert wrong == []
    assert {row["isolation"] for row in scored} == {scored[0]["isolation"]}


@pytest.mark.slow
@pytest.mark.engines
@pytest.mark.parametrize("name", ["maths", "code"])
def test_the_embedded_teacher_yields_what_it_yields(name, tmp_path):
    if name == "maths":
        pytest.importorskip("reasoning_gym")
    ws = mb.open(tmp_path / "store")  # with the user's own cache, where the teacher lies
    shutil.copytree(RECIPES, tmp_path / "r")
    path = tmp_path / "r" / f"{name}.toml"
    if name == "maths":
        path.write_text(as_far_as_kept(path.read_text()))
    ws.run(ws.plan(path))
    rows = rows_of(Store(tmp_path / "store"), "rollouts")
    assert len(rows) == {"maths": 236, "code": 128}[name]
    assert {row["score"] for row in rows} <= {0.0, 1.0, None}
    assert all(row["reason"] for row in rows)
