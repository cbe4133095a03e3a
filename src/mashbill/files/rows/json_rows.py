"""Rows of JSON: a row a line, one array of rows, or objects one behind the other.

Which of them a file holds is told by its first characters, since endings do not say it: ``.json``
is an array for one and lines for another. Of an array nothing is taken for a line, and a file that
ends within one is no file of rows. Of an array that begins with a text, each text is a row of one
column, ``text``.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.files.opening import ELEMENT, most_of_row, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOM = "\ufeff"
_UNDECODED = re.compile("[\udc80-\udcff]")
_SHOWN = 1000  # characters of a line that is not read whole
_PIECE = 1 << 20
_WORD = 8  # characters of a word, number or escape that may be cut in two
_GAP = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")

TEXT = "text"
"""column of the rows of an array of texts"""
Line = tuple[int, dict[str, Any], tuple[str, str] | None, int]
"""place, row, (text, reason) if it is no row, and the bytes that it is counted as"""


class TwiceError(ValueError):
    """An object names a key twice, so that a row would keep one of the values only."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        msg = f"names the key {twice[:60]!r} twice, so that one of its values would be lost"
        raise TwiceError(msg)
    return found


_read = json.JSONDecoder(object_pairs_hook=_once)


def json_rows(text: IO[str], name: str, encoding: str) -> tuple[str, Iterator[Line]]:
    """Return how rows are counted (``line`` or ``row``), and the rows of a file of JSON.

    Args:
        text: the file; what is not of its encoding stands in it as ``surrogateescape`` has it.
        name: how errors name it.
        encoding: its encoding, for reasons.

    Raises:
        InputError: while rows are read, naming the file and the place, if it is one array that is
            cut off or broken.
    """
    most = most_of_row()
    line, number = text.readline(most + 1).removeprefix(_BOM), 1
    while line and not line.strip():
        line, number = text.readline(most + 1), number + 1
    bare = line.lstrip()
    if bare.startswith("["):
        return "row", _values(_Buffer(text, line), name, encoding, is_array=True)
    following = ""
    if bare.startswith("{") and line.endswith("\n") and _goes_on(bare):
        following = text.readline(most + 1)
        if following.strip() and not following.startswith("{"):
            return "row", _values(_Buffer(text, line + following), name, encoding, is_array=False)
    return "line", _lines(text, [line, following], number, encoding)


def _goes_on(line: str) -> bool:
    """Return whether a line that begins an object ends within it, as people indent JSON."""
    try:
        _read.decode(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line.rstrip())
    except (ValueError, RecursionError):
        return False
    return False


def _lines(text: IO[str], first: list[str], number: int, encoding: str) -> Iterator[Line]:
    most = most_of_row()
    # Only "\n" ends a line: a JSON string may hold line separators of Unicode.
    every = chain((line for line in first if line), iter(lambda: text.readline(most + 1), ""))
    for place, given in enumerate(every, number):
        line = given.removesuffix("\n")
        if not line.strip():
            continue
        elements = line.count("[") + line.count("{") + line.count(",")
        if len(line) > most or elements > most // ELEMENT:
            _to_its_end(text, given)
            yield place, {}, (_readable(line[:_SHOWN]), too_large(most)), _SHOWN
            continue
        row, bad = _row(line, encoding)
        yield place, row, bad, len(line) + ELEMENT * elements


def _row(line: str, encoding: str) -> tuple[dict[str, Any], tuple[str, str] | None]:
    if not line.isascii() and _UNDECODED.search(line):
        return {}, (_readable(line), f"is not {encoding}")
    try:
        row = _read.decode(line)
    except TwiceError as error:
        return {}, (line, str(error))
    except (ValueError, RecursionError) as error:
        return {}, (line, f"is not JSON: {error!s:.200}")
    return (row, None) if type(row) is dict else ({}, (line, "is no object, as each line must be"))


def _to_its_end(text: IO[str], given: str) -> None:
    """Read on to the end of a line that was begun, without holding it."""
    while given and not given.endswith("\n"):
        given = text.readline(_PIECE)


