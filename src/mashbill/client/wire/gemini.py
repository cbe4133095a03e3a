"""Google's Gemini API, v1beta: generateContent and streamGenerateContent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.errors import answer, refused, told_events
from mashbill.client.wire.finishing import end, ending, worse
from mashbill.client.wire.reading import (
    Beside,
    called,
    grow,
    incidental,
    index,
    items,
    merged,
    only,
    parsed,
    record,
    settle,
    text,
)
from mashbill.client.wire.schemas import for_gemini

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.client.wire import Ask
    from mashbill.core.chat import Tool, Turn

_SETTINGS = {
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "seed": "seed",
    "stop": "stopSequences", "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}  # fmt: skip
_NAMED_HERE = re.compile(r"call_\d+")
"""ids that read gives to calls that have none; they are not sent back"""
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)
_TEXT_KEYS = {"text", "thought", "thoughtSignature"}


class Gemini:
    """POST /v1beta/models/MODEL:generateContent; the base address is the host's."""

    name = "gemini"
    stops_stream = ""

    def path(self, ask: Ask) -> str:
        """Return the path below the base address; the key is never in it."""
        way = "streamGenerateContent?alt=sse" if ask.stream else "generateContent"
        return f"/v1beta/{model_path(ask.model)}:{way}"

    def headers(self, key: str) -> dict[str, str]:
        """Return the key's header."""
        return {"x-goog-api-key": key} if key else {}

    def body(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON body.

        A reasoning effort is a thinking level, which models since Gemini 3 know; for older ones
        name a budget. "none" and 0 turn thinking off where a model lets it be. Summaries of the
        thoughts are asked for with either.

        Raises:
            WireError: for settings that the API does not have, and for tool calls whose arguments
                are no JSON object.
        """
        only(ask.settings, _SETTINGS, self.name)
        body: dict[str, Any] = {"contents": _contents(ask.turns)}
        system = [{"text": turn.content} for turn in ask.turns if turn.role == "system"]
        if system:
            body["systemInstruction"] = {"parts": system}
        if ask.tools:
            body["tools"] = [{"functionDeclarations": [_declared(tool) for tool in ask.tools]}]
        config = {_SETTINGS[key]: value for key, value in ask.settings.items()}
        if isinstance(config.get("stopSequences"), str):
            config["stopSequences"] = [config["stopSequences"]]
        if ask.max_tokens is not None:
            config["maxOutputTokens"] = ask.max_tokens
        if ask.schema is not None:
            config["responseMimeType"] = "application/json"
            config["responseJsonSchema"] = for_gemini(ask.schema)
        if ask.top_logprobs:
            config |= {"responseLogprobs": True, "logprobs": ask.top_logprobs}
        if ask.reasoning in ("none", 0):
            config["thinkingConfig"] = {"thinkingBudget": 0}
        elif ask.reasoning is not None:
            key = "thinkingLevel" if isinstance(ask.reasoning, str) else "thinkingBudget"
            config["thinkingConfig"] = {key: ask.reasoning, "includeThoughts": True}
        if config:
            body["generationConfig"] = config
        return merged(body, ask.extra)

    def read(self, body: Any) -> Reply:
        """Read a whole response.

        A prompt that was blocked is a reply without text, whose finish is content_filter.

        Raises:
            WireError: if it is no answer.
        """
        body = answer(body)
        reply = Reply(
            model=incidental(body.get("modelVersion")),
            id=incidental(body.get("responseId")),
        )
        beside = Beside(reply.odd)
        _read_usage(body.get("usageMetadata"), beside, reply)
        candidates = items(body.get("candidates"), "candidates")
        if not candidates:
            feedback = beside.record(body.get("promptFeedback"), "promptFeedback")
            if not feedback.get("blockReason"):
                msg = "a response without candidates"
                raise WireError(msg, retry=False, unread=True)
            reply.finish, reply.said = "content_filter", incidental(feedback["blockReason"])
            return reply
        candidate = record(candidates[0], "candidates[0]")
        parts = _parts_of(candidate)
        # OTHER, MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL ... are "other".
        end(reply, ending({"finishReason": candidate.get("finishReason")}, candidate, body))
        for part in parts:
            _read_part(part, reply)
        if reply.tool_calls and reply.finish == "stop":
            reply.finish = "tool_calls"
        if any(part.get("thoughtSignature") for part in parts):
            reply.opaque = parts  # a signature counts only on its own part, in its place
        reply.logprobs = _logprobs(candidate.get("logprobsResult"), beside)
        return reply

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means; RetryInfo says when to ask again."""
        if isinstance(body, list) and body:
            body = body[0]  # an error of a stream that is an array
        return refused(status, body, wait=_delay(body))

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Put a stream's chunks together.

        Raises:
            WireError: if no chunk said why the stream ended, or a chunk is an error.
        """
        whole: dict[str, Any] = {}
        parts: list[dict[str, Any]] = []
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
        places: dict[str, list[Any]] = {}
        for chunk in told_events(events):
            if chunk is None:
                continue
            for key in ("responseId", "modelVersion", "usageMetadata", "promptFeedback"):
                if chunk.get(key):
                    whole[key] = chunk[key]
            for each in items(chunk.get("candidates"), "candidates"):
                some = record(each, "candidates[]")
                if index(some.get("index")) != 0:
                    continue
                whole["candidates"] = [candidate]
                for part in _parts_of(some):
                    _add(part, parts)
                if word := worse(candidate.get("finishReason"), ending(some)):
                    candidate["finishReason"] = word
                result = some.get("logprobsResult")
                for key, values in result.items() if isinstance(result, dict) else ():
                    if isinstance(values, list):
                        places.setdefault(key, []).extend(values)
        for part in parts:
            settle(part)
        if places:
            candidate["logprobsResult"] = places
        feedback = whole.get("promptFeedback")
        is_blocked = isinstance(feedback, dict) and feedback.get("blockReason")
        if "finishReason" not in candidate and not is_blocked:
            msg = "the stream ended before its finishReason"
            raise WireError(msg, retry=True)
        return whole


def _parts_of(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a candidate; a text, or one part, in their place is read as such."""
    content = candidate.get("content")
    if isinstance(content, str) and content:
        return [{"text": content}]
    parts = record(content, "content").get("parts")
    if isinstance(parts, dict) and parts:
        parts = [parts]
    return [record(part, "parts[]") for part in items(parts, "parts")]


def model_path(model: str) -> str:
    """Return a model's resource name, as a path."""
    return quote(model if "/" in model else f"models/{model}")


def _contents(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    results: list[dict[str, Any]] | None = None
    for turn in turns:
        if turn.role == "tool":
            # Answers to parallel calls stand in one content.
            if results is None:
                results = []
                contents.append({"role": "user", "parts": results})
            results.append({"functionResponse": _result(turn)})
            continue
        results = None
        if turn.role == "assistant":
            contents.append({"role": "model", "parts": _said(turn)})
        elif turn.role != "system":
            contents.append({"role": "user", "parts": [{"text": turn.content}]})
    return contents


def _said(turn: Turn) -> Sequence[Any]:
    if turn.opaque is not None and turn.opaque.data:
        parts: Sequence[Any] = turn.opaque.data
        return parts
    said, calls = turn.content, turn.tool_calls
    written: list[dict[str, Any]] = [{"text": said}] if said or not calls else []
    for call in calls:
        function = {"name": call.name, "args": parsed(call.arguments)}
        written.append({"functionCall": _with_id(call.id, function)})
    return written


def _result(turn: Turn) -> dict[str, Any]:
    """Return a tool's result, which is an object: the tool's own, or its text as ``output``."""
    try:
        response = parsed(turn.content)
    except WireError:
        response = {"output": turn.content}
    return _with_id(turn.tool_call_id, {"name": turn.name, "response": response})


def _with_id(call: str, function: dict[str, Any]) -> dict[str, Any]:
    return function if _NAMED_HERE.fullmatch(call) else {"id": call, **function}


def _declared(tool: Tool) -> dict[str, Any]:
    """Return a tool's declaration; JSON Schema has a key of its own beside OpenAPI's."""
    told = {"name": tool.name, "description": tool.description}
    return {**told, "parametersJsonSchema": tool.parameters}


def _read_part(part: dict[str, Any], reply: Reply) -> None:
    if "functionCall" in part:
        call = record(part["functionCall"], "functionCall")
        name = text(call.get("name"), "functionCall.name")
        if not name:
            msg = "a function call without a name"
            raise WireError(msg, retry=False, unread=True)
        called(reply, name, record(call.get("args"), "args"), call.get("id"))
    elif not part.keys() & _TEXT_KEYS:
        msg = f"a part of {', '.join(sorted(part))[:60] or 'nothing'}, which is no text"
        raise WireError(msg, retry=False, unread=True)
    elif part.get("thought") in (True, "true"):
        reply.reasoning += Beside(reply.odd).text(part.get("text"), "text")
    else:
        reply.text += text(part.get("text"), "text", reply.odd)


def _logprobs(value: Any, beside: Beside) -> list[tuple[str, float, list[tuple[str, float]]]]:
    result = beside.record(value, "logprobsResult")
    chosen = beside.items(result.get("chosenCandidates"), "chosenCandidates")
    likeliest = beside.items(result.get("topCandidates"), "topCandidates") or [None] * len(chosen)
    if len(chosen) != len(likeliest):
        beside.odd.append("log-probabilities of more or fewer tokens than there are")
        return []
    found = []
    for each, others in zip(chosen, likeliest, strict=True):
        its = _token(each, beside)
        if its is None:
            break
        likely = beside.record(others, "topCandidates[]").get("candidates")
        top = [_token(other, beside) for other in beside.items(likely, "candidates")]
        found.append((*its, [other for other in top if other is not None]))
    return found


def _token(value: Any, beside: Beside) -> tuple[str, float] | None:
    place = beside.record(value, "chosenCandidates[]")
    token = beside.token(place.get("token", ""), "token")
    # Zero, of a token that is certain, is left out as protocol buffers leave it out.
    its = beside.logprob(place.get("logProbability", 0.0), "logProbability")
    return None if token is None or its is None else (token, its)


def _read_usage(value: Any, beside: Beside, reply: Reply) -> None:
    usage = beside.record(value, "usageMetadata")

    def counted(key: str) -> int:
        return beside.count(usage.get(key), key)

    # Results of the server's own tools are read as well, and are not part of the prompt.
    thoughts = counted("thoughtsTokenCount")
    reply.tokens_in = counted("promptTokenCount") + counted("toolUsePromptTokenCount")
    reply.tokens_out = counted("candidatesTokenCount") + thoughts
    reply.tokens_reasoning = thoughts
    reply.tokens_cached = counted("cachedContentTokenCount")


def _add(part: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    """Add a part; texts without a signature grow together, as the documentation lets them."""
    last = parts[-1] if parts else {}
    plain = {"text", "thought"}
    if "text" in part and "text" in last and not (part.keys() | last.keys()) - plain:  # noqa: SIM102
        if (part.get("thought") is True) == (last.get("thought") is True):
            grow(last, "text", part["text"])
            return
    parts.append(dict(part))


def _delay(body: Any) -> float | None:
    """Return the seconds of google.rpc.RetryInfo in an error's details, if it is there."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        said = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(said, str) and (found := _SECONDS.fullmatch(said)):
            return float(found[1])
    return None
