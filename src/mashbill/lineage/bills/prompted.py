"""Whose words teachers were asked by: what is recorded of prompts, examples and rubrics.

A file beside a recipe whose origin is not declared may hold a teacher's text. No node has that, so
that digests are what they were; which files there are stands in manifests, and here it is put to
the circuit: which part of an artifact's tokens was written, judged or rewritten by the words of
files of which somebody says whose they are.

A source for them in the nodes would have changed the digest of every artifact that a prompt made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.file_origins import ORIGINS, undeclared_files
from mashbill.core.source import Channel
from mashbill.lineage.bills.bill import Coverage, coverage
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import behind, told_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.semirings import REACHABLE, allowed, evaluate, touched

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_NAMED = 4


@dataclass(frozen=True)
class PromptCoverage:
    """How much of an artifact was asked for in words of recorded origin."""

    recorded: tuple[float, float]
    """part of the tokens that no file of unrecorded origin reached, lowest and highest"""
    undeclared: tuple[tuple[str, str], ...] = ()
    """(artifact whose stage used it, file) of those files"""
    unit: str = "tokens"
    """what its size is counted in"""
    nodes: frozenset[str] = frozenset()
    """digests of what was written, judged or rewritten by those words"""

    @property
    def named(self) -> str:
        """Name those files, of many the first and how many more there are."""
        files = [f"{file} ({artifact})" for artifact, file in self.undeclared[:_NAMED]]
        more = len(self.undeclared) - _NAMED
        return ", ".join(files) + (f" and {more} more" if more > 0 else "")

    def __str__(self) -> str:
        """Say it in a sentence; empty if nothing is lacking."""
        if not self.undeclared:
            return ""
        part = "none" if self.recorded == (0.0, 0.0) else share_text(self.recorded)
        return (
            f"Who wrote the words that teachers were asked by is recorded for {part} of the "
            f"{self.unit}; nobody says it of {self.named}: declare it in the recipe's [origins]"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "recorded": list(self.recorded),
            "undeclared": [{"artifact": name, "file": file} for name, file in self.undeclared],
        }


def covered_with(circuit: Circuit, prompted: PromptCoverage | None) -> Coverage:
    """Return how much of an artifact has a recorded origin, the words of prompts counted in."""
    if prompted is None or not prompted.undeclared:
        return coverage(circuit)
    return replace(coverage(circuit, prompted.nodes), words=prompted.named)


def _found_out(store: Store, manifest: Manifest) -> list[str]:
    """Return where words stand that are another's than is declared, or of which nothing is."""
    told = told_of(store, str(manifest.ref))
    said = manifest.stage.get(ORIGINS) or {}
    unsaid = undeclared_files(manifest.stage)
    return [
        mark.where
        for mark in (told.marks if told else ())
        if mark.kind == "words" and mark.where not in said and mark.where not in unsaid
    ]


def prompt_coverage(store: Store, manifest: Manifest) -> PromptCoverage:
    """Return how much of an artifact was asked for in words whose origin is declared."""
    found: list[tuple[str, str]] = []
    nodes: set[str] = set()
    for other in behind(store, manifest):
        files = [*undeclared_files(other.stage), *_found_out(store, other)]
        if files and other.kind == "dataset":
            found += [(str(other.ref), file) for file in files]
            nodes.update(NodeTable.of(store, other).numbered)
    if not found:
        return PromptCoverage((1.0, 1.0), unit=manifest.token_unit)
    circuit = Circuit.of(NodeTable.of(store, manifest))
    own = np.array([circuit.digest(node) in nodes for node in range(circuit.size)], bool)
    every = allowed(tuple(Channel))
    reached = evaluate(circuit, REACHABLE, own, np.ones(circuit.size, bool))
    shares = touched(circuit, reached, every)
    low, high = float(shares.low[circuit.root]), float(shares.high[circuit.root])
    return PromptCoverage(
        (1 - high, 1 - low), tuple(sorted(found)), manifest.token_unit, frozenset(nodes)
    )
