"""Chat completions, as OpenAI's reference describes them and most other servers copy them.

Read besides what OpenAI documents: ``reasoning_content`` (DeepSeek, vLLM, SGLang, llama.cpp, Z.ai,
Kimi), ``reasoning`` and ``reasoning_details`` (OpenRouter, newer vLLM), thinking parts (Mistral),
``base_resp`` (MiniMax), ``prompt_cache_hit_tokens`` (DeepSeek), and usage that counts reasoning
beside the completion (xAI) instead of in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.errors import answer, failed, message, refused, says_error, told_events
from mashbill.client.wire.finishing import end, ending
from mashbill.client.wire.openai_beside import read_logprobs, read_usage
from mashbill.client.wire.openai_stream import together
from mashbill.client.wire.reading import (
    Beside,
    called,
    incidental,
    items,
    merged,
    record,
    shown,
    text,
)
from mashbill.client.wire.schemas import for_openai

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mashbill.client.wire import Ask
    from mashbill.core.chat import Turn

_SAYING = frozenset({
    "content", "tool_calls", "function_call", "refusal", "reasoning", "reasoning_content",
})  # fmt: skip
"""keys of a message in which something may be said"""
_OPAQUE = ("reasoning_details", "reasoning_content")
"""keys of an assistant's message that carry what its provider wants back"""
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
            body["tools"] = [{"type": "function", "function": tool.value()} for tool in ask.tools]
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
            raise WireError(msg, retry=False, unread=True)
        choice = record(choices[0], "choices[0]")
        if says_error(choice.get("error")):
            raise failed(choice, "an error in the choice")
        said = _message_of(choice)
        reply = Reply()
        reply.model = incidental(body.get("model"), reply.odd, "model")
        reply.id = incidental(body.get("id"), reply.odd, "id")
        beside = Beside(reply.odd)
        end(reply, ending(choice, said, body))
        reply.text, thought = _content(said.get("content"), reply.odd)
        told = beside.text(said.get("reasoning_content"), "reasoning_content")
        reply.reasoning = told or beside.text(said.get("reasoning"), "reasoning") or thought
        _read_refusal(said.get("refusal"), reply)
        _read_calls(said, reply)
        if details := beside.items(said.get("reasoning_details"), "reasoning_details"):
            reply.opaque = {"reasoning_details": details}
        elif told and reply.tool_calls:
            # DeepSeek and Kimi document that a turn with calls is sent back with its reasoning.
            reply.opaque = {"reasoning_content": told}
        reply.logprobs = read_logprobs(choice.get("logprobs"), beside)
        read_usage(body if body.get("usage") else choice, reply)
        return reply

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means."""
        return refused(status, body)

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Put a stream's chunks together.

        Raises:
            WireError: if neither ``[DONE]`` nor a finish reason came, or a chunk is an error.
        """
        whole: dict[str, Any] = {"object": "chat.completion"}
        parts: list[dict[str, Any]] = []
        is_whole = False
        for chunk in told_events(events, self.stops_stream):
            if chunk is None:
                is_whole = True
                break
            _check_minimax(chunk)
            for key in ("id", "model", "usage", "finish_reason", "done_reason"):
                if chunk.get(key):
                    whole[key] = chunk[key]
            for each in items(chunk.get("choices"), "choices"):
                part = record(each, "choices[]")
                if says_error(part.get("error")):
                    raise failed(part, "an error in the stream")
                if part.get("usage") and not whole.get("usage"):
                    whole["usage"] = part["usage"]  # Moonshot's place for it
                parts.append(part)
        choice = together(parts)
        if not is_whole and ending(choice, whole) is None:
            msg = "the stream ended before its end was said"
            raise WireError(msg, retry=True)
        if parts:
            whole["choices"] = [choice]
        return whole


def _message(turn: Turn) -> dict[str, Any]:
    written: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.role == "tool":
        written["tool_call_id"] = turn.tool_call_id
    if turn.tool_calls:
        written["content"] = written["content"] or None
        written["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    opaque = turn.opaque.data if turn.opaque is not None else None
    if isinstance(opaque, dict):
        written |= {key: opaque[key] for key in _OPAQUE if key in opaque}
    return written


def _message_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return a choice's message: some servers write ``text`` or ``delta`` in its place.

    Raises:
        WireError: if there is none, nor a word for why it ended.
    """
    for key in ("message", "delta"):
        said = choice.get(key)
        if isinstance(said, dict) and (said.keys() & _SAYING or ending(choice) is not None):
            return said
    if isinstance(choice.get("text"), str):
        return {"content": choice["text"]}
    if ending(choice) is not None:
        return {}
    msg = "a choice without a message"
    raise WireError(msg, retry=False, unread=True)


def _read_refusal(refusal: Any, reply: Reply) -> None:
    """Take a refusal's words for the text; one that is true, or an object, is one without words."""
    if not says_error(refusal):
        return
    said = Beside(reply.odd).text(refusal, "refusal")
    reply.text, reply.finish = reply.text + said, "content_filter"


def _content(content: Any, odd: list[str]) -> tuple[str, str]:
    """Return text and reasoning of a content, which is a string or a list of parts."""
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        content = [content]
    if not isinstance(content, list):
        return text(content, "content", odd), ""
    said, thought = "", ""
    for each in content:
        if isinstance(each, str):
            said += each
            continue
        part = record(each, "content[]")
        match part.get("type"):
            case "text" | "output_text" | None if isinstance(part.get("text"), str | None):
                said += part.get("text") or ""
            case "refusal":
                said += text(part.get("refusal"), "content[].refusal", odd)
            case "thinking" | "reasoning":
                thoughts = part.get("thinking", part.get("text"))
                thought += _content(thoughts, odd)[0] if _flat(thoughts) else ""
            case "reference":  # Mistral's marks of sources: no text of their own
                pass
            case other:
                msg = f"content has a part of type {shown(other)}, which is no text"
                raise WireError(msg, retry=False, unread=True)
    return text(said, "content", odd), text(thought, "content", odd)


def _flat(parts: Any) -> bool:
    """Whether thinking holds text only, so that reading it goes no deeper than one list."""
    if isinstance(parts, list):
        return all(isinstance(part, dict) and part.get("type") == "text" for part in parts)
    return isinstance(parts, str)


def _read_calls(said: Mapping[str, Any], reply: Reply) -> None:
    """Read a message's tool calls; what is none loses no text that is whole without it."""
    given = said.get("tool_calls")
    if not given and isinstance(said.get("function_call"), dict):
        given = [{"function": said["function_call"]}]  # the reference's older form
    if isinstance(given, dict) and given:
        given = [given] if "function" in given else list(given.values())
    try:
        for each in items(given or None, "tool_calls"):
            _read_call(each, reply)
    except WireError as error:
        if not reply.text.strip() or reply.finish == "tool_calls":
            raise
        reply.odd.append(error.reason)


def _read_call(each: Any, reply: Reply) -> None:
    call = record(each, "tool_calls[]")
    function = record(call.get("function", call), "tool_calls[].function")
    name = text(function.get("name"), "tool_calls[].function.name")
    if not name:
        msg = "a tool call without a name"
        raise WireError(msg, retry=False, unread=True)
    called(reply, name, function.get("arguments"), call.get("id"))


def _check_minimax(body: Mapping[str, Any]) -> None:
    state = body.get("base_resp")
    code = state.get("status_code") if isinstance(state, dict) else None
    if says_error(code):
        later = isinstance(code, int) and code in _MINIMAX_LATER
        msg = f"an error with status 200: {shown(code)}: {message(state)}"
        raise WireError(msg, retry=later)
