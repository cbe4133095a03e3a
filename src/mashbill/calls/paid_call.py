"""A call to a service, as the journal keeps it: the answer, its price, and how it was had.

The row has two halves. The first is what was answered; the second, conduct, is how: by which route
and account, under which terms, at what time, after how many attempts and how long a wait, and the
key of the call, which is the digest of what was asked. A Merkle leaf covers the first half by its
digest and the second as it is, so that a statement of conduct can be checked by somebody who may
not see the texts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.written import WrittenAnswer, WrittenQuestion
from mashbill.core.canonical import canonical, digest, digest_bytes
from mashbill.core.chat import tools_to_json
from mashbill.core.merkle import leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mashbill.core.teacher import Answer, Question

_plain = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def request_digest(teacher: Mapping[str, Any], asked: Question | WrittenQuestion) -> str:
    """Return the identity of what is asked: of whom, and what."""
    question = WrittenQuestion.of(asked)
    found: dict[str, Any] = {
        "teacher": dict(teacher),
        "prefix": digest_bytes(question.prefix.encode()),
        "body": question.body,
        "choices": list(question.choices),
    }
    # Only where there is one: the digests of older journals stay as they were.
    for name in ("system", "turns", "schema", "tools", "sample"):
        value = getattr(question, name)
        if value:
            found[name] = value
    return digest(found)


class Requests:
    """Digests of requests to one teacher: equal to :func:`request_digest`, ten times as fast.

    The teacher's part and each prefix are made canonical once; keys are put in RFC 8785's order
    by hand. A law in the tests holds the two to each other.
    """

    def __init__(self, teacher: Mapping[str, Any]) -> None:
        """Prepare for a teacher."""
        self._teacher = canonical(dict(teacher)).decode()
        self._prefixes: dict[str, str] = {}

    def digest(self, asked: Question | WrittenQuestion) -> str:
        """Return the digest of one question."""
        question = asked
        if isinstance(question, WrittenQuestion):
            turns, schema, tools = question.turns, question.schema, question.tools
        else:  # written out only where there are any: this is done for each question
            turns = question.turns.to_json() if question.turns.turns else ""
            schema = question.schema.to_json() if question.schema is not None else ""
            tools = tools_to_json(question.tools) if question.tools else ""
        prefix = self._prefixes.get(question.prefix)
        if prefix is None:
            if len(self._prefixes) > 64:  # prefixes are few; where they are not, none is kept
                self._prefixes.clear()
            prefix = self._prefixes[question.prefix] = digest_bytes(question.prefix.encode())
        parts = [
            f'{{"body":{_plain(question.body)}',
            f'"choices":{_list(question.choices)}',
            f'"prefix":"{prefix}"',
        ]
        if question.sample:
            parts.append(f'"sample":{question.sample}')
        if schema:
            parts.append(f'"schema":{_plain(schema)}')
        if question.system:
            parts.append(f'"system":{_plain(question.system)}')
        parts.append(f'"teacher":{self._teacher}')
        if tools:
            parts.append(f'"tools":{_plain(tools)}')
        if turns:
            parts.append(f'"turns":{_plain(turns)}')
        return hashlib.sha256((",".join(parts) + "}").encode()).hexdigest()


def call_digest(request: str, terms: str) -> str:
    """Return the key of a call: what was asked, and under which version of the terms."""
    return hashlib.sha256(f"{request}\n{terms}".encode()).hexdigest() if terms else request


@dataclass(slots=True)
class PaidCall:
    """One answered call. ``price`` is in US dollars, ``at`` is UTC, times are seconds."""

    call: str
    terms: str
    """the texts in force for the route on that day; empty if none is known"""
    teacher: str
    """canonical JSON of the teacher's identity"""
    question: WrittenQuestion
    answer: WrittenAnswer
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    price: float
    served: str
    """the model and the response, as the provider names them"""
    route: str
    """JSON: service, host, wire format, account alias, organisation, User-Agent"""
    run: str
    at: str
    attempts: int
    waited: float
    """that the request was held back by limits and Retry-After"""
    seconds: float
    """from sending to the whole answer"""
    flags: str = ""
    """what is worth knowing of it, divided by commas: repaired, no-usage, ..."""

    def content(self) -> str:
        """Return the digest of what was answered; what was asked is in the key of the call."""
        answer = self.answer
        parts = [
            " ".join([value.hex() for value in answer.logprobs]), answer.text, answer.failed,
            answer.finish, answer.tool_calls, answer.reasoning, answer.opaque, self.served,
        ]  # fmt: skip
        return hashlib.sha256(netstrings(parts)).hexdigest()

    def conduct(self) -> list[str]:
        """Return the half that holds none: what a statement of conduct lists."""
        return [
            self.call, self.terms, self.route, self.run, self.at, str(self.attempts),
            f"{self.waited:.3f}", f"{self.seconds:.3f}", str(self.tokens_in),
            str(self.tokens_out), str(self.tokens_cached), self.price.hex(), self.flags,
        ]  # fmt: skip

    def leaf(self) -> bytes:
        """Return the Merkle leaf (32 bytes)."""
        return leaf_of(self.content(), self.conduct())


def leaf_of(content: str, conduct: Sequence[str]) -> bytes:
    """Return the Merkle leaf of a call from its two halves (32 bytes)."""
    return leaf(netstrings([content, *conduct]))


def netstrings(parts: Sequence[str]) -> bytes:
    """Return texts one behind the other, each with its length in characters before it.

    As in netstrings (cr.yp.to/proto/netstrings.txt), no two lists of texts give the same bytes.
    A JSON encoder takes three times as long over a list.
    """
    return "".join([f"{len(part)}:{part}," for part in parts]).encode()


