"""Anthropic's Messages API, version 2023-06-01.

After the reference of platform.claude.com: structured output stands in ``output_config.format``
(``output_format``, of the beta, is deprecated), effort in ``output_config.effort``. There are no
log-probabilities and no seed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.errors import answer, refused, told_events
from mashbill.client.wire.finishing import end, ending
from mashbill.client.wire.reading import (
    Beside,
    called,
    grow,
    incidental,
    index,
    merged,
    only,
    parsed,
    piece,
    record,
    settle,
    shown,
    signed,
    text,
)
from mashbill.client.wire.schemas import for_anthropic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.client.wire import Ask
    from mashbill.core.chat import Turn

MAX_TOKENS = 8192
"""sent where an ask leaves it to the provider, who wants one: every model since 3.5 can write that
many; a thinking budget is added, since the limit counts thinking too"""

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k",
             "stop": "stop_sequences"}  # fmt: skip
_BEGUN = {"text_delta": "text", "thinking_delta": "thinking"}
"""kind of a piece -> kind of its block"""
_THINKING = ("thinking", "redacted_thinking")
_BESIDE = ("server_tool_use", "_tool_result", "mcp_tool_use", "container_upload")
"""ends of the names of blocks in which the server's own tools work: not the model's words"""


class AnthropicMessages:
    """POST /v1/messages; the base address is the host's."""

    name = "anthropic"
    stops_stream = ""

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model stands in the body)
        """Return the path below the base address."""
        return "/v1/messages"

    def headers(self, key: str) -> dict[str, str]:
        """Return the key's header and the version's."""
        return {"x-api-key": key, "anthropic-version": "2023-06-01"} if key else {}

    def body(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON body.

        A reasoning effort asks for adaptive thinking, which models since Opus 4.6 know; for older
        ones name a budget (from 1024). "none" and 0 turn thinking off.

        Raises:
            WireError: for log-probabilities, a seed or penalties, which the API does not have, for
                schemas that it cannot be held to, and for tool calls whose arguments are no JSON
                object.
        """
        only(ask.settings, _SETTINGS, self.name)
        if ask.top_logprobs:
            msg = f"{self.name} gives no log-probabilities"
            raise WireError(msg, retry=False)
        budget = ask.reasoning if isinstance(ask.reasoning, int) else 0
        body: dict[str, Any] = {
            "model": ask.model,
            "max_tokens": MAX_TOKENS + budget if ask.max_tokens is None else ask.max_tokens,
            "messages": _messages(ask.turns),
        }
        system = [turn.content for turn in ask.turns if turn.role == "system"]
        if len(system) == 1:
            body["system"] = system[0]
        elif system:
            body["system"] = [{"type": "text", "text": part} for part in system]
        body |= {_SETTINGS[key]: value for key, value in ask.settings.items()}
        if isinstance(body.get("stop_sequences"), str):
            body["stop_sequences"] = [body["stop_sequences"]]
        if ask.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description,
                 "input_schema": tool.parameters or {"type": "object"}}
                for tool in ask.tools
            ]  # fmt: skip
        config: dict[str, Any] = {}
        if ask.reasoning in ("none", 0):
            body["thinking"] = {"type": "disabled"}
        elif isinstance(ask.reasoning, str):
            body["thinking"] = {"type": "adaptive"}
            config["effort"] = ask.reasoning
        elif ask.reasoning is not None:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        if ask.schema is not None:
            config["format"] = {"type": "json_schema", "schema": for_anthropic(ask.schema)}
        if config:
            body["output_config"] = config
        if ask.stream:
            body["stream"] = True
        return merged(body, ask.extra)

    def read(self, body: Any) -> Reply:
        """Read a whole message.

        Raises:
            WireError: if it is no answer.
        """
        body = answer(body)
        content = body.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]  # as gateways of other models write it
        elif isinstance(content, dict):
            content = [content]
        if not isinstance(content, list) and (content is not None or ending(body) is None):
            msg = "a message without content"
            raise WireError(msg, retry=False, unread=True)
        blocks = [
            {"type": "text", "text": block}
            if isinstance(block, str)
            else record(block, "content[]")
            for block in content or ()
        ]
        reply = Reply(
            opaque=signed(blocks, _THINKING),
            model=incidental(body.get("model")),
            id=incidental(body.get("id")),
        )
        # pause_turn, where a server tool took long, is "other": the turn is not complete.
        end(reply, ending({"stop_reason": body.get("stop_reason")}, body))
        for block in blocks:
            match block.get("type"):
                case "text" | None if "text" in block:
                    reply.text += text(block.get("text"), "text", reply.odd)
                case "thinking":
                    reply.reasoning += Beside(reply.odd).text(block.get("thinking"), "thinking")
                case "redacted_thinking":
                    pass
                case "tool_use":
                    _read_call(block, reply)
                case str(kind) if kind.endswith(_BESIDE):
                    pass
                case kind:
                    msg = f"content has a block of type {shown(kind)}, which is no text"
                    raise WireError(msg, retry=False, unread=True)
        _read_usage(body.get("usage"), reply)
        return reply

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means; 529 is an overloaded server."""
        return refused(status, body)

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Put a stream together to a message.

        Raises:
            WireError: if neither ``message_stop`` nor a stop reason came, or an event is an error.
        """
        whole: dict[str, Any] = {}
        blocks: dict[int, dict[str, Any]] = {}
        pieces: dict[int, list[str]] = {}
        is_whole = False
        for event in told_events(events):
            if event is None:
                continue
            match event.get("type"):
                case "message_start":
                    whole = dict(record(event.get("message"), "message"))
                case "content_block_start":
                    block = record(event.get("content_block"), "content_block")
                    blocks[index(event.get("index"))] = dict(block)
                case "content_block_delta":
                    place = index(event.get("index"))
                    delta = record(event.get("delta"), "delta")
                    begun = _BEGUN.get(incidental(delta.get("type")))
                    if place not in blocks and begun:
                        blocks[place] = {"type": begun}  # some servers do not say that it begins
                    if place not in blocks:
                        msg = "the stream goes on with a block that it never began"
                        raise WireError(msg, retry=True)
                    if delta.get("type") == "input_json_delta":
                        more = piece(delta.get("partial_json"), "partial_json")
                        pieces.setdefault(place, []).append(more)
                    else:
                        _add(delta, blocks[place])
                case "message_delta":
                    whole |= record(event.get("delta"), "delta")
                    whole["usage"] = _more_usage(whole.get("usage"), event.get("usage"))
                case "message_stop":
                    is_whole = True
                    break
        if not is_whole and ending(whole) is None:
            msg = "the stream ended before its end was said"
            raise WireError(msg, retry=True)
        for place, arguments in pieces.items():
            if whole_input := "".join(arguments):
                blocks[place]["input"] = _loaded(whole_input)
        for block in blocks.values():
            settle(block)
        return whole | {"content": [blocks[place] for place in sorted(blocks)]}


def _messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    results: list[dict[str, Any]] | None = None
    for turn in turns:
        if turn.role == "tool":
            # The results of one turn's calls must stand in one message.
            if results is None:
                results = []
                messages.append({"role": "user", "content": results})
            result = {"type": "tool_result", "tool_use_id": turn.tool_call_id}
            results.append({**result, "content": turn.content})
            continue
        results = None
        if turn.role == "assistant":
            messages.append({"role": "assistant", "content": _said(turn)})
        elif turn.role != "system":
            messages.append({"role": turn.role, "content": turn.content})
    return messages


def _said(turn: Turn) -> str | list[Any]:
    """Return an assistant's content: its signed blocks stand where they stood."""
    opaque = turn.opaque.data if turn.opaque is not None else []
    calls, said = turn.tool_calls, turn.content
    if not opaque and not calls:
        return said
    if any(block.get("type") not in _THINKING for block in opaque):
        return list(opaque)
    blocks = [*opaque, *([{"type": "text", "text": said}] if said else [])]
    for call in calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name}
        blocks.append({**block, "input": parsed(call.arguments)})
    return blocks


