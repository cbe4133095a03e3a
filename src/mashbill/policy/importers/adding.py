"""Adding what was imported to a folder of one's own: new files beside the old, none changed.

The name of a file holds a digest over its content, so that the same import twice is the same file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.policy.claim_rows import read_rows, write_rows
from mashbill.policy.claims import CLAIM_COLUMNS, ENTITY_COLUMNS, Claim, Entity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic import BaseModel

    from mashbill.policy.claim_rows import Row
    from mashbill.policy.claims import Catalogue
    from mashbill.policy.importers.imported import Imported
    from mashbill.policy.relations import Role

MANY: frozenset[Role] = frozenset({"data", "prompts"})
"""roles in which a thing has many parents as a matter of course, so that another is no conflict"""


@dataclass(frozen=True)
class Conflict:
    """A question that new claims answer in another way than the catalogue; people decide."""

    child: str
    dataset: str
    """data that both name; empty for a claim that names none, and where the child is data"""
    role: Role
    imported: tuple[str, ...]
    """parents that the new claims name"""
    known: tuple[str, ...]
    """parents that the catalogue names"""

    def __str__(self) -> str:
        through = f" through {self.dataset}" if self.dataset else ""
        return (
            f"{self.role} of {self.child}{through}: imported {', '.join(self.imported)}; "
            f"known {', '.join(self.known)}"
        )


@dataclass(frozen=True)
class Added:
    """What adding did."""

    files: tuple[Path, ...]
    """files that were written; none if there was nothing new, or they are there already"""
    new_claims: int
    """claims that neither catalogue nor folder has"""
    known_claims: int
    """claims that they have, word for word"""
    new_entities: int
    """entities that they do not have, or know by their name alone"""
    conflicts: tuple[Conflict, ...]
    """see :func:`conflicts`"""


def add_to(folder: Path, imported: Imported, catalogue: Catalogue) -> Added:
    """Write what neither catalogue nor folder has yet, and change no file that is there.

    Claims go to ``claims-FORMAT-DIGEST.csv`` and entities to ``entities-FORMAT-DIGEST.csv``, with
    the first 12 digits of the SHA-256 of that file. A file of that name is left as it is.

    Args:
        folder: made if it is not there; ``load_catalogue([folder])`` reads it.
        imported: what an importer found.
        catalogue: what is known, of which the folder may be a part.

    Raises:
        InputError: if the folder cannot be written to, or a file in it is no catalogue's.
    """
    there = (*catalogue.claims, *_rows(folder, "claims*.csv", Claim))
    known = {_resolved(_as_written(claim), catalogue) for claim in there}
    claims = {claim: _resolved(claim, catalogue) for claim in map(_as_written, imported.claims)}
    new: dict[Claim, Claim] = {}
    for claim, resolved in claims.items():
        if resolved not in known:  # of those that are equal once aliases are replaced, the first
            known.add(resolved)
            new[claim] = resolved
    described = set(_rows(folder, "entities*.csv", Entity))
    entities = [e for e in imported.entities if e not in described and _adds(e, catalogue)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [
            _write(folder, f"entities-{imported.format}", entities, ENTITY_COLUMNS),
            _write(folder, f"claims-{imported.format}", new, CLAIM_COLUMNS),
        ]
    except (OSError, UnicodeEncodeError) as error:
        msg = f"{folder}: claims cannot be written there: {error}; name a folder of your own"
        raise InputError(msg) from error
    return Added(
        files=tuple(file for file in files if file is not None),
        new_claims=len(new),
        known_claims=len(claims) - len(new),
        new_entities=len(entities),
        conflicts=conflicts(new.values(), catalogue, imported.entities),
    )


def conflicts(
    new: Iterable[Claim], catalogue: Catalogue, entities: Iterable[Entity] = ()
) -> tuple[Conflict, ...]:
    """List the questions that new claims and the catalogue answer with no parent in common.

    A question is a child, a role (such as generator) and the named data, if the claim names any;
    about a child that is data itself, the name is not compared. Roles in which there are many
    parents anyway (data, prompts) are no question. Two sources that share a parent, one of them
    naming more, do not contradict each other; neither is anything resolved or marked here.

    Args:
        new: claims with ids as the catalogue writes them.
        catalogue: what is known.
        entities: what is known about ids that the catalogue may not have.
    """
    data = {e.id.lower() for e in (*entities, *catalogue.entities.values()) if e.what == "dataset"}
    asked: dict[tuple[str, str, Role], dict[str, Claim]] = {}
    answered: dict[tuple[str, str, Role], dict[str, Claim]] = {}
    for claims, into in ((new, asked), (catalogue.claims, answered)):
        for claim in claims:
            if claim.role not in MANY:
                child = claim.child.lower()
                named = "" if child in data else claim.dataset.casefold()
                into.setdefault((child, named, claim.role), {})[claim.parent.lower()] = claim
    found = []
    for question, theirs in asked.items():
        ours = answered.get(question, {})
        if ours and not ours.keys() & theirs.keys():
            first = next(iter(theirs.values()))
            found.append(
                Conflict(
                    child=first.child,
                    dataset=first.dataset if question[1] else "",
                    role=question[2],
                    imported=tuple(claim.parent for claim in theirs.values()),
                    known=tuple(claim.parent for claim in ours.values()),
                )
            )
    return tuple(found)


def _rows(folder: Path, pattern: str, model: type[Row]) -> list[Row]:
    """Return the rows of a folder's files, whether or not the catalogue was loaded with them."""
    return [row for file in sorted(folder.glob(pattern)) for row in read_rows(file, model)]


def _as_written(claim: Claim) -> Claim:
    """Return the claim as it is when it is read back: numbers to ten digits, line ends as one."""
    update: dict[str, object] = {}
    for name in CLAIM_COLUMNS:
        value = getattr(claim, name)
        if isinstance(value, float):
            update[name] = float(f"{value:.10g}")
        elif isinstance(value, str):
            update[name] = value.replace("\r\n", "\n").replace("\r", "\n")
    return claim.model_copy(update=update)


def _resolved(claim: Claim, catalogue: Catalogue) -> Claim:
    """Return the claim with aliases replaced, as the catalogue does on loading."""
    update = {
        "child": catalogue.names.get(claim.child.lower(), claim.child),
        "parent": catalogue.names.get(claim.parent.lower(), claim.parent),
    }
    return claim.model_copy(update=update)


def _adds(entity: Entity, catalogue: Catalogue) -> bool:
    """Return whether the catalogue has less than this about an entity: nothing, or its name."""
    meant = catalogue.names.get(entity.id.lower(), entity.id)
    known = catalogue.entities.get(entity.id) or catalogue.entities.get(meant)
    return known is None or (known.is_bare and not entity.is_bare)


def _write(
    folder: Path, name: str, rows: Iterable[BaseModel], columns: tuple[str, ...]
) -> Path | None:
    """Write rows to a file that is named by its content, unless there are none or it is there."""
    rows = list(rows)
    if not rows:
        return None
    temporary = folder / f".{name}.{os.getpid()}"
    try:
        write_rows(temporary, rows, columns)
        final = folder / f"{name}-{digest_bytes(temporary.read_bytes())[:12]}.csv"
        if final.exists():
            return None
        temporary.rename(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final
