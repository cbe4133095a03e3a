"""Where and how a plan is run, and what became of each of its stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.client.budget import Caps
from mashbill.core.cache import default_cache
from mashbill.core.threads import usable_cores
from mashbill.run.display import Display, Quiet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.reasons import Counted
    from mashbill.run.tracking import Target


@dataclass(frozen=True)
class Execution:
    """Where and how to run. Nothing here bears identity."""

    cache: Path = field(default_factory=default_cache)
    threads: int = field(default_factory=usable_cores)
    display: Display = field(default_factory=Quiet)
    caps: Caps = field(default_factory=Caps)
    """what may be spent on services"""
    earlier_terms: bool = False
    """whether answers bought under other versions of the terms are taken"""
    go_on_rejected: bool = False
    """whether to buy on where what comes back at first is rejected, or cut off"""
    workers: int = 1
    """processes that do slices; no result depends on it"""
    only: frozenset[str] | None = None
    """stages that are made, with all that they rest on; None for all of the plan"""
    processes: int = 1
    """processes that train a model together, where its trainer can"""
    track: tuple[Target, ...] = ()
    """trackers that are told what trainers measure"""


@dataclass(frozen=True)
class Done:
    """What became of one stage."""

    name: str
    manifest: Manifest
    was_cached: bool = False
    seconds: float = 0.0
    calls: int = 0
    """teacher calls bought now"""
    tokens: int = 0
    """tokens of those calls"""
    usd: float = 0.0
    """what they cost"""
    training: Mapping[str, Any] = field(default_factory=dict)
    """of a model that was trained now: steps, seconds, tokens and tokens a second, by the clock"""
    rejected: tuple[Counted, ...] = ()
    """why its rows were rejected, by kind of reason, the commonest first"""
