"""The journal of teacher calls: what was asked, what was answered, at what price.

Two tables. ``calls`` are those to teachers in this process (:mod:`mashbill.calls.asked_here`),
kept by the sitting in which they were put, whose batches are always cut alike, so that a resumed
run gets the same bits. ``bought`` are those to services (:mod:`mashbill.calls.paid_call`), written
by one thread (:mod:`mashbill.calls.writer`); their keys are digests of the request, so that a rerun
buys only what is missing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.calls import paid_call as bought
from mashbill.calls.asked_here import AskedHere, Call, as_call
from mashbill.calls.database import CHUNK, Database, sync
from mashbill.calls.paid_call import PaidCall, Requests, call_digest, pieces
from mashbill.calls.runs import Runs
from mashbill.core.merkle import leaf, root
from mashbill.core.store import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.store import Store
    from mashbill.core.teacher import Answer

_LATEST = 2_000  # calls that are looked through without an index
_LEAVES = 100_000  # kept for roots: more are read again


class Journal(Runs):
    """The calls of one store. Opened to be read, it never creates a file."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        """Open the journal at ``path``.

        Raises:
            StoreError: if it is to be read and is not there, or is none.
        """
        super().__init__(Database(path, writable=writable))
        self.path = path
        self.here = AskedHere(self._db)
        """calls to teachers in this process"""
        self._digests: dict[str, Requests] = {}
        self._leaves: dict[str, bytes] = {}

    @classmethod
    def of(cls, store: Store) -> Journal | None:
        """Open the journal of a store to be read; None if it holds no teacher calls."""
        path = store.root / CALLS
        return cls(path) if path.exists() else None

    def close(self) -> None:
        """Close the file; a writer folds the write-ahead log into it, so that it can be copied."""
        self._db.close()

    def sync(self) -> None:
        """See to it that all that is committed is on the disk."""
        sync(self.path)

    def _row(self, row: tuple[Any, ...]) -> PaidCall:
        with self._db.told():
            return bought.read_row(row)

    def answers(self, calls: Iterable[str]) -> dict[str, Answer]:
        """Return what teachers in this process have answered among these calls."""
        return self.here.answers(calls)

    def call(self, digest: str) -> Call | None:
        """Return one call whole, or None if it is not in the journal."""
        for item in self.rows([digest]):
            return as_call(item)
        return self.here.call(digest)

    def when(self, calls: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
        """Yield teacher, route, terms and time of those calls that are there, in no order.

        The teacher's identity is canonical JSON; the route is JSON, and empty where a teacher was
        asked in this process; terms are the versions that were noted when the call was made.
        """
        for piece in pieces(calls, CHUNK):
            yield from self.here.when(piece)
            marks = ",".join("?" * len(piece))
            yield from self.query(
                "SELECT w1.text, w2.text, w3.text, b.at FROM bought b "  # noqa: S608
                "JOIN words w1 ON w1.id = b.teacher JOIN words w2 ON w2.id = b.route "
                f"JOIN words w3 ON w3.id = b.terms WHERE b.call IN ({marks})",
                [bytes.fromhex(call) for call in piece],
            )

    def answered(self, calls: Iterable[str]) -> dict[str, Answer]:
        """Return what services have answered among these calls."""
        found = {}
        for piece in pieces(calls, CHUNK) if self._db.has_bought else ():
            marks = ",".join("?" * len(piece))
            keys = [bytes.fromhex(call) for call in piece]
            for row in self._db.read(f"{bought.ANSWERS} WHERE call IN ({marks})", keys):
                with self._db.told():
                    call, answer = bought.read_answer(row)
                found[call] = answer
        return found

    def latest_choices(self, teacher: str) -> list[Answer]:
        """Return a teacher's answers to choices, of the latest calls of the whole journal.

        Args:
            teacher: canonical JSON of its identity.
        """
        if not self._db.has_bought:
            return []
        latest = "(SELECT * FROM bought ORDER BY rowid DESC LIMIT ?)"
        rows = self._db.read(
            f"{bought.ANSWERS.replace('FROM bought', f'FROM {latest}')} "  # noqa: S608
            "WHERE choices != '[]' AND teacher = (SELECT id FROM words WHERE text = ?)",
            [_LATEST, teacher],
        )
        with self._db.told():
            return [bought.read_answer(row)[1] for row in rows]

    def logprobs_of(self, teacher: str) -> list[tuple[float, ...]]:
        """Return some of the log-probabilities of choices that a teacher gave, each once.

        Args:
            teacher: canonical JSON of its identity.
        """
        if not self._db.has_bought:
            return []
        rows = self._db.read(
            "SELECT DISTINCT b.logprobs FROM bought b JOIN words w ON w.id = b.teacher "
            "WHERE w.text = ? AND b.logprobs != '[]' LIMIT ?",
            [teacher, CHUNK],
        )
        with self._db.told():
            return [tuple(json.loads(logprobs)) for (logprobs,) in rows]

    def rows(self, calls: Iterable[str]) -> Iterator[PaidCall]:
        """Yield these calls to services whole, as far as they are there, in no order."""
        for piece in pieces(calls, CHUNK) if self._db.has_bought else ():
            marks = ",".join("?" * len(piece))
            keys = [bytes.fromhex(call) for call in piece]
            for row in self._db.read(f"{bought.SELECT} WHERE b.call IN ({marks})", keys):
                yield self._row(row)

    def rows_of(self, run: str) -> Iterator[PaidCall]:
        """Yield the calls to services that a run bought, in the order of their digests."""
        last = b""
        while self._db.has_bought:
            rows = self._db.read(
                f"{bought.SELECT} WHERE w7.text = ? AND b.call > ? ORDER BY b.call LIMIT ?",
                [run, last, CHUNK],
            )
            if not rows:
                return
            yield from (self._row(row) for row in rows)
            last = rows[-1][0]

    def terms(self) -> list[str]:
        """Return the versions of terms under which calls were bought, the latest first."""
        if not self._db.has_bought:
            return []
        rows = self._db.read(
            "SELECT w.text FROM bought b JOIN words w ON w.id = b.terms "
            "GROUP BY w.id ORDER BY max(b.at) DESC",
            [],
        )
        return [row[0] for row in rows]

    def totals(self) -> tuple[int, int, float]:
        """Return calls, tokens and price (USD) of everything ever answered."""
        calls, tokens, price = self.here.totals()
        if self._db.has_bought:
            ((more, read, written, paid),) = self._db.read(
                "SELECT count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0), "
                "coalesce(sum(price), 0.0) FROM bought",
                [],
            )
            calls, tokens, price = calls + more, tokens + read + written, price + paid
        return calls, tokens, price

    def merkle_root(self, requests: Iterable[str]) -> str:
        """Return the root over these calls, in order of digest; a missing call changes it.

        A leaf covers the whole row and is recomputed from its parts, the request digest included,
        so that an altered question is found as surely as an altered answer.
        """
        return self.merkle_roots(requests)[0]

    def merkle_roots(self, requests: Iterable[str]) -> list[str]:
        """Return the root over these calls as they are, and as they were before some were pruned.

        The two differ where a call was pruned and bought again: what was made before rests on the
        leaf that was kept, what was made after on the new one.
        """
        wanted = sorted(set(requests))
        found = {call: self._leaves.pop(call) for call in wanted if call in self._leaves}
        missing = [call for call in wanted if call not in found]
        found |= {item.call: self._checked(item) for item in self.rows(missing)}
        pruned = self._pruned(missing)
        now = pruned | found
        now |= {call: self.here.leaf(call) for call in wanted if call not in now}
        then = now | pruned
        roots = [root([now[call] for call in wanted])]
        return roots if then == now else [*roots, root([then[call] for call in wanted])]

    def teachers(self, calls: Iterable[str]) -> set[str]:
        """Return the identities, as canonical JSON, of the teachers that answered these calls."""
        wanted = sorted(set(calls))
        found = self.here.teachers(wanted)
        for piece in pieces(wanted, CHUNK):
            marks = ",".join("?" * len(piece))
            query = (
                "SELECT DISTINCT w.text FROM bought b JOIN words w ON w.id = b.teacher "  # noqa: S608
                f"WHERE b.call IN ({marks})"
            )
            found |= {text for (text,) in self.query(query, [bytes.fromhex(c) for c in piece])}
        return found

    def remember(self, leaves: Mapping[str, bytes]) -> None:
        """Keep the leaves of calls just written for the root that is soon made of them."""
        self._leaves.update(leaves)
        while len(self._leaves) > _LEAVES:
            del self._leaves[next(iter(self._leaves))]

    def _pruned(self, calls: Iterable[str]) -> dict[str, bytes]:
        """Return the leaves of calls whose texts were taken out, even if they were bought again."""
        found = {}
        for piece in pieces(calls, CHUNK) if self._db.has_bought else ():
            marks = ",".join("?" * len(piece))
            keys = [bytes.fromhex(call) for call in piece]
            for call, kept in self._db.read(
                f"SELECT call, leaf FROM pruned WHERE call IN ({marks})",  # noqa: S608
                keys,
            ):
                found[call.hex()] = bytes(kept)
        return found

    def query(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query; none where a journal is older than the tables it asks of."""
        return self._db.read(query, values) if self._db.has_bought else []

    def all_bought(self) -> Iterator[PaidCall]:
        """Yield every call to a service, in the order in which they were answered."""
        last = 0
        while self._db.has_bought:
            rows = self._db.read(
                f"{bought.SELECT.replace('SELECT b.call', 'SELECT b.rowid, b.call')} "
                "WHERE b.rowid > ? ORDER BY b.rowid LIMIT ?",
                [last, CHUNK],
            )
            if not rows:
                return
            yield from (bought.read_row(row[1:]) for row in rows)
            last = rows[-1][0]

    def _checked(self, item: PaidCall) -> bytes:
        """Return a call's leaf, or that of a missing one if its key is not what was asked."""
        digests = self._digests.get(item.teacher)
        if digests is None:
            digests = self._digests[item.teacher] = Requests(json.loads(item.teacher))
        if call_digest(digests.digest(item.question), item.terms) != item.call:
            return leaf(b"altered " + item.call.encode())
        return item.leaf()
