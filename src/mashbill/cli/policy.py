"""Commands about terms and rules: check, and terms show, list and diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from mashbill.cli.decided import print_decided, print_document
from mashbill.cli.ending import EXIT
from mashbill.cli.options import (
    COUNTED_CLAIMS,
    DEFAULT_STORE,
    AsOfOption,
    CatalogOption,
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
)  # fmt: skip
from mashbill.cli.printing import stacked, table
from mashbill.cli.subjects import Subject, is_public, own_subject, public_subject
from mashbill.core.errors import InputError
from mashbill.core.store import LEDGER, Store, write_atomically
from mashbill.core.use import Use
from mashbill.lineage.decisions import differing
from mashbill.policy.documents import load_registry
from mashbill.policy.formats import to_junit, to_sarif
from mashbill.policy.house import load_rules

if TYPE_CHECKING:
    from datetime import date

    from mashbill.lineage.decisions import Decided

terms_app = typer.Typer(help="Terms and licences, as of a day.", no_args_is_help=True)
app.add_typer(terms_app, name="terms")

SarifOption = Annotated[Path | None, typer.Option(help="SARIF file to write, for CI.")]
JunitOption = Annotated[Path | None, typer.Option(help="JUnit file to write, for CI.")]
_USE = {
    "purpose": "product, internal, research or evaluation",
    "distribution": "private, service or public",
}


def use_of(base: Use, **given: Any) -> Use:
    """Return a declared use with options in place of what was declared.

    Raises:
        InputError: if an option has a value that cannot be.
    """
    try:
        return base.changed(given)
    except ValidationError as error:
        item = error.errors()[0]
        key = str(item["loc"][0])
        msg = f"--{key.replace('_', '-')} {item['input']!r}: {_USE.get(key, item['msg'])}"
        raise InputError(msg) from error


@app.command("check")
def check_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    rules: RulesOption = None,
    terms: TermsOption = None,
    catalog: CatalogOption = None,
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
    if is_public(name):
        subject = public_subject(name, parse_claims(claims), catalog or ())
    else:
        subject = own_subject(name, store)
    competes = None
    if competes_with is not None:
        competes = [] if competes_with == ["none"] else competes_with
    use = use_of(
        subject.use, purpose=purpose, distribution=distribution, commercial=commercial,
        competes_with=competes, published_name=published_name, license=license,
    )  # fmt: skip
    decided = subject.decide(
        load_registry(terms or ()), parse_day(as_of), use, load_rules(rules or ()), is_release=True
    )
    if sarif is not None:
        _write(to_sarif(decided.decisions, subject.name), sarif)
    if junit is not None:
        _write(to_junit(decided.decisions, subject.name), junit)
    if as_json:
        print_json({"artifact": subject.name, **decided.as_json()})
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


@terms_app.command("list")
def list_command(terms: TermsOption = None, as_json: JsonOption = False) -> None:
    """List the documents that are known, with their versions."""
    registry = load_registry(terms or ())
    if as_json:
        print_json([document.model_dump(mode="json") for document in registry.documents])
        return
    told = table("document", "provider", "title", "routes", "licence", "versions from")
    for document in sorted(registry.documents, key=lambda d: (d.provider, d.id)):
        begins = [str(v.begins or "unknown") for v in document.versions]
        told.add_row(document.id, document.provider, document.title, ", ".join(document.routes),
                     document.license or "", ", ".join(begins))  # fmt: skip
    out.print(told)


@terms_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="Document, provider, or model as hf:OWNER/NAME.")],
    as_of: AsOfOption = None,
    terms: TermsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a document, a provider's documents, or a model's licence say on a day."""
    registry = load_registry(terms or ())
    day = parse_day(as_of)
    provider = registry.provider(name)
    document = registry.document(name)
    if document is not None:
        found = [document]
    elif provider is not None:
        found = [item for item in registry.documents if item.provider == provider.name]
    elif is_public(name) or "/" in name:
        owner, _, model = name.removeprefix("hf:").partition("/")
        found = registry.governing(owner, model, "weights", day)
    else:
        found = []
    if not found:
        names = ", ".join(sorted({item.provider for item in registry.documents}))
        msg = f"no document, provider or licensed model {name!r}; providers are {names}"
        raise InputError(msg)
    if as_json:
        print_json([
            {
                "document": item.id,
                "version": version.model_dump(mode="json") if version else None,
            }
            for item in found for version in [item.on(day)]
        ])  # fmt: skip
        return
    for item in found:
        print_document(item, item.on(day))


@terms_app.command("diff")
def diff_command(
    first: Annotated[str, typer.Option("--from", help="Day, YYYY-MM-DD.")],
    second: Annotated[str | None, typer.Option("--to", help="Day; today if absent.")] = None,
    store: StoreOption = DEFAULT_STORE,
    terms: TermsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which texts changed between two days, and which artifacts are decided otherwise."""
    registry = load_registry(terms or ())
    one, two = parse_day(first), parse_day(second)
    changed = [
        (document, before, after)
        for document in registry.documents
        for before, after in [(document.on(one), document.on(two))]
        if before != after
    ]
    anew: list[tuple[Subject, Decided, Decided]] = []
    if (store / LEDGER).exists():
        for manifest in {m.ref: m for m in Store(store).manifests()}.values():
            subject = own_subject(str(manifest.ref), store)
            pair = [subject.decide(registry, day, subject.use) for day in (one, two)]
            if differing(pair[0], pair[1]):
                anew.append((subject, pair[0], pair[1]))
    if as_json:
        print_json(
            {
                "from": one.isoformat(),
                "to": two.isoformat(),
                "documents": [
                    {"document": d.id, "before": _begins(a), "after": _begins(b)}
                    for d, a, b in changed
                ],
                "artifacts": [
                    {
                        "artifact": subject.name,
                        "before": before.outcome,
                        "after": after.outcome,
                        "changed": [
                            [a and a.as_json(), b and b.as_json()]
                            for a, b in differing(before, after)
                        ],
                    }
                    for subject, before, after in anew
                ],
            }
        )
        return
    _print_changes(changed, one, two)
    _print_anew(anew, one, two, store)


def _begins(version: Any) -> str | None:
    if version is None:
        return None
    return str(version.begins or "unknown")


def _print_changes(changed: list[tuple[Any, Any, Any]], one: date, two: date) -> None:
    told = table("document", "provider", f"on {one}", f"on {two}", title="Texts that changed")
    for document, before, after in changed:
        told.add_row(document.id, document.provider, _codes(before), _codes(after))
    out.print(told)


def _codes(version: Any) -> str:
    if version is None:
        return "no text recorded"
    return f"{_begins(version)}: {', '.join(clause.code for clause in version.clauses)}"


def _print_anew(
    anew: list[tuple[Subject, Decided, Decided]], one: date, two: date, store: Path
) -> None:
    if not anew:
        where = store if (store / LEDGER).exists() else f"{store}, which is not there"
        out.say(f"No artifact of {where} is decided otherwise.")
        return
    told = table(
        "artifact", f"on {one}", f"on {two}", "because",
        title="Artifacts that are decided otherwise",
    )  # fmt: skip
    for subject, before, after in anew:
        why = [
            f"{b.clause or b.rule}: {b.because}" if b else f"no longer: {a.because}" if a else ""
            for a, b in differing(before, after)
        ]
        told.add_row(subject.name, before.outcome, after.outcome, stacked(dict.fromkeys(why)))
    out.print(told)
