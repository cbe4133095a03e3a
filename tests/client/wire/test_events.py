"""The parser of server-sent events, by the HTML standard's rules and examples."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.client.wire import WireError
from mashbill.client.wire.events import Events, read_events

LINE = st.one_of(
    st.just(""),
    st.text(max_size=4).map(lambda said: ":" + "".join(said.splitlines())),
    st.sampled_from(["event: add", "event:", "id: 1", "retry: 10", "data", "data:", "unknown: x"]),
    st.text(max_size=6).map(lambda said: "data: " + json.dumps(said, ensure_ascii=False)),
    st.integers(0, 9).map(lambda number: f"data:{number}"),
)


def test_fields_comments_and_names() -> None:
    body = b': begin\n\nevent: add\ndata: {"a": 1}\nid: 7\nretry: 10\nodd: x\n\ndata:2\n\n'
    assert read_events(body) == [("add", {"a": 1}), ("", 2)]


def test_data_of_several_lines_is_joined_by_newlines() -> None:
    assert read_events(b"data: [1,\ndata: 2]\n\n") == [("", [1, 2])]


def test_one_space_after_the_colon_is_dropped() -> None:
    assert read_events(b"data:1\n\ndata: 1\n\ndata:  1\n\n") == [("", 1)] * 3
    for said in (b"data: x\n\n", b"data:  x \n\n", b"data:x\n"):
        assert read_events(said, "x") == [("", "x")]


def test_an_event_without_data_is_none_and_its_name_is_forgotten() -> None:
    assert read_events(b"event: ping\n\ndata: 1\n\ndata\n\ndata:\n\n") == [("", 1)]


def test_the_last_event_needs_no_empty_line() -> None:
    for end in (b"", b"\n", b"\r\n", b"\n\n"):
        assert read_events(b"data: 1\n\ndata: 2" + end) == [("", 1), ("", 2)]
    assert read_events(b'data: 1\n\ndata: {"a"') == [("", 1)]  # cut off


def test_words_that_are_no_json_say_nothing() -> None:
    assert read_events(b"data: ping\n\ndata: 1\n\ndata: keep-alive\n\n") == [("", 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_break(end: str) -> None:
    body = end.join(["event: a", "data: 1", "", "data: 2", "", ""]).encode()
    assert read_events(body) == [("a", 1), ("", 2)]


def test_a_byte_order_mark_is_dropped_once() -> None:
    mark = b"\xef\xbb\xbf"
    assert read_events(mark + b"data: 1\n\n") == [("", 1)]
    assert read_events(mark + mark + b"data: 1\n\ndata: 2\n\n") == [("", 2)]
    parser = Events()
    assert [parser.feed(bytes([byte])) for byte in mark + b"data: 1\n\n"][-1] == [("", 1)]


def test_the_end_is_passed_on_as_text() -> None:
    assert read_events(b"data: 1\n\ndata: [DONE]\n\n", "[DONE]") == [("", 1), ("", "[DONE]")]
    assert read_events(b"data: 1\n\ndata: [DONE]\n\n") == [("", 1)]


@pytest.mark.parametrize(
    "body", [b"data: {\n\n", b"data: \xff\n\n", b"data: " + b"[" * 100_000 + b"\n\n"]
)
def test_what_is_no_text_or_no_json_is_to_be_asked_for_again(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        read_events(body)
    assert caught.value.retry


@given(st.lists(LINE, max_size=12), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_chunks_make_no_difference(lines: list[str], end: str, data: st.DataObject) -> None:
    body = end.join([*lines, ""]).encode()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    parser = Events()
    chunks = [body[a:b] for a, b in pairwise([0, *sorted(cuts), len(body)])]
    outcomes = []
    for feed in ([body], chunks):
        parser = Events()
        try:
            found = [event for chunk in feed for event in parser.feed(chunk)]
            outcomes.append(found + parser.end())
        except WireError as error:
            outcomes.append(error.reason)
    assert outcomes[0] == outcomes[1]
