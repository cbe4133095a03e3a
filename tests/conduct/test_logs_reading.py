"""Logs as files: their form, packed or not, broken, from a position on, in Parquet."""

import gzip
import io
import json
import random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz.mutations import BOMBS, OF_JSON
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.events import SCHEMA, Hashes
from mashbill.conduct.logs.columns import write_columns
from mashbill.conduct.logs.gathering import Options
from mashbill.conduct.logs.lines import Lines, NoRowError, object_of, plain
from mashbill.conduct.logs.native import write_native
from mashbill.conduct.logs.reading import open_log
from mashbill.core.errors import InputError
from mashbill.core.parsing import DEEPEST

HASHES = Hashes(b"k" * 32)
LITELLM = {
    "id": "1", "call_type": "acompletion", "status": "success", "startTime": 1_782_907_200.0,
    "metadata": {"user_api_key_user_id": "u"}, "messages": [{"role": "user", "content": "hello"}],
}  # fmt: skip
SPAN = {
    "traceId": "ab" * 16, "spanId": "cd" * 8, "startTimeUnixNano": "1782907200000000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "user.id", "value": {"stringValue": "u"}},
    ],
}  # fmt: skip
OTEL = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}


def native(number, **said):
    return {"id": f"r{number}", "time": 1_782_907_200 + number, "account": f"a{number % 7}",
            "text": f"What is {number} and {number}, in the words of a child?", **said}  # fmt: skip


def jsonl(*rows):
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def sketched(folder, *rows):
    (batch,) = open_log(written(folder / "plain", jsonl(*rows)), HASHES).batches()
    return write_native(batch.events, HASHES.keyid)


def written(path, data):
    path.write_bytes(data)
    return path


def read(path, *, rows=20_000, position=None, **more):
    return list(open_log(path, HASHES, **more).batches(position, rows))


def whole(batches):
    return pa.Table.from_batches([batch.events for batch in batches], SCHEMA).combine_chunks()


@pytest.mark.parametrize(
    ("data", "form"),
    [(jsonl(native(1)), "native"), (jsonl(LITELLM), "litellm"), (jsonl(OTEL), "otel"),
     (b"\xef\xbb\xbf" + jsonl(native(1)), "native"), (b"\n\n" + jsonl(LITELLM), "litellm"),
     (b"torn}\n" + jsonl(OTEL), "otel"), (jsonl(native(1))[:-1], "native"),
     (jsonl(LITELLM).replace(b"\n", b"\r\n"), "litellm")],
)  # fmt: skip
def test_the_form_is_told_by_what_is_in_the_file(tmp_path, data, form):
    log = open_log(written(tmp_path / "log", data), HASHES)
    assert log.form == form
    assert sum(batch.rows for batch in log.batches()) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [(b'{"a": 1}\n', "has the keys 'a'"), (b"text\n", "is not JSON"), (b"[]\n", "no object"),
     (b"{}\n", "empty object"), ('{"time": 1}\n'.encode("utf-16"), "UTF-16"),
     (b"x" * 9_000_000 + b"\ny\n", "is not JSON")],
)  # fmt: skip
def test_a_file_of_no_known_form_is_told(tmp_path, data, said):
    with pytest.raises(InputError, match=said):
        open_log(written(tmp_path / "log", data), HASHES)


