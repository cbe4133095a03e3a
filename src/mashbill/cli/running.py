"""Commands that plan, run and report.

The executor and the page are imported where they are used: a bill needs neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mashbill.cli.decided import print_terms
from mashbill.cli.ending import STOPPED
from mashbill.cli.opening import workspace
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
)
from mashbill.cli.show import print_spend
from mashbill.cli.show_judges import judged_json
from mashbill.cli.show_plan import print_plan
from mashbill.cli.show_ran import print_all, print_ran
from mashbill.cli.show_rewards import rewards_json
from mashbill.client.budget import Caps
from mashbill.core.errors import InputError, MashbillError
from mashbill.core.launched import launched
from mashbill.core.reasons import plain
from mashbill.core.stage import WARNINGS
from mashbill.core.threads import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.core.marks import Contradiction
    from mashbill.core.recipe import Recipe
    from mashbill.run.display import Display
    from mashbill.run.execution import Done
    from mashbill.run.foreseen import Foreseen

_REASONS = 10  # of a stage's rejected rows, for a program
_WARNING = 1200  # characters


BumpOption = Annotated[
    bool,
    typer.Option(
        "--bump",
        help="Where the store has artifacts of these names made from something else: set the next "
        "version in the recipe's file first.",
    ),
]


def _bump(recipe: str, store: Path, allow: Sequence[str]) -> None:
    for stage, version in workspace(store).bump(recipe, allow=allow).items():
        err.say(f'{recipe}: {stage} has version = "{version}" now')


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
    show_all: Annotated[
        bool, typer.Option("--all", help="A line for each arm and seed of every stage.")
    ] = False,
    bump: BumpOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show order, counts, time and price, what goes on the bill, and what terms say to it."""
    if bump:
        _bump(recipe, store, allow or ())
    planned = workspace(store).plan(
        recipe,
        allow=allow or (),
        teacher=teacher,
        as_of=parse_day(as_of),
        terms=terms or (),
        rules=rules or (),
    )
    if as_json:
        print_json(planned.as_json())
        return
    from mashbill.run.needing import lacking
    from mashbill.run.permission import prompt_findings

    print_plan(planned.plan, whole=show_all)
    _warn(planned.warnings)
    absent = lacking(planned.plan)
    if absent is not None:
        err.fit(("not installed", "red"), f" {absent}")
    for finding in prompt_findings(planned.plan.recipe):
        err.fit(("a run will refuse", "red"), f" {finding}")
    print_terms(planned.decision)


def _warn(found: Iterable[Foreseen]) -> None:
    for item in found:
        err.fit(("warning:", "yellow"), f" {plain(str(item), _WARNING)}")


