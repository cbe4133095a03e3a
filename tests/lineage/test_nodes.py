"""Composing the nodes of rows: many at a time is one at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests_circuits import source

from mashbill.lineage.circuit import composer as composing
from mashbill.lineage.circuit.composer import Composer
from mashbill.lineage.circuit.nodes import NodeTable


def composer():
    first, second = NodeTable(), NodeTable()
    for i in range(3):
        first.number(first.add_source(source(i)))
        second.number(second.add_source(source(i + 2)))  # one node is in both
    return Composer([("content", first), ("prompt", second)], [("judgement", source(9))])


ROWS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=4), min_size=0, max_size=12)


def expected(rows):
    made = composer()
    return [made.table.numbered[made.compose(sorted(set(row)))] for row in rows]


def several(rows):
    made = composer()
    flat = np.array([code for row in rows for code in row], np.int64)
    numbers = made.several_each(flat, np.cumsum([len(row) for row in rows]).astype(np.int64))
    return [made.table.numbered[number] for number in numbers]


@given(ROWS)
def test_many_rows_at_a_time_get_the_nodes_of_each_alone(rows):
    assert several(rows) == expected(rows)


def test_two_sets_of_the_same_sum_are_told_apart(monkeypatch):
    class Zeros:
        def integers(self, *given):
            return np.zeros(given[2], given[3])

    monkeypatch.setattr(composing.np.random, "default_rng", lambda _seed: Zeros())
    rows = [[0, 1], [1, 2], [0, 1, 2], [1, 0], [4], [4, 5]]
    assert several(rows) == expected(rows)


def test_rows_of_one_each_get_the_node_of_their_row():
    made = composer()
    numbers = made.one_each(np.array([5, 0, 5, 2, 3]))
    assert [made.table.numbered[n] for n in numbers] == expected([[5], [0], [5], [2], [3]])
