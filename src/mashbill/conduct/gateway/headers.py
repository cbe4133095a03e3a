"""Headers: which are passed on, and what stands in them.

Hop-by-hop fields are those that ``Connection`` names, and those of RFC 9110, section 7.6.1.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOPS = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_OF_REQUESTS = HOPS | {"host", "content-length", "expect"}
READABLE = frozenset({"gzip", "x-gzip", "deflate", "identity", "*"})
"""encodings of an answer that are taken apart to observe it"""
STATEMENT = "x-mashbill-statement"
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
KEYS = ("authorization", "x-api-key", "api-key")
"""headers in which keys come"""
_LONGEST_WAIT = 31_536_000.0


def onward(
    headers: Iterable[tuple[str, str]], connection: str, *, narrow: bool
) -> list[tuple[str, str]]:
    """Return the headers of a request that go to the service.

    Args:
        headers: as they came.
        connection: all that ``Connection`` names.
        narrow: whether ``Accept-Encoding`` keeps readable encodings alone.
    """
    left = _OF_REQUESTS | _named(connection)
    found = []
    for name, value in headers:
        lower = name.lower()
        if lower in left:
            continue
        if narrow and lower == "accept-encoding":
            found.append((name, narrowed(value)))
        else:
            found.append((name, value))
    return found


def back(headers: Iterable[tuple[str, str]], connection: str) -> tuple[list[tuple[str, str]], int]:
    """Return the headers of an answer that go to the client, and how many are no text."""
    left = HOPS | _named(connection)
    found, odd = [], 0
    for name, value in headers:
        if name.lower() in left:
            continue
        if is_text(value):
            found.append((name, value))
        else:
            odd += 1
    return found, odd


def is_text(value: str) -> bool:
    """Return whether a value can be written again: bytes that are no UTF-8 cannot."""
    return value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)


def _named(connection: str) -> frozenset[str]:
    if not connection:
        return frozenset()
    return frozenset(part.strip().lower() for part in connection.split(","))


def narrowed(value: str) -> str:
    """Return an Accept-Encoding of what can be read alone; ``identity`` if nothing is left."""
    kept = [
        part.strip()
        for part in value.split(",")
        if part.partition(";")[0].strip().lower() in READABLE - {"*"}
    ]
    return ", ".join(kept) or "identity"


def statement_of(headers: Mapping[str, str]) -> tuple[bytes | None, bool]:
    """Return the digest of a statement that a client sends, and whether one was ill-formed."""
    text = headers.get(STATEMENT)
    if text is None:
        return None, False
    if _DIGEST.fullmatch(text.strip()) is None:
        return None, True
    return bytes.fromhex(text.strip()), False


def wait_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an answer asks to wait, of ``Retry-After`` or ``retry-after-ms``."""
    text, factor = headers.get("retry-after-ms"), 1e-3
    if text is None:
        text, factor = headers.get("retry-after"), 1.0
    if text is None or len(text) > 100:
        return None
    try:
        seconds = float(text) * factor
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124


def key_in(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the header in which a key came, and the key; empty if there is none."""
    for name in KEYS:
        text = headers.get(name)
        if not text:
            continue
        if name == "authorization":
            scheme, _, rest = text.partition(" ")
            text = rest.strip() if scheme.lower() == "bearer" else text
        if text:
            return name, text
    return "", ""
