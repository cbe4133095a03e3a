"""No system is told to be better, above chance or part of a teacher without an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill.core.evaluation import Result, evaluation_of
from mashbill.core.paired import beyond_chance
from mashbill.core.proportions import Z, wilson
from mashbill.evals.comparing import retained
from mashbill.evals.harness import _over_seeds
from mashbill.evals.likelihood import _sums
from mashbill.evals.measured import Measured, mean_of
from mashbill.evals.remarks import against_majority, remarks
from mashbill.evals.suites.results import Figure

NAN = float("nan")


@st.composite
def measured(draw):
    """Return scores of a few rows under a few seeds, often all alike, and units."""
    rows, seeds = draw(st.integers(1, 10)), draw(st.integers(1, 3))
    score = st.sampled_from([0.0, 1.0, 0.3, NAN]) | st.floats(0, 1)
    all_ = [draw(score)] * rows if draw(st.booleans()) else [draw(score) for _ in range(rows)]
    values = np.array([all_] * seeds)
    if draw(st.booleans()):
        values = np.array([[draw(score) for _ in range(rows)] for _ in range(seeds)])
    units = draw(st.none() | st.lists(st.integers(0, 2), min_size=rows, max_size=rows))
    return values, None if units is None else np.array(units)


@law(150)
@given(measured(), st.booleans(), st.floats(0, 0.99))
def test_an_interval_has_a_width_or_is_none(made, is_share, chance):
    values, units = made
    mean = mean_of(Measured(values, is_share=is_share), 0, units)
    if not math.isnan(mean.low):
        assert mean.low < mean.high
        assert mean.low - 1e-9 <= mean.value <= mean.high + 1e-9
    result = Result(
        mean.value, *(None if math.isnan(end) else end for end in (mean.low, mean.high))
    )
    if against_majority(result, chance) in ("below", "better"):
        assert mean.low < mean.high
        assert not mean.low <= chance <= mean.high
    both = {"student": Measured(values), "teacher": Measured(values)}
    (told,) = retained(both, [("student", "teacher")], chance, 0, units)
    of_teacher = mean_of(both["teacher"], 0, units)
    if told["ratio"] is not None:
        assert chance < of_teacher.low < of_teacher.high
    assert "nan" not in told["why"]
    assert told["low"] is None or told["low"] < told["high"]


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("rows", [2, 3, 20])
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_rows_that_are_all_right_have_wilsons_interval_under_any_number_of_seeds(
    seeds, rows, score
):
    mean = mean_of(Measured(np.full((seeds, rows), score)), 0)
    assert (mean.low, mean.high) == pytest.approx(wilson(score, rows))


def test_several_seeds_of_many_rows_have_the_interval_of_both_drawn_again():
    random = np.random.default_rng(0)
    values = random.integers(0, 2, (5, 400)).astype(float)
    assert mean_of(Measured(values), 0) == mean_of(Measured(values, is_share=False), 0)


@table(
    ("low", "high", "value", "standing"),
    [
        (None, None, 0.9, "not clearly better"),
        (NAN, NAN, 0.9, "not clearly better"),
        (0.9, 0.9, 0.9, "not clearly better"),
        (None, None, 0.4, "not better"),
        (NAN, NAN, 0.4, "not better"),
        (0.4, 0.4, 0.4, "not better"),
        (None, None, NAN, "not clearly better"),
        (0.8, None, 0.9, "not clearly better"),
        (0.8, 0.95, 0.9, "better"),
        (0.1, 0.45, 0.4, "below"),
    ],
)
def test_no_interval_is_neither_better_nor_below(low, high, value, standing):
    assert against_majority(Result(value, low, high), 0.5) == standing


@pytest.mark.parametrize("accuracy", [0.4, 0.9])
def test_it_is_said_that_there_is_no_interval(accuracy):
    measures = {"systems": {"a": {"accuracy": accuracy}}, "majority": 0.5, "rows": 1}
    (said,) = remarks(evaluation_of(measures))
    assert said.text.endswith("the majority label (0.500): no interval can be told")
    measures = {"systems": {"a": {"score": 0.9, "came": {}}}, "metric": "score", "chance": 0.25}
    (said,) = remarks(evaluation_of(measures))
    assert said.text == "not above chance (0.250): no interval can be told"


def test_units_that_are_all_alike_have_the_same_interval_whatever_rounding_leaves():
    units = np.repeat(np.arange(20), 3)
    exact = np.tile([0.0, 0.5, 1.0], 20)
    rounded = np.tile([0.1, 0.2, 0.3], 20) + np.resize([0, 1e-17, 2e-17], 60)
    widths = [
        mean_of(Measured(own[None]), 0, units).high - own.mean() for own in (exact, rounded)
    ]  # fmt: skip
    expected = [wilson(own.mean(), 20)[1] - own.mean() for own in (exact, rounded)]
    assert widths == pytest.approx(expected)


def test_texts_that_belong_together_widen_the_interval_of_a_perplexity():
    random = np.random.default_rng(0)
    units = np.repeat(np.arange(10), 20)
    nats = np.repeat(random.random(10) * 100, 20)[None]
    sizes = np.full(200, 50.0)
    alone, together, one = (
        _sums(nats, np.full((1, 200), 10.0), sizes, 0, own)
        for own in (None, units, np.zeros(200, int))
    )
    widths = [math.log(own["perplexity_high"] / own["perplexity_low"]) for own in (alone, together)]
    assert widths[1] > 3 * widths[0]
    assert "perplexity_low" not in one


NUMBERS = st.sampled_from([None, NAN, 0.0, 0.2, -0.2, 1.0, "x", True, math.inf]) | st.floats(-1, 1)
PAIR = st.fixed_dictionaries(
    {"first": st.just("a"), "second": st.just("b")},
    optional=dict.fromkeys(("difference", "low", "high", "p", "p_corrected", "pairs"), NUMBERS),
)


@law(200)
@given(PAIR)
def test_a_pair_without_a_remark_is_beyond_chance(pair):
    """Whatever an earlier release or a stranger told of it."""
    found = evaluation_of({"systems": {}, "compare": [pair], "metric": "score"})
    if not remarks(found):
        assert beyond_chance(pair)


def test_a_difference_of_before_without_width_is_of_too_few_rows():
    pair = {"first": "a", "second": "b", "difference": 0.2, "low": 0.2, "high": 0.2}
    (said,) = remarks(evaluation_of({"systems": {}, "compare": [pair]}))
    assert said.text == (
        "the difference, +0.200, is of too few rows to be told from chance (its interval has no "
        "width)"
    )


@table(
    ("figures", "wanted"),
    [
        ([Figure("t", "acc", 1.0, 0.0, 30, "")] * 2, wilson(1.0, 30)),
        ([Figure("t", "acc", 0.0, 0.0, 2, "")] * 3, wilson(0.0, 2)),
        ([Figure("t", "loss", 2.5, 0.0, 30, "")] * 2, None),
        ([Figure("t", "loss", 2.5, None, 30, "")] * 2, None),
        ([Figure("t", "loss", 2.5, 0.5, 30, "")] * 2, (2.5 - Z * 0.5, 2.5 + Z * 0.5)),
    ],
)
def test_figures_of_suites_over_seeds_have_a_width_or_no_interval(figures, wanted):
    found = _over_seeds(figures)
    assert found == (wanted and pytest.approx(wanted))
    assert figures[0].interval is None or figures[0].interval[0] < figures[0].interval[1]


def test_texts_that_are_all_alike_have_no_interval_of_perplexity():
    ones = np.ones((1, 5))
    assert "perplexity_low" not in _sums(ones * 0.1, ones, ones[0], 0, None)
