"""How one teacher's questions are written for its service, and what is made of the answers.

A question with choices is put as one: where the service gives log-probabilities, those of the
first token decide, as they do for an embedded teacher; where it gives none, the answer is one of
the choices by its structured output, and counts as certain.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from mashbill.client.budget import Cost
from mashbill.client.order import ANSWERED, UNREAD, Answered, Order, Refused
from mashbill.client.wire import CHOOSING, Ask, Reply, WireError
from mashbill.client.wire.bodies import whole_body
from mashbill.core.chat import Conversation, Opaque, Turn
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import CUT_OFF, Answer, Question
from mashbill.teachers.cures import cure_of, parts_of
from mashbill.teachers.oddities import Oddities
from mashbill.teachers.weighing import (
    UNWEIGHED,
    Held,
    by_first_token,
    certain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mashbill.client.prices import Price
    from mashbill.client.wire import Wire

_RAW = frozenset({"openai-completions"})
"""formats whose prompt goes to the model as it is: choices follow it, and nothing stands before"""
FATAL = frozenset({401, 402, 403, 404, 405, 407, 410})
"""statuses that the next request would get too"""
_NO_REFUSALS = frozenset({401, 402, 429})
"""statuses that speak of a key, money or a limit, whatever their words"""
_MARK = "@@ a prompt of mashbill's @@"
_MISPLACED = frozenset({404, 405})
_FORBIDDEN = 403
_ODD = 8  # oddities of one answer that are noted
_KEPT = 1 << 20  # bytes of an answer that cannot be read
_MODERATED = re.compile(r"moderat|flagged|content.?(?:policy|filter)|safety", re.IGNORECASE)


@dataclass
class Format:
    """How one teacher's questions are written and its answers read."""

    wire: Wire
    model: str
    account: str
    """alias of the account: opaque reasoning goes back to no other"""
    price: Price
    max_tokens: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    reasoning: str | int | None = None
    logprobs: int = 0
    stream: bool = False
    native_schema: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    system: str = "turn"
    """``user`` if system text goes before the first user's text"""
    name: str = ""
    """the teacher's in the recipe, and the service's host: for messages"""
    host: str = ""
    held: Held = field(default_factory=Held)
    oddities: Oddities = field(default_factory=Oddities)
    is_weighed: bool = False
    """whether any answer came with log-probabilities"""
    _works: frozenset[str] = frozenset()
    """parts of requests that were answered: see :mod:`mashbill.teachers.cures`"""
    _answered_kinds: set[tuple[bool, ...]] = field(default_factory=set)
    _written: float = 0.0
    """tokens that an answer has, on average so far"""
    _ends: tuple[bytes, bytes] | tuple[()] | None = None
    _odd: str = ""
    """what stands where log-probabilities should, where it is none of them"""

    def ask(self, question: Question) -> Ask:
        """Return a question as a request."""
        said = self._said(question)
        schema = dict(question.schema.value) if question.schema is not None else None
        settings = self.settings
        if question.sample and "seed" in settings:
            settings = {**settings, "seed": settings["seed"] + question.sample}
        max_tokens, logprobs = self.max_tokens, 0
        if question.choices:
            words = json.dumps([choice.strip() for choice in question.choices])
            if self.wire.name not in _RAW:
                said = Conversation((Turn("system", CHOOSING + words), *said))
            if self.logprobs:
                max_tokens, logprobs = 1, self.logprobs
            else:
                schema = _one_of(question.choices)
        said = said.system_in_user() if self.system == "user" else said.one_system()
        return Ask(
            model=self.model,
            turns=Conversation(tuple(map(self._own, said))),
            max_tokens=max_tokens,
            settings=settings,
            schema=schema if self.native_schema else None,
            tools=question.tools,
            top_logprobs=logprobs,
            reasoning=self.reasoning,
            stream=self.stream,
            extra=self.extra,
        )

    def _said(self, question: Question) -> Conversation:
        said = question.conversation
        if question.schema is None or self.native_schema:
            return said
        how = (
            "Answer with one JSON value that satisfies this JSON Schema, and with nothing else:\n"
            f"{question.schema.to_json()}"
        )
        return Conversation((Turn("system", how), *said))

    def _own(self, turn: Turn) -> Turn:
        """Return a turn with its opaque reasoning only if it came from this model and account."""
        opaque = turn.opaque
        if opaque is None or (opaque.model, opaque.account) == (self.model, self.account):
            return turn
        return replace(turn, opaque=None)

    def body(self, question: Question) -> bytes:
        """Return the body of a question's request.

        Raises:
            TeacherError: if this format cannot say it.
        """
        try:
            if self._ends is None:
                self._ends = self._around_a_prompt()
            if self._ends and not _more_than_a_prompt(question):
                before, after = self._ends
                return before + orjson.dumps(question.prefix + question.body) + after
            return orjson.dumps(self.wire.body(self.ask(question)))
        except WireError as error:
            msg = f"teacher {self.model}: {error.reason}"
            raise TeacherError(msg) from error
        except TypeError as error:  # half a surrogate pair, an integer of more than 64 bits
            msg = f"teacher {self.model} cannot be asked {question.body[:60]!r}: {error}"
            raise TeacherError(msg) from error

    def _around_a_prompt(self) -> tuple[bytes, bytes] | tuple[()]:
        """Return what stands before and after a prompt that is all of a question.

        To write these once, and not with each request, is a twentieth of a client's time at its
        busiest. Empty where a format does not write a prompt as it is.
        """
        whole = orjson.dumps(self.wire.body(self.ask(Question("", _MARK))))
        before, mark, after = whole.partition(orjson.dumps(_MARK))
        return (before, after) if mark and orjson.dumps(_MARK) not in after else ()

    def order(self, question: Question, call: str) -> Order:
        """Return a question as an order."""
        body = self.body(question)
        size = len(body)
        written = min(self._written * 1.5 or self.max_tokens / 2, float(self.max_tokens))
        return Order(
            call=call,
            question=question,
            body=body,
            tokens=size / 4 + written,
            most=Cost(self.price.of(size, self.max_tokens), size + self.max_tokens),
            read=self._reader(question),
        )

    def _reader(self, question: Question) -> Callable[..., Answered | Refused]:
        def read(status: int, headers: Mapping[str, str], body: bytes) -> Answered | Refused:
            del headers
            if status not in ANSWERED:
                return self._refused(status, body, question)
            try:
                reply = self.wire.read(whole_body(self.wire, body))
                self._learn(question)
                return self._answered(question, reply, len(body))
            except WireError as error:
                if not error.limited and (cure := self._cure(question, error.reason)):
                    return Refused(f"{error.reason}; {cure}", retry=False, ends_run=True)
                if error.unread and not error.retry:
                    return self._unread(question, body, error.reason)
                return Refused(error.reason, error.retry, wait=error.wait, limited=error.limited)
            except Exception as error:  # noqa: BLE001 - what a stranger sends ends no run
                return self._unread(question, body, f"{type(error).__name__}: {error!s:.100}")

        return read

    def _unread(self, question: Question, body: bytes, reason: str) -> Refused:
        """Return what is kept of an answer that was paid for and cannot be read."""
        read, written = len(question.prefix + question.body) // 4 + 1, len(body) // 4
        written = min(written, self.max_tokens)
        said = body[:_KEPT].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
        failed = f"mashbill could not read its answer: {reason[:300]}"
        answer = Answer((), read + written, said, failed, UNREAD)
        price = self.price.of(read, written)
        kept = Answered(answer, read, written, price=price, flags="unread,tokens-guessed")
        return Refused(reason, retry=False, unread=True, kept=kept)

    def _cure(self, question: Question, body: Any) -> str:
        """Return what to set where a refusal says that the service lacks what is asked for."""
        try:
            return cure_of(self.ask(question), body, self.name, self._works)
        except (WireError, TeacherError):  # what cannot be asked was not refused for this
            return ""

    def _learn(self, question: Question) -> None:
        """Take note that what is asked for in this way is there: it was answered."""
        kind = (bool(question.choices), question.schema is not None, bool(question.tools),
                bool(question.system), bool(question.turns))  # fmt: skip
        if kind not in self._answered_kinds:
            self._answered_kinds.add(kind)
            self._works |= parts_of(self.ask(question))

    @property
    def unweighed(self) -> str:
        """What to say of a service that gives no log-probabilities."""
        odd = f" that can be read ({self._odd})" if self._odd else ""
        lacks = f"{self.host} gives no log-probabilities{odd}{self.goes_without}"
        return f"{lacks}. Nothing more was asked"

    @property
    def goes_without(self) -> str:
        """What to set where a service gives no log-probabilities."""
        return (
            f", by which choices are weighed: set logprobs = false in [teachers.{self.name}] (then "
            "it answers by structured output, and its answers count as certain), or ask a server "
            "that gives them"
        )

    def _refused(self, status: int, body: bytes, question: Question) -> Refused:
        try:
            parsed: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            parsed = body.decode("utf-8", "replace")
        error = self.wire.refusal(status, parsed)
        fatal = status in FATAL or 300 <= status < 400 or (status == 429 and not error.retry)
        if status == _FORBIDDEN and _MODERATED.search(error.reason):
            fatal = False  # a router turns down this prompt, and would answer another
        elif status not in _NO_REFUSALS and (cure := self._cure(question, parsed)):
            return Refused(f"{error.reason}; {cure}", retry=False, ends_run=True)
        reason = error.reason
        if status in _MISPLACED:
            reason += " (see base_url, wire and model of the teacher)"
        return Refused(reason, error.retry and not fatal, fatal, error.wait)

    def _answered(self, question: Question, reply: Reply, size: int) -> Answered:
        self.oddities.take(reply.odd)
        flags = [f"odd: {found.replace(',', ' ')}" for found in reply.odd[:_ODD]]
        read, written = reply.tokens_in, reply.tokens_out
        if not read or not written:
            # A server that counts nothing, or a part: bytes over four, said to be a guess.
            read = read or len(question.prefix + question.body) // 4 + 1
            written = written or (size // 4 if reply.text or reply.tool_calls else 0)
            flags.append("tokens-guessed")
        self._written += 0.05 * (written - self._written) if self._written else written
        failed = ""
        logprobs: tuple[float, ...] = ()
        if question.choices:
            if self.logprobs and not reply.logprobs and (odd := _of_logprobs(reply.odd)):
                msg = f"its log-probabilities cannot be read: {odd}"
                raise WireError(msg, retry=False, unread=True)
            logprobs, failed = self._chosen(question.choices, reply)
        elif reply.finish == "content_filter":
            failed = f"the provider withheld it: {reply.text[:200] or 'content filter'}"
        elif reply.finish == "other" and reply.said:
            failed = f"it ended with {reply.said[:60]!r}, which is no known end of a whole answer"
        elif not reply.text.strip() and not reply.tool_calls:
            failed = f"the teacher wrote nothing (it stopped for: {reply.said or 'no reason'})"
            if reply.finish == "length":  # all of it went into reasoning
                failed = f"{CUT_OFF} before it wrote anything"
        finish = reply.finish
        if finish == "other" and not reply.said:
            # It does not say why it ended: whole, unless it wrote all that it might.
            finish = "length" if reply.tokens_out >= self.max_tokens else ""
            flags.append("end-unsaid")
        opaque = None
        if reply.opaque is not None:
            opaque = Opaque(self.model, self.account, reply.opaque)
        calls = tuple(reply.tool_calls)
        return Answered(
            answer=Answer(
                logprobs, read + written, reply.text, failed, finish, calls,
                reply.reasoning, opaque,
            ),
            tokens_in=read,
            tokens_out=written,
            tokens_cached=reply.tokens_cached,
            price=self.price.of(
                read, written, reply.tokens_cached, reply.tokens_cache_written
            ),
            served=f"{reply.model} {reply.id}".strip(),
            flags=",".join(flags),
        )  # fmt: skip

    def _chosen(self, choices: tuple[str, ...], reply: Reply) -> tuple[tuple[float, ...], str]:
        """Return the log-probability of each choice, or why there is none."""
        words = [choice.strip() for choice in choices]
        text = reply.text.strip()
        weighs = bool(self.logprobs and reply.logprobs)
        self.is_weighed = self.is_weighed or weighs
        if reply.finish == "content_filter":
            return (), f"the provider withheld it: {text[:200] or 'content filter'}"
        if self.logprobs and not weighs and (text or reply.reasoning or reply.finish == "length"):
            # The written choice alone would count as certain, as if it had been weighed. Where
            # all that may be written is one token of reasoning, there is no text at all.
            self._odd = next((odd for odd in reply.odd if _NO_LOGPROBS.search(odd)), "")
            return (), f"{UNWEIGHED}{text[:80]!r}"
        if reply.finish == "other" and reply.said:
            return (), f"it ended with {reply.said[:60]!r}, which is no known end of a whole answer"
        if weighs:
            token, logprob, top = reply.logprobs[0]
            found = by_first_token(words, [(token, logprob), *top])
            self.held.take(sum(map(math.exp, found[0])) if found[0] else 0.0, token)
            return found
        is_whole = False
        with contextlib.suppress(ValueError, TypeError, KeyError):
            said = json.loads(text)["answer"]
            if isinstance(said, str | int) and not isinstance(said, bool):
                text, is_whole = str(said).strip(), True
        if self._is_cut(reply) and not (is_whole and text in words):
            # One that is written plainly may be the beginning of another, or of a longer text.
            return (), f"{CUT_OFF} before it wrote any of {words} to its end"
        if text not in words:
            return (), f"the teacher wrote {text[:80]!r}, which is none of {words}"
        return certain(words.index(text), len(words)), ""

    def _is_cut(self, reply: Reply) -> bool:
        """Whether an answer was cut off, by its word or since it has all tokens that it may."""
        unsaid = reply.finish == "other" and not reply.said
        return reply.finish == "length" or (unsaid and reply.tokens_out >= self.max_tokens)


_OF_LOGPROBS = re.compile(
    r"log-probabilit|^(?:tokens?\b|logprobs\.content\[|top_?logprobs|token_logprobs|logprob\b|"
    r"logprobability|(?:chosen|top)candidates)",
    re.IGNORECASE,
)
"""oddities of parts of log-probabilities that came, by the words of the wires"""
_NO_LOGPROBS = re.compile(r"^logprobs(?:\.content|Result)? is ")
"""that they are nothing that any stand in: some servers write [] or {} for none"""


def _of_logprobs(odd: Sequence[str]) -> str:
    """Return what of an answer's log-probabilities cannot be read; empty if none came, or all."""
    return next((found for found in odd if _OF_LOGPROBS.search(found)), "")


def _more_than_a_prompt(question: Question) -> bool:
    return bool(
        question.choices or question.system or question.turns or question.schema is not None
        or question.tools or question.sample
        or not (question.prefix or question.body)
    )  # fmt: skip


def _one_of(choices: tuple[str, ...]) -> dict[str, Any]:
    words = [choice.strip() for choice in choices]
    return {
        "type": "object", "additionalProperties": False, "required": ["answer"],
        "properties": {"answer": {"type": "string", "enum": words}},
    }  # fmt: skip
