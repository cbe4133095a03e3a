"""From the bytes of a response to the JSON that a wire reads, whichever way they were sent.

Servers send events although none were asked for, and JSON although a stream was; what came is told
by its first characters, and not by what was asked for.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import orjson

from mashbill.client.wire import WireError
from mashbill.client.wire.events import read_events
from mashbill.client.wire.reading import load_json

if TYPE_CHECKING:
    from mashbill.client.wire import Wire

_BOM = b"\xef\xbb\xbf"
_AROUND = b" \t\r\n\0"
_COMMENTS = re.compile(rb"(?::[^\r\n]*(?:\r\n|\r|\n)+)+")
"""lines by which a server keeps a connection alive, before a stream or before JSON"""
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":", b"error:")
"""what a stream of server-sent events begins with"""


def whole_body(wire: Wire, body: bytes) -> Any:
    """Return a response of status 200 as the wire's ``read`` takes it.

    Raises:
        WireError: if it is neither JSON nor a stream that is whole; with ``retry`` if it may have
            been cut short, or is a page of something else.
    """
    body = body.strip(_AROUND).removeprefix(_BOM).strip(_AROUND)
    begin = _COMMENTS.match(body)
    bare = body[begin.end() :] if begin else body
    if bare.startswith(_FIELDS):
        return wire.joined(read_events(body, wire.stops_stream))
    found = _loaded(bare)
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        return wire.joined([("", each) for each in found])  # a stream as one array, or as lines
    return found


def _loaded(body: bytes) -> Any:
    """Read JSON as it is, and as servers write it where the standard is not kept.

    NaN, halves of characters and long integers in some field are no reason to lose a text.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            text = body.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as bad:
            msg = f"an answer that is no UTF-8 at byte {bad.start}"
            raise WireError(msg, retry=True) from bad
        try:
            return load_json(text)
        except RecursionError as deep:
            msg = "an answer that cannot be read: its JSON is too deep"
            raise WireError(msg, retry=False, unread=True) from deep
        except ValueError:
            return _several(text, error)


def _several(text: str, error: Exception) -> Any:
    """Read JSON with something behind it: a stream's end mark, itself once more, or more chunks.

    Raises:
        WireError: with ``retry``, if it is anything else: JSON that was cut short, or a page.
    """
    whole, _, mark = text.rpartition("data:")
    if mark.strip() == "[DONE]":
        with contextlib.suppress(ValueError, RecursionError):
            return load_json(whole)
    with contextlib.suppress(ValueError, RecursionError):
        values = [load_json(line) for line in text.splitlines() if line.strip()]
        if len(values) > 1 and all(isinstance(value, dict) for value in values):
            return values[0] if all(value == values[0] for value in values) else values
    msg = f"an answer that is no JSON: {error}"
    raise WireError(msg, retry=True) from error
