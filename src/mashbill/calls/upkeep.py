"""Keeping a journal: its size, taking texts out of it, handing it on.

Pruning takes a call's texts away and keeps its Merkle leaf and what it cost, so that an audit still
agrees with the ledger and a cap with what was spent; what was pruned is bought again if it is asked
again. An export is JSON lines, one call
each; an import checks each call's key against what it says, and never replaces one that is there.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.calls import paid_call as bought
from mashbill.calls.asked_here import INSERT
from mashbill.calls.database import open_to_write
from mashbill.calls.journal import Journal
from mashbill.calls.paid_call import PaidCall, Requests, call_digest, interned, pieces, values
from mashbill.calls.sitting import call_in
from mashbill.calls.written import WrittenAnswer, WrittenQuestion
from mashbill.core import foreign
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.parsing import foreign as read_as
from mashbill.core.parsing import json_value
from mashbill.core.store import publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_CHUNK = 500
_LINE = 256 << 20
"""bytes of a line of an export"""
_FORMAT = "mashbill-calls-1"


@dataclass(frozen=True)
class Size:
    """What a journal holds and takes."""

    calls: int
    """to teachers in this process"""
    bought: int
    """to services"""
    pruned: int
    """of those to services, whose texts were taken out"""
    events: int
    runs: int
    bytes: int
    """of the file, and of its write-ahead log"""
    by_teacher: tuple[tuple[str, int, int, float], ...]
    """(teacher's identity, calls, bytes of texts, US dollars) of services"""


def size(path: Path) -> Size:
    """Return what a journal holds.

    Raises:
        StoreError: if it is not there or cannot be read.
    """
    journal = Journal(path)
    try:
        rows = journal.query(
            "SELECT w.text, count(*), sum(length(body) + length(turns) + length(b.text) + "
            "length(reasoning) + length(opaque) + length(tool_calls)), sum(price) "
            "FROM bought b JOIN words w ON w.id = b.teacher GROUP BY w.id ORDER BY 3 DESC"
        )
        counts = [
            sum(row[0] for row in journal.query(f"SELECT count(*) FROM {table}"))  # noqa: S608 - names of our own
            for table in ("calls", "bought", "pruned", "events", "runs")
        ]
    finally:
        journal.close()
    beside = path.with_name(f"{path.name}-wal")
    taken = path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
    calls, services, pruned, events, runs = counts
    return Size(calls, services, pruned, events, runs, taken, tuple(tuple(row) for row in rows))


def prune(path: Path, *, before: str = "", run: str = "") -> int:
    """Take out the texts of calls to services; return of how many.

    What was pruned before and bought again stays, and so do calls that came from another journal:
    nothing in this ledger would say what their leaves were.

    Args:
        path: the journal.
        before: those answered before this day or time, ISO 8601; all if empty.
        run: those of this run; of all runs if empty.

    Raises:
        InputError: if ``before`` is no day and no time.
        StoreError: if it is not there or cannot be written.
    """
    if before:
        try:
            moment = datetime.fromisoformat(before)
        except ValueError as error:
            msg = f"{before!r} is no day and no time; write it as 2026-11-24 or 2026-11-24T12:00"
            raise InputError(msg) from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        before = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    journal = Journal(path)
    try:
        keys = [
            row[0].hex()
            for row in journal.query(
                "SELECT call FROM bought b JOIN words w ON w.id = b.run "
                "WHERE (? = '' OR b.at < ?) AND (? = '' OR w.text = ?) "
                # Bought again after it was pruned: two leaves of one call could not be told apart.
                "AND b.call NOT IN (SELECT call FROM pruned) "
                "AND w.text IN (SELECT run FROM runs)",
                [before, before, run, run],
            )
        ]
        db = open_to_write(path)
        with contextlib.closing(db):
            for piece in pieces(keys, _CHUNK):
                kept = [
                    (
                        bytes.fromhex(row.call), row.leaf(), row.run,
                        row.tokens_in + row.tokens_out, row.price,
                    )
                    for row in journal.rows(piece)
                ]  # fmt: skip
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT OR IGNORE INTO pruned VALUES (?, ?, ?, ?, ?)", kept)
                db.executemany("DELETE FROM bought WHERE call = ?", [row[:1] for row in kept])
                db.execute("COMMIT")
            used = " UNION ".join(f"SELECT {name} FROM bought" for name in bought.INTERNED)  # noqa: S608
            db.execute(f"DELETE FROM words WHERE id NOT IN ({used})")  # noqa: S608
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        journal.close()
    return len(keys)


def export(path: Path, to: Path) -> int:
    """Write all calls of a journal as JSON lines; return how many.

    Raises:
        StoreError: if the journal is not there or cannot be read.
    """
    journal = Journal(path)
    temporary = to.with_name(f".{to.name}.part")
    count = 0
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps({"format": _FORMAT}) + "\n")
            for row in journal.all_bought():
                line = {"bought": asdict(row), "leaf": row.leaf().hex()}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
            for call in journal.here.all():
                line = {"call": {k: v for k, v in asdict(call).items() if k != "bought"}}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
    finally:
        journal.close()
    publish(temporary, to)
    return count


