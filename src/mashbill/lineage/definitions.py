"""Definitions: named, versioned tests over a lineage, written as data, and their verdicts.

A verdict says "yes", with the path that decides, or "none recorded", with what is unknown. It
never says that something is clean.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mashbill.core.errors import InputError
from mashbill.core.source import Channel, Source, SourceKind
from mashbill.lineage.bill import is_model, source_of
from mashbill.lineage.nodes import NodeTable, children, parts_first

if TYPE_CHECKING:
    from collections.abc import Iterable

SHIPPED = ("A", "B", "C")


class Definition(BaseModel):
    """When an artifact counts as distilled from a source."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """short name"""
    version: str
    """raised whenever the meaning changes"""
    title: str
    """a few words"""
    text: str
    """the meaning, in a sentence"""
    channels: tuple[Channel, ...]
    """channels that count; every step of a path must use one of them"""
    max_hops: int | None = Field(default=None, ge=1)
    """models on the path, the source included; unlimited if absent"""
    closed: tuple[SourceKind, ...] = ("closed-api",)
    """kinds of source that count as closed"""


@dataclass(frozen=True)
class Step:
    """One step of a path: what was reached, and through which channel."""

    channel: Channel
    what: str


@dataclass(frozen=True)
class Verdict:
    """What a definition concludes about an artifact."""

    definition: Definition
    asked: Literal["closed", "any"]
    """which sources were asked about: closed models, or any model"""
    conclusion: Literal["yes", "none recorded"]
    depth: int | None
    """fewest hops to such a source"""
    path: tuple[Step, ...]
    """from the artifact to the source that decides"""
    sources: tuple[Source, ...]
    """all such sources that the definition reaches"""
    unknown: tuple[str, ...]
    """what could change the conclusion and is not recorded"""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for a program."""
        return {
            "definition": self.definition.name,
            "version": self.definition.version,
            "asked": self.asked,
            "conclusion": self.conclusion,
            "depth": self.depth,
            "path": [{"channel": s.channel.value, "what": s.what} for s in self.path],
            "sources": [source.model_dump(mode="json") for source in self.sources],
            "unknown": list(self.unknown),
        }


def load_definitions(names: Iterable[str] = SHIPPED) -> list[Definition]:
    """Return definitions by shipped name, or by the path of a TOML file of one's own.

    Raises:
        InputError: if there is none of that name, or a file is not one.
    """
    found = []
    for name in names:
        if name.upper() in SHIPPED:
            file = resources.files(__package__) / "definitions" / f"{name.upper()}.toml"
            text = file.read_text("utf-8")
        elif Path(name).is_file():
            text = Path(name).read_text("utf-8")
        else:
            shipped = ", ".join(SHIPPED)
            msg = f"definition {name!r} is neither one of {shipped} nor a TOML file that is there"
            raise InputError(msg)
        try:
            found.append(Definition.model_validate(tomllib.loads(text)))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            msg = f"definition {name}: {error}"
            raise InputError(msg) from error
    return found


def judge(
    definition: Definition, table: NodeTable, root: str | None = None, *, asked: str = "closed"
) -> Verdict:
    """Return what a definition concludes about an artifact.

    Args:
        definition: the test.
        table: the artifact's node table.
        root: its node; the table's if None.
        asked: "closed", sources that the definition calls closed; "any", every model source.
    """
    root = root or table.root
    best = _nearest(definition, table, root)
    matching, unrecorded = [], []
    for name, depth in best[root].items():
        source = source_of(table.bodies[name])
        if source.what != "model":
            continue
        if asked == "any" or source.kind in definition.closed:
            matching.append((depth, source.title, source, name))
        deeper = definition.max_hops is None or depth < definition.max_hops
        if deeper and source.kind != "test-double":
            unrecorded.append(f"{source.title}: what it was trained on is not recorded here")
    matching.sort(key=lambda item: item[:2])
    nearest = matching[0][3] if matching else None
    return Verdict(
        definition=definition,
        asked="any" if asked == "any" else "closed",
        conclusion="yes" if matching else "none recorded",
        depth=matching[0][0] if matching else None,
        path=_path(definition, table, root, nearest, best) if nearest else (),
        sources=tuple(source for _, _, source, _ in matching),
        unknown=tuple(sorted(unrecorded)),
    )


def judge_all(table: NodeTable, names: Iterable[str] = SHIPPED) -> list[tuple[Verdict, Verdict]]:
    """Return each definition's verdicts about an artifact: on closed models, and on any model."""
    return [
        (judge(definition, table), judge(definition, table, asked="any"))
        for definition in load_definitions(names)
    ]


def _nearest(definition: Definition, table: NodeTable, root: str) -> dict[str, dict[str, int]]:
    """Return, for every node, the fewest hops to each source over channels that count."""
    best: dict[str, dict[str, int]] = {}
    for name in parts_first(table, root):
        body = table.bodies[name]
        depths: dict[str, int] = {name: 1} if body["type"] == "source" else {}
        for channel, part in children(body):
            if channel not in definition.channels:
                continue
            hop = 1 if is_model(table.bodies[part]) else 0
            for source, depth in best[part].items():
                more = depth + hop
                if definition.max_hops is None or more <= definition.max_hops:
                    depths[source] = min(depths.get(source, more), more)
        best[name] = depths
    return best


def _path(
    definition: Definition,
    table: NodeTable,
    root: str,
    source: str,
    best: dict[str, dict[str, int]],
) -> tuple[Step, ...]:
    """Walk down a shortest path; steps within records are told only by the channel they add."""
    steps: list[Step] = []
    channel = Channel.CONTENT
    name, left = root, best[root][source]
    while name != source:
        for via, part in children(table.bodies[name]):
            hop = 1 if is_model(table.bodies[part]) else 0
            if via in definition.channels and best[part].get(source) == left - hop:
                channel = via if via is not Channel.CONTENT else channel
                name, left = part, left - hop
                break
        body = table.bodies[name]
        if is_model(body):
            steps.append(Step(channel, body["artifact"]))
            channel = Channel.CONTENT
        elif body["type"] == "source":
            leaf = source_of(body)
            steps.append(Step(channel, f"{leaf.title} ({leaf.route})"))
    return tuple(steps)
