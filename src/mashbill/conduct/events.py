"""What a log of model calls says, a row each: what any detector of abuse may see.

An event is an exchange (somebody asked, something was answered or refused), a sign-up, or a ban.
Rows hold no prompt. Who asked, from where and with what are keyed hashes (:class:`Hashes`), and of
a prompt there are its digest, its skeleton and its scores (:mod:`mashbill.conduct.sketching`), so
that a log without texts serves as one with them does, where its writer made the same sketches.

An *account* is whoever a limit, a bill or a ban is for: several keys of one account are one
principal, and so is an organisation whose keys share its limits. ``organisation`` joins accounts
that say openly that they belong together.

Bytes are of the lengths given here; a null says that the log does not tell. Columns:

``id``            the log's own name of the exchange, unique in it
``time``          when it was asked, UTC, microseconds
``kind``          ``exchange``, ``signup`` or ``ban``
``account``       16 bytes; never null
``key``           16 bytes, of the API key
``organisation``  16 bytes
``model``         that was asked for, as the log writes it
``endpoint``      ``chat``, ``completions``, ``responses``, ``messages``, ``embeddings``, ``other``
``status``        of HTTP; 0 where the log says only that it failed
``retry_after``   seconds that a refusal asked to wait
``tokens_in``, ``tokens_out``
``payment``       8 bytes, of what pays: a card's token, an invoice's number
``address``       8 bytes, of the network address
``network``       8 bytes, of its block: /24 of IPv4, /48 of IPv6
``agent``         8 bytes, of the User-Agent, or of a fingerprint of the connection
``signed_up``     when the account was opened
``system``        8 bytes, of the system prompt, normalised
``item``          8 bytes, of the last user turn, normalised
``skeleton``      hashes of runs of words, a sample that all logs with one key draw alike, ascending
``jailbreak``, ``extraction``   log10 odds that the prompt is one, from the shipped model of texts
``blobs_in``      8 bytes each, of opaque reasoning blobs that the request presents
``blobs_out``     8 bytes each, of those that the answer brought
``reasoning``     whether reasoning was asked for by a documented parameter
``declared``      32 bytes, the digest of a signed statement of a run that the client sent
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from typing import TYPE_CHECKING

import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.parsing import check_regular
from mashbill.core.secret_file import make_once

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("exchange", "signup", "ban")
ENDPOINTS = ("chat", "completions", "responses", "messages", "embeddings", "other")

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("account", pa.binary(16), nullable=False),
        pa.field("key", pa.binary(16)),
        pa.field("organisation", pa.binary(16)),
        pa.field("model", pa.string()),
        pa.field("endpoint", pa.string()),
        pa.field("status", pa.int16()),
        pa.field("retry_after", pa.float32()),
        pa.field("tokens_in", pa.int32()),
        pa.field("tokens_out", pa.int32()),
        pa.field("payment", pa.binary(8)),
        pa.field("address", pa.binary(8)),
        pa.field("network", pa.binary(8)),
        pa.field("agent", pa.binary(8)),
        pa.field("signed_up", pa.timestamp("us", "UTC")),
        pa.field("system", pa.binary(8)),
        pa.field("item", pa.binary(8)),
        pa.field("skeleton", pa.list_(pa.uint32())),
        pa.field("jailbreak", pa.float32()),
        pa.field("extraction", pa.float32()),
        pa.field("blobs_in", pa.list_(pa.binary(8))),
        pa.field("blobs_out", pa.list_(pa.binary(8))),
        pa.field("reasoning", pa.bool_()),
        pa.field("declared", pa.binary(32)),
    ]
)
"""of a batch of events"""

_KEY_BYTES = 32


class Hashes:
    """Keyed hashes of what must not stand in a case: accounts, keys, addresses, prompts.

    The key belongs to whoever keeps the log. Two logs hashed with one key can be joined, and a
    third party who re-derives a finding is given the hashes, or the log and the key. Each kind of
    value has a domain of its own, so that equal texts of two kinds are not equal hashes.
    """

    def __init__(self, key: bytes) -> None:
        """Hash by this key of 32 bytes."""
        if len(key) != _KEY_BYTES:
            msg = f"a key of hashes has {_KEY_BYTES} bytes, and this one has {len(key)}"
            raise InputError(msg)
        self._key = key
        self.seed = int.from_bytes(hashlib.blake2b(b"skeleton", key=key, digest_size=8).digest())
        """of the skeleton's hashes, which are many and are not hashed one by one"""

    @property
    def written(self) -> str:
        """The key as its file has it: whoever reads it can look guessed texts up."""
        return self._key.hex()

    @property
    def keyid(self) -> str:
        """What names the key, and does not tell it."""
        return hashlib.blake2b(b"keyid", key=self._key, digest_size=8).hexdigest()

    def of(self, domain: str, text: str, size: int) -> bytes:
        """Return the hash of a value of one kind, in so many bytes."""
        return hashlib.blake2b(
            domain.encode() + b"\x00" + text.encode("utf-8", "surrogatepass"),
            key=self._key,
            digest_size=size,
        ).digest()

    def account(self, text: str) -> bytes:
        """Return an account's hash."""
        return self.of("account", text, 16)

    def network(self, address: str) -> bytes | None:
        """Return the hash of an address's block, or None where it is no network address."""
        try:
            ip = ipaddress.ip_address(address.strip("[]").split("%")[0])
        except ValueError:
            return None
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        size = 24 if ip.version == 4 else 48
        block = ipaddress.ip_network((ip, size), strict=False)
        return self.of("network", str(block), 8)

    def row(self, name: str) -> str:
        """Return what a finding calls a row of the log."""
        return self.of("row", name, 8).hex()


def key_of(path: Path, *, make: bool = True) -> Hashes:
    """Return the hashes of the key in a file, made on first use.

    Raises:
        InputError: if the file is no such key, or there is none and none may be made.
    """
    if not path.exists():
        if not make:
            msg = f"{path} is not there; it has the key by which accounts and prompts are hashed"
            raise InputError(msg)
        # another process may win; its key is as good
        make_once(path, f"{os.urandom(_KEY_BYTES).hex()}\n".encode())
    check_regular(path, error=InputError)
    text = path.read_text(errors="replace").strip() if path.stat().st_size < 1024 else ""
    try:
        return Hashes(bytes.fromhex(text))
    except ValueError as error:
        msg = f"{path} is not a key of hashes; it has {2 * _KEY_BYTES} hexadecimal digits in a line"
        raise InputError(msg) from error


def batch_of(rows: list[dict[str, object]]) -> pa.RecordBatch:
    """Return rows as a batch of :data:`SCHEMA`; what a row does not name is null."""
    return pa.RecordBatch.from_pylist(rows, SCHEMA)
