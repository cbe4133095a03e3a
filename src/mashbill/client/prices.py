"""What calls cost, by the price table of genai-prices, as of a day.

The table's own function costs a fifth of a millisecond a call. Where a model's prices are plain
rates, which most are, they are read once and multiplied; where they have tiers, each call is put to
the table, once for each distinct count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from mashbill.core.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Counts = tuple[int, int, int, int]
"""tokens read (cached ones included), written, read from cache, written to cache"""


@dataclass(frozen=True)
class Price:
    """US dollars for tokens of one model at one service; ``known`` is False where no table has it.

    What is not known costs nothing here, and a cap in money is then refused beforehand.
    """

    known: bool
    table: str
    """the table and its version"""
    _of: Callable[[Counts], float] = field(repr=False)
    factor: float = 1.0
    """0.5 where a batch endpoint halves the price"""

    def of(self, read: int, written: int, cached: int = 0, cache_written: int = 0) -> float:
        """Return what a call cost, in US dollars."""
        # Some services count what they read from a cache beside what they read, not within it.
        cached = min(cached, read)
        cache_written = min(cache_written, read - cached)
        return self._of((read, written, cached, cache_written)) * self.factor


FREE = Price(known=True, table="own machine", _of=lambda _counts: 0.0)
"""for a model that runs on machines of one's own"""


def price_of(provider: str, model: str, day: datetime, factor: float = 1.0) -> Price:
    """Return the prices of a model.

    Args:
        provider: as genai-prices names it; empty if it has none.
        model: as the provider names it.
        day: the time whose prices count.
        factor: what prices are multiplied by.

    Raises:
        MissingExtraError: if genai-prices is not installed.
    """
    with needs("the price of calls", "api"):
        from genai_prices import Usage, calc_price
    table = f"genai-prices {version('genai-prices')}"

    def exact(counts: Counts) -> float:
        read, written, cached, cache_written = counts
        usage = Usage(
            input_tokens=read,
            output_tokens=written,
            cache_read_tokens=cached,
            cache_write_tokens=cache_written,
        )
        result = calc_price(usage, model, provider_id=provider, genai_request_timestamp=day)
        return float(result.total_price)

    if not provider:
        return Price(known=False, table=table, _of=lambda _counts: 0.0)
    try:
        calculated = calc_price(
            Usage(input_tokens=1), model, provider_id=provider, genai_request_timestamp=day
        )
    except LookupError:
        return Price(known=False, table=table, _of=lambda _counts: 0.0)
    prices = calculated.model_price
    rates = [
        getattr(prices, name, None)
        for name in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
    ]
    if not all(isinstance(rate, Decimal) for rate in rates[:2]) or any(
        rate is not None and not isinstance(rate, Decimal) for rate in rates
    ):
        return Price(known=True, table=table, _of=lru_cache(65536)(exact), factor=factor)
    reading, writing = float(rates[0] or 0), float(rates[1] or 0)
    from_cache = reading if rates[2] is None else float(rates[2])
    to_cache = reading if rates[3] is None else float(rates[3])

    def linear(counts: Counts) -> float:
        read, written, cached, cache_written = counts
        plain = read - cached - cache_written
        total = plain * reading + cached * from_cache + cache_written * to_cache
        return (total + written * writing) / 1e6

    return Price(known=True, table=table, _of=linear, factor=factor)
