"""Printing decisions and duties for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.options import out
from mashbill.cli.printing import styled, table
from mashbill.lineage.bills.telling import declared_words
from mashbill.lineage.duties.obligations import STATES

if TYPE_CHECKING:
    from mashbill.cli.printing import Part
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.lineage.duties.obligations import Obligation
    from mashbill.policy.decision import Decision

_COLOUR = {"allow": "green", "review": "yellow", "deny": "red"}


def print_decided(decided: Decided, *, every: bool = False) -> None:
    """Print decisions, strictest first; what is allowed by nothing but silence of rules is told."""
    listing = table(
        "", "about", "clause", "why", "lacking",
        title=f"What terms and rules say, as of {decided.as_of}",
    )  # fmt: skip
    for outcome, *rest in _wanted(decided, every=every):
        listing.add_row(styled(outcome, _COLOUR[outcome]), *rest)
    out.print(listing)
    _print_licence(decided)
    out.say(*_outcome(decided))


def print_terms(decided: Decided) -> None:
    """Print decisions, strictest first, licence and duties, in lines that fit a plan."""
    out.fit((f"What terms and rules say, as of {decided.as_of}", "bold"))
    for outcome, about, clause, why, lacks in _wanted(decided, every=False):
        told = f" {about}: {clause}: {why}{f' Lacking: {lacks}.' if lacks else ''}"
        out.fit("  ", styled(outcome, _COLOUR[outcome]), told, indent=4)
    out.fit(_licence_left(decided))
    for item in decided.licence.obligations:
        says, of, state, path = _duty(item)
        out.fit(f"  duty {says} ({of}; {state}; {path})", indent=4)
    out.fit(*_outcome(decided))


def _outcome(decided: Decided) -> tuple[Part, ...]:
    said = (
        f". Declared use: {declared_words(decided.use.facts())}. A use restriction binds whoever "
        "calls; a duty goes with the model. This says what is recorded and which clause applies; "
        "it is no legal advice."
    )
    return "Outcome: ", (decided.outcome, _COLOUR[decided.outcome]), said


def _licence_left(decided: Decided) -> str:
    expression = decided.licence.expression or "no licence that governs it is recorded"
    return f"Licence left for {decided.about}: {expression}"


def _wanted(decided: Decided, *, every: bool) -> dict[tuple[str, str, str, str, str], None]:
    """Return what is told of decisions, the strictest first, each once."""
    return dict.fromkeys(
        _row(decision)
        for outcome in ("deny", "review", "allow")
        for decision in decided.of(outcome)
        if every or outcome != "allow" or decision.engine == "use restriction"
    )


def _row(decision: Decision) -> tuple[str, str, str, str, str]:
    return (decision.outcome, decision.about, decision.clause or decision.rule, decision.because,
            decision.lacks)  # fmt: skip


def _print_licence(decided: Decided) -> None:
    licence = decided.licence
    out.say(_licence_left(decided))
    if not licence.obligations:
        return
    listing = table("duty", "of", "state", "path", title="Duties that reach it")
    for item in licence.obligations:
        listing.add_row(*_duty(item))
    out.print(listing)


def _duty(item: Obligation) -> tuple[str, str, str, str]:
    mark = " (second-hand)" if item.version.second_hand else ""
    path = " → ".join(item.path)
    return (
        f"{item.clause.code}: {item.clause.says}",
        item.document.title + mark,
        STATES[item.state],
        path,
    )
