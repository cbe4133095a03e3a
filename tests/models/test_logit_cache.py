"""Cached logits of rows: read back as they were written, or refused with the row and the reason."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.models.logit_cache import (
    CHECK,
    HOW,
    LEARNED,
    LOGITS,
    TOKENS,
    How,
    Student,
    columns,
    marked,
    open_cache,
)

HOW_ = How("t" * 64, "r" * 64, "", "w" * 64, "sampled", 1, 100, 1.0, ["prompt", "text"])
BYTES = 4
"""of a record"""


class Rows:
    """A dataset as far as it is read here."""

    def __init__(self, table, name="said@1", rows=3) -> None:
        self.table, self._rows = pa.table(table), rows
        self.columns = self.table.column_names
        self.num_rows = self.table.num_rows
        self.manifest = SimpleNamespace(ref=name)

    def chunks(self, count, names):
        del count
        for start in range(0, self.num_rows, self._rows):
            yield start, self.table.select(list(names)).slice(start, self._rows)


def opened(folder, datasets):
    return open_cache(datasets, Student("t" * 64, "r" * 64), lambda _: BYTES, folder)


def row_of(sequences, seed=0):
    """Return a row's tokens and records."""
    tokens = marked(sequences)
    count = int(((tokens & LEARNED) > 0).sum())
    return tokens, np.random.default_rng(seed).bytes(count * BYTES)


SEQUENCES = st.lists(
    st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=8),
    min_size=1, max_size=3,
)  # fmt: skip


@law(60)
@given(st.lists(st.one_of(st.none(), SEQUENCES), min_size=1, max_size=8), st.integers(1, 9))
def test_what_is_read_is_what_was_written(tmp_path_factory, given_rows, at_once) -> None:
    folder = tmp_path_factory.mktemp("cache")
    rows = [
        None if row is None else row_of([tuple(zip(*one, strict=True)) for one in row], place)
        for place, row in enumerate(given_rows)
    ]
    values = [{"text": f"text {place}", "other": place} for place in range(len(rows))]
    table = columns(rows, [HOW_] * len(rows), values)
    table["text"] = pa.array([row["text"] for row in values])
    half = len(rows) // 2
    parts = {
        "a": Rows({k: v[:half] for k, v in table.items()}, "a@1", at_once),
        "b": Rows({k: v[half:] for k, v in table.items()}, "b@1", at_once),
    }
    learned = sum(len(row[1]) for row in rows if row is not None)
    if not learned:
        with pytest.raises(InputError, match="nothing to learn from"):
            opened(folder, parts)
        return
    for _ in range(2):  # unpacked, and found there
        cached = opened(folder, parts)
        wanted = [
            ([i for i, _ in one], [m and bool(n) for n, (_, m) in enumerate(one)], place)
            for place, row in enumerate(given_rows) if row is not None for one in row
        ]  # fmt: skip
        assert cached.rows == sum(row is not None for row in rows)
        assert sum(cached.without.values()) == len(rows) - cached.rows
        first = next(place for place, row in enumerate(rows) if row is not None)
        where = f"a@1, row {first}" if first < half else f"b@1, row {first - half}"
        assert cached.teachers == {"w" * 64: where}
        assert len(cached.ends) == len(wanted)
        start = 0
        found = {place: b"" for place, row in enumerate(rows) if row is not None}
        for number, (ids, marks, place) in enumerate(wanted):
            tokens = cached.tokens[start : cached.ends[number]]
            start = cached.ends[number]
            assert (tokens & ~LEARNED).tolist() == ids
            assert ((tokens & LEARNED) > 0).tolist() == marks
            records = cached.given(number)
            assert records.shape == (sum(marks), BYTES)
            found[place] += records.tobytes()
            of = (0, place) if place < half else (1, place - half)
            assert (cached.dataset[number], cached.row[number]) == of
        assert found == {p: row[1] for p, row in enumerate(rows) if row is not None}


VALUES = {"prompt": "what?", "text": "that", "label": 1}


