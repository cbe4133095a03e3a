"""What a run tells of a training: loss, held-out loss, tokens a second, what is left, the end."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from mashbill import Store
from mashbill.cli import app
from mashbill.cli.show_training import print_training
from mashbill.run import training_line
from mashbill.run.display import Bars, Lines
from mashbill.run.training_line import TrainingLine
from mashbill.workspace.planned import Ran


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [100.0]
    monkeypatch.setattr(training_line.time, "monotonic", lambda: now[0])
    return now


def test_a_line_tells_loss_held_out_loss_and_tokens_a_second(clock):
    line = TrainingLine()
    assert (line.told(), line.left(1, 9), line.is_there) == ("", None, False)
    for step in range(100):
        line.see(step, {"loss": 100.0 if step < 50 else 2.5, "tokens": 64.0})
        clock[0] += 0.1
    line.see(99, {"held_out_loss": 2.75})
    assert line.told() == "loss 2.5, held-out loss 2.75, 634 tokens/s"
    assert line.left(100, 199) == pytest.approx(99 / 9.9, rel=0.02)


def test_the_pace_is_that_of_the_last_half_minute_and_of_this_run_alone(clock):
    line = TrainingLine()
    for step in range(900, 1000):  # resumed at 900, slowly at first
        line.see(step, {"loss": 1.0, "tokens": 10.0})
        clock[0] += 10.0 if step < 905 else 1.0
    assert line.steps_a_second == pytest.approx(1.0, rel=0.05)
    assert line.left(1000, 1060) == pytest.approx(60, rel=0.05)


def test_other_numbers_and_what_is_none_are_told_too():
    line = TrainingLine()
    line.see(0, {"agreement": 0.5})
    assert line.told() == "agreement 0.5"
    line.see(1, {"loss": float("nan"), "tokens": float("nan")})
    assert line.told() == "loss nan"


def _run(display, name="student"):
    display.start(name, None)
    for step in range(20):
        display.measured(name, step, {"loss": 2.0, "tokens": 8.0})
        display.advance(name, step + 1, 20, "")
    display.measured(name, 19, {"held_out_loss": 3.0})
    display.finish(name, 0)


def test_without_a_terminal_there_is_one_line_at_the_end():
    stream = io.StringIO()
    _run(Lines(Console(file=stream, width=200)))
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(r"student: loss 2, held-out loss 3, [\d,]+ tokens/s, \d+\.\d s", line), line


def test_a_terminal_has_a_bar():
    stream = io.StringIO()
    display = Bars(Console(file=stream, width=200, force_terminal=True))
    with display:
        _run(display)
    assert "loss 2, held-out loss 3" in stream.getvalue()


def test_what_was_trained_is_told_by_the_clock_and_not(finished):
    root, _, done = finished
    (scratch,) = (item for item in done if item.name == "scratch")
    assert scratch.training["steps"] == 11  # the first one begins the clock
    assert scratch.training["tokens_per_second"] > 0
    assert not next(item for item in done if item.name == "classifier").training
    (entry,) = (
        entry.predicate
        for entry in Store(root).ledger.entries
        if entry.event == "commit" and entry.predicate["artifact"] == "scratch@1"
    )
    assert entry["training"] == scratch.training
    assert "seconds" not in json.dumps(scratch.manifest.model_dump(mode="json")["files"])


def test_a_program_is_told_how_curves_began_and_ended(finished, tmp_path):
    root, recipe, _ = finished
    ran = CliRunner().invoke(app, ["run", str(recipe), "--store", str(root), "--json"])
    assert ran.exit_code == 0, ran.output
    stages = {stage["name"]: stage for stage in json.loads(ran.output)["stages"]}
    loss = stages["scratch"]["curves"]["loss"]
    assert (loss["points"], loss["last_step"]) == (12, 11)
    assert loss["last"] < loss["first"]
    assert stages["scratch"]["training"] == {}  # it was trained before
    assert stages["corpus"]["curves"] == {}


def test_a_person_is_told_at_the_end(finished, capsys):
    root, _, done = finished
    store = Store(root)
    item = next(item for item in done if item.name == "scratch")
    print_training(Ran((item,), item.manifest, (), Path("x"), (), store))
    told = capsys.readouterr().out
    assert "scratch@1" in told
    assert "loss" in told
