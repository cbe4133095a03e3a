"""Recipes of students: ``extract``, ``refinery``, ``prefer``, ``on_policy``, ``council``..."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

import mashbill as mb
from mashbill.core.source import Channel
from mashbill.core.verifier import Case
from mashbill.verifiers.grounding import GroundingSpec
from mashbill.verifiers.instructions.spec import InstructionsSpec

RECIPES = Path(__file__).parents[2] / "recipes"
SMALLER = {
    "extract": {
        "letters": {"range": "[0.0, 0.06]"},
        "heldout": {"range": "[0.0, 0.06]"},
        "student": {"steps": "6", "batch": "4"},
    },
    "refinery": {
        "first": {"range": "[0.0, 0.01]"},
        "rest": {"range": "[0.07, 0.09]"},
        "heldout": {"range": "[0.0, 0.002]"},
        "refiner": {"steps": "12", "batch": "4"},
        "scratch": {"steps": "8"},
    },
    "logit_kd": {
        "learn": {"range": "[0.0, 0.003]"},
        "more": {"range": "[0.0, 0.01]"},
        "held": {"range": "[0.95, 0.952]"},
        "student": {"steps": "4", "batch": "8"},
    },
    "prefer": {
        "rated-a": {"range": "[0.0, 0.02]"},
        "rated-b": {"range": "[0.45, 0.47]"},
        "rated-held": {"range": "[0.9, 0.903]"},
        "begun": {"range": "[0.97, 0.9705]"},
        "begun-held": {"range": "[0.985, 0.9853]"},
        "student": {"steps": "2", "batch": "2"},
        "asked": {"range": "[0.0, 0.1]"},
    },
    "on_policy": {
        "held": {"range": "[0.8, 0.81]"},
        "big": {"steps": "60"},
        "start": {"steps": "20"},
        "student": {"steps": "4"},
    },
    "council": {
        "falls-held": {"range": "[0.8, 0.81]"},
        "sorts-held": {"range": "[0.8, 0.81]"},
        "faller": {"steps": "60"},
        "sorter": {"steps": "60"},
        "start": {"steps": "20"},
        "student": {"steps": "4"},
    },
    "maths": {
        "drawn.levels.two": {"rows": "20"},
        "drawn.levels.three": {"rows": "20"},
        "longer.levels.four": {"rows": "4"},
        "taught": {"steps": "2", "batch": "2"},
        "student": {"steps": "2", "batch": "2"},
        "evaluation": {"samples": "2", "pass_at": "[1, 2]"},
        "of-longer": {"samples": "2", "pass_at": "[1, 2]"},
    },
}
LETTERS = """[verifiers.letters]
kind = "form"
match = ["[a-e]", "[f-j]", "[k-o]", "[p-t]"]

