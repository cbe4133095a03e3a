"""Who asks: an account from its key, from a header of a trusted front, or from what is passed on.

A file of keys holds digests, so that whoever reads it has no key::

    [[keys]]
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    account = "acme"
    organisation = "Acme Ltd"
    payment = "card_7f3"
    signed_up = 2026-02-01T00:00:00Z
    upstream = "OPENAI_API_KEY"

``upstream`` names the environment variable with the service's own key, which goes upstream in the
header in which the account's key came. A key is looked up by its SHA-256, and the digests are
compared in constant time: what the time of a look-up tells is about digests of keys, from which no
key can be guessed that has its 128 bits of chance.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mashbill.conduct.gateway.headers import key_in
from mashbill.conduct.gateway.refusals import RefusedError
from mashbill.core.errors import InputError
from mashbill.core.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.gateway.settings import Who as WhoSettings

_HEX = re.compile(r"[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOPS = 32
"""addresses of an X-Forwarded-For that are looked at"""


@dataclass(frozen=True, slots=True)
class Account:
    """Whoever a request counts for; what names it is hashed."""

    account: bytes
    key: bytes | None = None
    organisation: bytes | None = None
    payment: bytes | None = None
    signed_up: datetime | None = None
    upstream: str = ""
    """the service's key, where the client's is not passed on"""
    key_header: str = ""
    """in which the client's key came"""


class Directory(Protocol):
    """Says who asks."""

    def who(self, headers: Mapping[str, str], peer: str, address: str) -> Account:
        """Return the account that a request counts for.

        Args:
            headers: of the request, looked up in any case.
            peer: address at the other end of the connection.
            address: of the client, as trusted fronts say.

        Raises:
            RefusedError: if it is nobody's.
        """


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    sha256: str
    account: str = Field(min_length=1, max_length=500)
    organisation: str = Field("", max_length=500)
    payment: str = Field("", max_length=500)
    signed_up: datetime | None = None
    upstream: str

    @field_validator("sha256")
    @classmethod
    def _digest(cls, value: str) -> str:
        if _HEX.fullmatch(value) is None:
            msg = "it has the 64 hexadecimal digits of a key's SHA-256, in lower case"
            raise ValueError(msg)
        return value

    @field_validator("upstream")
    @classmethod
    def _name(cls, value: str) -> str:
        if _VARIABLE.fullmatch(value) is None:
            msg = "it names the environment variable with the service's key"
            raise ValueError(msg)
        return value


class _KeysFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    keys: list[_Key] = Field(max_length=1_000_000)


class ByKeys:
    """Accounts of a file of keys."""

    def __init__(self, known: Mapping[bytes, Account]) -> None:
        """Know keys by their SHA-256."""
        self._known = {digest[:8]: (digest, account) for digest, account in known.items()}

    @classmethod
    def read(cls, path: Path, hashes: Hashes, environment: Mapping[str, str] | None = None) -> Self:
        """Read a file of keys.

        Raises:
            InputError: naming the file and the key that is wrong; values of keys are never told.
        """
        environment = os.environ if environment is None else environment
        _, found = read_toml(path, _KeysFile)
        known: dict[bytes, Account] = {}
        for place, each in enumerate(found.keys):
            secret = environment.get(each.upstream, "")
            if not secret:
                msg = (
                    f"{path}: keys.{place}.upstream: the environment has no {each.upstream}, which "
                    "is to hold the service's key; set it"
                )
                raise InputError(msg)
            digest = bytes.fromhex(each.sha256)
            if digest in known:
                msg = f"{path}: keys.{place}.sha256: the same key is there twice; leave one out"
                raise InputError(msg)
            signed_up = each.signed_up
            if signed_up is not None and signed_up.tzinfo is None:
                signed_up = signed_up.replace(tzinfo=UTC)
            known[digest] = Account(
                account=hashes.account(each.account),
                key=hashes.of("key", each.sha256, 16),
                organisation=_hashed(hashes, "organisation", each.organisation, 16),
                payment=_hashed(hashes, "payment", each.payment, 8),
                signed_up=signed_up,
                upstream=secret,
            )
        return cls(known)

    def who(self, headers: Mapping[str, str], peer: str, address: str) -> Account:  # noqa: ARG002
        """See :class:`Directory`."""
        header, text = key_in(headers)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        stored, account = self._known.get(digest[:8], (b"", None))
        if not hmac.compare_digest(digest, stored) or account is None or not text:
            raise RefusedError(
                401,
                "invalid_api_key",
                "No key that is known here came with the request. Give it as a bearer token in "
                "Authorization, or in x-api-key.",
            )
        return Account(
            account.account,
            account.key,
            account.organisation,
            account.payment,
            account.signed_up,
            account.upstream,
            header,
        )


