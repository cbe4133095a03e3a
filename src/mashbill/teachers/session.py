"""Asking a teacher through the journal: each question is bought once, in fixed batches."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

from mashbill.calls.paid_call import request_digest
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer, Teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mashbill.calls.journal import Journal
    from mashbill.core.source import Source
    from mashbill.core.teacher import Question


class Session:
    """A teacher behind its journal.

    Batches are cut from what is missing, in order of size and then of digest. As a batch enters
    the journal whole, a run that resumes cuts the same remaining batches: numerical noise from
    padding is then the same too, and so are the digests of everything that follows.

    Slices that run side by side ask one after the other: a model is loaded once, and one thread at
    a time uses it.
    """

    def __init__(
        self,
        source: Source,
        load: Callable[[], Teacher],
        identity: Mapping[str, Any],
        journal: Journal,
        on_answer: Callable[[int, int], None] = lambda _calls, _tokens: None,
    ) -> None:
        """Prepare to ask; the teacher is loaded when the first unanswered question comes.

        Args:
            source: the source of lineage that this teacher is.
            load: loads it.
            identity: see :class:`Teacher`; known before loading.
            journal: where answers are kept.
            on_answer: told (calls, tokens) after each batch.
        """
        self.source = source
        self._load = load
        self._identity = identity
        self._journal = journal
        self._on_answer = on_answer
        self._teacher: Teacher | None = None
        self._turn = threading.Lock()

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the call, answer) for each question, in order.

        Raises:
            TeacherError: if a question has no choices and this teacher cannot write.
        """
        digests = [request_digest(self._identity, question) for question in questions]
        with self._turn:
            known = self._answers(digests, questions)
        return [(digest, known[digest]) for digest in digests]

    def _answers(self, digests: list[str], questions: Sequence[Question]) -> dict[str, Answer]:
        """Return the answer of each digest; what the journal lacks is asked."""
        known = self._journal.answers(digests)
        missing = {
            digest: question
            for digest, question in zip(digests, questions, strict=True)
            if digest not in known
        }
        if not missing:
            return known
        if self._teacher is None:
            self._teacher = self._load()
        teacher = self._teacher
        if not getattr(teacher, "can_write", False) and not all(q.choices for q in questions):
            msg = (
                f"{self.source.title} is asked to write and can only choose between given answers; "
                "give the stage another teacher, such as one of kind 'fake'"
            )
            raise TeacherError(msg)
        sizes = dict(zip(missing, teacher.sizes(list(missing.values())), strict=True))
        order = sorted(missing, key=lambda digest: (sizes[digest], digest))
        for start in range(0, len(order), teacher.batch):
            batch = order[start : start + teacher.batch]
            answers = teacher.answer([missing[digest] for digest in batch])
            _check_answers(answers, len(batch), self.source)
            self._journal.record(
                self._identity,
                [(d, missing[d], answer) for d, answer in zip(batch, answers, strict=True)],
                at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            )
            known.update(zip(batch, answers, strict=True))
            self._on_answer(len(batch), sum(answer.tokens for answer in answers))
        return known


def _check_answers(answers: Any, asked: int, source: Source) -> None:
    """Raise TeacherError if a teacher gave something else than an answer to each question."""
    given = answers if isinstance(answers, (list, tuple)) else [answers]
    wrong = [item for item in given if not isinstance(item, Answer)]
    if wrong or len(given) != asked:
        what = f"{wrong[0]!r:.60}, which is no Answer" if wrong else f"{len(given)} answers"
        msg = f"{source.title} was asked {asked} questions at once and gave {what}; mend its kind"
        raise TeacherError(msg)
