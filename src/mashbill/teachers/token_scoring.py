"""A served teacher that says how likely it finds tokens that are given: a student's own.

It is asked as any service: through the run's client, with its limits, budget and retries, and what
it answers is in the journal, so that a run that goes on buys nothing twice. Of it is asked by
:mod:`mashbill.client.wire.prompt_logprobs`, which vLLM's server has. A server that gives
log-probabilities of the tokens that it writes alone, as llama.cpp's and most providers', is none.

Many sequences are asked for at once, and who asks may do something else meanwhile::

    pending = scorer.begin(rows)
    ...                             # the student samples what comes next
    scores = pending.result()
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from mashbill.calls.paid_call import Requests
from mashbill.client.budget import Cost
from mashbill.client.order import ANSWERED, Answered, Order, Refused
from mashbill.client.prompt_lint import ROWS, lint
from mashbill.client.wire import WireError, prompt_logprobs
from mashbill.client.wire.bodies import whole_body
from mashbill.client.wire.errors import refused
from mashbill.client.wire.openai_completions import OpenAICompletions
from mashbill.core.canonical import canonical
from mashbill.core.errors import TeacherError
from mashbill.core.foreign import UNLIKELY
from mashbill.core.scored_tokens import Tokens, TokenScores
from mashbill.core.teacher import Answer, Question
from mashbill.teachers.format import FATAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from mashbill.client.client import Client
    from mashbill.client.prices import Price
    from mashbill.client.route import Route

MOST_TOKENS = 1 << 20
"""of a sequence: what is longer is a fault of who asks"""
_STRANGE = 0.5
"""share of the texts that are told of tokens from which on they are another tokenizer's"""
_FEW = 4
"""texts that can be compared, at least, before this is said"""
_PARTIAL = "\ufffd"
_WIRE = OpenAICompletions()


@dataclass(frozen=True)
class Reads:
    """What a recipe says of the tokenizer that a served teacher reads with."""

    file: Path | None = None
    """its tokenizer.json, where that is at hand"""
    same_as: str = ""
    """name of a ``[models.*]`` that has the same, on the recipe's word"""


