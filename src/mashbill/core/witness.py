"""Witnesses: others who saw a checkpoint and say since when (c2sp.org/tlog-cosignature).

A witness signs a checkpoint only if it goes on from the last one that it saw of that ledger, so
whoever trusts a witness's key knows that the ledger was not shown in two versions. The key comes as
a verifier key of a signed note (c2sp.org/signed-note): ``NAME+8 hexadecimal digits+base64``.
Ed25519 cosignatures (``cosignature/v1``) are read; others are passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from mashbill.core.checkpoint import Checkpoint

_COSIGNATURE = b"\x04"
_BYTES = 4 + 8 + 64  # key ID, time, signature


@dataclass(frozen=True)
class WitnessKey:
    """A witness's name and Ed25519 public key (32 bytes)."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """Read a verifier key.

        Raises:
            InputError: if it is none, or not one of an Ed25519 witness.
        """
        name, _, rest = text.strip().partition("+")
        told, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raw = b""
        key = cls(name, raw[1:])
        if not name or raw[:1] != _COSIGNATURE or len(raw) != 33 or told != key.key_id.hex():
            msg = (
                f"{text[:80]!r} is no key of a witness: NAME+8 hexadecimal digits+base64 of an "
                "Ed25519 cosigner's key (c2sp.org/tlog-cosignature)"
            )
            raise InputError(msg)
        return key

    @property
    def key_id(self) -> bytes:
        """What its signature lines begin with (4 bytes)."""
        return hashlib.sha256(self.name.encode() + b"\n" + _COSIGNATURE + self.public).digest()[:4]

    def __str__(self) -> str:
        """Write it as :meth:`parse` reads it."""
        encoded = base64.b64encode(_COSIGNATURE + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def message(text: str, at: int) -> bytes:
    """Return what a witness signs: a checkpoint's text, at a time in seconds since the epoch."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def seen_at(note: Checkpoint, key: WitnessKey) -> int | None:
    """Return when a witness signed a checkpoint, in seconds since the epoch; None if it did not."""
    for name, raw in note.signatures:
        if name != key.name or raw[:4] != key.key_id or len(raw) != _BYTES:
            continue
        at = int.from_bytes(raw[4:12], "big")
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(raw[12:], message(note.text, at))
        except (InvalidSignature, ValueError):
            continue
        return at if 0 < at < 2**63 else None
    return None
