"""OpenAI's Responses API, stateless: nothing is stored there, reasoning comes back encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.errors import answer, failed, refused, told_events
from mashbill.client.wire.finishing import FINISHES, ending
from mashbill.client.wire.openai_beside import token_logprobs
from mashbill.client.wire.reading import (
    Beside,
    called,
    grow,
    incidental,
    items,
    merged,
    only,
    record,
    settle,
    shown,
    signed,
    text,
)
from mashbill.client.wire.schemas import for_openai

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.client.wire import Ask
    from mashbill.core.chat import Turn

_ENDS = frozenset({
    "response.completed", "response.incomplete", "response.failed", "response.done",
})  # fmt: skip
"""events that carry the whole response, and are a stream's last"""
_BESIDE = ("_call", "_call_output", "mcp_list_tools", "compaction")
"""ends of the names of items in which the server's own tools work: not the model's words"""


class OpenAIResponses:
    """POST /responses; the base address ends in /v1."""

    name = "openai-responses"
    stops_stream = ""

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model stands in the body)
        """Return the path below the base address."""
        return "/responses"

    def headers(self, key: str) -> dict[str, str]:
        """Return the bearer's header."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON body.

        Where reasoning is asked for, its summary and encrypted form are too, which other models
        than reasoning ones refuse.

        Raises:
            WireError: for settings that the API does not have (stop, seed, penalties, top_k) and
                for a reasoning budget.
        """
        only(ask.settings, ("temperature", "top_p"), self.name)
        body: dict[str, Any] = {"model": ask.model, "store": False}
        turns = list(ask.turns)
        if turns and turns[0].role == "system":
            body["instructions"] = turns.pop(0).content
        body["input"] = [item for turn in turns for item in _items(turn)]
        body |= ask.settings
        include = []
        if ask.max_tokens is not None:
            body["max_output_tokens"] = ask.max_tokens
        if ask.schema is not None:
            sent, strict = for_openai(ask.schema)
            form = {"type": "json_schema", "name": "answer", "schema": sent}
            body["text"] = {"format": {**form, "strict": strict}}
        if ask.tools:
            # The API makes schemas strict, and so other ones, unless told not to.
            loose = {"type": "function", "strict": False}
            body["tools"] = [{**loose, **tool.value()} for tool in ask.tools]
        if ask.top_logprobs:
            body["top_logprobs"] = ask.top_logprobs
            include.append("message.output_text.logprobs")
        if isinstance(ask.reasoning, str):
            body["reasoning"] = {"effort": ask.reasoning}
            if ask.reasoning != "none":
                body["reasoning"]["summary"] = "auto"
                include.append("reasoning.encrypted_content")
        elif ask.reasoning is not None:
            msg = f"{self.name} knows no reasoning budget; name an effort"
            raise WireError(msg, retry=False)
        if include:
            body["include"] = include
        if ask.stream:
            body["stream"] = True
        return merged(body, ask.extra)

    def read(self, body: Any) -> Reply:
        """Read a whole response.

        A refusal's words are the text, and the finish is content_filter.

        Raises:
            WireError: if it is no answer.
        """
        body = answer(body)
        output, status = body.get("output"), body.get("status")
        if not output and isinstance(body.get("output_text"), str) and body["output_text"]:
            output = [{"type": "message", "content": body["output_text"]}]
        status = status.lower() if isinstance(status, str) else status
        if isinstance(status, dict):
            status = incidental(status.get("type")).lower() or "of an object"
        if isinstance(body.get("incomplete_details"), dict) and body["incomplete_details"]:
            status = "incomplete"
        if status in ("failed", "cancelled", "queued", "in_progress"):
            msg = f"a response that is {status}"
            raise WireError(msg, retry=status == "cancelled")
        if not isinstance(output, list):
            msg = "a response without output"
            raise WireError(msg, retry=False, unread=True)
        found = [record(item, "output[]") for item in output]
        reply = Reply(model=incidental(body.get("model")), id=incidental(body.get("id")))
        refusal = False
        for item in found:
            match item.get("type"):
                case "message":
                    refusal |= _read_message(item, reply)
                    if incidental(item.get("status")).lower() == "incomplete":
                        status = "incomplete"
                case "function_call":
                    _read_call(item, reply)
                case "reasoning":
                    more = _reasoning(item, Beside(reply.odd))
                    reply.reasoning += ("\n\n" if reply.reasoning and more else "") + more
                case str(kind) if kind.endswith(_BESIDE) and kind != "custom_tool_call":
                    pass
                case kind:
                    msg = f"output has an item of type {shown(kind)}, which is no text"
                    raise WireError(msg, retry=False, unread=True)
        reply.opaque = _opaque(found)
        reply.finish = "tool_calls" if reply.tool_calls else "stop"
        if status == "incomplete":
            details = Beside(reply.odd).record(body.get("incomplete_details"), "incomplete_details")
            reply.said = incidental(details.get("reason")) or "incomplete"
            why = FINISHES.get(reply.said.lower(), "other")
            reply.finish = why if why in {"length", "content_filter"} else "other"
        elif status != "completed":
            reply.said = incidental(ending(body) if status is None else status)
            reply.finish = FINISHES.get(reply.said.lower(), "other")
        if refusal:
            reply.finish = "content_filter"
        _read_usage(body.get("usage"), reply)
        return reply

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means."""
        return refused(status, body)

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Return the whole response that a stream's last event carries.

        Raises:
            WireError: if that event is missing, or an event is an error.
        """
        done: list[Any] = []
        said: dict[str, Any] = {"type": "message"}
        for event in told_events(events):
            kind = event.get("type") if event else None
            if event is None:
                continue
            if kind == "response.output_item.done" and isinstance(event.get("item"), dict):
                done.append(event["item"])
            elif kind == "response.output_text.delta":
                grow(said, "content", event.get("delta"))
            elif kind in tuple(_ENDS):
                response = record(event.get("response"), "response")
                if kind == "response.failed":
                    raise failed(response, "the response failed")
                if not response.get("output"):
                    settle(said)  # some send the whole in pieces alone
                    response = {**response, "output": done or [said] * ("content" in said)}
                return response
        msg = "the stream ended before the response was complete"
        raise WireError(msg, retry=True)


