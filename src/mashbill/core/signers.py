"""Whose entries of a ledger count: its declared signers.

Whoever can write to a store can append an entry under a key of their own, and its signature holds.
So a ledger has signers: the key of its first entry, and those that an entry of the event
``signers``, by a key that was a signer when it was appended, declares. An entry by any other key is
read by nobody; an audit finds it.

Who declares a key may say from which entry on it counts, so that what a colleague's key signed
before can be taken over; a change of the signers themselves never counts backwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.core.ledger import Entry

SIGNERS = "signers"
"""the event that declares signers: ``add`` is a list of objects with ``keyid``, and ``since`` where
it counts from an earlier entry on; ``remove`` a list of keyids, which count no longer"""
_KEYID = re.compile("[0-9a-f]{64}")


@dataclass
class Signers:
    """The signers of a ledger, as its entries so far declare them."""

    root: str = ""
    """keyid of the first entry: it stands for the ledger"""
    active: set[str] = field(default_factory=set)
    """those whose next entry counts"""
    names: dict[str, str] = field(default_factory=dict)
    """keyid -> whose it is, in the words of who declared it"""
    _spans: dict[str, list[list[int | None]]] = field(default_factory=dict)
    """keyid -> [first entry, first entry that counts no longer, or None]"""

    def take(self, entry: Entry) -> None:
        """Read the next entry; what it declares counts only if its own key does."""
        if not self.root:
            self.root = entry.keyid
            self._add(entry.keyid, entry.index)
        if entry.event != SIGNERS or entry.keyid not in self.active:
            return
        for item in _listed(entry.predicate.get("add")):
            if isinstance(item, dict) and is_keyid(item.get("keyid")):
                since = item.get("since")
                is_earlier = isinstance(since, int) and 0 <= since <= entry.index
                self._add(str(item["keyid"]), since if is_earlier else entry.index)
                if isinstance(item.get("name"), str):
                    self.names[str(item["keyid"])] = item["name"]
        for keyid in _listed(entry.predicate.get("remove")):
            # The last one stays: nobody could sign for the ledger again.
            if keyid in self.active and len(self.active) > 1:
                self.active.discard(keyid)
                for span in self._spans[keyid]:
                    span[1] = entry.index + 1 if span[1] is None else span[1]

    def _add(self, keyid: str, since: int | None) -> None:
        self.active.add(keyid)
        self._spans.setdefault(keyid, []).append([since, None])

    def count(self, entry: Entry) -> bool:
        """Return whether an entry is by a signer, going by all that was read."""
        return any(
            begin is not None and begin <= entry.index and (end is None or entry.index < end)
            for begin, end in self._spans.get(entry.keyid, ())
        )

    def knows(self, keyid: str) -> bool:
        """Return whether a key is or was a signer."""
        return keyid in self._spans


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def is_keyid(text: Any) -> bool:
    """Return whether a value is the id of a key: 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and _KEYID.fullmatch(text) is not None


def counted(entries: Iterable[Entry]) -> tuple[list[Entry], dict[str, list[Entry]], Signers]:
    """Divide entries by whether they are by a signer.

    Returns:
        Those that count, in order; those of each other key; and the signers.
    """
    entries = list(entries)
    signers = Signers()
    for entry in entries:
        signers.take(entry)
    others: dict[str, list[Entry]] = {}
    by_signers = []
    for entry in entries:
        if signers.count(entry):
            by_signers.append(entry)
        else:
            others.setdefault(entry.keyid, []).append(entry)
    return by_signers, others, signers
