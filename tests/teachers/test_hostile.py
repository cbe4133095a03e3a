"""Whatever a service answers is an answer or a told failure, over every wire, and never more."""

import contextlib
import json
import math

import orjson
import pytest
from client.wire.known_shapes import ANSWERS, STREAMS, WIRES, shape, stream, wire_of
from client.wire.test_laws import mutated, places
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill.client.order import Answered, Refused
from mashbill.client.prices import Price
from mashbill.client.wire import WireError
from mashbill.client.wire.batching import Item, State
from mashbill.core import foreign
from mashbill.core.teacher import Question
from mashbill.teachers.format import Format
from mashbill.teachers.services import batches_of

PRICE = Price(known=True, table="", _of=lambda counts: sum(counts) / 1e6)
PROMPT = Question("", "Say a word.")
CHOICE = Question("", "Good or bad?", ("good", "bad"))
CHAT = WIRES["openai-chat"]


def form(wire, *, streams=False):
    logprobs = 0 if wire.name == "anthropic" else 20
    return Format(wire, "m-1", "a", PRICE, 64, logprobs=logprobs, stream=streams)


def outcome(wire, body, *, status=200, question=PROMPT, streams=False):
    """Return what is made of a body; it is held to what holds of every outcome."""
    read = form(wire, streams=streams).order(question, "0" * 64).read
    found = read(status, {}, body)
    if isinstance(found, Refused):
        assert found.reason
        found.reason.encode()
        assert found.wait is None or 0 <= found.wait < math.inf
        return found
    assert isinstance(found, Answered)
    answer = found.answer
    assert answer.failed or answer.text.strip() or answer.tool_calls or answer.logprobs
    called = [said for call in answer.tool_calls for said in call.value().values()]
    kept = answer.opaque.to_json() if answer.opaque is not None else ""
    for said in (answer.text, answer.failed, *called, answer.reasoning, kept, answer.finish,
                 found.served):  # fmt: skip
        said.encode()
        assert "\0" not in said
    assert all(type(value) is float and -1e5 < value <= 0 for value in answer.logprobs)
    assert len(answer.logprobs) in (0, len(question.choices))
    for tokens in (found.tokens_in, found.tokens_out, found.tokens_cached, answer.tokens):
        assert type(tokens) is int
        assert 0 <= tokens <= 4 * foreign.MOST_TOKENS
    assert 0 <= found.price < 1e6
    return found


DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b"1" * 5000
RAW = [
    b"", b" ", b"null", b"true", b"0", b"1e400", b"NaN", b"Infinity", b'"', b'""', b"[]", b"{}",
    b"[{}]", DEEP, b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, LONG, b"-" + LONG,
    b"1." + LONG, b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00", b'{"choices": \xff}', b'"\\ud800"',
    b'{"choices": [{"message": {"content": "\xed\xa0\x80"}}]}', b"data: [DONE]\n\n",
    b"data: " + LONG + b"\n\n",
    b"data: " + b"[" * 100_000 + b"\n\n", b"data: {}\n\ndata: [DONE]\n\n",
    b"event: " + b"x" * 9_999 + b"\n\n", b"data: \xff\n\n", b"data: {\n\n", b"\r\r\r", b":\n" * 999,
    b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}", b'{"error": {"code": ' + b"9" * 4000 + b"}}",
    b'{"error": {"message": "\\ud800"}}', b'{"error": {"type": ["rate_limit"]}}',
]  # fmt: skip
STATUSES = [0, 100, 200, 204, 301, 400, 401, 403, 404, 418, 429, 500, 503, 529, 599, 999]


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("streams", [False, True])
def test_no_body_at_all_is_more_than_a_told_failure(name, streams):
    for body in RAW:
        for question in (PROMPT, CHOICE):
            found = outcome(WIRES[name], body, question=question, streams=streams)
            assert isinstance(found, Refused) or found.answer.failed
        for status in STATUSES:
            outcome(WIRES[name], body, status=status)


@pytest.mark.parametrize("name", WIRES)
@law(60)
@given(st.binary(max_size=200), st.sampled_from(STATUSES), st.booleans())
def test_any_bytes_are_read_or_refused(name, body, status, streams):
    outcome(WIRES[name], body, status=status, streams=streams)


HOSTILE = st.sampled_from([
    "1e400", "-1e400", "1e308", "-1e308", "9" * 5000, "-" + "9" * 5000, str(10**30), str(2**63),
    str(2**64), "-1", "0.5", "5000.0", "true", "false", "null", '"5"', '"-5"', '""', '" "', "{}",
    "[]", "[[]]", "[null]", '[{"a": null}]', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc00x"',
    '"\\ufffe"', '"\\u202e"', '"\\u001b[2J"', "[" * 1500 + "]" * 1500, "[" * 800 + "]" * 800,
    '{"":' * 700 + "1" + "}" * 700, '"' + "x" * 70_000 + '"', "NaN", "Infinity", "-Infinity", "1.0",
    '{"type": "text", "text": 5}', '{"error": "x"}', "1e-400", "-0.0", "0.001", "1", '"stop"',
])  # fmt: skip


