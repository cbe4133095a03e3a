"""The calls to teachers in this process: table ``calls`` of the journal.

A batch of answers is one transaction, so that after SIGKILL a batch is there whole or not at all.
A row's key is its call's digest (:func:`mashbill.calls.sitting.call_in`); in journals of before
release 0.2 it is the digest of the request.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.database import CHUNK, Database
from mashbill.calls.paid_call import PaidCall, pieces, request_digest
from mashbill.calls.sitting import Sitting, call_in
from mashbill.calls.written import WrittenAnswer, WrittenQuestion
from mashbill.core.canonical import canonical, canonical_row, digest_bytes
from mashbill.core.errors import StoreError
from mashbill.core.merkle import leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mashbill.core.teacher import Answer, Question

_COLUMNS = (
    "request", "teacher", "prefix", "body", "choices", "logprobs", "tokens", "price", "at", "text",
    "more", "asked", "batch", "place",
)  # fmt: skip
INSERT = (
    f"INSERT OR IGNORE INTO calls ({', '.join(_COLUMNS)}) "  # noqa: S608 - names of our own
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)
"""puts a call there, unless it is there already"""
_ASKED = ("system", "turns", "schema", "tools", "sample")
_ANSWERED = ("failed", "finish", "tool_calls", "reasoning", "opaque")


@dataclass(frozen=True)
class Call:
    """One call as the journal keeps it. ``price`` is in US dollars, ``at`` is UTC."""

    request: str
    """digest of the call"""
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
    asked: str = ""
    """digest of the question and of who was asked; empty where that is the call's own"""
    batch: str = ""
    """digest of the sitting that it was put in"""
    place: int = 0
    """in the sitting"""
    bought: PaidCall | None = None
    """the whole row, where the call was to a service"""


