"""Points that bar an artifact or want a reader, one row a reason: many sources lack the same.

A public model may rest on a hundred datasets of which no licence is recorded. That is one reason
and a hundred names: the row has the count and the first names, the annex has more of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.lineage.bills.telling import counted, listed
from mashbill.lineage.circuit.unrecorded import NOT_SAID
from mashbill.report.brief.document import LONGEST, Block, Paragraph, Section, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.policy.decision import Decision

FIRST = 3
"""names that stand where a reason is told"""


@dataclass
class Reason:
    """What several points have in common."""

    because: str
    lacks: str
    text: str
    """clause, or rule where there is none"""
    about: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """what it is about -> path"""
    own: str = ""
    """the sentence of the first, with its names"""
    own_lacks: str = ""
    """what the first lacks, with its names"""


def reasons(decisions: Iterable[Decision]) -> list[Reason]:
    """Return decisions by reason, in the order in which each first comes."""
    found: dict[tuple[str, str, str], Reason] = {}
    for decision in decisions:
        text = decision.clause or f"no text (rule {decision.rule})"
        general = decision.in_general or decision.because
        lacks = _of_each(decision)
        reason = found.setdefault(
            (general, lacks, text),
            Reason(general, lacks, text, own=decision.because, own_lacks=decision.lacks),
        )
        # The rest of a public thing says by its name already that it is not recorded.
        about = decision.about.removesuffix(f", {NOT_SAID} ({NOT_SAID})")
        reason.about.setdefault(about, decision.path)
    return list(found.values())


def _of_each(decision: Decision) -> str:
    """Return what a decision lacks, with ``each`` for the name of what it is about."""
    title = decision.about.rpartition(" (")[0] or decision.about
    return ", ".join(
        f"{item.removesuffix(title)}each" if item.endswith(f" of {title}") else item
        for item in decision.lacks.split(", ")
        if item
    )


def points(found: Sequence[Reason]) -> list[Block]:
    """Return a table with a row for each reason."""
    rows = [
        (
            _names(reason),
            *(
                (reason.own, reason.own_lacks)
                if len(reason.about) == 1
                else (reason.because, reason.lacks)
            ),
            reason.text,
            _path(reason),
        )
        for reason in found
    ]
    head = ("about", "why", "what is missing", "text or rule", "path")
    if not any(row[-1] for row in rows):  # no path is told: the column would be empty
        return table(head[:-1], [row[:-1] for row in rows], "point")
    return table(head, rows, "point")


def _names(reason: Reason) -> str:
    count = f"{counted(len(reason.about), 'thing')}: " if len(reason.about) > FIRST else ""
    return f"{count}{listed(list(reason.about), FIRST)}"


def _path(reason: Reason) -> str:
    paths = dict.fromkeys(path for path in reason.about.values() if path)
    first = " → ".join(next(iter(paths), ()))
    return f"the first: {first}" if len(paths) > 1 else first


def together(texts: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return texts of the form ``name: what`` by what they say, with the names of each.

    A text whose end no other shares stands for itself, without names. A name may hold a colon, so
    of the ends that others share the longest is taken.
    """
    told = list(texts)
    ends: dict[str, int] = {}
    for text in told:
        for end in _ends(text):
            ends[end] = ends.get(end, 0) + 1
    found: dict[str, list[str]] = {}
    for text in told:
        end = next((end for end in _ends(text) if ends[end] > 1), text)
        names = found.setdefault(end, [])
        if end != text:
            names.append(text.removesuffix(f": {end}"))
    return list(found.items())


def _ends(text: str) -> list[str]:
    """Return what stands after each colon, longest first."""
    parts = text.split(": ")
    return [": ".join(parts[at:]) for at in range(1, len(parts))]


def as_items(found: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Return a line for each of :func:`together`."""
    return [
        f"{what} ({counted(len(names), 'time')}): {listed(names, FIRST)}" if names else what
        for what, names in found
    ]


def annex(cut: Iterable[tuple[str, Sequence[str]]]) -> Section | None:
    """Return the names behind what was told with a count, as far as a cell holds them.

    Args:
        cut: what was told, and all names; those with few were told in full.
    """
    rows = [(what, f"{len(names):,}", _fitting(names)) for what, names in cut if len(names) > FIRST]
    if not rows:
        return None
    return Section("Annex: the names behind each count", (
        *table(("what", "how many", "names"), rows, "line"),
        Paragraph("mashbill check --all --json and mashbill bill --json have every one, with its "
                  "path.", "note"),
    ))  # fmt: skip


def _fitting(names: Sequence[str]) -> str:
    """Return as many names as a cell holds, and how many more there are."""
    most = len(names)
    while most > 1 and len(listed(names, most)) > LONGEST:
        most -= max(1, most // 8)
    return listed(names, most)
