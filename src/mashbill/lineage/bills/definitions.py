"""Definitions: named, versioned tests over a lineage, written as data, and their verdicts.

A verdict says "yes", with the path that decides, or "none recorded", with what is unknown. It
never says that something is clean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mashbill.core.errors import InputError
from mashbill.core.source import Channel, Purpose, Source, SourceKind
from mashbill.core.toml_file import read_toml
from mashbill.lineage.circuit.arrays import SOURCE, Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.semirings import (
    FAR,
    FEWEST_HOPS,
    allowed,
    evaluate,
    proportional,
    touched,
    ways_only,
)
from mashbill.lineage.circuit.unrecorded import (
    is_unknown,
    is_unsaid,
    no_kind,
    no_origin,
    not_recorded,
    wants_making,
)
from mashbill.lineage.circuit.witness import Step, Witness, witnesses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHIPPED = ("A", "B", "C", "EU-2.5", "HR8283")

Conclusion = Literal[
    "yes",
    "none recorded",
    "below its least share",
    "not decided by the shares recorded",
    "depends on whether verifiers count",
    "cannot be decided from lineage",
]


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
    leaves_out: tuple[Purpose, ...] = ()
    """purposes that do not count: cleaning, enriching"""
    verifiers: Literal["count", "do not count", "open"] = "count"
    """whether checking if an output is right counts; open: both readings, told if they differ"""
    least_share: float = Field(default=0.0, ge=0, le=1)
    """part of the tokens below which it does not count"""
    share: Literal["touched", "proportional"] = "touched"
    """which share least_share is about"""
    needs: tuple[str, ...] = ()
    """facts that it asks for and no lineage holds; with any, it cannot be decided here"""

    @property
    def most_hops(self) -> int:
        """``max_hops`` as a number: what is further than this does not count."""
        return int(FAR) - 1 if self.max_hops is None else self.max_hops

    def counts(self, *, verifiers: bool) -> np.ndarray:
        """Return which edge labels count, bool, shape (labels,)."""
        out = {*self.leaves_out, *(() if verifiers else (Purpose.VERIFYING,))}
        return allowed(self.channels, out)


@dataclass(frozen=True)
class Verdict:
    """What a definition concludes about an artifact."""

    definition: Definition
    asked: Literal["closed", "any"]
    """which sources were asked about: closed models, or any model"""
    conclusion: Conclusion
    depth: int | None
    """fewest hops to such a source"""
    path: tuple[Step, ...]
    """from the artifact to the source that decides"""
    sources: tuple[Source, ...]
    """all such sources that the definition reaches"""
    unknown: tuple[str, ...]
    """what could change the conclusion and is not recorded"""
    share: tuple[float, float] = (0.0, 0.0)
    """of tokens, that such sources reached (or are owed, if the definition says so)"""
    others: tuple[tuple[Step, ...], ...] = ()
    """further paths, each no shorter than the one that decides"""
    lineage_part: str = ""
    """for a definition that needs other facts: what it would conclude by lineage alone"""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for a program."""
        return {
            "definition": self.definition.name,
            "version": self.definition.version,
            "asked": self.asked,
            "conclusion": self.conclusion,
            "depth": self.depth,
            "share": list(self.share),
            "path": _path_json(self.path),
            "other_paths": [_path_json(path) for path in self.others],
            "sources": [source.model_dump(mode="json") for source in self.sources],
            "unknown": list(self.unknown),
            "needs": list(self.definition.needs),
            "lineage_part": self.lineage_part,
        }


def _path_json(path: tuple[Step, ...]) -> list[dict[str, str]]:
    return [{"channel": step.channel.value, "what": step.what} for step in path]


def is_definition(name: str) -> bool:
    """Return whether a name is that of a shipped definition, or of a TOML file that is there."""
    return name.upper() in SHIPPED or (name.endswith(".toml") and Path(name).is_file())


