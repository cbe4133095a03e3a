"""What is not recorded, in two kinds that are told apart.

*Of unknown origin* are records of which nobody says what wrote them, and the rest of a public thing
that no claim speaks of. *Of unrecorded making* is a source that has a name and nothing more: a
public model, or public data, at which the record ends. What is behind it may be anything, so a
question that goes further back than the record does is open there and not answered with no.

Coverage counts records of unknown origin as not recorded; of all else it may be anything between
nothing and the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.lineage.circuit.arrays import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.core.source import Source
    from mashbill.lineage.circuit.arrays import Circuit

ENDS = frozenset(["own-dataset", "human", "program", "test-double"])
"""kinds of source at which lineage truly ends: declared as one's own, written by people, a program
that goes by rules, or a stand-in that nobody trained"""
ORIGIN = ": origin not recorded"
"""end of the name of a source that stands for those rows of a dataset of which nobody says what
wrote them"""
NOT_SAID = "not recorded"
"""route of what the catalogue puts where claims may have left something out"""
_MOST = 5  # things that a sentence names


def is_unknown(source: Source) -> bool:
    """Return whether it stands for records of unknown origin."""
    return source.what == "unknown"


def is_unsaid(source: Source) -> bool:
    """Return whether it is the rest of a public thing that no claim speaks of.

    Records of unknown origin are there, and nobody says whence. Of such a rest nobody says that it
    is there.
    """
    return is_unknown(source) and source.route == NOT_SAID


def wants_making(source: Source) -> bool:
    """Return whether something was made from other things, so that a leaf of it leaves a gap."""
    return not is_unknown(source) and source.kind not in ENDS


def unknown_origin(circuit: Circuit) -> np.ndarray:
    """Return which nodes stand for records of unknown origin, bool, shape (n,)."""
    return circuit.matching(is_unknown)


def unrecorded_making(circuit: Circuit) -> np.ndarray:
    """Return which nodes are named sources whose own making is not recorded, bool, shape (n,)."""
    ends: np.ndarray = circuit.matching(wants_making) & (circuit.type == SOURCE)
    return ends


def not_recorded(source: Source) -> str:
    """Say of a source of either kind what is not recorded, as a part of a sentence."""
    if is_unsaid(source):  # its name says it
        return source.name.removesuffix(", not recorded")
    if is_unknown(source):
        return f"the origin of {records_of(source)}"
    return f"what {source.title} was made from"


def records_of(source: Source) -> str:
    """Name the records that a source of unknown origin stands for, as a part of a sentence."""
    title = source.title
    return f"rows of {title.removesuffix(ORIGIN)}" if title.endswith(ORIGIN) else title


def no_origin(source: Source) -> str:
    """Say that nobody recorded where records came from: so neither what wrote them nor a licence.

    The whole of what is lacking of such a source is this one fact.
    """
    return f"{records_of(source)}: who or what wrote them is not recorded"


def no_kind(source: Source) -> str:
    """Say that nobody recorded who can have a thing: whether it is open or closed."""
    return f"{source.title}: what it is, or who can have it, is not recorded"


def named_few(texts: Iterable[str]) -> str:
    """Return these texts one behind the other; of many the first, and how many more there are."""
    told = list(dict.fromkeys(texts))
    more = len(told) - _MOST
    return "; ".join(told[:_MOST]) + (f"; and {more:,} more" if more > 0 else "")


def all_not_recorded(circuit: Circuit) -> tuple[str, ...]:
    """Return what is not recorded under a circuit's root, of both kinds, each once."""
    nodes = np.flatnonzero(unknown_origin(circuit) | unrecorded_making(circuit)).tolist()
    return tuple(dict.fromkeys(not_recorded(circuit.source(node)) for node in nodes))
