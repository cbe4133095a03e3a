"""Laws of paired statistics, held to scipy and to counting by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_tables import table

from mashbill.core.paired import (
    ALIKE,
    SAME,
    Difference,
    beyond_chance,
    difference_of,
    difference_of_seeds,
    flipped,
    holm,
    sign_test,
    spread_of,
)
from mashbill.core.resampling import interval, joined, resampled, shares, unit_sums, units_by
from mashbill.core.student_t import quantile, two_sided

stats = pytest.importorskip("scipy.stats")
NAN = float("nan")


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_the_sign_test_is_scipys_exact_binomial(wins: int, losses: int) -> None:
    expected = 1.0
    if wins + losses:
        expected = stats.binomtest(wins, wins + losses).pvalue
    assert sign_test(wins, losses) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_the_sign_test_of_millions_is_quick_and_scipys() -> None:
    expected = stats.binomtest(2_501_000, 5_000_000).pvalue
    assert sign_test(2_501_000, 2_499_000) == pytest.approx(expected, rel=1e-6)


@given(st.floats(-1e6, 1e6), st.floats(0.5, 1e7))
@example(0.0001, 8_388_608.0)
@example(1e-7, 9e6)
def test_students_t_is_scipys(t: float, freedom: float) -> None:
    assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-6)


@given(st.floats(0.51, 0.999), st.integers(1, 5000))
def test_quantiles_of_students_t_are_scipys(share: float, freedom: int) -> None:
    assert quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=1e-7)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_right_and_wrong_are_held_to_mcnemars_exact_test(rows: list[tuple[bool, bool]]) -> None:
    one, other = np.array(rows, float).T
    found = difference_of(one, other, 0, draws=200)
    assert (found.wins, found.losses) == (int((one > other).sum()), int((one < other).sum()))
    differ = found.wins + found.losses
    expected = stats.binomtest(found.wins, differ).pvalue if differ else 1.0
    assert found.p == pytest.approx(expected)


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=9))
def test_few_pairs_have_all_flips_counted(gaps: list[int]) -> None:
    p, _ = flipped(np.array(gaps, float), 0)
    signs = itertools.product((-1, 1), repeat=len(gaps))
    sums = [abs(sum(s * abs(g) for s, g in zip(some, gaps, strict=True))) for some in signs]
    assert p == pytest.approx(np.mean([one >= abs(sum(gaps)) for one in sums]))


@pytest.mark.parametrize("rows", [40, 3000, 30_000])
def test_flips_of_many_are_scipys_permutation_test(rows: int) -> None:
    gaps = np.random.default_rng(0).normal(0.12 * math.sqrt(40 / rows), 0.4, rows)
    p, test = flipped(gaps, 0)
    if rows > 10_000:
        expected = 2 * stats.norm.sf(abs(gaps.sum()) / math.sqrt((gaps**2).sum()))
    else:
        expected = stats.permutation_test(
            (gaps, np.zeros(rows)), lambda a, b, axis: (a - b).mean(axis),
            permutation_type="samples", n_resamples=4000, rng=1, batch=500,
        ).pvalue  # fmt: skip
    assert "permutation" in test
    assert p == pytest.approx(expected, abs=0.02)


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    random = np.random.default_rng(3)
    for scores in (random.integers(0, 2, 200).astype(float), random.normal(0, 1, 900)):
        own = np.stack([scores, np.ones(len(scores))])
        low, high = interval(own, 0, shares)
        told = stats.bootstrap(
            (scores,), np.mean, method="percentile", n_resamples=5000, rng=5, batch=500
        ).confidence_interval
        spread = scores.std() / math.sqrt(len(scores))
        assert low == pytest.approx(told.low, abs=0.1 * spread)
        assert high == pytest.approx(told.high, abs=0.1 * spread)


@pytest.mark.parametrize("rows", [500, 19_000, 40_000, 2_000_000])
def test_sums_vary_as_much_however_many_rows_there_are(rows: int) -> None:
    random = np.random.default_rng(1)
    both = random.multivariate_normal([1, 2], [[1, 0.6], [0.6, 1]], rows).T
    if rows > 1_000_000:
        both = np.round(both)  # few kinds of many rows
    sums = resampled(both, 0, 800)
    assert np.allclose(sums.mean(axis=0) / rows, both.mean(axis=1), atol=6 / math.sqrt(rows))
    assert np.allclose(np.cov(sums.T) / rows, np.cov(both), atol=0.3)


def test_rows_that_belong_together_vary_together() -> None:
    units = np.repeat(np.arange(50), 20)
    scores = np.repeat(np.random.default_rng(0).integers(0, 2, 50), 20).astype(float)
    nothing = np.zeros(1000)
    alone = difference_of(scores, nothing, 0)
    together = difference_of(scores, nothing, 0, units=units)
    assert together.high - together.low > 3 * (alone.high - alone.low)
    assert together.p > alone.p
    assert unit_sums(scores[None], units).shape == (1, 50)


def test_what_was_not_scored_is_in_no_pair() -> None:
    found = difference_of(np.array([1, NAN, 0, 1]), np.array([0, 1, NAN, 1]), 0)
    assert (found.pairs, found.unpaired, found.difference) == (2, 2, 0.5)
    nothing = difference_of(np.array([NAN, NAN]), np.array([0, 1]), 0)
    assert (nothing.pairs, nothing.unpaired) == (0, 2)
    assert nothing.as_json()["difference"] is None
    assert nothing.as_json()["p"] is None
    assert difference_of(np.empty(0), np.empty(0), 0).pairs == 0


def test_one_pair_has_no_interval() -> None:
    found = difference_of(np.array([1.0]), np.array([0.0]), 0)
    assert found.as_json()["low"] is None
    assert found.p == 1.0
    assert not found.is_beyond


@pytest.mark.parametrize(("rows", "beyond"), [(2, False), (5, False), (6, True), (40, True)])
def test_few_pairs_that_all_differ_alike_are_no_difference(rows: int, beyond: bool) -> None:
    found = difference_of(np.ones(rows), np.zeros(rows), 0)
    assert found.low == found.high == 1
    assert found.is_beyond == beyond == (found.p <= 0.05)


def test_systems_that_are_alike_are_not_told_apart() -> None:
    found = difference_of(np.ones(30), np.ones(30), 0)
    assert (found.difference, found.low, found.high, found.p, found.ties) == (0, 0, 0, 1, 30)
    assert not found.is_beyond


@given(st.lists(st.floats(0, 1) | st.just(NAN), max_size=12))
def test_holm_is_the_step_down_by_hand(ps: list[float]) -> None:
    found = holm([Difference(0.0, 0.0, 0.0, p, "", 1, 0, 0, 1) for p in ps])
    assert [one.p for one in found] == pytest.approx(ps, nan_ok=True)
    known = sorted(p for p in ps if not math.isnan(p))
    if len(known) < 2:
        assert all(one.p_corrected is None for one in found)
        return
    for one in found:
        if math.isnan(one.p):
            assert one.p_corrected is None
            continue
        below = [min((len(known) - rank) * p, 1) for rank, p in enumerate(known) if p <= one.p]
        assert one.p_corrected == pytest.approx(max(below))


def test_seeds_are_told_as_scipy_tells_them() -> None:
    first, second = [0.61, 0.65, 0.6, 0.7, 0.66], [0.58, 0.6, 0.61, 0.62, 0.6]
    found = difference_of_seeds(first, second)
    told = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(told.pvalue)
    assert [found.low, found.high] == pytest.approx(list(told.confidence_interval(0.95)))
    own = spread_of(first)
    assert own.sd == pytest.approx(np.std(first, ddof=1))
    assert [own.low, own.high] == pytest.approx(
        stats.t.interval(0.95, 4, np.mean(first), stats.sem(first))
    )


@pytest.mark.parametrize("seeds", [[], [0.5], [0.5, 0.5], [NAN, 0.5, 0.7]])
def test_few_seeds_say_no_more_than_they_know(seeds: list[float]) -> None:
    found = spread_of(seeds).as_json()
    known = [value for value in seeds if not math.isnan(value)]
    assert found["seeds"] == len(known)
    assert (found["mean"] is None) == (not known)
    assert (found["sd"] is None) == (len(known) < 2)
    apart = difference_of_seeds(seeds, [0.4] * len(seeds))
    assert (apart.pairs, apart.unpaired) == (len(known), len(seeds) - len(known))
    assert apart.p != 0


def test_five_seeds_vary_by_seed_and_by_row() -> None:
    """The interval covers the truth about as often as it says, over worlds drawn again."""
    random = np.random.default_rng(7)
    covered = 0
    worlds = 150
    for world in range(worlds):
        rows = random.normal(0, 0.3, 60)
        noise = random.normal(0, 0.3, (5, 60))
        one = 0.1 + random.normal(0, 0.1, (5, 1)) + rows + noise
        other = np.zeros(60)
        found = difference_of(one, other, world, draws=500)
        covered += found.low <= 0.1 <= found.high
    assert 0.85 <= covered / worlds <= 1.0
    fewer = difference_of(one[:3], other, 0, draws=500)
    alone = difference_of(one[:1], other, 0, draws=500)
    assert fewer.pairs == alone.pairs == 60


def test_seeds_in_another_number_are_not_paired() -> None:
    random = np.random.default_rng(2)
    one, other = random.random((5, 80)), random.random((2, 80))
    found = difference_of(one, other, 0)
    assert found.difference == pytest.approx(one.mean() - other.mean())
    assert found.low < found.difference < found.high


def _units(draw, rows: int) -> np.ndarray | None:
    units = draw(st.none() | st.lists(st.integers(0, 4), min_size=rows, max_size=rows))
    return None if units is None else np.array(units)


@st.composite
def attempts_in_another_order(draw):
    """Return scores of attempts, shape (rows, attempts), the same in another order, and units."""
    rows, count = draw(st.integers(1, 30)), draw(st.integers(1, 6))
    score = st.integers(0, 10).map(lambda tenths: tenths / 10) | st.floats(0, 1)
    seen = [[draw(score) for _ in range(count)] for _ in range(rows)]
    moved = [draw(st.permutations(row)) for row in seen]
    return np.array(seen), np.array(moved), _units(draw, rows)


@given(attempts_in_another_order(), st.booleans())
def test_the_order_of_attempts_wins_nothing(made, by_seed: bool) -> None:
    seen, moved, units = made
    means = [(own.sum(axis=1) / own.shape[1]) for own in (seen, moved)]
    one, other = (seen.T, moved.T) if by_seed else means
    found = difference_of(one, other, 0, units=units, draws=200)
    assert (found.wins, found.losses, found.ties) == (0, 0, len(seen))
    assert (found.difference, found.p) == (0, 1)
    assert not found.is_beyond


@given(st.data())
def test_rows_in_another_order_within_their_units_win_nothing(data) -> None:
    tenths = st.integers(0, 10).map(lambda number: number / 10)
    groups = data.draw(st.lists(st.lists(tenths, min_size=1, max_size=5), min_size=1, max_size=12))
    moved = [data.draw(st.permutations(group)) for group in groups]
    units = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    found = difference_of(
        np.concatenate(groups), np.concatenate(moved), 0, units=units, draws=200
    )  # fmt: skip
    assert (found.difference, found.p) == (0, 1)
    assert not found.is_beyond


def test_what_rounding_leaves_is_no_win() -> None:
    """20 rows differed by 5.6e-17 each, in one direction: p = 1.9e-6."""
    one, other = (0.1 + 0.2 + 0.3) / 3, (0.3 + 0.2 + 0.1) / 3
    assert one != other
    found = difference_of(np.full(20, one), np.full(20, other), 0)
    assert (found.difference, found.low, found.high, found.p, found.ties) == (0, 0, 0, 1, 20)
    over_seeds = difference_of_seeds([one] * 5, [other] * 5)
    assert (over_seeds.difference, over_seeds.p, over_seeds.ties) == (0, 1, 5)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_small_differences_that_are_real_stay(scale: float) -> None:
    found = difference_of(np.full(20, 1 + 1e-9) * scale, np.full(20, scale), 0)
    assert found.wins == 20
    assert found.is_beyond


@pytest.mark.parametrize("value", [0.5, 0.25, 0.1, 1e-30, 1e9])
@pytest.mark.parametrize("seeds", [2, 3, 20])
def test_seeds_that_all_differ_alike_prove_nothing(value: float, seeds: int) -> None:
    found = difference_of_seeds([0.1 + 0.2 + value] * seeds, [0.3] * seeds)
    if found.difference:
        assert found.test == ALIKE
        assert math.isnan(found.p)
        assert math.isnan(found.low)
    assert not found.is_beyond
    assert math.isnan(spread_of([value] * seeds).low)
    assert spread_of([value] * seeds).sd == 0


SOME = st.sampled_from([0.0, 1.0, 0.5, 0.25, 0.1, NAN]) | st.floats(0, 1)


@st.composite
def two_systems(draw):
    rows = draw(st.integers(1, 12))
    alike = draw(st.booleans())  # all rows of a seed alike: where intervals have no width
    seeds = st.integers(1, 3)

    def system():
        own = [draw(SOME)] * rows if alike else [draw(SOME) for _ in range(rows)]
        return np.array([own for _ in range(draw(seeds))])

    return system(), system(), _units(draw, rows)


@given(two_systems())
def test_nothing_is_beyond_chance_without_a_width_or_an_exact_p(made) -> None:
    one, other, units = made
    found = difference_of(one, other, 0, units=units, draws=200)
    seen = 1 if units is None else len(np.unique(units))
    if found.is_beyond:
        assert found.low <= found.high
        assert found.p <= 0.05
        assert seen > 1 or units is None
        assert found.low < found.high or "exact" in found.test
    seeds = min(len(one), len(other))
    over = difference_of_seeds(one[:seeds, 0].tolist(), other[:seeds, 0].tolist())
    assert not over.is_beyond or over.low < over.high


NO_P: dict = {"p": None}


@table(
    ("told", "beyond"),
    [
        ({"low": 0.1, "high": 0.2}, True),  # as an earlier release had it, without p
        ({"low": -0.2, "high": -0.1} | NO_P, True),
        ({"low": 0.2, "high": 0.2} | NO_P, False),
        ({"low": 0.2, "high": 0.2, "p": 0.03}, True),
        ({"low": 0.2, "high": 0.2, "p": 0.06}, False),
        ({"low": 0.2, "high": 0.1} | NO_P, False),
        ({"low": 0.2, "high": 0.1, "p": 0.001}, False),
        ({"low": None, "high": None, "p": 0.001}, False),
        ({"low": NAN, "high": NAN, "p": 0.001}, False),
        ({"low": 0.1, "high": math.inf, "p": 0.001}, False),
        ({"low": 0.1, "high": 0.2, "p": NAN}, True),
        ({"low": 0.1, "high": True, "p": 0.001}, False),
        ({"low": 0.0, "high": 0.2, "p": 0.001}, False),
        ({}, False),
    ],
)
def test_what_is_told_is_beyond_chance(told: dict, beyond: bool) -> None:
    assert beyond_chance(told) is beyond


def test_scores_that_are_no_numbers_are_in_no_pair() -> None:
    found = difference_of(np.array([math.inf, 1, 0, 1]), np.array([math.inf, -math.inf, 1, 0]), 0)
    assert (found.pairs, found.unpaired) == (2, 2)
    seeds = difference_of_seeds([math.inf, 1.0], [0.5, 0.5])
    assert (seeds.pairs, seeds.unpaired) == (1, 1)


CELLS = st.sampled_from(["a", "b", None, 1, 2.5, NAN, True])


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
def test_rows_belong_together_by_all_columns(rows) -> None:
    found = units_by([*zip(*rows, strict=True)])
    for (one, mine), (other, theirs) in itertools.combinations(zip(rows, found, strict=True), 2):
        has_all = all(cell is not None and cell == cell for cell in (*one, *other))  # noqa: PLR0124
        assert (mine == theirs) == (has_all and one == other)


@given(st.data())
def test_rows_that_belong_together_by_either_are_joined(data) -> None:
    rows = data.draw(st.integers(1, 12))
    numbers = st.lists(st.integers(0, 4), min_size=rows, max_size=rows)
    one, other = (units_by([data.draw(numbers)]) for _ in range(2))
    parts = [{row} for row in range(rows)]
    for units in (one, other):
        for unit in set(units.tolist()):
            own = set(np.flatnonzero(units == unit).tolist())
            touched = [part for part in parts if part & own]
            parts = [part for part in parts if not part & own] + [set().union(*touched)]
    found = joined(one, other)
    assert {frozenset(np.flatnonzero(found == unit).tolist()) for unit in found} == {
        frozenset(part) for part in parts
    }
    assert sorted(set(found.tolist())) == [*range(len(parts))]


def test_why_there_is_no_interval() -> None:
    ones, nothing = np.ones(4), np.zeros(4)
    assert difference_of(ones, nothing, 0).lacks == ""
    assert difference_of(ones, nothing, 0, units=np.zeros(4, int)).lacks == (
        "all pairs belong together"
    )
    assert difference_of(ones[:1], nothing[:1], 0).lacks == "a single pair tells none"
    assert difference_of(ones * NAN, nothing, 0).lacks == "there is no pair"
    assert difference_of_seeds([0.75, 0.75], [0.5, 0.5]).lacks == ALIKE
    assert difference_of_seeds([0.5, 0.5], [0.5, 0.5]).lacks == SAME


def test_what_other_comparisons_explain_is_not_beyond_chance() -> None:
    found = [difference_of(np.ones(6), np.zeros(6), 0) for _ in range(3)]
    assert all(one.is_beyond_all for one in found)
    assert [(one.is_beyond, one.is_beyond_all) for one in holm(found)] == [(True, False)] * 3