def load_definitions(names: Iterable[str] = SHIPPED) -> list[Definition]:
    """Return definitions by shipped name, or by the path of a TOML file of one's own.

    Raises:
        InputError: if there is none of that name, or a file is not one.
    """
    found = []
    for name in names:
        if name.upper() in SHIPPED:
            found.append(_shipped(name.upper()))
        elif Path(name).is_file():
            found.append(read_toml(Path(name), Definition)[1])
        else:
            shipped = ", ".join(SHIPPED)
            msg = f"definition {name!r} is neither one of {shipped} nor a TOML file that is there"
            raise InputError(msg)
    return found


@cache
def _shipped(name: str) -> Definition:
    """Return a shipped definition, read once: every artifact is judged by all of them."""
    return read_toml(resources.files(__package__) / "definitions" / f"{name}.toml", Definition)[1]


@dataclass(frozen=True)
class Decided:
    """A definition over a whole circuit, each shape (n,)."""

    hops: np.ndarray
    """int32: fewest hops from a node to a source that matches, 0 at the source; FAR if none"""
    counts: np.ndarray
    """bool, shape (labels,): the labels that count"""
    reached: np.ndarray
    """bool: within the definition's hops of one, or one itself"""


def decide(
    circuit: Circuit,
    definition: Definition,
    matched: np.ndarray,
    hop: np.ndarray,
    *,
    verifiers: bool = True,
) -> Decided:
    """Return, for every node at once, how near a definition finds such a source.

    Args:
        circuit: the graph.
        definition: the test.
        matched: bool, shape (n,): the sources in question.
        hop: int32, shape (n,): 1 at models, leaf or not; what reaching a node costs.
        verifiers: whether checking counts.
    """
    counts = definition.counts(verifiers=verifiers)
    own = np.where(matched, np.int32(0), FAR)
    hops = evaluate(circuit, FEWEST_HOPS, own, hop, counts)
    most = definition.most_hops
    return Decided(hops, counts, hops <= most)


def judge(
    definition: Definition,
    of: NodeTable | Circuit,
    root: str | None = None,
    *,
    asked: Literal["closed", "any"] = "closed",
    paths: int = 1,
) -> Verdict:
    """Return what a definition concludes about an artifact.

    Args:
        definition: the test.
        of: the artifact's node table, or its circuit.
        root: digest of its node in a table; the table's own if None.
        asked: "closed", sources that the definition calls closed; "any", every model source.
        paths: how many paths to tell, where there are as many.
    """
    if isinstance(of, NodeTable):
        at = NodeTable(of.bodies, of.numbered, of.records, of.tokens, root) if root else of
        of = Circuit.of(at)
    found = _judge(definition, of, asked, paths, verifiers=definition.verifiers != "do not count")
    if definition.verifiers == "open":
        other = _judge(definition, of, asked, paths, verifiers=False)
        if other.conclusion != found.conclusion:
            changed = "depends on whether verifiers count"
            found = Verdict(**{**vars(found), "conclusion": changed})
    if definition.needs:
        found = Verdict(
            **{
                **vars(found),
                "conclusion": "cannot be decided from lineage",
                "lineage_part": found.conclusion,
                "unknown": (*found.unknown, *(f"{n}: not in lineage" for n in definition.needs)),
            }
        )
    return found


def _judge(
    definition: Definition,
    circuit: Circuit,
    asked: Literal["closed", "any"],
    paths: int,
    *,
    verifiers: bool,
) -> Verdict:
    hop = circuit.is_model().astype(np.int32)
    matched = circuit.matching(_test(definition, asked))
    decided = decide(circuit, definition, matched, hop, verifiers=verifiers)
    root, counts = circuit.root, decided.counts
    depth = int(ways_only(circuit, FEWEST_HOPS, root, decided.hops, hop, counts))
    most = definition.most_hops
    reached = depth <= most
    told: list[Witness] = []
    if reached:
        told = witnesses(circuit, matched, decided.hops, hop, counts, paths)
        told = [witness for witness in told if witness.hops <= most]
    share = _share(definition, circuit, matched, decided, hop) if reached else (0.0, 0.0)
    from_root = _hops_from_root(circuit, hop, counts)
    within = [n for n in np.flatnonzero(matched).tolist() if n != root and from_root[n] <= most]
    return Verdict(
        definition=definition,
        asked=asked,
        conclusion=_conclusion(definition, share) if reached else "none recorded",
        depth=depth if reached else None,
        path=told[0].steps if told else (),
        sources=tuple(
            source
            for _, _, source in sorted(
                ((int(from_root[n]), circuit.source(n).title, circuit.source(n)) for n in within),
                key=lambda item: item[:2],
            )
        ),
        unknown=_unknown(definition, circuit, from_root, most),
        share=share,
        others=tuple(witness.steps for witness in told[1:]),
    )


