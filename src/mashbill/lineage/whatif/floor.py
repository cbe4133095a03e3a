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
    from mashbill.lineage.whatif.things import Things

_REMARK = re.compile(r"\(([^()]*)\)\s*\Z")


def is_named(name: str) -> bool:
    """Return whether a name is that of something which can be had, and not of a gap in a record."""
    found = _REMARK.search(name) if name.endswith(")") else None
    if found is None:
        return bool(name)
    remark = found[1].strip().casefold()
    return not (is_nothing(remark) or remark.startswith(("not ", "un")))


class Known:
    """Of which nodes enough is known; what does not depend on the role is looked up once."""

    def __init__(self, things: Things) -> None:
        """Begin with a circuit with facts."""
        licence, name = things.columns["license"], things.columns["name"]
        self._things = things
        self._licensed = np.array([read_licence(t).kind != "none" for t in licence.values], bool)
        self._named = np.ones(len(name.values), bool)
        self._named[[code for code in name.ending(")") if not is_named(name.values[code])]] = False
        self._named[list(name.places([""]).values())] = False

    def enough(self, nodes: np.ndarray, terms_known: np.ndarray) -> np.ndarray:
        """Return of which nodes enough is known to offer them, bool, shape (nodes,).

        Args:
            nodes: candidates.
            terms_known: bool, shape (nodes,): terms decide about the use, or govern it at least.
        """
        things = self._things
        licence, name = things.columns["license"], things.columns["name"]
        sized = ~np.isnan(things.measured.parameters[nodes]) | ~things.circuit.is_model()[nodes]
        found: np.ndarray = sized & (terms_known | self._licensed[licence.code[nodes]])
        found &= self._named[name.code[nodes]]
        return found
