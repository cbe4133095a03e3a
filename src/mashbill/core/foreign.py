"""Numbers that somebody else wrote, read within bounds: the one place where they come in.

A number of a header, a body or an older journal is taken only if it is written as a number, is
finite and lies within what such a thing can be. What does not is no number here: it is left out
and, where it stood for something that a run would obey, told. So nothing that a service says can
break a sum, a time or a column, or hold a later run back for ever.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_BELIEVED = 86_400.0
"""seconds, a day: who asks to wait for longer is not believed, since no limit is counted so"""
MOST_TOKENS = 10**8
"""tokens of one answer: ten times what the longest windows hold"""
MOST = 2**53
"""of anything else that is counted: more than this is no count, and no column would hold much more
"""
ROUNDING = 0.01
"""by which a log-probability may lie above 0, as half-precision sums do"""
UNLIKELY = -9999.0
"""log-probability of what is as good as impossible, as OpenAI's reference writes it"""

_NUMBER = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_DURATION = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH, _EPOCH_MS = 1e9, 1e11  # from where a number of seconds is a time, as some routers write
_LIKE_A_WAIT = re.compile(
    r"\+?(?:inf|infinity|(?:\d+\.?\d*|\.\d+)(?:e\+?\d+)?|(?:[\d.]+(?:ms|s|m|h|d))+)", re.ASCII
)
_LARGEST = 2**1000  # an integer; of larger ones no float can be made
_LONGEST_TEXT = 200  # characters of a wait or a time


def number(value: Any, least: float, most: float) -> float | None:
    """Return a number from least to most; None if it is none, or lies outside.

    Text is one if it is an ASCII decimal, as JSON writes it: no ``nan``, no ``1_000``.
    """
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return None
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is made a float: an integer may be larger than any.
    if not least <= value <= most:
        return None
    if isinstance(value, int) and abs(value) > _LARGEST:
        return math.inf if value > 0 else -math.inf
    return float(value)


def count(value: Any, most: int = MOST) -> int | None:
    """Return a whole number from 0 to most; None if it is none, or lies outside."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not 0 <= value <= most:
        return None
    return int(value)


def logprob(value: Any) -> float | None:
    """Return a log-probability, from UNLIKELY to 0; None if it is above 0, not finite or no number.

    What lies above 0 by no more than rounding is 0.
    """
    found = number(None if isinstance(value, str) else value, -math.inf, ROUNDING)
    if found is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return min(max(found, UNLIKELY), 0.0)


def wait(text: str, wall: datetime) -> float | None:
    """Return how many seconds from now a header means; None if it says none, or is not believed.

    Args:
        text: seconds, a duration such as ``6m0s``, a time since 1970 in seconds or milliseconds, or
            a date (RFC 3339, RFC 9110).
        wall: the time now, UTC.

    Returns:
        from 0 to LONGEST_BELIEVED.
    """
    found = _seconds(text.strip(), wall)
    return None if found is None or not found <= LONGEST_BELIEVED else max(found, 0.0)


def _seconds(text: str, wall: datetime) -> float | None:
    if len(text) > _LONGEST_TEXT:
        return None
    value = number(text, 0.0, math.inf)
    if value is not None:
        if value > _EPOCH:
            return value / (1000 if value > _EPOCH_MS else 1) - wall.timestamp()
        return value
    pieces = _DURATION.findall(text)
    if pieces and "".join(n + u for n, u in pieces) == text:
        return float(sum(float(amount) * _SECONDS[unit] for amount, unit in pieces))
    then = moment(text)
    return None if then is None else (then - wall).total_seconds()


def says_a_wait(text: str) -> bool:
    """Return whether a header that is not believed means to say a wait, however absurd.

    A word, or less than nothing, says none.
    """
    text = text.strip()
    return bool(_LIKE_A_WAIT.fullmatch(text.lower())) or moment(text) is not None


def moment(value: Any) -> datetime | None:
    """Return a time, UTC: seconds since 1970, RFC 3339 or RFC 9110; None if it is none of them."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            return None
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = parsedate_to_datetime(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None


def held(value: Any) -> float:
    """Return the seconds that a journal says something was held back; 0 where it says none.

    A journal of an older release may hold what is not believed any more.
    """
    found = number(None if isinstance(value, str) else value, 0.0, LONGEST_BELIEVED)
    return found or 0.0


def quoted(text: str) -> str:
    """Return what was written, for a message: printable, and short."""
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return "".join(char if char.isprintable() else "?" for char in shown)
