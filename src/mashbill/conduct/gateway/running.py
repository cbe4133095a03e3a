"""A gateway of one event loop: sockets, health, metrics, and an end by which no request is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from mashbill.client.transport import proxy_for
from mashbill.conduct.gateway.accounts import directory_of
from mashbill.conduct.gateway.connections import Connections
from mashbill.conduct.gateway.deciding import Decider
from mashbill.conduct.gateway.guardrail import PATH as GUARDRAIL
from mashbill.conduct.gateway.guardrail import Guardrail
from mashbill.conduct.gateway.limits import Limits
from mashbill.conduct.gateway.metrics import CONTENT_TYPE, Metrics
from mashbill.conduct.gateway.observer import Blobs, Observer
from mashbill.conduct.gateway.proxy import Proxy
from mashbill.conduct.gateway.sink import Sink
from mashbill.conduct.gateway.sockets import hand_over, listening
from mashbill.conduct.logs.blobs import brought, presented
from mashbill.conduct.logs.native import write_native
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.gateway.settings import Settings
    from mashbill.conduct.scan.engine import Engine
    from mashbill.conduct.scored import Scorer

_LOOK = 0.05
_FRESH = 5.0
"""seconds for which it is remembered whether the service could be reached"""
_STALE = 60.0
"""seconds that events may wait for the engine before the gateway is not ready"""
_LAST_EVENTS = 30.0
"""seconds that an ending process takes to write what it observed"""


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a gateway listens."""

    port: int
    admin_port: int | None


