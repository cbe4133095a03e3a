"""Carrying one request and its response: the one seam to the network.

aiohttp over HTTP/1.1 with connections kept alive: measured against the alternatives on loopback
(LOG.md), it is many times faster than httpx, by HTTP/1.1 or HTTP/2. Its twins: the in-process
service of a ``fake`` teacher, and whatever a test hands in.

What comes in is bounded by what comes out of it once it is unpacked, and is without the keys that
the run holds: they are taken out first, and what is cut or changed is cut and changed after that.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from mashbill.client.scrubbing import Scrubber
from mashbill.core.extras import needs

if TYPE_CHECKING:
    from collections.abc import Mapping

Failure = Literal["connect", "cut", "timeout"]
_CONNECT = 20.0
_MIB = 1024 * 1024
LARGEST_ANSWER = 32 * _MIB
"""bytes of an answer, unpacked"""
LARGEST_RESULTS = 256 * _MIB
"""bytes of a batch's results, unpacked"""
LARGEST_ERROR = _MIB
"""bytes of an error's body; what follows them is not read"""
_TAKEN = "gzip, deflate"
"""encodings that are taken apart here, in bounded pieces"""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; names of headers are looked up in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """No whole response came: there was no connection, it was cut, or it took too long."""

    def __init__(
        self, kind: Failure, reason: str, *, hopeless: bool = False, oversized: bool = False
    ) -> None:
        super().__init__(reason)
        self.kind: Failure = kind
        self.reason = reason
        self.hopeless = hopeless
        """whether the address itself is at fault, so that time mends nothing"""
        self.oversized = oversized
        """whether the response was whole as far as it was read, and larger than is taken"""


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


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine: ``localhost``, or an address of loopback."""
    name = host.lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address, or None.

    This machine is never asked through one: what is sent to it, keys too, would leave it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


TWIN = "twin://"
"""begins the address of a service in this process"""


class Carrier:
    """Sends to the network, or to a service in this process, by the address."""

    def __init__(
        self, connections: int, twins: Mapping[str, Transport], scrubber: Scrubber | None = None
    ) -> None:
        """Carry; the network is opened when the first request needs it.

        Args:
            connections: to the network at most.
            twins: services in this process, by the host of their addresses.
            scrubber: takes keys out of all that comes in.
        """
        self._connections = connections
        self._twins = twins
        self._scrubber = scrubber or Scrubber()
        self._http: Http | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """See :class:`Transport`.

        Raises:
            MissingExtraError: if aiohttp is needed and not installed.
        """
        clean = self._scrubber
        try:
            if url.startswith(TWIN):
                twin = self._twins[url[len(TWIN) :].partition("/")[0]]
                response = await twin.send(method, url, headers, body)
            else:
                if self._http is None:
                    self._http = Http(self._connections, clean)
                response = await self._http.send(method, url, headers, body)
        except TransportError as error:
            # A header's bytes that are no text stand in it as halves of characters.
            reason = clean.text(error.reason, is_error=True).encode(errors="replace").decode()
            raise TransportError(
                error.kind, reason, hopeless=error.hopeless, oversized=error.oversized
            ) from None
        return Response(
            response.status,
            clean.headers(response.headers),
            clean.data(response.body, is_error=not 200 <= response.status < 300),
        )

    async def close(self) -> None:
        """See :class:`Transport`."""
        if self._http is not None:
            await self._http.close()


class Http:
    """HTTP/1.1 by aiohttp, on the running loop."""

    def __init__(self, connections: int, scrubber: Scrubber | None = None) -> None:
        """Open a pool; the password of a proxy is made known to the scrubber.

        Raises:
            MissingExtraError: if aiohttp is not installed.
        """
        with needs("asking a service", "api"):
            import aiohttp
            from yarl import URL
        self._errors: Any = aiohttp
        self._urls: dict[str, tuple[Any, str | None]] = {}
        self._url = URL
        self._scrubber = scrubber or Scrubber()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, limit_per_host=connections, keepalive_timeout=60
            ),
            # Each request has its deadline from the client; what is set here is for dead peers.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            # aiohttp unpacks a whole piece at once: a megabyte of zeros becomes a gigabyte.
            auto_decompress=False,
            headers={"Accept-Encoding": _TAKEN},
            max_line_size=32768,
            max_field_size=32768,
        )

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """See :class:`Transport`."""
        response = None
        try:
            at, proxy = self._address(url)
            # Without its context manager, which costs a twentieth of a request on loopback: a
            # response that is read to its end has given its connection back.
            response = await self._session.request(
                method, at, data=body or None, headers=headers, proxy=proxy, allow_redirects=False
            )
            data = await _whole(response, method, self._scrubber)
        except TransportError:
            if response is not None:
                response.close()
            raise
        except (self._errors.ClientError, OSError, ValueError) as error:
            raise _failure(self._errors, error, url, self._scrubber) from error
        finally:
            if response is not None:
                response.release()
        return Response(response.status, response.headers, data)

    def _address(self, url: str) -> tuple[Any, str | None]:
        """Return an address and the proxy that it is reached by.

        Once an address: aiohttp itself would look the environment up for each request, in a
        thread, which took half of a request's time.
        """
        known = self._urls.get(url)
        if known is None:
            proxy = proxy_for(url)
            secret = urlsplit(proxy).password if proxy else None
            if secret:
                self._scrubber.add({secret, unquote(secret)})
            known = self._urls[url] = (self._url(url, encoded=True), proxy)
        return known

    async def close(self) -> None:
        """See :class:`Transport`."""
        await self._session.close()


async def _whole(response: Any, method: str, clean: Scrubber) -> bytes:
    """Return the body of a response, unpacked, up to the largest that is taken.

    Raises:
        TransportError: if it is larger, or packed in another way than was asked for. Of an error
            only so much is read as is ever told.
    """
    is_error = not 200 <= response.status < 300
    most = LARGEST_RESULTS if method == "GET" else LARGEST_ANSWER
    most = LARGEST_ERROR if is_error else most
    encoding = response.headers.get("Content-Encoding", "")
    unpack = _unpacker(clean.text(encoding, is_error=True))
    said = response.content_length
    if unpack is None and said is not None and said <= most:
        whole: bytes = await response.read()
        return whole
    if said is not None and said > most and not is_error:
        raise _too_large(most, f"it says that it has {said:,}")
    pieces, read, size = [], 0, 0
    async for raw in response.content.iter_any():
        read += len(raw)
        piece = raw if unpack is None else unpack.feed(raw, most - size + 1)
        size += len(piece)
        pieces.append(piece)
        if size > most or read > most:
            if is_error:
                response.close()
                return b"".join(pieces)[:most]
            raise _too_large(most, f"{size:,} came out of {read:,}")
    if unpack is not None and not is_error:
        unpack.end()
    return b"".join(pieces)


def _too_large(most: int, found: str) -> TransportError:
    msg = f"the response is larger than the {most:,} bytes that are taken: {found}"
    return TransportError("cut", msg, oversized=True)


def _unpacker(encoding: str) -> _Unpacker | None:
    said = [part.strip().lower() for part in encoding.split(",")]
    said = [part for part in said if part not in {"", "identity"}]
    if not said:
        return None
    if said not in (["gzip"], ["x-gzip"], ["deflate"]):
        msg = f"the response is encoded as {', '.join(said)[:60]!r}, and {_TAKEN} was asked for"
        raise TransportError("cut", msg, oversized=True)
    return _Unpacker()


class _Unpacker:
    """Unpacks gzip, of several members too, and deflate, with zlib's header or without."""

    def __init__(self) -> None:
        self._unpack: Any = None
        self._ended = True

    def feed(self, data: bytes, most: int) -> bytes:
        """Return what comes out of a piece, at most so many bytes.

        Raises:
            TransportError: if it cannot be unpacked.
        """
        found, left = [], most
        try:
            while data and left > 0:
                if self._unpack is None or (self._ended and self._unpack.eof):
                    # Raw deflate has no header; zlib's and gzip's first bytes are known.
                    bare = self._unpack is None and data[:1] != b"\x1f" and data[0] & 15 != 8
                    self._unpack = zlib.decompressobj(-15 if bare else 47)
                out = self._unpack.decompress(data, left)
                found.append(out)
                left -= len(out)
                self._ended = self._unpack.eof
                data = self._unpack.unused_data if self._ended else self._unpack.unconsumed_tail
                if self._ended and not data.strip(b"\0"):
                    break  # padding behind the last member
        except zlib.error as error:
            msg = f"the response cannot be unpacked: {error}"
            raise TransportError("cut", msg) from error
        return b"".join(found)

    def end(self) -> None:
        """See to it that all has come.

        Raises:
            TransportError: if it was cut short.
        """
        if not self._ended:
            msg = "the response was cut off: what came cannot be unpacked to its end"
            raise TransportError("cut", msg)


