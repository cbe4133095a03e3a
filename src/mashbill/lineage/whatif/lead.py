"""Lead times: how long it takes to make something anew, by what has to be done and how large it is.

The figures are data (``lead_times.toml``), each with what its maker states, where, and what is
assumed. Where a size is not recorded, the time is an interval over all sizes.
"""

from __future__ import annotations

import calendar
import math
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mashbill.core.source import Channel
from mashbill.lineage.whatif.roles import CHANNELS

if TYPE_CHECKING:
    from mashbill.lineage.whatif.things import Things

Step = Literal["data", "adapt", "scratch"]
STEPS: dict[Step, str] = {
    "data": "data written or labelled again",
    "adapt": "training on weights that are there",
    "scratch": "training from scratch",
}
"""what has to be done; which, follows from whether a thing is data, or has a base"""

_HOURS = 24 * 365.25 / 12
_BASE = np.uint8(1 << CHANNELS.index(Channel.WEIGHTS))


class Row(BaseModel):
    """How long one step takes up to a size."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    step: Step
    """what has to be done"""
    below: float = math.inf
    """parameters of the models that it holds for: fewer than these"""
    gpu_hours: float = Field(default=0, ge=0)
    """GPU hours of the computing, as its maker states them"""
    gpus: int = Field(default=1, ge=1)
    """GPUs that are taken to be at hand"""
    prepare_months: float = Field(ge=0)
    """months of everything else"""
    source: str = ""
    """where its maker states the hours"""
    states: str = ""
    """what is stated there, in our own words"""
    assumption: str
    """what is assumed"""

    @property
    def months(self) -> int:
        """Months in all, rounded up."""
        return math.ceil(self.gpu_hours / self.gpus / _HOURS + self.prepare_months)


@dataclass(frozen=True)
class LeadTimes:
    """Rows of every step, the smallest size first."""

    rows: dict[Step, tuple[Row, ...]]
    fixed: int | None = None
    """months that every step takes, if somebody has said so; rows then do not count"""

    def months_of(
        self, things: Things, used: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how many months each node takes by itself, from and to, float32, shape (n,).

        Args:
            things: a circuit with facts.
            used: uint8, shape (n,): roles in which each is served; one with a base is adapted.
            wanted: bool, shape (n,): nodes about which it is asked; others take none.
        """
        size = things.circuit.size
        if self.fixed is not None:
            both = np.where(wanted, np.float32(self.fixed), np.float32(0))
            return both, both
        nodes = np.flatnonzero(wanted)
        parameters = things.measured.parameters[nodes]
        low, high = np.zeros(size, np.float32), np.zeros(size, np.float32)
        step = np.where(used[nodes] & _BASE > 0, 1, 2)
        step[~things.circuit.is_model()[nodes]] = 0
        for place, name in enumerate(STEPS):
            rows = self.rows[name]
            months = np.array([row.months for row in rows], np.float32)
            edges = np.array([row.below for row in rows[:-1]])
            mine = step == place
            at = np.searchsorted(edges, parameters[mine], side="right")
            known = ~np.isnan(parameters[mine])
            low[nodes[mine]] = np.where(known, months[at], months.min())
            high[nodes[mine]] = np.where(known, months[at], months.max())
        return low, high


@cache
def shipped() -> LeadTimes:
    """Return the lead times that come with the package."""
    text = (resources.files(__package__) / "lead_times.toml").read_text("utf-8")
    rows = [Row.model_validate(row) for row in tomllib.loads(text)["row"]]
    return LeadTimes(
        {
            step: tuple(sorted((row for row in rows if row.step == step), key=lambda r: r.below))
            for step in STEPS
        }
    )


def every_step(months: int) -> LeadTimes:
    """Return lead times in which every step takes so long."""
    return LeadTimes(shipped().rows, months)


def after(start: date, months: int) -> date | None:
    """Return the day so many months later, or the last of that month; None beyond the calendar."""
    month = start.month - 1 + months
    year, month = start.year + month // 12, month % 12 + 1
    if year > date.max.year:
        return None
    return date(year, month, min(start.day, calendar.monthrange(year, month)[1]))
