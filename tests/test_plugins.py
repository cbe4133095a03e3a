"""A plugin that fails, in each way that one can: told as its own, and never by a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from tests_environments import make_environment, run_all

MODULE = """
import sys
from typing import Any, ClassVar, Literal
import pyarrow as pa
from pydantic import model_validator
from mashbill import Answer, Channel, InputError, Source, StageSpec, TeacherSpec, Uses
from mashbill.core.record import FROM

class Stage(StageSpec):
    kind: str = "x"
    input: str = "texts"
    def uses(self):
        return (Uses(self.input, "rows", Channel.CONTENT),)
    def run(self, records, ctx):
        start = 0
        for batch in records:
            place = pa.array(range(start, start + batch.num_rows), pa.int64())
            yield pa.RecordBatch.from_arrays([batch.column("text"), place], ["text", FROM])
            start += batch.num_rows

class Validating(Stage):
    @model_validator(mode="after")
    def _wrong(self):
        raise TypeError("boom in validation")

class Using(Stage):
    def uses(self):
        raise KeyError("boom in uses")

class UsingNothing(Stage):
    def uses(self):
        return None

class Running(Stage):
    shard_rows: int = 10
    def run(self, records, ctx):
        for batch in super().run(records, ctx):
            if "number 25" in batch.column("text").to_pylist()[5]:
                raise ZeroDivisionError("boom in run \\x1b[31m[/foo]")
            yield batch

class Leaving(Stage):
    def run(self, records, ctx):
        sys.exit(7)

class Rubbish(Stage):
    def run(self, records, ctx):
        yield {"text": "no batch"}

class Deliberate(Stage):
    def run(self, records, ctx):
        raise InputError("said on purpose")

class Training(Stage):
    output: ClassVar[Any] = "model"
    def uses(self):
        return (Uses(self.input, "trained-on", Channel.CONTENT),)
    def train(self, ctx, out):
        raise RuntimeError("boom in training")

class Teacher(TeacherSpec):
    kind: str = "x"
    price: ClassVar[float | None] = 0.0
    @property
    def source(self):
        return Source(name="echo", what="model", kind="test-double", route="in-process")
    @property
    def identity(self):
        return {"kind": self.kind}
    def load(self, folder, cache, threads):
        return Echo()

class Echo:
    identity, batch = {}, 16
    def sizes(self, questions):
        return [1] * len(questions)
    def answer(self, questions):
        return [Answer((-0.7,) * len(q.choices), 1) for q in questions]

class Sourceless(Teacher):
    @property
    def source(self):
        return None

class Loading(Teacher):
    def load(self, folder, cache, threads):
        raise OSError("boom in load")

class Answering(Teacher):
    def load(self, folder, cache, threads):
        echo = Echo()
        echo.answer = lambda questions: [][1]
        return echo

class Silent(Teacher):
    def load(self, folder, cache, threads):
        echo = Echo()
        echo.answer = lambda questions: [None for _ in questions]
        return echo
