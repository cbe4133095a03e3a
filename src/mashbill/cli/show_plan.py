"""Printing a plan, in lines of at most 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.options import out
from mashbill.cli.printing import WIDTH, table
from mashbill.cli.show import unknown_lines
from mashbill.cli.show_arms import grouped, named_alike, print_arms
from mashbill.core.plain import listed
from mashbill.lineage.bills.text import conclusion_text, path_text
from mashbill.teachers.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill import plan as planning
    from mashbill.core.recipe import Recipe
    from mashbill.lineage.bills.definitions import Verdict

_COLUMNS = 12  # columns of a file that a terminal shows


def print_plan(made: planning.Plan, *, whole: bool = False) -> None:
    """Print a plan's stages, what they put on the bill, totals and verdicts.

    Args:
        made: the plan.
        whole: a line for each arm and seed of a stage, and not one for all.
    """
    recipe: Recipe = made.recipe
    names = {} if whole else named_alike(recipe)
    _print_stages(made, whole=whole)
    _print_bill(made, names, whole=whole)
    print_arms(recipe)
    for stage in made.stages:
        if stage.anew:
            out.fit(f"{stage.ref} is made anew: what is there {stage.anew}.")
        if stage.removed:
            does = (
                f"{stage.again} needs it, so that it is made again and has to come out as it was"
                if stage.again
                else "nothing that is to do needs it, so that it is left so"
            )
            out.fit(f"{stage.ref} was {stage.removed}; {does}.")
    for one in made.given.values():
        if one.told:
            out.fit(f"{one.told}.")
    for stage in made.stages:
        if stage.seen is not None:
            columns = ", ".join(repr(name) for name in stage.seen.columns[:_COLUMNS])
            more = len(stage.seen.columns) - _COLUMNS
            out.fit(f"{stage.name} reads the columns {columns}{f' and {more} more' * (more > 0)}.")
    doubts = [(names.get(s.name, s.name), doubt) for s in made.stages for doubt in s.doubts]
    for name, doubt in dict.fromkeys(doubts):
        out.fit(("warning:", "yellow"), f" stages.{name}: {doubt}.")
    lacking = dict.fromkeys(name for stage in made.stages for name in stage.undeclared)
    if lacking:
        out.fit(
            f"Who wrote {', '.join(lacking)} is not declared: say it under [origins]; until "
            "then it is told as not recorded."
        )
    for stage in made.stages:
        if stage.told is not None:
            out.fit(("contradicted:", "yellow"), f" {stage.name} is {stage.told.says}.")
    for line in _over_budget(made):
        out.fit(("warning:", "yellow"), f" {line}")
    for line in _totals([stage for stage in made.stages if stage.status != "done"], names):
        out.fit(line)
    _print_verdicts(made.verdicts(), f"{made.result}, if this plan is run")


def _print_stages(made: planning.Plan, *, whole: bool) -> None:
    listing = table(
        "stage", "kind", "rows", "seconds", "calls", "price",
        title=f"{made.recipe.recipe.name}: {made.recipe.recipe.title}".removesuffix(": "),
    )  # fmt: skip
    for column in listing.columns[2:5]:
        column.justify = "right"
    for group in grouped(made, whole=whole):
        listing.add_row(
            group.name,
            listed(list(dict.fromkeys(stage.spec.kind for stage in group.stages))),
            _span(group.stages),
            group.seconds,
            *_asked(group.projected),
        )
    out.print(listing, width=min(out.width, WIDTH))


def _print_bill(made: planning.Plan, names: Mapping[str, str], *, whole: bool) -> None:
    """Print what puts which source on the bill: stages that do the same in one line."""
    found: dict[str, dict[str, None]] = {}
    for group in grouped(made, whole=whole):
        for stage in group.stages:
            for line in _adds(stage, names):
                found.setdefault(line, {})[names.get(stage.name, stage.name)] = None
    if found:
        out.fit(("On the bill:", "bold"))
    for line, stages in found.items():
        out.fit(f"  {listed(list(stages))}: {line}", indent=4)


def _span(stages: Sequence[planning.PlannedStage]) -> str:
    """Say how many rows stages have, or will have: each of them, or from the least to the most."""
    said = list(dict.fromkeys(_rows(one) for one in sorted(stages, key=lambda s: s.rows or 0)))
    return said[0] if len(said) == 1 else f"{said[0] or '?'} to {said[-1]}"


def _rows(stage: planning.PlannedStage) -> str:
    """Say how many rows a stage has, or will have."""
    about = "about " if stage.seen is not None and not stage.seen.is_exact else ""
    return f"{about}{stage.rows:,}" if stage.rows else ""


def _adds(stage: planning.PlannedStage, names: Mapping[str, str]) -> list[str]:
    """Say what a stage puts on the bill: a model or teacher of the recipe has its own line."""
    lines = [
        f"{source.title} ({source.kind}, {source.route}) as {role}: {channel}"
        for source, channel, role in stage.adds
    ]
    lines += [
        f"{names.get(use.name, use.name)}: {use.channel.value}"
        for use in stage.job.uses
        if use.role in {"actor", "base"} and use.is_artifact
    ]
    return lines


def _asked(projected: Projection | None) -> tuple[str, str]:
    """Say how many calls a stage needs, and their price, for two columns."""
    if projected is None:
        return "?", "?"
    if not projected.once:
        return "", ""
    least, most = projected.least.calls, projected.most
    calls = f"{least:,}"
    if most is None or most.calls != least:
        calls += f" to {most.calls:,}" if most is not None else " or more"
    return calls, projected.price


def _over_budget(made: planning.Plan) -> list[str]:
    """Say which caps of the recipe the least that is asked goes over; what was spent is not in."""
    found = [stage.projected for stage in made.stages if stage.status != "done"]
    least = sum((one for one in found if one), Projection()).least
    caps = made.recipe.budget
    told = []
    if caps.usd is not None and least.usd is not None and least.usd > caps.usd:
        told.append(f"usd = {caps.usd:g}, and it costs about ${least.usd:.4f} at least")
    if caps.calls is not None and least.calls > caps.calls:
        told.append(f"calls = {caps.calls:,}, and {least.calls:,} are made at least")
    if caps.tokens is not None and least.tokens_in > caps.tokens:
        told.append(f"tokens = {caps.tokens:,}, and about {least.tokens_in:,} are read at least")
    return [
        f"[budget] has {one}: a run stops there, and goes on where it is raised" for one in told
    ]


def _totals(todo: list[planning.PlannedStage], names: Mapping[str, str]) -> list[str]:
    """Say what is left to do in time, calls and money, and what of it is not known."""
    unsaid = [stage.name for stage in todo if stage.seconds is None]
    uncounted = dict.fromkeys(names.get(s.name, s.name) for s in todo if s.projected is None)
    told = dict.fromkeys(names.get(name, name) for name in unsaid)
    parts = [f"Time not known: {', '.join(told)}"] if unsaid else []
    if len(unsaid) < len(todo):
        seconds = sum(stage.seconds or 0 for stage in todo)
        time = f"about {seconds:,.0f} s on two cores" if seconds >= 1 else "less than a second"
        parts.append(f"all other stages: {time}" if unsaid else time[0].upper() + time[1:])
    projected = sum((stage.projected for stage in todo if stage.projected), Projection())
    most = projected.most
    tokens = f"{projected.least.tokens_in:,}" + (f" to {most.tokens_in:,}" if most else " or more")
    reading = f", about {tokens} tokens to read" if projected.least.calls else ""
    parts.append(f"teachers: {projected.calls}{reading}, {projected.price}")
    if uncounted:
        parts.append(f"and those of {', '.join(uncounted)}, not known before the data is read")
    lines = ["; ".join(parts) + "."]
    if projected.lacks:
        lines.append(f"No price is known here: {projected.lacks}.")
    if projected.least.calls:
        lines.append(
            "At least: each row is asked about and no answer asked for again. What falls out, and "
            "what the journal holds, comes off."
        )
    return lines


def _print_verdicts(pairs: Sequence[tuple[Verdict, Verdict]], name: str) -> None:
    """Print each definition's conclusions with the path that decides, and what is unknown."""
    out.fit((f"Is it distilled? {name}", "bold"))
    for closed, any_model in pairs:
        one, other = conclusion_text(closed), conclusion_text(any_model)
        said = f"from a closed model {one}; from any model {other}"
        if one == other:
            said = f"from a closed model {one}" if closed.conclusion == "yes" else one
        decided = closed if closed.path else any_model
        how = f": {path_text(decided.path)}" if decided.path else ""
        more = f", and {len(decided.others)} more ways" if decided.path and decided.others else ""
        name = f"{closed.definition.name} {closed.definition.title}"
        out.fit(f"  {name}: {said}{how}{more}", indent=4)
    for line in unknown_lines(pairs):
        out.fit(line)
