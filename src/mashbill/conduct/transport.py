"""Carrying one request and its response: the one seam to the network.

aiohttp over HTTP/1.1 with connections kept alive: measured against the alternatives on loopback
(LOG.md), it is many times faster than httpx, by HTTP/1.1 or HTTP/2. Its twins: the in-process
service of a ``fake`` teacher, and whatever a test hands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from mashbill.core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

Failure = Literal["connect", "cut", "timeout"]
_CONNECT = 20.0
_LARGEST = 256 * 1024 * 1024  # bytes of a response


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; names of headers are looked up in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No whole response came: there was no connection, it was cut, or it took too long."""

    def __init__(self, kind: Failure, reason: str) -> None:
        super().__init__(reason)
        self.kind: Failure = kind
        self.reason = reason


class Transport(Protocol):
    """What carries requests."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Send a request and return its whole response.

        Raises:
            TransportError: if no whole response came.
        """
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address, or None."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


TWIN = "twin://"
"""begins the address of a service in this process"""


class Carrier:
    """Sends to the network, or to a service in this process, by the address."""

    def __init__(self, connections: int, twins: Mapping[str, Transport]) -> None:
        """Carry; the network is opened when the first request needs it.

        Args:
            connections: to the network at most.
            twins: services in this process, by the host of their addresses.
        """
        self._connections = connections
        self._twins = twins
        self._http: Http | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """See :class:`Transport`.

        Raises:
            MissingExtraError: if aiohttp is needed and not installed.
        """
        if url.startswith(TWIN):
            return await self._twins[url[len(TWIN) :].partition("/")[0]].send(
                method, url, headers, body
            )
        if self._http is None:
            self._http = Http(self._connections)
        return await self._http.send(method, url, headers, body)

    async def close(self) -> None:
        """See :class:`Transport`."""
        if self._http is not None:
            await self._http.close()


class Http:
    """HTTP/1.1 by aiohttp, on the running loop."""

    def __init__(self, connections: int) -> None:
        """Open a pool.

        Raises:
            MissingExtraError: if aiohttp is not installed.
        """
        try:
            import aiohttp
            from yarl import URL
        except ImportError as error:
            raise MissingExtraError("asking a service", "api") from error
        self._errors: Any = aiohttp
        self._urls: dict[str, tuple[Any, str | None]] = {}
        self._url = URL
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, limit_per_host=connections, keepalive_timeout=60
            ),
            # Each request has its deadline from the client; what is set here is for dead peers.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=32768,
            max_field_size=32768,
        )

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """See :class:`Transport`."""
        known = self._urls.get(url)
        if known is None:
            # Once an address: aiohttp itself would look the environment up for each request, in a
            # thread, which took half of a request's time.
            known = self._urls[url] = (self._url(url, encoded=True), proxy_for(url))
        at, proxy = known
        aiohttp = self._errors
        response = None
        try:
            # Without its context manager, which costs a twentieth of a request on loopback: a
            # response that is read to its end has given its connection back.
            response = await self._session.request(
                method, at, data=body or None, headers=headers, proxy=proxy, allow_redirects=False
            )
            said = response.content_length
            if said is None:
                data = await self._piecewise(response)
            elif said > _LARGEST:
                msg = f"the response has {said:,} bytes"
                raise TransportError("cut", msg)
            else:
                data = await response.read()
        except aiohttp.ClientConnectorError as error:
            raise TransportError("connect", f"no connection: {error}") from error
        except aiohttp.ServerTimeoutError as error:
            raise TransportError("timeout", f"timed out: {error}") from error
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
            raise TransportError("cut", f"the response was cut off: {error!r:.200}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError("cut", f"{type(error).__name__}: {error!s:.200}") from error
        finally:
            if response is not None:
                response.release()
        return Response(response.status, response.headers, data)

    @staticmethod
    async def _piecewise(response: Any) -> bytes:
        """Read a response that does not say how long it is, up to the largest that is taken."""
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > _LARGEST:
                msg = f"the response has more than {_LARGEST:,} bytes"
                raise TransportError("cut", msg)
            pieces.append(piece)
        return b"".join(pieces)

    async def close(self) -> None:
        """See :class:`Transport`."""
        await self._session.close()
