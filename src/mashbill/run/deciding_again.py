"""Deciding a plan again, once its first stages were read and say who wrote their rows.

A plan is decided by what its recipe says. Of rows that name their writers themselves (a column
``generator``) nothing is known until they are read; what terms and licences say to these writers is
decided then, before any stage makes something of the rows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from mashbill.core.errors import PolicyError
from mashbill.lineage.circuit.declared import preview
from mashbill.run.permission import indented, told_each

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.plan import PlannedStage
    from mashbill.run.permission import Permit


class DecidingAgain:
    """Decides whenever more first stages were read whose rows name sources that no recipe does."""

    def __init__(self, permit: Permit, store: Store) -> None:
        """Prepare.

        Args:
            permit: what the plan was let run by.
            store: where it runs.
        """
        self._permit = permit
        self._entry = next((e for e in store.ledger.accepted if e.digest == permit.entry), None)
        self._read: set[str] = set()

    def before(self, stage: PlannedStage, tables: Mapping[str, NodeTable]) -> list[str]:
        """Decide before a stage makes something of rows; return what wants review.

        Args:
            stage: that is about to be made.
            tables: nodes of what is made, by stage.

        Raises:
            PolicyError: if the plan is denied, for what its rows say of who wrote them.
        """
        plan = self._permit.plan
        named = {
            one.name
            for one in plan.stages
            if one.name in tables
            and not one.spec.uses()
            and _sources(tables[one.name]) - _sources(plan.supposed[one.name])
        }
        if not stage.spec.uses() or named == self._read:
            return []
        self._read = named
        known = {address: tables[address] for address in plan.given if address in tables}
        for name in plan.recipe.stages:
            known[name] = tables[name] if name in tables else preview(plan.recipe, name, known)
        plan = replace(plan, tables=known, supposed=known)
        decided = plan.decide(self._permit.registry, self._day(), self._permit.rules)
        if decided.outcome == "deny":
            lines = "\n".join(indented(decided.of("deny")))
            names = ", ".join(sorted(named))
            msg = (
                f"the plan is denied for what rows of {names} say of who wrote them, which was not "
                f"known before they were read; nothing was made of them:\n{lines}\n"
                "Leave these rows out (kind = 'without'), declare what is lacking under [use], or "
                "get an authorisation in writing"
            )
            raise PolicyError(msg, "deny")
        return told_each(decided.of("review")) if decided.outcome == "review" else []

    def _day(self) -> date:
        """Return the day whose texts count: that of the permit."""
        if self._entry is not None and (day := self._entry.predicate.get("as_of")):
            return date.fromisoformat(day)
        return datetime.now(UTC).date()


def _sources(table: NodeTable) -> set[str]:
    return {node for node, body in table.bodies.items() if body["type"] == "source"}
