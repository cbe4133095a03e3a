"""Artifacts that a recipe takes by their address, of this store or of another.

Of another store's artifact this store keeps the files, the manifest and the nodes as they are
there, and in the entry that commits them the line that commits them there. So its lineage stays
whole when the other store moves away. What it was made of is not here: its lineage is the word of
who signed that line, and is told as such.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core import registry
from mashbill.core.canonical import digest_bytes
from mashbill.core.checkpoint import lines_of
from mashbill.core.errors import InputError, MashbillError, StoreError
from mashbill.core.explaining import near
from mashbill.core.given import TAKEN_IN
from mashbill.core.ledger import check_line, open_line
from mashbill.core.marks import CONTRADICTED
from mashbill.core.source import Source
from mashbill.core.store import LEDGER, Store
from mashbill.core.students import made_by
from mashbill.lineage.circuit.contradicted import contradictions, table_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.agreeing import altered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.given import Given
    from mashbill.core.ledger import Entry
    from mashbill.core.recipe import Recipe

_SHOWN = 8  # addresses that a message lists
_HERE = Path("the line that is kept of another ledger")


@dataclass(frozen=True)
class AtHand:
    """An artifact that a recipe takes by its address, where it lies now."""

    given: Given
    manifest: Manifest
    table: NodeTable
    """its nodes, with what speaks against them"""
    store: Store
    """where it lies"""
    is_elsewhere: bool
    """whether it is to be taken in before it can be used"""
    signer: str
    """keyid of who signed for it where it was made"""
    is_stranger: bool | None = False
    """whether that is none of this store's signers; None where it has none yet"""

    @property
    def told(self) -> str:
        """Say where it comes from, for whoever reads a plan or a run; empty for a store's own."""
        if self.is_stranger is False and not self.is_elsewhere:
            return ""
        whose = "none of this store's signers, so its lineage is that signer's word"
        if self.is_stranger is False:
            whose = "a signer of this store too"
        elif self.is_stranger is None:
            whose = "whose word its lineage is"
        does = f"is taken in from {self.store.root}" if self.is_elsewhere else "was taken in"
        return f"{self.given.ref} {does}, signed by {self.signer[:16]}, {whose}"

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "artifact": str(self.given.ref),
            "digest": self.manifest.digest,
            "taken_in_from": str(self.store.root) if self.is_elsewhere else None,
            "signer": self.signer,
            "is_stranger": self.is_stranger,
        }


def all_given(recipe: Recipe, own: Store | None) -> dict[str, AtHand]:
    """Return the artifacts that stages take by their address, of those that can be looked up.

    Raises:
        InputError, StoreError: as :func:`find_given` does.
    """
    found = ((name, find_given(one, own, recipe.folder)) for name, one in recipe.given.items())
    return {name: one for name, one in found if one is not None}


def unknown_given(given: Given) -> NodeTable:
    """Return the nodes of an artifact of which nothing is known, for a plan without a store."""
    table, kind = NodeTable(), given.kind
    name = str(given.ref)
    table.root = table.add_source(Source(name=name, what=kind, kind="unknown", route="artifact"))
    if kind == "dataset":
        table.count(np.array([table.number(table.root)]), np.ones(1, np.int64))
    return table


def find_given(given: Given, own: Store | None, folder: Path) -> AtHand | None:
    """Return an artifact that a recipe takes by its address; None without a store to look in.

    Args:
        given: how the recipe names it.
        own: the store that is run in.
        folder: the recipe's, from which the other store's path starts.

    Raises:
        InputError: if it is not there, is no such kind, or is not the one that is meant.
        StoreError: if what is there is not as it was committed.
    """
    here = own.get(given.ref) if own is not None else None
    if own is not None and here is not None:
        _check(given, here, own)
        _check_same(given, here, own, folder)
        entry = own.committed()[str(given.ref)]
        told = entry.predicate.get(TAKEN_IN)
        signer = str(told.get("signer")) if isinstance(told, dict) else entry.keyid
        return AtHand(
            given, here, table_of(own, here), own, is_elsewhere=False, signer=signer,
            is_stranger=not own.ledger.signers.knows(signer),
        )  # fmt: skip
    if not given.store:
        if own is None:
            return None
        raise InputError(_absent(given, own))
    other = _opened(given, folder)
    there = other.get(given.ref)
    if there is None:
        raise InputError(_absent(given, other))
    _check(given, there, other)
    plain = NodeTable.of(other, there)
    wrong = next(altered(plain, set()), "")
    if (plain.digest, plain.root) != (there.nodes_digest, there.bill) or wrong:
        msg = f"{given.key}: the lineage of {given.ref} in {other.root} is not as it was committed"
        raise InputError(f"{msg}; run `mashbill audit --store {other.root}`")
    keyid = other.committed()[str(given.ref)].keyid
    return AtHand(
        given, there, table_of(other, there), other, is_elsewhere=True, signer=keyid,
        is_stranger=None if own is None or not own.ledger.entries else
        not own.ledger.signers.knows(keyid),
    )  # fmt: skip


def _opened(given: Given, folder: Path) -> Store:
    """Open another store to be read."""
    path = Path(os.path.normpath(folder / given.store))
    key = f"{given.key.rpartition('.')[0]}.store"
    try:
        other = Store(path)
    except (StoreError, OSError) as error:
        msg = (
            f"{key} = {given.store!r}: there is no store ({path / LEDGER} is not there), and "
            f"{given.ref} was not taken in from it yet; write where it is now"
        )
        raise InputError(msg) from error
    if other.ledger.broken is not None:
        index, wrong = other.ledger.broken
        msg = (
            f"{key} = {given.store!r}: entry {index} of its ledger {wrong}, so what it says is no "
            f"evidence; run `mashbill audit --store {path}`"
        )
        raise InputError(msg)
    return other


