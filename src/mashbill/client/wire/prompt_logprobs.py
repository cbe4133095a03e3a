"""Log-probabilities of tokens that are given: vLLM's ``prompt_logprobs`` of POST /completions.

The prompt is token ids, and one token is written since none cannot be asked for. The answer has for
each token of the prompt an object, token id -> {logprob, rank, decoded_token}, in which the token
itself always is, beside the likeliest; the first is null, as nothing tells it. What a model rules
out has -9999 in JSON, or ``-Infinity``: of both there is no gradient, so both are read as none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
from mashbill.client.wire.errors import answer, failed, says_error
from mashbill.client.wire.reading import Beside, incidental, items, merged, record
from mashbill.core import foreign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "prompt-logprobs"
"""as the journal calls the format"""
PATH = "/completions"
_LIKELIEST = 1
"""likeliest tokens that are asked for beside the token itself: fewer than one is not everywhere
understood"""
_INFINITE = frozenset({"-inf", "-infinity"})


class NoLogprobsError(WireError):
    """A server answered, and gave no log-probabilities of the prompt: it never will."""


@dataclass(slots=True)
class GivenTokens:
    """What a server gave of the tokens from a place on."""

    logprobs: list[float] = field(default_factory=list)
    """natural logarithms; ``foreign.UNLIKELY`` where there is none"""
    decoded: list[str | None] = field(default_factory=list)
    """the text that the server writes for each token, where it says so"""
    tokens_in: int = 0
    tokens_out: int = 0
    model: str = ""
    id: str = ""
    odd: list[str] = field(default_factory=list)


def body(model: str, ids: Sequence[int], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON body.

    Args:
        model: as the server names it.
        ids: of all tokens, those before the ones that are scored included.
        extra: keys of the server's own.
    """
    asked: dict[str, Any] = {
        "model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0,
        "prompt_logprobs": _LIKELIEST,
    }  # fmt: skip
    return merged(asked, extra)


def read(body: Any, ids: Sequence[int], start: int) -> GivenTokens:
    """Read a response of status 200.

    Args:
        body: its JSON.
        ids: that were sent.
        start: place of the first token that is scored.

    Raises:
        NoLogprobsError: if it has none of the prompt.
        WireError: if it is no answer, has another number of positions than tokens, or lacks a
            token that was sent where it should be.
    """
    body = answer(body)
    choices = items(body.get("choices"), "choices")
    choice = record(choices[0], "choices[0]") if choices else {}
    if says_error(choice.get("error")):
        raise failed(choice, "an error in the choice")
    said = choice.get("prompt_logprobs", body.get("prompt_logprobs"))
    if said is None:
        msg = "it answered without prompt_logprobs"
        raise NoLogprobsError(msg, retry=False)
    positions = items(said, "prompt_logprobs")
    if len(positions) != len(ids):
        msg = (
            f"prompt_logprobs has {len(positions):,} positions for {len(ids):,} tokens: the server "
            "cut the prompt, or put tokens of its own to it"
        )
        raise WireError(msg, retry=False, unread=True)
    found = GivenTokens(model=incidental(body.get("model")), id=incidental(body.get("id")))
    beside = Beside(found.odd)
    for at in range(start, len(ids)):
        value, text = _of(positions[at], at, ids[at], beside)
        found.logprobs.append(foreign.UNLIKELY if value is None else value)
        found.decoded.append(text)
    usage = beside.record(body.get("usage"), "usage")
    found.tokens_in = beside.count(usage.get("prompt_tokens"), "usage.prompt_tokens")
    found.tokens_out = beside.count(usage.get("completion_tokens"), "usage.completion_tokens")
    return found


def _of(position: Any, at: int, token: int, beside: Beside) -> tuple[float | None, str | None]:
    """Return the log-probability of a position's own token, None if it has none, and its text.

    Raises:
        WireError: if the position has other tokens alone.
    """
    if position is None:
        return None, None
    known = record(position, f"prompt_logprobs[{at}]")
    if str(token) not in known:
        msg = (
            f"prompt_logprobs[{at}] has no entry of token {token}, which stands there: the server "
            "read other tokens than it was sent"
        )
        raise WireError(msg, retry=False, unread=True)
    entry = known[str(token)]
    value, text = entry, None
    if isinstance(entry, dict):
        value, text = entry.get("logprob"), entry.get("decoded_token")
        text = beside.token(text, "decoded_token") if text is not None else None
    if _is_infinite(value):
        return None, text
    found = beside.logprob(value, "logprob")
    return (None if found is None or found <= foreign.UNLIKELY else found), text


def _is_infinite(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _INFINITE
    return isinstance(value, float) and value == -math.inf
