"""What each stage took: time, calls, tokens, money, as the ledger has it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@dataclass(frozen=True)
class Cost:
    """What one stage took, or several together."""

    name: str
    kind: str
    """of the stage"""
    seconds: float | None
    """None where no entry says it"""
    calls: int
    """of teachers"""
    tokens: int
    """of these calls, asked and answered"""
    usd: float

    @property
    def time(self) -> str:
        """The time, for people."""
        return "not recorded" if self.seconds is None else duration(self.seconds)


def costs_of(store: Store, manifests: Iterable[Manifest]) -> tuple[Cost, ...]:
    """Return what each of these artifacts took, in the order in which they were committed.

    What a run did before it was killed is not in the time: only what the last one did is.
    """
    wanted = {str(manifest.ref): manifest for manifest in manifests}
    return tuple(
        Cost(
            name,
            str(wanted[name].stage.get("kind", "")),
            _seconds(entry.predicate.get("seconds")),
            _whole(entry.predicate.get("calls")),
            _whole(entry.predicate.get("tokens")),
            _seconds(entry.predicate.get("usd")) or 0.0,
        )
        for name, entry in store.committed().items()
        if name in wanted
    )


def together(costs: Sequence[Cost]) -> Cost:
    """Return the sum of costs; its time is none where no stage's is recorded."""
    known = [one.seconds for one in costs if one.seconds is not None]
    return Cost(
        "together",
        "",
        sum(known) if known else None,
        sum(one.calls for one in costs),
        sum(one.tokens for one in costs),
        sum(one.usd for one in costs),
    )


def duration(seconds: float) -> str:
    """Return a time for people, in the two largest units that it has."""
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    units = [
        (whole // _DAY, "d"),
        (whole % _DAY // _HOUR, "h"),
        (whole % _HOUR // _MINUTE, "min"),
        (whole % _MINUTE, "s"),
    ]
    first = next(at for at, (count, _) in enumerate(units) if count)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count)


def money(usd: float) -> str:
    """Return dollars for people; what was paid never reads as nothing."""
    return "under $0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) and value >= 0 else None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
