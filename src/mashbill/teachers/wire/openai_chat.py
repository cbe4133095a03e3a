"""Chat completions, as OpenAI's reference describes them and most other servers copy them.

Read besides what OpenAI documents: ``reasoning_content`` (DeepSeek, vLLM, SGLang, llama.cpp, Z.ai,
Kimi), ``reasoning`` and ``reasoning_details`` (OpenRouter, newer vLLM), thinking parts (Mistral),
``base_resp`` (MiniMax), ``prompt_cache_hit_tokens`` (DeepSeek), and usage that counts reasoning
beside the completion (xAI) instead of in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mashbill.teachers.wire import Reply, WireError
from mashbill.teachers.wire.reading import (
    Pieces,
    answer,
    as_json,
    count,
    failed,
    grow,
    incidental,
    items,
    logprob,
    merged,
    message,
    piece,
    record,
    refused,
    settle,
    shown,
    text,
)
from mashbill.teachers.wire.schemas import for_openai

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mashbill.teachers.wire import Ask

FINISHES = {
    "stop": "stop", "eos_token": "stop", "stop_sequence": "stop",
    "length": "length", "model_length": "length",
    "tool_calls": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter", "sensitive": "content_filter",
}  # fmt: skip
_BROKEN = frozenset({"error", "insufficient_system_resource", "network_error"})
"""finish reasons that say that the server stopped in the middle"""
_OPAQUE = ("reasoning_details", "reasoning_content")
"""keys of an assistant's message that carry what its provider wants back"""
_MOST_CALLS = 1000
_MINIMAX_LATER = frozenset({1000, 1001, 1002, 1013, 1024, 1033})
"""status codes of MiniMax's base_resp for a fault of its own or too many requests"""


