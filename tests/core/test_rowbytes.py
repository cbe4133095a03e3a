"""Columns at a time or a row at a time: the same bytes."""

import datetime as dt
import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill import CanonicalError
from mashbill.core.canonical import canonical_row
from mashbill.core.record import identify, leaves
from mashbill.core.rowbytes import digests, row_bytes

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MESSAGE = pa.struct([("b", pa.string()), ("a", pa.string())])
TYPES = {
    pa.string(): st.none() | TEXT,
    pa.int64(): st.none() | st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.none() | st.floats(),
    pa.bool_(): st.none() | st.booleans(),
    pa.binary(): st.none() | st.binary(max_size=4),
    pa.list_(pa.int64()): st.none() | st.lists(st.integers(0, 9), max_size=3),
    pa.list_(pa.string()): st.none() | st.lists(TEXT, max_size=3),
    pa.list_(MESSAGE): st.none() | st.lists(st.fixed_dictionaries({"b": TEXT, "a": TEXT})),
}


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 5))
    kinds = draw(st.dictionaries(TEXT, st.sampled_from(list(TYPES)), min_size=1, max_size=4))
    columns = {
        name: pa.array(draw(st.lists(TYPES[kind], min_size=rows, max_size=rows)), kind)
        for name, kind in kinds.items()
    }
    return pa.table(columns)


@given(tables())
def test_columns_at_a_time_give_the_bytes_of_a_row_at_a_time(table):
    columns = {name: table.column(name) for name in table.column_names}
    expected = [canonical_row(row) for row in table.to_pylist()]
    assert [text.encode() for text in row_bytes(columns).to_pylist()] == expected
    assert digests(columns, b"x") == [hashlib.sha256(b"x" + row).digest() for row in expected]
    # A slice starts in the middle of Arrow's buffers.
    cut = {name: column.slice(1) for name, column in columns.items()}
    assert [text.encode() for text in row_bytes(cut).to_pylist()] == expected[1:]


def test_a_leaf_names_its_node_by_digest():
    table = identify(pa.table({"text": ["a", 'b"\n'], "_bill": pa.array([1, 0], pa.int32())}))
    row = {**table.to_pylist()[1], "_bill": "n0"}
    expected = hashlib.sha256(b"\x00" + canonical_row(row)).digest()
    assert leaves(table, ["n0", "n1"])[1] == expected


def test_what_has_no_canonical_form_is_refused_with_its_column():
    with pytest.raises(CanonicalError, match="'odd'"):
        digests({"odd": pa.array([dt.date(2026, 1, 1)])})
