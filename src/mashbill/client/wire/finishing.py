"""Why an answer ended: the words of all servers, as one of five.

A word that stands on no list is "other", and such an answer is not taken as a whole one. Words are
those of the references and sources of OpenAI, Anthropic, Gemini, Mistral, Cohere, Bedrock, watsonx,
TGI, vLLM, SGLang, llama.cpp, Ollama, Together, Z.ai, DeepSeek and Baidu, and of gateways that
pass a provider's own word on in another format; they are compared without case, and ``-`` and
space count as ``_``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
from mashbill.client.wire.reading import incidental

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.client.wire import Reply

_WORDS = {
    "stop": """
        stop end_turn stop_sequence stop_token eos eos_token endoftext end_of_text complete
        completed finish normal
        """,
    "length": """
        length max_tokens max_token max_output_tokens max_completion_tokens max_new_tokens
        max_length max_tokens_reached token_limit max_token_limit output_length model_length
        context_length context_length_exceeded context_window_exceeded continuation incomplete
        model_context_window_exceeded max_context_length max_model_len length_limit limit
        """,
    "tool_calls": "tool_calls tool_call tool_use function_call function_calls",
    "content_filter": """
        content_filter content_filtered contentfilter filtered filter sensitive safety recitation
        language blocklist prohibited_content spii image_safety image_prohibited_content
        image_recitation model_armor escalation refusal refused moderation moderated
        guardrail_intervened error_toxic blocked
        """,
}
FINISHES = {word: finish for finish, words in _WORDS.items() for word in words.split()}
"""word in lower case -> stop, length, tool_calls or content_filter"""

_BROKEN = frozenset({"error", "insufficient_system_resource", "network_error", "server_error"})
"""words that say that the server broke off by a fault of its own"""


def end(reply: Reply, word: Any) -> None:
    """Set why a reply ended, by the word that the service gives; ``None`` is none.

    Raises:
        WireError: with ``retry``, if the server says that it broke off.
    """
    kind = word.get("type") if isinstance(word, dict) else word  # SGLang's own form of it
    reply.said = incidental(kind).strip()
    plain = _plain(reply.said)
    if plain in _BROKEN:
        msg = f"the server stopped in the middle: {reply.said}"
        raise WireError(msg, retry=True)
    reply.finish = FINISHES.get(plain, "other")
    if plain in _UNSAID:
        reply.said = "" if word is None or isinstance(word, str) else "a word that is none"


def _plain(word: str) -> str:
    """Return a word as it stands in the lists: of ``FinishReason.STOP`` it is what is behind."""
    bare = word.lower().replace("-", "_").replace(" ", "_").rpartition(".")[2]
    return bare.removeprefix("finish_reason_")


def finish_of(word: str) -> str:
    """Return which of the five a service's word for an end is."""
    return FINISHES.get(_plain(word.strip()), "other")


def ending(*places: Mapping[str, Any] | None) -> Any:
    """Return the word for an answer's end, from the first place that has one.

    Gateways leave it where the provider behind them has it, under its name there.

    Args:
        places: a choice, its message, the whole body: where it may stand, the likeliest first.
    """
    found = [
        place[key]
        for place in places
        for key in _KEYS
        if place and place.get(key) is not None and not _is_unsaid(place[key])
    ]
    first = found[0] if found else None
    # What a router says of its own is no better than what the provider said.
    behind = next((place["native_finish_reason"] for place in places
                   if place and place.get("native_finish_reason")), None)  # fmt: skip
    return worse(first, behind) if isinstance(behind, str) and _rank(behind) > 2 else first


def worse(one: Any, other: Any) -> Any:
    """Return which of two words for an end says less of a whole answer."""
    return max((word for word in (one, other) if word), key=_rank, default=None)


def _rank(word: Any) -> int:
    kind = word.get("type") if isinstance(word, dict) else word
    return _ORDER.index(FINISHES.get(_plain(incidental(kind)), "other"))


def _is_unsaid(word: Any) -> bool:
    return isinstance(word, str) and _plain(word.strip()) in _UNSAID


_KEYS = ("finish_reason", "finishReason", "stop_reason", "done_reason", "stopReason")
_ORDER = ("stop", "tool_calls", "other", "length", "content_filter")
_UNSAID = frozenset({"", "null", "none", "unspecified", "undefined"})
"""words that say that no end is known yet"""
