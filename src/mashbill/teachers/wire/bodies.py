"""From the bytes of a response to the JSON that a wire reads, whichever way they were sent.

Servers send events although none were asked for, and JSON although a stream was; what came is told
by its first characters, and not by what was asked for.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import orjson

from mashbill.teachers.wire import WireError
from mashbill.teachers.wire.events import read_events

if TYPE_CHECKING:
    from mashbill.teachers.wire import Wire

_DIGITS = 1000  # of an integer: Python's own limit is 4,300
_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""what a stream of server-sent events begins with"""


def whole_body(wire: Wire, body: bytes) -> Any:
    """Return a response of status 200 as the wire's ``read`` takes it.

    Raises:
        WireError: if it is neither JSON nor a stream that is whole.
    """
    body = body.removeprefix(_BOM).strip()
    if body.startswith(_FIELDS):
        return wire.joined(read_events(body, wire.stops_stream))
    found = _loaded(body)
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        return wire.joined([("", each) for each in found])  # a stream as one array: Gemini's
    return found


def _loaded(body: bytes) -> Any:
    """Read JSON as it is, and as Python does it where the standard is not kept.

    NaN, halves of characters and long integers in some field are no reason to lose a text.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(body.decode("utf-8", "surrogatepass"), parse_int=_whole_number)
        except RecursionError as deep:
            msg = "an answer that cannot be read: its JSON is too deep"
            raise WireError(msg, retry=False, unread=True) from deep
        except ValueError:
            return _before_a_mark(body, error)


def _before_a_mark(body: bytes, error: Exception) -> Any:
    """Read JSON behind which a stream's end mark is glued, as some gateways write it.

    Raises:
        WireError: with ``retry``, if it is anything else: JSON that was cut short, or a page.
    """
    whole, _, mark = body.rpartition(b"data:")
    if mark.strip() == b"[DONE]":
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(whole)
    msg = f"an answer that is no JSON: {error}"
    raise WireError(msg, retry=True) from error


def _whole_number(digits: str) -> float:
    """Return an integer; one that Python refuses to read for its length is infinite."""
    return int(digits) if len(digits) < _DIGITS else float(digits)