class _Buffer:
    """What was read of a file and is not taken yet."""

    def __init__(self, text: IO[str], begin: str) -> None:
        self._text = text
        self.held = begin
        self.at = 0
        self.is_ended = False

    def more(self, size: int) -> bool:
        """Read on; return whether there was more."""
        self.held = self.held[self.at :]
        self.at = 0
        piece = self._text.read(size)
        self.held += piece
        self.is_ended = not piece
        return bool(piece)

    def skip(self, gap: re.Pattern[str]) -> str:
        """Go over a gap; return the character behind it, empty at the end."""
        while True:
            found = gap.match(self.held, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.more(_PIECE):
                return ""


def _values(buffer: _Buffer, name: str, encoding: str, *, is_array: bool) -> Iterator[Line]:
    most = most_of_row()
    if is_array:
        buffer.skip(_SPACE)
        buffer.at += 1
    number = 0
    kind: type = dict
    while True:
        character = buffer.skip(_GAP)
        if is_array and character == "]":
            buffer.at += 1
            if buffer.skip(_SPACE):
                msg = f"{name}: something stands behind its array of {number} rows; {_REMEDY}"
                raise InputError(msg)
            return
        if not character:
            if is_array:
                msg = f"{name}: its array of rows is cut off behind row {number}; {_REMEDY}"
                raise InputError(msg)
            return
        number += 1
        row, taken, size = _next(buffer, f"{name}: row {number}", most)
        if is_array and number == 1 and type(row) is str:
            kind = str
        yield number, *_checked(row, taken, encoding, kind), size


def _checked(
    row: Any, taken: str, encoding: str, kind: type
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    if not taken.isascii() and _UNDECODED.search(taken):
        return {}, (_readable(taken), f"is not {encoding}")
    if isinstance(row, TwiceError):
        return {}, (taken, str(row))
    if kind is str and isinstance(row, str):
        return {TEXT: row}, None
    if kind is dict and isinstance(row, dict):
        return row, None
    wanted = "no object, as each row" if kind is dict else "no text, as the first row is, and each"
    return {}, (taken, f"is {wanted} must be")


_REMEDY = "correct it, fetch the file again, or write its rows as lines of JSON"


def _next(buffer: _Buffer, where: str, most: int) -> tuple[Any, str, int]:
    """Return the next value, its text, and the bytes that it counts as.

    One that names a key twice is returned as the error about it.
    """
    size = _PIECE
    while True:
        try:
            value, end = _read.raw_decode(buffer.held, buffer.at)
        except TwiceError as error:
            # Where it ends is known to a reader that does not mind.
            _, end = json.JSONDecoder().raw_decode(buffer.held, buffer.at)
            value = error
        except RecursionError as error:
            msg = f"{where} has too many lists and objects in one another; {_REMEDY}"
            raise InputError(msg) from error
        except ValueError as error:
            at_end = _is_at_end(error, buffer.held)
            if at_end and not buffer.is_ended and len(buffer.held) - buffer.at <= most:
                # Twice as much each time: reading it again costs no more than twice.
                buffer.more(size)
                size *= 2
                continue
            if len(buffer.held) - buffer.at > most:
                msg = f"{where} {too_large(most)}"
                raise InputError(msg) from error
            msg = f"{where} is not JSON: {error!s:.200}; {_REMEDY}"
            raise InputError(msg) from error
        else:
            may_go_on = not isinstance(value, dict | list | str | TwiceError)  # a number
            if may_go_on and end == len(buffer.held) and buffer.more(size):
                continue
        taken = buffer.held[buffer.at : end]
        elements = sum(map(taken.count, "[{,"))
        if len(taken) > most or elements > most // ELEMENT:
            msg = f"{where} {too_large(most)}"
            raise InputError(msg)
        buffer.at = end
        return value, taken, len(taken) + ELEMENT * elements


def _is_at_end(error: ValueError, held: str) -> bool:
    """Return whether JSON broke where what was read ends, so that it may go on behind it."""
    place = getattr(error, "pos", 0)
    return place >= len(held.rstrip()) - _WORD or str(error).startswith("Unterminated string")


def _readable(line: str) -> str:
    """Return a line with a replacement character for each byte that could not be decoded."""
    return _UNDECODED.sub("\ufffd", line)
