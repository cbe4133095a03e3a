"""A finding before it is a case: who, which of J, X, I, L, and what each signal adds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mashbill.conduct.evidence.tiers import tier_of

if TYPE_CHECKING:
    from mashbill.conduct.scan.engine import Kind, Tier


class Link(NamedTuple):
    """What two accounts have in common, or who followed whom."""

    one: bytes
    other: bytes
    why: str
    strength: float
    value: bytes | None = None
    """hash of what they share, where they share a value"""


@dataclass(frozen=True)
class Sign:
    """What one signal adds."""

    signal: str
    log10_e: float
    plain: str
    """a sentence that an account may be shown"""
    null: str
    """what honest traffic does, which it was held against"""
    statistic: dict[str, float] = field(default_factory=dict)
    limit: float | None = None
    rows: tuple[str, ...] = ()
    rows_in_all: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Weighed:
    """Evidence about an account or a cluster."""

    kind: Kind
    accounts: tuple[bytes, ...]
    """ascending"""
    signs: tuple[Sign, ...]
    links: tuple[Link, ...] = ()
    about: str = ""
    """what was asked of them, where there is more than one question of this kind"""

    @property
    def log10_e(self) -> float:
        """Return the e-value of all signs."""
        return sum(sign.log10_e for sign in self.signs)

    @property
    def tier(self) -> Tier:
        """Return what it is worth."""
        return tier_of(self.log10_e)

    @property
    def name(self) -> str:
        """Return what stays the same while a cluster grows: its kind and its first account."""
        asked = f"{self.kind} {self.about}".rstrip().encode()
        return hashlib.sha256(asked + b"\x00" + self.accounts[0]).hexdigest()[:16]
