"""Trackers by their own libraries: what is logged is read back, and no failure harms a training."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time

import pytest

from mashbill import InputError
from mashbill.core.curves import Curves
from mashbill.core.errors import MissingExtraError
from mashbill.core.installed import is_installed
from mashbill.run import tracking
from mashbill.run.display import Quiet
from mashbill.run.tracker import SINKS, serve
from mashbill.run.tracking import KINDS, Target, Tracking, Watching

ABOUT = {"run": "student@1-0123456789ab", "recipe": "own recipe: é", "artifact": "student@1",
         "literals": {"kind": "sft", "steps": 3}}  # fmt: skip


class Heard(Quiet):
    def __init__(self):
        super().__init__()
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


def watching(*targets, about=ABOUT):
    display = Heard()
    of_run = Tracking(targets, display.tell)
    return Watching("student", display, of_run, about), display, of_run


def test_a_line_of_the_command_names_kind_and_place():
    with pytest.raises(InputError, match="write tensorboard:FOLDER"):
        Target.parse("nothing")
    for text in ("tensorboard", "tensorboard:", "wandb", "x:y", ":x", ""):
        with pytest.raises(InputError, match="--track"):
            Target.parse(text)


def test_what_is_not_installed_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr(tracking, "is_installed", lambda _name: False)
    for kind in KINDS:
        with pytest.raises(MissingExtraError, match=f"extra '{kind}'"):
            Target.parse(f"{kind}:x")


class Kept:
    """A library that keeps what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, about):
        self.told.append(("begin", about["run"]))

    def resume(self, step):
        self.told.append(("resume", step))

    def log(self, step, numbers, when):
        assert when > 0
        self.told.append((step, dict(numbers)))

    def end(self):
        self.told.append("end")


def test_the_process_tells_its_library_all_of_it_in_order():
    kept = Kept()
    lines = [{"begin": {"run": "a"}}, {"resume": 0}, {"step": 0, "numbers": {"loss": 1.0}},
             {"step": 1, "numbers": {"loss": math.nan, "rate": 2.0}}, {"end": True},
             {"begin": {"run": "b"}}, {"begin": {"run": "c"}}]  # fmt: skip
    serve(kept, [json.dumps(line).encode() for line in lines])
    assert kept.told == [
        ("begin", "a"), ("resume", 0), (0, {"loss": 1.0}), (1, {"rate": 2.0}), "end",
        ("begin", "b"), "end", ("begin", "c"), "end",
    ]  # fmt: skip


FAILING = {
    "raises as it is begun": "class S:\n    def begin(self, about): raise OSError('no server')\n",
    "raises at a step": "class S:\n    def begin(self, about): pass\n"
    "    def resume(self, step): pass\n    def log(self, step, numbers, when): 1 / 0\n",
    "is killed": "import os, signal\nclass S:\n"
    "    def begin(self, about): os.kill(os.getpid(), signal.SIGKILL)\n",
    "hangs": "import time\nclass S:\n    def begin(self, about): time.sleep(600)\n",
    "hangs as it ends": "import time\nclass S:\n    def begin(self, about): pass\n"
    "    def resume(self, step): pass\n    def log(self, step, numbers, when): pass\n"
    "    def end(self): time.sleep(600)\n",
}


@pytest.mark.parametrize("how", FAILING)
def test_a_tracker_that_fails_or_hangs_is_told_once_and_training_goes_on(
    how, tmp_path, monkeypatch
):
    program = tmp_path / "broken.py"
    program.write_text(
        f"{FAILING[how]}\nimport sys\nfrom mashbill.run import tracker\n"
        "tracker.SINKS['tensorboard'] = lambda where: S()\n"
        "sys.exit(tracker.main(sys.argv[1:]))\n"
    )
    real = subprocess.Popen

    def started(command, **keys):
        return real([sys.executable, str(program), *command[3:]], **keys)

    monkeypatch.setattr(tracking.subprocess, "Popen", started)
    monkeypatch.setattr(tracking, "_END", 2.0)
    watch, display, of_run = watching(Target("tensorboard", str(tmp_path)))
    curves = Curves(tmp_path / "c.jsonl", watch)
    began, slowest = time.monotonic(), 0.0
    for step in range(3000):
        before = time.monotonic()
        curves.log(step, loss=1.0 / (step + 1), tokens=5)
        slowest = max(slowest, time.monotonic() - before)
    took = time.monotonic() - began
    curves.end()
    of_run.close()
    assert curves.table().num_rows == 3000
    assert took < 20
    (told,) = display.lines
    assert told.startswith(f"tensorboard:{tmp_path} is given up, and training goes on: ")


