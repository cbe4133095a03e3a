"""What a run was to cost, what it does cost, and what its caps leave."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.client.budget import Caps
from mashbill.core.plain import counted
from mashbill.teachers.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Spent:
    """What services were paid: answered calls, tokens, US dollars."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, calls: int, tokens: int, usd: float) -> None:
        """Add what was answered."""
        self.calls += calls
        self.tokens += tokens
        self.usd += usd

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {**asdict(self), "usd": round(self.usd, 9)}

    def told(self, *, is_priced: bool = True) -> str:
        """Say it; where not every price is known, say so."""
        usd = f"${self.usd:.4f}"
        if not is_priced:
            usd = f"{usd} and what has no known price" if self.usd else "no price known"
        return f"{counted(self.calls, 'call')}, {counted(self.tokens, 'token')}, {usd}"


@dataclass
class Spend:
    """The books of one run about services; teachers that run here are not in them."""

    caps: Caps = field(default_factory=Caps)
    before: Spent = field(default_factory=Spent)
    """what earlier runs of the recipe spent in this store: caps count it too"""
    projected: dict[str, Projection] = field(default_factory=dict)
    """by stage, of those that ask services in this run"""
    spent: dict[str, Spent] = field(default_factory=dict)
    """by stage, in this run"""

    def begin(self, caps: Caps, before: Mapping[str, Any]) -> None:
        """Take caps, and what was spent before."""
        self.caps, self.before = caps, Spent(**before)

    def paid(self, stage: str, calls: int, tokens: int, usd: float) -> None:
        """Add what a service answered to a stage."""
        self.spent.setdefault(stage, Spent()).add(calls, tokens, usd)

    @property
    def total(self) -> Spent:
        """What this run spent."""
        return sum(list(self.spent.values()), Spent())

    @property
    def all_projected(self) -> Projection:
        """What the stages together were to cost."""
        return sum(self.projected.values(), Projection())

    @property
    def is_priced(self) -> bool:
        """Whether the price of every teacher is known."""
        return not self.all_projected.unpriced

    def left(self) -> str:
        """Say the caps and what they leave; empty if there are none."""
        gone, caps = self.before + self.total, self.caps
        told = []
        if caps.usd is not None:
            told.append(f"${max(caps.usd - gone.usd, 0):.4f} of ${caps.usd:.4f}")
        if caps.tokens is not None:
            told.append(f"{max(caps.tokens - gone.tokens, 0):,} of {caps.tokens:,} tokens")
        if caps.calls is not None:
            told.append(f"{max(caps.calls - gone.calls, 0):,} of {caps.calls:,} calls")
        return f"{' and '.join(told)} left" if told else ""

    def running(self) -> str:
        """Say what the run came to so far, and what is left."""
        parts = [self.total.told(is_priced=self.is_priced), self.left()]
        return "; ".join(part for part in parts if part)

    def lines(self) -> list[str]:
        """Hold what was projected against what was spent: a line a stage, and the sum."""
        if not self.projected:
            return []
        lines = ["Services: what was projected (less what the journal holds), and what was spent"]
        for name, projection in self.projected.items():
            spent = self.spent.get(name, Spent()).told(is_priced=not projection.unpriced)
            lines.append(f"  {name}: {projection.calls}, {projection.price}; spent {spent}")
        total, projected = self.total.told(is_priced=self.is_priced), self.all_projected
        lines.append(f"  in all: {projected.calls}, {projected.price}; spent {total}")
        if self.before.calls:
            before = self.before.told()
            lines.append(f"  earlier runs of this recipe in this store: spent {before}")
        if self.left():
            lines.append(f"  caps, over all of these runs: {self.left()}")
        return lines

    def as_json(self) -> dict[str, Any] | None:
        """Return it for a program; None if no service was to be asked."""
        if not self.projected:
            return None
        return {
            "projected": self.all_projected.as_json(),
            "spent": self.total.as_json(),
            "spent_before": self.before.as_json(),
            "caps": asdict(self.caps),
        }

    def stage_json(self, stage: str) -> dict[str, Any]:
        """Return a stage's part: absent keys would be read as nothing spent."""
        projection, spent = self.projected.get(stage), self.spent.get(stage, Spent())
        return {
            "projected": projection.as_json() if projection is not None else None,
            "spent": spent.as_json(),
        }
