"""What an audit says: findings, and how much it looked at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold."""

    file: str
    entry: int | None
    """the entry that speaks of it; None if none does"""
    what: str

    def __str__(self) -> str:
        """Write the finding on one line."""
        where = "no entry" if self.entry is None else f"entry {self.entry}"
        return f"{self.file} ({where}): {self.what}"


@dataclass
class AuditResult:
    """What an audit found, and how much it looked at."""

    findings: list[Finding]
    entries: int = 0
    files: int = 0
    records: int = 0
    calls: int = 0
    signers: tuple[str, ...] = ()
    newer: list[Finding] = field(default_factory=list)
    """what the audit does not judge: it came about since, or is being made"""
    later: int = 0
    """entries appended since"""
    composed: int = 0
    """artifacts whose lineage was composed again from their inputs"""
    derived_rows: int = 0
    """rows that were made again and compared"""
    not_derived: list[Finding] = field(default_factory=list)
    """what could not be composed or made again, and why: of it nothing is said but that its bytes
    are those that were committed"""

    given_up: list[Finding] = field(default_factory=list)
    """artifacts that were committed and given up later, with the reason that was told"""

    removed: list[Finding] = field(default_factory=list)
    """artifacts whose rows or weights were removed on purpose: on which day, by which key, why"""

    @property
    def holds(self) -> bool:
        """Whether nothing was found; of what was not derived again it says nothing."""
        return not self.findings


@dataclass
class Rederived:
    """What making the rows of an artifact again came to."""

    rows: int = 0
    """rows that were compared"""
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """(file of the artifact, or empty; what differs)"""
    not_derived: list[str] = field(default_factory=list)
    """what was not made again, and why"""
