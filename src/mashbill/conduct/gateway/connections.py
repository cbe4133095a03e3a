"""Connections of clients: how many there are, and how long they may be idle or slow.

aiohttp closes a connection on which no whole head of a request came within its keep-alive time,
counted from when it was made, or from the last answer; a head that comes a byte at a time has no
more time than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from aiohttp.web_protocol import RequestHandler

    from mashbill.conduct.gateway.metrics import Metrics
    from mashbill.conduct.gateway.settings import Limits, Times

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)
_LINGER = 1.0
"""seconds that the rest of a refused request is read, so that its client reads the refusal"""


class Connections(web.Server):
    """Serves connections up to a number; one beyond it is told so and closed."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        limits: Limits,
        times: Times,
        metrics: Metrics,
    ) -> None:
        """Serve, once a loop's server hands connections over."""
        more: dict[str, Any] = {
            "keepalive_timeout": times.keep_alive,
            "max_line_size": limits.field_bytes,
            "max_field_size": limits.field_bytes,
            "max_headers": limits.fields,
            "lingering_time": _LINGER,
            "auto_decompress": False,
            "access_log": None,
        }
        super().__init__(handler, handler_cancellation=True, **more)
        self._most, self._metrics = limits.connections, metrics

    @property
    def number(self) -> int:
        """Connections that are open."""
        return len(self.connections)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or turn it away."""
        super().connection_made(handler, transport)
        if self.number > self._most:
            self._metrics.count("connections_refused_total")
            transport.write(_FULL)
            transport.close()
