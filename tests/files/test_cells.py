"""Cells of foreign rows: what is a text, what names something, what is missing."""

import datetime as dt
import json
import math
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import rows_of, run_stages

from mashbill import InputError
from mashbill.core.cells import is_missing
from mashbill.files.rows.cells import Cells, as_json, as_text, kind_of, texts_of

DAY = "2024-01-01T09:00:00+00:00"
NAMES = st.text(min_size=1, max_size=8).filter(lambda t: t.strip() and t.strip()[0] not in "['\"")


@given(st.lists(NAMES | st.none() | st.just(math.nan), max_size=5))
def test_a_list_names_its_members_however_it_is_written(names):
    expected = [name.strip() for name in names if isinstance(name, str)]
    assert texts_of(names) == expected
    plain = [name if isinstance(name, str) else None for name in names]
    assert texts_of(json.dumps(plain)) == expected
    assert texts_of(repr(plain)) == expected  # as pandas writes a list into a CSV file


@pytest.mark.parametrize(
    ("value", "texts"),
    [(None, []), (math.nan, []), ([], []), ("m", ["m"]), (" m ", ["m"]), (["a", None], ["a"]),
     ({"name": "m"}, None), (True, None), (7, None), (b"m", None), ([["a"]], None), ([1], None),
     ("[INST] x", ["[INST] x"]), ("[unclosed", ["[unclosed"]), ("[a, b]", ["[a, b]"])],
)  # fmt: skip
def test_what_names_something(value, texts):
    assert texts_of(value) == texts


@pytest.mark.parametrize(
    ("value", "text", "in_json"),
    [
        (dt.date(2024, 1, 1), "2024-01-01", '"2024-01-01"'),
        (dt.datetime(2024, 1, 1, 9, tzinfo=dt.UTC), DAY, f'"{DAY}"'),
        (dt.time(9, 30), "09:30:00", '"09:30:00"'),
        (dt.timedelta(seconds=90), "90.0", "90.0"),
        (Decimal("1.10"), "1.10", '"1.10"'),
        (b"\x89PNG", "89504e47", '"89504e47"'),
        (2**80, str(2**80), str(2**80)),
        (True, "true", "true"),
        (math.inf, "Infinity", '"Infinity"'),
    ],
)
def test_values_that_json_lacks_are_written_as_json_and_never_as_python_spells_them(
    value, text, in_json
):
    assert as_text(value) == text
    assert json.loads(as_json([value])) == [json.loads(in_json)] or as_json(value) == in_json
    assert json.loads(as_json({"a": [value, math.nan]}))["a"][1] is None


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates()
    | st.decimals(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_whatever_a_cell_is_its_json_is_json(value):
    found = json.loads(as_json(value), parse_constant=pytest.fail)
    assert (found is None) or not is_missing(value)
    assert kind_of(value)
    as_text(value).encode()


@given(st.lists(st.none() | st.floats() | st.integers(0, 9) | st.text(max_size=3), max_size=9))
def test_nan_is_a_missing_cell_in_every_column(values):
    found = Cells.of(values).values()
    assert [value is None for value in found] == [is_missing(value) for value in values]


IMPORT = '[stages.got]\nkind = "import"\ntitle = "S"\nsource = "{}"\ngenerator = "none"\n'


def bad_file(path, arrow=False):
    texts = [b"plain", b"ab\xff\xfee", None, "gut \u00fc".encode(), b"\xc3"]
    array = pa.array(texts, pa.binary()).view(pa.string())
    if arrow:
        table = pa.table({"text": array, "n": [1, 2, 3, 4, 5]})
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
        return
    # Rows in two groups, with a dictionary and without, as writers have them.
    table = pa.table({"text": array, "n": [1, 2, 3, 4, 5]})
    pq.write_table(table, path, row_group_size=2, use_dictionary=arrow is None)


@pytest.mark.parametrize("name", ["rows.parquet", "dictionary.parquet", "rows.arrow"])
@pytest.mark.parametrize("kind", ["import", "corpus"])
def test_bytes_that_are_no_text_are_told_rejected_or_replaced(tmp_path, name, kind):
    arrow = True if name.endswith("arrow") else None if name.startswith("dict") else False
    bad_file(tmp_path / name, arrow)
    stage = IMPORT.format(name)
    if kind == "corpus":
        stage = stage.replace('"import"', '"corpus"').replace('generator = "none"', "dedup = false")
    with pytest.raises(InputError, match=rf"(?s){name}: row 1: column 'text' is not UTF-8.*on_bad"):
        run_stages(tmp_path, stage, {})
    for manner in ("reject", "replace"):
        keys = f'on_bad_bytes = "{manner}"\nversion = "{manner}"\n'
        store = run_stages(tmp_path, stage + keys, {})
        kept = [row["text"] for row in rows_of(store, f"got@{manner}")]
        gone = [row["_reason"] for row in rows_of(store, f"got@{manner}", "rejected")]
        if manner == "reject":
            assert kept == ["plain", "gut \u00fc"]
            assert sum("column 'text' is not UTF-8" in reason for reason in gone) == 2
        else:
            assert kept == ["plain", "ab\ufffd\ufffde", "gut \u00fc", "\ufffd"]
        assert sum("missing" in reason for reason in gone) == 1