def _test(definition: Definition, asked: str) -> Callable[[Source], bool]:
    if asked == "any":
        return lambda source: source.what == "model"
    return lambda source: source.what == "model" and source.kind in definition.closed


def _conclusion(definition: Definition, share: tuple[float, float]) -> Conclusion:
    if share[0] >= definition.least_share:
        return "yes"
    if share[1] >= definition.least_share:
        return "not decided by the shares recorded"
    return "below its least share"


def _share(
    definition: Definition,
    circuit: Circuit,
    matched: np.ndarray,
    decided: Decided,
    hop: np.ndarray,
) -> tuple[float, float]:
    """Return the share at the root; proportional ones take no account of hops."""
    if definition.share == "proportional":
        shares = proportional(circuit, matched, decided.counts)
    else:
        # A member counts if the source is within the hops left once the member is reached.
        most = definition.most_hops
        shares = touched(circuit, decided.hops + hop <= most, decided.counts)
    return float(shares.low[circuit.root]), float(shares.high[circuit.root])


def _hops_from_root(circuit: Circuit, hop: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the fewest hops from the root down to every node, int32, shape (n,)."""
    found = np.full(circuit.size, FAR, np.int32)
    found[circuit.root] = 0
    level = len(circuit.levels) - 2
    while level > 0:
        first, last = int(circuit.levels[level]), int(circuit.levels[level + 1])
        level -= 1
        if (found[first:last] >= FAR).all():
            continue
        begin, end = circuit.start[first], circuit.start[last]
        takes = counts[circuit.label[begin:end]]
        above = np.repeat(found[first:last], np.diff(circuit.start[first : last + 1]))[takes]
        to = circuit.to[begin:end][takes]
        np.minimum.at(found, to, np.minimum(above + hop[to], FAR))
    return found


def _unknown(
    definition: Definition, circuit: Circuit, from_root: np.ndarray, most: int
) -> tuple[str, ...]:
    """Say what could change the conclusion: sources whose own making is not recorded."""
    found = set()
    for node in np.flatnonzero((from_root < FAR) & (circuit.type == SOURCE)).tolist():
        source = circuit.source(node)
        if is_unsaid(source):
            found.add(f"{not_recorded(source)}: not recorded")
        elif is_unknown(source):
            found.add(no_origin(source))
        if is_unknown(source) or from_root[node] > most:
            continue
        if source.what == "model" and source.kind == "unknown" and definition.closed:
            found.add(no_kind(source))
        if wants_making(source) and from_root[node] < most:
            made = "what it was trained on" if source.what == "model" else "how it was made"
            found.add(f"{source.title}: {made} is not recorded here")
    return tuple(sorted(found))


def judge_all(
    of: NodeTable | Circuit, names: Iterable[str] = SHIPPED, *, paths: int = 1
) -> list[tuple[Verdict, Verdict]]:
    """Return each definition's verdicts about an artifact: on closed models, and on any model."""
    circuit = Circuit.of(of) if isinstance(of, NodeTable) else of
    return [
        (
            judge(definition, circuit, paths=paths),
            judge(definition, circuit, asked="any", paths=paths),
        )
        for definition in load_definitions(names)
    ]


__all__ = [
    "SHIPPED",
    "Decided",
    "Definition",
    "Step",
    "Verdict",
    "decide",
    "is_definition",
    "judge",
    "judge_all",
    "load_definitions",
]
