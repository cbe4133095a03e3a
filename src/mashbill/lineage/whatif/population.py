"""Over what an impact is told: sums over what is hit, and a score over a stated list.

A mean needs a number to divide by. If that is how many things a catalogue has, models that have
nothing to do with a scenario lower it. If it is how many things are hit, more going can lower it,
since what is hit lightly joins what is hit hard. So there are two figures, and neither is that:

* the *impact in whole models*: the sum of the impacts (:mod:`impact`) over the models that go or
  rest on what goes; from 0 to their number. What is not hit adds nothing. Datasets are summed
  apart.
* the *score*, 0 to 100: the mean over a stated list of names, which neither the catalogue nor the
  scenario changes. A name of whose making nothing is recorded may be hit or not: it counts from 0
  to 100, and so does one that the catalogue does not have.

Both are also weighted by downloads, over those of which they are recorded. More going lowers none
of them; whatever is not reached, other names and another order change none.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.parsing import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from mashbill.lineage.whatif.roster import Hit, Roster

SHIPPED = "well-known-1"
"""48 names that somebody who asks may be expected to know, fixed in November 2026; another list is
another name, and this one never changes"""
_WHATS = {"model": "models", "dataset": "datasets"}


@dataclass(frozen=True)
class Population:
    """A stated list of names."""

    name: str
    """name of the list"""
    members: tuple[tuple[str, str], ...]
    """(name, model or dataset)"""
    sha256: str
    """digest of the file it was read from"""


@cache
def shipped() -> Population:
    """Return the list that comes with the package."""
    return read_population(resources.files(__package__) / "populations" / f"{SHIPPED}.csv")


def read_population(path: Path | Traversable) -> Population:
    """Read a list: CSV with a header, columns name and what (model or dataset; model if absent).

    Raises:
        InputError: naming file, line and what is wrong.
    """
    text = read_text(path)
    members: dict[str, str] = {}
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if not {"name"} <= set(reader.fieldnames or ()) <= {"name", "what"}:
            msg = f"{path}: line 1: found {reader.fieldnames}; the header is name,what"
            raise InputError(msg)
        for row in reader:
            name, what = (row["name"] or "").strip(), (row.get("what") or "model").strip()
            if not name or what not in _WHATS or None in row:
                msg = (
                    f"{path}: line {reader.line_num}: found {str(row)[:80]}; a line is a name and "
                    "model or dataset"
                )
                raise InputError(msg)
            members[name] = what
    except csv.Error as error:
        msg = f"{path}: line {reader.line_num}: cannot be read as CSV: {error}"
        raise InputError(msg) from error
    if not members:
        msg = f"{path}: names nothing; write one name a line below the header name,what"
        raise InputError(msg)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Population(path.name.removesuffix(".csv"), tuple(members.items()), digest)


def impact_in_all(roster: Roster, hit: Hit, which: np.ndarray) -> dict[str, Any]:
    """Return the impact over what is hit, of some entries.

    Args:
        roster: entries.
        hit: what becomes of each.
        which: bool, shape (entries,): models, or datasets.
    """
    mine = hit.any & which
    downloads = roster.things.measured.downloads[roster.node][mine]
    known = ~np.isnan(downloads)
    low, high = hit.low[mine], hit.high[mine]
    return {
        "in_all": int(which.sum()),
        "making_recorded": int((roster.recorded & which).sum()),
        "go": int((hit.goes & which).sum()),
        "go_by_one_way_only": int((hit.partly & which).sum()),
        "lose_an_ancestor": int((hit.loses & which).sum()),
        "stay_and_lose": int((hit.stays & which).sum()),
        "hit": int(mine.sum()),
        "impact": [float(low.sum()), float(high.sum())],
        "impact_is_from_to": [0, int(mine.sum())],
        "downloads": {
            "known_of_hit": int(known.sum()),
            "hit": float(downloads[known].sum()),
            "impact": [float((end * downloads)[known].sum()) for end in (low, high)],
        },
    }


def score(
    population: Population, roster: Roster, hit: Hit, ids: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the score over a list, models and datasets apart.

    Args:
        population: the list.
        roster: entries.
        hit: what becomes of each.
        ids: lower-case id or alias -> id, if names may be others.
    """
    column = roster.things.columns["name"]
    wanted = {
        (ids or {}).get(name.lower(), name): (name, what) for name, what in population.members
    }
    place = column.places(wanted)
    entry_of = np.full(len(column.values), -1, np.int64)
    entry_of[column.code[roster.node]] = np.arange(len(roster))
    found: dict[str, Any] = {"name": population.name, "sha256": population.sha256}
    for what, key in _WHATS.items():
        names = [(own, name) for own, (name, its) in wanted.items() if its == what]
        entries = [int(entry_of[place[own]]) if own in place else -1 for own, _ in names]
        at = np.array([entry for entry in entries if entry >= 0], np.int64)
        missing = [name for (_, name), entry in zip(names, entries, strict=True) if entry < 0]
        found[key] = _mean(roster, hit, at, sorted(missing))
    return found


def _mean(roster: Roster, hit: Hit, at: np.ndarray, missing: list[str]) -> dict[str, Any]:
    size = len(at) + len(missing)
    blank = ~roster.recorded[at] & ~hit.goes[at]
    low = np.where(blank, 0.0, hit.low[at])
    high = np.where(blank, 1.0, hit.high[at])
    downloads = roster.things.measured.downloads[roster.node[at]]
    known = ~np.isnan(downloads)
    total = downloads[known].sum()
    return {
        "members": size,
        "hit": int(hit.any[at].sum()),
        "nothing_recorded": int(blank.sum()),
        "not_in_the_catalogue": missing,
        "score": (
            [100 * float(low.sum()) / size, 100 * float(high.sum() + len(missing)) / size]
            if size
            else None
        ),
        "score_is_from_to": [0, 100],
        "by_downloads": {
            "known_of_members": int(known.sum()),
            "score": (
                [float(100.0 * (end * downloads)[known].sum() / total) for end in (low, high)]
                if total > 0
                else None
            ),
        },
    }
