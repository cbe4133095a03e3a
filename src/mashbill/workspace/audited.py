"""An audit of a store, with the checkpoints and witnesses that it was held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core import checkpoint as notes
from mashbill.core import parsing
from mashbill.core.errors import AuditError, InputError, MashbillError
from mashbill.core.store import LEDGER, Store
from mashbill.core.witness import WitnessKey, seen_at
from mashbill.lineage.evidence.audit import Auditor
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.lineage.evidence.finding import AuditResult, Finding
    from mashbill.run.rederiving import Rederiver
    from mashbill.workspace.recipes import PathLike


@dataclass(frozen=True)
class Seen:
    """A witness that signed a checkpoint, and when."""

    entries: int
    """of the ledger, that the checkpoint counts"""
    by: str
    at: str
    """ISO 8601, UTC, as the witness's clock had it"""

    def __str__(self) -> str:
        """Say it in a line."""
        return f"the checkpoint of {self.entries:,} entries was seen by {self.by}: {self.at}"


@dataclass(frozen=True)
class Audited:
    """What an audit found in a store, and what it was held against."""

    root: Path
    result: AuditResult = field(repr=False)
    checkpoints: int
    """that the ledger was compared with: those given, and the one kept outside of the store"""
    seen: tuple[Seen, ...]
    is_deep: bool
    """whether rows were made again"""

    @property
    def holds(self) -> bool:
        """Whether nothing was found; of what was not derived again it says nothing."""
        return self.result.holds

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What does not hold."""
        return tuple(self.result.findings)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        result = self.result
        findings, newer, not_derived, given_up, removed = (
            [{"file": item.file, "entry": item.entry, "what": item.what} for item in items]
            for items in (
                result.findings, result.newer, result.not_derived, result.given_up, result.removed
            )
        )  # fmt: skip
        return {
            "holds": result.holds, "findings": findings, "not_derived": not_derived,
            "given_up": given_up, "removed": removed, "entries": result.entries,
            "records": result.records, "calls": result.calls, "composed": result.composed,
            "derived_rows": result.derived_rows, "signers": result.signers, "newer": newer,
            "later_entries": result.later,
        }  # fmt: skip

    def _table(self) -> tuple[str, tuple[str, str, str], list[tuple[Any, ...]]]:
        found = "holds" if self.holds else f"{len(self.findings)} found"
        result = self.result
        counts = [
            (count, "", name)
            for name, count in (
                ("entries", result.entries), ("files", result.files), ("records", result.records),
                ("teacher calls", result.calls), ("artifacts composed again", result.composed),
                ("rows made again", result.derived_rows), ("checkpoints", self.checkpoints),
            )
        ]  # fmt: skip
        found_and_gone = (*self.findings, *result.removed)
        told = [(item.what, item.entry, item.file) for item in found_and_gone]
        return f"Audit of {self.root}: {found}", ("what", "entry", "where"), [*told, *counts]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def audit(
    root: Path,
    *,
    signer: str | None,
    checkpoints: Sequence[PathLike],
    witness_keys: Sequence[str],
    deep: bool,
    sample: float,
    progress: Callable[[int, int], None] | None,
) -> Audited:
    """Audit a store; see :meth:`mashbill.workspace.questions.Questions.audit`."""
    known = [notes.parse(parsing.read_text(Path(path))) for path in checkpoints]
    seen = _witnessed(known, [WitnessKey.parse(text) for text in witness_keys])
    kept = notes.kept(root) if (root / LEDGER).exists() else None
    against = [*known, *([kept] if kept else [])]
    again = _rederiver(root, sample) if deep else None
    result = Auditor(root, signer, progress, against, rederive=again).run()
    return Audited(root, result, len(against), tuple(seen), deep)


def _witnessed(known: Sequence[Checkpoint], witnesses: Sequence[WitnessKey]) -> list[Seen]:
    """Return when each witness signed the checkpoints that were given.

    Raises:
        AuditError: if one did not sign one of them.
        InputError: if no checkpoint is given that it could have signed.
    """
    if witnesses and not known:
        msg = "witness_keys say who signed a checkpoint; give checkpoints, too"
        raise InputError(msg)
    seen = []
    for note in known:
        for key in witnesses:
            at = seen_at(note, key)
            if at is None:
                msg = f"the checkpoint of {note.size} entries bears no signature by {key.name}"
                raise AuditError(msg)
            seen.append(Seen(note.size, key.name, datetime.fromtimestamp(at, UTC).isoformat()))
    return seen


def _rederiver(root: Path, share: float) -> Rederiver | None:
    """Return what makes a store's rows again; None if its ledger cannot be read, as audits say."""
    from mashbill.run.rederiving import Rederiver

    try:
        return Rederiver(Store(root), share) if (root / LEDGER).is_file() else None
    except MashbillError:
        return None
