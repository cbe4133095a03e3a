"""The journal of teacher calls: what was asked, what was answered, at what price.

SQLite in WAL mode, two tables. ``calls`` are those to teachers in this process: a batch of answers
is one transaction, so that after SIGKILL a batch is there whole or not at all, and a resumed run
asks the same remaining batches, in the same composition, and gets the same bits. ``bought`` are
those to services (:mod:`mashbill.calls.paid_call`), written by one thread
(:mod:`mashbill.calls.writer`). Keys are digests of the request, so a rerun buys only what is
missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mashbill.calls import paid_call as bought
from mashbill.calls.paid_call import PaidCall, Requests, call_digest, pieces, request_digest
from mashbill.calls.schema import check_own
from mashbill.calls.written import WrittenAnswer, WrittenQuestion
from mashbill.core import foreign
from mashbill.core.canonical import canonical, canonical_row, digest_bytes
from mashbill.core.errors import StoreError
from mashbill.core.merkle import leaf, root
from mashbill.core.parsing import check_regular
from mashbill.core.parsing import foreign as read_as
from mashbill.core.store import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mashbill.core.store import Store
    from mashbill.core.teacher import Answer, Question

_SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    request TEXT PRIMARY KEY, teacher TEXT NOT NULL, prefix TEXT NOT NULL, body TEXT NOT NULL,
    choices TEXT NOT NULL, logprobs TEXT NOT NULL, tokens INTEGER NOT NULL, price REAL NOT NULL,
    at TEXT NOT NULL, text TEXT NOT NULL DEFAULT '', more TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""
_ADDED = ("text", "more")
"""columns that the first journals lack"""
_ASKED = ("system", "turns", "schema", "tools", "sample")
_LATEST = 2_000  # calls that are looked through without an index
_ANSWERED = ("failed", "finish", "tool_calls", "reasoning", "opaque")
_BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite opens with a file
_AHEAD = 300.0  # seconds by which an event may lie ahead of a clock that was set back a little
_LEAVES = 100_000  # kept for roots: more are read again
_CHUNK = 500  # below SQLite's limit on parameters in every build


@dataclass(frozen=True)
class Call:
    """One call as the journal keeps it. ``price`` is in US dollars, ``at`` is UTC."""

    request: str
    teacher: dict[str, Any]
    prefix: str
    body: str
    choices: tuple[str, ...]
    logprobs: tuple[float, ...]
    tokens: int
    price: float
    at: str
    text: str = ""
    more: str = ""
    """JSON: what else was asked and answered, where there is any"""
    bought: PaidCall | None = None
    """the whole row, where the call was to a service"""


@dataclass(frozen=True)
class Event:
    """Something that befell a call: a limit met, a failure, an answer turned down."""

    run: str
    at: str
    kind: str
    account: str
    call: str
    detail: str
    """JSON"""


@dataclass(frozen=True)
class Run:
    """A run that asked services; ``ended`` is empty if it was killed."""

    run: str
    started: str
    ended: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class OpenBatch:
    """A batch that was submitted, or about to be, and is not done."""

    key: str
    id: str
    """as its provider names it; empty if the run was killed while submitting it"""
    calls: tuple[str, ...]
    at: str
    """when that was written, UTC"""


class Journal:
    """The calls of one store. Opened to be read, it never creates a file."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        """Open the journal at ``path``.

        Raises:
            StoreError: if it is to be read and is not there, or is none.
        """
        self.path = path
        self._writable = writable
        self._digests: dict[str, Requests] = {}
        self._leaves: dict[str, bytes] = {}
        self._lock = threading.Lock()  # slices of a stage are asked from threads of their own
        check_regular(*(path.with_name(f"{path.name}{more}") for more in _BESIDE))
        if writable:
            self._db = open_to_write(path)
            for name in _ADDED:
                if name not in self._columns():
                    self._db.execute(
                        f"ALTER TABLE calls ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
                    )
        else:
            if not path.exists():
                msg = f"{path} is not there: this store holds no teacher calls"
                raise StoreError(msg)
            self._db = _open_to_read(path)
        self._more = ", ".join(f"c.{name}" if name in self._columns() else "''" for name in _ADDED)
        self._has_bought = bool(self._read("PRAGMA table_info(bought)", []))

    @classmethod
    def of(cls, store: Store) -> Journal | None:
        """Open the journal of a store to be read; None if it holds no teacher calls."""
        path = store.root / CALLS
        return cls(path) if path.exists() else None

    def close(self) -> None:
        """Close the file; a writer folds the write-ahead log into it, so that it can be copied."""
        if self._writable:
            with contextlib.suppress(sqlite3.OperationalError):  # somebody else is reading
                self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()

    def sync(self) -> None:
        """See to it that all that is committed is on the disk."""
        sync(self.path)

    def _told(self) -> AbstractContextManager[None]:
        """Hold whatever a row that is none makes fail to be one thing: the journal is damaged."""
        again = "run `mashbill audit`"
        return read_as(self.path, "a journal of calls", error=StoreError, remedy=again)

    def _row(self, row: tuple[Any, ...]) -> PaidCall:
        with self._told():
            return bought.read_row(row)

    def _columns(self) -> set[str]:
        return {column[1] for column in self._read("PRAGMA table_info(calls)", [])}

    def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
            msg = f"{self.path} cannot be read: {error}; run `mashbill audit`"
            raise StoreError(msg) from error

    def answers(self, requests: Iterable[str]) -> dict[str, Answer]:
        """Return what is already answered among these request digests."""
        wanted, found = list(requests), {}
        for start in range(0, len(wanted), _CHUNK):
            piece = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(piece))
            rows = self._read(
                f"SELECT request, logprobs, tokens, {self._more} FROM calls c "  # noqa: S608
                f"WHERE request IN ({marks})",
                piece,
            )
            for request, logprobs, tokens, text, more in rows:
                with self._told():
                    answered = json.loads(more).get("answered", {}) if more else {}
                    weighed = tuple(json.loads(logprobs))
                    found[request] = WrittenAnswer(weighed, tokens, text, **answered).read()
        return found

    def record(
        self,
        teacher: Mapping[str, Any],
        calls: Sequence[tuple[str, Question, Answer]],
        *,
        at: str,
        price: float = 0.0,
    ) -> None:
        """Write a batch of answered calls, all or none; ``price`` is that of one call in USD."""
        who = canonical(dict(teacher)).decode()
        texts = {q.prefix: digest_bytes(q.prefix.encode()) for _, q, _ in calls}
        rows = [
            (
                request,
                who,
                texts[question.prefix],
                question.body,
                json.dumps(question.choices, ensure_ascii=False),
                json.dumps(answer.logprobs),
                answer.tokens,
                price,
                at,
                answer.text,
                _further(question, answer),
            )
            for request, question, answer in calls
        ]
        try:
            with self._lock:
                self._insert(texts, rows)
            sync(self.path)
        except (sqlite3.Error, OSError) as error:
            msg = (
                f"{self.path} cannot be written: {error}; {len(rows)} answers that had come in are "
                "not kept, everything before them is. Make room on the disk, or make the store "
                "writable, and run the same command again"
            )
            raise StoreError(msg) from error

    def _insert(self, texts: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR IGNORE INTO texts VALUES (?, ?)", [(d, t) for t, d in texts.items()]
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO calls (request, teacher, prefix, body, choices, logprobs, "
                "tokens, price, at, text, more) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def call(self, request: str) -> Call | None:
        """Return one call whole, or None if it is not in the journal."""
        for item in self.rows([request]):
            return _as_call(item)
        rows = self._read(
            "SELECT request, teacher, t.text, body, choices, logprobs, tokens, price, at, "  # noqa: S608
            f"{self._more} FROM calls c JOIN texts t ON t.digest = c.prefix WHERE request = ?",
            [request],
        )
        if not rows:
            return None
        row = rows[0]
        with self._told():
            return Call(
                request=row[0],
                teacher=json.loads(row[1]),
                prefix=row[2],
                body=row[3],
                choices=tuple(json.loads(row[4])),
                logprobs=tuple(json.loads(row[5])),
                tokens=row[6],
                price=row[7],
                at=row[8],
                text=row[9],
                more=row[10],
            )

    def when(self, calls: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
        """Yield teacher, route, terms and time of those calls that are there, in no order.

        The teacher's identity is canonical JSON; the route is JSON, and empty where a teacher was
        asked in this process; terms are the versions that were noted when the call was made.
        """
        for piece in pieces(calls, _CHUNK):
            marks = ",".join("?" * len(piece))
            yield from self._read(
                f"SELECT teacher, '', '', at FROM calls WHERE request IN ({marks})",  # noqa: S608
                piece,
            )
            yield from self.query(
                "SELECT w1.text, w2.text, w3.text, b.at FROM bought b "  # noqa: S608
                "JOIN words w1 ON w1.id = b.teacher JOIN words w2 ON w2.id = b.route "
                f"JOIN words w3 ON w3.id = b.terms WHERE b.call IN ({marks})",
                [bytes.fromhex(call) for call in piece],
            )

    def answered(self, calls: Iterable[str]) -> dict[str, Answer]:
        """Return what services have answered among these calls."""
        found = {}
        for piece in pieces(calls, _CHUNK) if self._has_bought else ():
            marks = ",".join("?" * len(piece))
            keys = [bytes.fromhex(call) for call in piece]
            for row in self._read(f"{bought.ANSWERS} WHERE call IN ({marks})", keys):
                with self._told():
                    call, answer = bought.read_answer(row)
                found[call] = answer
        return found

    def latest_choices(self, teacher: str) -> list[Answer]:
        """Return a teacher's answers to choices, of the latest calls of the whole journal.

        Args:
            teacher: canonical JSON of its identity.
        """
        if not self._has_bought:
            return []
        latest = "(SELECT * FROM bought ORDER BY rowid DESC LIMIT ?)"
        rows = self._read(
            f"{bought.ANSWERS.replace('FROM bought', f'FROM {latest}')} "  # noqa: S608
            "WHERE choices != '[]' AND teacher = (SELECT id FROM words WHERE text = ?)",
            [_LATEST, teacher],
        )
        with self._told():
            return [bought.read_answer(row)[1] for row in rows]

    def logprobs_of(self, teacher: str) -> list[tuple[float, ...]]:
        """Return some of the log-probabilities of choices that a teacher gave, each once.

        Args:
            teacher: canonical JSON of its identity.
        """
        if not self._has_bought:
            return []
        rows = self._read(
            "SELECT DISTINCT b.logprobs FROM bought b JOIN words w ON w.id = b.teacher "
            "WHERE w.text = ? AND b.logprobs != '[]' LIMIT ?",
            [teacher, _CHUNK],
        )
        with self._told():
            return [tuple(json.loads(logprobs)) for (logprobs,) in rows]

    def rows(self, calls: Iterable[str]) -> Iterator[PaidCall]:
        """Yield these calls to services whole, as far as they are there, in no order."""
        for piece in pieces(calls, _CHUNK) if self._has_bought else ():
            marks = ",".join("?" * len(piece))
            keys = [bytes.fromhex(call) for call in piece]
            for row in self._read(f"{bought.SELECT} WHERE b.call IN ({marks})", keys):
                yield self._row(row)

    def rows_of(self, run: str) -> Iterator[PaidCall]:
        """Yield the calls to services that a run bought, in the order of their digests."""
        last = b""
        while self._has_bought:
            rows = self._read(
                f"{bought.SELECT} WHERE w7.text = ? AND b.call > ? ORDER BY b.call LIMIT ?",
                [run, last, _CHUNK],
            )
            if not rows:
                return
            yield from (self._row(row) for row in rows)
            last = rows[-1][0]

    def terms(self) -> list[str]:
        """Return the versions of terms under which calls were bought, the latest first."""
        if not self._has_bought:
            return []
        rows = self._read(
            "SELECT w.text FROM bought b JOIN words w ON w.id = b.terms "
            "GROUP BY w.id ORDER BY max(b.at) DESC",
            [],
        )
        return [row[0] for row in rows]

    def events(self, run: str) -> list[Event]:
        """Return what befell a run's calls, in order."""
        if not self._has_bought:
            return []
        rows = self._read(
            "SELECT run, at, kind, account, call, detail FROM events WHERE run = ? ORDER BY id",
            [run],
        )
        return [Event(*row) for row in rows]

    def open_batches(self, route: str) -> list[OpenBatch]:
        """Return the batches of a route that are not done."""
        rows = self.query(
            "SELECT key, id, calls, at FROM batches WHERE route = ? AND state != 'done'", [route]
        )
        return [OpenBatch(key, own, tuple(calls.split()), at) for key, own, calls, at in rows]

    def batch_ids(self) -> set[str]:
        """Return the ids of all batches, as their providers name them."""
        return {own for (own,) in self.query("SELECT id FROM batches WHERE id != ''")}

    def held(self, account: str, model: str, now: datetime) -> float:
        """Return for how many seconds more a limit of an earlier run holds a model's requests."""
        return self.holding(account, model, now)[0]

    def holding(self, account: str, model: str, now: datetime) -> tuple[float, str]:
        """Return the same, a day at most, and what the service said.

        What is not believed any more, or cannot be read, holds nothing.
        """
        rows = self.query(
            "SELECT at, detail FROM events WHERE account = ? AND kind IN "
            "('rate-limited', 'server', 'invalid', 'window-empty') ORDER BY id DESC LIMIT 500",
            [account],
        )
        left, by = 0.0, ""
        for at, detail in rows:
            with contextlib.suppress(ValueError, RecursionError):
                told, then = json.loads(detail), foreign.moment(at)
                if not isinstance(told, dict) or then is None:
                    continue
                if told.get("model", model) == model:
                    passed = (now - then).total_seconds()
                    if passed < -_AHEAD:
                        continue  # of a clock that was wrong: it would hold every run anew
                    more = foreign.held(told.get("held")) - max(passed, 0.0)
                    if more > left:
                        left, by = more, str(told.get("header") or told.get("reason") or "a limit")
        return left, by[:100]

    def runs(self) -> list[Run]:
        """Return the runs that asked services, in order."""
        if not self._has_bought:
            return []
        rows = self._read("SELECT run, started, ended, facts FROM runs ORDER BY started, run", [])
        with self._told():
            return [Run(run, begun, ended, json.loads(facts)) for run, begun, ended, facts in rows]

    def spent(self, runs: Sequence[str]) -> tuple[int, int, float]:
        """Return calls, tokens and price (USD) of what these runs bought, pruned or not."""
        calls, tokens, usd = 0, 0, 0.0
        for piece in pieces(runs, _CHUNK) if self._has_bought else ():
            marks = ",".join("?" * len(piece))
            for query in (
                (
                    "SELECT count(*), coalesce(sum(tokens_in + tokens_out), 0), "  # noqa: S608
                    "coalesce(sum(price), 0.0) FROM bought b JOIN words w ON w.id = b.run "
                    f"WHERE w.text IN ({marks})"
                ),
                (
                    "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(price), 0.0) "  # noqa: S608
                    f"FROM pruned WHERE run IN ({marks})"
                ),
            ):
                ((more, read, price),) = self._read(query, piece)
                calls, tokens, usd = calls + more, tokens + read, usd + price
        return calls, tokens, usd

    def totals(self) -> tuple[int, int, float]:
        """Return calls, tokens and price (USD) of everything ever answered."""
        ((calls, tokens, price),) = self._read(
            "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(price), 0.0) FROM calls", []
        )
        if self._has_bought:
            ((more, read, written, paid),) = self._read(
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
        now |= {call: self._leaf(call) for call in wanted if call not in now}
        then = now | pruned
        roots = [root([now[call] for call in wanted])]
        return roots if then == now else [*roots, root([then[call] for call in wanted])]

    def teachers(self, calls: Iterable[str]) -> set[str]:
        """Return the identities, as canonical JSON, of the teachers that answered these calls."""
        found: set[str] = set()
        for piece in pieces(sorted(set(calls)), _CHUNK):
            marks = ",".join("?" * len(piece))
            query = f"SELECT DISTINCT teacher FROM calls WHERE request IN ({marks})"  # noqa: S608
            found |= {text for (text,) in self._read(query, piece)}
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
        for piece in pieces(calls, _CHUNK) if self._has_bought else ():
            marks = ",".join("?" * len(piece))
            keys = [bytes.fromhex(call) for call in piece]
            for call, kept in self._read(
                f"SELECT call, leaf FROM pruned WHERE call IN ({marks})",  # noqa: S608
                keys,
            ):
                found[call.hex()] = bytes(kept)
        return found

    def query(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query; none where a journal is older than the tables it asks of."""
        return self._read(query, values) if self._has_bought else []

    def all_bought(self) -> Iterator[PaidCall]:
        """Yield every call to a service, in the order in which they were answered."""
        last = 0
        while self._has_bought:
            rows = self._read(
                f"{bought.SELECT.replace('SELECT b.call', 'SELECT b.rowid, b.call')} "
                "WHERE b.rowid > ? ORDER BY b.rowid LIMIT ?",
                [last, _CHUNK],
            )
            if not rows:
                return
            yield from (bought.read_row(row[1:]) for row in rows)
            last = rows[-1][0]

    def all_calls(self) -> Iterator[Call]:
        """Yield every call to a teacher in this process, in the order of their digests."""
        last = ""
        while True:
            rows = self._read(
                "SELECT request FROM calls WHERE request > ? ORDER BY request LIMIT ?",
                [last, _CHUNK],
            )
            for (request,) in rows:
                call = self.call(request)
                if call is not None:
                    yield call
            if not rows:
                return
            last = rows[-1][0]

    def _checked(self, item: PaidCall) -> bytes:
        """Return a call's leaf, or that of a missing one if its key is not what was asked."""
        digests = self._digests.get(item.teacher)
        if digests is None:
            digests = self._digests[item.teacher] = Requests(json.loads(item.teacher))
        if call_digest(digests.digest(item.question), item.terms) != item.call:
            return leaf(b"altered " + item.call.encode())
        return item.leaf()

    def _leaf(self, request: str) -> bytes:
        call = self.call(request)
        if call is None:
            return leaf(b"missing " + request.encode())
        asked = json.loads(call.more).get("asked", {}) if call.more else {}
        question = WrittenQuestion(call.prefix, call.body, call.choices, **asked)
        return leaf(
            canonical_row(
                {
                    "request": request_digest(call.teacher, question),
                    "logprobs": list(call.logprobs),
                    "tokens": call.tokens,
                    "price": call.price,
                    "at": call.at,
                    # Only where there is one: the leaves of other calls stay as they were.
                    **({"text": call.text} if call.text else {}),
                    **({"more": call.more} if call.more else {}),
                }
            )
        )


def _further(question: Question, answer: Answer) -> str:
    """Return what the columns of ``calls`` do not hold, as JSON; empty if there is nothing."""
    asked, answered = WrittenQuestion.of(question), WrittenAnswer.of(answer)
    found = {
        "answered": {name: said for name in _ANSWERED if (said := getattr(answered, name))},
        "asked": {name: said for name in _ASKED if (said := getattr(asked, name))},
    }
    found = {key: value for key, value in found.items() if value}
    return json.dumps(found, ensure_ascii=False, sort_keys=True) if found else ""


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal to be read, and nothing that is none.

    Raises:
        StoreError: naming the file, if it cannot be read, or is none.
    """
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            db.execute("PRAGMA query_only=ON")
            check_own(db, path, _SCHEMA + bought.SCHEMA)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        msg = f"{path} cannot be read: {error}; run `mashbill audit`"
        raise StoreError(msg) from error
    return db


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a journal to be written, making its tables.

    Raises:
        StoreError: naming the file, if it cannot be written, or is none.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
        check_own(db, path, _SCHEMA + bought.SCHEMA)
        db.execute("PRAGMA journal_mode=WAL")
        # A transaction survives the end of this process; the writer syncs it to the disk itself.
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA + bought.SCHEMA)
    except sqlite3.Error as error:
        msg = f"{path} cannot be written: {error}; make room, or make the store writable"
        raise StoreError(msg) from error
    return db


def sync(path: Path) -> None:
    """Sync what is committed to the disk: it lies in the write-ahead log.

    Raises:
        OSError: if the disk does not take it.
    """
    log = path.with_name(f"{path.name}-wal")
    with contextlib.suppress(FileNotFoundError):
        file = os.open(log, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _as_call(item: PaidCall) -> Call:
    return Call(
        request=item.call,
        teacher=json.loads(item.teacher),
        prefix=item.question.prefix,
        body=item.question.body,
        choices=item.question.choices,
        logprobs=item.answer.logprobs,
        tokens=item.answer.tokens,
        price=item.price,
        at=item.at,
        text=item.answer.text,
        bought=item,
    )