def take_in(path: Path, source: Path) -> tuple[int, int]:
    """Put the calls of an export into a journal; return (taken, there already).

    Raises:
        InputError: naming file and line, if one is no call, or its key is not what it asked. What
            stands before it is kept.
        StoreError: if the journal cannot be written.
    """
    Journal(path, writable=True).close()
    db = open_to_write(path)
    digests: dict[str, Requests] = {}
    taken = there = 0
    with contextlib.closing(db):
        for piece in pieces(_lines(source, digests), _CHUNK):
            db.execute("BEGIN IMMEDIATE")
            before = db.total_changes
            for row in piece:
                texts = interned(row) if isinstance(row, PaidCall) else ()
                words = {}
                for text in texts:
                    db.execute("INSERT OR IGNORE INTO words (text) VALUES (?)", [text])
                    ((words[text],),) = db.execute("SELECT id FROM words WHERE text = ?", [text])
                before = db.total_changes
                if isinstance(row, PaidCall):
                    marks = ",".join("?" * len(bought.COLUMNS))
                    db.execute(
                        f"INSERT OR IGNORE INTO bought ({','.join(bought.COLUMNS)}) "  # noqa: S608
                        f"VALUES ({marks})",
                        values(row, words),
                    )
                else:
                    _insert_call(db, row)
                new = db.total_changes > before
                taken, there = taken + new, there + (not new)
            db.execute("COMMIT")
    return taken, there


def _insert_call(db: Any, call: dict[str, Any]) -> None:
    prefix = digest_bytes(call["prefix"].encode())
    db.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", [prefix, call["prefix"]])
    db.execute(
        INSERT,
        [
            call["request"], canonical(call["teacher"]).decode(), prefix, call["body"],
            json.dumps(call["choices"], ensure_ascii=False), json.dumps(call["logprobs"]),
            call["tokens"], call["price"], call["at"], call["text"], call["more"],
            call["asked"], call["batch"], call["place"],
        ],
    )  # fmt: skip


def _lines(source: Path, digests: dict[str, Requests]) -> Iterator[PaidCall | dict[str, Any]]:
    again = "export it again with `mashbill journal export`. The lines before it are taken in"
    try:
        stream = source.open("rb")
    except (OSError, ValueError) as error:
        msg = f"{source} cannot be read: {error}"
        raise InputError(msg) from error
    with stream:
        for number, line in enumerate(iter(lambda: stream.readline(_LINE + 1), b""), 1):
            where = f"{source}, line {number}"
            if len(line) > _LINE:
                msg = f"{where}: more than {_LINE:,} bytes, which no call has; {again}"
                raise InputError(msg)
            with read_as(where, "a call of a journal", remedy=again):
                # Python writes a log-probability of nothing as -Infinity.
                data = json_value(line, where, what="a call of a journal", constants=True)
                if number == 1 and data.get("format") == _FORMAT:
                    continue
                row = _row(data, digests)
            yield row


def _row(data: dict[str, Any], digests: dict[str, Requests]) -> PaidCall | dict[str, Any]:
    if "call" in data:
        call = dict(data["call"])
        asked = json.loads(call["more"]).get("asked", {}) if call["more"] else {}
        question = WrittenQuestion(call["prefix"], call["body"], tuple(call["choices"]), **asked)
        # Exports of before there were sittings say nothing of them.
        call |= {n: at for n, at in {"asked": "", "batch": "", "place": 0}.items() if n not in call}
        _check_numbers([call["price"], call["tokens"], call["place"]], call["logprobs"])
        _check_texts(call, ("request", "prefix", "body", "at", "text", "more", "asked", "batch"))
        if foreign.count(call["place"]) is None:
            msg = "its place is no count"
            raise ValueError(msg)
        request = bought.request_digest(call["teacher"], question)
        is_own = call["asked"] == (request if call["batch"] else "")
        if not is_own or call_in(call["batch"], call["place"], request) != call["request"]:
            msg = "its key is not the digest of what it asked: it was altered"
            raise ValueError(msg)
        return call
    fields = dict(data["bought"])
    asked, answered = fields["question"], fields["answer"]
    question = WrittenQuestion(**{**asked, "choices": tuple(asked["choices"])})
    answer = WrittenAnswer(**{**answered, "logprobs": tuple(answered["logprobs"])})
    row = PaidCall(**{**fields, "question": question, "answer": answer})
    counted = [row.tokens_in, row.tokens_out, row.tokens_cached, row.attempts, answer.tokens,
               question.sample]  # fmt: skip
    _check_numbers([row.price, row.waited, row.seconds, *counted], answer.logprobs)
    if any(foreign.count(each) is None for each in counted):
        msg = "a count in it is no count"
        raise ValueError(msg)
    _check_texts(
        {**fields, **asked, **answered},
        ("call", "terms", "teacher", "served", "route", "run", "at", "flags", "prefix", "body",
         "system", "turns", "schema", "tools",
         "text", "failed", "finish", "tool_calls", "reasoning", "opaque"),
    )  # fmt: skip
    requests = digests.setdefault(row.teacher, Requests(json.loads(row.teacher)))
    if call_digest(requests.digest(question), row.terms) != row.call:
        msg = "its key is not the digest of what it asked: it was altered"
        raise ValueError(msg)
    if row.leaf().hex() != data["leaf"]:
        msg = "its leaf is not that of what it says: it was altered"
        raise ValueError(msg)
    return row


def _check_texts(holder: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if not isinstance(holder[name], str):
            msg = f"{name} in it is no text"
            raise TypeError(msg)
        holder[name].encode()


def _check_numbers(amounts: Iterable[Any], logprobs: Iterable[Any]) -> None:
    """See to it that numbers of an export are such as this program writes.

    Raises:
        ValueError: if one is not: it would break every sum over the journal.
    """
    if any(
        isinstance(each, str) or foreign.number(each, 0.0, foreign.MOST) is None for each in amounts
    ):
        msg = "an amount in it is no number, below 0 or out of all bounds"
        raise ValueError(msg)
    if any(not isinstance(each, float | int) or not -1e9 <= each <= 1.0 for each in logprobs):
        msg = "a log-probability in it is none"
        raise ValueError(msg)