def test_what_is_no_file_and_what_is_no_form_are_told(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        open_log(tmp_path / "none", HASHES)
    with pytest.raises(InputError, match="is no file"):
        open_log(tmp_path, HASHES)
    path = written(tmp_path / "log", jsonl(LITELLM))
    with pytest.raises(InputError, match="'csv' of a log is none of native"):
        open_log(path, HASHES, form="csv")
    with pytest.raises(InputError, match="account_by is 'card'"):
        read(path, options=Options(account_by="card"))


def test_an_empty_file_has_no_batches(tmp_path):
    assert read(written(tmp_path / "log", b"")) == []


def test_an_option_says_which_field_is_the_account(tmp_path):
    row = {**LITELLM, "end_user": "e"}
    path = written(tmp_path / "log", jsonl(row))
    (batch,) = read(path, options=Options(account_by="end_user"))
    assert batch.events["account"].to_pylist() == [HASHES.account("e")]


def test_packed_logs_are_read_as_plain_ones(tmp_path):
    data = jsonl(*map(native, range(50)))
    expected = whole(read(written(tmp_path / "log", data)))
    out = io.BytesIO()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
        stream.flush()
        packed = {"gz": gzip.compress(data), "zst": None}
    packed["zst"] = pa.compress(data, "zstd", asbytes=True)
    for ending, each in packed.items():
        path = written(tmp_path / f"log.{ending}", each)
        assert whole(read(path)).equals(expected)
        first, *_ = read(path, rows=20)
        again = read(path, position=json.loads(json.dumps(first.position)))
        assert whole([first, *again]).equals(expected)


def test_of_a_packed_file_that_ends_too_early_the_rows_before_it_are_read(tmp_path):
    noise = random.Random(5)
    rows = [native(n, agent=noise.randbytes(400).hex()) for n in range(3_000)]
    path = written(tmp_path / "log.gz", gzip.compress(jsonl(*rows))[:-5_000])
    batches = []
    with pytest.raises(InputError, match="not a whole one"):
        batches.extend(open_log(path, HASHES).batches(rows=100))
    assert sum(batch.rows for batch in batches) > 2_000


def test_bad_lines_are_refused_with_their_place_and_the_others_are_read(tmp_path):
    long = json.dumps(native(2, text="x" * 9_000_000)).encode()
    data = b"\n".join(
        [jsonl(native(1))[:-1], long, b"no", b"", b'"text"', b'{"time": 5, "account": "a"}',
         b'{"time": "2026-07-01T00:00:00Z"}', b"[" * 300 + b"]" * 300, jsonl(native(3))[:-1], b""]
    )  # fmt: skip
    (batch,) = read(written(tmp_path / "log", data))
    assert batch.events["id"].to_pylist() == ["r1", "r3"]
    assert (batch.refused_count, batch.passed) == (6, 1)
    said = {each.line: each.reason for each in batch.refused}
    assert list(said) == [2, 3, 5, 6, 7, 8]
    assert said[2] == "has more than 8,388,608 bytes"
    assert "is not JSON" in said[3]
    assert "no object" in said[5]
    assert "time is '5'" in said[6]
    assert "account is not there" in said[7]


def test_a_line_may_be_longer_where_an_option_says_so(tmp_path):
    path = written(tmp_path / "log", jsonl(native(1), native(2, text="x" * 500)))
    (batch,) = read(path, options=Options(longest_line=300))
    assert (batch.rows, batch.refused_count) == (1, 1)


@pytest.mark.parametrize("count", [3, 5_000])
def test_a_log_of_which_nothing_can_be_read_is_an_error(tmp_path, count):
    rows = [{"time": "never", "account": "a"}] * count
    path = written(tmp_path / "log", jsonl(*rows) + (jsonl(native(1)) if count > 1_000 else b""))
    looked = min(count, 1_000)
    with pytest.raises(InputError, match=f"none of the {looked:,} rows .* line 1 time is 'never'"):
        read(path)


def test_half_a_line_at_the_end_is_left_for_later(tmp_path):
    path = written(tmp_path / "log", jsonl(native(1), native(2))[:-20])
    (batch,) = read(path)
    assert batch.rows == 1
    assert batch.half == len(jsonl(native(2))) - 20
    path.write_bytes(jsonl(native(1), native(2), native(3)))
    (rest,) = read(path, position=batch.position)
    assert rest.events["id"].to_pylist() == ["r2", "r3"]


def test_a_whole_last_line_without_an_end_is_read_once(tmp_path):
    path = written(tmp_path / "log", jsonl(native(1), native(2))[:-1])
    (batch,) = read(path)
    assert (batch.rows, batch.half) == (2, 0)
    path.write_bytes(jsonl(native(1), native(2), native(3)) + b"bad\n")
    (rest,) = read(path, position=batch.position)
    assert rest.events["id"].to_pylist() == ["r3"]
    assert rest.refused[0].line == 4
    assert rest.passed == 0
    assert read(path, position=rest.position) == []


def test_a_position_in_another_file_is_refused(tmp_path):
    path = written(tmp_path / "log", jsonl(*map(native, range(9))))
    first, *_ = read(path, rows=5)
    path.write_bytes(jsonl(*map(native, range(20, 29))))
    with pytest.raises(InputError, match="is not the file of this position"):
        read(path, position=first.position)
    path.write_bytes(jsonl(native(0)))
    with pytest.raises(InputError, match="fewer bytes than were read"):
        read(path, position=first.position)
    for wrong in ({}, {"form": "otel"}, {**first.position, "offset": -1}):
        with pytest.raises(InputError, match="no position in a log"):
            read(path, position=wrong)


PIECES = st.lists(
    st.one_of(
        st.integers(0, 99).map(lambda n: jsonl(native(n))),
        st.sampled_from([b"\n", b"bad\n", b"\r\n", jsonl(LITELLM), b"{}\n", b"x" * 700 + b"\n"]),
    ),
    max_size=12,
)


@law(60)
@given(PIECES, st.integers(1, 5), st.booleans())
def test_from_every_position_on_the_rest_is_read_and_no_line_is_lost(
    tmp_path_factory, pieces, rows, ended
):
    data = jsonl(native(100)) + b"".join(pieces) + (b"" if ended else jsonl(native(101))[:-1])
    path = written(tmp_path_factory.mktemp("laws") / "log", data)
    options = Options(longest_line=500)
    batches = read(path, rows=rows, options=options)
    count = len(data.splitlines())
    assert sum(b.rows + b.refused_count + b.passed for b in batches) == count
    for number, batch in enumerate(batches, 1):
        rest = read(path, position=json.loads(json.dumps(batch.position)), options=options)
        assert whole(rest).equals(whole(batches[number:]))
        assert sum(b.refused_count for b in rest) == sum(b.refused_count for b in batches[number:])


@pytest.mark.parametrize("form", ["native", "sketched", "litellm", "otel"])
def test_whatever_a_log_is_no_row_is_lost_and_nothing_but_our_error_raised(tmp_path, form):
    valid = {
        "native": jsonl(*map(native, range(4))),
        "sketched": sketched(tmp_path, *map(native, range(4))),
        "litellm": jsonl(*[LITELLM] * 4),
        "otel": jsonl(*[OTEL] * 4),
    }[form]
    rng = random.Random(form)
    path = tmp_path / "log"
    told = "native" if form == "sketched" else form
    for turn in range(250):
        data = rng.choice(OF_JSON)(rng, valid)
        for _ in range(rng.randrange(3)):
            data = rng.choice(OF_JSON)(rng, data)
        if turn < len(BOMBS):
            data = BOMBS[turn]
        path.write_bytes(data + jsonl(native(1)) * (form == "native") * rng.randrange(2))
        try:
            batches = read(path, form=told)
        except InputError:
            continue
        stood = path.read_bytes()
        found = sum(b.rows + b.refused_count + b.passed for b in batches)
        left = sum(bool(b.half) for b in batches)
        if form == "otel":  # a line may have no span, one, or two of a spliced object
            assert found + left >= len(stood.rstrip(b"\n").split(b"\n")) or not stood
        else:
            assert found + left == stood.count(b"\n") + (stood[-1:] not in (b"\n", b""))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@law(300)
@given(JSON, st.integers(0, 400), st.booleans())
def test_both_readers_of_a_line_take_and_refuse_the_same(value, deep, ascii_only):
    text = json.dumps({"a": value}, ensure_ascii=ascii_only)
    text = text.replace('"a"', '"a": ' + "[" * deep + "]" * deep + ', "b"', 1)
    line = text.encode("utf-8", "surrogatepass")

    def taken(reader):
        try:
            return repr(reader(line))
        except (ValueError, RecursionError):
            return None

    assert taken(plain) == taken(orjson.loads)
    try:
        assert repr(object_of(line)) == taken(plain)
    except NoRowError:
        assert taken(plain) is None or deep > DEEPEST - 1


@law(200)
@given(st.lists(st.binary(max_size=40)), st.integers(1, 30), st.integers(1, 17))
def test_lines_are_those_of_the_bytes_however_they_come(parts, longest, size):
    data = b"\n".join(parts)

    class Slow(io.BytesIO):
        def read(self, most=-1):
            del most
            return super().read(size)

    found = Lines(Slow(data), 0, longest)
    given_out, ends = [], []
    for line in found:
        given_out.append(line)
        ends.append((found.offset, found.near))
    *expected, rest = data.split(b"\n")
    assert given_out == [line if len(line) <= longest else None for line in expected]
    assert found.within == len(rest)
    at = 0
    for line, (offset, near) in zip(expected, ends, strict=True):
        at += len(line) + 1
        assert offset == at
        assert near == line[-256:]


def test_events_in_parquet_are_read_as_they_were_written(tmp_path):
    events = whole(read(written(tmp_path / "log", jsonl(*map(native, range(500))))))
    path = tmp_path / "log.parquet"
    assert write_columns(events.to_batches(max_chunksize=70), path, HASHES.keyid) == 500
    assert whole(read(path)).equals(events)
    first, *_ = read(path, rows=33)
    assert first.rows == 33
    assert whole([first, *read(path, position=first.position)]).equals(events)
    with pytest.raises(InputError, match="was hashed by the key"):
        list(open_log(path, Hashes(b"o" * 32)).batches())


def test_plain_words_in_parquet_are_hashed(tmp_path):
    rows = [
        {**native(n), "messages": [{"role": "user", "content": f"say {n}", "name": None}],
         "more": n, "text": None}
        for n in range(9)
    ]  # fmt: skip
    rows[4]["account"] = None
    path = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    batch, *others = read(path)
    assert not others
    assert (batch.rows, batch.refused_count, batch.refused[0].line) == (8, 1, 5)
    assert batch.unknown == {"more": 1}
    del rows[4]
    as_lines = written(tmp_path / "log.jsonl", jsonl(*rows))
    assert whole([batch]).equals(whole(read(as_lines)))


def test_rows_of_events_that_are_none_are_refused(tmp_path):
    events = whole(read(written(tmp_path / "log", jsonl(*map(native, range(6)))))).to_pylist()
    events += [events[0], events[0], events[0]]
    events[6:] = [dict(each) for each in events[6:]]
    events[6]["blobs_in"] = [b"x" * 8] * 300
    events[7]["jailbreak"] = float("nan")
    events[8]["extraction"] = float("inf")
    events[1]["account"] = None
    events[2]["kind"] = "party"
    events[3]["skeleton"] = [5, 4]
    events[4]["skeleton"] = list(range(65))
    events[5]["skeleton"] = [1, None]
    loose = pa.schema([field.with_nullable(nullable=True) for field in SCHEMA])
    table = pa.Table.from_pylist(events, loose)
    table = table.replace_schema_metadata({"mashbill.conduct.keyid": HASHES.keyid})
    path = tmp_path / "log.parquet"
    pq.write_table(table, path)
    (batch,) = read(path)
    assert batch.events["id"].to_pylist() == ["r0"]
    assert [each.line for each in batch.refused] == [2, 3, 4, 5, 6, 7, 8, 9]


def test_parquet_that_is_damaged_or_of_other_things_is_told(tmp_path):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match="no columns time and account"):
        read(path)
    data = path.read_bytes()
    for cut in (4, 20, len(data) - 3):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError):
            read(path)
    wrong = pa.table({"id": ["x"], "time": ["y"], "kind": ["exchange"], "account": [b"z"]})
    pq.write_table(wrong.replace_schema_metadata({"mashbill.conduct.keyid": HASHES.keyid}), path)
    with pytest.raises(InputError, match="column 'time'"):
        read(path)
