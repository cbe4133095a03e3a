"""Curves: a run that was cut anywhere and resumed has the same ones, to the byte."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill import StoreError
from mashbill.core.curves import CURVES, Curve, Curves, is_of_clock, read_curves, summary

NUMBERS = st.dictionaries(
    st.sampled_from(["loss", "held_out_loss", "rate", "tokens", "seconds", "tokens_per_second"]),
    st.floats(width=64) | st.integers(-(2**60), 2**60),
    min_size=1,
    max_size=4,
)
LOGGED = st.lists(st.tuples(st.integers(0, 40), NUMBERS), min_size=1, max_size=30).map(
    lambda lines: sorted(lines, key=lambda line: line[0])
)


def _written(table: pa.Table | None, path: Path) -> bytes | None:
    if table is None:
        return None
    pq.write_table(table, path)
    return path.read_bytes()


@given(lines=LOGGED, data=st.data())
def test_a_run_that_was_cut_at_any_byte_and_resumed_has_the_same_curves(lines, data):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = Curves(folder / "whole.jsonl")
        for step, numbers in lines:
            whole.log(step, **numbers)
        cut = folder / "cut.jsonl"
        killed = Curves(cut)
        for step, numbers in lines[: data.draw(st.integers(0, len(lines)))]:
            killed.log(step, **numbers)
        size = cut.stat().st_size if cut.exists() else 0
        if size:
            with cut.open("r+b") as stream:
                stream.truncate(data.draw(st.integers(0, size)))  # a torn last line, too
        complete = cut.read_bytes().count(b"\n") if cut.exists() else 0
        kept = [step for step, numbers in lines if not all(map(is_of_clock, numbers))][:complete]
        # From a checkpoint: all that lies before it was logged before it.
        first = data.draw(st.integers(0, kept[-1] if kept else 0))
        resumed = Curves(cut)
        resumed.resume(first)
        for step, numbers in lines:
            if step >= first:
                resumed.log(step, **numbers)
        tables = [each.table() for each in (whole, resumed)]
        one, other = (_written(each, folder / "x.parquet") for each in tables)
        assert one == other


@given(lines=LOGGED)
def test_what_was_logged_is_read_back_and_nothing_of_the_clock(lines):
    wanted: dict[str, dict[int, float]] = {}
    curves = Curves()
    for step, numbers in lines:
        curves.log(step, **numbers)
        for key, value in numbers.items():
            if not is_of_clock(key):
                wanted.setdefault(key, {})[step] = float(value)
    with tempfile.TemporaryDirectory() as name:
        found = curves.table()
        if found is None:
            assert wanted == {}
            return
        pq.write_table(found, Path(name) / CURVES)
        read = read_curves(Path(name))
    assert read.keys() == wanted.keys()
    for key, points in wanted.items():
        assert read[key].steps.tolist() == list(points)
        np.testing.assert_array_equal(read[key].values, list(points.values()))


def test_a_trainer_that_begins_again_without_a_word_begins_its_curves_again(tmp_path):
    for upto in (7, 3):
        curves = Curves(tmp_path / "c.jsonl")
        for step in range(upto):
            curves.log(step, loss=float(step))
    assert curves.table().column("step").to_pylist() == [0, 1, 2]


def test_nan_is_a_value_and_no_value_is_none():
    curves = Curves()
    curves.log(0, loss=math.nan)
    curves.log(1, loss=math.inf, held_out_loss=1.0)
    assert str(curves.table().column("loss").to_pylist()) == "[nan, inf]"
    assert curves.table().column("held_out_loss").to_pylist() == [None, 1.0]


class Watching:
    def __init__(self):
        self.told = []

    def measured(self, step, numbers):
        self.told.append((step, dict(numbers)))

    def resumed(self, step):
        self.told.append(step)

    def ended(self):
        self.told.append("ended")


def test_who_watches_is_told_each_line_of_the_clock_too():
    watch = Watching()
    curves = Curves(watch=watch)
    curves.log(3, loss=1, tokens_per_second=9.0)
    curves.end()
    assert watch.told == [3, (3, {"loss": 1.0, "tokens_per_second": 9.0}), "ended"]
    assert curves.table().column_names == ["step", "loss"]


def test_a_summary_ends_with_the_mean_of_some_steps_and_holds_no_nan():
    curves = {
        "loss": Curve(np.arange(200), np.concatenate([np.full(150, 9.0), np.arange(50.0)])),
        "held_out_loss": Curve(np.array([0, 9]), np.array([np.nan, 2.0])),
        "none": Curve(np.array([], int), np.array([])),
    }
    told = summary(curves)
    assert told["loss"] == {"points": 200, "last_step": 199, "first": 9.0, "last": 24.5, "least": 0}
    assert told["held_out_loss"]["first"] is None
    assert told["held_out_loss"]["last"] == 2.0
    assert "none" not in told


WRONG = [
    (-1, {"loss": 1.0}, "whole number from 0"),
    (True, {"loss": 1.0}, "whole number from 0"),
    (0.5, {"loss": 1.0}, "whole number from 0"),
    (0, {"Loss": 1.0}, "no name of a curve"),
    (0, {"a b": 1.0}, "no name of a curve"),
    (0, {"": 1.0}, "no name of a curve"),
    (0, {"loss": "1.0"}, "no number"),
    (0, {"loss": None}, "no number"),
    (0, {"loss": [1, 2]}, "no number"),
    (0, {"loss": 10**400}, "no number"),
    (0, {f"n{at}": 1.0 for at in range(65)}, "more than 64 names"),
]


@table("case", WRONG)
def test_what_cannot_be_logged_is_told(case):
    step, numbers, said = case
    with pytest.raises(ValueError, match=said):
        Curves().log(step, **numbers)


def test_a_step_that_goes_back_is_told():
    curves = Curves()
    curves.log(5, loss=1.0)
    with pytest.raises(ValueError, match=r"step 4 is logged behind step 5; call resume\(4\)"):
        curves.log(4, loss=1.0)


NO_CURVES = [
    pa.table({"loss": [1.0]}),
    pa.table({"step": [1.0], "loss": [1.0]}),
    pa.table({"step": [0], "loss": ["a"]}),
    pa.table({"step": [1, 0], "loss": [1.0, 2.0]}),
    pa.table({"step": [1, 1], "loss": [1.0, 2.0]}),
    pa.table({"step": pa.array([1, None]), "loss": [1.0, 2.0]}),
]


@table("rows", NO_CURVES)
def test_a_file_that_is_none_is_told(rows):
    with tempfile.TemporaryDirectory() as name:
        pq.write_table(rows, Path(name) / CURVES)
        with pytest.raises(StoreError, match="curves"):
            read_curves(Path(name))
