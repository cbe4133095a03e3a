"""Taking values out of JSON that somebody else wrote.

What is absent or null is read as nothing where the formats leave it out. Of what is needed, text
and calls, another type raises WireError, which names the place; repeating such a request is not
worth its price, since a server that answers in another shape does so again. What stands beside the
text loses no answer: it is read by :class:`Beside`, as absent where it is odd.
"""

from __future__ import annotations

import json
import math
from itertools import count as count_from
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
from mashbill.core import foreign
from mashbill.core.chat import ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mashbill.client.wire import Reply

_DIGITS = 1000  # of an integer: Python's own limit is 4,300


def record(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object; an absent one is empty, and so is one that holds nothing.

    PHP writes an empty object as an empty array, and others as an empty text.
    """
    if value is None or _is_empty(value):
        return {}
    if not isinstance(value, dict):
        raise misshapen(value, what, "an object")
    return value


_LONGEST = 512  # characters of an id or of a model's name
_REPLACEMENT = "\ufffd"


def _is_empty(value: Any) -> bool:
    """Return whether a value of whatever type says nothing."""
    return value is False or (isinstance(value, str | list | dict) and not value)


def items(value: Any, what: str) -> list[Any]:
    """Return a JSON array; an absent one is empty, and so is one that holds nothing."""
    if value is None or _is_empty(value):
        return []
    if not isinstance(value, list):
        raise misshapen(value, what, "an array")
    return value


def incidental(value: Any, odd: list[str] | None = None, what: str = "") -> str:
    """Return what an answer says beside its text, such as an id: whatever it is, it loses none.

    Characters that no text has are spelt out; what is neither a text nor a number is left out.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        if odd is not None and value is not None:
            odd.append(f"{what} is {_kind(value)}, not a string")
        return ""
    said = str(value) if isinstance(value, str) or abs(value) < 10**18 else ""
    return said.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:_LONGEST]


def text(value: Any, what: str, odd: list[str] | None = None) -> str:
    """Return a string; an absent one is empty.

    A stream may cut a character outside the basic plane into two escapes; its halves are put
    together here. In place of NUL, which is no character of a text, stands the replacement
    character, and ``odd`` is told.

    Raises:
        WireError: if it is no string, or a half of a character stays alone.
    """
    whole = piece(value, what)
    try:
        whole.encode()
    except UnicodeEncodeError:
        try:
            whole = whole.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            msg = f"{what} has half a character"
            raise WireError(msg, retry=False, unread=True) from None
    if "\0" in whole:
        whole = whole.replace("\0", _REPLACEMENT)
        if odd is not None:
            odd.append(f"{what} has a NUL")
    return whole


def piece(value: Any, what: str) -> str:
    """Return a string of a stream, which may begin or end within a character."""
    if value is None or _is_empty(value):
        return ""
    if not isinstance(value, str):
        raise misshapen(value, what, "a string")
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


class Beside:
    """Reads what stands beside an answer's text: what is odd is as good as absent, and noted."""

    def __init__(self, odd: list[str]) -> None:
        """Note oddities in ``odd``: each names its place and what was found, without its value."""
        self.odd = odd

    def _note(self, value: Any, what: str, wanted: str) -> None:
        said = f"{what} is {_kind(value)}, not {wanted}"
        if said not in self.odd:
            self.odd.append(said)

    def record(self, value: Any, what: str) -> dict[str, Any]:
        """Return an object; an absent or odd one is empty."""
        if value is None or isinstance(value, dict):
            return value or {}
        self._note(value, what, "an object")
        return {}

    def items(self, value: Any, what: str) -> list[Any]:
        """Return an array; an absent or odd one is empty."""
        if value is None or isinstance(value, list):
            return value or []
        self._note(value, what, "an array")
        return []

    def text(self, value: Any, what: str) -> str:
        """Return a string; of an array of texts or of parts, these one behind the other."""
        if value is None or value is False or value == []:
            return ""
        if isinstance(value, list):
            parts = [part.get("text") if isinstance(part, dict) else part for part in value]
            said = [part for part in parts if isinstance(part, str)]
            value = "".join(said) if len(said) == len(parts) else value
        try:
            return text(value, what, self.odd)
        except WireError as error:
            self.odd.append(error.reason)
        return ""

    def count(self, value: Any, what: str) -> int:
        """Return a number of tokens, from 0; one that is absent or no count is 0.

        Raises:
            WireError: if it is one that no column holds: what was paid cannot be told then.
        """
        if value is None:
            return 0
        found = foreign.count(value, foreign.MOST_TOKENS)
        if found is not None:
            return found
        if foreign.number(None if isinstance(value, str) else value, foreign.MOST_TOKENS, math.inf):
            wanted = f"a count up to {foreign.MOST_TOKENS:,}"
            msg = f"{what} is {shown(value)}, not {wanted}"
            raise WireError(msg, retry=False, unread=True)
        self._note(value, what, "a count")
        return 0

    def logprob(self, value: Any, what: str) -> float | None:
        """Return a log-probability, from -9999 to 0; None if it is none."""
        found = foreign.logprob(value)
        if found is None:
            self._note(value, what, "a log-probability")
        return found

    def token(self, value: Any, what: str) -> str | None:
        """Return a token, which may be part of a character; None if it is no text."""
        if not isinstance(value, str):
            self._note(value, what, "a token's text")
            return None
        return value.encode(errors="replace").decode().replace("\0", _REPLACEMENT)


