"""Hard caps in money, tokens and calls.

Before a request is sent, the most that it can cost is reserved: every byte of it a token read, and
as many tokens written as it may. When it is answered, the reservation gives way to what it did
cost. So what answered calls cost never goes over a cap, as long as a provider bills no more tokens
than bytes were sent and ``max_tokens`` allows, and the price is right; near the end a run has fewer
requests in flight instead. Not counted, though a provider may bill it: attempts that timed out,
broke off or could not be read, and what was in flight when a run was killed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mashbill.core.errors import BudgetError, InputError


@dataclass(frozen=True)
class Caps:
    """What a recipe may spend in a store, over all of its runs; None is no cap."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        """Refuse a cap that no sum ever goes over.

        Raises:
            InputError: if the cap in US dollars is NaN.
        """
        if self.usd is not None and math.isnan(self.usd):
            msg = "the cap in US dollars is NaN, which nothing goes over; give an amount, or no cap"
            raise InputError(msg)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(cap is not None for cap in (self.usd, self.tokens, self.calls))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs, or may cost at most: US dollars, and tokens read and written."""

    usd: float = 0.0
    tokens: int = 0


@dataclass
class Budget:
    """The caps, what was spent, and what is reserved by requests in flight."""

    caps: Caps = field(default_factory=Caps)
    usd: float = 0.0
    """spent, by earlier runs of the recipe in this store too"""
    tokens: int = 0
    calls: int = 0
    _usd_held: float = 0.0
    _tokens_held: int = 0
    _calls_held: int = 0

    def reserve(self, most: Cost) -> bool:
        """Set the most that a call can cost aside; False if it might go over a cap."""
        caps = self.caps
        if (
            (caps.calls is not None and self.calls + self._calls_held + 1 > caps.calls)
            or (
                caps.tokens is not None
                and self.tokens + self._tokens_held + most.tokens > caps.tokens
            )
            # A millionth of a cent of rounding is not going over.
            or (caps.usd is not None and self.usd + self._usd_held + most.usd > caps.usd + 1e-8)
        ):
            return False
        self.hold(most)
        return True

    def hold(self, most: Cost) -> None:
        """Set the most that a call can cost aside, whatever the caps."""
        self._calls_held += 1
        self._tokens_held += most.tokens
        self._usd_held += most.usd

    def settle(self, most: Cost, spent: Cost) -> None:
        """Put what a call did cost in the place of what was set aside for it."""
        self.release(most)
        self.calls += 1
        self.tokens += spent.tokens
        self.usd += spent.usd

    def release(self, most: Cost) -> None:
        """Give back what was set aside for a call that was not answered."""
        self._calls_held -= 1
        self._tokens_held -= most.tokens
        self._usd_held -= most.usd

    @property
    def in_flight(self) -> int:
        """Calls that something is set aside for."""
        return self._calls_held

    def reached(self, most: Cost, left: int) -> BudgetError:
        """Say which cap is in the way of a call, and what to do."""
        caps, told = self.caps, []
        if caps.calls is not None and self.calls + 1 > caps.calls:
            told.append(f"{self.calls:,} of {caps.calls:,} calls (--max-calls)")
        if caps.tokens is not None and self.tokens + most.tokens > caps.tokens:
            told.append(f"{self.tokens:,} of {caps.tokens:,} tokens (--max-tokens)")
        if caps.usd is not None and self.usd + most.usd > caps.usd:
            told.append(f"${self.usd:.4f} of ${caps.usd:.4f} (--max-usd)")
        return BudgetError(
            f"the budget is reached: {'; '.join(told)}; the next call may cost up to "
            f"${most.usd:.4f} and {most.tokens:,} tokens. {left:,} requests wait, and what follows "
            "from their answers comes on top. What was bought is in the journal: raise the cap and "
            "run the same command again"
        )
