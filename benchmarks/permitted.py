"""Running a plan in a benchmark: decided, with whatever wants review accepted, and then run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mashbill.policy.documents import load_registry
from mashbill.run import executor
from mashbill.run.permission import Acceptance, permit_plan

if TYPE_CHECKING:
    from mashbill.core.store import Store
    from mashbill.plan import Plan
    from mashbill.run.execution import Done, Execution


def execute(plan: Plan, store: Store, execution: Execution | None = None) -> list[Done]:
    """Run a plan of a benchmark, which answers for it itself."""
    accepted = Acceptance("benchmark", "it asks no service, or one on loopback")
    permit = permit_plan(plan, store, load_registry(), datetime.now(UTC).date(), accepted=accepted)
    return executor.execute(permit, store, execution)