def _items(turn: Turn) -> list[Any]:
    """Return the input items of a turn; reasoning stands before what came of it."""
    if turn.role == "tool":
        output = {"type": "function_call_output", "call_id": turn.tool_call_id}
        return [{**output, "output": turn.content}]
    opaque = list(turn.opaque.data) if turn.opaque is not None else []
    if any(item.get("type") != "reasoning" for item in opaque):
        return opaque
    said = turn.content
    calls = [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in turn.tool_calls
    ]
    message = {"role": turn.role, "content": said}
    return [*opaque, *([message] if said or not calls else []), *calls]


def _opaque(output: list[dict[str, Any]]) -> list[Any] | None:
    """Return what is to be sent back: reasoning that is encrypted, or all where order matters."""
    sealed = [
        {key: value for key, value in item.items() if value is not None}
        for item in output
        if item.get("type") != "reasoning" or item.get("encrypted_content")
    ]
    if any(item.get("phase") for item in sealed):
        return sealed  # a message's phase is to come back with it
    return signed(sealed, ("reasoning",))


def _read_message(item: dict[str, Any], reply: Reply) -> bool:
    """Add a message's text and log-probabilities; return whether it refuses."""
    refusal = False
    content = item.get("content")
    content = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for each in items(content, "content"):
        part = record(each, "content[]")
        match part.get("type"):
            case "output_text" | "text":
                reply.text += text(part.get("text"), "text", reply.odd)
                reply.logprobs += token_logprobs(part.get("logprobs"), Beside(reply.odd))
            case "refusal":
                reply.text += text(part.get("refusal"), "refusal", reply.odd)
                refusal = True
            case kind:
                msg = f"content has a part of type {shown(kind)}, which is no text"
                raise WireError(msg, retry=False, unread=True)
    return refusal


def _read_call(item: dict[str, Any], reply: Reply) -> None:
    name = text(item.get("name"), "name")
    call = incidental(item.get("call_id")) or incidental(item.get("id"))
    if not name or not call:
        msg = "a tool call without a name or id"
        raise WireError(msg, retry=False, unread=True)
    called(reply, name, item.get("arguments"), call)


def _reasoning(item: dict[str, Any], beside: Beside) -> str:
    """Return reasoning where a server of an open model shows it, else its summary."""
    for key in ("content", "summary"):
        parts = [beside.record(part, key) for part in beside.items(item.get(key), key)]
        if told := "\n\n".join(beside.text(part.get("text"), key) for part in parts):
            return told
    return ""


def _read_usage(value: Any, reply: Reply) -> None:
    beside = Beside(reply.odd)
    usage = beside.record(value, "usage")
    read = beside.record(usage.get("input_tokens_details"), "input_tokens_details")
    wrote = beside.record(usage.get("output_tokens_details"), "output_tokens_details")
    reply.tokens_in = beside.count(usage.get("input_tokens"), "input_tokens")
    reply.tokens_out = beside.count(usage.get("output_tokens"), "output_tokens")
    reply.tokens_cached = beside.count(read.get("cached_tokens"), "cached_tokens")
    reply.tokens_cache_written = beside.count(read.get("cache_write_tokens"), "cache_write_tokens")
    reply.tokens_reasoning = beside.count(wrote.get("reasoning_tokens"), "reasoning_tokens")
