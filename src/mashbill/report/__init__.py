"""One HTML file that opens offline: how good it is, then its chain, bill, verdicts and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.source import Channel
from mashbill.core.store import write_atomically
from mashbill.lineage.bills.text import conclusion_text, share_text
from mashbill.lineage.evidence.hop import Hop
from mashbill.report.arm_drawing import drawings
from mashbill.report.chain_drawing import draw_chain
from mashbill.report.costs import together
from mashbill.report.curve_drawing import draw_curves, draw_gains
from mashbill.report.data.page import HEADS, data_of, page_of
from mashbill.report.data.profile import profile
from mashbill.report.drawing import draw_systems
from mashbill.report.folding import FOLDED_FROM
from mashbill.report.gather import gather
from mashbill.report.headline import headline
from mashbill.report.reward_drawing import draw_lengths, draw_pass, draw_scores
from mashbill.report.reward_signs import signs
from mashbill.report.rewards import rewards_behind
from mashbill.report.templating import templates
from mashbill.report.terms_shown import terms_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.report.comparing import Compared
    from mashbill.report.gather import ReportFacts
    from mashbill.report.rewards import Rewards


__all__ = ["write_report"]


_INDENTED = 20  # levels of a trace; what lies deeper stands below each other
_LEVELS = 20  # of pass@1 by level that are drawn
_GAINS = {
    "accuracy": "difference in accuracy; above 0 the first is better",
    "score": "difference in mean score; above 0 the first is better",
    "bits_per_byte": "difference in bits a byte; below 0 the first is better",
    "suite": "difference",
}
_LONGEST = 8  # stages that are shown of many
_BOXES_SHOWN = 1000  # of the chain's table
_COSTS_SHOWN = 500  # stages of the table of costs
_CHANNELS = {
    Channel.CONTENT: "its text is the text that was learned from",
    Channel.LOGITS: "how probable it held each word to be was what was learned",
    Channel.WEIGHTS: "its parameters were the starting point, or a part",
    Channel.JUDGEMENT: "it labelled, scored or preferred what was learned from",
    Channel.SELECTION: "it decided which rows stay",
    Channel.TRANSFORM: "it cleaned, translated or rewrote a text that another wrote",
    Channel.PROMPT: "it wrote what was asked",
}
_HOPS_SHOWN = 300  # of one trace: a page is to be read


def _hops(hop: Hop) -> Iterator[tuple[int, Hop]]:
    """Yield the hops of a trace as a page shows them, with their indentation."""
    for count, (depth, other) in enumerate(hop.walk()):
        if count == _HOPS_SHOWN:
            yield 0, Hop("further hops", "and so on", {"all of them": "mashbill trace"})
            return
        yield min(depth, _INDENTED), other


def _drawings(told: Rewards) -> dict[str, Markup]:
    """Return the drawings of rewards, by name; an empty one where there is nothing to draw."""
    rows = [(f"pass@{one.k}", one) for one in told.pass_at]
    rows += [
        (f"{level}: pass@{one.k}", one)
        for level, passes in [*told.levels.items()][:_LEVELS]
        for one in passes[:1]
    ]
    return {
        "scores": draw_scores(told),
        "lengths": draw_lengths(told),
        "passes": draw_pass(rows),
    }


def _channels(facts: ReportFacts) -> list[tuple[str, str]]:
    """Return the channels that a page speaks of, with what each means."""
    told = {how.partition("/")[0] for box in facts.chain for _, how in box.inputs}
    told |= {channel for item in facts.bill for channel in item.line.channels}
    return [(name.value, meaning) for name, meaning in _CHANNELS.items() if name.value in told]


def write_report(
    store: Store,
    result: Manifest,
    path: Path,
    *,
    title: str = "",
    rewards: Sequence[Rewards] | None = None,
    most_rows: int | None = None,
    arms: Compared | None = None,
) -> Path:
    """Write the report of an artifact.

    Args:
        store: where it lies.
        result: the artifact.
        path: the HTML file to write.
        title: one line for its head.
        rewards: of the stages ``verify`` that it rests on, where they were read already.
        most_rows: of a dataset whose rows are looked at; all if None.
        arms: of the recipe that it was made by, side by side.
    """
    if rewards is None:
        rewards = rewards_behind(store, result)
    facts = gather(store, result)
    about = [one for one in data_of(store, result) if store.removal(one.ref) is None]
    looked = [one for one in about if most_rows is None or one.rows <= most_rows]
    pages = templates()
    profiles = [profile(store, one) for one in looked]
    html = pages.get_template("report.html").render(
        title=title or f"What {result.ref} is, and was distilled from",
        head=headline(facts, profiles),
        facts=facts,
        total=together(facts.costs),
        longest=sorted(facts.costs, key=lambda one: -(one.seconds or 0.0))[:_LONGEST],
        terms=terms_rows(facts.decided),
        channels=_channels(facts),
        folded_from=FOLDED_FROM,
        boxes_shown=_BOXES_SHOWN,
        costs_shown=_COSTS_SHOWN,
        hops=_hops,
        share=share_text,
        conclusion=conclusion_text,
        chain=draw_chain(facts.chain),
        heads=HEADS,
        data=[page_of(one) for one in profiles],
        unlooked=[one for one in about if one not in looked],
        arms=arms,
        drawn_arms=drawings(arms.telling) if arms is not None else [],
        evaluations=[
            (
                one,
                draw_systems(one.shown.found),
                draw_gains(one.shown.found.compare, _GAINS[one.shown.found.metric]),
            )
            for one in facts.measured
        ],
        trainings=[(one, [draw_curves(panel) for panel in one.panels]) for one in facts.trainings],
        rewards=[(one, signs(one), _drawings(one)) for one in rewards],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html.encode())
    return path
