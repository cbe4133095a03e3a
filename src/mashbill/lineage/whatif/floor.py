"""What has to be known of a candidate before it is offered at all.

A model is offered if its size is recorded, or said by its name, and a licence or terms are known
under which it would be used; data if the latter are. What nobody named, such as ``Kimi
(unspecified)``, is no candidate: there is nothing that somebody could take. Those of which less is
known are counted, since one of them may fit, and not offered, since nothing says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.nothing import is_nothing
from mashbill.policy.licence_words import read_licence

if TYPE_CHECKING:
    from mashbill.lineage.things import Things

_REMARK = re.compile(r"\(([^()]*)\)\s*\Z")


def is_named(name: str) -> bool:
    """Return whether a name is that of something which can be had, and not of a gap in a record."""
    found = _REMARK.search(name) if name.endswith(")") else None
    if found is None:
        return bool(name)
    remark = found[1].strip().casefold()
    return not (is_nothing(remark) or remark.startswith(("not ", "un")))


def enough_known(things: Things, nodes: np.ndarray, terms_known: np.ndarray) -> np.ndarray:
    """Return of which nodes enough is known to offer them, bool, shape (nodes,).

    Args:
        things: a circuit with facts.
        nodes: candidates.
        terms_known: bool, shape (nodes,): terms decide about the use, or govern it at least.
    """
    licence = things.columns["license"]
    stated = np.array([read_licence(text).kind != "none" for text in licence.values], bool)
    sized = ~np.isnan(things.measured.parameters[nodes]) | ~things.circuit.is_model()[nodes]
    found: np.ndarray = sized & (terms_known | stated[licence.code[nodes]])
    name = things.columns["name"]
    at = np.flatnonzero(found)
    named = (is_named(name.values[code]) for code in name.code[nodes[at]].tolist())
    found[at] = np.fromiter(named, bool, len(at))
    return found