class OpenAIChat:
    """POST /chat/completions; the base address ends where the server's own does, mostly in /v1."""

    name = "openai-chat"
    stops_stream = "[DONE]"

    def __init__(
        self, max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    ) -> None:
        self._max_tokens = max_tokens

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model stands in the body)
        """Return the path below the base address."""
        return "/chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        """Return the bearer's header."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON body.

        Raises:
            WireError: for a reasoning budget, which each server calls otherwise: set its own key
                in ``extra``.
        """
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": [_message(turn) for turn in ask.turns],
            **ask.settings,
        }
        if ask.max_tokens is not None:
            body[self._max_tokens] = ask.max_tokens
        if ask.schema is not None:
            # Servers of open models hold answers to keywords that OpenAI itself refuses.
            own = self._max_tokens == "max_completion_tokens"
            sent, strict = for_openai(ask.schema, loosened=own)
            schema = {"name": "answer", "schema": sent, "strict": strict}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if ask.tools:
            body["tools"] = [{"type": "function", "function": dict(tool)} for tool in ask.tools]
        if ask.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": ask.top_logprobs}
        if isinstance(ask.reasoning, str):
            body["reasoning_effort"] = ask.reasoning
        elif ask.reasoning is not None:
            msg = f"{self.name} cannot say a reasoning budget; set the server's own key for it"
            raise WireError(msg, retry=False)
        if ask.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return merged(body, ask.extra)

    def read(self, body: Any) -> Reply:
        """Read a whole response.

        A refusal's words are the text, and the finish is content_filter.

        Raises:
            WireError: if it is no answer.
        """
        body = answer(body)
        _check_minimax(body)
        choices = items(body.get("choices"), "choices")
        if not choices:
            msg = "an answer without choices"
            raise WireError(msg, retry=False)
        choice = record(choices[0], "choices[0]")
        if choice.get("error"):
            raise failed(choice, "an error in the choice")
        said = choice.get("message")
        if not isinstance(said, dict) or not said.keys() & {
            "content", "tool_calls", "refusal", "reasoning", "reasoning_content",
        }:  # fmt: skip
            msg = "a choice without a message"
            raise WireError(msg, retry=False)
        reply = Reply(
            finish=_finish(choice.get("finish_reason")),
            tool_calls=_calls(said),
            logprobs=read_logprobs(choice.get("logprobs")),
            model=incidental(body.get("model")),
            id=incidental(body.get("id")),
        )
        reply.text, thought = _content(said.get("content"))
        told = text(said.get("reasoning_content"), "reasoning_content")
        reply.reasoning = told or text(said.get("reasoning"), "reasoning") or thought
        if refusal := text(said.get("refusal"), "refusal"):
            reply.text, reply.finish = reply.text + refusal, "content_filter"
        if details := items(said.get("reasoning_details"), "reasoning_details"):
            reply.opaque = {"reasoning_details": details}
        elif told and reply.tool_calls:
            # DeepSeek and Kimi document that a turn with calls is sent back with its reasoning.
            reply.opaque = {"reasoning_content": told}
        read_usage(body, reply)
        return reply

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means."""
        return refused(status, body)

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Put a stream's chunks together.

        Raises:
            WireError: if ``[DONE]`` is missing, or a chunk is an error.
        """
        whole: dict[str, Any] = {"object": "chat.completion"}
        said: dict[str, Any] = {"role": "assistant"}
        choice: dict[str, Any] = {"index": 0, "message": said, "finish_reason": None}
        for _, chunk in events:
            if chunk == self.stops_stream:
                break
            chunk = answer(chunk)  # noqa: PLW2901
            _check_minimax(chunk)
            for key in ("id", "model", "usage"):
                if chunk.get(key):
                    whole[key] = chunk[key]
            for each in items(chunk.get("choices"), "choices"):
                part = record(each, "choices[]")
                if part.get("error"):
                    raise failed(part, "an error in the stream")
                if count(part.get("index"), "index") == 0:
                    _add(part, choice)
                    whole["choices"] = [choice]
        else:
            msg = "the stream ended before [DONE]"
            raise WireError(msg, retry=True)
        if isinstance(calls := said.get("tool_calls"), dict):
            said["tool_calls"] = [calls[index] for index in sorted(calls)]
            for call in said["tool_calls"]:
                settle(call["function"])
        settle(said)
        for detail in said.get("reasoning_details", ()):
            settle(detail)
        if isinstance(parts := said.get("content"), list) and all(
            isinstance(p, str) for p in parts
        ):
            said["content"] = "".join(parts)
        return whole


def _message(turn: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"role": turn["role"], "content": turn.get("content", "")}
    if turn["role"] == "tool":
        written["tool_call_id"] = turn["tool_call_id"]
    if calls := turn.get("tool_calls"):
        written["content"] = written["content"] or None
        written["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls
        ]
    opaque = turn.get("opaque")
    if isinstance(opaque, dict):
        written |= {key: opaque[key] for key in _OPAQUE if key in opaque}
    return written


def _finish(reason: Any) -> str:
    if reason is None:
        return "other"
    reason = text(reason, "finish_reason")
    if reason in _BROKEN:
        msg = f"the server stopped in the middle: {reason}"
        raise WireError(msg, retry=True)
    return FINISHES.get(reason, "other")


def _content(content: Any) -> tuple[str, str]:
    """Return text and reasoning of a content, which is a string or a list of parts."""
    if not isinstance(content, list):
        return text(content, "content"), ""
    said, thought = "", ""
    for each in content:
        if isinstance(each, str):
            said += each
            continue
        part = record(each, "content[]")
        match part.get("type"):
            case "text":
                said += text(part.get("text"), "content[].text")
            case "refusal":
                said += text(part.get("refusal"), "content[].refusal")
            case "thinking":
                thoughts = part.get("thinking")
                thought += _content(thoughts)[0] if _flat(thoughts) else ""
            case "reference":  # Mistral's marks of sources: no text of their own
                pass
            case other:
                msg = f"content has a part of type {shown(other)}, which is no text"
                raise WireError(msg, retry=False)
    return text(said, "content"), text(thought, "content")


def _flat(parts: Any) -> bool:
    """Whether thinking holds text only, so that reading it goes no deeper than one list."""
    if isinstance(parts, list):
        return all(isinstance(part, dict) and part.get("type") == "text" for part in parts)
    return isinstance(parts, str)


def _calls(said: Mapping[str, Any]) -> list[dict[str, str]]:
    calls = []
    for number, each in enumerate(items(said.get("tool_calls"), "tool_calls")):
        call = record(each, "tool_calls[]")
        function = record(call.get("function"), "tool_calls[].function")
        name = text(function.get("name"), "tool_calls[].function.name")
        if not name:
            msg = "a tool call without a name"
            raise WireError(msg, retry=False)
        arguments = function.get("arguments")
        calls.append(
            {
                # Some local servers name no call; the answer to it must name one.
                "id": text(call.get("id"), "tool_calls[].id") or f"call_{number}",
                "name": name,
                "arguments": as_json({} if arguments is None else arguments, "arguments"),
            }
        )
    return calls


def read_logprobs(value: Any) -> list[tuple[str, float, list[tuple[str, float]]]]:
    """Read ``logprobs`` of a choice, ``{"content": [{"token", "logprob", "top_logprobs"}]}``."""
    return token_logprobs(record(value, "logprobs").get("content"))


def token_logprobs(value: Any) -> list[tuple[str, float, list[tuple[str, float]]]]:
    """Read a list of ``{"token", "logprob", "top_logprobs"}``; the last may be left out."""
    found = []
    for each in items(value, "logprobs.content"):
        place = record(each, "logprobs.content[]")
        others = items(place.get("top_logprobs"), "top_logprobs")
        top = [_token(record(other, "top_logprobs[]")) for other in others]
        found.append((*_token(place), top))
    return found


def _token(place: dict[str, Any]) -> tuple[str, float]:
    token = place.get("token")
    if not isinstance(token, str):
        msg = "a log-probability without a token"
        raise WireError(msg, retry=False)
    # A token may be part of a character, whose bytes a server writes as it can.
    readable = token.encode(errors="replace").decode()
    return readable, logprob(place.get("logprob"), "logprob")


def read_usage(body: Mapping[str, Any], reply: Reply) -> None:
    """Read ``usage``, which some servers omit: then nothing is counted."""
    usage = record(body.get("usage"), "usage")
    read = record(usage.get("prompt_tokens_details"), "prompt_tokens_details")
    wrote = record(usage.get("completion_tokens_details"), "completion_tokens_details")
    reply.tokens_in = count(usage.get("prompt_tokens"), "prompt_tokens")
    reply.tokens_out = count(usage.get("completion_tokens"), "completion_tokens")
    reply.tokens_reasoning = count(wrote.get("reasoning_tokens"), "reasoning_tokens")
    places = (read.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"),
              usage.get("cached_tokens"))  # fmt: skip
    reply.tokens_cached = max(count(value, "cached_tokens") for value in places)
    reply.tokens_cache_written = count(read.get("cache_write_tokens"), "cache_write_tokens")
    total = count(usage.get("total_tokens"), "total_tokens")
    if reply.tokens_reasoning and total == (
        reply.tokens_in + reply.tokens_out + reply.tokens_reasoning
    ):
        reply.tokens_out += reply.tokens_reasoning


def _check_minimax(body: Mapping[str, Any]) -> None:
    state = body.get("base_resp")
    code = state.get("status_code") if isinstance(state, dict) else None
    if code:
        later = isinstance(code, int) and code in _MINIMAX_LATER
        msg = f"an error with status 200: {shown(code)}: {message(state)}"
        raise WireError(msg, retry=later)


def _add(part: Mapping[str, Any], choice: dict[str, Any]) -> None:
    """Add a chunk's choice to the whole one."""
    said = choice["message"]
    delta = record(part.get("delta"), "delta")
    for key in ("reasoning_content", "reasoning", "refusal"):
        if more := piece(delta.get(key), key):
            grow(said, key, more)
    if isinstance(content := delta.get("content"), str):
        said.setdefault("content", []).append(content)
    elif "content" in delta:
        said.setdefault("content", []).extend(items(content, "content"))
    if details := items(delta.get("reasoning_details"), "reasoning_details"):
        said["reasoning_details"] = _with_details(said.get("reasoning_details", []), details)
    for each in items(delta.get("tool_calls"), "tool_calls"):
        _add_call(record(each, "tool_calls[]"), said.setdefault("tool_calls", {}))
    logprobs = record(part.get("logprobs"), "logprobs")
    if places := items(logprobs.get("content"), "logprobs.content"):
        choice.setdefault("logprobs", {"content": []})["content"] += places
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]


