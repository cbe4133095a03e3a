"""Checkpoints of a training: one file, whole or not at all, from which it goes on to the bit.

What a step changes is in it: weights, optimiser, generators of random numbers. What is chosen once
(how it computes, how many threads) is written before the first step, and holds for every resume,
whatever the machine would choose by then.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.parsing import read_json
from mashbill.core.store import write_atomically
from mashbill.train.durable import keep, kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mashbill.core.curves import Curves

_FILE = "checkpoint.pt"
_CHOSEN = "chosen.json"
_EVERY = 20.0
"""seconds between two at least: what a kill costs at most, beside the step at hand"""
_SHARE = 20.0
"""times that a checkpoint's own cost passes between two: it takes 5% at most"""


def chosen(work: Path, choose: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was chosen before the first step, choosing it if there was none yet.

    Args:
        work: scratch of the stage.
        choose: gives it, as JSON.
    """
    path = work / _CHOSEN
    if not path.exists():
        write_atomically(path, json.dumps(choose(), sort_keys=True).encode())
    found: dict[str, Any] = read_json(path)
    return found


@dataclass
class Checkpoint:
    """See the module."""

    work: Path
    """scratch of the stage"""
    curves: Curves
    """what was logged before a checkpoint lasts at least as long"""
    _last: float = 0.0
    _cost: float = 0.0

    def __post_init__(self) -> None:
        """Begin the clock."""
        self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether one should be made now. It changes no bit of what is trained."""
        return time.monotonic() - self._last >= max(_EVERY, _SHARE * self._cost)

    def save(self, state: dict[str, Any]) -> None:
        """Make one: on the disk before it has its name."""
        began = time.monotonic()
        self.curves.sync()
        keep(self.work / _FILE, state)
        self._last = time.monotonic()
        self._cost = self._last - began

    def load(self) -> dict[str, Any] | None:
        """Return the last one; None if there is none, or a machine that stopped tore it."""
        return kept(self.work / _FILE)
