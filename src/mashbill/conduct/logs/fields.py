"""Single values of a log, read within bounds: times, names, counts, statuses."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mashbill.conduct.events import ENDPOINTS
from mashbill.conduct.logs.lines import NoRowError
from mashbill.core import foreign

if TYPE_CHECKING:
    from mashbill.conduct.logs.rows import Notes

LONGEST_NAME = 1024
"""letters of an account, a key, an id, an address, an agent"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_FIRST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_LAST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DIGITS = re.compile(r"\d{1,20}(?:\.\d{1,9})?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_STATUS = {
    "BadRequestError": 400, "AuthenticationError": 401, "PermissionDeniedError": 403,
    "NotFoundError": 404, "ConflictError": 409, "UnprocessableEntityError": 422,
    "RateLimitError": 429, "InternalServerError": 500, "ServiceUnavailableError": 503,
    "rate_limit_error": 429, "authentication_error": 401, "permission_error": 403,
    "invalid_request_error": 400, "not_found_error": 404, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip
_OF_STATUS = 599


def moment(value: Any) -> int:
    """Return a time in microseconds since 1970, UTC.

    It is a text of RFC 3339 with its offset, or a number of seconds, milliseconds, microseconds or
    nanoseconds since 1970. Which of them is told by its size, since a log of model calls is of
    2000 or later and before 2100, and the four ranges do not meet; what is in none is refused.

    Raises:
        NoRowError: if it is no such time.
    """
    found: int | None = None
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        found = (value - _EPOCH) // _MICROSECOND
    elif isinstance(value, str):
        if _DATE.fullmatch(value):
            found = _of_text(value)
        elif _DIGITS.fullmatch(value):
            found = _of_number(float(value) if "." in value else int(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = _of_number(value)
    if found is None or not _FIRST * _SECOND <= found < _LAST * _SECOND:
        shown = foreign.quoted(str(value)) if isinstance(value, str | int | float) else ""
        msg = (
            f"time is {shown or type(value).__name__!r}; write RFC 3339 with an offset, or a "
            "number since 1970 in seconds, milli-, micro- or nanoseconds, from 2000 to 2099"
        )
        raise NoRowError(msg)
    return found


def _of_text(value: str) -> int | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found - _EPOCH) // _MICROSECOND


def _of_number(value: float) -> int | None:
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        if _FIRST * scale <= value < _LAST * scale:
            if isinstance(value, int):
                return value * _SECOND // scale
            return round(value * (_SECOND / scale))
    return None


def name(row: dict[str, Any], key: str) -> str:
    """Return a name that a row must have; a whole number is one.

    Raises:
        NoRowError: if it is not there, is no text, is empty or too long.
    """
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        what = "is not there" if value is None else f"is {type(value).__name__}, or empty"
        msg = f"{key} {what}; expected a text"
        raise NoRowError(msg)
    if len(value) > LONGEST_NAME:
        msg = f"{key} has {len(value):,} letters; {LONGEST_NAME:,} at most"
        raise NoRowError(msg)
    return value


def optional(row: dict[str, Any], key: str, notes: Notes) -> str | None:
    """Return a name that a row may have; one that cannot be read is counted, and left out."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= LONGEST_NAME:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    notes.left_out[key] += 1
    return None


def count(value: Any, key: str, notes: Notes, most: int = foreign.MOST_TOKENS) -> int | None:
    """Return a whole number from 0 to most, or None; what is there and none is counted."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    found = foreign.count(value, most)
    if found is None:
        notes.left_out[key] += 1
    return found


def status(value: Any, notes: Notes, key: str = "status") -> int | None:
    """Return a status of HTTP, also from the name that official clients give to an error."""
    if isinstance(value, str):
        if not value:
            return None
        found = _STATUS.get(value.rsplit(".", 1)[-1])
        if found is not None:
            return found
    return count(value, key, notes, _OF_STATUS)


def is_error_name(value: Any) -> bool:
    """Return whether it names an error whose status is known, or is a status."""
    return isinstance(value, str) and (
        value.rsplit(".", 1)[-1] in _STATUS
        or (len(value) == 3 and value.isascii() and value.isdigit())
    )


def wait(value: Any, at: int, notes: Notes, key: str = "retry_after") -> float | None:
    """Return the seconds that a refusal asked to wait: a number, a duration, or a date (RFC 9110).

    Args:
        value: what the log says.
        at: when it was asked, in microseconds since 1970.
        notes: where it is counted if it says none.
        key: as what.
    """
    if value is None or value == "":
        return None
    if isinstance(value, list) and len(value) == 1:  # headers, as OpenTelemetry has them
        value = value[0]
    found = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = foreign.number(value, 0.0, foreign.LONGEST_BELIEVED)
    elif isinstance(value, str):
        found = foreign.wait(value, _EPOCH + at * _MICROSECOND)
    if found is None:
        notes.left_out[key] += 1
    return found


def endpoint(value: Any, notes: Notes) -> str | None:
    """Return which endpoint was asked: one of ours, or a path that ends in one."""
    if value is None:
        return None
    if not isinstance(value, str):
        notes.left_out["endpoint"] += 1
        return None
    last = value.split("?")[0].rstrip("/")
    if last in ENDPOINTS:
        return last
    tail = last.rsplit("/", 1)[-1]
    if tail == "completions":
        return "chat" if last.endswith("chat/completions") else "completions"
    return tail if tail in ENDPOINTS else "other"


def digest(value: Any, key: str, notes: Notes) -> bytes | None:
    """Return 32 bytes from their hexadecimal digits; what is there and none is counted."""
    if value is None:
        return None
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return bytes.fromhex(value)
    notes.left_out[key] += 1
    return None
