"""Printing texts for people: whom they bind, since when, and who looked at them when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.cli.printing import stacked, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from mashbill.policy.clauses import Clause
    from mashbill.policy.documents import Change, Document, Version


def binding(document: Document) -> str:
    """Return whom a document binds: the ways of reaching a model, and which models."""
    models = "all models" if document.models == ("*",) else ", ".join(document.models)
    but = f" but {', '.join(document.except_models)}" if document.except_models else ""
    days = [
        f"{word} {day}"
        for word, day in (("from", document.models_from), ("until", document.models_until))
        if day
    ]
    return f"{', '.join(document.routes)}: {' '.join([models + but, *days])}"


def print_list(documents: Iterable[Document], day: date) -> None:
    """Print a line a document, by provider."""
    listing = table(
        "provider", "document", "title", "binds", f"in force on {day}", "texts",
        "last looked at",
        caption="Where nothing is in force, no text of that day is recorded: what held then is not "
        "known. Second hand: read in somebody else's text, and to be checked against the original. "
        "`mashbill terms show DOCUMENT` has the clauses.",
    )  # fmt: skip
    shown = ""
    for document in sorted(documents, key=_by_provider):
        version = document.on(day)
        listing.add_row(
            document.provider if document.provider != shown else "",
            document.id,
            document.title,
            binding(document),
            since(version) if version else "nothing",
            str(len(document.versions)),
            _looked_at(version or document.versions[-1]),
        )
        shown = document.provider
    out.print(listing)


def since(version: Version) -> str:
    """Return from when a text holds, and how that is known."""
    if version.effective_from:
        return f"{version.effective_from}"
    if version.certain_from:
        return f"{version.certain_from} at the latest"
    if version.begins:
        return f"seen {version.begins}"
    return "day not recorded"


def _by_provider(document: Document) -> tuple[str, bool, str]:
    return document.provider.lower(), document.kind == "licence", document.id


def _looked_at(version: Version) -> str:
    day = version.observed_on or version.first_seen or "day not recorded"
    return f"{day}, second hand" if version.second_hand else str(day)


def print_document(document: Document, day: date) -> None:
    """Print what a document says on a day, and its other texts."""
    version = document.on(day)
    if version is None:
        out.say(
            f"{document.title} ({document.provider}, {document.id}): "
            f"{_not_on(document, day)} It binds {binding(document)}."
        )
        return
    end = document.ends(version)
    until = f", until {end}" if end else ""
    where = ", ".join(str(v) for v in version.pointer.model_dump(exclude_defaults=True).values())
    listing = table(
        "clause",
        "says",
        "fragment",
        "section",
        title=f"{document.title} ({document.provider}, {document.id}): {since(version)}{until}",
        caption=" ".join(
            part if part.endswith(".") else f"{part}."
            for part in (
                f"Binds {binding(document)}",
                f"Last looked at {_looked_at(version)}",
                f"Where: {where}",
                version.note,
                _others(document, version),
            )
            if part
        ),
    )
    for clause in version.clauses:
        listing.add_row(_code(clause), clause.says, clause.fragment, clause.section)
    out.print(listing)


def _not_on(document: Document, day: date) -> str:
    first = document.starts(document.versions[0])
    ended = document.ends(document.versions[-1])
    if first and day < first:
        return (
            f"no text of that day is recorded; the first is of {first}. What held on {day} is "
            "not known, which is not to say that nothing was barred."
        )
    if ended and day >= ended:
        return f"no text of that day is recorded; the last one ended on {ended}. {_note(document)}"
    return "no text of that day is recorded."


def _note(document: Document) -> str:
    return document.versions[-1].note


def _others(document: Document, version: Version) -> str:
    others = [since(other) for other in document.versions if other != version]
    return f"Its other texts: {', '.join(others)}" if others else ""


def _code(clause: Clause) -> str:
    parameters = clause.model_dump(
        mode="json", exclude_defaults=True, exclude={"code", "says", "fragment", "section"}
    )
    known = ", ".join(f"{key} {value}" for key, value in parameters.items())
    return clause.code + (f" ({known})" if known else "")


def print_changes(changes: Sequence[Change], one: date, two: date) -> None:
    """Print the texts that began or ended between two days, in the order of days."""
    if not changes:
        out.say(f"No text began or ended after {one} and up to {two}.")
        return
    listing = table("day", "document", "provider", "what changed",
                 title=f"Texts that began or ended after {one} and up to {two}")  # fmt: skip
    for change in changes:
        listing.add_row(
            str(change.day), change.document.id, change.document.provider, stacked(_changed(change))
        )
    out.print(listing)


def _changed(change: Change) -> list[str]:
    before, after = change.before, change.after
    if after is None:
        return [f"ended; {_note(change.document) or 'no text after it is recorded'}"]
    mark = " (second hand)" if after.second_hand else ""
    if before is None:
        return [f"first text{mark}: {_codes(after)}"]
    came, went = _without(after, before), _without(before, after)
    if not came and not went:
        return [f"new text{mark}, the clauses recorded are the same"]
    lines = [f"new{mark}: {clause.code}: {clause.says}" for clause in came]
    return [*lines, *(f"gone: {clause.code}: {clause.says}" for clause in went)]


def _without(version: Version, other: Version) -> list[Clause]:
    """Return the clauses of a version that another one does not have, however it words them."""
    theirs = [_meaning(clause) for clause in other.clauses]
    return [clause for clause in version.clauses if _meaning(clause) not in theirs]


def _meaning(clause: Clause) -> dict[str, Any]:
    return clause.model_dump(exclude={"says", "fragment", "section"})


def _codes(version: Version) -> str:
    return ", ".join(dict.fromkeys(clause.code for clause in version.clauses))