def with_raw(value, at, raw):
    """Return a JSON text in which raw text stands at a place."""
    mark = "@@ here @@"
    return json.dumps(mutated(value, at, mark, gone=False)).replace(json.dumps(mark), raw)


@pytest.mark.parametrize("name", ANSWERS)
@law(60)
@given(st.data())
def test_a_valid_answer_with_anything_at_any_place_is_read_or_refused(name, data):
    body = shape(name)
    for _ in range(data.draw(st.integers(0, 1))):
        body = mutated(body, data.draw(st.sampled_from(places(body))), None, gone=True)
    found = places(body)
    text = with_raw(body, data.draw(st.sampled_from(found)), data.draw(HOSTILE)) if found else "{}"
    for question in (PROMPT, CHOICE):
        outcome(wire_of(name), text.encode(), question=question)


@pytest.mark.parametrize("name", STREAMS)
@law(40)
@given(st.data())
def test_a_valid_stream_with_anything_at_any_place_is_read_or_refused(name, data):
    lines = stream(name).decode().split("\n")
    events = [n for n, line in enumerate(lines) if line.startswith("data: {")]
    number = data.draw(st.sampled_from(events))
    value = json.loads(lines[number].removeprefix("data: "))
    text = with_raw(value, data.draw(st.sampled_from(places(value))), data.draw(HOSTILE))
    lines[number] = f"data: {text}"
    outcome(wire_of(name), "\n".join(lines).encode(), streams=True,
            question=data.draw(st.sampled_from([PROMPT, CHOICE])))  # fmt: skip


# -- log-probabilities -----------------------------------------------------------------------------

BAD = ["5000.0", "1", "0.5", "1e308", "1e400", "NaN", "Infinity", "-Infinity", "-1e400", '"-0.1"',
       "true", "null", "[]", "{}", "9" * 5000]  # fmt: skip
GOOD = {"-0.1": -0.1, "0": 0.0, "-0.0": 0.0, "0.001": 0.0, "-9999.0": -9999.0, "-1e308": -9999.0,
        "-" + "9" * 300: -9999.0}  # fmt: skip


