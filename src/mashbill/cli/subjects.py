"""What commands are asked about, opened as commands open things: what is not read is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.catalogue import opened
from mashbill.cli.opening import open_store
from mashbill.lineage import subject
from mashbill.lineage.subject import Subject, is_public

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.policy.statuses import Status

__all__ = [
    "Subject", "is_public", "own_subject", "public_subject", "subject_of", "through_catalogue",
]  # fmt: skip


def public_subject(
    name: str, statuses: Sequence[Status], catalogue: Sequence[Path] = ()
) -> Subject:
    """Return a model or dataset of the catalogue; see :mod:`mashbill.lineage.subject`."""
    return subject.public_subject(name, statuses, opened(catalogue))


def subject_of(
    name: str, store: Path, statuses: Sequence[Status], catalogue: Sequence[Path] = ()
) -> Subject:
    """Return what a name means: ``hf:OWNER/NAME`` of the catalogue, or an artifact of a store.

    Raises:
        InputError: if the catalogue has none of that name.
        StoreError: if the store has none.
    """
    if is_public(name):
        return public_subject(name, statuses, catalogue)
    return own_subject(name, store)


def own_subject(name: str, store: Path) -> Subject:
    """Return an artifact of a store; see :mod:`mashbill.lineage.subject`."""
    return subject.own_subject(name, open_store(store))


def through_catalogue(
    own: Subject, statuses: Sequence[Status], catalogue: Sequence[Path] = ()
) -> Subject:
    """Return an artifact of a store whose teachers rest on what the catalogue claims of them."""
    return subject.through_catalogue(own, statuses, opened(catalogue))
