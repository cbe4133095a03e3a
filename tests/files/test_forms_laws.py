"""Laws of reading: every value that goes in comes out, in any format, in one file or in many."""

import csv
import json
import math
import tempfile
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages

from mashbill.core.naming import free_names
from mashbill.core.record import OURS

FEW = law(40, suppress_health_check=list(HealthCheck))

# Every character that Python has, halves of surrogate pairs, NUL and line separators too.
ANY = st.text(st.characters(codec=None), max_size=6)
WHOLE = st.text(max_size=6)
NUMBERS = st.integers(-(2**70), 2**70) | st.integers(-3, 3) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=5,
)
NAMES = ["a", "é", "x y", "a.b", "_id", "_bill", "original__id", "", "\u202eb", "prompt", "split",
         "license_", "half \ud800", "nul \x00"]  # fmt: skip


@st.composite
def rows_of_any_kind(draw):
    """Some rows: each with some keys, and cells of every kind; the last can serve for certain."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    rows = []
    for _ in range(draw(st.integers(0, 5))):
        row = {name: draw(VALUES) for name in names if draw(st.booleans())}
        if draw(st.booleans()):
            row["text"] = draw(VALUES | WHOLE)
        rows.append(row)
    return [*rows, {"text": "certain"}]


TYPES = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_infinity=False)),
    "bool": (pa.bool_(), st.booleans()),
    "str": (pa.string(), WHOLE),
    "list": (pa.list_(pa.string()), st.lists(WHOLE, max_size=3)),
    "struct": (
        pa.struct([("k", pa.int64()), ("é", pa.list_(pa.float64()))]),
        st.fixed_dictionaries(
            {"k": st.none() | st.integers(-9, 9), "é": st.lists(st.integers(-9, 9).map(float))}
        ),
    ),
}


@st.composite
def tables(draw):
    """A table whose columns have a type each, as Parquet wants them; its first row can serve."""
    names = draw(st.lists(st.sampled_from(NAMES[:-2]), max_size=4, unique=True))
    kinds = [draw(st.sampled_from(sorted(TYPES))) for _ in names]
    rows = draw(st.integers(1, 6))
    columns = {"text": ["certain", *[draw(st.none() | WHOLE) for _ in range(rows - 1)]]}
    for name, kind in zip(names, kinds, strict=True):
        columns[name] = [draw(st.none() | TYPES[kind][1]) for _ in range(rows)]
    types = [pa.string(), *[TYPES[kind][0] for kind in kinds]]
    fields = [pa.field(name, of) for name, of in zip(columns, types, strict=True)]
    return pa.Table.from_pydict(columns, schema=pa.schema(fields))


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def array(path, rows):
    path.write_text(json.dumps(rows, indent=1))


def separated(path, rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows([[_text(row.get(name)) for name in names] for row in rows])


def _text(cell):
    if cell is None or cell != cell:  # noqa: PLR0124 - NaN
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell)


def arrow(path, table):
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def read(folder, *sources):
    """Import each file by a stage of its own, in one run; return the rows of each, kept and not."""
    stages = "".join(
        f'[stages.s{i}]\nkind = "import"\ntitle = "Set"\nsource = "{source}"\n'
        'text = "text"\ngenerator = "none"\n'
        for i, source in enumerate(sources)
    )
    store = run_stages(folder, stages, {})
    return [
        (rows_of(store, f"s{i}"), rows_of(store, f"s{i}", "rejected")) for i in range(len(sources))
    ]


def plain(value, *, nested=False):
    """Return a value as it comes out: what is missing, infinite or half a character is said so."""
    if isinstance(value, float) and not math.isfinite(value):
        text = None if math.isnan(value) else str(value).replace("inf", "Infinity")
        return text if nested or text is None else value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [plain(each, nested=True) for each in value]
    if isinstance(value, dict):
        return {plain(key): plain(each, nested=True) for key, each in value.items()}
    return value


def is_there(cell, value):
    """Return whether a cell holds a value: as it is, as text, or as JSON."""
    value = plain(value)
    if value is None:
        return cell is None
    if cell == value and isinstance(cell, bool) == isinstance(value, bool):
        return True
    if not isinstance(cell, str) or isinstance(value, str):
        return False
    if isinstance(value, float) and math.isinf(value):
        return cell == plain(value, nested=True)
    found = json.loads(cell)
    return found == value and isinstance(found, bool) == isinstance(value, bool)


def account(rows, kept, gone):
    """Hold what came out against what went in: each row once and in order, each value in it."""
    order = [[row["_from"] for row in found] for found in (kept, gone)]
    assert order == [sorted(found) for found in order]
    assert sorted(order[0] + order[1]) == list(range(len(rows)))
    names = list(dict.fromkeys(name for row in rows for name in row))
    taken = {"text", *OURS}
    if any(isinstance(row.get("prompt"), list | dict | int | float) for row in rows):
        taken.add("prompt")  # what is no text is kept beside a prompt, which is one
    called = free_names([name for name in names if name != "text"], taken)
    at = {row["_from"]: row for row in kept + gone}
    for i, row in enumerate(rows):
        out = at[i]
        for name, new in called.items():
            assert is_there(out[new], row.get(name)), (name, row.get(name), out)
        text = row.get("text")
        if plain(text) is None:
            assert out["text"] == ""
        else:
            assert is_there(out["text"], text) or (text == "" and out["text"] == ""), (text, out)
        serves = isinstance(text, str) and bool(text.strip()) and plain(text) == text
        assert ("_reason" not in out) == serves, out
        assert serves or out["_reason"].split(" ")[0] in ("line", "row")


@FEW
@given(rows=rows_of_any_kind())
@example(rows=[{"": ["a", "b"], "text": "certain"}])  # a column without a name was taken for each
def test_every_value_of_json_is_in_the_output_or_the_rejects(rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines(folder / "set.jsonl", rows)
        array(folder / "set.json", rows)
        (kept, gone), as_array = read(folder, "set.jsonl", "set.json")
        account(rows, kept, gone)
        account(rows, *as_array)
        assert _told(kept) == _told(as_array[0])


def _told(rows):
    """Return rows as they can be compared: a number is not the truth that equals it."""
    return [
        {name: (type(cell), cell) for name, cell in row.items() if name != "_reason"}
        for row in rows
    ]


@pytest.mark.slow
@FEW
@given(table=tables())
def test_one_table_is_one_dataset_in_every_format(table):
    rows = table.to_pylist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines(folder / "set.jsonl", rows)
        array(folder / "set.json", rows)
        pq.write_table(table, folder / "set.parquet")
        arrow(folder / "set.arrow", table)
        found = read(folder, "set.jsonl", "set.json", "set.parquet", "set.arrow")
        for kept, gone in found:
            account(rows, kept, gone)
            assert (_told(kept), _told(gone)) == (_told(found[0][0]), _told(found[0][1]))


@FEW
@given(table=tables())
def test_csv_holds_every_value_as_text(table):
    rows = table.to_pylist()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        separated(folder / "set.csv", rows)
        ((kept, gone),) = read(folder, "set.csv")
        account([{name: _text(cell) for name, cell in row.items()} for row in rows], kept, gone)


@pytest.mark.slow
@FEW
@given(rows=rows_of_any_kind(), cuts=st.lists(st.integers(0, 6), max_size=2))
def test_many_files_are_one_and_a_second_time_is_the_first(rows, cuts):
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [rows[a:b] for a, b in pairwise(ends) if a < b]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines(folder / "set.jsonl", rows)
        (folder / "set").mkdir()
        for i, part in enumerate(parts):
            lines(folder / "set" / f"part-{i}.jsonl", part)
        one, again, many = read(folder, "set.jsonl", "set.jsonl", "set")
        assert [_told(found) for found in one] == [_told(found) for found in again]
        assert [_told(found) for found in one] == [_told(found) for found in many]
