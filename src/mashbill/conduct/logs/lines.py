"""Lines of JSON that strangers wrote: cut, bounded, read.

A line is cut from the file's bytes without the file being held, and one that is longer than a line
may be is passed over in pieces. What is left is read by orjson where it is installed, and by
Python's own reader where not; both take and refuse the same.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

from mashbill.core.errors import MissingExtraError
from mashbill.core.extras import needs
from mashbill.core.parsing import DEEPEST, half_a_character

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = 8 << 20
"""bytes of a line"""
MARKS = 1_000_000
"""brackets and commas of a line: each may be a value of fifty bytes and more"""
NEAR = 256
"""bytes before a place in a file by which it is known again"""
_PIECE = 1 << 20
_DIGITS = 20  # of the largest whole number of 64 bits, and a sign
_SHORT = 1 << 18  # bytes of a line which cannot hold too many marks to matter


class NoRowError(ValueError):
    """A line, or a part of one, is no row; its text is the reason, and quotes no prompt."""


def object_of(line: bytes) -> dict[str, Any]:
    """Return the object of a line of JSON, of no more than :data:`LONGEST` bytes or so.

    A key that is there twice has its last value.

    Raises:
        NoRowError: if it is none, is nested deeper than :data:`mashbill.core.parsing.DEEPEST`, or
            holds more than :data:`MARKS` brackets and commas.
    """
    if len(line) > _SHORT and sum(map(line.count, (b"[", b"{", b","))) > MARKS:
        msg = f"has more than {MARKS:,} brackets and commas"
        raise NoRowError(msg)
    try:
        value = _reader()(line)
    except RecursionError as error:
        msg = "is nested too deeply"
        raise NoRowError(msg) from error
    except ValueError as error:
        msg = f"is not JSON: {_said(error)}"
        raise NoRowError(msg) from error
    if type(value) is not dict:
        msg = "is JSON, and no object"
        raise NoRowError(msg)
    if line.count(b"[") + line.count(b"{") > DEEPEST and _is_deep(value):
        msg = f"has more than {DEEPEST} lists and objects in one another"
        raise NoRowError(msg)
    return value


def _said(error: ValueError) -> str:
    """Return what is wrong, without a letter of the line."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, json.JSONDecodeError):  # orjson's is one, too
        return f"it breaks at column {error.colno}"
    return "a number or a text of it is none"


@cache
def _reader() -> Callable[[bytes], Any]:
    try:
        with needs("reading lines of JSON fast", "api"):
            import orjson
    except MissingExtraError:
        return plain
    return orjson.loads


def plain(line: bytes) -> Any:
    """Return the value of a line as orjson has it, by Python's own reader.

    Raises:
        ValueError: if it is not JSON in UTF-8, or a number or a text of it is none.
    """
    value = _PLAIN.decode(line.decode())
    if b"\\u" in line and half_a_character(value):
        msg = "half of a surrogate pair"
        raise ValueError(msg)
    return value


def _whole(text: str) -> int | float:
    value = int(text) if len(text) <= _DIGITS else None
    if value is not None and -(1 << 63) <= value < 1 << 64:
        return value
    return _real(text)  # as orjson has it, which knows numbers of 64 bits


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        msg = "a number is beyond what a float can be"
        raise ValueError(msg)
    return value


def _constant(text: str) -> float:
    del text
    msg = "NaN and Infinity are no numbers of JSON"
    raise ValueError(msg)


_PLAIN = json.JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_constant)


def _is_deep(value: Any) -> bool:
    left = [(value, 1)]
    while left:
        part, depth = left.pop()
        if depth > DEEPEST:
            return True
        inner = part.values() if isinstance(part, dict) else part
        left += [(each, depth + 1) for each in inner if isinstance(each, dict | list)]
    return False


class Lines:
    """The lines of a stream, from a place on.

    A last line that does not end is not given out: it stands in :attr:`rest`, and what ends it may
    still be written.
    """

    def __init__(self, stream: BinaryIO, offset: int, longest: int = LONGEST) -> None:
        """Read on from where the stream stands.

        Args:
            stream: gives bytes, as many as it has at once.
            offset: bytes of the file before that place.
            longest: bytes of a line that is given out.
        """
        self._stream, self._longest = stream, longest
        self.offset = offset
        """where the next line begins"""
        self.rest = b""
        """a last line that does not end yet, or as much of it as is held"""
        self.is_begun = False
        """whether a line was given out"""
        self.near = b""
        """the end of the line that was given out last"""
        self._skipped = 0  # bytes of a line too long that were dropped
        self._dropped = b""  # the end of them

    @property
    def end(self) -> bytes:
        """The last bytes that were read, whole line or not; empty if nothing was."""
        if self._skipped or self.rest:
            return (self._dropped + self.rest)[-NEAR:]
        return self.near + b"\n" if self.is_begun else b""

    @property
    def within(self) -> int:
        """Bytes of a line that does not end yet."""
        return self._skipped + len(self.rest)

    def __iter__(self) -> Iterator[bytes | None]:
        """Yield each line without its end, None for one that is too long, until there is no more.

        :attr:`offset` is behind the line that was given out last. Whoever stops in between begins
        anew from there with another reader.
        """
        while piece := self._stream.read(_PIECE):
            lines = (self.rest + piece).split(b"\n")
            self.rest = lines.pop()
            for line in lines:
                is_long = self._skipped or len(line) > self._longest
                self.offset += self._skipped + len(line) + 1
                self.near = (self._dropped + line)[-NEAR:] if self._skipped else line[-NEAR:]
                self._skipped, self._dropped, self.is_begun = 0, b"", True
                yield None if is_long else line
            if self._skipped or len(self.rest) > self._longest:
                self._skipped += len(self.rest)
                self._dropped = (self._dropped + self.rest)[-NEAR:]
                self.rest = b""