"""
POINTS = {
    "stages": {
        "good": "shouter:Stage", "absent": "shouter.absent:Stage", "unmade": "shouter:Nothing",
        "importing": "shouter.importing:Stage", "exiting": "shouter.exiting:Stage",
        "another": "shouter:Echo", "value": "shouter:FROM", "validating": "shouter:Validating",
        "using": "shouter:Using", "using-nothing": "shouter:UsingNothing",
        "running": "shouter:Running", "leaving": "shouter:Leaving", "rubbish": "shouter:Rubbish",
        "deliberate": "shouter:Deliberate", "dedup": "shouter:Stage",
    },
    "trainers": {"training": "shouter:Training"},
    "teachers": {
        "echo": "shouter:Teacher", "sourceless": "shouter:Sourceless", "loading": "shouter:Loading",
        "answering": "shouter:Answering", "silent": "shouter:Silent",
    },
}  # fmt: skip
CAUSES = {  # kind -> what of its cause is said
    "absent": "No module named 'shouter.absent'", "unmade": "'Nothing'",
    "importing": "No module named 'left_pad'", "exiting": "SystemExit: 3",
    "another": "no StageSpec", "value": "issubclass", "validating": "TypeError: boom in validation",
    "using": "KeyError: 'boom in uses'", "using-nothing": "not iterable",
    "running": "ZeroDivisionError: boom in run", "leaving": "SystemExit: 7",
    "training": "RuntimeError: boom in training",
    "sourceless": "no Source", "loading": "OSError: boom in load", "answering": "IndexError",
}  # fmt: skip
TEXTS = """
[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"
"""
LABEL = """
[teachers.t]
kind = "{kind}"

[stages.out]
kind = "label"
input = "texts"
teacher = "t"
prompt = "ask.txt"
labels = {{ good = " good", bad = " bad" }}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return what a run of each kind said: name -> (exit code, text), and the folder of stores."""
    folder = tmp_path_factory.mktemp("plugins")
    site = make_environment(folder / "site", "")
    (site / "shouter").mkdir()
    (site / "shouter" / "__init__.py").write_text(MODULE)
    (site / "shouter" / "importing.py").write_text("import left_pad\n")
    (site / "shouter" / "exiting.py").write_text("import sys\nsys.exit(3)\n")
    info = site / "shouter-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouter\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(
        "".join(
            f"[mashbill.{group}]\n"
            + "".join(f"{name} = {value}\n" for name, value in kinds.items())
            for group, kinds in POINTS.items()
        )
    )
    rows = (json.dumps({"text": f"a text of number {i}"}) for i in range(40))
    (folder / "texts.jsonl").write_text("\n".join(rows))
    (folder / "ask.txt").write_text("Text: {{ text }} ->")
    calls = {}
    for kind in [kind for kinds in POINTS.values() for kind in kinds]:
        stage = f'[stages.out]\nkind = "{kind}"\ninput = "texts"\n'
        if kind in POINTS["teachers"]:
            stage = LABEL.format(kind=kind)
        path = folder / f"{kind}.toml"
        path.write_text(f'[recipe]\nname = "r"\nversion = "1"\n{TEXTS}{stage}')
        calls[kind] = ["run", str(path), "--store", str(folder / "stores" / kind)]
    calls["plan"] = ["plan", str(folder / "using.toml"), "--store", str(folder / "stores" / "p")]
    calls["again"] = ["--debug", *calls["running"]]
    environ = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1",
               "MASHBILL_KEY_FILE": str(folder / "key.pem"),
               "MASHBILL_CHECKPOINTS": str(folder / "checkpoints")}  # fmt: skip
    return run_all(site, calls, folder / "logs", environ), folder / "stores"


@pytest.mark.parametrize("kind", CAUSES)
def test_what_goes_wrong_in_a_plugin_is_told_as_its_own(ran, kind):
    code, said = ran[0][kind]
    assert code == 1, said
    assert "Traceback" not in said
    assert f"the plugin shouter 0.3 (entry point {kind} = shouter" in said
    assert CAUSES[kind] in said
    assert "stages.out" in said or "teachers.t" in said
    assert "MASHBILL_DEBUG=1 shows the traceback" in said
    assert "\x1b" not in said


def test_a_promise_that_a_plugin_breaks_is_told_as_its_own(ran):
    code, said = ran[0]["rubbish"]
    assert code == 1
    assert "stages.out: kind 'rubbish' of shouter 0.3 broke what a stage promises" in said
    assert "it yielded 'dict' and not a pyarrow.RecordBatch" in said


def test_a_plugin_that_works_works(ran):
    assert ran[0]["good"][0] == 0, ran[0]["good"]
    assert ran[0]["echo"][0] == 0, ran[0]["echo"]


def test_what_a_plugin_says_on_purpose_is_said(ran):
    assert ran[0]["deliberate"] == (2, "error: stages.out: said on purpose") or (
        ran[0]["deliberate"][0] == 2
        and "error: stages.out: said on purpose" in ran[0]["deliberate"][1]
    )


def test_answers_that_are_none_are_told_of_the_teacher(ran):
    code, said = ran[0]["silent"]
    assert code == 2
    assert "asked 16 questions at once and gave None, which is no Answer" in said


def test_a_kind_that_two_distributions_register_is_refused(ran):
    code, said = ran[0]["dedup"]
    assert code == 1
    assert "kind 'dedup' is registered by mashbill" in said
    assert "shouter 0.3 (shouter:Stage)" in said


def test_a_plan_tells_it_too(ran):
    code, said = ran[0]["plan"]
    assert (code, "Traceback" in said) == (1, False)
    assert "stages.out: the plugin shouter 0.3" in said


def test_what_was_committed_is_kept_and_debugging_shows_the_traceback(ran):
    results, stores = ran
    folder = next((stores / "running" / "datasets").glob("out@*"))
    parts = sorted(folder.glob("part-*.parquet"))
    assert sum(pq.read_metadata(part).num_rows for part in parts) == 20
    code, said = results["again"]
    assert code == 1
    assert "Traceback (most recent call last)" in said
    assert "boom in run \\x1b[31m" in said


@pytest.mark.slow
def test_a_fault_of_our_own_is_told_in_a_line(tmp_path):
    ours = (
        "import sys, mashbill.plan as p\n"
        "def build(*a, **k): raise KeyError('boom \\x1b[31m')\n"
        "p.build = build\n"
        "from mashbill.cli import main\n"
        "sys.argv = ['mashbill', 'plan', 'channels', '--store', sys.argv[1]]\nmain()\n"
    )
    for debug, lines in (("", 2), ("0", 2), ("1", 99)):
        done = subprocess.run(
            [sys.executable, "-c", ours, str(tmp_path)],
            capture_output=True,
            text=True,
            env={**os.environ, "MASHBILL_DEBUG": debug},
        )
        assert done.returncode == 2
        assert "a fault of mashbill itself (in " in done.stderr
        assert "MASHBILL_DEBUG=1" in done.stderr
        assert ("Traceback" in done.stderr) == (debug == "1")
        assert "\x1b" not in done.stderr
        assert len(done.stderr.splitlines()) < lines
