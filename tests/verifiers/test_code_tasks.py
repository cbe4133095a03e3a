"""The tasks of ``recipes/code.toml``: their tests tell the solution from what is wrong."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "recipes" / "data" / "code-tasks.jsonl"
TASKS = [json.loads(line) for line in DATA.read_text().splitlines()]


def passes(program, tests):
    """Return whether a program of ours gives what its tests expect, type for type."""
    names = {}
    exec(program, names)  # noqa: S102 - it stands in the repository
    for call in tests["calls"]:
        given = json.loads(json.dumps(call))  # a program may change what it is given
        try:
            said = names[tests["function"]](*given["args"], **given.get("kwargs", {}))
        except Exception:  # noqa: BLE001 - a wrong program
            return False
        if json.dumps(said, sort_keys=True) != json.dumps(call["expected"], sort_keys=True):
            return False
    return True


def test_there_are_as_many_of_each_difficulty():
    assert Counter(task["difficulty"] for task in TASKS) == {1: 16, 2: 16, 3: 16, 4: 16}
    assert len({task["id"] for task in TASKS}) == len({task["text"] for task in TASKS}) == 64
    assert all(len(task["tests"]["calls"]) >= 4 and task["wrong"] for task in TASKS)
    assert any("kwargs" in call for task in TASKS for call in task["tests"]["calls"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["id"])
def test_tests_tell_the_solution_from_what_is_wrong(task):
    assert task["tests"]["function"] == task["function"]
    assert passes(task["solution"], task["tests"])
    assert [program for program in task["wrong"] if passes(program, task["tests"])] == []
    assert not passes(f"def {task['function']}(*a, **k):\n    return None\n", task["tests"])
    first = task["tests"]["calls"][0]["expected"]
    assert not passes(f"def {task['function']}(*a, **k):\n    return {first!r}\n", task["tests"])


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["id"])
def test_what_the_prompt_shows_is_so(task):
    name, text = task["function"], task["text"]
    assert text.startswith(f"Write a Python function {name}(")
    shown = re.findall(
        rf"(?:^|and |, )({name}\(.*?\)) is (.+?)(?=\.$|, and |\.\s*$)", text, re.MULTILINE
    )
    assert shown
    names = {}
    exec(task["solution"], names)  # noqa: S102 - the same
    for call, value in shown:
        assert eval(call, dict(names)) == ast.literal_eval(value)  # noqa: S307 - the same
    assert task["solution"] not in text
