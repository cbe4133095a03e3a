"""What terms, licences and house rules say to an artifact, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.policy.decision import Outcome

_COLUMNS = ("", "about", "clause", "why", "lacking")


@dataclass(frozen=True)
class Checked:
    """An artifact, decided again."""

    artifact: str
    decided: Decided = field(repr=False)

    @property
    def outcome(self) -> Outcome:
        """The strictest of all decisions: allow, review or deny."""
        return self.decided.outcome

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``check --json`` does."""
        return {"artifact": self.artifact, **self.decided.as_json()}

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        rows = [
            (item.outcome, item.about, item.clause or item.rule, item.because, item.lacks)
            for outcome in ("deny", "review", "allow")
            for item in self.decided.of(outcome)
        ]
        title = f"{self.artifact}, as of {self.decided.as_of}: {self.outcome}"
        return title, _COLUMNS, list(dict.fromkeys(rows))

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())
