"""Verdicts on a public thing that hang on claims in dispute, or on claims that do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.catalogue.public import lineage_of
from mashbill.policy.statuses import COUNTED, STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mashbill.lineage.catalogue.public import PublicLineage
    from mashbill.policy.claims import Catalogue, Entity
    from mashbill.policy.statuses import Status


@dataclass(frozen=True)
class Unsettled:
    """A verdict that rests on claims which are disputed, or would on claims that do not count."""

    definition: str
    asked: str
    """closed, or any: which models were asked about"""
    counted: str
    """conclusion as the claims were counted"""
    otherwise: str
    """conclusion if they are counted the other way"""
    why: str
    """which claims make the difference"""

    def __str__(self) -> str:
        """Say it in a sentence."""
        what = "a closed model" if self.asked == "closed" else "any model"
        return f"{self.definition}, from {what}: {self.otherwise} {self.why} (here: {self.counted})"


def unsettled(
    catalogue: Catalogue,
    entity: Entity,
    definitions: Iterable[str],
    statuses: Collection[Status] = COUNTED,
) -> list[Unsettled]:
    """Return the verdicts on an entity that would differ without disputed claims, or with all.

    Args:
        catalogue: entities and claims.
        entity: what is asked about.
        definitions: names of definitions, or files.
        statuses: claims that count.
    """
    wanted = tuple(definitions)

    def conclusions(how: PublicLineage) -> dict[tuple[str, str], str]:
        return {
            (verdict.definition.name, verdict.asked): verdict.conclusion
            for pair in judge_all(how.of(entity), wanted)
            for verdict in pair
        }

    counted = conclusions(lineage_of(catalogue, statuses))
    found = []
    others: list[tuple[str, PublicLineage]] = []
    if catalogue.disputes():
        settled = lineage_of(catalogue, statuses, disputed=False)
        others.append(("without claims that others contradict", settled))
    if set(statuses) != set(STATUSES):
        left = ", ".join(status for status in STATUSES if status not in statuses)
        others.append((f"if {left} claims counted", lineage_of(catalogue, STATUSES)))
    for why, how in others:
        for key, conclusion in conclusions(how).items():
            if conclusion != counted[key]:
                found.append(Unsettled(*key, counted[key], conclusion, why))
    return found
