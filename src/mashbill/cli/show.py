"""Printing for people: plans, bills, verdicts, traces, what is affected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mashbill.cli.options import out
from mashbill.lineage.bill import Line, summarised
from mashbill.lineage.words import conclusion_text, path_text, share_text
from mashbill.teachers.projection import Projection

if TYPE_CHECKING:
    from mashbill import plan as planning
    from mashbill.core.recipe import Recipe
    from mashbill.lineage.bill import Coverage
    from mashbill.lineage.definitions import Verdict
    from mashbill.lineage.difference import LinePair
    from mashbill.lineage.rebuild import Rebuild
    from mashbill.lineage.removal import Affected
    from mashbill.lineage.trace import Hop
    from mashbill.run.reckoning import Reckoning


_UNKNOWN = 12  # unknowns that a terminal shows


def print_plan(made: planning.Plan) -> None:
    """Print a plan's stages, totals and verdicts."""
    recipe: Recipe = made.recipe
    table = Table(title=f"{recipe.recipe.name}: {recipe.recipe.title}", title_justify="left")
    numbers = {"rows", "seconds", "calls"}
    for column in ("stage", "kind", "rows", "seconds", "calls", "price", "puts on the bill"):
        table.add_column(column, justify="right" if column in numbers else "left")
    for stage in made.stages:
        adds = "\n".join(_adds(stage))
        table.add_row(
            stage.name,
            stage.spec.kind,
            "" if not stage.rows else f"{stage.rows:,}",
            "done" if stage.status == "done" else _about(stage.seconds),
            *_asked(stage),
            adds,
        )
    out.print(table)
    for line in _totals([stage for stage in made.stages if stage.status != "done"]):
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    print_verdicts(made.verdicts(), f"{made.result}, if this plan is run")


def _adds(stage: planning.PlannedStage) -> list[str]:
    """Say what a stage puts on the bill: a model or teacher of the recipe has its own line."""
    lines = [
        f"{source.title} ({source.kind}, {source.route}) as {role}: {channel}"
        for source, channel, role in stage.adds
    ]
    lines += [
        f"{use.name}: {use.channel.value}"
        for use in stage.spec.uses()
        if use.role == "actor" and not use.is_teacher
    ]
    return lines


def _asked(stage: planning.PlannedStage) -> tuple[str, str]:
    """Say how many calls a stage needs, and their price, for two columns."""
    projected = stage.projected
    if projected is None:
        return "?", "?"
    if not projected.once:
        return "", ""
    least, most = projected.least.calls, projected.most
    calls = f"{least:,}"
    if most is None or most.calls != least:
        calls += f" to {most.calls:,}" if most is not None else " or more"
    return calls, projected.price


def _totals(todo: list[planning.PlannedStage]) -> list[str]:
    """Say what is left to do in time, calls and money, and what of it is not known."""
    unsaid = [stage.name for stage in todo if stage.seconds is None]
    uncounted = [stage.name for stage in todo if stage.projected is None]
    seconds = sum(stage.seconds or 0 for stage in todo)
    parts = [f"About {seconds:,.0f} s on two cores" + (" for the rest" if unsaid else "")]
    if unsaid:
        parts.insert(0, f"Time not known: {', '.join(unsaid)}")
    projected = sum((stage.projected for stage in todo if stage.projected), Projection())
    parts.append(f"teachers: {projected.calls}, {projected.price}")
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


def print_reckoning(reckoning: Reckoning) -> None:
    """Print what services were to cost in a run, and what they did."""
    for line in reckoning.lines():
        out.print(line, highlight=False, soft_wrap=True, markup=False)


def _about(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:,.1f}"


def print_evaluation(evaluation: dict[str, Any] | None) -> None:
    """Print the systems' accuracies, or that there are no human labels to compare with."""
    if evaluation is None:
        out.print("No evaluation: the recipe has no evaluate stage, so no human labels were used.")
        return
    from mashbill.report import by_accuracy

    table = Table(
        title=f"Accuracy against humans on {evaluation['rows']:,} held-out rows",
        title_justify="left",
    )
    for column in ("system", "accuracy", "95% interval", "macro F1"):
        table.add_column(column)
    for system, result in by_accuracy(evaluation):
        table.add_row(
            system,
            f"{result['accuracy']:.3f}",
            f"{result['low']:.3f} to {result['high']:.3f}",
            f"{result['macro_f1']:.3f}",
        )
    out.print(table)
    for pair in evaluation["compare"]:
        beyond = "" if pair["low"] <= 0 <= pair["high"] else ", beyond chance"
        out.print(
            f"{pair['first']} - {pair['second']}: {pair['difference']:+.3f} "
            f"({pair['low']:+.3f} to {pair['high']:+.3f}){beyond}",
            highlight=False,
        )


def print_bill(lines: list[Line], name: str, covered: Coverage | None = None) -> None:
    """Print a bill."""
    table = Table(title=f"Bill of {name}", title_justify="left")
    columns = ("source", "kind", "route", "licence", "through", "touched", "owed", "depth")
    for column in columns:
        table.add_column(column)
    for summary in summarised(lines):
        line = summary.line
        table.add_row(
            line.source.title,
            line.source.kind,
            line.source.route,
            line.source.license or "not recorded",
            "; ".join(summary.routes),
            share_text(line.share),
            share_text(line.owed),
            str(line.depth),
        )
    out.print(table)
    out.print(
        "Touched is the part of the tokens in records that the source reached by that route, so "
        "it overlaps; owed is the part due to the source's text, logits or weights by any route "
        "when every mixture is split by its weights, an interval where a weight is not recorded. "
        "Routes are divided by ';'; 'a + b' took both channels. What reached this through a "
        "model, the texts that it learned from too, stands at depth 2 or more.",
        style="dim",
        highlight=False,
    )
    if covered is not None:
        unknown = "; ".join(source.title for source in covered.unknown)
        out.print(f"Coverage: {covered}{f'; not recorded: {unknown}' if unknown else ''}.",
                  highlight=False, soft_wrap=True)  # fmt: skip