@app.command()
def run(
    recipe: RecipeArgument,
    store: StoreOption = DEFAULT_STORE,
    threads: Annotated[int, typer.Option(help="Processor threads.", min=1)] = usable_cores(),
    workers: Annotated[
        int,
        typer.Option(
            help="Processes that do a stage's slices side by side; no result depends on it.",
            min=1,
            max=256,
        ),
    ] = 1,
    processes: Annotated[
        int,
        typer.Option(
            help="Processes that train a model together, where its trainer can; all have the "
            "threads that one would have.",
            min=1,
            max=256,
        ),
    ] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Where fetched files are kept.", envvar="MASHBILL_CACHE")
    ] = None,
    terms: TermsOption = None,
    rules: RulesOption = None,
    allow: AllowOption = None,
    accept_review: Annotated[
        str | None,
        typer.Option(help="Name of the person who accepts the review."),
    ] = None,
    override_lint: Annotated[
        str | None,
        typer.Option(help="Name of the person who answers for prompts that the linter stops."),
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
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Make this arm of \\[arms] alone; may be given more than once."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Make this seed of \\[arms] alone; may be given more than once."),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="Also tell a tracker what trainers measure: tensorboard:FOLDER, wandb:PROJECT or "
            "mlflow:URI; may be given more than once, and no result depends on it."
        ),
    ] = None,
    teacher: Annotated[str | None, typer.Option(hidden=True)] = None,
    bump: BumpOption = False,
    full: Annotated[
        bool, typer.Option("--full", help="End with every table, and not with ten lines.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe; what is done already is left as it is. Ends with a report."""
    from mashbill.run.display import Quiet, display_for
    from mashbill.run.permission import Acceptance

    place = launched()
    if place is not None and place.rank:
        from mashbill.train.process_worker import serve

        serve(place, threads)
    if teacher is not None:
        msg = (
            f"--teacher {teacher!r}: `plan` can suppose another teacher; a run asks those of the "
            "recipe, so write it there: [teachers.NAME] with kind = 'api', provider and model"
        )
        raise InputError(msg)
    if (accept_review is None and override_lint is None) != (reason is None):
        msg = "--accept-review or --override-lint NAME and --reason TEXT belong together"
        raise InputError(msg)
    if bump:
        _bump(recipe, store, allow or ())
    space = workspace(store, cache=cache)
    planned = space.plan(recipe, allow=allow or (), terms=terms or (), rules=rules or ())
    if not as_json:
        _warn(planned.warnings)
    display, ended = Quiet() if as_json else display_for(out), False
    try:
        ran = space.run(
            planned,
            accept=Acceptance(accept_review, reason) if accept_review and reason else None,
            answer=Acceptance(override_lint, reason) if override_lint and reason else None,
            threads=threads,
            workers=workers,
            processes=processes,
            caps=_caps(planned.plan.recipe, max_usd, max_tokens, max_calls),
            display=display,
            earlier_terms=earlier_terms,
            go_on_rejected=go_on_rejected,
            arms=arm or (),
            seeds=seed or (),
            track=track or (),
        )
        if place is not None:
            from mashbill.train.process_worker import dismiss

            dismiss(place)
        ended = True
    except KeyboardInterrupt:
        err.say(STOPPED)
        raise typer.Exit(130) from None
    except MashbillError as error:
        if as_json and error.failed:
            print_json(
                {
                    "failed": dict(error.failed),
                    "not_made": dict(error.not_made),
                    "made": [item.name for item in space],
                    "services": display.spend.as_json(),
                }
            )
        raise
    finally:
        if not as_json and not ended:  # what was spent is told of a run that stopped, too
            print_spend(display.spend)
    if as_json:
        told = {item.name: item.contradiction for item in space}
        print_json(
            {
                "stages": [_stage_json(item, told, display, ran.curves(item)) for item in ran.done],
                "warnings": [item.as_json() for item in planned.warnings],
                "services": display.spend.as_json(),
                "evaluation": next((one.measures for one in ran.evaluations.values()), None),
                "evaluations": {name: one.measures for name, one in ran.evaluations.items()},
                "arms": ran.arms and ran.arms.as_json(),
                "rewards": rewards_json(ran.rewards),
                "judges": judged_json([item.manifest for item in ran.done]),
                "verdicts": [verdict.as_json() for pair in ran.verdicts for verdict in pair],
                "report": str(ran.report),
            }
        )
        return
    if full:
        print_all(ran, display.spend)
    else:
        print_ran(ran, planned, display.spend)


def _stage_json(
    item: Done,
    told: Mapping[str, Contradiction | None],
    display: Display,
    curves: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what became of a stage for a program."""
    address = str(item.manifest.ref)
    contradicted = told.get(address)
    return {
        "name": item.name,
        "artifact": address,
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
        "contradicted": contradicted.says if contradicted else None,
        "services": display.spend.stage_json(item.name),
        "training": dict(item.training),
        "curves": curves,
    }


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
    data: Annotated[
        bool, typer.Option("--data", help="Print what the data are like, and write no page.")
    ] = False,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe with \\[arms], which stand side by side on the page.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML file about an artifact; it opens offline.

    Of a dataset, or of those that a model learned from, all rows are looked at: lengths,
    duplicates, languages, labels and scores, what was rejected and why. --json prints that for a
    program.
    """
    space = workspace(store)
    if as_json:
        print_json({"data": [each.as_json() for each in space.data(name)]})
    elif data:
        from mashbill.cli.show_data import print_data

        print_data(space.data(name))
    else:
        out.say(str(space.report(name, to, recipe=recipe)))