def choosing(raw):
    word = "good"
    top = [{"token": "bad", "logprob": -2.0}, {"token": word, "logprob": "@@"}]
    place = {"token": word, "logprob": "@@", "top_logprobs": top}
    body = {
        "model": "m", "choices": [{"index": 0, "finish_reason": "length", "logprobs":
            {"content": [place]}, "message": {"role": "assistant", "content": word}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }  # fmt: skip
    return json.dumps(body).replace('"@@"', raw).encode()


@table("raw", BAD)
@table("streams", [False, True])
def test_what_is_no_log_probability_rejects_the_answer_with_the_reason(raw, streams):
    body = choosing(raw)
    if streams:
        body = b"data: " + body.replace(b'"message"', b'"delta"') + b"\n\ndata: [DONE]\n\n"
    found = outcome(CHAT, body, question=CHOICE, streams=streams)
    assert isinstance(found, Refused)
    if raw in {"5000.0", "1", "0.5", "true", "null", '"-0.1"', "1e308"}:
        assert "log-probability" in found.reason
        assert not found.retry


@pytest.mark.parametrize("raw", GOOD)
def test_what_is_one_within_rounding_is_used(raw):
    found = outcome(CHAT, choosing(raw), question=CHOICE)
    assert isinstance(found, Answered)
    assert not found.answer.failed
    assert found.answer.logprobs[0] == pytest.approx(GOOD[raw]) or GOOD[raw] == -9999.0


# -- counts ----------------------------------------------------------------------------------------

USAGE = {
    "openai-chat.plain": ("usage", "prompt_tokens"), "anthropic.plain": ("usage", "output_tokens"),
    "openai-completions.plain": ("usage", "completion_tokens"),
    "openai-responses.plain": ("usage", "input_tokens"),
    "gemini.plain": ("usageMetadata", "promptTokenCount"),
}  # fmt: skip
NO_COUNTS = ["-1", "0.5", '"5"', "true", "[5]", '{"a": 5}', "null", "-1e400", "NaN"]
BEYOND = [str(10**30), "1e30", str(2**63), "1e9", str(foreign.MOST_TOKENS + 1), "1e400"]


@table("name", USAGE)
@table("raw", NO_COUNTS)
def test_what_is_no_count_of_tokens_is_as_good_as_absent_and_loses_no_answer(name, raw):
    found = outcome(wire_of(name), with_raw(shape(name), USAGE[name], raw).encode())
    assert isinstance(found, Answered)
    assert found.answer.text == wire_of(name).read(shape(name)).text
    assert "tokens-guessed" in found.flags
    assert raw == "null" or f"odd: {USAGE[name][1]}" in found.flags
    assert min(found.tokens_in, found.tokens_out) > 0


@table("name", USAGE)
@table("raw", BEYOND)
def test_a_count_beyond_all_bounds_is_no_price_and_the_answer_is_kept_unread(name, raw):
    body = with_raw(shape(name), USAGE[name], raw).encode()
    found = outcome(wire_of(name), body)
    assert isinstance(found, Refused)
    assert USAGE[name][1] in found.reason
    assert found.unread
    assert not found.retry
    assert found.kept.answer.text.encode() == body
    assert found.kept.answer.failed.startswith("mashbill could not read its answer: ")


# -- batches ---------------------------------------------------------------------------------------

BATCHES = {"batches.openai-expired": "openai-chat", "batches.openai-failed": "openai-chat",
           "batches.anthropic-ended": "anthropic", "batches.gemini-succeeded": "gemini",
           "batches.gemini-pending": "gemini"}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
@law(80)
@given(st.data())
def test_a_batch_with_anything_at_any_place_is_read_or_refused(name, data):
    wire, body = batches_of(WIRES[BATCHES[name]]), shape(name)
    text = with_raw(body, data.draw(st.sampled_from(places(body))), data.draw(HOSTILE))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    since = foreign.moment("2026-11-24T12:00:00Z")
    listed = {"data": [value], "operations": [value]}
    for read in (wire.state, lambda _: wire.candidates(listed, ["a"], since)):
        try:
            found = read(value)
        except WireError:
            continue
        else:
            for state in found if isinstance(found, list) else [found]:
                assert isinstance(state, State)
                assert 0 <= state.total <= 4 * foreign.MOST_TOKENS
    with contextlib.suppress(WireError):
        items = wire.items(text.encode(), ["a"])
        assert all(isinstance(item, Item) for item in items)


LINES = {"batches.openai-output": "openai-chat", "batches.openai-errors": "openai-chat",
         "batches.anthropic-results": "anthropic"}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
@law(60)
@given(st.data())
def test_results_with_anything_at_any_place_are_read_or_refused(name, data):
    from client.wire.known_shapes import SHAPES

    wire = batches_of(WIRES[LINES[name]])
    lines = (SHAPES / f"{name}.jsonl").read_text().splitlines()
    ids = [json.loads(line)["custom_id"] for line in lines]
    number = data.draw(st.integers(0, len(lines) - 1))
    value = json.loads(lines[number])
    lines[number] = with_raw(value, data.draw(st.sampled_from(places(value))), data.draw(HOSTILE))
    try:
        items = wire.items("\n".join(lines).encode(), ids)
    except WireError:
        return
    for item in items:
        try:
            body = json.dumps(item.body).encode()
        except (ValueError, RecursionError):
            body = b""
        outcome(WIRES[LINES[name]], body, status=item.status or 500)


PIECES = 100_000
MANY = "x" * 100
LONG_STREAMS = {
    "openai-chat": [{"choices": [{"index": 0, "delta": {"reasoning_content": MANY}}]}],
    "openai-completions": [{"choices": [{"index": 0, "text": MANY}]}],
    "anthropic": [{"type": "content_block_delta", "index": 0,
                   "delta": {"type": "text_delta", "text": MANY}}],
    "gemini": [{"candidates": [{"index": 0, "content": {"parts": [{"text": MANY}]}}]}],
    "openai-chat details": [{"choices": [{"index": 0, "delta": {"reasoning_details": [
        {"index": 0, "type": "t", "text": MANY}]}}]}],
    "openai-chat arguments": [{"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": MANY}}]}}]}],
}  # fmt: skip
CALLS = "openai-chat calls"
BEGINS = {"anthropic": [{"type": "message_start", "message": {"usage": {}}},
                        {"type": "content_block_start", "index": 0, "content_block":
                         {"type": "text", "text": "begun "}}]}  # fmt: skip
ENDS = {"anthropic": [{"type": "message_stop"}],
        "gemini": [{"candidates": [{"finishReason": "STOP"}]}]}  # fmt: skip


def long_stream(case):
    """Return the events of which a stream is made, again and again."""
    if case != CALLS:
        return LONG_STREAMS[case]
    return [{"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": n, "function": {"name": "f"}}]}}]} for n in range(PIECES)]  # fmt: skip


@pytest.mark.few(3)
@pytest.mark.parametrize("case", [*LONG_STREAMS, CALLS])
def test_a_stream_of_many_pieces_is_put_together_once(case):
    """With each piece added to the ones before it, this takes minutes, in which nobody is heard."""
    name = case.split(" ", maxsplit=1)[0]
    one = long_stream(case)
    events = [("", each) for each in one * (PIECES // len(one))]
    begin, end = BEGINS.get(name, []), ENDS.get(name, ["[DONE]"])
    whole = [*(("", e) for e in begin), *events, *(("", e) for e in end)]
    if case == CALLS:
        with pytest.raises(WireError, match="tool calls"):
            WIRES[name].joined(whole)
        return
    said = json.dumps(WIRES[name].joined(whole))
    assert len(said) > PIECES * len(MANY)
    assert '["x' not in said


def test_the_reader_of_whole_bodies_says_what_it_cannot_hold():
    """orjson's words for what is deeper or larger than it reads: these are not asked for again."""
    for body in (DEEP, LONG, b"1e400"):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(body)
        assert not outcome(CHAT, body).retry
