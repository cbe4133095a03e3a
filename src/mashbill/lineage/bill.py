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
from typing import Any

import numpy as np

from mashbill.core.source import Channel, Source
from mashbill.lineage.circuit import DATASET, Circuit, ragged
from mashbill.lineage.evaluate import REACHABLE, allowed, evaluate, touched
from mashbill.lineage.nodes import NodeTable
from mashbill.lineage.reach import SETS, channel_mask, owed_at_root, reach
from mashbill.lineage.words import share_text

SUBSTANCE = (Channel.CONTENT, Channel.LOGITS, Channel.WEIGHTS, Channel.TRANSFORM)
"""channels through which text or weights come, so that a part of them can be owed to a source"""
_CHANNELS = tuple(Channel)


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
    key = found.key[entries] | channel_mask(circuit.label[at])[member]
    own = slice(found.start[circuit.root], found.start[circuit.root + 1])
    depth_of = dict(zip(found.key[own].tolist(), found.depth[own].tolist(), strict=True))
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
        rows = int(records[members].sum())
        lines.append(
            Line(
                source=circuit.source(int(sources[number // SETS])),
                channels=_named(number % SETS),
                share=share,
                records=rows if circuit.type[circuit.root] == DATASET else None,
                depth=depth_of[number],
                owed=owed.get(number // SETS, (0.0, 0.0)),
            )
        )
    return sorted(
        lines,
        key=lambda line: (
            line.source.what, line.depth, -line.share[1], line.source.title, line.channels,
        ),
    )  # fmt: skip


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
    """part of the tokens in records none of whose origins is unknown, lowest and highest"""
    unknown: tuple[Source, ...]
    """the origins that are not recorded"""

    def __str__(self) -> str:
        """Say it in a sentence."""
        return f"{share_text(self.recorded)} of tokens have a recorded origin"


def coverage(circuit: Circuit) -> Coverage:
    """Return how much of an artifact has a recorded origin, through all its channels."""
    unknown = circuit.matching(lambda source: source.what == "unknown")
    every = allowed(tuple(Channel))
    reached = evaluate(circuit, REACHABLE, unknown, np.ones(circuit.size, bool))
    shares = touched(circuit, reached, every)
    low, high = float(shares.low[circuit.root]), float(shares.high[circuit.root])
    sources = tuple(circuit.source(node) for node in np.flatnonzero(unknown).tolist())
    return Coverage((1 - high, 1 - low), sources)
