"""What a stage yields is held to what a stage promises, and a slip is told with whose it is."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill import FROM, REASON, REJECTED_BY, Channel, StageSpec, Uses
from mashbill.core.errors import StageError
from mashbill.run.contract import Contract


class Stage(StageSpec):
    kind: str = "filter"

    def uses(self):
        return (Uses("texts", "rows", Channel.CONTENT),)


class Merging(Stage):
    merges: ClassVar[bool] = True
    streams: ClassVar[bool] = False


def batch(**columns):
    return pa.RecordBatch.from_pydict(columns)


def places(*values, kind=None):
    return pa.array(values, kind or pa.int64())


TEXT = pa.array(["a", "b"])
GOOD = {"text": TEXT, FROM: places(0, 1)}
SLIPS = {
    "no batch at all": ({"text": "no batch"}, "yielded 'dict'"),
    "a table": (pa.table(GOOD), "yielded 'Table'"),
    "no positions": (batch(text=TEXT), "nobody knows what each was made of"),
    "positions of another type": (batch(**{**GOOD, FROM: places(0, 1, kind=pa.int32())}), "int32"),
    "positions in lists": (batch(**{**GOOD, FROM: pa.array([[0], [1]])}), "list<"),
    "a position of none": (batch(**{**GOOD, FROM: places(0, None)}), "null in some rows"),
    "a position before the first": (batch(**{**GOOD, FROM: places(0, -1)}), "names row -1"),
    "a position behind the last": (batch(**{**GOOD, FROM: places(0, 10)}), "that has 10"),
    "an identity of its own": (batch(**GOOD, _id=TEXT), "which the run gives"),
    "a node of its own": (batch(**GOOD, _bill=places(0, 0)), "whence a row comes"),
    "a rejection without a reason": (batch(**GOOD, **{REJECTED_BY: TEXT}), "go together"),
    "a reason without a rejection": (batch(**GOOD, **{REASON: TEXT}), "go together"),
}


def held(spec, *yielded, rows=10, first=0):
    return list(Contract("made", spec).held(yielded, rows, first))


@pytest.mark.parametrize("slip", SLIPS)
def test_each_slip_is_told_with_stage_kind_distribution_and_rows(slip):
    wrong, says = SLIPS[slip]
    with pytest.raises(
        StageError, match=r"stages\.made: kind 'filter' of mashbill \S+ broke"
    ) as told:
        held(Stage(kind="filter"), batch(**GOOD), wrong, first=64)
    assert says in str(told.value)
    assert "from row 64 of its input on" in str(told.value)
    assert "rows 2 to 3" in str(told.value) or "after 2 rows" in str(told.value)


def test_columns_of_one_name_and_columns_that_change_are_told():
    twice = pa.RecordBatch.from_arrays([TEXT, TEXT, places(0, 1)], ["text", "text", FROM])
    with pytest.raises(StageError, match="columns of one name: 'text'"):
        held(Stage(kind="filter"), twice)
    with pytest.raises(StageError, match="text is int64 and was string"):
        held(Stage(kind="filter"), batch(**GOOD), batch(**{**GOOD, "text": places(1, 2)}))


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5))
def test_what_is_right_passes_unchanged(pieces):
    made = [batch(text=pa.array(["t"] * len(p), pa.string()), **{FROM: places(*p)}) for p in pieces]
    assert held(Stage(kind="filter"), *made) == made


@given(st.lists(st.lists(st.integers(-2, 12), max_size=4), min_size=1, max_size=5))
def test_lists_of_positions_pass_if_every_one_is_of_the_input(rows):
    made = batch(text=pa.array(["t"] * len(rows)), **{FROM: pa.array(rows, pa.list_(pa.int64()))})
    spec = Merging(kind="dedup")
    if all(0 <= place < 10 for row in rows for place in row):
        assert held(spec, made) == [made]
    else:
        with pytest.raises(StageError, match="names row"):
            held(spec, made)


def test_a_first_stage_has_no_positions_and_may_say_which_origin_a_row_has():
    made = batch(text=TEXT, _bill=places(0, 0, kind=pa.int32()))
    assert held(Stage(kind="corpus"), made, rows=None) == [made]
