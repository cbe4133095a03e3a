"""The answers that a store's journal holds: texts that teachers wrote, whatever became of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.conduct.journal import Journal
from mashbill.core.source import Source
from mashbill.marks.model_names import known_name
from mashbill.marks.texts import hashed, hashed_within
from mashbill.policy.documents import load_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.store import Store

_PAGE = 5_000
_PAGES = {
    "calls": "SELECT request, teacher, text FROM calls WHERE request > ? AND text != '' "
    "ORDER BY request LIMIT ?",
    "bought": "SELECT b.call, w.text, b.text FROM bought b JOIN words w ON w.id = b.teacher "
    "WHERE b.call > ? AND b.text != '' AND b.choices = '[]' ORDER BY b.call LIMIT ?",
}
_HELD = np.dtype([("hash", "<u8"), ("who", "<i4")])


class Answers:
    """Texts of a journal: 12 bytes each in memory."""

    def __init__(self, hashes: np.ndarray, who: np.ndarray, teachers: list[str]) -> None:
        self._hashes, self._who, self._teachers = hashes, who, teachers

    @classmethod
    def of(cls, store: Store) -> Answers | None:
        """Read the answers of a store's journal; None if it holds none.

        Raises:
            StoreError: if the journal cannot be read.
        """
        journal = Journal.of(store)
        if journal is None:
            return None
        try:
            teachers: dict[str, int] = {}
            pieces = [piece for name in _PAGES for piece in _pieces(journal, name, teachers)]
        finally:
            journal.close()
        whole = np.concatenate(pieces) if pieces else np.empty(0, _HELD)
        if not len(whole):
            return None
        hashes, first = np.unique(whole["hash"], return_index=True)
        return cls(hashes, whole["who"][first], list(teachers))

    def among(self, found: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each teacher with those of some texts that it wrote.

        Args:
            found: of :data:`mashbill.marks.texts.HASHED`.
        """
        at = np.minimum(np.searchsorted(self._hashes, found["hash"]), len(self._hashes) - 1)
        is_there = self._hashes[at] == found["hash"]
        who = self._who[at[is_there]]
        hits = found[is_there]
        for number in np.unique(who).tolist():
            yield self._teachers[number], hits[who == number]

    def source(self, teacher: str) -> Source:
        """Return the source that a teacher is, as far as its identity in the journal says."""
        told = _told(teacher)
        name = str(told.get("model") or told.get("repository") or told.get("kind") or "a teacher")
        provider = str(told.get("provider") or "unknown")
        registered = load_registry().provider(provider)
        known = known_name(name)
        kind = known.kind if known is not None and known.is_model else "unknown"
        if registered is not None:
            provider = registered.name
        elif known is not None:
            provider = known.provider
        test = str(told.get("kind", "")).startswith("fake")
        return Source.model_validate(
            {"name": name, "what": "model", "kind": "test-double" if test else kind,
             "route": f"api:{provider}", "provider": provider}
        )  # fmt: skip


def _told(teacher: str) -> dict[str, Any]:
    try:
        value = json.loads(teacher)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _pieces(journal: Journal, name: str, teachers: dict[str, int]) -> Iterator[np.ndarray]:
    """Yield the texts of one table of a journal, a page at a time."""
    if not journal.query(f"PRAGMA table_info({name})", []):
        return
    columns = {row[1] for row in journal.query(f"PRAGMA table_info({name})", [])}
    if "text" not in columns:  # a journal of the first release
        return
    last: Any = "" if name == "calls" else b""
    while rows := journal.query(_PAGES[name], [last, _PAGE]):
        last = rows[-1][0]
        texts = pa.array([str(row[2]) for row in rows], pa.string())
        who = np.array([teachers.setdefault(str(row[1]), len(teachers)) for row in rows], np.int32)
        places = np.arange(len(rows))
        for found in (hashed(texts, places), hashed_within(texts, places, answers=False)):
            kept = found[found["long"]]
            piece = np.zeros(len(kept), _HELD)
            piece["hash"], piece["who"] = kept["hash"], who[kept["row"]]
            yield piece
