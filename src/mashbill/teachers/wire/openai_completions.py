"""Text completions: a raw prompt goes on. OpenAI's older endpoint, also of local servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.teachers.wire import Reply, WireError
from mashbill.teachers.wire.openai_chat import FINISHES, read_usage, token_logprobs
from mashbill.teachers.wire.reading import (
    answer,
    count,
    grow,
    incidental,
    items,
    logprob,
    merged,
    piece,
    record,
    refused,
    settle,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.teachers.wire import Ask


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
        if not isinstance(choice.get("text"), str) or not isinstance(body.get("usage"), dict):
            msg = "a completion without text and usage"
            raise WireError(msg, retry=False)
        reply = Reply(
            text=text(choice["text"], "text"),
            finish=FINISHES.get(text(choice.get("finish_reason"), "finish_reason"), "other"),
            logprobs=_logprobs(record(choice.get("logprobs"), "logprobs")),
            model=incidental(body.get("model")),
            id=incidental(body.get("id")),
        )
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
        whole: dict[str, Any] = {"object": "text_completion"}
        choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": None}
        places: dict[str, list[Any]] = {}
        for _, chunk in events:
            if chunk == self.stops_stream:
                settle(choice)
                return whole | ({"choices": [choice | {"logprobs": places or None}]})
            chunk = answer(chunk)  # noqa: PLW2901
            for key in ("id", "model", "usage"):
                if chunk.get(key):
                    whole[key] = chunk[key]
            for each in items(chunk.get("choices"), "choices"):
                part = record(each, "choices[]")
                if count(part.get("index"), "index") != 0:
                    continue
                grow(choice, "text", part.get("text"))
                if part.get("finish_reason") is not None:
                    choice["finish_reason"] = part["finish_reason"]
                for key, values in record(part.get("logprobs"), "logprobs").items():
                    if isinstance(values, list):
                        places.setdefault(key, []).extend(values)
        msg = "the stream ended before [DONE]"
        raise WireError(msg, retry=True)


def _prompt(turns: Sequence[Mapping[str, Any]]) -> str:
    """Join what stands before and behind one user's turn, by an empty line."""
    roles = [turn["role"] for turn in turns]
    if roles.count("user") != 1 or set(roles) - {"system", "user", "assistant"}:
        msg = "a raw prompt has one user's turn and no tools; ask by a chat format"
        raise WireError(msg, retry=False)
    return "\n\n".join(turn["content"] for turn in turns)


def _logprobs(value: dict[str, Any]) -> list[tuple[str, float, list[tuple[str, float]]]]:
    """Read OpenAI's parallel lists, or the list of the chat format that llama.cpp gives here."""
    if "content" in value:
        return token_logprobs(value["content"])
    tokens = items(value.get("tokens"), "tokens")
    chosen = items(value.get("token_logprobs"), "token_logprobs")
    likeliest = items(value.get("top_logprobs"), "top_logprobs") or [None] * len(tokens)
    if not len(tokens) == len(chosen) == len(likeliest):
        msg = "log-probabilities of more or fewer tokens than there are"
        raise WireError(msg, retry=False)
    found = []
    for token, its, others in zip(tokens, chosen, likeliest, strict=True):
        top = [
            (_readable(other), logprob(value, "top_logprobs"))
            for other, value in record(others, "top_logprobs[]").items()
        ]
        found.append((_readable(token), logprob(its, "token_logprobs"), top))
    return found


def _readable(token: Any) -> str:
    # Halves of characters are no text; a server writes them as it can.
    return piece(token, "tokens[]").encode(errors="replace").decode()
