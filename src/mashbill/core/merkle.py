"""Merkle trees as RFC 6962 section 2.1 defines them, and proofs that a leaf is in one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mashbill.core.errors import AuditError

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
        level = _above(level)
    return level[0].hex()


class Growing:
    """The root over leaf hashes that come one after another: the roots of its full subtrees."""

    def __init__(self) -> None:
        self.size = 0
        self._full: list[tuple[int, bytes]] = []

    def add(self, leaf_hash: bytes) -> None:
        """Take the next leaf hash (32 bytes)."""
        self.size += 1
        leaves, found = 1, leaf_hash
        while self._full and self._full[-1][0] == leaves:
            _, left = self._full.pop()
            leaves, found = 2 * leaves, _join(left, found)
        self._full.append((leaves, found))

    def root(self) -> str:
        """Return the root over what came so far: that of :func:`root` over the same leaves."""
        if not self._full:
            return root(())
        found = self._full[-1][1]
        for _, left in reversed(self._full[:-1]):
            found = _join(left, found)
        return found.hex()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _above(level: list[bytes]) -> list[bytes]:
    paired = [_join(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        paired.append(level[-1])
    return paired


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of one leaf (RFC 6962 section 2.1.1), from the leaf up.

    Args:
        leaves: leaf hashes.
        index: which leaf, from 0.

    Raises:
        IndexError: if there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        msg = f"leaf {index} of a tree of {len(leaves)}"
        raise IndexError(msg)
    siblings = []
    level = list(leaves)
    while len(level) > 1:
        # An odd last one has no sibling: it stands one level higher already.
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        level = _above(level)
        index //= 2
    return siblings


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Return the proof that a tree goes on from its first ``old`` leaves (RFC 6962, 2.1.2).

    Args:
        leaves: leaf hashes of the whole tree.
        old: how many there were before, at most as many as there are.

    Raises:
        IndexError: if there were more.
    """
    if not 0 <= old <= len(leaves):
        msg = f"{old} leaves of a tree of {len(leaves)}"
        raise IndexError(msg)
    if old in {0, len(leaves)}:
        return []
    found = []
    low, high, left, is_whole = 0, len(leaves), old, True
    while left != high - low:
        half = 1 << (high - low - 1).bit_length() - 1
        if left <= half:
            found.append(leaves[low + half : high])
            high = low + half
        else:
            found.append(leaves[low : low + half])
            low, left, is_whole = low + half, left - half, False
    if not is_whole:
        found.append(leaves[low:high])
    return [bytes.fromhex(root(part)) for part in reversed(found)]


def root_from_path(leaf_hash: bytes, index: int, size: int, siblings: Sequence[bytes]) -> str:
    """Return the root, in hexadecimal, that a leaf and its audit path lead to.

    Whoever compares it with a root that is trusted knows that the leaf is in that tree, at that
    place: RFC 9162 section 2.1.3.2, which also holds for the trees of RFC 6962.

    Args:
        leaf_hash: of the leaf (32 bytes).
        index: its place, from 0.
        size: leaves in the tree.
        siblings: the path, from the leaf up.

    Raises:
        AuditError: if a path of this length cannot belong to this place in a tree of this size.
    """
    if not 0 <= index < size:
        msg = f"there is no leaf {index} in a tree of {size}"
        raise AuditError(msg)
    place, last, found = index, size - 1, leaf_hash
    for sibling in siblings:
        if last == 0:
            msg = f"the path of leaf {index} is longer than a tree of {size} leaves is high"
            raise AuditError(msg)
        if place % 2 or place == last:
            found = _join(sibling, found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = _join(found, sibling)
        place, last = place // 2, last // 2
    if last:
        msg = f"the path of leaf {index} is too short for a tree of {size} leaves"
        raise AuditError(msg)
    return found.hex()
