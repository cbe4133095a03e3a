"""Opening a store to be read: what of its ledger is not read is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.cli.options import err
from mashbill.core.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def open_store(path: Path) -> Store:
    """Open a store to be read, and say on standard error which entries are not read.

    Raises:
        StoreError: if it is no store.
    """
    store = Store(path)
    ledger = store.ledger
    if ledger.broken is not None:
        index, wrong = ledger.broken
        err.say(
            (f"not read: {ledger.path}, from entry {index} on", "yellow"),
            f": it {wrong}; run `mashbill audit`",
        )
    for keyid, entries in ledger.strangers.items():
        many = f"{len(entries)} entries" if entries[1:] else "one entry"
        err.say(
            (f"not read: {many} of {ledger.path}, from entry {entries[0].index} on", "yellow"),
            f": no signer of this store declared the key {keyid[:16]}; run `mashbill audit`",
        )
    return store
