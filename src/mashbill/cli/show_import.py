"""Telling what an import did: what was added, what contradicts, what could not be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.core.shown import FORMULA
from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.policy.importers import Added, Imported

_LINES = 20  # things of a kind that are told to people; --json tells all


def import_json(to: Path, imported: Imported, added: Added) -> dict[str, Any]:
    """Return what an import did, for a program."""
    return {
        "folder": str(to),
        "new_claims": added.new_claims,
        "known_claims": added.known_claims,
        "new_entities": added.new_entities,
        "conflicts": [str(item) for item in added.conflicts],
        "left_out": list(imported.left_out),
        "rejected": [item.as_json() for item in imported.rejected],
    }


def print_import(to: Path, imported: Imported, added: Added, formulas: int | None = None) -> None:
    """Print what an import did, and at the end what could not be read."""
    rejects = {reject.flaw for reject in imported.rejected}
    left = [line for line in imported.left_out if line not in rejects]
    out.say(
        f"{to}: {counted(added.new_claims, 'claim')} and "
        f"{counted(added.new_entities, 'model or dataset', 'models or datasets')} added; "
        f"{counted(added.known_claims, 'claim')} "
        f"{'was' if added.known_claims == 1 else 'were'} there already; "
        f"{counted(len(left), 'statement')} left out; "
        f"{counted(len(imported.rejected), 'file or row', 'files or rows')} rejected; "
        f"use them with --catalogue {to}"
    )
    steps = {entity.id for entity in imported.entities if entity.is_step}
    asked = next((claim.child for claim in imported.claims if claim.child not in steps), "")
    if asked:
        out.say(f"What it says of {asked}: `mashbill bill 'hf:{asked}' --catalogue {to}`")
    if formulas is None:
        formulas = sum(
            bool(re.search(FORMULA, value))
            for row in (*imported.claims, *imported.entities)
            for value in row.model_dump().values()
            if isinstance(value, str)
        )
    if formulas:
        begin = "cell begins" if formulas == 1 else "cells begin"
        out.say(
            f"Formulas: {formulas:,} {begin} with = + - @, a tab or a line break; a "
            f"spreadsheet that opens the files of {to} may run them"
        )
    for conflict in added.conflicts:
        out.say(f"Contradiction: {conflict}")
    _tell("Left out", left)
    _tell("Rejected, and not read", [str(reject) for reject in imported.rejected])


def _tell(what: str, lines: Sequence[str]) -> None:
    """Print the first lines, and how many more there are."""
    for line in lines[:_LINES]:
        out.say(f"{what}: {line}")
    if len(lines) > _LINES:
        out.say(f"and {len(lines) - _LINES:,} more, told by --json")
