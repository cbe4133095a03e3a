"""What holds of every wire: whatever comes back, it is a Reply or a WireError."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from client.wire.known_shapes import (
    ANSWERS,
    BOTH,
    SHAPES,
    STREAMS,
    WIRES,
    read,
    read_stream,
    shape,
    stream,
    wire_of,
)
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tables import table

from mashbill.client.prices import Price
from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.events import Events, read_events
from mashbill.core.teacher import Question
from mashbill.teachers.format import Format

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["\ud83d", "\udf3e", "text", "tool_use", "message", "completed", "[DONE]"])
)  # fmt: skip
KEYS = st.text(max_size=4) | st.sampled_from(
    ["choices", "message", "content", "usage", "error", "output", "candidates", "parts", "type",
     "text", "delta", "index", "tool_calls", "status", "usageMetadata", "response", "metadata"]
)  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [at] if at else []
    if isinstance(value, dict | list):
        for key, each in inner if isinstance(value, dict) else list(inner):
            found += places(each, (*at, key)) if isinstance(each, dict | list) else [(*at, key)]
    return found


def mutated(value: Any, at: tuple[Any, ...], new: Any, *, gone: bool) -> Any:
    whole = copy.deepcopy(value)
    holder = whole
    for key in at[:-1]:
        holder = holder[key]
    if gone:
        del holder[at[-1]]
    else:
        holder[at[-1]] = new
    return whole


def answers_or_refuses(call: Any, *arguments: Any) -> None:
    try:
        reply = call(*arguments)
    except WireError as error:
        reply = error.reason
    if not isinstance(reply, Reply):
        assert reply or isinstance(reply, dict)
    else:
        reply.text.encode()
        assert reply.finish in {"stop", "length", "tool_calls", "content_filter", "other"}
        assert min(reply.tokens_in, reply.tokens_out, reply.tokens_cached) >= 0
        for call_ in reply.tool_calls:
            assert all(isinstance(said, str) for said in call_.value().values())
        for token, its, likeliest in reply.logprobs:
            token.encode()
            assert json.dumps([its, likeliest], allow_nan=False)


@pytest.mark.parametrize("name", sorted(WIRES))
@given(body=JSON)
@law(50)
def test_any_json_is_read_or_refused(name: str, body: Any) -> None:
    wire = WIRES[name]
    answers_or_refuses(wire.read, body)
    answers_or_refuses(wire.joined, [("", body), ("message", body)])
    assert wire.refusal(418, body).reason


@pytest.mark.parametrize("name", ANSWERS)
@given(data=st.data())
@law(25)
def test_a_mutated_answer_is_read_or_refused(name: str, data: st.DataObject) -> None:
    body = shape(name)
    at = data.draw(st.sampled_from(places(body)))
    other = mutated(body, at, data.draw(JSON), gone=data.draw(st.booleans()))
    answers_or_refuses(wire_of(name).read, other)


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
@law(25)
def test_a_mutated_stream_is_read_or_refused(name: str, data: st.DataObject) -> None:
    wire = wire_of(name)
    events = [list(event) for event in read_events(stream(name), wire.stops_stream)]
    at = data.draw(st.sampled_from([place for place in places(events) if len(place) > 1]))
    gone = data.draw(st.booleans()) and len(at) > 2
    other = mutated(events, at, data.draw(JSON), gone=gone)
    answers_or_refuses(lambda each: wire.read(wire.joined(each)), [tuple(e) for e in other])


def test_shapes_are_read() -> None:
    assert len(ANSWERS) >= 30
    assert len(BOTH) > 9


@table("name", ANSWERS)
def test_every_answer_is_a_reply(name: str) -> None:
    assert read(name).model


@pytest.mark.parametrize("name", BOTH)
def test_a_stream_reads_as_its_whole(name: str) -> None:
    assert read_stream(name) == read(name)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_is_cut_is_to_be_asked_for_again(name: str) -> None:
    """Until why it ended is said; from then on it is whole, but for the counts behind it."""
    wire, data, whole = wire_of(name), stream(name), read_stream(name)
    parser, events, tried, ended = Events(wire.stops_stream), [], -1, False
    for place in range(len(data)):
        events += parser.feed(data[place : place + 1])
        if len(events) == tried:
            continue  # cut here it is the stream that was just tried
        tried = len(events)
        try:
            found = wire.read(wire.joined(events))
        except WireError as error:
            found = error
        if isinstance(found, WireError):
            assert found.retry, events[-1:]
            assert not ended
            continue
        ended = True
        assert (found.text, found.finish, found.tool_calls, found.reasoning) == (
            whole.text, whole.finish, whole.tool_calls, whole.reasoning,
        )  # fmt: skip
    assert ended


@table("name", STREAMS)
@table("end", [b"\n\n", b"\n", b"", b"\r\n", b" \n\n", b"\n\n: bye\n\n\n"])
def test_how_many_line_ends_close_a_stream_is_no_matter(name: str, end: bytes) -> None:
    assert read_stream(name, stream(name).rstrip() + end) == read_stream(name)


@pytest.mark.parametrize("name", STREAMS)
@given(
    cuts=st.lists(st.integers(0, 6000), max_size=8), breaks=st.sampled_from(["\n", "\r\n", "\r"])
)
@law(15)
def test_a_stream_may_be_cut_anywhere(name: str, cuts: list[int], breaks: str) -> None:
    stops = wire_of(name).stops_stream
    data = stream(name).replace(b"\n", breaks.encode())
    events, parser, before = [], Events(stops), 0
    for cut in [*sorted(cuts), len(data)]:
        events += parser.feed(data[before:cut])
        before = max(before, cut)
    assert events == read_events(stream(name), stops)


@pytest.mark.parametrize("name", sorted(path.stem for path in SHAPES.glob("*error*.json")))
def test_an_error_is_never_an_answer(name: str) -> None:
    with pytest.raises(WireError):
        read(name)


@pytest.mark.parametrize("name", sorted(path.stem for path in SHAPES.glob("*error*.sse")))
def test_an_error_in_a_stream_may_be_asked_again(name: str) -> None:
    with pytest.raises(WireError) as caught:
        read_stream(name)
    assert caught.value.retry


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_what_every_wire_shares(wire: Any) -> None:
    assert wire.headers("") == {}
    assert any("k-1" in value for value in wire.headers("k-1").values())
    for status in (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529):
        later = status in {408, 429} or status >= 500
        assert wire.refusal(status, {"error": {"message": "m"}}).retry is later
        assert wire.refusal(status, "<html>bad gateway</html>").retry is later
    with pytest.raises(WireError) as caught:
        wire.read("<html>maintenance</html>")
    assert caught.value.retry
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for name in (name for name in ANSWERS if wire_of(name) is wire):
        for at in places(shape(name)):
            answers_or_refuses(wire.read, mutated(shape(name), at, deep, gone=False))
    for name in (name for name in STREAMS if wire_of(name) is wire):
        events = read_events(stream(name), wire.stops_stream)
        for at in places([list(event) for event in events]):
            if len(at) > 2:
                answers_or_refuses(wire.joined, mutated(events, at, deep, gone=False))
    assert wire.refusal(500, {"error": deep}).reason


@pytest.mark.parametrize("name", WIRES)
@given(text=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1), sample=st.booleans())
def test_a_prompt_is_written_into_a_request_as_the_wire_writes_it(name, text, sample) -> None:
    price = Price(known=True, table="", _of=lambda _: 0.0)
    form = Format(wire_of(name), "m-1", "a", price, 64, {"temperature": 0.5}, stream=True)
    question = Question(text[:1], text[1:], sample=int(sample))
    assert json.loads(form.body(question)) == form.wire.body(form.ask(question))
    assert form.body(question) == form.body(question)