def print_verdicts(pairs: list[tuple[Verdict, Verdict]], name: str) -> None:
    """Print each definition's conclusions with the path that decides, and what is unknown."""
    table = Table(title=f"Is it distilled? {name}", title_justify="left")
    for column in ("definition", "from a closed model", "from any model", "path that decides"):
        table.add_column(column, overflow="fold")
    for closed, any_model in pairs:
        decided = closed if closed.path else any_model
        paths = [decided.path, *decided.others] if decided.path else []
        table.add_row(
            f"{closed.definition.name} {closed.definition.title}",
            conclusion_text(closed),
            conclusion_text(any_model),
            "\n".join(path_text(path) for path in paths) or "none",
        )
    out.print(table)
    unknown = sorted({item for closed, _ in pairs for item in closed.unknown})
    for item in unknown[:_UNKNOWN]:
        out.print(f"Unknown: {item}", highlight=False, soft_wrap=True)
    if len(unknown) > _UNKNOWN:
        out.print(f"and {len(unknown) - _UNKNOWN} more that are unknown, told by --json",
                  highlight=False)  # fmt: skip


def print_difference(
    pairs: list[LinePair], verdicts: list[tuple[Verdict, Verdict]], one: str, two: str
) -> None:
    """Print how two bills or two definitions differ."""
    if pairs:
        table = Table(title=f"{one} against {two}", title_justify="left")
        for column in ("source", "through", one, two):
            table.add_column(column)
        for pair in pairs:
            line = pair.either
            table.add_row(line.source.title, " + ".join(line.channels), _side(pair.first),
                          _side(pair.second))  # fmt: skip
        out.print(table)
    if verdicts:
        table = Table(title="Verdicts that differ", title_justify="left")
        for column in ("definition", "from", one, two, "path that decides"):
            table.add_column(column, overflow="fold")
        for first, second in verdicts:
            names = dict.fromkeys([first.definition.name, second.definition.name])
            decided = first if first.path else second
            asked = "a closed model" if first.asked == "closed" else "any model"
            table.add_row(" / ".join(names), asked, conclusion_text(first), conclusion_text(second),
                          path_text(decided.path) or "none")  # fmt: skip
        out.print(table)
    if not pairs and not verdicts:
        out.print(f"{one} and {two} do not differ in sources, shares, depths or verdicts.")


def _side(line: Line | None) -> str:
    if line is None:
        return "not there"
    return f"touched {share_text(line.share)}, owed {share_text(line.owed)}, depth {line.depth}"


def print_affected(found: list[Affected], which: str, total: int) -> None:
    """Print what rests on some sources."""
    table = Table(title=f"Rests on {which}", title_justify="left")
    for column in ("artifact", "what", "records", "of unknown origin", "share", "systems"):
        table.add_column(column)
    for item in found:
        counted = "" if item.records is None else f"{item.records:,} of {item.manifest.rows:,}"
        table.add_row(
            str(item.manifest.ref),
            item.what,
            counted,
            f"{item.maybe:,}" if item.maybe else "",
            share_text(item.share),
            ", ".join(item.systems),
        )
    out.print(table)
    out.print(
        f"{len(found)} of {total} artifacts rest on it, through any channel. The upper end of a "
        "share takes in records of unknown origin.",
        style="dim",
        highlight=False,
    )


def print_rebuild(made: Rebuild, where: str) -> None:
    """Print what a rebuild keeps, takes away, makes anew and cannot make."""
    table = Table(title=f"Rebuild: {where}", title_justify="left")
    table.add_column("stage")
    table.add_column("what becomes of it")
    for name in made.kept:
        taken = made.thinned.get(name)
        table.add_row(name, "kept" if taken is None else f"kept, {taken:,} rows taken away behind")
    for name in made.rebuilt:
        table.add_row(name, "made anew from what is left")
    for name, why in made.gone.items():
        table.add_row(name, f"gone: {why}")
    out.print(table)


_LONG = 300  # characters of a value that a trace shows; --json has all


_INDENTED = 20  # levels of a trace; what lies deeper stands below each other


def hop_tree(hop: Hop) -> Tree:
    """Return a trace as a tree for the terminal."""
    top: Tree | None = None
    branches: list[Tree] = []
    for depth, other in hop.walk():
        facts = "; ".join(f"{key}: {_fact(value)}" for key, value in other.facts.items())
        kind = "" if other.kind == "row" else f" [dim]{other.kind}[/]"
        level = f"[dim]{depth} hops behind:[/] " if depth > _INDENTED else ""
        label = f"{level}[bold]{escape(other.what)}[/]{kind}"
        label += f"\n{escape(facts)}" if facts else ""
        place = min(depth, _INDENTED)
        del branches[place:]
        branch = branches[-1].add(label, highlight=False) if branches else None
        branches.append(branch or Tree(label, highlight=False))
        top = top or branches[0]
    return top or Tree("")


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}... ({len(text):,} characters)"
