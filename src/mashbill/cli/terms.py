"""Commands about texts: terms list, show and diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    AsOfOption,
    JsonOption,
    StoreOption,
    TermsOption,
    app,
    out,
    parse_day,
    print_json,
)
from mashbill.cli.printing import stacked, table
from mashbill.cli.show_terms import binding, print_changes, print_document, print_list
from mashbill.core.errors import InputError
from mashbill.core.store import LEDGER
from mashbill.lineage.subject import is_public
from mashbill.policy.documents import Route, load_registry

if TYPE_CHECKING:
    from datetime import date

    from mashbill.policy.documents import Document, Registry
    from mashbill.workspace.otherwise import Otherwise

terms_app = typer.Typer(help="Terms and licences, as of a day.", no_args_is_help=True)
app.add_typer(terms_app, name="terms")

RouteOption = Annotated[
    str | None, typer.Option(help=f"Only what binds this way: {', '.join(get_args(Route))}.")
]


@terms_app.command("list")
def list_command(
    name: Annotated[str | None, typer.Argument(help="Provider; all if absent.")] = None,
    route: RouteOption = None,
    as_of: AsOfOption = None,
    terms: TermsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the documents that are known: whom each binds, and which text of it holds on a day."""
    registry = load_registry(terms or ())
    way = _route(route)
    found = [
        document
        for document in (registry.documents if name is None else _of(registry, name))
        if way is None or way in document.routes
    ]
    if as_json:
        print_json([document.model_dump(mode="json") for document in found])
        return
    print_list(found, parse_day(as_of))


def _route(text: str | None) -> Route | None:
    if text is None:
        return None
    for route in get_args(Route):
        if text == route:
            return route  # type: ignore[no-any-return]
    msg = f"--route {text!r} is no way to reach a model; they are {', '.join(get_args(Route))}"
    raise InputError(msg)


def _of(registry: Registry, name: str) -> list[Document]:
    provider = registry.provider(name)
    if provider is None:
        msg = f"no provider {name!r}; providers are {_providers(registry)}"
        raise InputError(msg)
    return [item for item in registry.documents if item.provider == provider.name]


def _providers(registry: Registry) -> str:
    return ", ".join(sorted({item.provider for item in registry.documents}))


@terms_app.command("show")
def show_command(
    name: Annotated[
        str, typer.Argument(help="Document, provider, or model as OWNER/NAME or hf:OWNER/NAME.")
    ],
    route: RouteOption = None,
    as_of: AsOfOption = None,
    terms: TermsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a document, a provider's documents, or those on a model say on a day."""
    registry = load_registry(terms or ())
    day, way = parse_day(as_of), _route(route)
    document = registry.document(name)
    if document is not None and way is None:
        found = [document]
    elif registry.provider(name) is not None:
        found = [item for item in _of(registry, name) if way is None or way in item.routes]
    elif is_public(name) or "/" in name:
        owner, _, model = name.removeprefix("hf:").partition("/")
        found = registry.governing(owner, model, way or "weights", day)
    else:
        found = []
    if not found:
        here = f" by the route {way} (a router or host is asked for by its own name)" if way else ""
        msg = (
            f"no document, provider or model {name!r} has a text{here}; "
            f"providers are {_providers(registry)}"
        )
        raise InputError(msg)
    if as_json:
        print_json(
            [
                {
                    "document": item.id,
                    "binds": binding(item),
                    "version": version.model_dump(mode="json") if version else None,
                }
                for item in found
                for version in [item.on(day)]
            ]
        )
        return
    for item in found:
        print_document(item, day)


@terms_app.command("diff")
def diff_command(
    first: Annotated[str, typer.Option("--from", help="Day, YYYY-MM-DD.")],
    second: Annotated[str | None, typer.Option("--to", help="Day; today if absent.")] = None,
    store: StoreOption = DEFAULT_STORE,
    terms: TermsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which texts began between two days, and which artifacts are decided otherwise."""
    registry = load_registry(terms or ())
    one, two = parse_day(first), parse_day(second)
    if two < one:
        msg = f"--from {one} lies after --to {two}; turn them round"
        raise InputError(msg)
    changes = registry.changes(one, two)
    anew = workspace(store).decided_otherwise(one, two, terms=terms or ())
    if as_json:
        print_json(
            {
                "from": one.isoformat(),
                "to": two.isoformat(),
                "documents": [change.as_json() for change in changes if change.after],
                "ended": [change.as_json() for change in changes if not change.after],
                "artifacts": [
                    {
                        "artifact": item.name,
                        "before": item.before.outcome,
                        "after": item.after.outcome,
                        "changed": [
                            [a and a.as_json(), b and b.as_json()] for a, b in item.differing
                        ],
                    }
                    for item in anew
                ],
            }
        )
        return
    print_changes(changes, one, two)
    _print_anew(anew, one, two, store)


def _print_anew(anew: list[Otherwise], one: date, two: date, store: Path) -> None:
    if not anew:
        where = store if (store / LEDGER).exists() else f"{store}, which is not there"
        out.say(f"No artifact of {where} is decided otherwise.")
        return
    listing = table(
        "artifact",
        f"on {one}",
        f"on {two}",
        "because",
        title="Artifacts that are decided otherwise",
    )
    for item in anew:
        why = [
            f"{b.clause or b.rule}: {b.because}" if b else f"no longer: {a.because}" if a else ""
            for a, b in item.differing
        ]
        told = stacked(dict.fromkeys(why))
        listing.add_row(item.name, item.before.outcome, item.after.outcome, told)
    out.print(listing)
