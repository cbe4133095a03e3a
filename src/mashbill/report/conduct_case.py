"""The page of a case: one HTML file that opens offline and asks nobody for anything.

It runs no script. Its policy (CSP) allows one thing, the style that stands in it, by its digest.
What others wrote (names, prompts, sentences) is only ever text; see
:mod:`mashbill.report.templating`.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mashbill.conduct.evidence.explaining import RULES, explain
from mashbill.core.plain import counted, listed
from mashbill.core.store import write_atomically
from mashbill.report import conduct_words as words
from mashbill.report.conduct_drawing import draw_growth, draw_timeline, legend
from mashbill.report.conduct_graph import ARROWS, REASONS, draw_graph
from mashbill.report.conduct_layout import DIRECTED, hubs
from mashbill.report.templating import templates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.conduct.evidence.case import Case, Evidence

__all__ = ["explain", "page_of_case", "write_case_page"]

ACCOUNTS = 600
"""that a page names; the case file has all"""
SHARED = 40
"""shared values that are listed"""
NAMED = 12
"""accounts that are named of each"""
SAMPLES = 100


def write_case_page(case: Case, path: Path, *, contact: str = "") -> Path:
    """Write the page of a case.

    Args:
        case: it.
        path: the HTML file to write.
        contact: where an account may object, for what it is told.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page_of_case(case, contact=contact).encode())
    return path


def page_of_case(case: Case, *, contact: str = "") -> str:
    """Return the page of a case, as HTML; the same case gives the same page."""
    pages = templates()
    style = Markup(pages.get_template("conduct_case.css").render())  # noqa: S704 - our own file
    drawing, layout = draw_graph(case)
    heat = draw_timeline(case)
    steps, column = legend(case) if heat else ([], "")
    return pages.get_template("conduct_case.html").render(
        case=case,
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        headline=words.headline(case),
        rule=RULES[case.finding],
        findings=words.FINDINGS,
        tiers=words.TIERS,
        facts=_facts(case),
        sentences=[
            words.found_sentence(case),
            words.chance(case.log10_e, {one.signal for one in case.evidence}),
            words.discovery_sentence(case),
        ],
        evidence=[_evidence(one) for one in case.evidence],
        context=[(words.CONTEXT[one.what], one.plain) for one in case.context],
        clears=[words.sentence(one) for one in case.clears],
        graph=drawing,
        common=[(REASONS[hub.why], len(hub.members)) for hub in layout.common],
        undrawn=(layout.hidden, max(0, len(layout.arrows) - ARROWS)),
        shared=_shared(case),
        followed=_followed(case),
        named=[*zip(case.subject.shown, case.subject.accounts, strict=True)][:ACCOUNTS],
        heat=heat,
        steps=steps,
        column=column,
        unmarked=_unmarked(case),
        growth=draw_growth(case),
        samples=[_sample(case, at) for at in range(min(SAMPLES, len(case.samples)))],
        told=explain(case, contact=contact),
        when=words.told,
        limits=_limits(case),
    )


def _facts(case: Case) -> list[tuple[str, str, str]]:
    """Return what stands at the head: name, value, and what belongs to it."""
    before = case.exchanges_before
    first, last = words.told(case.first), words.told(case.last)
    need = f"{words.odds(case.threshold)} was needed for this tier"
    facts = [
        ("accounts", f"{len(case.subject.accounts):,}", ""),
        ("strength", words.odds(case.log10_e), need),
        ("exchanges", f"{case.exchanges:,}", f"{first} to {last} UTC"),
        ("found after", words.lasting(case.found - case.first), f"{words.told(case.found)} UTC"),
    ]
    if before is not None:
        part = words.share(before, case.exchanges)
        of = "all that the case has" if before == case.exchanges else f"{part} of these exchanges"
        facts.append(("served before that", f"{before:,}", of))
    return facts


def _evidence(one: Evidence) -> dict[str, Any]:
    limit = None if one.limit is None else words.odds(one.limit)
    return {
        "title": words.SIGNALS[one.signal],
        "signal": one.signal,
        "plain": words.sentence(one.plain),
        "null": one.null.strip().removesuffix("."),
        "odds": words.odds(one.log10_e),
        "limit": limit,
        "speaks": one.log10_e > 0,
        "statistic": [
            (key.replace("_", " "), words.number(value)) for key, value in one.statistic.items()
        ],
        "rows": one.rows,
        "rows_in_all": counted(one.rows_in_all, "row"),
        "parameters": [(key, _parameter(value)) for key, value in one.parameters.items()],
    }


def _parameter(value: object) -> str:
    return listed([*map(_value, value)], 40) if isinstance(value, tuple) else _value(value)


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return words.number(value) if isinstance(value, int | float) else str(value)


def _shared(case: Case) -> list[tuple[str, int, str]]:
    """Return the largest shared values: reason, accounts, and who they are."""
    found = hubs(case.graph.links)[:SHARED]
    return [
        (
            REASONS[hub.why],
            len(hub.members),
            listed([case.name_of(name) for name in hub.members], NAMED),
        )
        for hub in found
    ]


def _followed(case: Case) -> list[tuple[str, str]]:
    """Return who followed whom, the strongest first: a reason and both names."""
    links = [link for link in case.graph.links if link.why in DIRECTED]
    links.sort(key=lambda link: (-link.strength, link.a, link.b))
    return [
        (f"{case.name_of(link.a)} → {case.name_of(link.b)}", REASONS[link.why])
        for link in links[:SHARED]
    ]


def _unmarked(case: Case) -> str:
    """Return how many things happened to accounts that the timeline leaves out; empty if none."""
    drawn = {row.account for row in case.timeline.rows}
    gone = sum(
        mark.account is not None and mark.account not in drawn for mark in case.timeline.marks
    )
    return counted(gone, "mark") if gone else ""


def _sample(case: Case, at: int) -> dict[str, Any]:
    one = case.samples[at]
    scores: Mapping[str, float | None] = {"jailbreak": one.jailbreak, "extraction": one.extraction}
    told = [f"{name} {words.odds(value)}" for name, value in scores.items() if value is not None]
    return {
        "row": one.row,
        "time": words.told(one.time),
        "account": case.name_of(one.account),
        "scores": ", ".join(told),
        "text": one.text,
    }


def _limits(case: Case) -> Sequence[str]:
    """Return what the page cannot say, a sentence each."""
    log, graph = case.log, case.graph
    rows = counted(log.rows, "row")
    said = [
        (
            "Who is behind an account, or which company, country or project. It says that accounts "
            "act as one, or that a rule was broken, and no more."
        ),
        (
            "What the answers were used for. To learn from a model's answers is an ordinary "
            "technique, and it was no part of this."
        ),
        (
            f"What is not in the log: it holds {rows}, {words.told(log.first)} to "
            f"{words.told(log.last)} UTC. Accounts that another log has, or that stayed below "
            "every limit, are not seen."
        ),
        (
            "That nothing honest looks like this. A strength holds against the honest traffic that "
            "each comparison describes. A kind of honest use that none describes may look the same."
        ),
        "Whether a law or a contract was broken. That is for people to say.",
    ]
    texts = [one.text is not None for one in case.samples]
    if not any(texts):
        said.append("What the prompts said: the case has none of their texts.")
    if graph.left_out:
        said.append(
            f"Everything about the graph: {counted(graph.left_out, 'account')} more did not fit."
        )
    return said
