"""A document for whoever signs a release, of an artifact or of a public one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.core.errors import InputError
from mashbill.core.naming import file_name
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import SHIPPED, judge_all
from mashbill.lineage.bills.prompted import covered_with
from mashbill.lineage.catalogue.unsettled import unsettled
from mashbill.lineage.duties.decisions import decided_runs
from mashbill.lineage.exports import gather
from mashbill.lineage.exports.account import own_version
from mashbill.policy.documents import load_registry
from mashbill.policy.house import load_rules
from mashbill.report.brief import Facts, Kept, Public, calls_of, write_brief
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.lineage.subject import Subject
    from mashbill.policy.documents import Registry
    from mashbill.policy.statuses import Status
    from mashbill.workspace.recipes import PathLike

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,120}")


@dataclass(frozen=True)
class Briefed:
    """A brief that was written."""

    artifact: str
    decided: Decided = field(repr=False)
    """what terms, licences and house rules say to a release"""
    written: tuple[Path, ...]
    """the same document as HTML and as Markdown"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``brief --json`` does."""
        return {
            "artifact": self.artifact,
            "outcome": self.decided.outcome,
            "written": [str(path) for path in self.written],
        }

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        title = f"{self.artifact}, as of {self.decided.as_of}: {self.decided.outcome}"
        return title, ("written",), [(path,) for path in self.written]

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def brief(
    subject: Subject,
    root: Path,
    *,
    to: PathLike | None,
    as_of: date,
    terms: Sequence[PathLike],
    rules: Sequence[PathLike],
    claims: Sequence[Status],
) -> Briefed:
    """Write a brief; see :meth:`mashbill.workspace.space.Workspace.brief`.

    Args:
        subject: what it is about.
        root: folder of the store.
        to: folder to write to.
        as_of: the day whose texts count.
        terms: files of terms.
        rules: files of house rules.
        claims: statuses of the claims that count.
    """
    registry = load_registry([Path(path) for path in terms])
    held = load_rules([Path(path) for path in rules])
    decided = subject.decide(registry, as_of, subject.use, held, is_release=True)
    facts = Facts(
        name=subject.name,
        as_of=as_of,
        decided=decided,
        lines=bill(subject.circuit),
        verdicts=judge_all(subject.circuit),
        covered=covered_with(subject.circuit, subject.prompted),
        of=_of(subject, registry, claims, root),
        version=own_version(),
        contradicted=tuple(
            f"{artifact} was {one.says}." for artifact, one in subject.contradicted.items()
        ),
        terms=registry.digest,
        given=tuple(
            word
            for option, paths in (("--policy", rules), ("--terms-file", terms))
            for path in paths
            for word in (option, str(path))
        ),
    )
    folder = Path(to) if to is not None else Path() if subject.store is None else root / "reports"
    plain = subject.name.replace("/", "--")
    stem = f"{plain if _PLAIN.fullmatch(plain) else file_name(subject.name)}.brief"
    try:
        written = write_brief(facts, folder, stem)
    except OSError as error:
        msg = f"{folder}: cannot be written to: {error.strerror}"
        raise InputError(msg) from error
    return Briefed(subject.name, decided, tuple(written))


def _of(
    subject: Subject, registry: Registry, statuses: Sequence[Status], root: Path
) -> Kept | Public:
    if subject.store is not None and subject.manifest is not None:
        return _kept(subject.store, subject.manifest, registry, root)
    if subject.entity is None or subject.lineage is None:
        msg = f"{subject.name} is neither in a store nor in the catalogue"
        raise InputError(msg)
    about = tuple(
        claim
        for claim in subject.lineage.catalogue.about(subject.entity.id)
        if claim.status in statuses
    )
    doubts = unsettled(subject.lineage.catalogue, subject.entity, SHIPPED, statuses)
    looked = {
        entity.id: entity.license_looked
        for entity in subject.lineage.catalogue.entities.values()
        if entity.license_looked
    }
    return Public(subject.entity, about, tuple(statuses), tuple(doubts), looked)


def _kept(store: Store, manifest: Manifest, registry: Registry, root: Path) -> Kept:
    account = gather(store, manifest)
    entries, counting = store.ledger.entries, store.ledger.accepted
    journal = Journal.of(store)
    try:
        called = calls_of(store, account, journal, registry)
    finally:
        if journal is not None:
            journal.close()
    return Kept(
        store=str(root),
        account=account,
        called=called,
        signers=tuple(sorted({entry.keyid for entry in counting})),
        entries=len(entries),
        head=entries[-1].digest if entries else "",
        runs=decided_runs(store),
        unread=len(entries) - len(counting),
    )
