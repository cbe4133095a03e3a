"""From what a log says in plain words to a row of events: hashed, sketched, within bounds.

Each kind of value is hashed in a domain of its own name (``key``, ``organisation``, ``payment``,
``address``, ``agent``, ``blob``; accounts and networks by :class:`mashbill.conduct.events.Hashes`),
so that a log, a gateway and a list of bans that name the same thing have the same hash of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.conduct import sketching
from mashbill.conduct.events import SCHEMA
from mashbill.conduct.scored import read_of, scores_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.scored import Scorer

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}", re.ASCII)
_CACHED = 50_000  # hashes of a kind that are kept
_NAMES = 100  # unknown keys that are told by name


@dataclass(slots=True)
class Seen:
    """An exchange, a sign-up or a ban in the log's own words; see :mod:`mashbill.conduct.events`.

    ``time`` and ``signed_up`` are microseconds since 1970, UTC.
    """

    id: str
    time: int
    account: str
    kind: str = "exchange"
    key: str | None = None
    organisation: str | None = None
    model: str | None = None
    endpoint: str | None = None
    status: int | None = None
    retry_after: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    payment: str | None = None
    address: str | None = None
    agent: str | None = None
    signed_up: int | None = None
    system: str = ""
    text: str = ""
    blobs_in: Sequence[str] | None = None
    blobs_out: Sequence[str] | None = None
    reasoning: bool | None = None
    declared: bytes | None = None


Sketched = dict[str, Any]
"""A row of events that was hashed and sketched by its writer: column -> value; times as above."""


@dataclass
class Notes:
    """What was met in a log beside its rows."""

    unknown: Counter[str] = field(default_factory=Counter)
    """keys that say nothing to us -> how often they were there"""
    left_out: Counter[str] = field(default_factory=Counter)
    """what a row says in a way that cannot be read, and goes without -> how often"""
    passed: int = 0
    """what is no row and need not be one: blank lines, spans of other things"""

    def strange(self, keys: set[str]) -> None:
        """Count keys that are not known."""
        for key in keys:
            name = key[:60]
            if name not in self.unknown and len(self.unknown) >= _NAMES:
                name = "(others)"
            self.unknown[name] += 1


def plain_address(text: str) -> str:
    """Return an address in the one form in which it is hashed.

    Of several, as proxies add them (``X-Forwarded-For``), it is the first; brackets, a port behind
    an IPv4 address and a zone are left out, and IPv4 within IPv6 is IPv4.
    """
    if _IPV4.fullmatch(text):
        return text
    bare = text.split(",", maxsplit=1)[0].strip()
    if bare.startswith("["):
        bare = bare[1:].split("]")[0]
    elif bare.count(":") == 1:
        bare = bare.split(":")[0]
    try:
        ip = ipaddress.ip_address(bare.split("%")[0])
    except ValueError:
        return bare.casefold()
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)


class Columns:
    """Rows on their way into a batch of :data:`mashbill.conduct.events.SCHEMA`."""

    def __init__(self, hashes: Hashes, scorer: Scorer | None = None) -> None:
        """Hash by a key, and score texts if there is a scorer."""
        self._hashes, self._scorer = hashes, scorer
        self._rows: list[tuple[Any, ...]] = []
        self._texts: list[str] = []
        self._kept: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._texts)

    def hashed(self, domain: str, text: str | None, size: int) -> bytes | None:
        """Return the hash of a value, or None where there is none."""
        if not text:
            return None
        found: bytes = self._known(domain, text, lambda: self._hashes.of(domain, text, size))
        return found

    def _known(self, domain: str, text: str, make: Callable[[], Any]) -> Any:
        kept = self._kept.setdefault(domain, {})
        found = kept.get(text, kept)
        if found is kept:
            if len(kept) >= _CACHED:
                kept.clear()
            found = kept[text] = make()
        return found

    def _address(self, text: str) -> tuple[bytes, bytes | None]:
        plain = plain_address(text)
        hashes = self._hashes
        if _IPV4.fullmatch(plain):  # the same as hashes.network, at a fifth of its time
            network: bytes | None = hashes.of("network", f"{plain.rpartition('.')[0]}.0/24", 8)
        else:
            network = hashes.network(plain)
        return hashes.of("address", plain, 8), network

    def add(self, seen: Seen) -> None:
        """Add a row, hashed and sketched here."""
        hashes, hashed = self._hashes, self.hashed
        system, item, skeleton = None, None, None
        if seen.system or seen.text:
            made = sketching.sketch(seen.system, seen.text, hashes)
            system, item, skeleton = made.system, made.item, made.skeleton
        address, network = None, None
        if text := seen.address:
            address, network = self._known("address", text, lambda: self._address(text))
        self._rows.append(
            (
                seen.id, seen.time, seen.kind, hashed("account", seen.account, 16),
                hashed("key", seen.key, 16), hashed("organisation", seen.organisation, 16),
                seen.model, seen.endpoint, seen.status, seen.retry_after, seen.tokens_in,
                seen.tokens_out, hashed("payment", seen.payment, 8), address, network,
                hashed("agent", seen.agent, 8), seen.signed_up, system, item, skeleton, None, None,
                self._blobs(seen.blobs_in), self._blobs(seen.blobs_out), seen.reasoning,
                seen.declared,
            )
        )  # fmt: skip
        self._texts.append(read_of(seen.system, seen.text) if self._scorer else "")

    def add_sketched(self, row: Sketched) -> None:
        """Add a row that its writer has hashed and sketched by the same key."""
        self._rows.append(tuple(row.get(name) for name in SCHEMA.names))
        self._texts.append("")

    def _blobs(self, blobs: Sequence[str] | None) -> list[bytes] | None:
        if blobs is None:
            return None
        return [self._hashes.of("blob", blob, 8) for blob in blobs]

    def batch(self) -> pa.RecordBatch:
        """Return the rows, and begin anew."""
        rows, texts = self._rows, self._texts
        self._rows, self._texts = [], []
        every = zip(*rows, strict=True) if rows else [[]] * len(SCHEMA)
        columns: dict[str, Sequence[Any]] = dict(zip(SCHEMA.names, every, strict=True))
        if self._scorer is not None:
            found = scores_of(self._scorer, texts)
            for name, scores in zip(("jailbreak", "extraction"), found, strict=True):
                columns[name] = [
                    given if score is None else score
                    for score, given in zip(scores, columns[name], strict=True)
                ]
        arrays = [pa.array(columns[each.name], each.type) for each in SCHEMA]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
