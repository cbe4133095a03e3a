"""Wire formats: how a request and its answer are written for each provider's API.

A wire is pure: it makes bodies and reads them, and never sees a socket. The client of
:mod:`mashbill.conduct` carries them.

Turns are those of :mod:`mashbill.core.chat`. What stands as ``opaque`` in a turn is sent as it is:
whoever makes the request sees to it that it goes to the model and account that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mashbill.core.chat import Conversation, Tool, ToolCall

CHOOSING = (
    "Go on from where the text ends. Write nothing but one of these, exactly as it stands here: "
)
"""what a chat model is told about choices; part of every such question"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, before it is written for a provider."""

    model: str
    turns: Conversation
    max_tokens: int | None = None
    """output tokens at most; None leaves it to the provider where it may be left"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """temperature, top_p, top_k, seed, stop, presence_penalty, frequency_penalty: what is set"""
    schema: Mapping[str, Any] | None = None
    """JSON Schema that the answer must satisfy, by the provider's own way"""
    tools: tuple[Tool, ...] = ()
    """tools that may be called"""
    top_logprobs: int = 0
    """log-probabilities of this many likeliest tokens at each place; 0 for none"""
    reasoning: str | int | None = None
    """documented reasoning control: an effort ("none", "low", "medium", "high") or a budget in
    tokens; None sends nothing"""
    stream: bool = False
    """whether server-sent events are asked for"""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """keys of the provider's own, put into the body as they are"""


@dataclass(slots=True)
class Reply:
    """What came back, read."""

    text: str = ""
    finish: str = "stop"
    """stop, length, tool_calls, content_filter or other"""
    said: str = field(default="", compare=False)
    """the word that the service ended with; empty if it said none"""
    odd: list[str] = field(default_factory=list, compare=False)
    """fields beside the text that had no such form as they have, and are read as absent"""
    tool_calls: list[ToolCall] = field(default_factory=list)
    reasoning: str = ""
    """reasoning, or its summary, where the provider's documented fields give it"""
    opaque: Any = None
    """encrypted or signed reasoning: only for the model and account that it came from"""
    tokens_in: int = 0
    """tokens read, cached ones included"""
    tokens_out: int = 0
    """tokens written, reasoning included"""
    tokens_cached: int = 0
    """of those read, from the provider's cache"""
    tokens_reasoning: int = 0
    """of those written, reasoning"""
    tokens_cache_written: int = 0
    """of those read, written to the provider's cache where that has a price of its own"""
    logprobs: list[tuple[str, float, list[tuple[str, float]]]] = field(default_factory=list)
    """for each token written: the token, its log-probability, and the likeliest at its place"""
    model: str = ""
    """the model that answered, as the provider names it"""
    id: str = ""
    """the provider's name for this response"""


class WireError(Exception):
    """A response that is no answer. ``reason`` says what was found, in a line."""

    def __init__(
        self,
        reason: str,
        *,
        retry: bool,
        wait: float | None = None,
        limited: bool = False,
        unread: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        """whether the same request may be answered at another time"""
        self.wait = wait
        """seconds after which, where the body says so"""
        self.limited = limited
        """whether it is a rate limit, whatever the status"""
        self.unread = unread
        """whether it may be an answer that is whole, and cannot be read here"""


class Wire(Protocol):
    """One provider's format."""

    name: str
    """as recipes and the journal write it: openai-chat, anthropic, ..."""
    stops_stream: str
    """data of the server-sent event that ends a stream well; empty if the end is in an event"""

    def path(self, ask: Ask) -> str:
        """Return the path below the base address, with its query."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that authenticate and say the version; none for an empty key."""
        ...

    def body(self, ask: Ask) -> dict[str, Any]:
        """Return the JSON body.

        Raises:
            WireError: if the format cannot say what is asked for.
        """
        ...

    def read(self, body: Any) -> Reply:
        """Read a whole response of status 200.

        What stands beside the text (ids, counts, log-probabilities, reasoning) loses no answer:
        what of it has another form is left out and named in ``odd``.

        Raises:
            WireError: if it is an error in spite of its status, lacks what an answer has, or holds
                its text or calls in another shape; never anything else, whatever ``body`` is.
        """
        ...

    def refusal(self, status: int, body: Any) -> WireError:
        """Say what a response of another status means; ``body`` is parsed JSON, or text.

        Rate limits and server errors may be retried, bad requests, keys and models may not.
        """
        ...

    def joined(self, events: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """Put a stream's (event name, parsed data) together to the body that ``read`` takes.

        Data equal to ``stops_stream`` is among them as that text, where the server sends it. The
        stream is whole too if why it ended was said, since it came to its end in order.

        Raises:
            WireError: with ``retry`` if the stream ended before its end was said, or an event in
                it is an error.
        """
        ...