def two(**changed):
    """Return two rows, the second with other cells."""
    row = row_of([([1, 2, 3], [True] * 3)])
    table = columns([row, row], [HOW_, HOW_], [VALUES, VALUES])
    table |= {name: pa.array([cell, cell]) for name, cell in VALUES.items()}
    for name, cell in changed.items():
        table[name] = pa.array([table[name][0].as_py(), cell], table[name].type)
    return {"said": Rows(table)}


def bound(**keys):
    """Return two rows, the second bound otherwise."""
    row = row_of([([1, 2, 3], [True] * 3)])
    made = columns([row, row], [HOW_, replace(HOW_, **keys)], [VALUES, VALUES])
    return {"said": Rows(made | {name: pa.array([cell] * 2) for name, cell in VALUES.items()})}


def without(name):
    """Return two rows that have lost a column."""
    rows = two()["said"]
    return {"said": Rows(rows.table.drop_columns([name]))}


def of_release_1():
    """Return a row as it was before logits were bound to it."""
    keys = {k: v for k, v in HOW_.__dict__.items() if k not in {"reading", "columns"}}
    return two(**{HOW: json.dumps({**keys, "release": "1"}).encode()})


TOKENS_OF = row_of([([1, 2, 3], [True] * 3)])[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bound(tokenizer="u" * 64), "row 1: its logits are over the tokens of another tokenizer"),
        (bound(reading="s" * 64), "row 1: its tokens are those of a tokenizer that reads texts"),
        (two(text="this"), "said@1, row 1: its logits are of other values than it has: the"),
        (two(prompt=None), "read prompt, text, and what stands there was changed behind it; put"),
        (without("prompt"), "row 0: its logits are of other values"),
        (without("prompt"), "behind it (the rows have no column prompt); put the stage of kind"),
        (of_release_1(), "said@1, row 1: its logits were made by an earlier version"),
        (of_release_1(), "put the stage of kind 'logits' behind whatever changes rows"),
        (two(**{HOW: HOW_.text.replace(b'["prompt","text"]', b'["prompt",1]')}), "wrote"),
        (bound(template="v" * 64), "row 1: its conversation was written by a chat template of"),
        (bound(form="top"), "kept with form = 'top', and those of rows before it with 'sampled'"),
        (bound(classes=2), "kept with classes = 2"),
        (bound(temperature=2.0), "kept with temperature = 2.0"),
        (two(**{TOKENS: TOKENS_OF[::-1].tobytes()}), "are not those that were cached together"),
        (two(**{TOKENS: b"abc"}), "are not those that were cached together"),
        (two(**{LOGITS: b"12345678"}), "are not those that were cached together"),
        (two(**{LOGITS: b"1234567"}), "are not those that were cached together"),
        (two(**{CHECK: b"12345678"}), "are not those that were cached together"),
        (two(**{HOW: b"{}"}), "which no stage of kind 'logits' of this version wrote"),
        (two(**{HOW: b"[1]"}), "which no stage of kind 'logits' of this version wrote"),
        (two(**{HOW: b"\xff{"}), "row 1, logits_how"),
        (two(**{HOW: json.dumps({"release": "2"}).encode()}), "wrote"),
        ({"said": Rows({"text": ["a"]})}, "said (said@1) has no column 'logit_tokens'"),
        (
            {"said": Rows({TOKENS: ["a"], LOGITS: ["a"], HOW: ["a"], CHECK: ["a"]})},
            "row 0: logit_tokens holds str, and no bytes",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, data, says) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        opened(tmp_path / "cache", data)


def test_rows_of_several_teachers_are_learned_from_together(tmp_path) -> None:
    assert opened(tmp_path / "cache", bound(teacher="x" * 64)).rows == 2


def test_what_is_beside_the_text_may_change(tmp_path) -> None:
    assert opened(tmp_path / "cache", two(label=2)).rows == 2


def test_what_an_earlier_version_unpacked_is_held_to_its_rows(tmp_path) -> None:
    folder = tmp_path / "cache"
    opened(folder, two())
    (folder / "bound.json").rename(folder / "cached.json")
    with pytest.raises(InputError, match="its logits are of other values"):
        opened(folder, two(text="this"))