class Gateway:
    """A gateway of one event loop; :func:`serve` runs one as a program."""

    def __init__(
        self,
        settings: Settings,
        *,
        engine: Engine | None,
        scorer: Scorer | None,
        hashes: Hashes,
    ) -> None:
        """Read keys and certificates, and open what is written.

        Args:
            settings: what to do.
            engine: takes events, and says what is held of accounts; without one, all is observed
                and nothing held.
            scorer: scores texts of prompts.
            hashes: of whatever must not stand in events.

        Raises:
            InputError: if a file or an address that the settings name cannot be used.
        """
        self._settings, self._hashes = settings, hashes
        self.metrics = Metrics()
        self._limits = Limits(settings.limits)
        self._directory = directory_of(settings.who, hashes)
        self._tls = _tls(settings)
        self._log = _opened(settings)
        sink = None
        if settings.sink.folder is not None:
            sink = Sink(
                settings.sink.folder,
                lambda batch: write_native(batch, hashes.keyid),
                rotate_bytes=settings.sink.rotate_bytes,
                sync_seconds=settings.sink.sync_seconds,
                keep=settings.sink.keep,
            )
        self.observer = Observer(
            settings.observe,
            hashes,
            self.metrics,
            Blobs(presented, brought),
            engine=engine,
            scorer=scorer,
            sink=sink,
            log=self._log,
        )
        self._decider = Decider(settings, engine, self.observer, self.metrics)
        self._reached: tuple[float, str] = (-_FRESH, "")
        self._draining = False
        self._closing: list[Callable[[], Awaitable[None]]] = []
        metrics, limits = self.metrics, self._limits
        metrics.gauge("running", lambda: limits.running)
        metrics.gauge("held_bytes", lambda: limits.held)
        metrics.gauge("draining", lambda: self._draining)

    async def start(self) -> Bound:
        """Listen and answer; return where.

        Raises:
            InputError: if it cannot listen there.
        """
        settings = self._settings
        limits, times = settings.limits, settings.times
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits.requests, keepalive_timeout=15),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=times.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=limits.answer_field_bytes,
            max_field_size=limits.answer_field_bytes,
        )
        self._closing.append(self._session.close)
        addresses = {settings.upstream, settings.anthropic_upstream} - {""}
        proxies = {each: proxy_for(each) for each in addresses}
        self._proxy: Proxy = Proxy(
            settings, self._directory, self._limits, self._decider, self.observer, self.metrics,
            self._session, proxies,
        )  # fmt: skip
        self._guardrail = (
            Guardrail(
                settings, self._decider, self.observer, self._hashes, self.metrics, self._limits
            )
            if settings.guardrail.enabled
            else None
        )
        self.observer.start()
        self._server: Connections = Connections(self._front, limits, times, self.metrics)
        self.metrics.gauge("connections", lambda: self._server.number)
        self._socket = listening(settings.listen)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._server, sock=self._socket, ssl=self._tls, backlog=settings.listen.backlog
        )
        admin = await self._listen_for_admin()
        port = int(self._socket.getsockname()[1])
        self.observer.note(what="listening", port=port)
        return Bound(port, admin)

    async def _listen_for_admin(self) -> int | None:
        """Serve metrics and health apart; return the port."""
        admin = self._settings.admin
        if admin.port is None:
            return None
        server = Connections(
            self._of_admin, self._settings.limits, self._settings.times, self.metrics
        )
        sock = listening(self._settings.listen.model_copy(
            update={"host": admin.host, "port": admin.port}))  # fmt: skip
        listener = await asyncio.get_running_loop().create_server(server, sock=sock)

        async def close() -> None:
            listener.close()
            await server.shutdown(1)

        self._closing.append(close)
        return int(sock.getsockname()[1])

    async def _front(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a client's request."""
        path = request.raw_path
        if path in {"/healthz", "/readyz"}:
            return await self._of_admin(request)
        if self._guardrail is not None and path == GUARDRAIL:
            return await self._guardrail.answer(request)
        return await self._proxy.answer(request)

    async def _of_admin(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer whoever runs the gateway."""
        path, headers = request.raw_path.partition("?")[0], {"Server": "mashbill"}
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers=headers | {"Allow": "GET, HEAD"})
        if path == "/healthz":
            return web.Response(text="alive\n", headers=headers)
        if path == "/readyz":
            why = await self.why_not_ready()
            status = 503 if why else 200
            return web.Response(status=status, text=(why or "ready") + "\n", headers=headers)
        if path == "/metrics":
            headers["Content-Type"] = CONTENT_TYPE
            return web.Response(body=self.metrics.text(), headers=headers)
        return web.Response(
            status=404, text="there are /metrics, /healthz and /readyz\n", headers=headers
        )

    async def why_not_ready(self) -> str:
        """Return why no requests should be sent here, or nothing."""
        if self._draining:
            return "ending"
        if self.observer.failing:
            return "the engine fails"
        if self.observer.engine_age > _STALE:
            return f"the engine has taken no events for {self.observer.engine_age:.0f} s"
        then, why = self._reached
        if time.monotonic() - then >= _FRESH:
            why = await self._why_not_reached()
            self._reached = (time.monotonic(), why)
        return why

    async def _why_not_reached(self) -> str:
        """Connect to the service, or to the proxy before it, and say nothing."""
        for each in {self._settings.upstream, self._settings.anthropic_upstream} - {""}:
            parts = urlsplit(proxy_for(each) or each)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            try:
                async with asyncio.timeout(min(self._settings.times.connect, 5)):
                    _, writer = await asyncio.open_connection(parts.hostname, port)
                writer.close()
            except (OSError, TimeoutError):
                return "the service cannot be reached"
        return ""

    async def end(self) -> bool:
        """Answer what is under way and end; return whether nothing was cut."""
        self._draining = self._proxy.passing.draining = True
        self.observer.note(what="ending", running=self._limits.running)
        until = time.monotonic() + self._settings.times.drain
        if hand_over(self._socket):
            await asyncio.sleep(self._settings.times.hand_over)
        self._listener.close()
        while self._server.number and time.monotonic() < until:  # noqa: ASYNC110 - with a bound
            await asyncio.sleep(_LOOK)
        cut = self._limits.running
        await self._server.shutdown(0.1)
        for close in reversed(self._closing):
            with contextlib.suppress(OSError):
                await close()
        self.observer.note(what="ended", cut=cut)
        written = await asyncio.to_thread(self.observer.close, _LAST_EVENTS)
        if self._log is not None:
            os.close(self._log)
            self._log = None
        return not cut and written


def _tls(settings: Settings) -> ssl.SSLContext | None:
    listen = settings.listen
    if listen.certificate is None or listen.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(listen.certificate, listen.key)
    except (OSError, ssl.SSLError) as error:
        msg = (
            f"listen: {listen.certificate} and {listen.key} are no certificate with its key: "
            f"{error.strerror or error}"
        )
        raise InputError(msg) from error
    return context


def _opened(settings: Settings) -> int | None:
    if settings.log is None:
        return None
    try:
        return os.open(settings.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"log: {settings.log} cannot be written: {error.strerror}; name another file"
        raise InputError(msg) from error