def test_what_a_tracker_does_not_take_is_left_out_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_WAITING", 10)
    monkeypatch.setattr(tracking.os, "write", lambda *_: (_ for _ in ()).throw(BlockingIOError()))
    lines = []
    tracker = tracking.Tracker(Target("tensorboard", str(tmp_path)), lines.append)
    for step in range(25):
        tracker.take(step=step, numbers={})
    monkeypatch.undo()
    tracker.finish()
    assert lines
    assert ("did not keep up: 15 lines" in lines[0]) or ("given up" in lines[0])


needs_library = {
    kind: pytest.mark.skipif(
        not is_installed(name), reason=f"{name} is not installed, which mashbill's {kind} brings"
    )
    for kind, name in KINDS.items()
}


def _train(target, first=0, last=30):
    """Log a training, or its end once it was cut off; return what the display was told."""
    watch, display, of_run = watching(target)
    curves = Curves(watch=watch)
    curves.resume(first)
    for step in range(first, last):
        curves.log(step, loss=10.0 / (step + 1), tokens=7, tokens_per_second=100.0 + step)
        if step % 10 == 9:
            curves.log(step, held_out_loss=float(step))
    if last == 30:
        curves.end()
    of_run.close()
    return display.lines


@pytest.mark.slow
@needs_library["tensorboard"]
def test_tensorboard_reads_what_was_logged_and_drops_what_was_done_again(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    target = Target.parse(f"tensorboard:{tmp_path}")
    assert _train(target, last=20) == []
    time.sleep(1.1)  # readers go by the second in a file's name
    assert _train(target, first=15) == []
    (folder,) = tmp_path.iterdir()
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    assert set(read.Tags()["scalars"]) == {"loss", "held_out_loss", "tokens", "tokens_per_second"}
    losses = read.Scalars("loss")
    assert [one.step for one in losses] == list(range(30))
    assert losses[29].value == pytest.approx(10 / 30)
    assert [(one.step, one.value) for one in read.Scalars("held_out_loss")] == [
        (9, 9.0), (19, 19.0), (29, 29.0)
    ]  # fmt: skip


def _records(data):
    """Yield the records of a file of W&B: LevelDB's log in blocks of 32 KiB, behind seven bytes."""
    assert data[:4] == b":W&B"
    at, parts = 7, []
    while at + 7 <= len(data):
        if (1 << 15) - at % (1 << 15) < 7:  # what is too short for a header is filled up
            at += (1 << 15) - at % (1 << 15)
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        if kind == 0:
            return
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in {1, 4}:
            yield b"".join(parts)
            parts = []


@pytest.mark.slow
@needs_library["wandb"]
def test_wandb_keeps_a_run_on_disk_where_it_is_offline(tmp_path, monkeypatch):
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    assert _train(Target.parse("wandb:own-project")) == []
    (file,) = tmp_path.rglob("*.wandb")
    losses, project = {}, set()
    for data in _records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            project.add((record.run.project, record.run.display_name))
        if record.HasField("history"):
            items = {i.key or "/".join(i.nested_key): json.loads(i.value_json)
                     for i in record.history.item}  # fmt: skip
            losses[items["_step"]] = items.get("loss")
    assert ("own-project", "student@1") in project
    assert sorted(losses) == list(range(30))
    assert losses[29] == pytest.approx(10 / 30)


@pytest.mark.slow
@needs_library["mlflow"]
def test_mlflow_reads_what_was_logged_in_one_run(tmp_path, monkeypatch):
    # A database needs the whole of MLflow; a folder, that it is asked to allow one.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    where = f"file://{tmp_path}/mlruns"
    target = Target.parse(f"mlflow:{where}")
    assert _train(target, last=20) == []
    assert _train(target, first=15) == []
    client = MlflowClient(tracking_uri=where)
    experiment = client.get_experiment_by_name(ABOUT["recipe"])
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "student@1"
    assert run.data.params == {"kind": "sft", "steps": "3"}
    history = client.get_metric_history(run.info.run_id, "loss")
    assert {one.step: one.value for one in history} == pytest.approx(
        {step: 10 / (step + 1) for step in range(30)}
    )


@pytest.mark.slow
@needs_library["mlflow"]
def test_a_server_that_is_not_there_is_told_and_nothing_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_END", 5.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (told,) = _train(Target("mlflow", "http://127.0.0.1:9"))
    assert "given up" in told


def test_each_kind_has_a_library_and_a_sink():
    assert KINDS.keys() == SINKS.keys()
