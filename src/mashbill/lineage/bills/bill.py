"""The bill: which sources, through which channels, at which share and depth.

Two shares stand side by side, both intervals of tokens. *Touched*: the part that sits in records
which the source reached, by whatever route the line names; such shares overlap. *Proportional*:
the part that is owed to the source when every mixture on the way is split by its weights; a record
made of several parts owes each between nothing and all of itself, as that is not recorded. Depth
counts models from the artifact to the source: 1 is direct.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.source import Channel, Source
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.circuit.arrays import DATASET, Circuit
from mashbill.lineage.circuit.levels import ragged
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.reach import (
    SETS,
    WRITTEN,
    Reach,
    by_weights_alone,
    channel_mask,
    owed_at_root,
    reach,
)
from mashbill.lineage.circuit.semirings import REACHABLE, allowed, evaluate, touched
from mashbill.lineage.circuit.unrecorded import (
    is_unsaid,
    not_recorded,
    unknown_origin,
    unrecorded_making,
)

if TYPE_CHECKING:
    from collections.abc import Collection

SUBSTANCE = (Channel.CONTENT, Channel.LOGITS, Channel.WEIGHTS, Channel.TRANSFORM)
"""channels through which text or weights come, so that a part of them can be owed to a source"""
_CHANNELS = tuple(Channel)
_TOLD = 8  # things not recorded that are named to people


@dataclass(frozen=True)
class Line:
    """One line of a bill."""

    source: Source
    channels: tuple[Channel, ...]
    """channels on the way; ``content`` only if there is no other"""
    share: tuple[float, float]
    """touched: of tokens, 0 to 1, lowest and highest"""
    records: int | None
    """records reached, for a dataset; None for a model"""
    depth: int
    """models from the artifact to the source; 1 is direct"""
    owed: tuple[float, float] = (0.0, 1.0)
    """proportional: of tokens, for the source over all its routes of substance"""
    is_base: bool = False
    """whether this line is of weights that the artifact is built on, from model to model, and not
    only of text by a model that is: both are told as ``weights``"""

    def as_json(self) -> dict[str, Any]:
        """Return the line for a program."""
        return {
            "source": self.source.model_dump(mode="json"),
            "channels": [channel.value for channel in self.channels],
            "share": list(self.share),
            "proportional": list(self.owed),
            "records": self.records,
            "depth": self.depth,
        }


@dataclass(frozen=True)
class Summary:
    """Lines of one source at one depth and share, for people: routes side by side."""

    line: Line
    routes: tuple[str, ...]


def summarised(lines: list[Line]) -> list[Summary]:
    """Return lines with those that differ only in their channels told once."""
    groups: dict[tuple[Source, int, tuple[float, float]], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.source, line.depth, line.share), []).append(line)
    return [
        Summary(group[0], tuple(" + ".join(line.channels) for line in group))
        for group in groups.values()
    ]


def bill(of: NodeTable | Circuit, root: str | None = None) -> list[Line]:
    """Return the bill of an artifact, most direct and largest first.

    Args:
        of: its node table, or its circuit.
        root: digest of its node in a table; the table's own if None.
    """
    if isinstance(of, NodeTable) and root is not None:
        of = NodeTable(of.bodies, of.numbered, of.records, of.tokens, root)
    circuit = Circuit.of(of) if isinstance(of, NodeTable) else of
    found = reach(circuit)
    first, last = circuit.start[circuit.root], circuit.start[circuit.root + 1]
    at = np.arange(first, last)
    tokens = circuit.tokens[first:last]
    records = circuit.records[first:last]
    to = circuit.to[first:last]
    entries = ragged(found.start[to], found.start[to + 1])
    member = np.repeat(np.arange(len(at)), found.start[to + 1] - found.start[to])
    key = (found.key[entries] | channel_mask(circuit, at)[member]) & ~WRITTEN
    depth_of = _depths(circuit, found)
    built_on = by_weights_alone(circuit)
    pairs = np.unique(np.stack([key, member]), axis=1)
    weights = np.nan_to_num(tokens)
    total = float(weights.sum())
    blank = np.isnan(tokens)
    sources = circuit.sources()
    owed = owed_at_root(circuit, allowed(SUBSTANCE))
    lines = []
    bounds = [*np.flatnonzero(np.diff(pairs[0], prepend=-1)).tolist(), pairs.shape[1]]
    for begin, end in pairwise(bounds):
        number = int(pairs[0][begin])
        members = pairs[1][begin:end]
        share = _interval(weights, blank, total, members)
        channels, node = _named(number % SETS), int(sources[number // SETS])
        rows = int(records[members].sum())
        lines.append(
            Line(
                source=circuit.source(node),
                channels=channels,
                share=share,
                records=rows if circuit.type[circuit.root] == DATASET else None,
                depth=depth_of[number],
                owed=owed.get(number // SETS, (0.0, 0.0)),
                is_base=channels == (Channel.WEIGHTS,) and bool(built_on[node]),
            )
        )
    return sorted(
        lines,
        key=lambda line: (
            line.source.what, line.depth, -line.share[1], line.source.title, line.channels,
        ),
    )  # fmt: skip


def _depths(circuit: Circuit, found: Reach) -> dict[int, int]:
    """Return the least depth of each source by each set of channels, of the root."""
    own = slice(found.start[circuit.root], found.start[circuit.root + 1])
    depths: dict[int, int] = {}
    for key, depth in zip(found.key[own].tolist(), found.depth[own].tolist(), strict=True):
        told = key & ~WRITTEN
        depths[told] = min(depth, depths.get(told, depth))
    return depths


def _named(channels: int) -> tuple[Channel, ...]:
    names = sorted(channel for bit, channel in enumerate(_CHANNELS[1:]) if channels >> bit & 1)
    return tuple(names) or (Channel.CONTENT,)


def _interval(
    weights: np.ndarray, blank: np.ndarray, total: float, members: np.ndarray
) -> tuple[float, float]:
    """Return the touched share of these members; one of unknown weight may be nothing or all."""
    share = float(weights[members].sum()) / total if total else 0.0
    blanks = int(blank.sum())
    mine = int(blank[members].sum())
    if not blanks:
        return (share, share) if total else (0.0, 1.0)
    low = 0.0 if mine < blanks else share if total else 1.0
    high = 1.0 if mine else share
    return low, high


@dataclass(frozen=True)
class Coverage:
    """How much of an artifact has a recorded origin."""

    recorded: tuple[float, float]
    """part of the tokens in records whose origins are all recorded down to where lineage ends,
    lowest and highest: what is behind a source of unrecorded making, and what no claim about a
    public thing speaks of, may be anything"""
    unknown: tuple[Source, ...]
    """the origins that are not recorded"""
    named: tuple[float, float] = (0.0, 1.0)
    """part of the tokens in records none of whose origins is unknown, whatever is recorded of how
    those came about, lowest and highest: neither end is below that of ``recorded``"""
    unmade: tuple[Source, ...] = ()
    """named sources whose own making is not recorded"""
    words: str = ""
    """files of whose words nobody says who wrote them, by which teachers were asked"""

    def __str__(self) -> str:
        """Say it in a sentence."""
        text = f"{share_text(self.recorded)} of tokens have a recorded origin"
        if self.recorded == self.named:
            return text
        return f"{text} all the way back, and {share_text(self.named)} a named one"

    @property
    def not_recorded(self) -> tuple[str, ...]:
        """Say what is not recorded, of a long list the first and how many more there are."""
        said = (f"who wrote {self.words}",) if self.words else ()
        told = tuple(dict.fromkeys([*said, *map(not_recorded, (*self.unknown, *self.unmade))]))
        more = len(told) - _TOLD
        return told if more < 2 else (*told[:_TOLD], f"{more:,} things more")

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "coverage": list(self.recorded),
            "named": list(self.named),
            "unknown_sources": [source.model_dump(mode="json") for source in self.unknown],
            "making_not_recorded": [source.model_dump(mode="json") for source in self.unmade],
        }


def coverage(circuit: Circuit, asked: Collection[str] = ()) -> Coverage:
    """Return how much of an artifact has a recorded origin, through all its channels.

    A public thing of which no claim tells the making has [0, 1]: nothing speaks for either end. So
    has what only the rest of a public thing is in, as nobody says that there is any, and what was
    asked for in words of which nobody says whose they are.

    Args:
        circuit: the artifact's.
        asked: digests of what was asked for in such words.
    """
    every = allowed(tuple(Channel))

    def reached(by: np.ndarray) -> tuple[float, float]:
        nodes = evaluate(circuit, REACHABLE, by, np.ones(circuit.size, bool))
        shares = touched(circuit, nodes, every)
        return float(shares.low[circuit.root]), float(shares.high[circuit.root])

    unknown, unmade = unknown_origin(circuit), unrecorded_making(circuit)
    by_words = np.zeros(circuit.size, bool)
    if asked:
        by_words[:] = [circuit.digest(node) in asked for node in range(circuit.size)]
    high = reached(unknown | by_words)[1]
    low = reached(unknown & ~circuit.matching(is_unsaid))[0]  # a rest may be nothing
    named = recorded = 1 - high, 1 - low
    if unmade.any():
        recorded = 1 - reached(unknown | unmade | by_words)[1], 1 - low
    if unmade[circuit.root]:
        named = (0.0, 1.0)
    return Coverage(recorded, _sources_at(circuit, unknown), named, _sources_at(circuit, unmade))


def _sources_at(circuit: Circuit, which: np.ndarray) -> tuple[Source, ...]:
    return tuple(dict.fromkeys(circuit.source(node) for node in np.flatnonzero(which).tolist()))
