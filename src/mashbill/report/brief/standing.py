"""What terms, licences and rules come to: the outcome first, then each point and each duty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.lineage.bills.telling import counted, looked_words
from mashbill.lineage.duties.obligations import STATES
from mashbill.report.brief.document import Block, Paragraph, Section, table
from mashbill.report.brief.facts import Public
from mashbill.report.brief.points import points, reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.policy.documents import Version
    from mashbill.report.brief.facts import Facts
    from mashbill.report.brief.points import Reason


def outcome_section(facts: Facts) -> Section:
    """Return the outcome, in a sentence that can be read out, and every point that is open."""
    decided = facts.decided
    denied, review = decided.of("deny"), decided.of("review")
    allowed = decided.of("allow")
    bars, wants = reasons(denied), reasons(review)
    blocks: list[Block] = [
        Paragraph(_lead(_count(bars), _count(wants), len(facts.unknown), len(wants)), "lead")
    ]
    if bars:
        blocks += [Paragraph("What bars it:"), *points(bars)]
    if wants:
        blocks += [Paragraph("What wants a reader:"), *points(wants)]
    if allowed:
        blocks.append(
            Paragraph(
                f"{counted(len(allowed), 'further point').capitalize()} "
                f"{'was' if len(allowed) == 1 else 'were'} looked at, and there nothing recorded "
                "speaks against it; mashbill check --all tells every point.",
                "note",
            )
        )
    return Section("In short", tuple(blocks))


def _count(found: Sequence[Reason]) -> int:
    return sum(len(reason.about) for reason in found)


def _lead(denied: int, review: int, unknown: int, why: int = 0) -> str:
    """Say the outcome; that nothing is missing only where nothing is listed as unknown below."""
    of = f" (for {counted(why, 'reason')})" if 0 < why < review else ""
    if denied:
        wants = f", and {counted(review, 'point')}{of} {_want(review)} a reader" if review else ""
        return f"Denied: {counted(denied, 'point')} {_bar(denied)} it{wants}."
    if review:
        told = counted(review, "point")
        return f"Not settled: {told}{of} {_want(review)} a reader before anybody signs."
    if unknown:
        facts = counted(unknown, "fact")
        could = f"{facts} {'is' if unknown == 1 else 'are'} not recorded and could change an answer"
        return f"No text or rule on record bars it; {could} (they stand under Coverage)."
    return "No text or rule on record bars it, and no fact is listed as unknown."


def _bar(number: int) -> str:
    return "bars" if number == 1 else "bar"


def _want(number: int) -> str:
    return "wants" if number == 1 else "want"


def licence_section(facts: Facts) -> Section:
    """Return its licence, what the licences of others leave, and the duties with their paths."""
    licence = facts.decided.licence
    blocks: list[Block] = [Paragraph(_own(facts))]
    came = [name for name in licence.licences if name != licence.stated]
    if came:
        blocks.append(
            Paragraph(f"With weights, or because it is a derivative, come: {'; '.join(came)}.")
        )
    if licence.expression and came:
        blocks.append(Paragraph(f"All of them together: {licence.expression}."))
    if licence.unknown:
        blocks.append(
            Paragraph(
                f"No licence is recorded of {', '.join(licence.unknown)}, whose weights it has."
            )
        )
    if not licence.obligations:
        blocks.append(Paragraph("No duty of a recorded licence reaches it."))
        return Section("Licence and duties", tuple(blocks))
    rows = [
        (
            item.clause.says,
            f"{item.document.title}{_dated(item.version)}",
            STATES[item.state],
            " → ".join(item.path),
            _where(item.version),
        )
        for item in licence.obligations
    ]
    blocks += [
        Paragraph("Duties that licences bring, and the path by which each came:"),
        *table(("duty", "of", "state", "path", "where the text is"), rows, "duty"),
    ]
    return Section("Licence and duties", tuple(blocks))


def _own(facts: Facts) -> str:
    """Say under which licence others get it, or what stands in its place, or that none is known."""
    entity = facts.of.entity if isinstance(facts.of, Public) else None
    if stated := facts.decided.licence.stated:
        return f"It is stated to be under {stated}."
    if entity is not None and entity.kind == "closed-api":
        return f"Nobody else gets it: {entity.provider} serves it, under terms and not a licence."
    told = looked_words(entity.license_looked if entity is not None else "")
    return f"Under which licence others get it is {told.replace('not found', 'not known', 1)}."


def _dated(version: Version) -> str:
    mark = ", second-hand" if version.second_hand else ""
    return f" of {version.begins}{mark}" if version.begins else mark


def _where(version: Version) -> str:
    """Return where the text can be read again."""
    return ", ".join(str(v) for v in version.pointer.model_dump(exclude_defaults=True).values())