class ByHeader:
    """Accounts that a trusted front names."""

    def __init__(self, header: str, organisation: str, networks: Networks, hashes: Hashes) -> None:
        self._header, self._organisation = header, organisation
        self._networks, self._hashes = networks, hashes

    def who(self, headers: Mapping[str, str], peer: str, address: str) -> Account:  # noqa: ARG002
        """See :class:`Directory`."""
        name = headers.get(self._header, "").strip()
        if not name or peer not in self._networks:
            raise RefusedError(
                401,
                "unknown_account",
                "The request does not come from a front that may say whose it is, or does not say "
                "so. Ask by the service's public address.",
            )
        organisation = headers.get(self._organisation, "") if self._organisation else ""
        _, key = key_in(headers)
        return Account(
            self._hashes.account(name),
            _hashed(self._hashes, "key", _sha256(key), 16) if key else None,
            _hashed(self._hashes, "organisation", organisation.strip(), 16),
        )


class PassedOn:
    """Accounts that are their keys, which go to the service as they came."""

    def __init__(self, nameless: str, hashes: Hashes) -> None:
        self._nameless, self._hashes = nameless, hashes

    def who(self, headers: Mapping[str, str], peer: str, address: str) -> Account:
        """See :class:`Directory`."""
        _, key = key_in(headers)
        if key:
            digest = _sha256(key)
            return Account(self._hashes.account(digest), self._hashes.of("key", digest, 16))
        if self._nameless == "refuse":
            raise RefusedError(
                401,
                "no_api_key",
                "The request has no key. Give it as a bearer token in Authorization, or in "
                "x-api-key.",
            )
        return Account(self._hashes.account(f"address {address or peer}"))


class Networks:
    """Networks that addresses may be in."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(each) for each in networks]

    def __contains__(self, address: object) -> bool:
        if not self._networks:
            return False
        try:
            ip = ipaddress.ip_address(str(address).split("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in each for each in self._networks)

    def client(self, peer: str, forwarded: str) -> str:
        """Return the client's address: the last one in X-Forwarded-For that no trusted front has.

        Whoever is not trusted could write anything there, so it is read from the end, and only
        behind a trusted front.
        """
        if not forwarded or peer not in self:
            return peer
        found = peer
        for part in reversed(forwarded.split(",")[-_HOPS:]):
            text = part.strip()
            try:
                ipaddress.ip_address(text.strip("[]").split("%")[0])
            except ValueError:
                return found
            found = text.strip("[]")
            if found not in self:
                return found
        return found


def directory_of(settings: WhoSettings, hashes: Hashes) -> Directory:
    """Return what the settings say: keys, a header, or what is passed on.

    Raises:
        InputError: if a file of keys cannot be read.
    """
    if settings.keys is not None:
        return ByKeys.read(settings.keys, hashes)
    if settings.header:
        networks = Networks(settings.trusted)
        return ByHeader(settings.header, settings.organisation_header, networks, hashes)
    return PassedOn(settings.nameless, hashes)


def _sha256(key: str) -> str:
    """Return the digest by which LiteLLM's logs, too, name a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _hashed(hashes: Hashes, domain: str, text: str, size: int) -> bytes | None:
    return hashes.of(domain, text, size) if text else None
