"""What terms, licences and rules come to: the outcome first, then each point and each duty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.lineage.obligations import STATES
from mashbill.lineage.telling import counted
from mashbill.report.brief.document import Block, Paragraph, Section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.policy.decision import Decision
    from mashbill.policy.documents import Version
    from mashbill.report.brief.facts import Facts


def outcome_section(facts: Facts) -> Section:
    """Return the outcome, in a sentence that can be read out, and every point that is open."""
    decided = facts.decided
    denied, review = decided.of("deny"), decided.of("review")
    allowed = decided.of("allow")
    blocks: list[Block] = [Paragraph(_lead(len(denied), len(review), len(facts.unknown)), "lead")]
    if denied:
        blocks += [Paragraph("What bars it:"), *_points(denied)]
    if review:
        blocks += [Paragraph("What wants a reader:"), *_points(review)]
    if allowed:
        blocks.append(
            Paragraph(
                f"{counted(len(allowed), 'further point').capitalize()} "
                f"{'was' if len(allowed) == 1 else 'were'} put and found nothing against it; "
                "mashbill check --all tells every point.",
                "note",
            )
        )
    return Section("In short", tuple(blocks))


def _lead(denied: int, review: int, unknown: int) -> str:
    """Say the outcome; that nothing is missing only where nothing is listed as unknown below."""
    if denied:
        wants = f", and {counted(review, 'point')} {_want(review)} a reader" if review else ""
        return f"Denied: {counted(denied, 'point')} {_bar(denied)} it{wants}."
    if review:
        points = counted(review, "point")
        return f"Not settled: {points} {_want(review)} a reader before anybody signs."
    if unknown:
        facts = counted(unknown, "fact")
        could = f"{facts} {'is' if unknown == 1 else 'are'} not recorded and could change an answer"
        return f"No text or rule on record bars it; {could} (they stand under Coverage)."
    return "No text or rule on record bars it, and no fact is listed as unknown."


def _bar(number: int) -> str:
    return "bars" if number == 1 else "bar"


def _want(number: int) -> str:
    return "wants" if number == 1 else "want"


def _points(decisions: Sequence[Decision]) -> list[Block]:
    rows = dict.fromkeys(
        (
            decision.about,
            decision.because,
            decision.lacks,
            decision.clause or f"no text (rule {decision.rule})",
            " → ".join(decision.path),
        )
        for decision in decisions
    )
    head = ("about", "why", "what is missing", "text or rule", "path")
    if not any(row[-1] for row in rows):  # no path is told: the column would be empty
        return table(head[:-1], [row[:-1] for row in rows], "point")
    return table(head, rows, "point")


def licence_section(facts: Facts) -> Section:
    """Return its licence, what the licences of others leave, and the duties with their paths."""
    licence = facts.decided.licence
    blocks: list[Block] = [
        Paragraph(
            f"It is stated to be under {licence.stated}."
            if licence.stated
            else "Under which licence others get it is not recorded."
        )
    ]
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


def _dated(version: Version) -> str:
    mark = ", second-hand" if version.second_hand else ""
    return f" of {version.begins}{mark}" if version.begins else mark


def _where(version: Version) -> str:
    """Return where the text can be read again."""
    return ", ".join(str(v) for v in version.pointer.model_dump(exclude_defaults=True).values())
