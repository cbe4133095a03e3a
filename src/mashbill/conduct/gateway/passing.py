"""Passing an answer on: as it comes, byte for byte, or without its reasoning where that is set.

An answer that breaks off is broken off towards the client too, so that none takes it for whole.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from mashbill.conduct.gateway.headers import back
from mashbill.conduct.gateway.refusals import RefusedError
from mashbill.conduct.gateway.seen import Seen, Tee
from mashbill.conduct.gateway.stripping import MARK, Stripper, UnstrippableError, stripped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mashbill.conduct.gateway.metrics import Metrics
    from mashbill.conduct.gateway.settings import Settings

_LARGEST_STRIPPED = 64 << 20
_TAKEN_AT_ONCE = 1 << 15
"""bytes; half of what a transport buffers before it has writers wait"""
_ADDED = ("Content-Type", "Server")
"""headers that aiohttp adds where there are none"""
FAULTS = (aiohttp.ClientError, TimeoutError, OSError, ValueError, UnstrippableError)
"""what comes of a service that does not answer as it should"""


class Passed(web.StreamResponse):
    """An answer that is passed on: no header of ours, and its head goes with its first part."""

    _send_headers_immediately = False

    async def _prepare_headers(self) -> None:
        had = [name for name in _ADDED if name in self.headers]
        await super()._prepare_headers()
        for name in _ADDED:
            if name not in had:
                self.headers.pop(name, None)


class Stream(Passed):
    """The same, but its head goes at once: a client waits for it before the first event."""

    _send_headers_immediately = True


class Passing:
    """Passes answers on."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self.draining = False

    async def whole(
        self, request: web.BaseRequest, response: aiohttp.ClientResponse, seen: Seen
    ) -> web.StreamResponse:
        """Pass an answer on, byte for byte.

        Raises:
            RefusedError: where nothing has gone out, and nothing can.
        """
        out = self._begun(response, streams=seen.streams)
        tee = Tee(self._settings.observe.answer_bytes)
        length = None if request.method == "HEAD" else response.content_length
        try:
            await out.prepare(request)
            async for part in self._parts(response):
                tee.add(part)
                await self._write(request, out, part, is_last=tee.size == length)
            await out.write_eof()
        except FAULTS as error:
            return self._broken(request, out, seen, error)
        finally:
            seen.answer, seen.answer_bytes = tee.data, tee.size
        return out

    async def without_reasoning(
        self, request: web.BaseRequest, response: aiohttp.ClientResponse, seen: Seen
    ) -> web.StreamResponse:
        """Pass an answer on without its reasoning, marked as such.

        Raises:
            RefusedError: where nothing has gone out, and nothing can.
        """
        tee = Tee(self._settings.observe.answer_bytes)
        out = self._begun(response, streams=seen.streams)
        out.headers.popall("Content-Length", None)
        out.headers[MARK[0]] = MARK[1]
        try:
            _check_readable(seen.answer_encoding)
            if seen.streams:
                stripper = Stripper(seen.place.endpoint)
                await out.prepare(request)
                async for part in self._parts(response):
                    tee.add(part)
                    if kept := stripper.feed(part):
                        await self._write(request, out, kept, is_last=False)
                await self._write(request, out, stripper.end(), is_last=True)
            else:
                whole = bytearray()
                async for part in self._parts(response):
                    tee.add(part)
                    whole += part
                    _check_size(len(whole))
                data = stripped(seen.place.endpoint, bytes(whole))
                out.headers["Content-Length"] = str(len(data))
                await out.prepare(request)
                await self._write(request, out, data, is_last=True)
        except FAULTS as error:
            return self._broken(request, out, seen, error)
        finally:
            seen.answer, seen.answer_bytes = tee.data, tee.size
        return out

    def failure(self, error: Exception, seen: Seen) -> RefusedError:
        """Return what is answered where the service did not answer."""
        kind, status = _kind_of(error)
        self._metrics.count("upstream_errors_total", kind=kind)
        seen.whole = False
        told = {
            "connect": "The gateway cannot reach the service.",
            "timeout": "The service did not answer in time.",
            "cut": "The service ended the connection before its answer was whole.",
            "nonsense": "The service answered with something that is no HTTP, or too much of it.",
            "unstrippable": (
                "Parts are to be left out of this answer, and it cannot be looked into."
            ),
        }[kind]
        return RefusedError(status, f"upstream_{kind}", told)

    def _begun(self, response: aiohttp.ClientResponse, *, streams: bool) -> Passed:
        """Return an answer of the same status and headers."""
        connection = ",".join(response.headers.getall("Connection", ()))
        headers, odd = back(response.headers.items(), connection)
        if odd:
            self._metrics.count("upstream_errors_total", odd, kind="header_no_text")
        reason = response.reason if response.reason and response.reason.isprintable() else None
        kind = Stream if streams else Passed
        out = kind(status=response.status, reason=reason, headers=headers)
        if self.draining:
            out.force_close()
        return out

    async def _parts(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        content, idle = response.content, self._settings.times.idle
        while not content.is_eof():
            async with asyncio.timeout(idle):
                part = await content.readany()
            if part:
                yield part
        if part := content.read_nowait():  # all is here: nothing is to be waited for
            yield part

    async def _write(
        self, request: web.BaseRequest, out: web.StreamResponse, part: bytes, *, is_last: bool
    ) -> None:
        """Write a part, and wait until the client took enough; one that takes nothing is cut off.

        A transport whose buffer is empty takes a part of this size without a wait, so that no
        bound on it needs to be kept.
        """
        write = out.write_eof if is_last else out.write
        transport = request.transport
        if len(part) < _TAKEN_AT_ONCE and (
            transport is None or transport.get_write_buffer_size() == 0
        ):
            await write(part)
            return
        async with asyncio.timeout(self._settings.times.write):
            await write(part)

    def _broken(
        self, request: web.BaseRequest, out: web.StreamResponse, seen: Seen, error: Exception
    ) -> web.StreamResponse:
        """End an answer that did not come whole, or that nobody takes.

        Raises:
            RefusedError: where nothing of it has gone out.
        """
        seen.whole = False
        transport = request.transport
        if transport is None or transport.is_closing():
            self._metrics.count("cancelled_total")
            return out
        refused = self.failure(error, seen)
        if not out.prepared:
            raise refused from error
        transport.close()  # behind what was written, and without an end mark
        return out


def _check_readable(encoding: str) -> None:
    if encoding.strip().lower() not in {"", "identity"}:
        msg = f"the service answered in {encoding[:40]!r}"
        raise UnstrippableError(msg)


def _check_size(size: int) -> None:
    if size > _LARGEST_STRIPPED:
        msg = f"the answer has more than {_LARGEST_STRIPPED:,} bytes"
        raise UnstrippableError(msg)


def _kind_of(error: Exception) -> tuple[str, int]:
    if isinstance(error, UnstrippableError):
        return "unstrippable", 502
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return "connect", 502
    if isinstance(error, TimeoutError):
        return "timeout", 504
    if isinstance(error, aiohttp.ClientResponseError | ValueError):
        return "nonsense", 502
    return "cut", 502
