"""What a scan and a gateway have in common: events in, and what is held of an account now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

Tier = Literal["none", "note", "review", "act"]
Kind = Literal["J", "X", "I", "L"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What is held of an account: never volume, never a score of one prompt."""

    tier: Tier = "none"
    kinds: tuple[Kind, ...] = ()
    """of the findings in that tier"""
    cases: tuple[str, ...] = ()
    """their ids"""


class Engine(Protocol):
    """Takes events, and says what is held of an account."""

    def observe(self, batch: pa.RecordBatch) -> None:
        """Take events of :data:`mashbill.conduct.events.SCHEMA`; soon, and not at once."""

    def advice(self, account: bytes) -> Advice:
        """Return what is held of an account, from memory."""
