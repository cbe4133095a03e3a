"""What a service's error says: whether it is one, why, and whether a repeated request may go well.

The codes, names and words that providers share stand here; what only one does is in its format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
from mashbill.client.wire.reading import misshapen, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LATER = frozenset({408, 409, 425, 429})
"""statuses below 500 after which the same request may be answered"""
_NEVER = frozenset({501, 505, 511})
"""statuses from 500 on that stay as they are"""
_SPENT = frozenset(
    {
        "insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "billing_error",
        "insufficient_balance", "exceeded_current_quota_error", "credit_balance_too_low",
    }
)  # fmt: skip
"""error codes of status 429 or so that say that the account is empty, not that it is busy"""
_PASSING = (
    "rate_limit", "ratelimit", "overloaded", "server_error", "api_error", "timeout", "unavailable",
    "internal", "too_many_requests", "resource_exhausted",
)  # fmt: skip
"""parts of the error names that say that the server, not the request, is at fault"""
_BUSY = re.compile(
    r"\bbusy\b|overload|try again|rate.?limit|time[d ]?-?out|unavailable|too many requests",
    re.IGNORECASE,
)
"""words of a passing error that comes with status 200 and a number for its name"""
_LIMITED = ("rate_limit", "ratelimit", "too_many_requests", "resource_exhausted")
"""of these, those that say that it is asked too much"""


def message(body: Any) -> str:
    """Return what an error's body says, in a line of 300 characters at most."""
    found = body
    for _ in range(4):  # {"error": {"message": {"detail": [{"msg": ...}]}}} is as deep as they go
        if isinstance(found, list) and found:
            found = found[0]
        if not isinstance(found, dict):
            break
        for key in ("error", "message", "detail", "msg", "status_msg"):
            if found.get(key):
                found = found[key]
                break
        else:
            break
    said = found if isinstance(found, str) else shown(found) if found else "nothing"
    line = " ".join(said.encode(errors="replace").decode().split())
    return line[:300]


def names(body: Any) -> set[str]:
    """Return the codes, types and statuses that an error's body gives, in lower case."""
    found: set[str] = set()
    for place in (body, body.get("error") if isinstance(body, dict) else None):
        if isinstance(place, dict):
            values = (place.get(key) for key in ("code", "type", "error_type", "status"))
            found |= {
                (value if isinstance(value, str) else shown(value)).lower()
                for value in values
                if isinstance(value, str | int)
            }
    return found


def refused(status: int, body: Any, *, wait: float | None = None) -> WireError:
    """Say what a response of an error's status means, by the rules that the providers share."""
    said = names(body)
    later = status in _LATER or (status >= 500 and status not in _NEVER)
    why = f"status {status}: {message(body)}"
    return WireError(why, retry=later and not said & _SPENT, wait=wait)


def failed(body: Any, where: str) -> WireError:
    """Say what an error means that came with status 200, by the name or status that it gives."""
    said = names(body)
    statuses = [int(name) for name in said if name.isascii() and name.isdecimal() and len(name) < 5]
    retry = any(refused(status, None).retry for status in statuses)
    retry |= any(part in name for name in said for part in _PASSING)
    retry |= bool(_BUSY.search(message(body)))
    retry &= not said & _SPENT
    limited = retry and (429 in statuses or any(part in name for name in said for part in _LIMITED))
    return WireError(f"{where}: {message(body)}", retry=retry, limited=limited)


def answer(body: Any) -> dict[str, Any]:
    """Return a body of status 200 as an object that is no error.

    Raises:
        WireError: if it is text (a page of a proxy, JSON cut short), another value or an error.
    """
    if isinstance(body, str):
        msg = f"an answer that is no JSON: {message(body)}"
        raise WireError(msg, retry=True)
    if not isinstance(body, dict):
        raise misshapen(body, "the answer", "an object")
    if says_error(body.get("error")) or "error" in (body.get("object"), body.get("type")):
        raise failed(body, "an error with status 200")
    told = [body.get(key) for key in ("message", "detail", "msg")]
    if not body.keys() & _ANSWERS and any(isinstance(each, str | list) and each for each in told):
        raise failed(body, "an error with status 200")
    return body


_ANSWERS = frozenset({
    "choices", "content", "output", "candidates", "usage", "usageMetadata", "promptFeedback",
    "delta", "response", "type", "object", "index", "content_block", "text", "output_text",
})  # fmt: skip
"""keys of answers and of their pieces: what has none of them, and a message, is an error"""


def told_events(
    events: Iterable[tuple[str, Any]], stop: str = ""
) -> Iterator[dict[str, Any] | None]:
    """Yield a stream's events that say something, and None for the mark of its end.

    What is no object, such as of a server that keeps a connection alive, says nothing.

    Raises:
        WireError: if an event is an error, by its name or by what it holds.
    """
    for name, event in events:
        if stop and event == stop:
            yield None
        elif isinstance(event, dict) and event:
            if isinstance(name, str) and name.strip().lower() == "error":
                raise failed(event, "an error in the stream")
            yield answer(event)


_FINE = frozenset({
    None, "", 0, 200, "0", "200", "ok", "success", "none", "null", "false", "no error", "noerror",
})  # fmt: skip
"""codes and words of an error that is none"""


def says_error(value: Any) -> bool:
    """Return whether a field ``error`` says one: some servers always send it, and mean none."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        # Of what is nested further, that there is something says enough.
        return not all(not each if isinstance(each, dict | list) else _is_fine(each)
                       for each in value.values())  # fmt: skip
    return not _is_fine(value)


def _is_fine(value: Any) -> bool:
    return (value.strip().lower() if isinstance(value, str) else value) in _FINE
