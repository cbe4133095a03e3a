"""Printing rewards: pass rates, what was not scored, correlations, and signs of a hacked reward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.printing import out, table
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.attempts import PassAt
    from mashbill.core.correlating import Correlation
    from mashbill.report.rewards import Rewards

_LEVELS = 20  # of which a terminal shows pass rates


def rewards_json(rewards: Sequence[Rewards]) -> list[dict[str, Any]]:
    """Return rewards for a program, with their signs."""
    from mashbill.report.reward_signs import signs

    return [{**told.as_json(), "signs": signs(told)} for told in rewards]


def print_rewards(rewards: Sequence[Rewards]) -> None:
    """Print the rewards of each stage."""
    for told in rewards:
        _print(told)


def _print(told: Rewards) -> None:
    from mashbill.report.reward_signs import signs
    from mashbill.report.rewards import UNSCORED

    scored = told.counts.get("scored", 0)
    said = [f"{scored:,} of {counted(told.rows, 'row')} scored"]
    if "passed" in told.counts:
        said.append(f"{told.counts['passed']:,} pass, from {told.passes:g} on")
    said += [f"{told.counts[name]:,} {name}" for name in UNSCORED if told.counts.get(name)]
    if told.mean is not None:
        said.append(f"mean score {told.mean:.3f}")
    out.say((told.name, "bold"), f", by {told.verifier}: {'; '.join(said)}.")
    if told.pass_at:
        _print_passes(told)
    if told.best:
        best = told.best
        full, fewer = (counted(best.get(name, 0), "prompt") for name in ("full", "fewer"))
        out.say(
            f"Of each prompt the best {best.get('of_each', 0)} stay: {full} had as many, {fewer} "
            f"fewer, {best.get('none', 0):,} none; {best.get('lots', 0):,} had equal scores on "
            "both sides of the line."
        )
    out.say(
        f"Score with length: {_told(told.by_rank)} by rank, {_told(told.by_line)} on a line"
        f"{f', {_told(told.in_groups)} among attempts at one prompt' if told.groups else ''}."
    )
    for name, part in told.parts.items():
        mean = f"mean {part.mean:.2f}, " if part.rows else ""
        out.say(
            f"Part {name}: {counted(part.rows, 'output')} scored, {mean}with length "
            f"{_told(part.length)}."
        )
    for (one, other), found in told.pairs.items():
        out.say(f"{one} with {other}: {_told(found)}.")
    for name, found in told.others.items():
        out.say(f"Score with that of {name}: {_told(found)}.")
    for text in signs(told):
        out.say(("look here:", "yellow"), f" {text}.")


def _print_passes(told: Rewards) -> None:
    of = counted(told.groups, "prompt") if told.groups else "prompts, each row one of its own"
    listing = table("", "estimate", "95% interval", "if unscored fail", "if they pass", "prompts",
                    title=f"Attempts at {of}")  # fmt: skip
    rows: list[tuple[str, PassAt]] = [(f"pass@{one.k}", one) for one in told.pass_at]
    for level, passes in [*told.levels.items()][:_LEVELS]:
        rows += [(f"{told.level} {level}: pass@{one.k}", one) for one in passes[:1]]
    for name, one in rows:
        listing.add_row(
            name,
            one.lacking if one.estimate is None else f"{one.estimate:.3f}",
            "" if one.estimate is None else f"{one.low:.3f} to {one.high:.3f}",
            *(
                (f"{one.at_least:.3f}", f"{one.at_most:.3f}")
                if one.groups + one.unscored
                else ("", "")
            ),
            f"{one.groups:,}",
        )
    out.print(listing)
    for one in told.pass_at:
        if one.short or one.unscored:
            out.say(
                f"pass@{one.k} leaves out {counted(one.short, 'prompt')} with fewer attempts and "
                f"{one.unscored:,} with fewer scored ones, which are in its bounds."
            )


def _told(found: Correlation | None) -> str:
    from mashbill.report.reward_signs import interval

    return "not told" if found is None else interval(found)
