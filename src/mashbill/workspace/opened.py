"""What a workspace opens to answer: its store and the catalogue. What is not read of them is told.

A store whose ledger was altered still opens, and all that its readable entries speak of can be
asked. So that nobody takes that for the whole, each such thing is told once as a :class:`Notice`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.cache import default_cache
from mashbill.core.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mashbill.policy.index import Index
    from mashbill.workspace.recipes import PathLike


@dataclass(frozen=True)
class Notice:
    """Something that was not read, or could not be kept, while a question was answered."""

    what: str
    why: str

    def __str__(self) -> str:
        """Write it on one line."""
        return f"{self.what}{self.why}"


class UnreadWarning(UserWarning):
    """What a program is warned with, unless it takes notices itself."""


def warn(notice: Notice) -> None:
    """Tell a notice as Python tells warnings."""
    warnings.warn(str(notice), UnreadWarning, stacklevel=2)


class Opened:
    """A store and the catalogue, opened anew for each question, so that answers are of now."""

    def __init__(
        self,
        store: PathLike = "store",
        *,
        cache: PathLike | None = None,
        catalogue: Sequence[PathLike] = (),
        on_notice: Callable[[Notice], None] = warn,
    ) -> None:
        """Say where to look; nothing is opened yet.

        Args:
            store: folder of the store, there already or not.
            cache: where fetched files are kept; the user's own if None.
            catalogue: folders or files of claims, beside the shipped catalogue.
            on_notice: is given what was not read, each thing once.
        """
        self.root = Path(store)
        self.cache = Path(cache) if cache is not None else default_cache()
        self._catalogue = [Path(path) for path in catalogue]
        self._on_notice = on_notice
        self._told: set[Notice] = set()

    def __repr__(self) -> str:
        """Where it is."""
        return f"{type(self).__name__}({str(self.root)!r})"

    def store(self) -> Store:
        """Open the store to be read, and tell which entries of its ledger are not.

        Raises:
            StoreError: if nothing was made in it yet.
        """
        store = Store(self.root)
        for notice in _unread(store):
            self._tell(notice)
        return store

    def index(self) -> Index:
        """Open the catalogue: the shipped one, and the files that were named.

        Raises:
            InputError: if one of them cannot be read.
        """
        from mashbill.policy.keeping import open_index

        index = open_index(self._catalogue)
        if index.kept:
            self._tell(Notice("note:", f" {index.kept}"))
        return index

    def _tell(self, notice: Notice) -> None:
        if notice not in self._told:
            self._told.add(notice)
            self._on_notice(notice)


def _unread(store: Store) -> Iterator[Notice]:
    """Yield what of a store's ledger is not read, and why."""
    ledger = store.ledger
    if ledger.broken is not None:
        at, wrong = ledger.broken
        yield Notice(
            f"not read: {ledger.path}, from entry {at} on", f": it {wrong}; run `mashbill audit`"
        )
    for keyid, entries in ledger.strangers.items():
        many = f"{len(entries)} entries" if entries[1:] else "one entry"
        yield Notice(
            f"not read: {many} of {ledger.path}, from entry {entries[0].index} on",
            f": no signer of this store declared the key {keyid[:16]}; run `mashbill audit`",
        )