def count(value: Any, what: str) -> int:
    """Return a number of requests, from 0; an absent one is 0."""
    if value is None:
        return 0
    found = foreign.count(value, foreign.MOST_TOKENS)
    if found is None:
        msg = f"{what} is {shown(value)}, not a count up to {foreign.MOST_TOKENS:,}"
        raise WireError(msg, retry=False)
    return found


def index(value: Any) -> int:
    """Return the index of a choice or of a part of it; what is none is 0."""
    return foreign.count(value, foreign.MOST_TOKENS) or 0


def as_json(value: Any, what: str) -> str:
    """Return a value as JSON text; a string is JSON text already."""
    if isinstance(value, str):
        return text(value, what)
    try:
        return text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), what)
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"{what} cannot be written as JSON: {error}"
        raise WireError(msg, retry=False, unread=True) from error


def called(reply: Reply, name: str, arguments: Any, own: Any) -> None:
    """Add a tool call to a reply; one without an id gets one, since the answer to it must name it.

    What a server leaves out of arguments, and an id that is there twice, is for who keeps the turn.
    """
    taken = {call.id for call in reply.tool_calls}
    free = (f"call_{number}" for number in count_from(len(reply.tool_calls)))
    found = incidental(own) or next(name for name in free if name not in taken)
    said = as_json({} if arguments is None else arguments, "arguments")
    reply.tool_calls.append(ToolCall(found, name, said))


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


def shown(value: Any) -> str:
    """Return what somebody wrote where a word was wanted, for a message.

    Of an object or array only that it is one: they may be deeper than can be written out.
    """
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"  # which Python may refuse to write out
    return f"{value!r:.60}"


def load_json(text: str) -> Any:
    """Return the value of JSON as servers write it: NaN, tabs in texts, integers of any length.

    Raises:
        ValueError: if it is none.
        RecursionError: if it is nested too deeply.
    """
    return json.loads(text, parse_int=_whole_number, strict=False)


def _whole_number(digits: str) -> float:
    """Return an integer; one that Python refuses to read for its length is infinite."""
    return int(digits) if len(digits) < _DIGITS else float(digits)


def only(settings: Mapping[str, Any], known: Collection[str], wire: str) -> None:
    """Check that a format can say all that was set.

    Raises:
        WireError: naming what it cannot say: what is dropped unsaid would be recorded as done.
    """
    if unknown := sorted(set(settings) - set(known)):
        msg = f"{wire} cannot say {', '.join(unknown)}; leave it out or set the provider's own key"
        raise WireError(msg, retry=False)


def _kind(value: Any) -> str:
    """Return what JSON calls a value."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    if value is None:
        return "null"
    return kinds.get(type(value), "a number")


def misshapen(value: Any, what: str, wanted: str) -> WireError:
    """Say of a value that was needed what it is, and what it should be."""
    return WireError(f"{what} is {_kind(value)}, not {wanted}", retry=False, unread=True)
