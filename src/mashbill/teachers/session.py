"""Asking a teacher in this process through the journal, in batches that are always cut alike."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any, Protocol

from mashbill.calls.paid_call import Requests
from mashbill.calls.sitting import Sitting
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer, Teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mashbill.core.source import Source
    from mashbill.core.teacher import Question


class Kept(Protocol):
    """Where answers are kept (:class:`mashbill.calls.asked_here.AskedHere` is one)."""

    def sitting(self, sitting: Sitting) -> AbstractContextManager[dict[str, Answer]]:
        """Give what is answered of a sitting already; nobody else makes its answers meanwhile."""
        ...

    def record(
        self,
        teacher: Mapping[str, Any],
        sitting: Sitting,
        calls: Sequence[tuple[str, Question, Answer]],
        *,
        at: str,
    ) -> None:
        """Keep a batch of answers, all or none."""
        ...


class Session:
    """A teacher behind its journal.

    What is asked at once is a sitting (:mod:`mashbill.calls.sitting`): its batches are cut from its
    own distinct questions, in order of size and then of digest, and none is cut otherwise since the
    journal holds something. As a batch enters the journal whole, a run that resumes makes the ones
    that are missing: numerical noise from padding is then the same too, and so are the digests of
    everything that follows.

    Slices that run side by side ask one after the other: a model is loaded once, and one thread at
    a time uses it.
    """

    def __init__(
        self,
        source: Source,
        load: Callable[[], Teacher],
        identity: Mapping[str, Any],
        kept: Kept,
        on_answer: Callable[[int, int], None] = lambda _calls, _tokens: None,
    ) -> None:
        """Prepare to ask; the teacher is loaded when the first unanswered question comes.

        Args:
            source: the source of lineage that this teacher is.
            load: loads it.
            identity: see :class:`Teacher`; known before loading.
            kept: where answers are kept: a journal's, of calls to teachers in this process.
            on_answer: told (calls, tokens) after each batch.
        """
        self.source = source
        self._load = load
        self._identity = identity
        self._kept = kept
        self._requests = Requests(identity)
        self._on_answer = on_answer
        self._teacher: Teacher | None = None
        self._turn = threading.Lock()

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the call, answer) for each question, in order.

        Raises:
            TeacherError: if a question has no choices and this teacher cannot write.
        """
        requests = [self._requests.digest(question) for question in questions]
        sitting = Sitting.of(requests)
        with self._turn:
            answers = self._answers(sitting, dict(zip(requests, questions, strict=True)))
        return [(call := sitting.calls[request], answers[call]) for request in requests]

    def _answers(self, sitting: Sitting, questions: Mapping[str, Question]) -> dict[str, Answer]:
        """Return the answer of each call of a sitting; batches that the journal lacks are asked."""
        with self._kept.sitting(sitting) as known:
            if len(known) == len(sitting.calls):
                return known
            return self._made(sitting, questions, known)

    def _made(
        self, sitting: Sitting, questions: Mapping[str, Question], known: dict[str, Answer]
    ) -> dict[str, Answer]:
        """Ask the batches of a sitting that are not known whole."""
        calls = sitting.calls
        if self._teacher is None:
            self._teacher = self._load()
        teacher = self._teacher
        if not getattr(teacher, "can_write", False) and not all(
            question.choices for question in questions.values()
        ):
            msg = (
                f"{self.source.title} is asked to write and can only choose between given answers; "
                "give the stage another teacher, such as one of kind 'fake'"
            )
            raise TeacherError(msg)
        sizes = dict(zip(questions, teacher.sizes(list(questions.values())), strict=True))
        order = sorted(questions, key=lambda request: (sizes[request], request))
        for start in range(0, len(order), teacher.batch):
            batch = order[start : start + teacher.batch]
            if all(calls[request] in known for request in batch):
                continue
            answers = teacher.answer([questions[request] for request in batch])
            _check_answers(answers, len(batch), self.source)
            answered = list(zip(batch, answers, strict=True))
            self._kept.record(
                self._identity,
                sitting,
                [(request, questions[request], answer) for request, answer in answered],
                at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            )
            # What the journal had first stands: something may rest on it.
            known = {calls[request]: answer for request, answer in answered} | known
            self._on_answer(len(batch), sum(answer.tokens for answer in answers))
        return known


class InOneSlice:
    """A session as one slice has it: a question that it puts twice has one answer there."""

    def __init__(self, session: Session) -> None:
        """Remember nothing yet."""
        self.source = session.source
        self._session = session
        self._known: dict[Question, tuple[str, Answer]] = {}

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the call, answer) for each question, in order."""
        new = [question for question in questions if question not in self._known]
        if new:
            self._known |= dict(zip(new, self._session.ask(new), strict=True))
        return [self._known[question] for question in questions]


def _check_answers(answers: Any, asked: int, source: Source) -> None:
    """Raise TeacherError if a teacher gave something else than an answer to each question."""
    given = answers if isinstance(answers, (list, tuple)) else [answers]
    wrong = [item for item in given if not isinstance(item, Answer)]
    if wrong or len(given) != asked:
        what = f"{wrong[0]!r:.60}, which is no Answer" if wrong else f"{len(given)} answers"
        msg = f"{source.title} was asked {asked} questions at once and gave {what}; mend its kind"
        raise TeacherError(msg)
