"""The small log of our own: what its rows say, and that nothing is lost on the way to events."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.events import ENDPOINTS, KINDS, SCHEMA, Hashes, batch_of
from mashbill.conduct.logs import fields
from mashbill.conduct.logs.lines import NoRowError
from mashbill.conduct.logs.native import read, write_native
from mashbill.conduct.logs.reading import open_log
from mashbill.conduct.logs.rows import Columns, Notes, plain_address
from mashbill.conduct.sketching import sketch

HASHES = Hashes(b"k" * 32)
OTHER = Hashes(b"o" * 32)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MICROS = int(NOON.timestamp()) * 1_000_000


def events(*rows, scorer=None):
    notes = Notes()
    columns = Columns(HASHES, scorer)
    for row in rows:
        found = read(row, "line-1-0", HASHES.keyid, notes)
        (columns.add_sketched if isinstance(found, dict) else columns.add)(found)
    return columns.batch(), notes


def row_of(**said):
    batch, notes = events({"time": "2026-07-01T12:00:00Z", "account": "a", **said})
    return batch.to_pylist()[0], notes


def test_a_row_in_plain_words_is_hashed_and_sketched():
    blob = "s" * 40
    row, notes = row_of(
        id="r1", key="sk", organisation="org", model="m", endpoint="/v1/chat/completions",
        status=429, retry_after="7", tokens_in=3, tokens_out=0, payment="card", address="10.1.2.3",
        agent="curl", signed_up=1_751_000_000, reasoning=True, declared="ab" * 32,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": blob}]},
            {"role": "user", "content": [{"type": "text", "text": "Sum 12 and 30"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": "42"}]},
        ],
    )  # fmt: skip
    made = sketch("Be brief.", "Sum 12 and 30", HASHES)
    assert row == {
        "id": "r1", "time": NOON, "kind": "exchange", "account": HASHES.account("a"),
        "key": HASHES.of("key", "sk", 16), "organisation": HASHES.of("organisation", "org", 16),
        "model": "m", "endpoint": "chat", "status": 429, "retry_after": 7.0, "tokens_in": 3,
        "tokens_out": 0, "payment": HASHES.of("payment", "card", 8),
        "address": HASHES.of("address", "10.1.2.3", 8), "network": HASHES.network("10.1.2.99"),
        "agent": HASHES.of("agent", "curl", 8),
        "signed_up": datetime.fromtimestamp(1_751_000_000, UTC), "system": made.system,
        "item": made.item, "skeleton": list(made.skeleton), "jailbreak": None, "extraction": None,
        "blobs_in": [HASHES.of("blob", blob, 8)], "blobs_out": None, "reasoning": True,
        "declared": bytes.fromhex("ab" * 32),
    }  # fmt: skip
    assert not notes.left_out
    assert not notes.unknown


@pytest.mark.parametrize(
    ("asked", "system", "text"),
    [
        ({"text": "hello"}, "", "hello"),
        ({"text": "hello", "system": "brief"}, "brief", "hello"),
        ({"text": "hello", "system": [{"type": "text", "text": "brief"}]}, "brief", "hello"),
        ({"prompt": "hello"}, "", "hello"),
        ({"prompt": ["hello", "there"]}, "", "hello\nthere"),
        ({"input": "hello", "system": "brief"}, "brief", "hello"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]},
         "", "hello"),
        ({"input": [{"role": "developer", "content": "brief"},
                    {"role": "user", "content": "hello"}]}, "brief", "hello"),
        ({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}, "", "hello"),
        ({"messages": '[{"role": "user", "content": "hello"}]'}, "", "hello"),
        ({"messages": "hello"}, "", "hello"),
        ({"messages": [{"role": ["user"], "content": "x"},
                       {"role": "user", "content": [{"type": []}]}]}, "", ""),
        ({"prompt": [1, 2, 3]}, "", ""),
        ({}, "", ""),
    ],
)  # fmt: skip
def test_what_was_asked_is_found_in_each_form_of_a_request(asked, system, text):
    row, _ = row_of(**asked)
    made = sketch(system, text, HASHES)
    assert (row["system"], row["item"]) == (made.system, made.item)
    assert (row["skeleton"] or []) == list(made.skeleton)


@law(200)
@given(st.integers(946_684_800_000_000, 4_102_444_799_999_999), st.data())
def test_a_time_is_the_same_however_it_is_written(micros, data):
    at = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
    written = data.draw(
        st.sampled_from(
            [
                at.isoformat(timespec="microseconds"),
                at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                micros,
                str(micros),
                micros * 1_000,
                f"{micros * 1_000 + 999}",
            ]
        )
    )
    assert fields.moment(written) == micros
    assert fields.moment(micros // 1_000) == micros // 1_000 * 1_000
    assert fields.moment(micros // 1_000_000) == micros // 1_000_000 * 1_000_000
    assert abs(fields.moment(micros / 1_000_000) - micros) <= 1


@pytest.mark.parametrize(
    "wrong",
    [None, "", "yesterday", "2026-07-01", "2026-07-01T12:00:00", "2026-13-01T12:00:00Z", 0, -1, 12,
     10**30, True, [], {}, float("nan"), float("inf"), "²", 1e300, 946_684_799, "9" * 20],
)  # fmt: skip
def test_what_is_no_time_of_such_a_log_is_refused(wrong):
    with pytest.raises(NoRowError, match="time is"):
        fields.moment(wrong)


def test_values_that_cannot_be_read_are_left_out_and_counted():
    row, notes = row_of(
        status="busy", tokens_in=-4, tokens_out=10**12, retry_after=1e9, agent=[1], declared="xy",
        signed_up="once", blobs_in="no", reasoning="yes", endpoint=7, colour="red", size=3,
    )  # fmt: skip
    names = (
        "status", "tokens_in", "tokens_out", "retry_after", "agent", "declared", "signed_up",
        "blobs_in", "reasoning", "endpoint",
    )  # fmt: skip
    assert [row[name] for name in names] == [None] * len(names)
    assert notes.left_out == dict.fromkeys(names, 1)
    assert notes.unknown == {"colour": 1, "size": 1}


def test_bans_and_sign_ups_are_rows():
    batch, _ = events(
        {"time": 1_782_907_200, "account": 17, "kind": "ban"},
        {"time": 1_782_907_200, "account": "17", "kind": "signup", "address": "::1"},
    )
    assert batch["kind"].to_pylist() == ["ban", "signup"]
    assert batch["account"].to_pylist() == [HASHES.account("17")] * 2
    with pytest.raises(NoRowError, match="kind is none of exchange, signup, ban"):
        events({"time": 1_782_907_200, "account": "a", "kind": "party"})


@pytest.mark.parametrize(
    ("written", "plain"),
    [("10.0.0.1", "10.0.0.1"), (" 10.0.0.1:443", "10.0.0.1"), ("10.0.0.1, 9.9.9.9", "10.0.0.1"),
     ("[2001:DB8::1]:80", "2001:db8::1"), ("::ffff:10.0.0.1", "10.0.0.1"),
     ("fe80::1%eth0", "fe80::1"), ("Somewhere", "somewhere"), ("999.1.1.1", "999.1.1.1")],
)  # fmt: skip
def test_an_address_has_one_form(written, plain):
    assert plain_address(written) == plain
    row, _ = row_of(address=written)
    assert row["address"] == HASHES.of("address", plain, 8)
    assert row["network"] == HASHES.network(plain)


class Longest:
    def __init__(self):
        self.asked = []

    def score(self, texts):
        self.asked.append(list(texts))
        lengths = np.array([len(text) for text in texts], np.float32)
        return -lengths, lengths


def test_distinct_texts_of_a_batch_are_scored_once():
    scorer = Longest()
    base = {"time": 1_782_907_200, "account": "a"}
    batch, _ = events(
        {**base, "text": "abc"}, {**base}, {**base, "text": "abc"},
        {**base, "text": "abc", "system": "be"}, scorer=scorer,
    )  # fmt: skip
    assert scorer.asked == [["abc", "be\nabc"]]
    assert batch["jailbreak"].to_pylist() == [-3.0, None, -3.0, -6.0]
    assert batch["extraction"].to_pylist() == [3.0, None, 3.0, 6.0]


_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)).map(  # noqa: DTZ001 - of UTC below
    lambda at: at.replace(tzinfo=UTC)
)
_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    str.strip
)
_ODDS = st.none() | st.floats(-30, 30, width=32)


def _bytes(size):
    return st.binary(min_size=size, max_size=size)


def _maybe(of):
    return st.none() | of


SKETCHED = st.fixed_dictionaries(
    {
        "id": _NAMES, "time": _TIMES, "kind": st.sampled_from(KINDS), "account": _bytes(16),
        "key": _maybe(_bytes(16)), "organisation": _maybe(_bytes(16)), "model": _maybe(_NAMES),
        "endpoint": _maybe(st.sampled_from(ENDPOINTS)), "status": _maybe(st.integers(0, 999)),
        "retry_after": _maybe(st.floats(0, 86_400, width=32)),
        "tokens_in": _maybe(st.integers(0, 10**8)), "tokens_out": _maybe(st.integers(0, 10**8)),
        **{name: _maybe(_bytes(8)) for name in ("payment", "address", "network", "agent", "system",
                                                "item")},
        "signed_up": _maybe(_TIMES),
        "skeleton": _maybe(st.sets(st.integers(0, 2**32 - 1), max_size=64).map(sorted)),
        "jailbreak": _ODDS, "extraction": _ODDS,
        "blobs_in": _maybe(st.lists(_bytes(8), max_size=4)),
        "blobs_out": _maybe(st.lists(_bytes(8), max_size=4)),
        "reasoning": _maybe(st.booleans()), "declared": _maybe(_bytes(32)),
    }
)  # fmt: skip
"""rows of events"""


@law(100)
@given(st.lists(SKETCHED, max_size=5))
def test_events_that_are_written_are_read_as_they_were(rows):
    batch = batch_of(rows)
    lines = write_native(batch, HASHES.keyid).splitlines()
    again, notes = events(*map(json.loads, lines))
    assert all(set(row) == set(SCHEMA.names) for row in rows)
    assert again.equals(batch)
    assert not notes.unknown
    assert not notes.left_out


def test_a_sketch_by_another_key_is_refused(tmp_path):
    batch, _ = events({"time": 1_782_907_200, "account": "a", "id": "x", "text": "hello"})
    (line,) = write_native(batch, OTHER.keyid).splitlines()
    with pytest.raises(NoRowError, match="hashed by another key"):
        events(json.loads(line))
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(write_native(batch, HASHES.keyid) + line)
    (found,) = open_log(mixed, HASHES).batches()
    assert (found.rows, found.refused_count) == (1, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"account": "ab"}, {"account": None}, {"skeleton": [3, 2]}, {"skeleton": [2, 2]},
     {"skeleton": [2**32]}, {"skeleton": [True]}, {"skeleton": list(range(65))}, {"item": "zz" * 8},
     {"jailbreak": "high"}, {"blobs_in": ["ab"]}, {"blobs_out": {}}, {"declared": 5}],
)  # fmt: skip
def test_a_sketch_that_is_none_is_refused(wrong):
    sketched = {"keyid": HASHES.keyid, "account": "ab" * 16, **wrong}
    with pytest.raises(NoRowError):
        events({"id": "x", "time": 1_782_907_200, "sketch": sketched})


def test_the_schema_is_kept():
    batch, _ = events()
    assert batch.schema == SCHEMA
    assert pa.table(batch).num_rows == 0
