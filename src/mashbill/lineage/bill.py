"""The bill: which sources, through which channels, at which share and depth.

A share is *touched*: the part of the tokens that sit in records which the source reached, by
whatever route the line names. It is an interval; both ends are equal where all weights are known.
Depth counts models from the artifact to the source: 1 is direct.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.source import Channel, Source
from mashbill.lineage.nodes import Body, NodeTable, children, parts_first

if TYPE_CHECKING:
    from collections.abc import Mapping

Reach = tuple[str, frozenset[Channel]]
"""(digest of a source, the channels other than content on the way)"""

_DIRECT = frozenset[Channel]()


@dataclass(frozen=True)
class Line:
    """One line of a bill."""

    source: Source
    channels: tuple[Channel, ...]
    """channels on the way; ``content`` only if there is no other"""
    share: tuple[float, float]
    """of tokens, 0 to 1, lowest and highest"""
    records: int | None
    """records reached, for a dataset; None for a model"""
    depth: int
    """models from the artifact to the source; 1 is direct"""

    def as_json(self) -> dict[str, Any]:
        """Return the line for a program."""
        return {
            "source": self.source.model_dump(mode="json"),
            "channels": [channel.value for channel in self.channels],
            "share": list(self.share),
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


def source_of(body: Body) -> Source:
    """Return the source that a leaf is."""
    return Source.model_validate({key: body[key] for key in body if key != "type"})


def is_model(body: Body) -> bool:
    """Return whether a node is a model: crossing it is a hop."""
    return bool(body["type"] == "model")


def reach(table: NodeTable, root: str) -> dict[str, dict[Reach, int]]:
    """Return, for every node under ``root``, what it rests on and at which depth.

    Depth counts models strictly between, plus one. One pass, parts first; the number of entries a
    node is bounded by sources times sets of channels.
    """
    found: dict[str, dict[Reach, int]] = {}
    for name in parts_first(table, root):
        body = table.bodies[name]
        if body["type"] == "source":
            found[name] = {(name, _DIRECT): 1}
            continue
        entries: dict[Reach, int] = {}
        for channel, part in children(body):
            hop = 1 if is_model(table.bodies[part]) else 0
            extra = _DIRECT if channel is Channel.CONTENT else frozenset({channel})
            for (source, channels), depth in found[part].items():
                key = (source, channels | extra)
                entries[key] = min(entries.get(key, depth + hop), depth + hop)
        found[name] = entries
    return found


def members(body: Body) -> list[tuple[str, frozenset[Channel], int, int | None]]:
    """Return (node, channels, tokens, records) of what an artifact's node sums over."""
    if body["type"] == "dataset":
        return [(node, _DIRECT, tokens, records) for node, records, tokens in body["members"]]
    return [
        (
            node,
            _DIRECT if channel == Channel.CONTENT else frozenset({Channel(channel)}),
            tokens,
            None,
        )
        for channel, node, tokens in body["members"]
    ]


def bill(table: NodeTable, root: str | None = None) -> list[Line]:
    """Return the bill of an artifact, most direct and largest first.

    Args:
        table: its node table.
        root: its node; the table's if None.
    """
    root = root or table.root
    body = table.bodies[root]
    found = reach(table, root)
    total = sum(tokens for _, _, tokens, _ in members(body))
    tokens_of: dict[Reach, int] = {}
    records_of: dict[Reach, int] = {}
    depth_of: Mapping[Reach, int] = found[root]
    for node, extra, tokens, records in members(body):
        for source, channels in found[node]:
            key = (source, channels | extra)
            tokens_of[key] = tokens_of.get(key, 0) + tokens
            records_of[key] = records_of.get(key, 0) + (records or 0)
    lines = []
    for key, tokens in tokens_of.items():
        share = tokens / total if total else 0.0
        lines.append(
            Line(
                source=source_of(table.bodies[key[0]]),
                channels=tuple(sorted(key[1])) or (Channel.CONTENT,),
                share=(share, share) if total else (0.0, 1.0),
                records=records_of[key] if body["type"] == "dataset" else None,
                depth=depth_of[key],
            )
        )
    return sorted(
        lines, key=lambda line: (line.source.what, line.depth, -line.share[1], line.source.title,
                                 line.channels)
    )  # fmt: skip
