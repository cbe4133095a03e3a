"""The brief, section by section: what somebody reads who signs, and has to answer for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.lineage.bills.telling import (
    amount,
    counted,
    coverage_sentence,
    declared_words,
    definition_sentences,
    depth_words,
    did,
    licence_words,
    listed,
    looked_words,
)
from mashbill.lineage.bills.text import path_text, share_text
from mashbill.lineage.circuit.unrecorded import is_unsaid
from mashbill.report.brief.checking import checking_section
from mashbill.report.brief.document import (
    Blanks,
    Block,
    Document,
    Items,
    Paragraph,
    Section,
    items,
    table,
)
from mashbill.report.brief.facts import Kept, Public
from mashbill.report.brief.points import annex, as_items, reasons, together
from mashbill.report.brief.standing import licence_section, outcome_section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from mashbill.report.brief.facts import Facts

NOT_ASKED = (
    "Personal data: whether records hold any, on which ground, and what data subjects may ask.",
    "Opt-outs: whether authors or sites reserved their rights against text and data mining.",
    "Copyright in the texts themselves, and whether whoever granted a licence had the right to.",
    "Whether anybody owns what a model put out, and under which law.",
    "Export control and sanctions, of weights and of the people who get them.",
    "Trademarks, except a name that a licence asks for.",
    "Patents.",
    "Safety, security, bias, and what the artifact can be made to do.",
    "Duties of the EU AI Act and of other laws, except what section 2.5 of its template asks.",
    "Contracts, order forms and letters that are not declared here.",
    "Whether a text in the registry is the whole of what was agreed to.",
)
SOURCES = 60
"""lines of the bill that are shown at most; the largest come first"""
SIGNERS = ("Release owner", "Legal counsel", "Model owner")


def compose(facts: Facts) -> Document:
    """Return the brief as a document."""
    of = facts.of
    what = (
        "by what its store has on record"
        if isinstance(of, Kept)
        else (f"by {listed(of.statuses)} claims of the catalogue")
    )
    sections = [
        outcome_section(facts),
        _what(facts),
        licence_section(facts),
        _sources(facts),
        _calls(facts),
        _coverage(facts),
        _definitions(facts),
        Section(
            "What was not asked",
            (
                Paragraph("Nothing here speaks of these; each wants an answer from somebody else:"),
                Items(NOT_ASKED),
            ),
        ),
        _signing(facts),
        checking_section(facts),
    ]
    if (names := _names(facts)) is not None:
        sections.append(names)
    return Document(
        title=f"Brief for sign-off: {facts.name}",
        subtitle=f"As of {facts.as_of}, {what}. Written by mashbill {facts.version}. It says what "
        "is recorded and which text applies; it is no legal advice.",
        sections=tuple(sections),
    )


def _names(facts: Facts) -> Section | None:
    """Return the annex, with the names behind each reason and each gap that was counted."""
    told = [*reasons(facts.decided.of("deny")), *reasons(facts.decided.of("review"))]
    return annex(
        [*((reason.because, list(reason.about)) for reason in told), *together(facts.unknown)]
    )


def _what(facts: Facts) -> Section:
    of, use = facts.of, facts.decided.use
    rows: list[tuple[str, object]] = []
    if isinstance(of, Kept):
        manifest = of.account.manifest
        stage = str(manifest.stage.get("kind", manifest.kind))
        rows.append(("kind", f"{manifest.kind}, made by the stage {stage}"))
        size = amount(manifest.tokens, manifest.token_unit)
        if manifest.kind == "dataset":
            size = f"{counted(manifest.rows, 'row')}, {size}"
        elif isinstance(parameters := manifest.measures.get("parameters"), int):
            size = f"{counted(parameters, 'parameter')}, trained on {size}"
        rows += [("size", size), ("committed", of.account.step.ended)]
        rows.append(("content digest (SHA-256)", manifest.digest))
    else:
        entity = of.entity
        rows += [
            ("kind", f"{entity.what}, {entity.kind}"),
            ("made by", entity.provider),
            ("released", entity.released or looked_words(entity.released_looked)),
            ("stated at", entity.source or "not recorded"),
        ]
    rows.append(("declared use", declared_words(use.facts())))
    blocks = table(("fact", "what is recorded"), rows, "fact")
    return Section("What it is", tuple(blocks))


def _sources(facts: Facts) -> Section:
    # What claims leave open of a public thing is no source; it stands under what is not known.
    looked = facts.of.looked if isinstance(facts.of, Public) else {}
    named = [line for line in facts.lines if not is_unsaid(line.source)]
    rows = [
        (
            f"{line.source.title} ({line.source.route})",
            line.source.provider if line.source.provider != "unknown" else "not recorded",
            did(line),
            share_text(line.share),
            depth_words(line.depth),
            licence_words(line.source, looked.get(line.source.name, "")),
        )
        for line in named[:SOURCES]
    ]
    blocks: list[Block] = [
        *table(
            ("source", "whose", "what it did", f"share of the {facts.unit}", "how far", "licence"),
            rows,
            "line",
        )
    ]
    if not blocks:
        return Section("What it was made from", (Paragraph("No source is recorded."),))
    if (more := len(named) - SOURCES) > 0:
        blocks.append(
            Paragraph(f"{counted(more, 'further line')} not shown here: mashbill bill.", "note")
        )
    blocks.append(
        Paragraph(
            "A share is the part in records that the source reached; shares overlap. How far "
            "counts the models between.",
            "note",
        )
    )
    return Section("What it was made from", tuple(blocks))


def _calls(facts: Facts) -> Section:
    title = "Each call's day, against the text of that day"
    of = facts.of
    if isinstance(of, Public):
        return Section(title, (Paragraph(
            "When its makers called whom, and under which text, no claim says: not known."
        ),))  # fmt: skip
    called = of.called
    rows = [
        (
            row.source,
            row.way,
            _days(row.days),
            f"{row.calls:,}",
            "; ".join(row.texts),
        )
        for row in called.asked
    ]
    blocks: list[Block] = [*table(("asked", "by", "days", "calls", "text that held"), rows, "line")]
    if not rows:
        blocks.append(Paragraph("No call to a teacher is in the journal of this store."))
    unknown = sum(row.calls for row in called.asked if not row.is_known)
    if unknown:
        blocks.append(
            Paragraph(
                f"For {counted(unknown, 'call')} no text of that day is known. Somebody has to "
                "find it and give it by --terms-file."
            )
        )
    if called.missing:
        blocks.append(
            Paragraph(
                f"The records name {counted(called.missing, 'further call')} that the journal does "
                "not have: pruned, or made elsewhere. Their days are not known."
            )
        )
    if called.removed:
        blocks.append(
            Paragraph(
                f"Rows went of {listed(called.removed)}: which calls they rested on is not known "
                "any more, unless other records name them."
            )
        )
    others = sorted(
        {
            line.source.title
            for line in facts.lines
            if line.source.what == "model" and line.source.route.startswith("dataset:")
        }
    )
    if others:
        blocks.append(
            Paragraph(
                f"{listed(others)} wrote rows that came as data. When they were called, and by "
                "whom, no journal here has: not known."
            )
        )
    return Section(title, tuple(blocks))


def _days(days: set[date]) -> str:
    first, last = str(min(days)), str(max(days))
    if first == last:
        return first
    return f"{first} to {last} ({counted(len(days), 'day')})"


def _coverage(facts: Facts) -> Section:
    unknown = facts.unknown
    blocks: list[Block] = [Paragraph(coverage_sentence(facts.covered, facts.unit))]
    if facts.contradicted:
        blocks.append(Paragraph("An origin that was declared is contradicted:"))
        blocks += items(facts.contradicted, "contradiction")
    if unknown:
        blocks.append(Paragraph("These facts are not recorded, and could change an answer:"))
        blocks += items(as_items(together(unknown)), "fact")
    else:
        blocks.append(Paragraph("No fact is listed as unknown."))
    return Section("Coverage, and what is not known", tuple(blocks))


def _definitions(facts: Facts) -> Section:
    rows = []
    for closed, any_model in facts.verdicts:
        about = closed.definition
        path = path_text(closed.path) or path_text(any_model.path)
        rows.append(
            (
                f"{about.name}, {about.title} (version {about.version})",
                about.text,
                definition_sentences(closed, any_model, facts.unit),
                f"{facts.name}, from {path}" if path else "none is recorded",
            )
        )
    blocks: list[Block] = [
        Paragraph(
            "Nobody agrees on what distilled from means. Each definition is put in words here, and "
            "answered by what is recorded. None recorded is the strongest no that there is."
        ),
        *table(("definition", "in words", "conclusion", "path that decides"), rows, "definition"),
    ]
    for closed, _ in facts.verdicts:
        if closed.definition.needs:
            asks = "; ".join(closed.definition.needs)
            blocks.append(
                Paragraph(f"{closed.definition.name} also asks for what no lineage holds: {asks}.")
            )
    if isinstance(facts.of, Public) and facts.of.unsettled:
        blocks.append(Paragraph("Claims that others contradict, or that do not count, matter:"))
        blocks += items([str(doubt) for doubt in facts.of.unsettled], "doubt")
    return Section("Is it distilled?", tuple(blocks))


def _signing(facts: Facts) -> Section:
    blocks: list[Block] = []
    if isinstance(facts.of, Kept):
        accepted = [run for run in facts.of.runs if "accepted" in run]
        rows = [
            (run.get("as_of", ""), run.get("outcome", ""), _wanted_review(run),
             run["accepted"].get("name", ""), run["accepted"].get("reason", ""))
            for run in accepted
        ]  # fmt: skip
        if rows:
            blocks.append(Paragraph("Before a run, somebody answered by name for this:"))
            blocks += table(
                ("as of", "outcome", "what wanted review", "accepted by", "reason"), rows, "line"
            )
    blocks += [
        Paragraph("Whoever signs has read this document and the texts that it names."),
        Blanks(("role", "name", "date", "signature"), SIGNERS),
    ]
    return Section("Who signs", tuple(blocks))


def _wanted_review(run: Mapping[str, Any]) -> str:
    """Say which points of a decided plan wanted review, as its entry of the ledger has them."""
    found = dict.fromkeys(
        f"{point.get('about')} ({point.get('document') or point.get('rule')})"
        for point in run.get("decisions", ())
        if point.get("outcome") == "review"
    )
    return listed(list(found)) or "nothing: no point of the plan wanted review"
