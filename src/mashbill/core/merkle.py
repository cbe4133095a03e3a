"""Merkle trees as RFC 6962 section 2.1 defines them, over record digests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def leaf(data: bytes) -> bytes:
    """Return the leaf hash of one record's canonical bytes (32 bytes)."""
    return hashlib.sha256(b"\x00" + data).digest()


def root(leaves: Sequence[bytes]) -> str:
    """Return the root over leaf hashes, in hexadecimal; of none, the hash of nothing.

    RFC 6962 splits at the largest power of two below the count; pairing level by level and
    passing an odd last one up gives the same tree, without recursion.
    """
    if not leaves:
        return hashlib.sha256(b"").hexdigest()
    level = list(leaves)
    while len(level) > 1:
        paired = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
            for i in range(0, len(level) - 1, 2)
        ]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0].hex()
