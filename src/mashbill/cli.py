"""The command line: parse, call, print. Exit codes: 0 done, 1 a finding, 2 an error."""

from __future__ import annotations

import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from mashbill import plan as planning
from mashbill.conduct.journal import Journal
from mashbill.core.errors import MashbillError, RecipeError
from mashbill.core.ledger import Signer
from mashbill.core.recipe import Recipe, load_recipe
from mashbill.core.store import LEDGER, Store
from mashbill.lineage.audit import Auditor
from mashbill.lineage.bill import Line, bill, summarised
from mashbill.lineage.definitions import SHIPPED, Verdict, judge_all
from mashbill.lineage.nodes import NodeTable
from mashbill.lineage.trace import Hop, Tracer
from mashbill.report import by_accuracy, write_report
from mashbill.run import Execution, default_cache, execute
from mashbill.run.display import Quiet, display_for
from mashbill.teachers.api import parse_teacher

app = typer.Typer(
    help="Distil language models, and say what each was distilled from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True)

StoreOption = Annotated[
    Path, typer.Option("--store", envvar="MASHBILL_STORE", help="Directory of the store.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
RecipeArgument = Annotated[str, typer.Argument(help="Recipe file, or the name of a shipped one.")]
NameArgument = Annotated[str, typer.Argument(help="NAME or NAME@VERSION.")]
DEFAULT_STORE = Path("store")


def recipe_path(text: str) -> Path:
    """Return the recipe file that an argument means: a path, or a name shipped with the package."""
    path = Path(text)
    if path.exists() or path.suffix:
        return path
    shipped = Path(str(resources.files("mashbill") / "recipes"))
    if not shipped.is_dir():
        shipped = Path(__file__).parents[2] / "recipes"  # an editable install
    found = shipped / f"{text}.toml"
    if not found.exists():
        names = ", ".join(sorted(item.stem for item in shipped.glob("*.toml")))
        msg = f"{text!r} is neither a recipe file nor a shipped recipe ({names})"
        raise RecipeError(msg)
    return found


@app.command()
def plan(
    recipe: RecipeArgument,
    store: StoreOption = DEFAULT_STORE,
    teacher: Annotated[
        str | None,
        typer.Option(help="Plan with PROVIDER:MODEL for every teacher; nothing is asked."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show order, counts, time and price, and what each step would put on the bill."""
    loaded = load_recipe(recipe_path(recipe))
    kept = Store(store) if (store / LEDGER).exists() else None
    if teacher is not None:
        loaded = planning.with_teacher(loaded, parse_teacher(teacher))
    made = planning.build(loaded, kept, supposed=teacher is not None)
    if as_json:
        out.print_json(json.dumps(made.as_json()))
    else:
        print_plan(made)


@app.command()
def run(
    recipe: RecipeArgument,
    store: StoreOption = DEFAULT_STORE,
    threads: Annotated[int, typer.Option(help="Processor threads.", min=1)] = os.cpu_count() or 1,
    cache: Annotated[
        Path | None, typer.Option(help="Where fetched files are kept.", envvar="MASHBILL_CACHE")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe; what is done already is left as it is. Ends with a report."""
    loaded = load_recipe(recipe_path(recipe))
    opened = Store(store, Signer.default())
    made = planning.build(loaded, opened)
    display = Quiet() if as_json else display_for(out)
    done = execute(made, opened, Execution(cache or default_cache(), threads, display))
    result = next(item.manifest for item in done if item.name == loaded.result)
    page = write_report(
        opened, result, store / "reports" / f"{result.ref}.html", title=loaded.recipe.title
    )
    evaluation = next(
        (item.manifest.measures for item in done if "systems" in item.manifest.measures), None
    )
    verdicts = judge_all(NodeTable.of(opened, result))
    if as_json:
        stages = [
            {
                "name": item.name,
                "artifact": str(item.manifest.ref),
                "digest": item.manifest.digest,
                "was_cached": item.was_cached,
                "seconds": round(item.seconds, 3),
                "calls": item.calls,
                "tokens": item.tokens,
            }
            for item in done
        ]
        out.print_json(
            json.dumps(
                {
                    "stages": stages,
                    "evaluation": evaluation,
                    "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
                    "report": str(page),
                }
            )
        )
        return
    out.print()
    print_evaluation(evaluation)
    print_verdicts(verdicts, str(result.ref))
    out.print(f"Report: {page}", highlight=False, soft_wrap=True)


@app.command("bill")
def bill_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    definition: Annotated[
        list[str] | None,
        typer.Option(help="A, B, C, all, or a TOML file; may be given more than once."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what an artifact was distilled from, and what each definition concludes."""
    opened = Store(store)
    manifest = opened.find(name)
    table = NodeTable.of(opened, manifest)
    wanted = SHIPPED if not definition or definition == ["all"] else tuple(definition)
    lines, verdicts = bill(table), judge_all(table, wanted)
    if as_json:
        out.print_json(
            json.dumps(
                {
                    "artifact": str(manifest.ref),
                    "digest": manifest.digest,
                    "bill": [line.as_json() for line in lines],
                    "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
                }
            )
        )
        return
    print_bill(lines, str(manifest.ref))
    print_verdicts(verdicts, str(manifest.ref))


@app.command()
def trace(
    name: NameArgument,
    row: Annotated[int, typer.Option(help="Row, from 0; of a model, of its training set.")],
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Walk from one record back to the teacher's call and the human text."""
    opened = Store(store)
    hop = Tracer(opened, Journal.of(opened)).trace(name, row)
    if as_json:
        out.print_json(json.dumps(hop.as_json()))
    else:
        out.print(hop_tree(hop))


@app.command()
def audit(
    store: StoreOption = DEFAULT_STORE,
    signer: Annotated[
        str | None, typer.Option(help="Only entries of this key id are accepted.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that everything in a store agrees with its ledger."""
    result = Auditor(store, signer).run()
    if as_json:
        findings = [
            {"file": item.file, "entry": item.entry, "what": item.what} for item in result.findings
        ]
        out.print_json(json.dumps({"holds": result.holds, "findings": findings,
                                   "entries": result.entries, "records": result.records,
                                   "calls": result.calls, "signers": result.signers}))  # fmt: skip
    else:
        for item in result.findings:
            out.print(f"[red]✗[/] {escape(str(item))}", highlight=False, soft_wrap=True)
        out.print(
            f"{'holds' if result.holds else f'{len(result.findings)} found'}: "
            f"{result.entries:,} entries, {result.files:,} files, {result.records:,} records, "
            f"{result.calls:,} teacher calls; signed by "
            f"{', '.join(key[:16] for key in result.signers) or 'nobody'}",
            highlight=False,
            soft_wrap=True,
        )
    if not result.holds:
        raise typer.Exit(1)


@app.command()
def report(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write.")] = None,
) -> None:
    """Write one HTML file about an artifact; it opens offline."""
    opened = Store(store)
    manifest = opened.find(name)
    page = write_report(opened, manifest, to or store / "reports" / f"{manifest.ref}.html")
    out.print(str(page), highlight=False, soft_wrap=True)


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
            "?" if stage.calls is None else f"{stage.calls:,}" if stage.calls else "",
            "" if stage.calls == 0 else _price(stage),
            adds,
        )
    out.print(table)
    todo = [stage for stage in made.stages if stage.status != "done"]
    unsaid = [stage.name for stage in todo if stage.seconds is None]
    uncounted = [stage.name for stage in todo if stage.calls is None]
    unpriced = [stage.name for stage in todo if stage.price is None]
    calls = sum(stage.calls or 0 for stage in todo)
    seconds = sum(stage.seconds or 0 for stage in todo)
    parts = [f"About {seconds:,.0f} s on two cores" + (" for the rest" if unsaid else "")]
    if unsaid:
        parts.insert(0, f"Time not known: {', '.join(unsaid)}")
    parts.append(f"at most {calls:,} teacher calls")
    if uncounted:
        parts.append(f"and those of {', '.join(uncounted)}, not known before the data is read")
    if unpriced:
        parts.append(f"no price known for {', '.join(unpriced)}")
    out.print("; ".join(parts) + ".", highlight=False, soft_wrap=True)
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


def _price(stage: planning.PlannedStage) -> str:
    return "no price known" if stage.price is None else f"${stage.price:.2f}"


def _about(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:,.1f}"


def print_evaluation(evaluation: dict[str, Any] | None) -> None:
    """Print the systems' accuracies, or that there are no human labels to compare with."""
    if evaluation is None:
        out.print("No evaluation: the recipe has no evaluate stage, so no human labels were used.")
        return
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


def print_bill(lines: list[Line], name: str) -> None:
    """Print a bill."""
    table = Table(title=f"Bill of {name}", title_justify="left")
    for column in ("source", "kind", "route", "licence", "through", "share", "depth"):
        table.add_column(column)
    for summary in summarised(lines):
        line = summary.line
        low, high = line.share
        table.add_row(
            line.source.title,
            line.source.kind,
            line.source.route,
            line.source.license or "not recorded",
            "; ".join(summary.routes),
            f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}",
            str(line.depth),
        )
    out.print(table)
    out.print(
        "A share is the part of the tokens in records that the source reached by that route, so "
        "shares overlap. Routes are divided by ';'; 'a + b' took both channels. What reached this "
        "through a model, the texts that it learned from too, stands at depth 2 or more.",
        style="dim",
        highlight=False,
    )


def print_verdicts(pairs: list[tuple[Verdict, Verdict]], name: str) -> None:
    """Print each definition's conclusions with the path that decides, and what is unknown."""
    table = Table(title=f"Is it distilled? {name}", title_justify="left")
    for column in ("definition", "from a closed model", "from any model", "path that decides"):
        table.add_column(column)
    for closed, any_model in pairs:
        decided = closed if closed.path else any_model
        steps = " <- ".join(f"{step.channel.value}: {step.what}" for step in decided.path)
        table.add_row(
            f"{closed.definition.name} {closed.definition.title}",
            _conclusion(closed),
            _conclusion(any_model),
            steps or "none",
        )
    out.print(table)
    for unknown in sorted({item for closed, _ in pairs for item in closed.unknown}):
        out.print(f"Unknown: {unknown}", highlight=False)


def _conclusion(verdict: Verdict) -> str:
    return verdict.conclusion + (f", depth {verdict.depth}" if verdict.depth else "")


def hop_tree(hop: Hop, tree: Tree | None = None) -> Tree:
    """Return a trace as a tree for the terminal."""
    facts = "; ".join(f"{key}: {_fact(value)}" for key, value in hop.facts.items())
    kind = "" if hop.kind == "row" else f" [dim]{hop.kind}[/]"
    label = f"[bold]{escape(hop.what)}[/]{kind}" + (f"\n{escape(facts)}" if facts else "")
    branch = Tree(label, highlight=False) if tree is None else tree.add(label, highlight=False)
    for other in hop.behind:
        hop_tree(other, branch)
    return branch


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).split())


def main() -> None:
    """Run the command line; a deliberate error is told in plain words, without a traceback."""
    try:
        app()
    except MashbillError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        err.print("Stopped. Run the same command again to go on from here.")
        raise SystemExit(130) from None
