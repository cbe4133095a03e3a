"""Leaving reasoning out of answers: whole parts, and never a word of the answer itself.

What is left out, by the format:

* Chat: ``reasoning``, ``reasoning_content``, ``reasoning_details`` and ``thinking_blocks`` of a
  message or a delta. What stands in an answer's own text, between ``<think>`` marks too, is the
  answer's.
* Responses: of an item of type ``reasoning`` its ``content`` and ``encrypted_content``, and its
  ``summary`` is empty; the item stays, so that the places of the others do. Of a stream, the events
  ``response.reasoning*``.
* Messages: blocks ``thinking`` and ``redacted_thinking``; of a stream, their events, and the blocks
  behind them have the numbers that they have without them.

A client that was to hand reasoning back, as services want between calls of tools, cannot.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.conduct.gateway.reading import json_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = ("X-Mashbill-Removed", "reasoning")
"""header of an answer that something may have been left out of"""
LARGEST_EVENT = 4 << 20
"""bytes of an event; a longer one cannot be looked into"""
_FIELDS = ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks")
_SEALED = frozenset({"thinking", "redacted_thinking"})


class UnstrippableError(Exception):
    """What cannot be looked into, so that it is not known what would have to be left out."""


def stripped(endpoint: str, data: bytes) -> bytes:
    """Return a whole answer without its reasoning; the same bytes if it has none.

    Raises:
        UnstrippableError: if it is no JSON.
    """
    value = json_of(data)
    if value is None:
        msg = "the answer is no JSON"
        raise UnstrippableError(msg)
    return _written(value) if _strip(endpoint, value) else data


class Stripper:
    """Leaves reasoning out of a stream, event by event; other events pass byte for byte."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._rest = b""
        self._left_out: set[int] = set()

    def feed(self, data: bytes) -> bytes:
        """Return what of the stream goes on.

        Raises:
            UnstrippableError: if an event is too long.
        """
        self._rest += data
        found = []
        while (end := _end_of_event(self._rest)) is not None:
            found.append(self._event(self._rest[:end]))
            self._rest = self._rest[end:]
        if len(self._rest) > LARGEST_EVENT:
            msg = f"an event has more than {LARGEST_EVENT:,} bytes"
            raise UnstrippableError(msg)
        return b"".join(found)

    def end(self) -> bytes:
        """Return what of the stream's end goes on."""
        rest, self._rest = self._rest, b""
        return self._event(rest) if rest else b""

    def _event(self, raw: bytes) -> bytes:
        lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
        value = json_of(b"\n".join(data)) if data else None
        if not isinstance(value, dict):
            return raw
        kept, changed = self._of_event(value)
        if not kept:
            return b""
        if not changed:
            return raw
        others = [line for line in lines if line and not line.startswith(b"data:")]
        return b"\n".join([*others, b"data: " + _written(value)]) + b"\n\n"

    def _of_event(self, value: dict[str, Any]) -> tuple[bool, bool]:
        """Return whether an event goes on, and whether it was changed."""
        kind = value.get("type")
        if self._endpoint == "responses":
            if isinstance(kind, str) and kind.startswith("response.reasoning"):
                return False, True
            changed = _strip_items([value.get("item")])
            answer = value.get("response")
            return True, (isinstance(answer, dict) and _strip("responses", answer)) or changed
        if self._endpoint == "messages":
            return self._of_block(value)
        return True, _strip(self._endpoint, value)

    def _of_block(self, value: dict[str, Any]) -> tuple[bool, bool]:
        message = value.get("message")
        if isinstance(message, dict):
            return True, _strip("messages", message)
        place = value.get("index")
        if not isinstance(place, int):
            return True, False
        block = value.get("content_block")
        if isinstance(block, dict) and block.get("type") in _SEALED:
            self._left_out.add(place)
        if place in self._left_out:
            return False, True
        before = sum(each < place for each in self._left_out)
        value["index"] = place - before
        return True, bool(before)


def _end_of_event(data: bytes) -> int | None:
    """Return where the first event of a stream ends, behind its blank line."""
    ends = [
        at + len(mark) for mark in (b"\n\n", b"\r\n\r\n", b"\r\r") if (at := data.find(mark)) >= 0
    ]
    return min(ends) if ends else None


def _strip(endpoint: str, value: Any) -> bool:
    """Leave reasoning out of an answer; return whether there was any."""
    if not isinstance(value, dict):
        return False
    if endpoint == "responses":
        return _strip_items(_list(value.get("output")))
    if endpoint == "messages":
        content = value.get("content")
        kept = [each for each in _list(content) if not _is_sealed(each)]
        if not isinstance(content, list) or len(kept) == len(content):
            return False
        value["content"] = kept
        return True
    changed = False
    for holder in _of_choices(value):
        for name in _FIELDS:
            changed |= holder.pop(name, None) is not None
    return changed


def _strip_items(items: list[Any]) -> bool:
    changed = False
    for item in items:
        if isinstance(item, dict) and item.get("type") == "reasoning":
            changed |= item.pop("encrypted_content", None) is not None
            changed |= item.pop("content", None) is not None
            changed |= bool(item.get("summary"))
            item["summary"] = []
    return changed


def _of_choices(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for choice in _list(value.get("choices")):
        if isinstance(choice, dict):
            for name in ("message", "delta"):
                holder = choice.get(name)
                if isinstance(holder, dict):
                    yield holder


def _is_sealed(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in _SEALED


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
