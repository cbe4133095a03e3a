"""The journal of teacher calls: what was asked, what was answered, at what price.

SQLite in WAL mode. A batch of answers is one transaction, so that after SIGKILL a batch is there
whole or not at all: a resumed run then asks the same remaining batches, in the same composition,
and gets the same bits. Keys are digests of the request, so a rerun buys only what is missing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import canonical, canonical_row, digest, digest_bytes
from mashbill.core.errors import StoreError
from mashbill.core.merkle import leaf, root
from mashbill.core.stage import Answer, Question
from mashbill.core.store import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    request TEXT PRIMARY KEY, teacher TEXT NOT NULL, prefix TEXT NOT NULL, body TEXT NOT NULL,
    choices TEXT NOT NULL, logprobs TEXT NOT NULL, tokens INTEGER NOT NULL, price REAL NOT NULL,
    at TEXT NOT NULL, text TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""
_ADD_TEXT = "ALTER TABLE calls ADD COLUMN text TEXT NOT NULL DEFAULT ''"
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


def request_digest(teacher: Mapping[str, Any], question: Question) -> str:
    """Return the identity of a call: who is asked, and what."""
    return digest(
        {
            "teacher": dict(teacher),
            "prefix": digest_bytes(question.prefix.encode()),
            "body": question.body,
            "choices": list(question.choices),
        }
    )


class Journal:
    """The calls of one store. Opened to be read, it never creates a file."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        """Open the journal at ``path``.

        Raises:
            StoreError: if it is to be read and is not there.
        """
        self.path = path
        self._writable = writable
        if writable:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            if not self._keeps_text():  # a journal from before teachers could write
                self._db.execute(_ADD_TEXT)
        else:
            if not path.exists():
                msg = f"{path} is not there: this store holds no teacher calls"
                raise StoreError(msg)
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        self._text = "c.text" if self._keeps_text() else "''"

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

    def _keeps_text(self) -> bool:
        return any(column[1] == "text" for column in self._read("PRAGMA table_info(calls)", []))

    def _read(self, query: str, values: list[str]) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            msg = f"{self.path} cannot be read: {error}; run `mashbill audit`"
            raise StoreError(msg) from error

    def answers(self, requests: Iterable[str]) -> dict[str, Answer]:
        """Return what is already answered among these request digests."""
        wanted, found = list(requests), {}
        for start in range(0, len(wanted), _CHUNK):
            piece = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(piece))
            rows = self._read(
                f"SELECT request, logprobs, tokens, {self._text} FROM calls c "  # noqa: S608
                f"WHERE request IN ({marks})",
                piece,
            )
            for request, logprobs, tokens, text in rows:
                found[request] = Answer(tuple(json.loads(logprobs)), tokens, text)
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
            )
            for request, question, answer in calls
        ]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR IGNORE INTO texts VALUES (?, ?)", [(d, t) for t, d in texts.items()]
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def call(self, request: str) -> Call | None:
        """Return one call whole, or None if it is not in the journal."""
        rows = self._read(
            "SELECT request, teacher, t.text, body, choices, logprobs, tokens, price, at, "  # noqa: S608
            f"{self._text} FROM calls c JOIN texts t ON t.digest = c.prefix WHERE request = ?",
            [request],
        )
        if not rows:
            return None
        row = rows[0]
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
        )

    def totals(self) -> tuple[int, int, float]:
        """Return calls, tokens and price (USD) of everything ever answered."""
        ((calls, tokens, price),) = self._read(
            "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(price), 0.0) FROM calls", []
        )
        return calls, tokens, price

    def merkle_root(self, requests: Iterable[str]) -> str:
        """Return the root over these calls, in order of digest; a missing call changes it.

        A leaf covers the whole row and is recomputed from its parts, the request digest included,
        so that an altered question is found as surely as an altered answer.
        """
        leaves = []
        for request in sorted(set(requests)):
            call = self.call(request)
            if call is None:
                leaves.append(leaf(b"missing " + request.encode()))
                continue
            question = Question(call.prefix, call.body, call.choices)
            leaves.append(
                leaf(
                    canonical_row(
                        {
                            "request": request_digest(call.teacher, question),
                            "logprobs": list(call.logprobs),
                            "tokens": call.tokens,
                            "price": call.price,
                            "at": call.at,
                            # Only where there is one: the leaves of other calls stay as they were.
                            **({"text": call.text} if call.text else {}),
                        }
                    )
                )
            )
        return root(leaves)
