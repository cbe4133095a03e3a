"""The command that writes a document for whoever signs a release: brief."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mashbill.calls.journal import Journal
from mashbill.cli.options import (
    COUNTED_CLAIMS,
    DEFAULT_STORE,
    AsOfOption,
    CatalogueOption,
    ClaimsOption,
    JsonOption,
    NameArgument,
    RulesOption,
    StoreOption,
    TermsOption,
    app,
    out,
    parse_claims,
    parse_day,
    print_json,
)
from mashbill.cli.subjects import Subject, subject_of
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.policy.documents import Registry
    from mashbill.policy.statuses import Status
    from mashbill.report.brief import Kept, Public

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,120}")


@app.command("brief")
def brief_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; reports/ of the store, or here, if absent."),
    ] = None,
    as_of: AsOfOption = None,
    rules: RulesOption = None,
    terms: TermsOption = None,
    catalogue: CatalogueOption = None,
    claims: ClaimsOption = COUNTED_CLAIMS,
    as_json: JsonOption = False,
) -> None:
    """Write a document for sign-off, as HTML and Markdown: licence, duties, calls, what is unknown.

    hf:OWNER/NAME is a public model or dataset, as far as the catalogue's claims go.
    """
    from mashbill.report.brief import Facts, write_brief

    statuses = parse_claims(claims)
    subject = subject_of(name, store, statuses, catalogue or ())
    registry, day = load_registry(terms or ()), parse_day(as_of)
    decided = subject.decide(registry, day, subject.use, load_rules(rules or ()), is_release=True)
    facts = Facts(
        name=subject.name,
        as_of=day,
        decided=decided,
        lines=bill(subject.circuit),
        verdicts=judge_all(subject.circuit),
        covered=covered_with(subject.circuit, subject.prompted),
        of=_of(subject, registry, statuses, store),
        version=own_version(),
        contradicted=tuple(
            f"{artifact} was {one.says}." for artifact, one in subject.contradicted.items()
        ),
        terms=registry.digest,
        given=tuple(
            word
            for option, paths in (("--policy", rules), ("--terms-file", terms))
            for path in paths or ()
            for word in (option, str(path))
        ),
    )
    folder = to or (Path() if subject.store is None else store / "reports")
    plain = subject.name.replace("/", "--")
    stem = f"{plain if _PLAIN.fullmatch(plain) else file_name(subject.name)}.brief"
    try:
        written = write_brief(facts, folder, stem)
    except OSError as error:
        msg = f"{folder}: cannot be written to: {error.strerror}"
        raise InputError(msg) from error
    if as_json:
        print_json(
            {
                "artifact": subject.name,
                "outcome": decided.outcome,
                "written": [str(path) for path in written],
            }
        )
        return
    out.say(f"{subject.name}, as of {day}: {decided.outcome}")
    for path in written:
        out.say(str(path))


def _of(
    subject: Subject, registry: Registry, statuses: Sequence[Status], where: Path
) -> Kept | Public:
    from mashbill.report.brief import Public

    if subject.store is not None and subject.manifest is not None:
        return _kept(subject.store, subject.manifest, registry, where)
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


def _kept(store: Store, manifest: Manifest, registry: Registry, where: Path) -> Kept:
    from mashbill.report.brief import Kept, calls_of

    account = gather(store, manifest)
    entries, counting = store.ledger.entries, store.ledger.accepted
    journal = Journal.of(store)
    try:
        called = calls_of(store, account, journal, registry)
    finally:
        if journal is not None:
            journal.close()
    return Kept(
        store=str(where),
        account=account,
        called=called,
        signers=tuple(sorted({entry.keyid for entry in counting})),
        entries=len(entries),
        head=entries[-1].digest if entries else "",
        runs=decided_runs(store),
        unread=len(entries) - len(counting),
    )