class AskedHere:
    """Reads and writes them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def answers(self, calls: Iterable[str]) -> dict[str, Answer]:
        """Return what is already answered among these calls."""
        return {call: answer for call, _, answer in self._answered("request", calls)}

    @contextmanager
    def sitting(self, sitting: Sitting) -> Iterator[dict[str, Answer]]:
        """Yield what is answered of a sitting already."""
        yield self.answers(sitting.calls.values())

    def together(self, calls: Iterable[str]) -> dict[str, str]:
        """Return, for each of some calls, that of the same question had all been asked at once.

        Calls to services, and those of journals of before there were sittings, are left out: what
        they are does not depend on what is asked with them.
        """
        asked: dict[str, str] = {}
        if self._db.column("asked") == "''":
            return asked
        for piece in pieces(calls, CHUNK):
            marks = ",".join("?" * len(piece))
            query = f"SELECT request, asked FROM calls WHERE asked != '' AND request IN ({marks})"  # noqa: S608 - marks alone
            asked |= dict(self._db.read(query, piece))
        sitting = Sitting.of(asked.values())
        return {call: sitting.calls[request] for call, request in asked.items()}

    def answers_to(self, requests: Iterable[str]) -> dict[str, Answer]:
        """Return an answer to each of these requests, in whichever sitting it was put.

        Of several, that of the least digest: which one it is does not depend on their order.
        """
        found: dict[str, tuple[str, Answer]] = {}
        wanted = list(requests)
        said = [(call, call, answer) for call, answer in self.answers(wanted).items()]
        if self._db.column("asked") != "''":
            said += self._answered("asked", wanted)
        for call, request, answer in said:
            if request not in found or call < found[request][0]:
                found[request] = (call, answer)
        return {request: answer for request, (_, answer) in found.items()}

    def _answered(self, column: str, wanted: Iterable[str]) -> Iterator[tuple[str, str, Answer]]:
        text, more, asked = (self._db.column(name) for name in ("text", "more", "asked"))
        for piece in pieces(wanted, CHUNK):
            marks = ",".join("?" * len(piece))
            rows = self._db.read(
                f"SELECT request, {asked}, logprobs, tokens, {text}, {more} FROM calls c "  # noqa: S608 - names of our own
                f"WHERE {column} IN ({marks})",
                piece,
            )
            for call, request, logprobs, tokens, said, further in rows:
                with self._db.told():
                    answered = json.loads(further).get("answered", {}) if further else {}
                    weighed = tuple(json.loads(logprobs))
                    answer = WrittenAnswer(weighed, tokens, said, **answered).read()
                yield call, request, answer

    def record(
        self,
        teacher: Mapping[str, Any],
        sitting: Sitting,
        calls: Sequence[tuple[str, Question, Answer]],
        *,
        at: str,
        price: float = 0.0,
    ) -> None:
        """Write a batch of answered questions of a sitting, all or none.

        Args:
            teacher: identity of who answered.
            sitting: that the batch was cut from.
            calls: (digest of the request, question, answer).
            at: when, UTC.
            price: of one call in US dollars.

        Raises:
            StoreError: if the journal cannot be written; what was there before is still there.
        """
        who = canonical(dict(teacher)).decode()
        texts = {q.prefix: digest_bytes(q.prefix.encode()) for _, q, _ in calls}
        places = {request: place for place, request in enumerate(sitting.requests)}
        rows = [
            (
                sitting.calls[request],
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
                request,
                sitting.digest,
                places[request],
            )
            for request, question, answer in calls
        ]

        def insert(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT OR IGNORE INTO texts VALUES (?, ?)", [(d, t) for t, d in texts.items()]
            )
            db.executemany(INSERT, rows)

        try:
            self._db.write(insert)
        except (sqlite3.Error, OSError) as error:
            msg = (
                f"{self._db.path} cannot be written: {error}; {len(rows)} answers that had come in "
                "are not kept, everything before them is. Make room on the disk, or make the store "
                "writable, and run the same command again"
            )
            raise StoreError(msg) from error

    def call(self, digest: str) -> Call | None:
        """Return one call whole, or None if it is not there."""
        names = ", ".join(self._db.column(n) for n in ("text", "more", "asked", "batch", "place"))
        rows = self._db.read(
            "SELECT request, teacher, t.text, body, choices, logprobs, tokens, price, at, "  # noqa: S608 - names of our own
            f"{names} FROM calls c JOIN texts t ON t.digest = c.prefix WHERE request = ?",
            [digest],
        )
        if not rows:
            return None
        request, teacher, prefix, body, choices, logprobs, *rest = rows[0]
        with self._db.told():
            return Call(
                request,
                json.loads(teacher),
                prefix,
                body,
                tuple(json.loads(choices)),
                tuple(json.loads(logprobs)),
                *rest,
            )

    def all(self) -> Iterator[Call]:
        """Yield every call, in the order of their digests."""
        last = ""
        while True:
            rows = self._db.read(
                "SELECT request FROM calls WHERE request > ? ORDER BY request LIMIT ?",
                [last, CHUNK],
            )
            for (digest,) in rows:
                call = self.call(digest)
                if call is not None:
                    yield call
            if not rows:
                return
            last = rows[-1][0]

    def teachers(self, calls: Iterable[str]) -> set[str]:
        """Return the identities, as canonical JSON, of the teachers that answered these calls."""
        found: set[str] = set()
        for piece in pieces(sorted(set(calls)), CHUNK):
            marks = ",".join("?" * len(piece))
            query = f"SELECT DISTINCT teacher FROM calls WHERE request IN ({marks})"  # noqa: S608 - marks alone
            found |= {text for (text,) in self._db.read(query, piece)}
        return found

    def when(self, calls: Sequence[str]) -> list[tuple[str, str, str, str]]:
        """Return (teacher, '', '', time) of those of at most :data:`CHUNK` calls that are there."""
        marks = ",".join("?" * len(calls))
        return self._db.read(
            f"SELECT teacher, '', '', at FROM calls WHERE request IN ({marks})",  # noqa: S608 - marks alone
            calls,
        )

    def totals(self) -> tuple[int, int, float]:
        """Return calls, tokens and price (USD) of all."""
        ((calls, tokens, price),) = self._db.read(
            "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(price), 0.0) FROM calls"
        )
        return calls, tokens, price

    def leaf(self, digest: str) -> bytes:
        """Return the Merkle leaf of a call; that of one that is missing, if it is not there.

        The call's digest is computed again from all that it covers: who was asked, what, in which
        sitting and at which place of it.
        """
        call = self.call(digest)
        if call is None:
            return leaf(b"missing " + digest.encode())
        asked = json.loads(call.more).get("asked", {}) if call.more else {}
        question = WrittenQuestion(call.prefix, call.body, call.choices, **asked)
        request = request_digest(call.teacher, question)
        if call.batch and request != call.asked:
            return leaf(b"altered " + digest.encode())
        return leaf(
            canonical_row(
                {
                    "request": call_in(call.batch, call.place, request),
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


def as_call(item: PaidCall) -> Call:
    """Return a call to a service in the same form."""
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


def _further(question: Question, answer: Answer) -> str:
    """Return what the columns of ``calls`` do not hold, as JSON; empty if there is nothing."""
    asked, answered = WrittenQuestion.of(question), WrittenAnswer.of(answer)
    found = {
        "answered": {name: said for name in _ANSWERED if (said := getattr(answered, name))},
        "asked": {name: said for name in _ASKED if (said := getattr(asked, name))},
    }
    found = {key: value for key, value in found.items() if value}
    return json.dumps(found, ensure_ascii=False, sort_keys=True) if found else ""
