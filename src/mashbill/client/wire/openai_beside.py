"""What stands beside the text in OpenAI's formats: log-probabilities and counts of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.client.wire.reading import Beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.client.wire import Reply

Tokens = list[tuple[str, float, list[tuple[str, float]]]]
"""for each token written: the token, its log-probability, and the likeliest at its place"""


def read_logprobs(value: Any, beside: Beside) -> Tokens:
    """Read ``logprobs`` of a choice, ``{"content": [{"token", "logprob", "top_logprobs"}]}``.

    Where a server gives the parallel lists of text completions instead, these are read.
    """
    found = {"content": value} if isinstance(value, list) else beside.record(value, "logprobs")
    if "content" not in found and "tokens" in found:
        return parallel_logprobs(found, beside)
    return token_logprobs(found.get("content"), beside)


def token_logprobs(value: Any, beside: Beside) -> Tokens:
    """Read a list of ``{"token", "logprob", "top_logprobs"}``; the last may be left out.

    A place that cannot be read ends the list: what stands behind it would be taken for another's.
    """
    found: Tokens = []
    for each in beside.items(value, "logprobs.content"):
        place = beside.record(each, "logprobs.content[]")
        its = _token(place, beside)
        if its is None:
            break
        others = beside.items(place.get("top_logprobs"), "top_logprobs")
        top = [_token(beside.record(other, "top_logprobs[]"), beside) for other in others]
        found.append((*its, [other for other in top if other is not None]))
    return found


def parallel_logprobs(value: Mapping[str, Any], beside: Beside) -> Tokens:
    """Read text completions' lists ``tokens``, ``token_logprobs`` and ``top_logprobs``."""
    tokens = beside.items(value.get("tokens"), "tokens")
    chosen = beside.items(value.get("token_logprobs"), "token_logprobs")
    likeliest = beside.items(value.get("top_logprobs"), "top_logprobs") or [None] * len(tokens)
    if not len(tokens) == len(chosen) == len(likeliest):
        beside.odd.append("log-probabilities of more or fewer tokens than there are")
        return []
    found: Tokens = []
    for token, its, others in zip(tokens, chosen, likeliest, strict=True):
        if its is None and not found:
            continue  # of what stood before the first token that was written
        written = beside.token(token, "tokens[]")
        logprob = None if its is None else beside.logprob(its, "token_logprobs[]")
        if written is None or logprob is None:
            break
        top = [
            (beside.token(other, "top_logprobs[]"), beside.logprob(its, "top_logprobs[]"))
            for other, its in beside.record(others, "top_logprobs[]").items()
        ]
        likely = [(token, its) for token, its in top if token is not None and its is not None]
        found.append((written, logprob, likely))
    return found


def _token(place: Mapping[str, Any], beside: Beside) -> tuple[str, float] | None:
    token = beside.token(place.get("token"), "token")
    logprob = beside.logprob(place.get("logprob"), "logprob")
    return None if token is None or logprob is None else (token, logprob)


def read_usage(body: Mapping[str, Any], reply: Reply) -> None:
    """Read ``usage``, which some servers omit: then nothing is counted."""
    beside = Beside(reply.odd)
    usage = beside.record(body.get("usage"), "usage")
    read = beside.record(usage.get("prompt_tokens_details"), "prompt_tokens_details")
    wrote = beside.record(usage.get("completion_tokens_details"), "completion_tokens_details")
    reply.tokens_in = beside.count(usage.get("prompt_tokens"), "prompt_tokens")
    reply.tokens_out = beside.count(usage.get("completion_tokens"), "completion_tokens")
    reply.tokens_reasoning = beside.count(wrote.get("reasoning_tokens"), "reasoning_tokens")
    places = (
        read.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
        usage.get("cached_tokens"),
    )
    reply.tokens_cached = max(beside.count(value, "cached_tokens") for value in places)
    reply.tokens_cache_written = beside.count(read.get("cache_write_tokens"), "cache_write_tokens")
    total = beside.count(usage.get("total_tokens"), "total_tokens")
    if reply.tokens_reasoning and total == (
        reply.tokens_in + reply.tokens_out + reply.tokens_reasoning
    ):
        reply.tokens_out += reply.tokens_reasoning
