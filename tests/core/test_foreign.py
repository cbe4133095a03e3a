"""Numbers that somebody else wrote: each is read within bounds, whatever stands there."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table
from typer.testing import CliRunner

from mashbill.calls import upkeep as keeping
from mashbill.cli import app
from mashbill.client.limits import LONGEST_HOLD, Asked, Pace, asked_to_wait, retry_after
from mashbill.client.waiting import Telling
from mashbill.conduct import statement
from mashbill.core import foreign
from mashbill.core.errors import InputError, MashbillError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
QUICK = law(150)

ABSURD = [
    "1e400", str(10**20), "inf", "Infinity", "+inf", "9" * 150, "99999999999d", "86401", "25h",
    "9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT", "1e308", "100000h", "1e9", "999e9999",
    "9" * 400 + "s", "86400001ms", "2026-11-26T12:00:00+00:00",
]  # fmt: skip
NO_WAIT = [
    "-5", "-1e400", "-inf", "nan", "NaN", "", " ", "soon", "7 apples", "0x10", "1_0", "٣", "٣s",
    "1e", "Tue, 24 Nov 99999999999999999999 12:00:30 GMT", "null", "[1]", "1.2.3", "--1", "1s junk",
    "\x00", "1,5", "1;5", "true", "Tue, 99 Nov 2026 12:00:30 GMT", "2026-13-01T00:00:00Z", "s",
]  # fmt: skip
WAITS = {
    "7": 7, " 7 ": 7, "+7": 7, "07": 7, "1.5": 1.5, ".5": 0.5, "5.": 5, "1e2": 100, "0": 0, "-0": 0,
    "6m0s": 360, "250ms": 0.25, "1h2m": 3720, "1d": 86400, "86400": 86400,
    "2026-11-24T12:00:09Z": 9, "2026-11-24T13:00:09+01:00": 9, "2026-11-24T12:00:09": 9,
    "Tue, 24 Nov 2026 12:00:30 GMT": 30, "Tue, 24 Nov 2026 12:00:30 -0000": 30,
    "2020-01-01T00:00:00Z": 0, "Tue, 24 Nov 2020 12:00:30 GMT": 0, "0001-01-01T00:00:00Z": 0,
    "0001-01-01T00:00:00+23:59": None, "9999-12-31T23:59:59-23:59": None,
    str(int(NOW.timestamp()) + 5): 5, str(int(NOW.timestamp() * 1000) + 5000): 5, "1000000001": 0,
}  # fmt: skip


@table("said", ABSURD)
@table("name", ["retry-after", "retry-after-ms"])
def test_an_absurd_wait_is_not_believed_and_said_so(name, said):
    if name == "retry-after-ms" and said in {"86401", "25h"}:
        return
    asked = asked_to_wait({name: said}, NOW)
    assert (asked.seconds, asked.is_believed) == (None, False)
    assert asked.header.lower().startswith(f"{name}: ")
    assert len(asked.header) < 90
    assert retry_after({name: said}, NOW) is None


@table("said", NO_WAIT)
def test_what_is_no_wait_is_as_if_it_were_not_there(said):
    asked = asked_to_wait({"retry-after": said}, NOW)
    assert (asked.seconds, asked.is_believed) == (None, True)


@table(("said", "seconds"), WAITS.items())
def test_waits_are_read_in_every_spelling(said, seconds):
    assert foreign.wait(said, NOW) == seconds


def test_milliseconds_that_are_none_give_way_to_seconds():
    assert asked_to_wait({"retry-after-ms": "1e400", "retry-after": "2"}, NOW).seconds == 2
    assert asked_to_wait({}, NOW) == Asked()


HEADERS = [
    "retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "ratelimit-limit",
    "ratelimit-remaining", "ratelimit-reset", "x-ratelimit-limit", "x-ratelimit-remaining",
    "x-ratelimit-reset",
    *(f"x-ratelimit-{w}-{u}" for w in ("limit", "remaining", "reset")
      for u in ("requests", "tokens")),
    *(f"anthropic-ratelimit-{u}-{w}" for w in ("limit", "remaining", "reset")
      for u in ("requests", "tokens", "input-tokens", "output-tokens")),
]  # fmt: skip
NUMBERS = (
    st.integers().map(str) | st.floats().map(str) | st.integers(0, 99).map(lambda n: f"{n}s")
    | st.sampled_from([*ABSURD, *NO_WAIT, *WAITS, "d;r=0;t=5", "d;q=1;w=1", "d;q=0;w=0",
                       "d;r=0;t=" + "9" * 50, "d;q=" + "9" * 50 + ";w=60"])
    | st.text(max_size=20) | st.binary(max_size=20).map(lambda b: b.decode("latin-1"))
)  # fmt: skip


@QUICK
@given(st.lists(st.dictionaries(st.sampled_from(HEADERS), NUMBERS), max_size=4), st.floats(0, 1e5))
def test_no_headers_make_a_wait_that_is_endless_or_a_limit_that_is_absurd(responses, tokens):
    pace = Pace()
    for now, headers in enumerate(responses):
        pace.learn(headers, float(now))
        asked = asked_to_wait(headers, NOW)
        assert asked.seconds is None or 0 <= asked.seconds <= foreign.LONGEST_BELIEVED
        assert all(0 < limit < 1e13 for limit in pace.seen.values())
        held = max(pace.held_until - now, 0.0)
        assert held <= foreign.LONGEST_BELIEVED + 1
        for _ in range(3):
            pace.take(tokens)
            pace.settle(tokens, 1e8)
        # What a bucket holds back is filled within the longest wait, whatever was drawn.
        assert 0 <= pace.wait(tokens, float(now)) <= max(held, LONGEST_HOLD) + 1
        assert math.isfinite(pace.wait(tokens, float(now)))
        assert isinstance(pace.holder(tokens, float(now)), str)


@pytest.mark.parametrize(
    ("headers", "left_out"),
    [
        ({"x-ratelimit-limit-requests": "1e-300"}, "a limit of 1e-300 requests"),
        ({"x-ratelimit-limit-requests": "0.01"}, "a limit of 0.01 requests"),
        ({"x-ratelimit-limit-requests": "1e300"}, "a limit of 1e300 requests"),
        ({"x-ratelimit-limit-requests": "nan"}, "a limit of nan requests"),
        ({"x-ratelimit-limit-requests": "-60"}, "a limit of -60 requests"),
        ({"x-ratelimit-limit-requests": "0"}, ""),
        ({"x-ratelimit-limit-tokens": "1"}, ""),
        ({"ratelimit-policy": "d;q=60;w=60", "ratelimit": "d;r=0;t=9999999"}, "ratelimit: 9999999"),
        ({"anthropic-ratelimit-requests-limit": "60", "anthropic-ratelimit-requests-remaining": "0",
          "anthropic-ratelimit-requests-reset": "9999-12-31T00:00:00Z"}, "9999-12-31T00:00:00Z"),
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "9d"},
         "x-ratelimit-reset: 9d"),
    ],
)  # fmt: skip
def test_a_limit_that_is_out_of_bounds_is_left_out_and_said(headers, left_out):
    pace = Pace()
    pace.learn(headers, 0.0)
    assert left_out in pace.unbelieved
    assert bool(pace.unbelieved) == bool(left_out)
    assert pace.held_until == 0


def test_less_than_nothing_that_remains_is_nothing():
    pace = Pace()
    headers = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "-1e300"}
    pace.learn(headers, 0.0)
    assert pace.wait(1, 0.0) <= 1


ODD = [None, True, False, "5", "", [], {}, [5], {"a": 5}, -1, -0.5, 0.5, 10**30, 1e30, 10**400,
       float("nan"), float("inf"), float("-inf"), 2**63, foreign.MOST_TOKENS + 1]  # fmt: skip


@table("value", ODD)
def test_what_is_no_count_is_none(value):
    assert foreign.count(value, foreign.MOST_TOKENS) is None


@pytest.mark.parametrize("value", [5000.0, 0.02, 1, 1e308, 10**400, True, "\u22121", "-1", None, [],
                                   float("nan"), float("inf"), float("-inf")])  # fmt: skip
def test_what_is_no_log_probability_is_none(value):
    assert foreign.logprob(value) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
)


@pytest.mark.parametrize("value", [10**400, -(10**400), 2**1024, "1e400", "-1e400", 1e308, 2**4000])
def test_no_number_is_too_large_to_be_read(value):
    assert isinstance(foreign.number(value, -math.inf, math.inf), float)
    assert foreign.number(value, -5, 5) is None


@QUICK
@given(JSON)
def test_whatever_is_read_is_none_or_within_its_bounds(value):
    found = foreign.count(value)
    assert found is None or (isinstance(found, int) and 0 <= found <= foreign.MOST)
    found = foreign.logprob(value)
    assert found is None or foreign.UNLIKELY <= found <= 0
    found = foreign.number(value, -5, 5)
    assert found is None or -5 <= found <= 5
    assert 0 <= foreign.held(value) <= foreign.LONGEST_BELIEVED
    found = foreign.moment(value)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize("value", [1e400, float("nan"), -1e18, 10**400, 2**63, True, "", "soon",
                                   "9" * 5000, "0001-01-01T00:00:00+23:59", [], {}])  # fmt: skip
def test_a_time_that_is_none_is_none(value):
    assert foreign.moment(value) is None


# -- what others hand on: exports of journals and statements of conduct ----------------------------

ODD_VALUES = [None, True, -1, 1e308, 10**30, 10**400, float("nan"), float("inf"), float("-inf"),
              "x", "\ud800", "\0", [], {}, [[]], [5000.0], [float("nan")], ["x"]]  # fmt: skip


@pytest.fixture(scope="module")
def journal_of_one(tmp_path_factory):
    from client.test_http import recipe, run

    folder = tmp_path_factory.mktemp("journal")
    teacher = 'kind = "fake-service"\nwords.a = ["x"]\nwords.b = ["y"]\n'
    run(recipe(folder / "r", teacher, rows=1), folder / "s")
    keeping.export(folder / "s" / "calls.sqlite", folder / "export.jsonl")
    return folder


def test_an_export_with_anything_in_any_place_is_taken_in_or_refused(journal_of_one, tmp_path):
    head, line = (journal_of_one / "export.jsonl").read_text().splitlines()
    row, file = json.loads(line), tmp_path / "odd.jsonl"
    texts = ['{"bought": ' + "[" * 5000, "\ud800".encode("utf-8", "surrogatepass"), "", "5", "[]",
             '{"bought": {}}', '{"call": {}}', '{"call": 5}', "{" * 9000]  # fmt: skip
    for holder in (row["bought"], row["bought"]["question"], row["bought"]["answer"]):
        for name in list(holder):
            kept = holder[name]
            empty = [[], {}] if kept == [] else []  # all three are read as none
            for odd in (odd for odd in ODD_VALUES if odd not in empty):
                holder[name] = odd
                texts.append(json.dumps(row))
            holder[name] = kept
    call = {"request": "x", "teacher": {}, "prefix": "", "body": "", "choices": [], "logprobs": [],
            "tokens": 1, "price": 0.0, "at": "", "text": "", "more": ""}  # fmt: skip
    for name in call:
        texts += [json.dumps({"call": call | {name: odd}}) for odd in ODD_VALUES]
    refused = 0
    target = tmp_path / "taken.sqlite"
    for text in texts:
        data = text if isinstance(text, bytes) else text.encode()
        file.write_bytes(head.encode() + b"\n" + data + b"\n")
        try:
            keeping.take_in(target, file)
        except InputError as error:
            refused += "odd.jsonl, line 2" in str(error)
    assert refused == len(texts)
    assert keeping.take_in(target, journal_of_one / "export.jsonl") == (1, 0)


def test_a_statement_with_anything_in_any_place_is_checked_or_refused(journal_of_one, tmp_path):
    (folder,) = [journal_of_one / "s"]
    file = tmp_path / "statement.json"
    done = CliRunner().invoke(
        app, ["conduct", "statement", "latest", "--to", str(file), "--store", str(folder)]
    )
    assert done.exit_code == 0, done.output
    whole = json.loads(file.read_text())
    event = ["r", "2026-11-24T12:00:00+00:00", "rate-limited", "a", "", '{"held": 1}']
    texts = ["[" * 100_000, '{"statement": ' + "[" * 5000 + "]" * 5000 + "}", "5", "", "null",
             '{"statement": ' + "9" * 5000 + "}"]  # fmt: skip
    for odd in ODD_VALUES:
        texts += [json.dumps(whole | {key: odd}) for key in whole if odd not in ([], {})]
        for place in range(len(whole["calls"][0])):
            record = list(whole["calls"][0])
            record[place] = odd
            texts.append(json.dumps(whole | {"calls": [record]}))
        for place in range(6):
            told = list(event)
            told[place] = odd
            texts.append(json.dumps(whole | {"events": [told]}))
    for held in ["1e400", "1e20", "-1", "null", '"x"', "[]", "9" * 4000]:
        texts.append(json.dumps(whole | {"events": [[*event[:5], f'{{"held": {held}}}']]}))
    for at in ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00", "x", "2026-11-24"]:
        texts.append(json.dumps(whole | {"events": [[event[0], at, *event[2:]]]}))
    assert statement.check(file).holds
    for text in texts:
        file.write_text(text)
        try:
            assert not statement.check(file).holds
        except MashbillError as error:
            assert "statement.json" in str(error)  # noqa: PT017


def test_waits_are_told_at_once_and_the_same_ones_not_all_the_time():
    said = []
    telling = Telling("h, model m", said.append)
    for now in range(0, 600, 6):
        telling.waits(6.0, "the limit of 10 requests a minute", float(now))
    assert 4 <= len(said) <= 6
    telling.waits(700.0, "Retry-After: 700", 600.0)
    assert "waits 700 s" in said[-1]
    before = len(said)
    telling.waits(650.0, "Retry-After: 650", 640.0)
    assert len(said) == before, "it ends no later than what was told"
    telling.waits(2.0, "Retry-After: 2", 2000.0)
    assert len(said) == before, "it is too short to be worth a line"
