"""Server-sent events, as the HTML standard says, but each one's data is JSON."""

from __future__ import annotations

import codecs
import contextlib
import re
from typing import Any

from mashbill.client.wire import WireError
from mashbill.client.wire.reading import load_json

_BREAK = re.compile("\r\n|\r|\n")
_DONE = "[DONE]"
"""what gateways close every stream with, whatever the format"""


class Events:
    """Reads a stream in chunks that may be cut anywhere, even inside a character or a line break.

    Against the standard in three points: bytes that are no UTF-8 are an error; data that is empty,
    or a word that is no JSON, such as of a server that keeps a connection alive, is no event; and
    at the end of a response (:meth:`end`) the last event needs no blank line behind it.
    """

    def __init__(self, stop: str = "") -> None:
        """Read data equal to ``stop``, such as ``[DONE]``, as that text."""
        self._stop = stop
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._begun = False
        self._after_return = False
        self._line: list[str] = []
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[tuple[str, Any]]:
        """Return the events that this chunk completes: (name, data); an unnamed one's name is "".

        Raises:
            WireError: with ``retry``, if the bytes are no UTF-8 or an event's data is no JSON.
        """
        try:
            text = self._decoder.decode(chunk)
        except UnicodeDecodeError as error:
            msg = "the stream is no UTF-8"
            raise WireError(msg, retry=True) from error
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if text and self._after_return:
            self._after_return = False
            text = text.removeprefix("\n")
        if text.endswith("\r"):
            self._after_return = True
        first, *rest = _BREAK.split(text)
        self._line.append(first)
        found = []
        for following in rest:
            found += self._take("".join(self._line))
            self._line = [following]
        return found

    def end(self) -> list[tuple[str, Any]]:
        """Return the event that the response ended with, where no blank line followed it.

        One that is no JSON was cut off, and is none.
        """
        line, self._line = "".join(self._line), []
        if line:
            self._take(line)
        with contextlib.suppress(WireError):
            return self._take("")
        return []

    def _take(self, line: str) -> list[tuple[str, Any]]:
        """Take in a line; return the event that it ends, if it ends one.

        Where a server ends each event with one line break only, several come at once.
        """
        if not line:
            name, lines = self._event, self._data
            self._event, self._data = "", []
            data = "\n".join(lines).strip()
            if len(lines) > 1 and not _is_json(data):
                return [event for each in lines for event in self._parsed(name, each.strip())]
            return self._parsed(name, data)
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "error":  # llama.cpp's own of earlier releases
            self._event = "error"
            self._data.append(value)
        elif field == "event":
            self._event = value
        return []  # a comment's field is empty; id and retry are for who reconnects

    def _parsed(self, name: str, data: str) -> list[tuple[str, Any]]:
        if data in {self._stop, _DONE}:
            return [(name, self._stop)] if self._stop else []
        try:
            value = load_json(data)
        except RecursionError as error:
            is_cut = data.count("[") + data.count("{") != data.count("]") + data.count("}")
            msg = "an event's data cannot be read: its JSON is too deep"
            raise WireError(msg, retry=is_cut, unread=not is_cut) from error
        except ValueError as error:
            if data[:1] not in tuple('{["'):
                return []
            msg = f"an event's data is no JSON: {data[:80]!r}"
            raise WireError(msg, retry=True) from error
        if isinstance(value, str) and value.strip() == _DONE:
            return [(name, self._stop)] if self._stop else []
        return [(name, value)]


def _is_json(data: str) -> bool:
    try:
        load_json(data)
    except (ValueError, RecursionError):
        return False
    return True


def read_events(body: bytes, stop: str = "") -> list[tuple[str, Any]]:
    """Return the events of a stream that is here whole, as :class:`Events` reads them."""
    events = Events(stop)
    return events.feed(body) + events.end()
