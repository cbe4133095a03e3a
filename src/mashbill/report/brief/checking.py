"""How somebody checks a brief who does not trust whoever wrote it: commands, and what to keep."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mashbill.lineage.bills.telling import counted
from mashbill.report.brief.document import (
    Block,
    Commands,
    Items,
    Paragraph,
    Section,
    clipped,
    table,
)
from mashbill.report.brief.facts import Kept

if TYPE_CHECKING:
    from mashbill.report.brief.facts import Facts, Public


def checking_section(facts: Facts) -> Section:
    """Return the commands that a third party runs, and what they must be given beside the store."""
    of = facts.of
    blocks = _of_a_store(facts, of) if isinstance(of, Kept) else _of_claims(facts, of)
    return Section("How to check it", tuple(blocks))


def _of_a_store(facts: Facts, of: Kept) -> list[Block]:
    store = shlex.quote(of.store)
    name = shlex.quote(facts.name)
    given = _given(facts)
    manifest, entry = of.account.manifest, of.account.step.entry
    return [
        Paragraph(
            "You need the store; a checkpoint that was kept outside of it, which finds a cut end; "
            "and the id of the key that signs, from somebody you trust and not from the store."
        ),
        Commands((
            f"mashbill audit --store {store} --checkpoint CHECKPOINT --signer KEYID --deep",
            f"mashbill bill {name} --store {store}",
            f"mashbill check {name} --store {store} --as-of {facts.as_of} --all{given}",
            f"mashbill brief {name} --store {store} --as-of {facts.as_of} --to FOLDER{given}",
        )),
        Paragraph("They must agree with these:"),
        *table(("what", "value"), (
            ("content digest of it", manifest.digest),
            ("its entry of the ledger", f"{entry.index}, {entry.digest}"),
            ("entries of the ledger", f"{of.entries:,}"),
            ("last entry", of.head),
            ("signed by", "; ".join(of.signers) or "nobody"),
            ("digest of the terms that were put to it", facts.terms),
        ), "line"),
        *_unread(of.unread),
        Items((
            (
                "What an audit that holds shows: files, records, calls and lineage are those that "
                "were signed, and what could be made again came out the same (docs/evidence.md)."
            ),
            (
                "What you still have to believe: that whoever signed wrote down what happened, "
                "that claims about public models are right, and that the registry has the texts."
            ),
        )),
    ]  # fmt: skip


def _unread(number: int) -> list[Block]:
    """Say that the ledger has entries which nothing here was read from."""
    if not number:
        return []
    are = "is" if number == 1 else "are"
    return [
        Paragraph(
            f"{counted(number, 'entry', 'entries').capitalize()} of the ledger {are} by a key that "
            "no signer of the store declared, and nothing of it is told here. Have it audited "
            "before you sign."
        )
    ]


def _given(facts: Facts) -> str:
    """Return the options that say what was used beside the store, as they are typed."""
    return "".join(f" {shlex.quote(word)}" for word in facts.given)


def _of_claims(facts: Facts, of: Public) -> list[Block]:
    name = shlex.quote(f"hf:{of.entity.id}")
    rows = [
        (claim.parent, claim.relation, claim.status + (", second-hand" * claim.second_hand),
         claim.source, claim.note)
        for claim in of.claims
    ]  # fmt: skip
    blocks: list[Block] = [
        Commands(
            (
                f"mashbill catalogue show {name}",
                f"mashbill bill {name} --definition all",
                f"mashbill check {name} --as-of {facts.as_of} --all{_given(facts)}",
            )
        ),
    ]
    if not rows:
        none = (
            f"No claim about the making of {of.entity.id} counts, and no ledger stands behind it: "
            "what its maker alone knows cannot be checked here."
        )
        return [*blocks, Paragraph(clipped(none))]
    return [
        *blocks,
        Paragraph(
            "Each claim names its source. No ledger stands behind a public model, so what is "
            "claimed is all there is:"
        ),
        *table(("made from", "how", "status", "source", "note"), rows, "claim"),
    ]
