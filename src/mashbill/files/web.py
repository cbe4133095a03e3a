"""Fetching pages and files of package indexes over http(s), or from folders, bounded in size.

The standard library's client: proxies are those of the environment, as is ``SSL_CERT_FILE``.
"""

from __future__ import annotations

import base64
import http.client
import netrc
import ssl
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mashbill.core.errors import InputError
from mashbill.files.opening import may_come, open_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from urllib.parse import SplitResult

_SECONDS = 60  # without a byte
_PIECE = 1 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Page:
    """A page that was fetched."""

    address: str
    """where it lies in the end, behind redirects; without what is secret in it"""
    kind: str
    """its media type"""
    data: bytes


@dataclass(frozen=True)
class _Answer:
    stream: Any
    address: str
    kind: str
    size: int | None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects on the web, ten at most, never from https to http."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in ("https", old.scheme):
            why = f"redirects to {new.scheme or 'no'}:// (from {old.scheme}://)"
            raise urllib.error.HTTPError(shown(req.full_url), code, why, headers, fp)
        again = super().redirect_request(req, fp, code, msg, headers, newurl)
        if again is not None and (new.scheme, new.netloc) == (old.scheme, old.netloc):
            for name, value in req.unredirected_hdrs.items():
                again.add_unredirected_header(name, value)
        return again


class Web:
    """See the module."""

    def __init__(self, cert: str = "", trusted: Collection[str] = ()) -> None:
        """Ready a client.

        Args:
            cert: file of certificates to trust in place of the system's.
            trusted: hosts, or HOST:PORT, that need no certificate.
        """
        self._cert, self._trusted = cert, trusted
        self._secrets: dict[str, str] = {}
        """scheme and host -> name and password that the user's own settings hold for it"""
        self._openers: dict[bool, urllib.request.OpenerDirector] = {}

    def page(self, address: str, accept: str, most: int) -> Page:
        """Return a page.

        Raises:
            InputError: naming its address, if it cannot be had or is larger than ``most`` bytes.
        """
        folder = folder_of(address)
        if folder is not None:
            address = (folder / "index.html").as_uri()
        with self._open(address, accept) as answer:
            data = answer.stream.read(most + 1)
            if len(data) > most:
                msg = f"{shown(address)}: a page of more than {most >> 20} MiB; not read"
                raise InputError(msg)
            return Page(answer.address, answer.kind, data)

    def download(self, address: str, to: Path) -> None:
        """Write a file.

        Raises:
            InputError: naming its address, if it cannot be had, or more comes than may.
        """
        with self._open(address, "*/*") as answer, to.open("wb") as file:
            came = 0
            may_come(shown(address), came, answer.size)
            while piece := answer.stream.read(_PIECE):
                came += len(piece)
                may_come(shown(address), came, answer.size)
                file.write(piece)
        if answer.size is not None and came != answer.size:
            msg = f"{shown(address)}: {came} of {answer.size} bytes came; try again"
            raise InputError(msg)

    @contextmanager
    def _open(self, address: str, accept: str) -> Iterator[_Answer]:
        there = urlsplit(address)
        if there.scheme == "file":
            path = Path(unquote(there.path))
            with open_file(path, str(path)) as stream:
                yield _Answer(stream, address, "text/html", path.stat().st_size)
            return
        try:
            with self._asked(address, accept) as answer:
                length = answer.headers.get("Content-Length", "")
                kind = answer.headers.get_content_type()
                size = int(length) if length.isdigit() and len(length) < 18 else None
                yield _Answer(answer, answer.url, kind, size)
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else ""
            why = f"{why} {getattr(error, 'reason', '') or error}".strip()
            msg = f"{shown(address)}: {why:.200}"
            raise InputError(msg) from error

    def _asked(self, address: str, accept: str) -> Any:
        there = urlsplit(address)
        host, place = there.hostname or "", there.netloc.rpartition("@")[2]
        is_trusted = host in self._trusted or place in self._trusted
        if there.scheme != "https" and host not in _LOOPBACK and not is_trusted:
            msg = f"{shown(address)}: is not https, and its host is none of pip's trusted-host"
            raise InputError(msg)
        headers = {"Accept": accept, "User-Agent": "mashbill"}
        request = urllib.request.Request(_bare(address), headers=headers)  # noqa: S310 - http(s)
        if secret := self._secret(there):
            request.add_unredirected_header("Authorization", f"Basic {secret}")
        return self._opener(is_trusted=is_trusted).open(request, timeout=_SECONDS)

    def _secret(self, there: SplitResult) -> str:
        """Return what an index wants to know of the user, from its own address or from netrc."""
        place = f"{there.scheme}://{there.netloc.rpartition('@')[2]}"
        if there.username is not None and place not in self._secrets:
            pair = f"{unquote(there.username)}:{unquote(there.password or '')}"
            self._secrets[place] = base64.b64encode(pair.encode()).decode()
        if place not in self._secrets:
            try:
                found = netrc.netrc().authenticators(there.hostname or "")
            except (OSError, netrc.NetrcParseError):
                found = None
            pair = f"{found[0]}:{found[2] or ''}" if found else ""
            self._secrets[place] = base64.b64encode(pair.encode()).decode()
        return self._secrets[place]

    def _opener(self, *, is_trusted: bool) -> urllib.request.OpenerDirector:
        if is_trusted not in self._openers:
            try:
                context = ssl.create_default_context(cafile=self._cert or None)
            except OSError as error:
                msg = f"pip's cert = {self._cert!r} cannot be read: {error}; correct it"
                raise InputError(msg) from error
            if is_trusted:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            handler = urllib.request.HTTPSHandler(context=context)
            self._openers[is_trusted] = urllib.request.build_opener(handler, _Redirects())
        return self._openers[is_trusted]


def folder_of(address: str) -> Path | None:
    """Return the folder of this disk that an address names; None if it names none."""
    there = urlsplit(address)
    path = Path(unquote(there.path))
    return path if there.scheme == "file" and path.is_dir() else None


def _bare(address: str) -> str:
    there = urlsplit(address)
    return there._replace(netloc=there.netloc.rpartition("@")[2], fragment="").geturl()


def shown(address: str) -> str:
    """Return an address for people: without name, password and query, which may be secret."""
    return urlsplit(_bare(address))._replace(query="").geturl()
