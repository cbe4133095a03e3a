"""What servers in the field answer, by their own sources: one table, a file for each server.

``expect`` names what must be read: an answer's text, finish, calls, reasoning and counts; or, of an
error, whether the same request may be answered at another time. What it does not name may be any.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from client.wire.known_shapes import WIRES
from tests_chat import as_values
from tests_tables import table

from mashbill.client.wire import WireError
from mashbill.client.wire.bodies import whole_body
from mashbill.core.teacher import Answer
from mashbill.stages.writing.tool_calls import whole_calls

if TYPE_CHECKING:
    from mashbill.client.wire import Reply, Wire

SERVERS = Path(__file__).parent / "servers"
CASES = [
    pytest.param(server["wire"], case, id=f"{path.stem}: {case['what']}")
    for path in sorted(SERVERS.glob("*.json"))
    for server in [json.loads(path.read_text(encoding="utf-8"))]
    for case in server["cases"]
]


def read_whole(wire: Wire, body: bytes) -> Reply:
    """Read a body of status 200, whichever way it came."""
    return wire.read(whole_body(wire, body))


def bytes_of(case: dict[str, Any]) -> bytes:
    """Return what came: events or JSON as they stand, or JSON that is written here."""
    text = case.get("sse", case.get("raw"))
    return (json.dumps(case["body"], ensure_ascii=False) if text is None else text).encode()


def called(calls: list[dict[str, str]], expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return calls as ``expected`` gives them: arguments parsed, but where they are cut off."""
    found = []
    for place, one in enumerate(calls):
        arguments: Any = one["arguments"]
        cut = place < len(expected) and isinstance(expected[place]["arguments"], str)
        if arguments and not cut:
            arguments = json.loads(arguments)
        found.append({"name": one["name"], "arguments": arguments})
    return found


@table(("name", "case"), CASES)
def test_what_servers_answer(name: str, case: dict[str, Any]) -> None:
    wire, expect = WIRES[name], case["expect"]
    if case["status"] != 200:
        body = case["body"] if "body" in case else case["raw"]
        error = wire.refusal(case["status"], body)
        assert (error.retry, error.wait) == (expect["retry"], expect.get("wait"))
        return
    if "error" in expect:
        with pytest.raises(WireError) as caught:
            read_whole(wire, bytes_of(case))
        assert expect["error"] in caught.value.reason
        assert caught.value.retry == expect.get("retry", caught.value.retry)
        return
    reply = read_whole(wire, bytes_of(case))
    for key in ("text", "finish", "reasoning", "tokens_in", "tokens_out"):
        if key in expect:
            assert (key, getattr(reply, key)) == (key, expect[key])
    if "tool_calls" in expect:
        # What a turn of a conversation holds of them.
        calls = as_values(whole_calls(Answer((), 0, tool_calls=tuple(reply.tool_calls))))
        assert called(calls, expect["tool_calls"]) == expect["tool_calls"]
        ids = [one["id"] for one in calls]
        assert all(ids)
        assert len(set(ids)) == len(ids)
    if "logprobs" in expect:
        assert len(reply.logprobs) == expect["logprobs"]
    for word in (reply.id, reply.model):
        assert isinstance(word, str)


def test_every_case_says_where_it_is_from() -> None:
    for path in SERVERS.glob("*.json"):
        server = json.loads(path.read_text(encoding="utf-8"))
        assert server["wire"] in WIRES
        for case in server["cases"]:
            assert case["source"]
            assert isinstance(case["second_hand"], bool)
            assert case["kind"] in {"chat", "stream", "error"}
