"""What licences bring to a model, as its card tells it: what is left, and each duty with its path.

By the texts that held on the day of the commit, as this release holds them: the same store gives
the same card.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mashbill.lineage.bills.telling import counted
from mashbill.lineage.bills.text import list_item, markdown
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.duties.obligations import STATES, output_licence
from mashbill.policy.documents import load_registry

if TYPE_CHECKING:
    from mashbill.lineage.duties.obligations import Obligation
    from mashbill.lineage.exports.account import Account

_DUTIES = 40  # that are told one by one


def duties(account: Account) -> list[str]:
    """Return the section, a line an item."""
    day = datetime.fromisoformat(account.step.ended).date()
    circuit = Circuit.of(account.table)
    found = output_licence(load_registry(), circuit, day, stated=account.stated_license)
    lines = [
        (
            f"By the texts that held on {day}, what it was made from leaves it "
            f"{markdown(found.expression)}."
            if found.expression
            else f"No licence that governs it is recorded, by the texts that held on {day}."
        )
    ]
    if found.unknown:
        lines += ["", f"Of a licence that is not recorded: {markdown(', '.join(found.unknown))}."]
    if not found.obligations:
        return [*lines, "", "No duty that reaches it is recorded."]
    lines += ["", "Duties that reach it:", ""]
    lines += [list_item(_told(item)) for item in found.obligations[:_DUTIES]]
    if (more := len(found.obligations) - _DUTIES) > 0:
        lines += ["", f"{counted(more, 'further duty', 'further duties')}: `mashbill check`."]
    return lines


def _told(item: Obligation) -> str:
    by = f" By {' → '.join(item.path)}." if item.path else ""
    second_hand = ", cited second-hand" if item.version.second_hand else ""
    return f"{item.document.title}{second_hand} ({STATES[item.state]}): {item.clause.says}{by}"