def _absent(given: Given, store: Store) -> str:
    """Say that an address names nothing, with what is near it."""
    refs = [manifest.ref for manifest in store.manifests()]
    versions = [str(ref) for ref in refs if ref.name == given.ref.name]
    where = f"{given.key} = {str(given.ref)!r}: {store.root} has no such artifact"
    if versions:
        there = ", ".join(versions[-_SHOWN:])
        return f"{where}; it has {there}: correct the version"
    what = f"{given.kind}s"
    refs_of_kind = [str(m.ref) for m in store.manifests() if m.kind == given.kind]
    if not refs_of_kind:
        return f"{where}; it has no {what}"
    listed = ", ".join(refs_of_kind[-_SHOWN:])
    return f"{where}{near(str(given.ref), refs_of_kind) or f'; its {what} are: {listed}'}"


def _check(given: Given, manifest: Manifest, store: Store) -> None:
    """Check that an artifact is a model, that which is pinned, and that it does what is wanted."""
    where = f"{given.key} = {str(given.ref)!r}"
    if manifest.kind != given.kind:
        msg = f"{where}: it is a {manifest.kind} of {store.root}, and a {given.kind} is needed"
        raise InputError(msg)
    if given.sha256 and manifest.digest != given.sha256:
        msg = (
            f"{where}: in {store.root} its digest is {manifest.digest}, and the recipe pins "
            f"{given.sha256}; not used"
        )
        raise InputError(msg)
    wrong = store.made_wrong(manifest)
    if wrong:
        msg = f"{where}: {wrong}; run the recipe that made it again"
        raise InputError(msg)
    if not given.must_write:
        return
    kind = str(manifest.stage.get("kind"))
    trainer: Any = registry.find(kind, registry.TRAINERS)
    if not trainer.can_write:
        msg = (
            f"{where}: a model that writes is needed, and this one (kind {kind!r}) is "
            f"{made_by(trainer)}"
        )
        raise InputError(msg)


def _check_same(given: Given, here: Manifest, own: Store, folder: Path) -> None:
    """Check that what is here is what the other store has, where that one is still there."""
    if not given.store:
        return
    try:
        there = _opened(given, folder).get(given.ref)
    except MashbillError:
        return  # it moved away: what was taken in stands
    if there is not None and there.digest != here.digest:
        entry = own.committed()[str(given.ref)]
        came = "was taken in" if TAKEN_IN in entry.predicate else "was made here"
        msg = (
            f"{given.key} = {str(given.ref)!r}: in {own.root} it {came} with digest "
            f"{here.digest[:16]}, and in {given.store} it has {there.digest[:16]}; an address "
            "stands for one content: name another version, or use another store"
        )
        raise InputError(msg)


def line_of(found: AtHand) -> dict[str, Any]:
    """Return what the entry says that commits here what another store made.

    Args:
        found: the artifact, in the other store.
    """
    ledger = found.store.ledger
    entry = found.store.committed()[str(found.given.ref)]
    first = {one.keyid: one for one in reversed(ledger.entries) if "public_key" in one.predicate}
    told = contradictions(found.store, found.manifest).values()
    return {
        "line": lines_of(ledger.path)[entry.index].decode(),
        "public_key": str(first[entry.keyid].predicate["public_key"]),
        "signer": entry.keyid,
        "root": ledger.signers.root,
        CONTRADICTED: [one.as_json() for one in told],
    }


def strange_taking_in(entry: Entry, manifest: Manifest) -> Iterator[str]:
    """Yield where an entry that takes an artifact in does not agree with the line it keeps.

    Args:
        entry: that commits it here.
        manifest: of what it commits.
    """
    told = entry.predicate.get(TAKEN_IN)
    try:
        if not isinstance(told, dict):
            yield "says that it is taken in, and not from where"
            return
        line = str(told["line"]).encode()
        there = open_line(line, 0, _HERE)
        keys = {there.keyid: bytes.fromhex(str(told["public_key"]))}
        index, previous = there.predicate.get("index"), str(there.predicate.get("previous"))
        wrong = check_line(line, index if isinstance(index, int) else -1, previous, keys)
        if wrong is None and digest_bytes(keys[there.keyid]) != there.keyid:
            wrong = "is signed by another key than it names"
    except (MashbillError, ValueError, KeyError) as error:
        yield f"keeps no line of another ledger: {error!s:.160}"
        return
    if wrong is not None:
        yield f"keeps a line of another ledger that does not hold: it {wrong}"
        return
    if there.keyid != told.get("signer"):
        yield "names another signer than the line of the other ledger has"
    same = ("artifact", "kind", "fingerprint", "digest")
    if there.event != "commit" or any(
        there.predicate.get(key) != entry.predicate.get(key) for key in same
    ):
        yield "keeps a line of another ledger, and that commits something else"
    elif there.subjects != entry.subjects:
        names = sorted(set(there.subjects.items()) ^ set(entry.subjects.items()))
        yield f"commits other files than where it was made ({names[0][0]})"
    if str(manifest.ref) != there.predicate.get("artifact"):
        yield "keeps a line of another ledger about another artifact"


def word_of(entry: Entry, signers: Sequence[str]) -> str:
    """Say on whose word the lineage of what was taken in rests."""
    told = entry.predicate.get(TAKEN_IN)
    signer = str(told.get("signer")) if isinstance(told, dict) else ""
    who = "who is a signer of this ledger too" if signer in signers else (
        "who is none of this ledger's signers"
    )  # fmt: skip
    return (
        f"it was made in another store, and taken in: its lineage is the word of {signer[:16]}, "
        f"{who}; what it was made of is not here"
    )
