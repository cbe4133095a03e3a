"""Terms as one table: of each source which text held, on which day, and what it decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ORDER = ("deny", "review", "allow")
_MOST_DAYS = 4
_MOST, _LONGEST = 20, 300  # facts that a decision lacks, and letters of one


@dataclass(frozen=True)
class TermsRow:
    """What one clause says of one source, over all runs that asked."""

    source: str
    outcome: str
    """allow, review or deny"""
    clause: str
    document: str
    """empty if there is none"""
    engine: str
    days: tuple[str, ...]
    """on which it was asked, the first first"""
    held_from: str
    """since when the text holds; empty if that is not recorded"""
    unknown: tuple[str, ...]

    @property
    def asked(self) -> str:
        """The days, for people."""
        more = len(self.days) - _MOST_DAYS
        shown = ", ".join(self.days[:_MOST_DAYS])
        return f"{shown} and {more} more" if more > 0 else shown


def terms_rows(runs: Iterable[Mapping[str, Any]]) -> tuple[TermsRow, ...]:
    """Return what was decided before runs, each thing once, what is not allowed first.

    Args:
        runs: entries of the ledger, as :func:`mashbill.lineage.duties.decisions.decided_runs` has
            them.
    """
    found: dict[tuple[str, ...], tuple[dict[str, None], bool, dict[str, None]]] = {}
    for run in runs:
        for item in run.get("decisions", ()):
            key = tuple(
                str(item.get(name) or "")
                for name in ("about", "outcome", "rule", "document", "engine", "effective_from")
            )
            days, second, lacking = found.get(key, ({}, False, {}))
            days[str(run.get("as_of", ""))] = None
            lacking |= dict.fromkeys(_texts(item.get("lacking")))
            found[key] = (days, second or item.get("second_hand") is True, lacking)
    rows = [
        TermsRow(
            about, outcome, rule, document, engine, tuple(sorted(days)), held_from,
            tuple(_unknown(outcome, document, held_from, lacking, second=second)),
        )
        for (about, outcome, rule, document, engine, held_from), (days, second, lacking)
        in found.items()
    ]  # fmt: skip
    return tuple(
        sorted(
            rows, key=lambda r: (_ORDER.index(r.outcome) if r.outcome in _ORDER else 0, r.source)
        )
    )


def _texts(value: object) -> list[str]:
    return [str(one)[:_LONGEST] for one in value[:_MOST]] if isinstance(value, list) else []


def _unknown(
    outcome: str, document: str, held_from: str, lacking: Iterable[str], *, second: bool
) -> list[str]:
    told = [*lacking][:_MOST]
    if not document:
        told.append("no document is recorded")
    elif not held_from:
        told.append("since when the text holds")
    if second:
        told.append("the text itself: it was read in a third party's words only")
    if outcome == "review" and not lacking:
        told.append("what the clause wants to know; `mashbill check` names it")
    return told
