"""Files of JSON: lines, one array, objects one behind the other; nothing is read in part."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import InputError
from mashbill.files.rows import json_rows as reading
from mashbill.files.rows.json_rows import json_rows

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ROWS = st.lists(st.dictionaries(st.text(max_size=4), VALUE, max_size=4), min_size=1, max_size=6)


def read(text, piece=None):
    """Return unit, rows and flaws of a file, read ``piece`` characters at a time at most."""
    stream = io.StringIO(text, newline="\n")
    unit, lines = json_rows(stream, "f.json", "utf-8")
    found = list(lines)
    return unit, [row for _, row, _, _ in found], [flaw for _, _, flaw, _ in found]


def written(rows, way, ascii_only):
    if way == "lines":
        return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    if way == "line an element":
        inner = ",\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        return f"[\n{inner}\n]\n"
    if way == "indented array":
        return json.dumps(rows, indent=2, ensure_ascii=ascii_only)
    if way == "one line":
        return json.dumps(rows, ensure_ascii=ascii_only)
    return "\n".join(json.dumps({**row, "_": 0}, indent=1, ensure_ascii=ascii_only) for row in rows)


@pytest.mark.parametrize(
    "way", ["lines", "line an element", "indented array", "one line", "indented objects"]
)
@law(60)
@given(ROWS, st.booleans(), st.sampled_from(["", "\ufeff", "\n\n", "\ufeff \n"]), st.data())
def test_every_way_to_write_rows_gives_the_rows(way, rows, ascii_only, before, data):
    piece = data.draw(st.sampled_from([1, 3, 17, 1 << 20]))
    text = before + written(rows, way, ascii_only)
    size, reading._PIECE = reading._PIECE, piece
    try:
        unit, found, flaws = read(text)
    finally:
        reading._PIECE = size
    if way == "indented objects":
        rows = [{**row, "_": 0} for row in rows]
    assert found == rows
    assert flaws == [None] * len(rows)
    assert unit == ("line" if way == "lines" else "row")


@law(80)
@given(ROWS, st.sampled_from(["line an element", "indented array", "one line"]), st.data())
def test_an_array_that_is_cut_off_anywhere_is_refused_as_a_whole(rows, way, data):
    text = written(rows, way, ascii_only=False).rstrip()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    with pytest.raises(InputError, match=r"cut off|is not JSON|row \d+") as caught:
        read(cut)
    assert "f.json" in str(caught.value)
    assert "fetch the file again" in str(caught.value)


TWICE = ['{"a": 1, "a": 2}', '{"b": {"a": 1, "a": 1}}', '{"b": [{"a": null, "a": null}], "c": 1}']


@pytest.mark.parametrize("row", TWICE)
def test_a_key_that_is_there_twice_loses_no_value_unsaid(row):
    for text in (f'{{"t": 1}}\n{row}\n{{"t": 2}}\n', f'[{{"t": 1}}, {row}, {{"t": 2}}]'):
        _, rows, flaws = read(text)
        assert [row.get("t") for row in rows] == [1, None, 2]
        assert flaws[0] is flaws[2] is None
        said, reason = flaws[1]
        assert said == row
        assert "names the key 'a' twice" in reason


def test_lines_that_are_none_are_told_one_by_one():
    text = '{"a": 1}\n{"a": \n{"a": 2}\n[1]\nno\n{"a": 3}'
    unit, rows, flaws = read(text)
    assert unit == "line"
    assert [row.get("a") for row in rows] == [1, None, 2, None, None, 3]
    assert [flaw and flaw[1][:12] for flaw in flaws] == [
        None, "is not JSON:", None, "is no object", "is not JSON:", None,
    ]  # fmt: skip
    # A first line that is cut off, with rows behind it, is one line and no indented object.
    _, rows, flaws = read('{"a": \n{"a": 2}\n')
    assert [row.get("a") for row in rows] == [None, 2]
    assert flaws[0] is not None


def test_elements_that_are_no_objects_are_told(tmp_path):
    _, rows, flaws = read('[{"a": 1}, 2, "x", null, [3], 17]')
    assert [bool(flaw) for flaw in flaws] == [False, True, True, True, True, True]
    assert [flaw[0] for flaw in flaws[1:]] == ["2", '"x"', "null", "[3]", "17"]
    assert rows[0] == {"a": 1}
