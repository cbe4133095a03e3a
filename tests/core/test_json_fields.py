"""The mark of columns that hold JSON: where it is carried, and that no record knows of it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mashbill.core.json_fields import (
    carried,
    is_json_field,
    json_columns,
    json_field,
    with_carried,
    with_json,
)
from mashbill.core.record import BILL, identify, leaves

TAGS = ['["a", "b"]', None, "[]"]


def table(**columns):
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})


def test_a_mark_goes_through_parquet_and_into_batches(tmp_path):
    marked = with_json(table(tags=TAGS, text=["x", "y", "z"]), {"tags", "not there"})
    pq.write_table(marked, tmp_path / "t.parquet")
    read = pq.read_table(tmp_path / "t.parquet")
    assert json_columns(read.schema) == {"tags": pa.string()}
    assert is_json_field(read.to_batches()[0].schema.field("tags"))
    assert not is_json_field(read.schema.field("text"))
    assert is_json_field(json_field("x"))
    assert json_field("x", pa.large_string()).type == pa.large_string()


def test_neither_an_id_nor_a_leaf_knows_of_a_mark():
    plain = table(tags=TAGS, text=["x", "y", "z"]).append_column(
        BILL, pa.array([0, 0, 0], pa.int32())
    )
    nodes = ["ab" * 32]
    assert leaves(identify(plain), nodes) == leaves(identify(with_json(plain, {"tags"})), nodes)


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ([{"tags"}], {"tags"}),
        ([{"tags"}, {"tags"}], {"tags"}),
        ([{"tags"}, set()], set()),  # in one of them it is plain text
        ([{"tags"}, None], {"tags"}),  # one has nothing in it
        ([], set()),
    ],
)
def test_a_column_is_one_of_json_if_all_who_have_it_say_so(inputs, found):
    schemas = [
        pa.schema([("tags", pa.null())])
        if marks is None
        else with_json(table(tags=TAGS), marks).schema
        for marks in inputs
    ]
    assert set(carried(schemas)) == found


@pytest.mark.parametrize(
    ("cells", "is_marked"),
    [
        (TAGS, True),
        ([None, None], True),
        ([], True),
        (['{"a": 1}', " [1]\n", '"x\\"y"', "1.5e3", "true", "null"], True),
        (['["a"]', "an answer"], False),
        (["[1] see there"], False),
        (["007"], False),
        (["12 apples"], False),
        (['"so" he said, "and so"'], False),
    ],
)
def test_a_column_that_was_written_anew_has_no_mark(cells, is_marked):
    new = with_carried(table(text=cells), {"text": pa.string()})
    assert is_json_field(new.schema.field("text")) is is_marked
    other = with_carried(table(text=cells), {"text": pa.large_string(), "more": pa.string()})
    assert not is_json_field(other.schema.field("text"))