_REFUSED = {
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.EHOSTUNREACH: "no route to that host",
    errno.ENETUNREACH: "no route to that network",
    errno.ETIMEDOUT: "no answer to the attempt to connect",
}


def _failure(aiohttp: Any, error: Exception, url: str, clean: Scrubber) -> TransportError:
    """Say why there is no response, in words that name the address and what to look at.

    What the error quotes is without keys before it is cut: half a key would not be found.
    """
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    said = clean.text(str(error), is_error=True)[:200]
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return TransportError("connect", f"no connection to the proxy for {place}: {said}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        inner = error.os_error
        unknown = isinstance(inner, socket.gaierror) and inner.errno == socket.EAI_NONAME
        return TransportError(
            "connect", f"no address is known for {parts.hostname} (DNS: {inner})", hopeless=unknown
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        plain = "WRONG_VERSION_NUMBER" in said or "record layer failure" in said.lower()
        hint = "; it seems to speak http, and base_url says https" if plain else ""
        return TransportError("connect", f"no TLS with {place}{hint}: {said}", hopeless=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        why = _REFUSED.get(error.errno or 0, said)
        return TransportError("connect", f"no connection to {place}: {why}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportError("connect", f"no connection to {place} within {_CONNECT:.0f} s")
    if isinstance(error, aiohttp.ServerTimeoutError):
        return TransportError("timeout", f"timed out: {said}")
    if isinstance(error, aiohttp.InvalidURL):
        return TransportError("connect", f"{place} is no address: {said}", hopeless=True)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return TransportError("cut", f"the response was cut off: {said or type(error).__name__}")
    if isinstance(error, aiohttp.ClientResponseError):
        message = " ".join(clean.text(error.message, is_error=True).split())[:200]
        no_http = "status line" in message
        hint = "; perhaps it wants https" if no_http and parts.scheme == "http" else ""
        why = f"{place} does not answer in HTTP{hint}: {message}"
        return TransportError("cut", why, hopeless=no_http)
    if isinstance(error, ConnectionError) and parts.scheme == "http":
        why = f"{place} closed the connection (it may want https): {said}"
        return TransportError("cut", why)
    if isinstance(error, aiohttp.ClientError | OSError):
        return TransportError("cut", f"{type(error).__name__}: {said}")
    return TransportError("connect", f"{place} cannot be asked: {said}", hopeless=True)
