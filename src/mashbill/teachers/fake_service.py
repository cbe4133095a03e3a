"""A service in this process: the fake teacher behind the real client, with faults and limits.

It speaks the chat format, so that a recipe, or a test, goes through limits, retries, the journal
and the budget as it would with a provider. Every fault follows from a digest of the request and of
how often it was sent, so that two runs meet the same ones.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.client.limits import Bucket
from mashbill.client.transport import Response, TransportError
from mashbill.client.wire import CHOOSING
from mashbill.core.canonical import digest_bytes
from mashbill.core.chat import Conversation, Tool, ToolCall, Turn
from mashbill.core.schema import Schema
from mashbill.core.source import Source, SourceKind
from mashbill.core.teacher import Question
from mashbill.teachers.api import RemoteTeacherSpec
from mashbill.teachers.fake import FakeTeacher, FakeTeacherSpec
from mashbill.teachers.services import Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAULTS = ("limited", "errors", "cuts", "hangs", "garbage")


class FakeServiceSpec(RemoteTeacherSpec):
    """``kind = "fake-service"``. Shares are of first attempts, from 0 to 1."""

    kind: Literal["fake-service"] = "fake-service"
    model: str = "fake teacher"
    """name that the service answers to"""
    source_kind: SourceKind = "test-double"
    """what it stands in for; its name then ends in "(stand-in)" """
    provider: str = "unknown"
    """provider of what it stands in for"""
    words: dict[str, tuple[str, ...]] = Field(min_length=1)
    """as for kind ``fake``"""
    invalid: float = Field(default=0.0, ge=0, le=1)
    """share of structured answers that break their schema at first"""
    latency: float = Field(default=0.0, ge=0)
    """median seconds of an answer"""
    spread: float = Field(default=0.0, ge=0)
    """sigma of the log-normal distribution of latencies"""
    limited: float = Field(default=0.0, ge=0, le=1)
    """answered with 429 and a Retry-After"""
    retry_after: float = Field(default=1.0, ge=0)
    """seconds that such a 429 says"""
    errors: float = Field(default=0.0, ge=0, le=1)
    """answered with 500"""
    cuts: float = Field(default=0.0, ge=0, le=1)
    """cut off in the middle"""
    hangs: float = Field(default=0.0, ge=0, le=1)
    """never answered"""
    garbage: float = Field(default=0.0, ge=0, le=1)
    """answered with something that is no JSON, and status 200"""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """limit that its headers tell of, and that it keeps with 429"""

    context: ClassVar[frozenset[str]] = RemoteTeacherSpec.context | {
        "latency", "spread", "retry_after", "requests_per_minute", *_FAULTS
    }  # fmt: skip

    @property
    def service(self) -> Service:
        """A twin in this process."""
        return Service("unknown", "host", "openai-chat", f"twin://{self.twin}", "", "", logprobs=20)

    @property
    def twin(self) -> str:
        """Under which name the client finds it."""
        return digest_bytes(self.model_dump_json().encode())[:12]

    @property
    def service_name(self) -> str:
        """Under which name accounts are looked up."""
        return f"fake-service-{self.twin}"

    @property
    def source(self) -> Source:
        """A test double, unless it stands in for something else."""
        stands_in = self.source_kind != "test-double"
        return Source(
            name=f"{self.model} (stand-in)" if stands_in else self.model,
            what="model",
            kind=self.source_kind,
            route="in-process",
            provider=self.provider,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What changes its answers."""
        return {
            "kind": "fake-service", "model": self.model, "invalid": self.invalid,
            "words": {choice: list(words) for choice, words in self.words.items()},
            **self._asked(),
        }  # fmt: skip

    def transport(self) -> FakeService:
        """Return the service."""
        return FakeService(self)