[arms]
"""
RESULTS = {
    "extract": ("evaluation", "student.verified"),
    "refinery": ("evaluation", "lm.refined"),
    "logit_kd": ("perplexity", "lm.kd"),
    "prefer": ("by-another-judge", "student.judged"),
    "on_policy": ("evaluation", "student.on-policy"),
    "council": ("evaluation", "student.council"),
    "maths": ("evaluation", "student.paid"),
}
"""recipe -> (its evaluation, the system that it is about)"""


def program(name):
    spec = importlib.util.spec_from_file_location(name, RECIPES / "data" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bookings():
    return program("bookings")


def rows(name):
    text = (RECIPES / "data" / f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_letters_are_what_their_program_writes(bookings, monkeypatch):
    written = {}
    monkeypatch.setattr(bookings, "write", written.__setitem__)
    bookings.main()
    assert {name: rows(Path(name).stem) for name in written} == written
    assert set(written) == {"bookings.jsonl", "bookings-heldout.jsonl"}


def test_lists_are_what_their_program_writes_and_each_is_gone_through_rightly(monkeypatch):
    lists = program("lists")
    written = {}
    monkeypatch.setattr(lists, "write", written.__setitem__)
    lists.main()
    assert set(written) == {"lists-sort.jsonl", "lists-fall.jsonl"}
    assert {name: rows(Path(name).stem) for name in written} == written
    right = {"sort": sorted, "fall": lambda items: sorted(items)[::-1]}
    for found in written.values():
        assert len({row["text"] for row in found}) == len(found)
        for row in found:
            skill, items = row["text"].split(": ")
            assert skill == row["skill"]
            assert row["answer"].split() == right[skill](items.split())


def test_letters_that_a_student_is_held_to_share_no_wording_name_or_place(bookings):
    learned, heldout = bookings.LEARNED, bookings.HELD_OUT
    for part in ("bookings", "others", "first", "last", "places"):
        assert not set(getattr(learned, part)) & set(getattr(heldout, part)), part
        assert len(set(getattr(heldout, part))) == len(getattr(heldout, part)), part
    texts = [row["text"] for name in ("bookings", "bookings-heldout") for row in rows(name)]
    assert len(set(texts)) == len(texts)


def test_what_is_right_stands_in_the_letter_and_often_more_of_its_kind(bookings):
    looking = GroundingSpec().load(Path(), Path(), 1)
    for name in ("bookings", "bookings-heldout"):
        found = rows(name)
        cases = [Case(row["fields"], row={"text": row["text"]}) for row in found]
        assert {score.value for score in looking.score(cases)} == {1.0}
        assert [json.dumps(json.loads(row["fields"]), sort_keys=True) for row in found] == [
            row["fields"] for row in found
        ]
        prices = [len(re.findall(r"\d+ euros", row["text"])) for row in found]
        assert sum(count > 1 for count in prices) > len(found) / 8


def test_each_demand_on_a_sentence_is_one_that_rules_tell():
    keeping = InstructionsSpec(demands="demands", given="given").load(Path(), Path(), 1)
    found = rows("demands")
    assert len({row["text"] for row in found}) == len(found) == 96
    assert set(Counter(row["demand"] for row in found).values()) == {24}
    for row in found:
        word = row["text"].rstrip(".").split()[-1]
        kept, broken = {
            "nth_paragraph_first_word": (f"{word} it rained.", "It rained today."),
            "existence": (f"It went on {row['text'].split()[-3]} again.", "Nothing."),
            "forbidden_words": ("It rained.", "It rained and rained."),
            "no_comma": ("It rained.", "It rained, and rained."),
        }[row["demand"]]
        scores = keeping.score([Case(text, None, row) for text in (kept, broken)])
        assert [score.value for score in scores] == [1.0, 0.0], row


def test_no_sentence_that_one_judge_learned_from_is_the_other_s_or_asked_about():
    text = (RECIPES / "prefer.toml").read_text("utf-8")
    names = ("rated-a", "rated-b", "rated-held", "begun", "begun-held")
    ranges = [
        [float(end) for end in re.search(
            rf"\[stages\.{name}\][^\[]*range = \[([\d.]+), ([\d.]+)\]", text
        ).groups()]
        for name in names
    ]  # fmt: skip
    assert all(low < high for low, high in ranges)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(ranges))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        # The refinery's last model read no word of the teacher's: A has nothing against it.
        ("refinery", {"A": ("none", None), "B": ("yes", 2), "C": ("yes", 2)}),
        ("extract", {"A": ("yes", 1), "B": ("yes", 1), "C": ("yes", 1)}),
        # Both sides of a pair are written by the model that the student starts from.
        ("prefer", {"A": ("yes", 1), "B": ("yes", 1), "C": ("yes", 1)}),
    ],
)
def test_the_recipes_are_planned_and_say_what_the_last_model_was_distilled_from(
    name, wanted, tmp_path
):
    plan = mb.open(tmp_path / "store").plan(RECIPES / f"{name}.toml")
    told = {
        verdict["definition"]: (verdict["conclusion"].split()[0], verdict["depth"])
        for verdict in plan.as_json()["verdicts"]["any"]
        if verdict["definition"] in wanted
    }
    assert told == wanted
    if name == "refinery":
        verdicts = plan.as_json()["verdicts"]["any"]
        (path,) = [verdict["path"] for verdict in verdicts if verdict["definition"] == "B"]
        assert {"transform"} == {step["channel"] for step in path}


def smaller(name, folder):
    """Copy the recipes, this one with less of all; return its path."""
    shutil.copytree(RECIPES, folder)
    path = folder / f"{name}.toml"
    text = path.read_text("utf-8")
    # What arms set is made smaller, too.
    arms = {"logit_kd": {"12|120|240": 4}, "on_policy": {"300": 4, "1500": 6}}
    for steps, fewer in arms.get(name, {}).items():
        text = re.sub(rf"(?m)^steps = ({steps})$", f"steps = {fewer}", text)
    if name == "on_policy":  # so little trained, none of it is right: pay what tells attempts apart
        paid = 'by = "right"\nreference = "answer"\nsteps'
        assert text.count(paid) == 1
        text = text.replace(paid, 'by = "letters"\nsteps').replace("[arms]\n", LETTERS, 1)
    for stage, keys in SMALLER[name].items():
        begin = re.search(rf"(?m)^\[stages\.{re.escape(stage)}\]", text).start()
        end = (text + "\n\n").index("\n\n", begin)
        part = text[begin:end]
        for key, value in keys.items():
            part, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", part)
            assert count == 1, (stage, key)
        text = text[:begin] + part + text[end:]
    path.write_text(text, "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.engines
@pytest.mark.parametrize("name", list(RESULTS))
def test_a_little_of_each_recipe_runs_with_the_embedded_teacher(name, tmp_path):
    if name == "maths":
        pytest.importorskip("reasoning_gym")
    ws = mb.open(tmp_path / "store")  # with the user's own cache, where the teacher lies
    ran = ws.run(ws.plan(smaller(name, tmp_path / "r")))
    evaluation, system = RESULTS[name]
    assert ran.evaluations[evaluation].systems[system].value is not None
    assert not ws.audit().findings
    if name == "council":
        _each_answer_is_scored_by_whose_skill_it_is(ws)


def _each_answer_is_scored_by_whose_skill_it_is(ws):
    rollouts = ws["student.s1-rollouts"].to_arrow().select(["prompt", "teacher"]).to_pylist()
    whose = {"fall": "faller", "sort": "sorter"}
    assert {row["teacher"] for row in rollouts} == set(whose.values())
    assert all(row["teacher"] == whose[row["prompt"].split(":")[0]] for row in rollouts)
    learned = {
        line.source.name for line in ws.bill("student.s1").lines if Channel.LOGITS in line.channels
    }
    assert learned == {"letters to be put in falling order", "letters to be put in order"}
