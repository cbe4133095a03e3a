"""Commands about terms and rules: check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from mashbill.cli.decided import print_decided
from mashbill.cli.ending import EXIT
from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    COUNTED_CLAIMS,
    DEFAULT_STORE,
    AsOfOption,
    CatalogueOption,
    ClaimsOption,
    JsonOption,
    NameArgument,
    RulesOption,
    StoreOption,
    TermsOption,
    app,
    parse_claims,
    parse_day,
    print_json,
)
from mashbill.core.errors import InputError
from mashbill.core.store import write_atomically
from mashbill.core.use import Use
from mashbill.policy.formats import to_junit, to_sarif

SarifOption = Annotated[Path | None, typer.Option(help="SARIF file to write, for CI.")]
JunitOption = Annotated[Path | None, typer.Option(help="JUnit file to write, for CI.")]
_USE = {
    "purpose": "product, internal, research or evaluation",
    "distribution": "private, service or public",
}


def use_of(**given: Any) -> dict[str, Any]:
    """Return what options declare of a use; None leaves a fact as its run declared it.

    Raises:
        InputError: if an option has a value that cannot be.
    """
    try:
        Use().changed(given)
    except ValidationError as error:
        item = error.errors()[0]
        key = str(item["loc"][0])
        msg = f"--{key.replace('_', '-')} {item['input']!r}: {_USE.get(key, item['msg'])}"
        raise InputError(msg) from error
    return given


@app.command("check")
def check_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    rules: RulesOption = None,
    terms: TermsOption = None,
    catalogue: CatalogueOption = None,
    claims: ClaimsOption = COUNTED_CLAIMS,
    purpose: Annotated[str | None, typer.Option(help=_USE["purpose"])] = None,
    distribution: Annotated[str | None, typer.Option(help=_USE["distribution"])] = None,
    commercial: Annotated[
        bool | None, typer.Option("--commercial/--non-commercial", help="Whether it earns money.")
    ] = None,
    competes_with: Annotated[
        list[str] | None,
        typer.Option(help="Provider it competes with; `none` says: with nobody."),
    ] = None,
    published_name: Annotated[str | None, typer.Option(help="Name others get it under.")] = None,
    license: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="Licence others get it under, as SPDX writes it.")
    ] = None,
    sarif: SarifOption = None,
    junit: JunitOption = None,
    every: Annotated[bool, typer.Option("--all", help="Show what is allowed, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Decide an artifact again: terms, licences, house rules. Exit 0 allow, 1 deny, 3 review."""
    competes = None
    if competes_with is not None:
        competes = [] if competes_with == ["none"] else competes_with
    use = use_of(
        purpose=purpose, distribution=distribution, commercial=commercial,
        competes_with=competes, published_name=published_name, license=license,
    )  # fmt: skip
    checked = workspace(store, catalogue=catalogue).check(
        name,
        as_of=parse_day(as_of),
        terms=terms or (),
        rules=rules or (),
        claims=parse_claims(claims),
        **use,
    )
    decided = checked.decided
    if sarif is not None:
        _write(to_sarif(decided.decisions, checked.artifact), sarif)
    if junit is not None:
        _write(to_junit(decided.decisions, checked.artifact), junit)
    if as_json:
        print_json(checked.as_json())
    else:
        print_decided(decided, every=every)
    raise typer.Exit(EXIT[decided.outcome])


def _write(text: str, to: Path) -> None:
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(to, text.encode())
    except OSError as error:
        msg = f"{to}: cannot be written: {error.strerror}"
        raise InputError(msg) from error
