"""Addresses of services, taken apart once, and the same way by whoever checks and whoever sends.

An origin is scheme, host and port together. A key goes to an origin, not to a name: the same host
without TLS, or another port of it, is somebody else.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from mashbill.client.transport import TWIN, is_loopback
from mashbill.core.errors import TeacherError

_PORTS = {"http": 80, "https": 443}
_NEVER = frozenset(' \t\r\n\\"<>^`{|}')
"""characters that no address has; parsers differ over what they mean there"""


@dataclass(frozen=True)
class Origin:
    """Where a request goes, as the network sees it."""

    scheme: str
    host: str
    """in lower case, in ASCII, without a trailing dot; an address of IPv6 in brackets"""
    port: int

    @property
    def place(self) -> str:
        """Host, and port where it is not the scheme's own: what may be written down of it."""
        plain = not self.port or _PORTS.get(self.scheme) == self.port
        return self.host if plain else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """Return it as an address."""
        return f"{self.scheme}://{self.place}"

    @property
    def is_local(self) -> bool:
        """Whether it is this machine: an address of loopback, or a service in this process."""
        return self.scheme == "twin" or is_loopback(self.host.strip("[]"))


@dataclass(frozen=True)
class Address:
    """A base address: its origin, and the path below which requests go."""

    origin: Origin
    path: str

    def __str__(self) -> str:
        """Return the address that is sent to: exactly what was checked."""
        return f"{self.origin}{self.path}"


def address(base_url: str, where: str = "base_url") -> Address:
    """Take a base address apart.

    Args:
        base_url: the address.
        where: what it is, for errors.

    Raises:
        TeacherError: if it is none, or has parts that a base address must not have.
    """
    if base_url.startswith(TWIN):
        host, slash, path = base_url[len(TWIN) :].partition("/")
        return Address(Origin("twin", host, 0), slash + path)
    shown = base_url if "@" not in base_url else f"...@{base_url.rpartition('@')[2]}"
    if any(char in _NEVER or not char.isprintable() for char in base_url):
        raise _no_address(where, shown, "has a space or a character that no address has")
    try:
        parts = urlsplit(base_url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError as error:
        raise _no_address(where, shown, f"cannot be read ({error})") from error
    if scheme not in _PORTS or not host:
        raise _no_address(where, shown, "does not begin with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise _no_address(
            where,
            shown,
            "holds a user name or password, which would be written down; name the "
            "environment variable of a key instead (key_env, or keys_env in accounts.toml)",
        )
    if "?" in base_url or "#" in base_url:
        raise _no_address(where, shown, "has a query or a fragment, in which the path would end up")
    if port == 0:
        raise _no_address(where, shown, "has the port 0")
    if not parts.path.isascii():
        raise _no_address(where, shown, "has a path that is not ASCII; write it percent-encoded")
    if any(part in {".", ".."} for part in parts.path.split("/")):
        raise _no_address(where, shown, "has . or .. in its path")
    return Address(Origin(scheme, _host(host, where, shown), port or _PORTS[scheme]), parts.path)


def _host(host: str, where: str, shown: str) -> str:
    bare = host.removesuffix(".")
    if ":" in bare:
        try:
            return f"[{ipaddress.IPv6Address(bare).compressed}]"
        except ValueError as error:
            raise _no_address(where, shown, f"names no host ({error})") from error
    try:
        # Full-width letters and the like are the host that they are folded to.
        name = bare if bare.isascii() else bare.encode("idna").decode()
    except UnicodeError as error:
        raise _no_address(where, shown, f"names no host ({error})") from error
    name = name.lower().removesuffix(".")
    if not name or "%" in name or any(not part for part in name.split(".")):
        raise _no_address(where, shown, "names no host")
    return name


def _no_address(where: str, shown: str, why: str) -> TeacherError:
    said = "".join(char if char.isprintable() else "?" for char in shown[:120])
    return TeacherError(f"{where} = {said!r} {why}; write it as https://HOST/v1")
