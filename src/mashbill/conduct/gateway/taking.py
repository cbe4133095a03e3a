"""Taking a request's body: whole, within its bound, and before it is sent anywhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from mashbill.conduct.gateway.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mashbill.conduct.gateway.limits import Limits
    from mashbill.conduct.gateway.settings import Settings


async def body_of(request: web.BaseRequest, settings: Settings, limits: Limits) -> bytes:
    """Return a request's body, which is counted as held; whoever has it lets go of it.

    Raises:
        RefusedError: if it is too large, too slow, or not what its headers say; then nothing of it
            is held.
    """
    most, length = settings.limits.request_bytes, request.content_length
    if length is not None and length > most:
        raise _too_large(most)
    if not request.body_exists:
        return b""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the answer
    parts: list[bytes] = []
    held = 0
    is_taken = False
    try:
        async for part in _parts(request, settings.times.body):
            limits.hold(len(part))
            held += len(part)
            parts.append(part)
            _check(held, most)
        is_taken = True
    except TimeoutError as error:
        raise RefusedError(
            408,
            "request_too_slow",
            f"The request's body was not here within {settings.times.body:g} s.",
            closes=True,
        ) from error
    except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
        raise RefusedError(
            400, "bad_body", "The request's body is not what its headers say.", closes=True
        ) from error
    finally:
        if not is_taken:
            limits.let_go(held)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _parts(request: web.BaseRequest, seconds: float) -> AsyncIterator[bytes]:
    content = request.content
    if content.is_eof():  # all is here: nothing is to be waited for
        yield content.read_nowait()
        return
    until = asyncio.get_running_loop().time() + seconds
    while True:
        async with asyncio.timeout_at(until):  # ended before each part is handed out
            part = await content.readany()
        if not part:
            return
        yield part


def _check(size: int, most: int) -> None:
    if size > most:
        raise _too_large(most)


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413,
        "request_too_large",
        f"The request's body has more than the {most:,} bytes that are taken.",
        closes=True,
    )
