"""Commands that plan, run and report.

The executor and the page are imported where they are used: a bill needs neither.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mashbill import plan as planning
from mashbill.cli.decided import print_decided
from mashbill.cli.ending import STOPPED
from mashbill.cli.opening import open_store
from mashbill.cli.options import (
    DEFAULT_STORE,
    AllowOption,
    AsOfOption,
    JsonOption,
    NameArgument,
    RecipeArgument,
    RulesOption,
    StoreOption,
    TermsOption,
    app,
    err,
    out,
    parse_day,
    print_json,
    recipe_path,
)  # fmt: skip
from mashbill.cli.show import print_plan, print_reckoning, print_verdicts
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.client.budget import Caps
from mashbill.core import checkpoint
from mashbill.core.errors import InputError, MashbillError
from mashbill.core.ledger import Signer
from mashbill.core.reasons import plain
from mashbill.core.recipe import load_recipe
from mashbill.core.stage import WARNINGS
from mashbill.core.store import LEDGER, Store
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.policy.documents import load_registry
from mashbill.policy.house import load_rules

if TYPE_CHECKING:
    from mashbill.core.marks import Contradiction
    from mashbill.core.recipe import Recipe
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule
    from mashbill.run.executor import Done, Execution
    from mashbill.run.foreseen import Foreseen
    from mashbill.run.permission import Permit

_REASONS = 10  # of a stage's rejected rows, for a program
_WARNING = 1200  # characters


@app.command()
def plan(
    recipe: RecipeArgument,
    store: StoreOption = DEFAULT_STORE,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Plan with SERVICE:MODEL, or hf:OWNER/NAME, for every teacher; nothing is asked."
        ),
    ] = None,
    as_of: AsOfOption = None,
    terms: TermsOption = None,
    rules: RulesOption = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show order, counts, time and price, what goes on the bill, and what terms say to it."""
    from mashbill.teachers.api import parse_teacher

    loaded = load_recipe(recipe_path(recipe), allow or ())
    kept = Store(store) if (store / LEDGER).exists() else None
    if teacher is not None:
        loaded = planning.with_teacher(loaded, parse_teacher(teacher))
    made = planning.build(loaded, kept, supposed=teacher is not None)
    found = _foreseen(made, None)
    decided = decide_plan(made, as_of, terms, rules)
    if as_json:
        warnings = [item.as_json() for item in found]
        print_json({**made.as_json(), "policy": decided.as_json(), "warnings": warnings})
    else:
        from mashbill.run.needing import lacking
        from mashbill.run.permission import prompt_findings

        print_plan(made)
        _warn(found)
        absent = lacking(made)
        if absent is not None:
            err.say(("not installed", "red"), f" {absent}")
        for finding in prompt_findings(loaded):
            err.say(("a run will refuse", "red"), f" {finding}")
        print_decided(decided)


def _foreseen(made: planning.Plan, cache: Path | None) -> list[Foreseen]:
    """Return what will cost the stages that are to run answers."""
    from mashbill.core.cache import default_cache
    from mashbill.run.foreseen import foresee

    names = [stage.name for stage in made.stages if stage.status != "done"]
    return foresee(made.recipe, names, cache or default_cache())


def _warn(found: list[Foreseen]) -> None:
    for item in found:
        err.say(("warning:", "yellow"), f" {plain(str(item), _WARNING)}")


def decide_plan(
    made: planning.Plan, as_of: str | None, terms: list[Path] | None, rules: list[Path] | None
) -> Decided:
    """Return what terms, licences and house rules say to a plan: the recipe's own files first."""
    return made.decide(recipe_registry(made, terms), parse_day(as_of), recipe_rules(made, rules))


def recipe_rules(made: planning.Plan, rules: list[Path] | None) -> list[HouseRule]:
    """Return house rules: the recipe's own, and those that an option names."""
    own = [made.recipe.folder / name for name in made.recipe.policy.rules]
    return load_rules([*own, *(rules or ())])


def recipe_registry(made: planning.Plan, terms: list[Path] | None) -> Registry:
    """Return terms: the shipped ones, the recipe's own, and those that an option names."""
    own = [made.recipe.folder / name for name in made.recipe.policy.terms]
    return load_registry([*own, *(terms or ())])


