"""What is hit, by quarter of release: whether what comes out rests on it more, or less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.lineage.whatif.days import quarter

if TYPE_CHECKING:
    from mashbill.lineage.whatif.roster import Hit, Roster


def by_quarter(roster: Roster, hit: Hit, which: np.ndarray) -> list[dict[str, Any]]:
    """Return for each quarter of release how many came out, and how many of them are hit.

    What has no day, or only a year, stands apart, in front. Only quarters in which something came
    out are listed.

    Args:
        roster: entries.
        hit: what becomes of each.
        which: bool, shape (entries,): models, or datasets.
    """
    released = roster.things.columns["released"]
    named = [quarter(text) for text in released.values]
    names = sorted(set(named), key=lambda name: (len(name) > 4, name))
    place = {name: at for at, name in enumerate(names)}
    code = np.array([place[name] for name in named], np.int32)[released.code[roster.node]]

    def counted(mask: np.ndarray) -> np.ndarray:
        return np.bincount(code[mask & which], minlength=len(names))

    every = np.ones(len(roster), bool)
    columns = {
        "released": counted(every),
        "making_recorded": counted(roster.recorded),
        "go": counted(hit.goes),
        "lose_an_ancestor": counted(hit.loses),
        "hit": counted(hit.any),
    }
    return [
        {"quarter": name or "not recorded", **{key: int(c[at]) for key, c in columns.items()}}
        for at, name in enumerate(names)
        if columns["released"][at]
    ]
