"""What a page shows of a training: curves that any numbers can be drawn of, samples, gains."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill import Channel, StageSpec, Uses
from mashbill.core.curves import Curve
from mashbill.core.samples import LONGEST, MOST, Sample, measured, samples_of
from mashbill.report import write_report
from mashbill.report.curve_drawing import draw_curves, draw_gains, thinned
from mashbill.report.trainings import Panel, panels_of
from mashbill.testing.trial import Trial, tables_of

VALUES = st.lists(st.floats(width=64), min_size=1, max_size=40)


def curve(values, step=1):
    return Curve(np.arange(len(values)) * step, np.array(values, float))


def numbers_in(drawing):
    return [float(n) for n in re.findall(r' (?:x|y|x1|x2|y1|y2|cx|cy)="([^"]*)"', drawing)]


@given(loss=VALUES, held=VALUES)
def test_whatever_was_logged_is_drawn_within_the_picture_or_not_at_all(loss, held):
    drawing = draw_curves(Panel("loss", {"loss": curve(loss), "held_out_loss": curve(held, 3)}))
    assert "nan" not in drawing.replace("no number", "")
    assert "inf" not in drawing
    if np.isfinite(loss).sum() < 2 and np.isfinite(held).sum() < 2:
        assert drawing == ""
    for points in re.findall(r'points="([^"]*)"', drawing):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 61 <= x <= 491, drawing
            assert 15 <= y <= 231, drawing
    assert all(0 <= number <= 640 for number in numbers_in(drawing))


@given(seed=st.integers(0, 99), size=st.integers(300, 700), most=st.integers(2, 250))
def test_a_curve_that_is_thinned_loses_no_spike(seed, size, most):
    values = np.random.default_rng(seed).standard_cauchy(size) * 10.0 ** (seed - 50)
    whole = curve(values)
    points = thinned(whole, most)
    assert len(points) == most
    assert points[:, 2].min() == min(values)
    assert points[:, 3].max() == max(values)
    assert (np.diff(points[:, 0]) > 0).all()
    assert (points[0, 0], points[-1, 0]) == (0, len(values) - 1)
    slack = 1e-9 * np.abs(values).max()
    assert (points[:, 1] >= points[:, 2] - slack).all()
    assert (points[:, 1] <= points[:, 3] + slack).all()


AXES = [
    (np.geomspace(10, 1, 50), True),  # falls far
    (np.linspace(3, 2.5, 50), False),
    (np.concatenate([np.linspace(0.001, 1, 25), np.linspace(1, 0.001, 25)]), False),  # a rate
    (np.linspace(10, 0, 50), False),  # no logarithm of 0
    (np.full(50, 2.0), False),
    (-np.geomspace(10, 1, 50), False),
    (np.geomspace(1e9, 1e-9, 50), True),
]


@table("values, is_log", AXES)
def test_an_axis_is_of_logarithms_where_a_curve_falls_far(values, is_log):
    drawing = draw_curves(Panel("x", {"loss": curve(values)}))
    assert ("axis of logarithms" in drawing) == is_log
    assert 2 <= drawing.count('class="grid"') <= 12


def test_losses_stand_together_and_others_alone():
    two = curve([1.0, 2.0])
    curves = {"a": two, "held_out_loss": two, "loss": two, "rate": two, "tokens": two,
              "once": curve([1.0])}  # fmt: skip
    panels = panels_of(curves)
    assert [(p.title, list(p.curves)) for p in panels] == [
        ("loss, nats a token", ["loss", "held_out_loss"]),
        ("a", ["a"]),
        ("learning rate", ["rate"]),
    ]


@given(
    pairs=st.lists(
        st.fixed_dictionaries(
            {"first": st.text(max_size=60), "second": st.text(max_size=9)},
            optional={
                key: st.none() | st.floats(-1e6, 1e6) | st.just(float("nan")) | st.just("x")
                for key in ("difference", "low", "high")
            },
        ),
        max_size=6,
    )
)
def test_gains_are_drawn_where_they_have_intervals(pairs):
    drawing = draw_gains(pairs, "difference")
    whole = [
        p for p in pairs
        if all(isinstance(p.get(k), float) and p[k] == p[k] for k in ("difference", "low", "high"))
    ]  # fmt: skip
    assert drawing.count("<circle") == len(whole)
    assert ("<svg" in drawing) == bool(whole)


def test_what_is_not_clear_of_nothing_has_another_colour():
    pair = {"first": "<b>", "second": "base", "difference": 0.1}
    assert 'class="open"' in draw_gains([{**pair, "low": -0.1, "high": 0.3}], "x")
    assert 'class="good"' in draw_gains([{**pair, "low": 0.05, "high": 0.3}], "x")
    assert "&lt;b&gt;" in draw_gains([{**pair, "low": 0.05, "high": 0.3}], "x")


@given(texts=st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=12))
def test_samples_are_kept_within_bounds_and_read_back(texts):
    samples = [Sample(*each) for each in texts]
    again = samples_of(json.loads(json.dumps({"samples": measured(samples)})))
    assert again == tuple(samples[:MOST])


def test_long_samples_are_cut_and_what_is_none_is_none():
    (one,) = samples_of({"samples": measured([Sample("p", "a" * 9999, "b")])})
    assert len(one.before) == LONGEST
    for strange in (None, {}, "x", [1, None], [{"prompt": 3}]):
        found = samples_of({"samples": strange})
        assert all(isinstance(each.prompt, str) for each in found)


class Half:
    labels = ("a", "b")

    def probabilities(self, texts):
        return np.tile([0.5, 0.5], (len(texts), 1))


class Shown(StageSpec):
    """Logs a curve, and has two samples."""

    kind: Literal["shown"] = "shown"
    output: ClassVar[Any] = "model"
    input: str = "rows"

    def uses(self):
        return (Uses(self.input, "trained-on", Channel.CONTENT),)

    def train(self, ctx, out: Path):
        for step in range(400):
            ctx.curves.log(step, loss=8.0 / (1 + step), tokens=4)
        ctx.curves.log(399, held_out_loss=1.0)
        ctx.measures["held_out_loss_before"] = 3.5
        ctx.samples += [
            Sample("<i>prompt</i>", "before\u202e", "after", "wanted"),
            Sample("q", "", "x"),
        ]
        ctx.seen[self.input] = np.ones(4, np.int64)
        ctx.trained = Half()
        (out / "m.json").write_text("{}")

    @staticmethod
    def load(folder, threads):
        del folder, threads
        return Half()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    rows = [{"text": f"text {at}", "label": "ab"[at % 2]} for at in range(4)]
    spec = Shown()
    return (*Trial(spec, tables_of(spec, rows)).run(folder), folder)


def test_a_page_has_curves_samples_and_what_was_learned_from(made):
    store, manifest, folder = made
    page = write_report(store, manifest, folder / "page.html").read_text()
    part = page[page.index("<h3>How it was trained") : page.index("<h2>The bill")]
    assert part.count('<svg class="curves"') == 1
    assert "axis of logarithms" in part
    assert "1,600 tokens read" in part
    assert "held-out loss 3.5 before the first step, 1 at the end" in part
    assert "<td>rows@1</td>" in part
    assert "&lt;i&gt;prompt&lt;/i&gt;" in part
    assert "\u202e" not in part  # what turns the order of reading about is written out
    assert "<th>wanted</th>" in part
    assert write_report(store, manifest, folder / "again.html").read_text() == page


def test_samples_of_what_was_redacted_are_not_shown(made, monkeypatch):
    store, manifest, folder = made
    hidden = {str(manifest.ref): "texts behind it were redacted"}
    gathering = importlib.import_module("mashbill.report.gather")
    monkeypatch.setattr(gathering, "withheld", lambda *_: hidden)
    page = write_report(store, manifest, folder / "hidden.html").read_text()
    assert "Its samples are not shown" in page
    assert "&lt;i&gt;prompt" not in page


def test_a_reward_stands_first_beside_the_verifier_that_is_only_watched():
    """And of what never occurred nothing is drawn."""
    steps = np.arange(3)
    flat, rising = Curve(steps, np.zeros(3)), Curve(steps, np.array([0.1, 0.2, 0.4]))
    names = ("clipped", "entropy", "failed", "loss", "reward", "truncated", "watched")
    panels = panels_of({name: flat if name == "failed" else rising for name in names})
    assert [tuple(panel.curves) for panel in panels] == [
        ("reward", "watched"), ("loss",), ("truncated",), ("entropy",), ("clipped",),
    ]  # fmt: skip
    drawn = draw_curves(panels[0])
    assert 'class="own"' in drawn
    assert 'class="held"' in drawn
    assert panels_of({"failed": flat, "undecided": flat}) == []
