"""Text completions: a raw prompt goes on. OpenAI's older endpoint, also of local servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.errors import answer, failed, refused, says_error, told_events
from mashbill.client.wire.finishing import end, ending, worse
from mashbill.client.wire.openai_beside import parallel_logprobs, read_logprobs, read_usage
from mashbill.client.wire.openai_stream import of_one
from mashbill.client.wire.reading import (
    Beside,
    grow,
    incidental,
    items,
    merged,
    record,
    settle,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.client.wire import Ask
    from mashbill.core.chat import Conversation


class OpenAICompletions:
    """POST /completions; the base address ends where the server's own does, mostly in /v1."""

    name = "openai-completions"
    stops_stream = "[DONE]"

    def path(self, ask: Ask) -> str:  # noqa: ARG002  (the model stands in the body)
        """Return the path below the base address."""
        return "/completions"

    def headers(self, key: str) -> dict[str, str]:
        """Return the bearer's header."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON body.

        Raises:
            WireError: for more than one user's turn, tools, a schema or reasoning: a raw prompt
                has no such things.
        """
        unsaid = {"tools": ask.tools, "a schema": ask.schema is not None,
                  "reasoning": ask.reasoning is not None}  # fmt: skip
        if wanted := [name for name, given in unsaid.items() if given]:
            msg = f"{self.name} cannot say {', '.join(wanted)}; ask by a chat format"
            raise WireError(msg, retry=False)
        body: dict[str, Any] = {
            "model": ask.model, "prompt": _prompt(ask.turns), **ask.settings,
        }  # fmt: skip
        if ask.max_tokens is not None:
            body["max_tokens"] = ask.max_tokens
        if ask.top_logprobs:
            body["logprobs"] = ask.top_logprobs
        if ask.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return merged(body, ask.extra)

    def read(self, body: Any) -> Reply:
        """Read a whole completion.

        Raises:
            WireError: if it is no answer.
        """
        body = answer(body)
        choices = items(body.get("choices"), "choices")
        choice = record(choices[0], "choices[0]") if choices else {}
        if says_error(choice.get("error")):
            raise failed(choice, "an error in the choice")
        said = choice.get("text")
        if said is None and isinstance(choice.get("message"), dict):
            said = choice["message"].get("content")  # a server that answers as in a chat
        if not isinstance(said, str) and not (said is None and ending(choice, body) is not None):
            msg = "a completion without text"
            raise WireError(msg, retry=False, unread=True)
        reply = Reply(model=incidental(body.get("model")), id=incidental(body.get("id")))
        reply.text = text(said, "text", reply.odd)
        word = ending(choice, body)
        stopped = choice.get("stop_type") if word is None else word  # llama.cpp's own
        end(reply, stopped)
        beside = Beside(reply.odd)
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and "content" not in logprobs:
            reply.logprobs = parallel_logprobs(logprobs, beside)
        else:  # llama.cpp gives the chat format's list here
            reply.logprobs = read_logprobs(logprobs, beside)
        read_usage(body, reply)
        return reply

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means."""
        return refused(status, body)

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Put a stream's chunks together.

        Raises:
            WireError: if neither ``[DONE]`` nor a finish reason came, or a chunk is an error.
        """
        whole: dict[str, Any] = {"object": "text_completion"}
        choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": None}
        places: dict[str, list[Any]] = {}
        is_whole = False
        parts: list[dict[str, Any]] = []
        for chunk in told_events(events, self.stops_stream):
            if chunk is None:
                is_whole = True
                break
            for key in ("id", "model", "usage"):
                if chunk.get(key):
                    whole[key] = chunk[key]
            for each in items(chunk.get("choices"), "choices"):
                part = record(each, "choices[]")
                if says_error(part.get("error")):
                    raise failed(part, "an error in the stream")
                parts.append(part)
        for one in of_one(parts):
            delta = one.get("delta")  # of a server that streams as in a chat
            more = one.get("text") or (delta.get("content") if isinstance(delta, dict) else None)
            grow(choice, "text", more)
            choice["finish_reason"] = worse(choice["finish_reason"], ending(one))
            logprobs = one.get("logprobs")
            for key, values in logprobs.items() if isinstance(logprobs, dict) else ():
                if isinstance(values, list):
                    places.setdefault(key, []).extend(values)
        if not is_whole and choice["finish_reason"] is None:
            msg = "the stream ended before its end was said"
            raise WireError(msg, retry=True)
        settle(choice)
        return whole | {"choices": [choice | {"logprobs": places or None}]}


def _prompt(turns: Conversation) -> str:
    """Join what stands before and behind one user's turn, by an empty line."""
    roles = [turn.role for turn in turns]
    if roles.count("user") != 1 or set(roles) - {"system", "user", "assistant"}:
        msg = "a raw prompt has one user's turn and no tools; ask by a chat format"
        raise WireError(msg, retry=False)
    return "\n\n".join(turn.content for turn in turns)
