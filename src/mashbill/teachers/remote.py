"""Asking a service: questions written in its format, answers read, through the one client."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from mashbill.calls.paid_call import Requests, call_digest
from mashbill.client.order import Order
from mashbill.client.prompt_lint import ROWS, lint
from mashbill.core.canonical import canonical
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer, Question
from mashbill.teachers.format import Format
from mashbill.teachers.token_scoring import Reads, TokenScorer
from mashbill.teachers.weighing import Lacking, ended, is_weighed, lacks_weights, unweighed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mashbill.client.client import Client
    from mashbill.client.route import Route
    from mashbill.core.source import Source

_ALONE = 5
"""questions that are asked one by one until an answer tells whether choices can be weighed"""


class RemoteSession:
    """A service behind the journal and the client; see :class:`TeacherSession`."""

    def __init__(
        self,
        source: Source,
        identity: Mapping[str, Any],
        form: Format,
        route: Route,
        client: Client,
        on_answer: Callable[[int, int, float], None] = lambda *_: None,
        *,
        overridden: Collection[str] = (),
        reads: Reads | None = None,
    ) -> None:
        """Prepare to ask.

        Args:
            source: the source of lineage that this teacher is.
            identity: what makes its answers what they are.
            form: how it is asked.
            route: how its requests go.
            client: the run's client.
            on_answer: told calls, tokens and US dollars as they come.
            overridden: rules of the prompt linter that somebody answers for; by the others,
                questions that try to get what is not offered are turned down.
            reads: what the recipe says of its tokenizer.
        """
        self.source = source
        self._identity = identity
        self._reads = reads
        self._overridden = frozenset(overridden)
        self.form = form
        self._requests = Requests(identity)
        self._route = route
        self._client = client
        self._on_answer = on_answer
        self._told_lacking = False
        self._once = threading.Lock()
        self._lacking = Lacking()
        self._counting = threading.Lock()

    def scorer(self) -> TokenScorer:
        """Return what asks it how likely it finds tokens that are given."""
        return TokenScorer(
            self._identity, self._route, self._client, self.form.price, name=self.form.name,
            extra=self.form.extra, on_answer=self._on_answer, overridden=self._overridden,
            reads=self._reads,
        )  # fmt: skip

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the call, answer) for each question, in order.

        Raises:
            TeacherError: if the service cannot answer; see :meth:`Client.ask`.
        """
        fit, found = self._linted(questions)
        digests = [self._requests.digest(question) for question in fit]
        chosen = [place for place, question in enumerate(fit) if question.choices]
        if chosen and self.form.logprobs and not self.form.is_weighed:
            self._ask_once([(digests[place], fit[place]) for place in chosen])
        calls, answers = self._client.ask(
            self._route,
            digests,
            lambda place, call: self.form.order(fit[place], call),
            self._on_answer,
        )
        if chosen:
            answers = [ended(answer) if answer.logprobs else answer for answer in answers]
        if chosen and self.form.logprobs:
            self._is_weighed([answers[place] for place in chosen])
            answers = [unweighed(answer) if answer.logprobs else answer for answer in answers]
            self._mostly_weighed([(calls[place], answers[place]) for place in chosen])
        for line in self.form.oddities.told():
            self._client.say(f"{self._route.place}: {line}")
        if told := self.form.held.told():
            self._client.say(f"{self._route.place}: {told}")
        asked = iter(zip(calls, answers, strict=True))
        if not found:
            return list(asked)
        return [
            ("", Answer((), 0, failed=found[place])) if place in found else next(asked)
            for place in range(len(questions))
        ]

    def _ask_once(self, asked: Sequence[tuple[str, Question]]) -> None:
        """See whether the service gives log-probabilities, by one question that has choices.

        Or by the next, where that one was refused or withheld. What an earlier run was told is not
        asked again, nor taken for rejected rows: of other rows too, which another thread may ask
        for at the same time. A batch is not waited for twice.

        Raises:
            TeacherError: if it gives none; see also :meth:`ask`.
        """
        with self._once:
            if self._is_weighed(()):  # while another thread asked
                return
            journal, route = self._client.journal, self._route
            known = [call_digest(digest, route.terms) for digest, _ in asked]
            told = [*journal.answered(known).values(), *journal.latest_choices(route.teacher)]
            if self._is_weighed(told) or route.batches is not None:
                return
            for digest, question in asked[:_ALONE]:
                order = partial(self._ordered, question)
                _, answers = self._client.ask(route, [digest], order, self._on_answer)
                if self._is_weighed(answers):
                    return

    def _ordered(self, question: Question, _: int, call: str) -> Order:
        return self.form.order(question, call)

    def _is_weighed(self, answers: Collection[Answer]) -> bool:
        """Return whether any answer came with log-probabilities; tell of those that did not.

        Raises:
            TeacherError: if answers came without, and none of this teacher's came with them.
        """
        form = self.form
        lacking = sum(map(lacks_weights, answers))
        form.is_weighed = form.is_weighed or any(is_weighed(answer.logprobs) for answer in answers)
        if not lacking:
            return form.is_weighed
        if not form.is_weighed:
            bought = self._client.journal.logprobs_of(self._route.teacher)
            form.is_weighed = any(map(is_weighed, bought))
        if not form.is_weighed:
            raise TeacherError(form.unweighed)
        if not self._told_lacking:
            self._told_lacking = True
            self._client.say(
                f"{self._route.place}: some answers come without log-probabilities, by which "
                "choices are weighed: their rows are rejected"
            )
        return True

    def _mostly_weighed(self, answers: Sequence[tuple[str, Answer]]) -> None:
        """Count what came without log-probabilities.

        Raises:
            TeacherError: if that is more than half of the latest answers.
        """
        with self._counting:
            found = self._lacking.take(answers)
        if found:
            msg = (
                f"{self.form.host} gave no log-probabilities with {found}"
                f"{self.form.goes_without}. Nothing more was asked"
            )
            raise TeacherError(msg)

    def _linted(self, questions: Sequence[Question]) -> tuple[Sequence[Question], dict[int, str]]:
        """Return the questions that may be asked, and by place why the others may not.

        All that somebody else wrote into a question counts: its system prompt and earlier turns
        may hold a row's words as well as its body.
        """
        found = {}
        for place, question in enumerate(questions if ROWS not in self._overridden else ()):
            said = question.prefix + question.body
            if question.system or question.turns:
                said = f"{question.system}\n{_written_by_us(question)}\n{said}"
            for finding in lint(said, "its prompt"):
                if finding.rule not in self._overridden:
                    found[place] = f"not asked: {finding}; see `mashbill conduct`"
                    break
        if not found:
            return questions, found
        return [q for place, q in enumerate(questions) if place not in found], found


def _written_by_us(question: Question) -> str:
    """Return the turns that are not the model's own: what it wrote is no request of ours."""
    return "\n".join(turn.content for turn in question.turns if turn.role != "assistant")


def teacher_json(identity: Mapping[str, Any]) -> str:
    """Return a teacher's identity as the journal keeps it."""
    return canonical(dict(identity)).decode()