def _read_call(block: dict[str, Any], reply: Reply) -> None:
    name, call = text(block.get("name"), "name"), incidental(block.get("id"))
    if not name or not call:
        msg = "a tool call without a name or id"
        raise WireError(msg, retry=False, unread=True)
    called(reply, name, block.get("input"), call)


def _more_usage(before: Any, more: Any) -> Any:
    """Return the counts so far, and those that came now in their place."""
    if not isinstance(more, dict):
        return before
    told = {key: value for key, value in more.items() if value is not None}
    return {**before, **told} if isinstance(before, dict) else told


def _read_usage(value: Any, reply: Reply) -> None:
    beside = Beside(reply.odd)
    usage = beside.record(value, "usage")
    read = beside.count(usage.get("cache_read_input_tokens"), "cache_read_input_tokens")
    wrote = beside.count(usage.get("cache_creation_input_tokens"), "cache_creation_input_tokens")
    details = beside.record(usage.get("output_tokens_details"), "output_tokens_details")
    # input_tokens are only those behind the last cache mark.
    reply.tokens_in = beside.count(usage.get("input_tokens"), "input_tokens") + read + wrote
    reply.tokens_out = beside.count(usage.get("output_tokens"), "output_tokens")
    reply.tokens_cached, reply.tokens_cache_written = read, wrote
    reply.tokens_reasoning = beside.count(details.get("thinking_tokens"), "thinking_tokens")


def _add(delta: dict[str, Any], block: dict[str, Any]) -> None:
    """Add a piece to its block. Kinds that are not known are left out, as the reference asks."""
    places = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
    kind = delta.get("type")
    if isinstance(kind, str) and kind in places:
        key = places[kind]
        grow(block, key, delta.get(key))


def _loaded(arguments: str) -> Any:
    """Return a tool's input; one that the limit of tokens cut off stays text."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
