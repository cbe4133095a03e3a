"""Cells that are no texts: what each becomes, beside a text."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
from form_cases.case import NONE, Case

AT = datetime(2024, 2, 29, 12, 30, 1, 500, UTC)


def table(cells, kind=None):
    def write(path):
        column = pa.array(cells, kind)
        pq.write_table(pa.table({"text": ["t"] * len(cells), "c": column}), path)

    return write


def cell(name, cells, becomes, kind=None):
    """Return the case of a column of a Parquet file."""
    rows = [{"text": "t", "c": value} for value in becomes]
    return Case(name, table(cells, kind), rows, source="set.parquet")


def in_json(name, cells, becomes):
    """Return the case of a column of a file of JSON lines."""
    lines = "".join(json.dumps({"text": "t", "c": value}) + "\n" for value in cells)
    return Case(name, lines.encode(), [{"text": "t", "c": value} for value in becomes])


TEXTS = [5, True, ["a"], {"a": 1}, None, float("nan"), "", " \n", "t"]

CASES = [
    in_json("missing: null, no such key", [None, "a"], [None, "a"]),
    in_json("missing: NaN, NaT", [math.nan, 1.5], [None, 1.5]),
    cell("missing: NaN, NaT of tables", [math.nan, 1.5], [None, 1.5], pa.float64()),
    in_json("whole number", [1, -(2**63)], [1, -(2**63)]),
    in_json("whole number beyond 64 bits", [2**70, 1], [str(2**70), "1"]),
    in_json("whole numbers and fractions", [1, 0.5], [1.0, 0.5]),
    in_json("whole numbers beyond 2**53 beside fractions", [2**53 + 1, 0.5],
            [str(2**53 + 1), "0.5"]),
    cell("infinite", [math.inf, 1.0], [math.inf, 1.0]),
    in_json("true, false", [True, False], [True, False]),
    in_json("numbers beside texts", [1, "a", True], ["1", "a", "true"]),
    in_json("list, object", [["a", 1], {"a": None}], ['["a", 1]', '{"a": null}']),
    cell("bytes", [b"\x00\xff", None], [b"\x00\xff", None]),
    cell("bytes within an object", [{"a": b"\xff"}], ['{"a": "ff"}']),
    cell("day", [date(2024, 2, 29)], ["2024-02-29"]),
    cell("day and time", [AT], ["2024-02-29T12:30:01.000500+00:00"], pa.timestamp("us", "UTC")),
    cell("time of day", [time(1, 2, 3)], ["01:02:03.000000"]),
    cell("span of time", [timedelta(seconds=90)], ["90.0"]),
    cell("decimal", [Decimal("1.10")], ["1.10"]),
    cell("dictionary of texts", ["a", "b", "a"], ["a", "b", "a"],
         pa.dictionary(pa.int8(), pa.string())),
    in_json("half of a surrogate pair", ["a\ud83d"], ["a?"]),
    Case(
        "text that is none",
        "".join(json.dumps({"text": value}) + "\n" for value in TEXTS).encode(),
        [{"text": "t"}],
        keys=NONE,
        rejected=tuple(
            f"line {i} column 'text' {why}"
            for i, why in enumerate(
                ["holds a number, and no text", "holds true or false, and no text",
                 "holds a list, and no text", "holds an object, and no text", "is missing",
                 "is missing", "is empty", "is empty"], 1
            )
        ),
    ),
]  # fmt: skip