class FakeService:
    """See the module; a :class:`mashbill.client.transport.Transport`."""

    def __init__(self, spec: FakeServiceSpec) -> None:
        self.spec = spec
        self.sent: Counter[str] = Counter()
        """times that each body was sent"""
        self.served: Counter[str] = Counter()
        """times that each was answered"""
        self.breaches: list[str] = []
        """what a client did that it should not have"""
        self._held_until = 0.0
        self._bucket: Bucket | None = None
        keys: dict[str, Any] = {"name": spec.model, "words": spec.words}
        if spec.invalid:
            keys["invalid"] = spec.invalid
        self._teacher = FakeTeacher(FakeTeacherSpec.model_validate(keys))

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer, after a while, or fail as the recipe says."""
        del method, url
        now = time.monotonic()
        if now < self._held_until:
            self.breaches.append(f"sent {self._held_until - now:.3f} s before its Retry-After")
        if "run=" not in headers.get("User-Agent", ""):
            self.breaches.append("no run in User-Agent")
        key = digest_bytes(body)
        self.sent[key] += 1
        fault = self._fault(key)
        if fault == "limited" or not self._has_room(now):
            wait = self.spec.retry_after
            self._held_until = max(self._held_until, now + wait)
            return self._response(
                429,
                {"error": {"message": "slow down", "type": "rate_limit"}},
                {"retry-after": f"{wait}"},
            )
        await asyncio.sleep(self._latency(key))
        if fault == "hangs":
            await asyncio.sleep(3600)
        if fault == "cuts":
            raise TransportError("cut", "the response was cut off in the middle")
        if fault == "errors":
            return self._response(500, {"error": {"message": "an error inside"}})
        if fault == "garbage":
            return Response(200, {}, b'{"choices": [{"mess\xff')
        self.served[key] += 1
        return self._response(200, self._answer(json.loads(body)))

    async def close(self) -> None:
        """There is nothing to close."""

    def _fault(self, key: str) -> str:
        """Return what befalls a request that is sent for the first time."""
        if self.sent[key] > 1:
            return ""
        draw, below = int(key[:8], 16) / 2**32, 0.0
        for name in _FAULTS:
            below += float(getattr(self.spec, name))
            if draw < below:
                return name
        return ""

    def _has_room(self, now: float) -> bool:
        limit = self.spec.requests_per_minute
        if limit is None:
            return True
        if self._bucket is None:
            self._bucket = Bucket.full(limit, now)
        self._bucket.fill(now)
        if self._bucket.level < 1:
            return False
        self._bucket.level -= 1
        return True

    def _latency(self, key: str) -> float:
        """Draw from the log-normal distribution, by the sum of twelve uniform draws."""
        if not self.spec.spread:
            return self.spec.latency
        draws = [int(key[i : i + 4], 16) / 65536 for i in range(8, 56, 4)]
        return self.spec.latency * math.exp(self.spec.spread * (sum(draws) - 6))

    def _response(
        self, status: int, body: Any, headers: Mapping[str, str] | None = None
    ) -> Response:
        told = dict(headers or {})
        if self.spec.requests_per_minute is not None:
            left = int(self._bucket.level) if self._bucket else 1
            told |= {
                "x-ratelimit-limit-requests": f"{self.spec.requests_per_minute:.0f}",
                "x-ratelimit-remaining-requests": str(max(left, 0)),
                "x-ratelimit-reset-requests": f"{60 / self.spec.requests_per_minute:.3f}s",
            }
        return Response(status, told, json.dumps(body).encode())

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        turns = list(body["messages"])
        first = turns[0]["content"] or ""
        said = first if turns[0]["role"] == "system" else ""
        choices: tuple[str, ...] = ()
        if first.startswith(CHOOSING):
            words, end = json.JSONDecoder().raw_decode(first, len(CHOOSING))
            choices = tuple(words)
            if not said:  # system = "user"
                turns[0] = {**turns[0], "content": first[end:].removeprefix("\n\n")}
        wanted = body.get("response_format", {}).get("json_schema", {}).get("schema")
        tools = [tool["function"] for tool in body.get("tools", ())]
        asked = [turn for turn in turns if turn["role"] != "system"]
        last = asked[-1]["content"] if asked and asked[-1]["role"] == "user" else ""
        (answer,) = self._teacher.answer(
            [
                Question(
                    "", last or "", choices, system="" if choices else said,
                    turns=_said(asked[:-1] if last else asked if len(asked) > 1 else ()),
                    schema=Schema(wanted) if wanted else None,
                    tools=tuple(Tool.of(tool) for tool in tools),
                    sample=int(body.get("seed") or 0),
                )
            ]
        )  # fmt: skip
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": message}
        if answer.tool_calls:
            choice["finish_reason"] = "tool_calls"
            message["tool_calls"] = [
                {"id": call.id, "type": "function",
                 "function": {"name": call.name, "arguments": call.arguments}}
                for call in answer.tool_calls
            ]  # fmt: skip
        if choices:
            pairs = sorted(zip(answer.logprobs, choices, strict=True), reverse=True)
            top = [{"token": word, "logprob": p, "bytes": None} for p, word in pairs]
            message["content"] = pairs[0][1]
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        read = sum(len(str(turn["content"]).split()) for turn in turns)
        written = max(answer.tokens - read, len(answer.text.split()), 1)
        return {
            "id": f"fake-{digest_bytes(json.dumps(body).encode())[:12]}",
            "object": "chat.completion",
            "model": self.spec.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": read, "completion_tokens": written,
                "total_tokens": read + written,
            },
        }  # fmt: skip


def _said(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """Return the turns of a request as OpenAI's format has them."""
    return Conversation(
        tuple(
            Turn(
                turn["role"],
                turn.get("content") or "",
                tuple(ToolCall.of({**c["function"], "id": c["id"]}) for c in calls),
                tool_call_id=turn.get("tool_call_id", ""),
                name=turn.get("name", ""),
            )
            for turn in messages
            for calls in [turn.get("tool_calls") or ()]
        )
    )
