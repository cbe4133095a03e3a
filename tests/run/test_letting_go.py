"""A run keeps what later stages ask, and nothing else: arms have a student each."""

from __future__ import annotations

import gc
import weakref

import pytest
from tests_support import run_stages

from mashbill.teachers.fake import FakeTeacherSpec

TEXTS = [{"text": f"a lovely day, number {n}"} for n in range(6)]
NAMES = [f"t{n}" for n in range(5)]
TEACHERS = "".join(
    f'[teachers.{name}]\nkind = "fake"\nname = "{name}"\n'
    'words.good = ["lovely"]\nwords.bad = ["awful"]\n'
    for name in NAMES
)
TEXT = """
[stages.texts]
kind = "corpus"
title = "texts"
origin = "own-dataset"
source = "t.jsonl"
"""


def asking(*teachers):
    """Stages that each ask one teacher, in order."""
    return TEXT + "".join(
        f'[stages.s{n}]\nkind = "generate"\ninput = "texts"\nteacher = "{name}"\nprompt = "p.txt"\n'
        for n, name in enumerate(teachers)
    )


@pytest.fixture
def loads(monkeypatch):
    """(teacher, who was alive then) of each load, in order."""
    told, alive = [], {}
    load = FakeTeacherSpec.load

    def watched(self, *args):
        gc.collect()
        told.append((self.name, sorted(name for name, one in alive.items() if one() is not None)))
        made = load(self, *args)
        alive[self.name] = weakref.ref(made)
        return made

    monkeypatch.setattr(FakeTeacherSpec, "load", watched)
    return told


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        (NAMES, [[], [], [], [], []]),
        (["t0", "t1", "t2", "t0"], [[], ["t0"], ["t0"]]),
        (["t0", "t1", "t1", "t0", "t2", "t3"], [[], ["t0"], [], []]),
    ],
)
def test_a_teacher_is_let_go_of_behind_the_last_stage_that_asks_it(tmp_path, loads, asked, held):
    files = {"t.jsonl": TEXTS, "p.txt": "Go on: {{ text }}"}
    run_stages(tmp_path, asking(*asked), files, TEACHERS)
    assert [name for name, _ in loads] == list(dict.fromkeys(asked))
    assert [there for _, there in loads] == held
