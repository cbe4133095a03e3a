"""The command that writes a document for whoever signs a release: brief."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    out,
    parse_claims,
    parse_day,
    print_json,
)


@app.command("brief")
def brief_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to write to; reports/ of the store, or here, if absent."),
    ] = None,
    as_of: AsOfOption = None,
    rules: RulesOption = None,
    terms: TermsOption = None,
    catalogue: CatalogueOption = None,
    claims: ClaimsOption = COUNTED_CLAIMS,
    as_json: JsonOption = False,
) -> None:
    """Write a document for sign-off, as HTML and Markdown: licence, duties, calls, what is unknown.

    hf:OWNER/NAME is a public model or dataset, as far as the catalogue's claims go.
    """
    statuses = parse_claims(claims)
    done = workspace(store, catalogue=catalogue).brief(
        name, to, as_of=parse_day(as_of), terms=terms or (), rules=rules or (), claims=statuses
    )
    if as_json:
        print_json(done.as_json())
        return
    out.say(f"{done.artifact}, as of {done.decided.as_of}: {done.decided.outcome}")
    for path in done.written:
        out.say(str(path))
