"""A plan is decided again when its rows were read and name who wrote them."""

from __future__ import annotations

import json

import pytest

import mashbill as mb
from mashbill.core.errors import PolicyError
from mashbill.core.store import Store

RECIPE = """
[recipe]
name = "some"
version = "1"

[use]
purpose = "product"
commercial = true
distribution = "public"
competes_with = ["OpenAI"]

[stages.own]
kind = "corpus"
title = "own"
origin = "own-dataset"
license = "CC0-1.0"
source = "own.jsonl"

[stages.chat]
kind = "import"
title = "chat"
source = "chat.jsonl"
called_by = "us"

[stages.mixed]
kind = "mix"
inputs = { own = 1, chat = 1 }

[teachers.t]
kind = "fake"
words.good = ["kind"]
words.bad = ["dull"]

[stages.labelled]
kind = "label"
input = "mixed"
teacher = "t"
prompt = "ask.txt"
labels = { good = " good", bad = " bad" }

[stages.model]
kind = "classifier"
input = "labelled"

[origins]
"ask.txt" = { by = "people" }
"""
WITHOUT = """
[stages.fewer]
kind = "without"
input = "chat"
without = { source = "gpt-4o" }
"""


def files(folder, recipe=RECIPE, generator="gpt-4o"):
    own = [{"text": f"a {'kind' if at % 2 else 'dull'} day {at}"} for at in range(12)]
    chat = [{"text": f"a kind answer {at}", "generator": generator} for at in range(6)]
    chat.append({"text": "a dull day of mine", "generator": "human"})
    for name, rows in {"own.jsonl": own, "chat.jsonl": chat}.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "ask.txt").write_text("Good or bad? {{ text }}\nAnswer:")
    (folder / "some.toml").write_text(recipe)
    return folder / "some.toml"


def made(folder):
    return {manifest.name for manifest in Store(folder / "store").manifests()}


def test_a_plan_that_its_rows_make_denied_is_refused_before_anything_is_made_of_them(tmp_path):
    ws = mb.open(tmp_path / "store")
    plan = ws.plan(files(tmp_path))
    assert plan.decision.outcome != "deny"
    with pytest.raises(PolicyError, match=r"rows of chat say of who wrote them") as refused:
        ws.run(plan)
    assert refused.value.outcome == "deny"
    assert "OpenAI Services Agreement" in str(refused.value)
    assert not {"mixed", "labelled", "model"} & made(tmp_path)


def test_it_is_refused_in_a_second_run_too(tmp_path):
    path = files(tmp_path)
    ws = mb.open(tmp_path / "store")
    for _ in range(2):
        with pytest.raises(PolicyError):
            ws.run(ws.plan(path))
    assert "model" not in made(tmp_path)


def test_it_is_refused_where_the_run_before_was_ended_behind_the_import(tmp_path):
    path = files(tmp_path)
    ws = mb.open(tmp_path / "store")
    with pytest.raises(PolicyError):
        ws.run(ws.plan(path))
    assert {"own", "chat"} <= made(tmp_path)
    with pytest.raises(PolicyError):  # both are done, and decided about again
        ws.run(ws.plan(path))


def test_rows_that_are_left_out_deny_nothing(tmp_path):
    recipe = RECIPE.replace("[stages.mixed]", f"{WITHOUT}\n[stages.mixed]")
    path = files(tmp_path, recipe.replace("chat = 1", "fewer = 1"))
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(path))
    assert "model" in made(tmp_path)


def test_a_set_that_nobody_trains_on_is_made(tmp_path):
    recipe = RECIPE[: RECIPE.index("[teachers.t]")] + RECIPE[RECIPE.index("[origins]") :].replace(
        '[origins]\n"ask.txt" = { by = "people" }', ""
    )
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(files(tmp_path, recipe)), accept=mb.Acceptance("me", "looked at it"))
    assert "mixed" in made(tmp_path)


def test_rows_of_people_change_nothing(tmp_path):
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(files(tmp_path, generator="human")), accept=mb.Acceptance("me", "mine"))
    assert "model" in made(tmp_path)


def test_a_review_of_what_was_not_read_says_that_rows_tell(tmp_path):
    recipe = (
        RECIPE[: RECIPE.index("[stages.own]")]
        + RECIPE[RECIPE.index("[stages.chat]") : RECIPE.index("[stages.mixed]")]
    )
    ws = mb.open(tmp_path / "store")
    with pytest.raises(PolicyError, match="Who wrote the rows of chat stands in their files"):
        ws.run(ws.plan(files(tmp_path, recipe)))
