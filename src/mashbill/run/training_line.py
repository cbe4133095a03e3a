"""What a line tells of a training that goes on: loss, held-out loss, tokens a second, time left."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.core.curves import RECENT

if TYPE_CHECKING:
    from collections.abc import Mapping

_WINDOW = 30.0  # seconds that the rates told are of


@dataclass
class TrainingLine:
    """The last numbers that a trainer logged."""

    _losses: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _last: dict[str, float] = field(default_factory=dict)
    _window: deque[tuple[float, int, float]] = field(default_factory=deque)
    """(when, step, tokens so far), of the last half minute"""

    @property
    def is_there(self) -> bool:
        """Whether anything was logged."""
        return bool(self._window)

    def see(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take a line of the curves."""
        if "loss" in numbers:
            self._losses.append(numbers["loss"])
        self._last |= numbers
        now, before = time.monotonic(), self._window[-1] if self._window else None
        tokens = numbers.get("tokens", 0.0)
        tokens = tokens if math.isfinite(tokens) else 0.0
        if before is not None and before[1] == step:
            self._window[-1] = (now, step, before[2] + tokens)
        else:
            # What the first step took is not known, so its tokens only begin the count.
            self._window.append((now, step, before[2] + tokens if before else 0.0))
        while len(self._window) > 2 and now - self._window[1][0] > _WINDOW:
            self._window.popleft()

    def left(self, done: int, total: int) -> float | None:
        """Return the seconds that are left, at the pace of the last half minute; None at first."""
        rate = self._rate(1)
        return max(total - done, 0) / rate if rate else None

    @property
    def steps_a_second(self) -> float | None:
        """None until two steps were logged."""
        return self._rate(1)

    def told(self) -> str:
        """Return it in words; empty where nothing was logged."""
        parts = []
        if self._losses:
            parts.append(f"loss {sum(self._losses) / len(self._losses):.4g}")
        if "held_out_loss" in self._last:
            parts.append(f"held-out loss {self._last['held_out_loss']:.4g}")
        if not parts:  # whatever else it measures: the first of it
            other = next((n for n in self._last if n not in {"tokens", "rate"}), "")
            parts += [f"{other} {self._last[other]:.4g}"] if other else []
        tokens = self._last.get("tokens_per_second") or self._rate(2)
        if tokens:
            parts.append(f"{tokens:,.0f} tokens/s")
        return ", ".join(parts)

    def _rate(self, at: int) -> float | None:
        if len(self._window) < 2:
            return None
        first, last = self._window[0], self._window[-1]
        seconds = last[0] - first[0]
        return (last[at] - first[at]) / seconds if seconds > 0 and last[at] > first[at] else None
