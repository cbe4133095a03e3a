"""A record that a proof shows to have been committed, with the bill and verdicts on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core import parsing
from mashbill.lineage.bills.bill import Line, bill
from mashbill.lineage.bills.definitions import Verdict, judge_all
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.proven import Proven, check_proof
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from pathlib import Path

_COLUMNS = ("source", "channels", "share of tokens", "hops")


@dataclass(frozen=True)
class ProvenRow:
    """A proof that holds, and what follows from it without any store."""

    proven: Proven = field(repr=False)
    lines: tuple[Line, ...]
    verdicts: tuple[tuple[Verdict, Verdict], ...] = field(repr=False)
    """of each definition: on closed models, and on any model"""

    @property
    def name(self) -> str:
        """Which row of which artifact."""
        return f"{self.proven.artifact} row {self.proven.row}"

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``audit --proof --json`` does."""
        proven = self.proven
        return {
            "holds": True,
            "artifact": proven.artifact,
            "row": proven.row,
            "record": proven.record,
            "signer": proven.signer,
            "entries": proven.size,
            "at": proven.at,
            "bill": [line.as_json() for line in self.lines],
            "verdicts": [verdict.as_json() for pair in self.verdicts for verdict in pair],
        }

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        rows = [
            (line.source.title, " + ".join(line.channels), share_text(line.share), line.depth)
            for line in self.lines
        ]
        return f"{self.name}, committed at {self.proven.at}", _COLUMNS, rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def audit_proof(path: Path, signer: str | None) -> ProvenRow:
    """Check a proof and read the bill of its record.

    Raises:
        AuditError: if it does not hold.
        InputError: if it is no proof.
    """
    data = parsing.json_object(path, what="a proof", most=parsing.PROOF_BYTES)
    proven = check_proof(data, signer)
    circuit = Circuit.of(proven.as_dataset())
    return ProvenRow(proven, tuple(bill(circuit)), tuple(judge_all(circuit)))