SCHEMA = """
CREATE TABLE IF NOT EXISTS words (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS bought (
    call BLOB NOT NULL, terms INTEGER NOT NULL, teacher INTEGER NOT NULL, prefix INTEGER NOT NULL,
    system INTEGER NOT NULL, schema INTEGER NOT NULL, tools INTEGER NOT NULL,
    route INTEGER NOT NULL, run INTEGER NOT NULL, sample INTEGER NOT NULL,
    body TEXT NOT NULL, turns TEXT NOT NULL, choices TEXT NOT NULL,
    text TEXT NOT NULL, logprobs TEXT NOT NULL, failed TEXT NOT NULL, finish TEXT NOT NULL,
    tool_calls TEXT NOT NULL, reasoning TEXT NOT NULL, opaque TEXT NOT NULL, served TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, tokens_cached INTEGER NOT NULL,
    price REAL NOT NULL, at TEXT NOT NULL, attempts INTEGER NOT NULL,
    waited REAL NOT NULL, seconds REAL NOT NULL, flags TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS bought_call ON bought (call);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
    account TEXT NOT NULL, call TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_run ON events (run, kind);
CREATE TABLE IF NOT EXISTS batches (
    key TEXT PRIMARY KEY, id TEXT NOT NULL, route TEXT NOT NULL, calls TEXT NOT NULL,
    state TEXT NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pruned (
    call BLOB PRIMARY KEY, leaf BLOB NOT NULL, run TEXT NOT NULL, tokens INTEGER NOT NULL,
    price REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT NOT NULL, facts TEXT NOT NULL
) WITHOUT ROWID;
"""
INTERNED = ("terms", "teacher", "prefix", "system", "schema", "tools", "route", "run")
"""columns that hold a number of ``words``: texts that many calls share are kept once"""
_PLAIN = (
    "sample", "body", "turns", "choices", "text", "logprobs", "failed", "finish", "tool_calls",
    "reasoning", "opaque", "served", "tokens_in", "tokens_out", "tokens_cached", "price", "at",
    "attempts", "waited", "seconds", "flags",
)  # fmt: skip
COLUMNS = ("call", *INTERNED, *_PLAIN)
SELECT = (
    f"SELECT b.call, {', '.join(f'w{i}.text' for i in range(len(INTERNED)))}, "  # noqa: S608
    f"{', '.join(f'b.{name}' for name in _PLAIN)} FROM bought b "
    + " ".join(f"JOIN words w{i} ON w{i}.id = b.{name}" for i, name in enumerate(INTERNED))
)
"""reads whole rows, for :func:`read_row`"""
ANSWERS = "SELECT call, logprobs, tokens_in + tokens_out, text, failed, finish, tool_calls, reasoning, opaque FROM bought "  # noqa: E501
"""reads answers alone, for :func:`read_answer`"""


def values(item: PaidCall, words: Mapping[str, int]) -> tuple[Any, ...]:
    """Return a row as :data:`COLUMNS` has it.

    Args:
        item: the call.
        words: number of each interned text.
    """
    question, answer = item.question, item.answer
    return (
        bytes.fromhex(item.call),
        *(words[text] for text in interned(item)),
        question.sample, question.body, question.turns, _list(question.choices),
        answer.text, _list(answer.logprobs), answer.failed, answer.finish, answer.tool_calls,
        answer.reasoning, answer.opaque, item.served, item.tokens_in, item.tokens_out,
        item.tokens_cached, item.price, item.at, item.attempts, item.waited, item.seconds,
        item.flags,
    )  # fmt: skip


def _list(items: tuple[Any, ...]) -> str:
    return _plain(items) if items else "[]"


def interned(item: PaidCall) -> tuple[str, ...]:
    """Return the texts of a row that are interned, as :data:`INTERNED` has them."""
    question = item.question
    return (
        item.terms, item.teacher, question.prefix, question.system, question.schema,
        question.tools, item.route, item.run,
    )  # fmt: skip


def read_row(row: tuple[Any, ...]) -> PaidCall:
    """Return the call of a row that :data:`SELECT` gave."""
    (
        call, terms, teacher, prefix, system, schema, tools, route, run, sample, body, turns,
        choices, text, logprobs, failed, finish, tool_calls, reasoning, opaque, served, tokens_in,
        tokens_out, tokens_cached, price, at, attempts, waited, seconds, flags,
    ) = row  # fmt: skip
    return PaidCall(
        call=call.hex(),
        terms=terms,
        teacher=teacher,
        question=WrittenQuestion(
            prefix, body, tuple(json.loads(choices)), system, turns, schema, tools, sample
        ),
        answer=WrittenAnswer(
            tuple(json.loads(logprobs)), tokens_in + tokens_out, text, failed, finish, tool_calls,
            reasoning, opaque,
        ),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_cached=tokens_cached,
        price=price,
        served=served,
        route=route,
        run=run,
        at=at,
        attempts=attempts,
        waited=waited,
        seconds=seconds,
        flags=flags,
    )  # fmt: skip


def read_answer(row: tuple[Any, ...]) -> tuple[str, Answer]:
    """Return (call, answer) of a row that :data:`ANSWERS` gave."""
    logprobs = row[1]
    weighed = () if logprobs == "[]" else tuple(json.loads(logprobs))
    return row[0].hex(), WrittenAnswer(weighed, *row[2:]).read()


def pieces(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut items into lists of at most ``size``."""
    piece: list[Any] = []
    for item in items:
        piece.append(item)
        if len(piece) == size:
            yield piece
            piece = []
    if piece:
        yield piece
