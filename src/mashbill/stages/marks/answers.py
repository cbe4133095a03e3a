"""The answers that a store's journal holds: texts that teachers wrote, whatever became of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.calls.journal import Journal
from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import RecipeError
from mashbill.core.source import Source
from mashbill.core.students import STUDENT
from mashbill.lineage.circuit.contradicted import table_of
from mashbill.policy.documents import load_registry
from mashbill.stages.marks.index import NOBODY, Hashes, Thinned
from mashbill.stages.marks.model_names import known_name
from mashbill.stages.marks.passages import formulas, passages
from mashbill.stages.marks.texts import keyed, keyed_within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable

_PAGE = 5_000
_PAGES = {
    "calls": "SELECT request, teacher, text FROM calls WHERE request > ? AND text != '' "
    "ORDER BY request LIMIT ?",
    "bought": "SELECT b.call, w.text, b.text FROM bought b JOIN words w ON w.id = b.teacher "
    "WHERE b.call > ? AND b.text != '' AND b.choices = '[]' ORDER BY b.call LIMIT ?",
}
_ASKED = {
    "calls": "SELECT c.request, coalesce(t.text, '') || c.body, c.text, c.at FROM calls c "
    "LEFT JOIN texts t ON t.digest = c.prefix WHERE c.request > ? ORDER BY c.request LIMIT ?",
    "bought": "SELECT b.call, coalesce(s.text, '') || ' ' || coalesce(p.text, '') || b.body || ' ' "
    "|| b.turns, b.text, b.at FROM bought b LEFT JOIN words p ON p.id = b.prefix "
    "LEFT JOIN words s ON s.id = b.system WHERE b.call > ? ORDER BY b.call LIMIT ?",
}
_HELD = np.dtype([("hash", "<u8"), ("who", "<i4")])


class Answers:
    """Texts of a journal, and passages of them: 12 bytes each in memory."""

    def __init__(
        self, texts: Hashes, passages: Hashes, teachers: list[str], store: Store | None = None
    ) -> None:
        """Take texts and passages, each with the number of its teacher, and whose journal it is."""
        self._texts, self.passages, self.teachers = texts, passages, teachers
        self._store = store

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
            thin = Thinned()
            pieces = [piece for name in _PAGES for piece in _pieces(journal, name, teachers, thin)]
        finally:
            journal.close()
        whole = np.concatenate(pieces) if pieces else np.empty(0, _HELD)
        if not len(whole):
            return None
        hashes, first = np.unique(whole["hash"], return_index=True)
        return cls(Hashes(hashes, whole["who"][first]), thin.sorted(), list(teachers), store)

    def among(self, found: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each teacher with those of some texts that it wrote.

        Args:
            found: of :data:`mashbill.stages.marks.texts.HASHED`.
        """
        at, is_there = self._texts.at(found["hash"])
        who = self._texts.nodes[at[is_there]]
        hits = found[is_there]
        for number in np.unique(who).tolist():
            yield self.teachers[number], hits[who == number]

    def student(self, teacher: str) -> NodeTable | None:
        """Return the lineage of the model that a teacher is, where this store trained it.

        Args:
            teacher: its identity in the journal.
        """
        told = _told(teacher)
        if told.get("kind") != STUDENT or self._store is None:
            return None
        try:
            manifest = self._store.get(ArtifactRef.parse(str(told.get("model"))))
        except RecipeError:  # whoever wrote the journal need not have been us
            return None
        if manifest is None or manifest.digest != told.get("sha256"):
            return None  # it was made anew since
        return table_of(self._store, manifest)

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


def _pieces(
    journal: Journal, name: str, teachers: dict[str, int], thin: Thinned
) -> Iterator[np.ndarray]:
    """Yield the texts of one table of a journal, a page at a time; their passages are added."""
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
        for keys in (keyed(texts, places), keyed_within(texts, places, answers=False)):
            parts = passages(keys)
            whose = who[keys.rows[parts["text"]]]
            whose[formulas(parts, len(keys.rows))] = NOBODY
            thin.add(parts["hash"], whose)
            found = keys.hashed()
            kept = found[found["long"]]
            piece = np.zeros(len(kept), _HELD)
            piece["hash"], piece["who"] = kept["hash"], who[kept["row"]]
            yield piece


def answered_before_asked(journal: Journal, wanted: np.ndarray) -> np.ndarray:
    """Return which passages were answered before a teacher was first asked with them, bool.

    Args:
        journal: that of a store.
        wanted: uint64, hashes of passages, sorted, each once.
    """
    first: list[dict[int, str]] = [{}, {}]  # of what was asked, and of what was answered
    for name, query in _ASKED.items():
        last: Any = "" if name == "calls" else b""
        while rows := journal.query(query, [last, _PAGE]):
            last = rows[-1][0]
            for times, column in zip(first, (1, 2), strict=True):
                _earliest(times, wanted, [(str(row[column]), str(row[3])) for row in rows])
    asked, answered = first
    return np.array(
        [
            one in answered and (one not in asked or answered[one] < asked[one])
            for one in wanted.tolist()
        ],
        bool,
    )


def _earliest(times: dict[int, str], wanted: np.ndarray, said: list[tuple[str, str]]) -> None:
    """Keep when each passage was said first."""
    texts = pa.array([text for text, _ in said], pa.string())
    places = np.arange(len(said))
    for keys in (keyed(texts, places), keyed_within(texts, places, answers=False)):
        found = passages(keys)
        found = found[np.isin(found["hash"], wanted)]
        for one, place in zip(
            found["hash"].tolist(), keys.rows[found["text"]].tolist(), strict=True
        ):
            at = said[place][1]
            if one not in times or at < times[one]:
                times[one] = at
