"""What another day's texts would have decided otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.store import LEDGER
from mashbill.lineage.duties.decisions import Decided, differing
from mashbill.lineage.subject import own_subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from mashbill.core.store import Store
    from mashbill.policy.decision import Decision
    from mashbill.policy.documents import Registry


@dataclass(frozen=True)
class Otherwise:
    """One artifact that is decided otherwise on two days, for the use that its run declared."""

    name: str
    before: Decided
    after: Decided

    @property
    def differing(self) -> list[tuple[Decision | None, Decision | None]]:
        """Decisions that are not the same, and None where one day has none."""
        return differing(self.before, self.after)


def otherwise(
    root: Path, opened: Callable[[], Store], registry: Registry, first: date, second: date
) -> list[Otherwise]:
    """Return the artifacts that are decided otherwise; none where nothing was made yet.

    Args:
        root: folder of the store.
        opened: opens it.
        registry: terms and licences.
        first: a day.
        second: the other one.
    """
    if not (root / LEDGER).exists():
        return []
    found = []
    store = opened()
    for manifest in {item.ref: item for item in store.manifests()}.values():
        subject = own_subject(str(manifest.ref), store)
        one, two = (subject.decide(registry, day, subject.use) for day in (first, second))
        if differing(one, two):
            found.append(Otherwise(subject.name, one, two))
    return found