def _add_call(part: dict[str, Any], calls: dict[int, dict[str, Any]]) -> None:
    """Add a piece of a tool call. A piece without an index starts a call if it has an id."""
    if len(calls) > _MOST_CALLS:
        msg = f"a turn of more than {_MOST_CALLS} tool calls"
        raise WireError(msg, retry=False)
    if part.get("index") is not None:
        index = count(part["index"], "tool_calls[].index")
    else:
        last = max(calls, default=-1)
        index = last + 1 if part.get("id") or last < 0 else last
    call = calls.setdefault(index, {"type": "function", "function": {"arguments": ""}})
    if part.get("id"):
        call.setdefault("id", part["id"])
    function = record(part.get("function"), "tool_calls[].function")
    if function.get("name"):
        call["function"].setdefault("name", function["name"])
    grow(call["function"], "arguments", _arguments(function.get("arguments")))


def _with_details(whole: list[Any], parts: list[Any]) -> list[Any]:
    """Add pieces of OpenRouter's reasoning details: of one index, texts grow and the rest is set.

    A signature comes in a piece of its own behind its text.
    """
    for part in parts:
        last = whole[-1] if whole else None
        if not isinstance(part, dict) or not isinstance(last, dict) or not _continues(part, last):
            whole.append(dict(part) if isinstance(part, dict) else part)
            continue
        for key, value in part.items():
            before = last.get(key)
            if key in {"text", "summary", "data"} and isinstance(before, str | Pieces):
                grow(last, key, value)
            elif value is not None:
                last[key] = value
    return whole


def _continues(part: dict[str, Any], last: dict[str, Any]) -> bool:
    index, kind = part.get("index"), part.get("type")
    return (
        isinstance(index, int)
        and isinstance(kind, str)
        and index == last.get("index")
        and kind == last.get("type")
    )


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value, "arguments") if value else ""