@dataclass
class Pending:
    """Sequences that were handed in; :meth:`result` waits for what came of them."""

    _ended: threading.Event = field(default_factory=threading.Event)
    _found: list[TokenScores] | None = None
    _error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is waited for any more."""
        return self._ended.is_set()

    def run(self, work: Callable[[], list[TokenScores]]) -> None:
        """Do the work, and keep what comes of it."""
        try:
            self._found = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        finally:
            self._ended.set()

    def result(self) -> list[TokenScores]:
        """Return the scores of each sequence, in order.

        Raises:
            TeacherError: if the service cannot be asked so.
            BudgetError: if a cap is reached.
        """
        while not self._ended.wait(1.0):  # a wait without an end cannot be interrupted everywhere
            pass
        if self._error is not None:
            raise self._error
        return self._found or []


class TokenScorer:
    """See the module."""

    def __init__(
        self,
        identity: Mapping[str, Any],
        route: Route,
        client: Client,
        price: Price,
        *,
        name: str,
        extra: Mapping[str, Any] | None = None,
        on_answer: Callable[[int, int, float], None] = lambda *_: None,
        overridden: Collection[str] = (),
        reads: Reads | None = None,
    ) -> None:
        """Prepare to ask.

        Args:
            identity: of the teacher.
            route: how its ordinary requests go.
            client: the run's.
            price: of its tokens.
            name: what the recipe calls the teacher.
            extra: keys of the server's own, sent with each request.
            on_answer: told calls, tokens and US dollars as they come.
            overridden: rules of the prompt linter that somebody answers for.
            reads: what is known of its tokenizer.
        """
        asked = {**identity, "scores": prompt_logprobs.NAME}
        self._requests = Requests(asked)
        base = (
            route.url.rsplit("/", 1)[0]
            if not route.url.endswith("/chat/completions")
            else (route.url.removesuffix("/chat/completions"))
        )
        self.route = replace(
            route, url=base + prompt_logprobs.PATH, wire=prompt_logprobs.NAME,
            teacher=canonical(asked).decode(), batches=None,
        )  # fmt: skip
        self.name = name
        self.reads = reads or Reads()
        self.text_of: Callable[[int], str] | None = None
        """text of a token by the student's tokenizer, where the server's is to be held to it"""
        self._client, self._price, self._extra = client, price, dict(extra or {})
        self._on_answer = on_answer
        self._overridden = frozenset(overridden)

    def score(self, rows: Sequence[Tokens], again: int = 0) -> list[TokenScores]:
        """Return the scores of each sequence, in order.

        Args:
            rows: the sequences.
            again: how often the same was asked before: what is asked once more is bought once more.

        Raises:
            TeacherError: if the service cannot be asked so.
            BudgetError: if a cap is reached.
        """
        found: dict[int, TokenScores] = {}
        for place, row in enumerate(rows):
            if not 0 < row.start <= len(row.ids) or len(row.ids) > MOST_TOKENS:
                msg = f"tokens from {row.start} on of {len(row.ids)} cannot be scored"
                raise ValueError(msg)
            if why := self._unasked(row):
                found[place] = TokenScores("", failed=why)
            elif row.start == len(row.ids):
                found[place] = TokenScores("")
        asked = [place for place in range(len(rows)) if place not in found]
        calls, answers = self._client.ask(
            self.route,
            [self._requests.digest(_question(rows[place], again)) for place in asked],
            lambda number, call: self._order(rows[asked[number]], call, again),
            self._on_answer,
        )
        for place, call, answer in zip(asked, calls, answers, strict=True):
            found[place] = _scores(rows[place], call, answer)
        return [found[place] for place in range(len(rows))]

    def begin(self, rows: Sequence[Tokens]) -> Pending:
        """Hand sequences in, and return at once."""
        pending = Pending()
        work = lambda: self.score(rows)  # noqa: E731
        threading.Thread(target=pending.run, args=(work,), name="scoring", daemon=True).start()
        return pending

    def _unasked(self, row: Tokens) -> str:
        """Return why a sequence may not be sent; empty if it may."""
        if row.text and ROWS not in self._overridden:
            for finding in lint(row.text, "its prompt"):
                if finding.rule not in self._overridden:
                    return f"not asked: {finding}; see `mashbill conduct`"
        return ""

    def _order(self, row: Tokens, call: str, again: int = 0) -> Order:
        tokens = len(row.ids) + 1
        return Order(
            call=call,
            question=_question(row, again),
            body=orjson.dumps(prompt_logprobs.body(self.route.model, row.ids, self._extra)),
            tokens=float(tokens),
            most=Cost(self._price.of(len(row.ids), 1), tokens),
            read=self._reader(row),
        )

    def _reader(self, row: Tokens) -> Callable[..., Answered | Refused]:
        def read(status: int, headers: Mapping[str, str], body: bytes) -> Answered | Refused:
            del headers
            if status not in ANSWERED:
                return self._refused(status, body)
            try:
                given = prompt_logprobs.read(whole_body(_WIRE, body), row.ids, row.start)
            except prompt_logprobs.NoLogprobsError as error:
                return Refused(self._lacking(error.reason), retry=False, ends_run=True)
            except WireError as error:
                return Refused(
                    error.reason, error.retry, wait=error.wait, limited=error.limited,
                    unread=error.unread,
                )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - what a stranger sends ends no run
                why = f"{type(error).__name__}: {error!s:.100}"
                return Refused(why, retry=False, unread=True)
            if strange := self._strange(row, given.decoded):
                return Refused(strange, retry=False, ends_run=True)
            read, written = given.tokens_in or len(row.ids), given.tokens_out or 1
            flags = [f"odd: {found.replace(',', ' ')}" for found in given.odd[:8]]
            return Answered(
                Answer(tuple(given.logprobs), read + written),
                tokens_in=read, tokens_out=written, price=self._price.of(read, written),
                served=f"{given.model} {given.id}".strip(), flags=",".join(flags),
            )  # fmt: skip

        return read

    def _lacking(self, why: str) -> str:
        return (
            f"{why}: the server of teacher {self.name!r} gives no log-probabilities of tokens that "
            "are given, and of those that it writes at most. Serve the teacher by vLLM, or name "
            "one whose weights are here (kind = 'transformers', 'embedded' or 'student')"
        )

    def _refused(self, status: int, body: bytes) -> Refused:
        try:
            parsed: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            parsed = body.decode("utf-8", "replace")
        error = refused(status, parsed)
        reason, said = error.reason, error.reason.lower()
        if "out of vocabulary" in said:
            reason += (
                f". A token of the student is none of teacher {self.name!r}: they have other "
                "tokenizers; name a teacher and a base of one family"
            )
            return Refused(reason, retry=False, ends_run=True)
        if not error.retry and "prompt_logprobs" in said:
            return Refused(self._lacking(reason), retry=False, ends_run=True)
        fatal = status in FATAL or 300 <= status < 400 or (status == 429 and not error.retry)
        return Refused(reason, error.retry and not fatal, fatal, error.wait)

    def _strange(self, row: Tokens, decoded: Sequence[str | None]) -> str:
        """Return what to say if the server's texts of tokens are not the student's."""
        if self.text_of is None:
            return ""
        compared, other = 0, []
        for token, theirs in zip(row.ids[row.start :], decoded, strict=True):
            ours = self.text_of(token)
            if not theirs or not ours.strip() or _PARTIAL in ours or _PARTIAL in theirs:
                continue  # a piece of a character, or what one of both leaves out
            compared += 1
            if _bare(theirs) != _bare(ours):
                other.append((token, theirs, ours))
        if compared < _FEW or len(other) < _STRANGE * compared:
            return ""
        token, theirs, ours = other[0]
        return (
            f"teacher {self.name!r} reads with another tokenizer than the student: token {token} "
            f"is {theirs[:40]!r} there and {ours[:40]!r} here ({len(other)} of {compared} tokens "
            "that were compared). Name a teacher and a base of one family"
        )


def _bare(text: str) -> str:
    """Return a token's text without what servers write for the space before it."""
    return text.replace("\u0120", " ").replace("\u2581", " ").strip()


def _question(row: Tokens, again: int) -> Question:
    """Return what the journal keeps of what is asked."""
    asked = json.dumps({"start": row.start, "ids": row.ids}, separators=(",", ":"))
    return Question("", asked, sample=again)


def _scores(row: Tokens, call: str, answer: Answer) -> TokenScores:
    """Return what an answer says of each token.

    Raises:
        TeacherError: if the journal has an answer of another number of tokens.
    """
    if answer.failed:
        return TokenScores(call, failed=answer.failed)
    if len(answer.logprobs) != len(row.ids) - row.start:
        msg = (
            f"call {call[:12]} of the journal has {len(answer.logprobs):,} log-probabilities for "
            f"{len(row.ids) - row.start:,} tokens; prune it, and run again"
        )
        raise TeacherError(msg)
    return TokenScores(
        call, tuple(None if value <= UNLIKELY else value for value in answer.logprobs)
    )