@app.command()
def run(
    recipe: RecipeArgument,
    store: StoreOption = DEFAULT_STORE,
    threads: Annotated[int, typer.Option(help="Processor threads.", min=1)] = os.cpu_count() or 1,
    cache: Annotated[
        Path | None, typer.Option(help="Where fetched files are kept.", envvar="MASHBILL_CACHE")
    ] = None,
    terms: TermsOption = None,
    rules: RulesOption = None,
    allow: AllowOption = None,
    accept_review: Annotated[
        str | None,
        typer.Option(help="Who answers for going on although the plan wants review."),
    ] = None,
    override_lint: Annotated[
        str | None,
        typer.Option(help="Who answers for prompts that the linter stops."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; it goes into the ledger with the name.")
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option(help="Hard cap in US dollars, over all runs in it.", min=0),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Hard cap in tokens.", min=0)] = None,
    max_calls: Annotated[int | None, typer.Option(help="Hard cap in calls.", min=0)] = None,
    earlier_terms: Annotated[
        bool,
        typer.Option("--earlier-terms", help="Take answers bought under other versions of terms."),
    ] = False,
    go_on_rejected: Annotated[
        bool,
        typer.Option(
            "--go-on-rejected",
            "--yes",
            help="Buy on where a service's first answers are rejected, or cut off.",
        ),
    ] = False,
    teacher: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe; what is done already is left as it is. Ends with a report."""
    from mashbill.core.cache import default_cache
    from mashbill.report import write_report
    from mashbill.run.display import Quiet, display_for
    from mashbill.run.executor import Execution
    from mashbill.run.permission import Acceptance, permit_plan

    if teacher is not None:
        msg = (
            f"--teacher {teacher!r}: `plan` can suppose another teacher; a run asks those of the "
            "recipe, so write it there: [teachers.NAME] with kind = 'api', provider and model"
        )
        raise InputError(msg)
    loaded = load_recipe(recipe_path(recipe), allow or ())
    signer = Signer.default()
    opened = Store(store, signer)
    made = planning.build(loaded, opened)
    if (accept_review is None and override_lint is None) != (reason is None):
        msg = "--accept-review or --override-lint NAME and --reason TEXT belong together"
        raise InputError(msg)
    accepted = Acceptance(accept_review, reason) if accept_review and reason else None
    answered = Acceptance(override_lint, reason) if override_lint and reason else None
    registry, house = recipe_registry(made, terms), recipe_rules(made, rules)
    permit = permit_plan(made, opened, registry, parse_day(None), house, accepted, answered)
    found = _foreseen(made, cache)
    if not as_json:
        _warn(found)
    display = Quiet() if as_json else display_for(out)
    execution = Execution(
        cache or default_cache(),
        threads,
        display,
        caps=_caps(loaded, max_usd, max_tokens, max_calls),
        earlier_terms=earlier_terms,
        go_on_rejected=go_on_rejected,
    )
    try:
        done = _executed(permit, opened, execution, signer)
    except KeyboardInterrupt:
        err.say(STOPPED)
        raise typer.Exit(130) from None
    except MashbillError as error:
        if as_json and error.failed:
            print_json(
                {"failed": dict(error.failed), "not_made": dict(error.not_made),
                 "made": [str(manifest.ref) for manifest in opened.manifests()],
                 "services": display.reckoning.as_json()}
            )  # fmt: skip
        raise
    finally:
        if not as_json:  # what was spent is told of a run that stopped, too
            print_reckoning(display.reckoning)
    result = next(item.manifest for item in done if item.name == loaded.result)
    page = write_report(
        opened, result, store / "reports" / f"{result.ref}.html", title=loaded.recipe.title
    )
    evaluations = [
        (item.name, item.manifest.measures) for item in done if "systems" in item.manifest.measures
    ]
    verdicts = judge_all(Circuit.of_artifact(opened, result))
    if as_json:
        stages = [
            {
                "name": item.name,
                "artifact": str(item.manifest.ref),
                "digest": item.manifest.digest,
                "was_cached": item.was_cached,
                "seconds": round(item.seconds, 3),
                "rejected_rows": item.manifest.rejected_rows,
                "rejected": [
                    {"rows": each.rows, "reason": each.reason} for each in item.rejected[:_REASONS]
                ],
                "calls": item.calls,
                "tokens": item.tokens,
                "usd": item.usd,
                "warnings": item.manifest.measures.get(WARNINGS, []),
                "contradicted": told.says if (told := _contradicted(opened, item)) else None,
                "services": display.reckoning.stage_json(item.name),
            }
            for item in done
        ]
        print_json(
            {
                "stages": stages,
                "warnings": [item.as_json() for item in found],
                "services": display.reckoning.as_json(),
                "evaluation": evaluations[0][1] if evaluations else None,
                "evaluations": dict(evaluations),
                "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
                "report": str(page),
            }
        )
        return
    out.print()
    print_evaluations(evaluations)
    print_verdicts(verdicts, str(result.ref))
    out.say(f"Report: {page}")


def _contradicted(opened: Store, item: Done) -> Contradiction | None:
    """Return what speaks against the origin that was declared of what a stage made."""
    from mashbill.lineage.circuit.contradicted import told_of

    return told_of(opened, str(item.manifest.ref))


def _executed(permit: Permit, opened: Store, execution: Execution, signer: Signer) -> list[Done]:
    """Run a plan, and keep a checkpoint outside of the store however that ends."""
    from mashbill.run.executor import execute

    try:
        done = execute(permit, opened, execution)
    except BaseException:
        with suppress(MashbillError, OSError):  # what ended the run is what is to be told
            checkpoint.keep(opened.root, signer)
        raise
    checkpoint.keep(opened.root, signer)
    return done


def _caps(loaded: Recipe, usd: float | None, tokens: int | None, calls: int | None) -> Caps:
    """Return the caps: of the options, or else of the recipe."""
    budget = loaded.budget
    return Caps(
        budget.usd if usd is None else usd,
        budget.tokens if tokens is None else tokens,
        budget.calls if calls is None else calls,
    )


@app.command()
def report(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write.")] = None,
) -> None:
    """Write one HTML file about an artifact; it opens offline."""
    from mashbill.report import write_report

    opened = open_store(store)
    manifest = opened.find(name)
    page = write_report(opened, manifest, to or store / "reports" / f"{manifest.ref}.html")
    out.say(str(page))
