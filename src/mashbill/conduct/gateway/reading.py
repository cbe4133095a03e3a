"""What is read of a request and its answer, beside the stream and after it: never to change it.

A request is read as leniently as services read it: keys that stand twice, numbers that are none,
bytes that are no UTF-8. What was strict here and lenient there would be a way to ask unseen. Bounds
are the bytes of a body, which whoever calls has held to.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.conduct.logs import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MARK = b"data:"
_MODEL = 200
"""letters of a model's name that are kept"""
_ASKS = {
    "chat": ("messages",),
    "completions": ("prompt",),
    "responses": ("instructions", "input"),
    "messages": ("system", "messages"),
    "embeddings": ("input",),
}
"""where a service of each API reads what is asked: what stands elsewhere may be there to mislead"""
_MEMBERS = 64
"""of a gzip file: each costs a copy of what is left"""
_LARGEST_COUNT = 2**31 - 1


@dataclass(slots=True)
class Asked:
    """A request, as far as an event tells of it."""

    model: str | None = None
    system: str = ""
    text: str = ""
    """of the last turn of the user"""
    reasoning: bool | None = None
    streams: bool = False
    body: Any = None
    """as JSON has it; None if it is none"""


@dataclass(slots=True)
class Answered:
    """An answer, as far as an event tells of it."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    blobs: list[str] = field(default_factory=list)


def unpacked(data: bytes, encoding: str, most: int) -> bytes | None:
    """Return what comes out of a body, or None if it cannot be taken apart or is larger.

    gzip (RFC 1952) and deflate (RFC 1950, and without its header, as many send it).
    """
    for each in reversed([part.strip().lower() for part in encoding.split(",")]):
        if each in {"", "identity"}:
            continue
        if each not in {"gzip", "x-gzip", "deflate"}:
            return None
        bare = each == "deflate" and (not data or data[0] & 15 != 8)
        out = b""
        try:
            for _ in range(_MEMBERS):
                unpack = zlib.decompressobj(-15 if bare else 47)
                out += unpack.decompress(data, most + 1 - len(out))
                data = unpack.unused_data.lstrip(b"\0") if unpack.eof else b""
                if not data or len(out) > most:
                    break
            else:
                return None
        except zlib.error:
            return None
        if len(out) > most:
            return None
        data = out
    return data


def json_of(data: bytes) -> Any:
    """Return the value of a body, or None if it is no JSON."""
    try:
        return json.loads(data.decode(json.detect_encoding(data), "replace"))
    except (ValueError, RecursionError):
        return None


def asked(endpoint: str, data: bytes) -> Asked:
    """Read a request; what has another shape than the API's is left out."""
    body = json_of(data)
    if not isinstance(body, dict):
        return Asked()
    model = body.get("model")
    asks = {key: body.get(key) for key in _ASKS.get(endpoint, ())}
    found = Asked(
        model=_plain(model)[:_MODEL] if isinstance(model, str) else None,
        streams=body.get("stream") is True,
        reasoning=turns.asks_reasoning(body),
        body=body,
    )
    found.system, found.text = map(_plain, turns.asked(asks))
    return found


def answered(data: bytes, *, streams: bool, brought: Callable[[Any], list[str]]) -> Answered:
    """Read an answer, whole or a stream of server-sent events.

    Args:
        data: the body.
        streams: whether it is a stream.
        brought: returns the opaque blobs of an answer, or of an event.
    """
    found = Answered()
    blobs: dict[str, None] = {}
    for value in events(data) if streams else (json_of(data),):
        if not isinstance(value, dict):
            continue
        blobs |= dict.fromkeys(brought(value))
        for holder in (value, value.get("message"), value.get("response")):
            usage = holder.get("usage") if isinstance(holder, dict) else None
            if isinstance(usage, dict):
                read = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
                wrote = _count(usage.get("completion_tokens", usage.get("output_tokens")))
                cached = sum(
                    _count(usage.get(f"cache_{kind}_input_tokens")) or 0
                    for kind in ("read", "creation")
                )
                if read is not None:
                    found.tokens_in = min(read + cached, _LARGEST_COUNT)
                found.tokens_out = found.tokens_out if wrote is None else wrote
    found.blobs = list(blobs)
    return found


def events(data: bytes) -> Iterator[Any]:
    """Yield the JSON of each event of a stream, as far as it is some."""
    for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line.startswith(_MARK) and (value := json_of(line[len(_MARK) :])) is not None:
            yield value


def _plain(text: str) -> str:
    """Return a text without halves of surrogate pairs, which have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= _LARGEST_COUNT else None
