"""Taking values out of JSON that somebody else wrote.

What is absent or null is read as nothing where the formats leave it out; what has another type
raises WireError, which names the place. Repeating such a request is not worth its price: a server
that answers in another shape does so again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.conduct import foreign
from mashbill.teachers.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
_LIMITED = ("rate_limit", "ratelimit", "too_many_requests", "resource_exhausted")
"""of these, those that say that it is asked too much"""


def record(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _shape(value, what, "an object")
    return value


_LONGEST = 512  # characters of an id or of a model's name


def items(value: Any, what: str) -> list[Any]:
    """Return a JSON array; an absent one is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _shape(value, what, "an array")
    return value


def incidental(value: Any) -> str:
    """Return what an answer says beside its text, such as an id: whatever it is, it loses none.

    Characters that no text has are spelt out; what is neither a text nor a number is left out.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    said = str(value) if isinstance(value, str) or abs(value) < 10**18 else ""
    return said.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:_LONGEST]


def text(value: Any, what: str) -> str:
    """Return a string; an absent one is empty.

    A stream may cut a character outside the basic plane into two escapes; its halves are put
    together here. A half that stays alone is no text.
    """
    whole = piece(value, what)
    try:
        whole.encode()
    except UnicodeEncodeError:
        try:
            return whole.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            msg = f"{what} has half a character"
            raise WireError(msg, retry=True) from None
    if "\0" in whole:
        msg = f"{what} has a NUL, which is no character of a text"
        raise WireError(msg, retry=False)
    return whole


def piece(value: Any, what: str) -> str:
    """Return a string of a stream, which may begin or end within a character."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _shape(value, what, "a string")
    return value


class Pieces(list[str]):
    """A string of a stream that grows: to add each piece to a string copies it every time."""


def grow(holder: dict[str, Any], key: str, more: Any) -> None:
    """Add a piece to a holder's string, which :func:`settle` makes one again."""
    said = holder.get(key)
    if not isinstance(said, Pieces):
        said = holder[key] = Pieces([piece(said, key)])
    said.append(piece(more, key))


def settle(holder: Any) -> None:
    """Make the strings of a holder that grew whole."""
    if isinstance(holder, dict):
        for key, value in holder.items():
            if isinstance(value, Pieces):
                holder[key] = "".join(value)


def count(value: Any, what: str) -> int:
    """Return a number of tokens, or of what else is counted, from 0; an absent one is 0."""
    if value is None:
        return 0
    found = foreign.count(value, foreign.MOST_TOKENS)
    if found is None:
        raise _bounds(value, what, f"a count up to {foreign.MOST_TOKENS:,}")
    return found


def logprob(value: Any, what: str) -> float:
    """Return a log-probability, from -9999 to 0."""
    found = foreign.logprob(value)
    if found is None:
        raise _bounds(value, what, "a log-probability")
    return found


def as_json(value: Any, what: str) -> str:
    """Return a value as JSON text; a string is JSON text already."""
    if isinstance(value, str):
        return text(value, what)
    try:
        return text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), what)
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"{what} cannot be written as JSON: {error}"
        raise WireError(msg, retry=False) from error


def parsed(arguments: str) -> dict[str, Any]:
    """Return a tool call's arguments, which are JSON text, for a format that wants an object."""
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError) as error:
        msg = f"a tool call's arguments are no JSON: {error}"
        raise WireError(msg, retry=False) from error
    return record(value, "a tool call's arguments")


def merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Add keys of the provider's own to a body; of an object in both, its members are added."""
    for key, value in extra.items():
        both = isinstance(value, dict) and isinstance(body.get(key), dict)
        body[key] = {**body[key], **value} if both else value
    return body


def signed(blocks: list[Any], kinds: Collection[str]) -> list[Any] | None:
    """Return what a provider wants back of a turn: its signed blocks, in their order.

    Where other blocks stand between them the order is signed too, so all blocks are returned, to
    be sent back as they are. None if there are no signed ones.
    """
    places = [place for place, block in enumerate(blocks) if block.get("type") in kinds]
    if not places:
        return None
    return blocks[: len(places)] if places[-1] < len(places) else blocks


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


def shown(value: Any) -> str:
    """Return what somebody wrote where a word was wanted, for a message.

    Of an object or array only that it is one: they may be deeper than can be written out.
    """
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"  # which Python may refuse to write out
    return f"{value!r:.60}"


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
        raise _shape(body, "the answer", "an object")
    if body.get("error") or body.get("object") == "error" or body.get("type") == "error":
        raise failed(body, "an error with status 200")
    return body


def only(settings: Mapping[str, Any], known: Collection[str], wire: str) -> None:
    """Check that a format can say all that was set.

    Raises:
        WireError: naming what it cannot say: what is dropped unsaid would be recorded as done.
    """
    if unknown := sorted(set(settings) - set(known)):
        msg = f"{wire} cannot say {', '.join(unknown)}; leave it out or set the provider's own key"
        raise WireError(msg, retry=False)


def _bounds(value: Any, what: str, wanted: str) -> WireError:
    return WireError(f"{what} is {shown(value)}, not {wanted}", retry=False)


def _shape(value: Any, what: str, wanted: str) -> WireError:
    found = type(value).__name__
    return WireError(f"{what} is {found}, not {wanted}", retry=False)
