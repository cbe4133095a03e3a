"""Artifacts that a recipe takes by their address: models that a store has already.

``NAME@VERSION`` where a stage could be named is a model that an earlier recipe made, here or in
another store. It is an input as a stage's is, with its own bill, one hop further away; one of
another store is taken in before a run begins, with the entry that commits it there. A dataset is
taken so by a stage that takes a model which learned from it elsewhere, and of the run's own store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactKind, ArtifactRef
from mashbill.core.base_model import MODELS
from mashbill.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRAINED = "trained"
"""kind of the stage that takes a model which was trained elsewhere"""
TAKEN_IN = "taken_in"
"""what the entry says, beside what every commit does, that commits what another store made: the
line that commits it there (``line``), that signer's public key (``public_key``) and id
(``signer``), the key id that the other ledger begins with (``root``), and what speaks against
origins behind it (``contradicted``)"""


@dataclass(frozen=True)
class Given:
    """One such artifact, as a recipe names it."""

    ref: ArtifactRef
    key: str
    """key of the recipe that names it: ``models.NAME.artifact``"""
    store: str = ""
    """path of the store that made it, as the recipe writes it; empty for the one that is run in"""
    sha256: str = ""
    """digest that its content must have; empty for whatever it has"""
    must_write: bool = False
    """whether it is asked as a teacher"""
    kind: ArtifactKind = "model"
    """what it must be"""


def is_address(name: str) -> bool:
    """Return whether a name is ``NAME@VERSION``, and no stage's."""
    return "@" in name


def is_whole_address(text: str) -> bool:
    """Return whether a text is ``NAME@VERSION`` to the letter, and no path with such a sign."""
    try:
        ArtifactRef.parse(text)
    except RecipeError:
        return False
    return True


def given_by(literals: Mapping[str, Any]) -> frozenset[str]:
    """Return the addresses that a stage's literals name: of its bases, and of its students."""
    found = [
        *(table.get("artifact") for table in _tables(literals, MODELS, "artifact")),
        *(table.get("model") for table in _tables(literals, "teachers", "student")),
        *(literals.get("inputs") or () if literals.get("kind") == TRAINED else ()),
    ]
    elsewhere = literals.get("stores")
    if literals.get("kind") == TRAINED and isinstance(elsewhere, dict):
        found = [text for text in found if text not in elsewhere]
    return frozenset(text for text in found if isinstance(text, str) and is_whole_address(text))


def _tables(literals: Mapping[str, Any], key: str, kind: str) -> Iterator[dict[str, Any]]:
    stated = literals.get(key)
    for table in stated.values() if isinstance(stated, dict) else ():
        if isinstance(table, dict) and table.get("kind") == kind:
            yield table


def called(address: str, literals: Mapping[str, Any]) -> str:
    """Return what a stage calls one of its inputs: its stage, or the address that it names.

    Args:
        address: of the input.
        literals: of the stage that takes it.
    """
    return address if address in given_by(literals) else ArtifactRef.parse(address).name
