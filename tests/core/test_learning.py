"""What a row weighs in a model's bill: tokens x epochs x loss weight, held to exact arithmetic."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill.core.learning import (
    Learned,
    RowSizes,
    learned_table,
    read_learned,
    set_by_trainer,
    weigh,
)

LOSS = st.sampled_from([0.0, 1.0, 0.5, 0.1, 2.0, 3e-7, 1e9]) | st.floats(0, 1e6, width=64)
ROW = st.tuples(
    st.integers(0, 5),
    LOSS,
    st.integers(0, 40),
    st.integers(0, 60),
    st.integers(0, 3),
    st.sampled_from([1, 1, 0, 0.1, 0.37, 0.9]),  # part of the row's tokens that was read
)


def _made(rows, *, weighted, counted):
    times, loss, tokens, words, bills, part = (np.array(each) for each in zip(*rows, strict=True))
    whole = bool((part == 1).all())
    return (
        Learned(
            times.astype(np.int64),
            loss.astype(np.float64) if weighted else None,
            tokens.astype(np.int64) if counted else None,
            np.ceil(times * tokens * part).astype(np.int64) if counted and not whole else None,
        ),
        RowSizes(words.astype(np.int64), bills, 4),
    )


ROWS = st.lists(ROW, min_size=1, max_size=12)
MODELS = st.tuples(st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=3), st.booleans())


def _seen(each, sizes, *, counted):
    """Return units of each row, as often as each was learned from."""
    if each.seen_tokens is not None:
        return each.seen_tokens
    return (each.tokens if counted else sizes.words) * each.times


def _exact(learned, sizes, *, counted):
    """Return (dataset, node) -> weight, in fractions."""
    found: dict[tuple[str, int], Fraction] = {}
    for name, each in learned.items():
        for at, bill in enumerate(sizes[name].bills.tolist()):
            loss = Fraction(1 if each.loss_weight is None else float(each.loss_weight[at]))
            part = int(_seen(each, sizes[name], counted=counted)[at]) * loss
            found[name, bill] = found.get((name, bill), Fraction(0)) + part
    return found


@given(model=MODELS)
def test_weights_are_tokens_times_epochs_times_loss_weight(model):
    datasets, counted = model
    made = {
        f"d{at}": _made(rows, weighted=weighted, counted=counted)
        for at, (rows, weighted) in enumerate(datasets)
    }
    learned = {name: pair[0] for name, pair in made.items()}
    sizes = {name: pair[1] for name, pair in made.items()}
    found, exact = weigh(learned, sizes), _exact(learned, sizes, counted=counted)
    total, whole = sum(int(each.sum()) for each in found.by_node.values()), sum(exact.values())
    assert (total > 0) == (whole > 0)
    for (name, node), weight in exact.items():
        given_weight = int(found.by_node[name][node])
        assert (given_weight > 0) == (
            weight > 0
        )  # nothing that counts is left out, nothing else in
        if whole:
            assert abs(Fraction(given_weight, total) - weight / whole) < Fraction(1, 10**6)
    for each, (name, of) in zip(found.learned_from, learned.items(), strict=True):
        assert each.weight == found.by_node[name].sum()
        assert each.rows == of.counts.sum()
        units = (of.tokens if counted else sizes[name].words)[of.counts]
        seen = _seen(of, sizes[name], counted=counted)[of.counts]
        assert (each.tokens, each.seen) == (units.sum(), seen.sum())


@given(
    rows=st.lists(ROW, min_size=1, max_size=20), loss=st.floats(1e-9, 1e9), counted=st.booleans()
)
def test_one_loss_weight_for_all_rows_drops_out(rows, loss, counted):
    learned, sizes = _made(rows, weighted=False, counted=counted)
    same = Learned(learned.times, np.full(len(rows), loss), learned.tokens, learned.seen_tokens)
    one, other = (weigh({"d": each}, {"d": sizes}) for each in (learned, same))
    assert one.by_node["d"].tolist() == other.by_node["d"].tolist()
    assert one.tokens == other.tokens
    plain = np.bincount(sizes.bills, weights=_seen(learned, sizes, counted=counted), minlength=4)
    assert one.by_node["d"].tolist() == plain.astype(int).tolist()  # as releases before weighed


@given(rows=st.lists(ROW, min_size=1, max_size=20), seed=st.integers(0, 9))
def test_no_order_of_rows_changes_a_weight(rows, seed):
    mixed = [rows[at] for at in np.random.default_rng(seed).permutation(len(rows))]
    one, other = (
        weigh({"d": made[0]}, {"d": made[1]}).by_node["d"].tolist()
        for made in (_made(each, weighted=True, counted=True) for each in (rows, mixed))
    )
    assert one == other


def test_more_tokens_than_a_float_counts_are_counted():
    many = 2**52
    learned = {"a": Learned(np.array([1]), np.array([1.0])),
               "b": Learned(np.array([1]), np.array([1e-300]))}  # fmt: skip
    sizes = {"a": RowSizes(np.array([many]), np.array([0]), 1),
             "b": RowSizes(np.array([1]), np.array([0]), 1)}  # fmt: skip
    found = weigh(learned, sizes)
    assert found.by_node["b"][0] == 1
    assert 0 < found.by_node["a"][0] < 2**53


@given(model=MODELS)
def test_what_is_kept_is_read_back(model):
    datasets, counted = model
    learned = {f"d{at}@1": _made(rows, weighted=weighted, counted=counted)[0]
               for at, (rows, weighted) in enumerate(datasets)}  # fmt: skip
    stream = io.BytesIO()
    pq.write_table(learned_table(learned), stream)
    read = read_learned(stream.getvalue())
    assert list(read) == list(learned)
    for name, each in learned.items():
        assert read[name].times.tolist() == each.times.tolist()
        ones = np.ones(len(each.times))
        wanted = ones if each.loss_weight is None else each.loss_weight
        got = ones if read[name].loss_weight is None else read[name].loss_weight
        assert got.tolist() == wanted.tolist()
        assert (read[name].tokens is not None) == counted
        if counted:
            assert read[name].product.tolist() == each.product.tolist()


def test_a_file_of_an_older_release_weighs_as_it_did():
    stream = io.BytesIO()
    pq.write_table(pa.table({"input": ["a@1", "a@1"], "times": [2, 0]}), stream)
    read = read_learned(stream.getvalue())
    assert weigh(read, {"a@1": RowSizes(np.array([5, 7]), np.array([1, 0]), 2)}).by_node[
        "a@1"
    ].tolist() == [0, 10]
    plain = learned_table({"a@1": Learned(np.array([2, 0]))})
    assert plain.column_names == ["input", "times"]  # and a plain one is written as it was


def _set(seen=None, loss=None, tokens=None, in_all=None):
    rows = {"a": 3, "b": 2}
    seen = {"a": np.ones(3), "b": np.ones(2)} if seen is None else seen
    return set_by_trainer(["a", "b"], rows, seen, loss or {}, tokens or {}, in_all or {})


BOTH = {"a": np.ones(3, int), "b": np.ones(2, int)}
WRONG = [
    ({"seen": {"a": np.ones(3)}}, r"does not set ctx.seen\['b'\]"),
    ({"seen": BOTH | {"c": np.ones(1)}}, r"sets ctx.seen\['c'\]"),
    ({"seen": BOTH | {"a": np.ones(2)}}, "'a': times has the shape"),
    ({"seen": BOTH | {"a": np.full(3, 0.5)}}, "no whole number"),
    ({"seen": BOTH | {"a": np.full(3, np.nan)}}, "no whole number"),
    ({"seen": BOTH | {"a": np.array([1, 1, -1])}}, "less than never"),
    ({"seen": {"a": np.zeros(3), "b": np.zeros(2)}}, "learned from no row"),
    ({"loss": {"a": 0, "b": 0}}, "learned from no row"),
    ({"loss": {"c": 1.0}}, r"sets ctx.loss_weight\['c'\]"),
    ({"loss": {"a": -1.0}}, "no number from 0"),
    ({"loss": {"a": np.nan}}, "no number from 0"),
    ({"loss": {"a": [1.0, np.inf, 1.0]}}, "no number from 0"),
    ({"loss": {"a": [1.0, 1.0]}}, "'a': loss_weight has the shape"),
    ({"tokens": {"a": np.ones(3, int)}}, "set it of all or of none"),
    ({"tokens": BOTH | {"b": np.array([1, -1])}}, "less than no token"),
    ({"tokens": BOTH | {"b": np.ones(9, int)}}, "'b': tokens has the shape"),
    ({"in_all": {"a": np.ones(3, int)}}, "no ctx.tokens"),
    ({"tokens": BOTH, "in_all": {"c": np.ones(3, int)}}, r"sets ctx.seen_tokens\['c'\]"),
    ({"tokens": BOTH, "in_all": {"b": np.ones(3, int)}}, "'b': seen_tokens has the shape"),
    ({"tokens": BOTH, "in_all": {"b": np.array([1, 2])}}, "'b': says that more tokens"),
    ({"tokens": BOTH, "in_all": {"b": np.array([1, -1])}}, "less than no token"),
    ({"tokens": BOTH, "in_all": {"b": np.array([0.5, 1])}}, "no whole number"),
]


@table("case", WRONG)
def test_what_a_trainer_sets_wrong_is_told(case):
    given_, said = case
    with pytest.raises(ValueError, match=said):
        _set(**given_)


def test_a_number_stands_for_all_rows_of_a_dataset():
    found = _set(loss={"b": 0.25}, tokens=BOTH)
    assert found["a"].loss_weight is None
    assert found["b"].loss_weight.tolist() == [0.25, 0.25]


NO_FILE = [
    {"input": ["a"]},
    {"times": [1], "input": ["a"]},
    {"input": ["a"], "times": [1], "other": [1]},
    {"input": ["a"], "times": [1], "tokens": [1], "loss_weight": [1.0]},
    {"input": ["a"], "times": [1], "loss_weight": [1]},
    {"input": ["a"], "times": pa.array([None], pa.int64())},
    {"input": ["a"], "times": [-1]},
    {"input": ["a"], "times": [1], "loss_weight": [float("nan")]},
    {"input": ["a"], "times": [1], "loss_weight": pa.array([None], pa.float64())},
    {"input": ["a"], "times": [1], "loss_weight": [-0.5]},
    {"input": ["a"], "times": [1], "tokens": [-2]},
    {"input": ["a"], "times": [1], "seen_tokens": [1]},
    {"input": ["a"], "times": [1], "seen_tokens": [1], "tokens": [1]},
    {"input": ["a"], "times": [1], "tokens": [3], "seen_tokens": [4]},
    {"input": ["a"], "times": [1], "tokens": [3], "seen_tokens": [-1]},
    {"input": ["a", "b", "a"], "times": [1, 1, 1]},
]


@table("columns", NO_FILE)
def test_a_file_that_says_else_is_none(columns):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    with pytest.raises(ValueError, match=r"has columns|rows of|less than|no number|more tokens"):
        read_learned(stream.getvalue())
