"""``check_teacher``: a teacher over a few questions, with all laws of teachers checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.core.canonical import canonical
from mashbill.core.store import CALLS
from mashbill.core.teacher import Answer, Question
from mashbill.teachers.session import Session
from mashbill.testing.laws import Laws, check_source, check_spec, demand
from mashbill.testing.trial import scratch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.teacher import TeacherSpec

_FINISHES = frozenset({"", "stop", "length", "tool_calls", "content_filter", "other"})
CHOOSING = tuple(
    Question("Is it good? ", text, (" yes", " no"))
    for text in ("a kind day ->", "an awful film that went on ->", "?", "Grüße, 日本語 ->", "a ->")
)
WRITING = tuple(Question("", text) for text in ("Say a word.", "Name two colours.", "Why?"))


def check_teacher(
    spec: TeacherSpec,
    questions: Sequence[Question] = (),
    *,
    folder: Path | None = None,
    tolerance: float = 1e-4,
    repeats: bool = True,
) -> tuple[str, ...]:
    """Ask a teacher and hold it to all laws of teachers; return those that held.

    Args:
        spec: its keys.
        questions: to ask; a few plain ones if there are none.
        folder: of the recipe, where its keys name files in it.
        tolerance: how far log-probabilities may lie apart where a question is asked in another
            batch, natural log.
        repeats: whether the same question has the same answer twice.

    Raises:
        LawError: naming each law that it breaks, and what to mend.
    """
    laws = Laws(f"teacher kind {spec.kind!r}")
    check_spec(laws, spec)
    check_source(laws, spec.source)
    with laws.law("identity", "Return JSON: whatever changes its answers, and nothing else."):
        canonical(dict(spec.identity))
        demand(spec.identity == spec.identity, "it is another one when it is asked again")
    with laws.law("price", "Leave price None where it cannot be said, else US dollars a question."):
        demand(spec.price is None or spec.price >= 0, f"it is {spec.price!r}")
    with scratch() as work:
        loaded: list[Any] = []
        with laws.law("it loads", "Raise TeacherError with what is lacking, where something is."):
            loaded.append(spec.load(folder or work, work, 1))
        if loaded:
            asked = tuple(questions) or CHOOSING + (WRITING if spec.can_write else ())
            _check_loaded(laws, spec, loaded[0])
            check_answers(laws, loaded[0], asked, tolerance, repeats=repeats)
            _check_journal(laws, spec, loaded[0], asked, work)
    return laws.settle()


def _check_loaded(laws: Laws, spec: TeacherSpec, teacher: Any) -> None:
    with laws.law("loaded as planned", "Set identity of the loaded teacher to that of its spec."):
        demand(dict(teacher.identity) == dict(spec.identity), f"it is {teacher.identity!r:.200}")
    with laws.law("batch", "Set batch to the number of questions that it takes at once."):
        demand(isinstance(teacher.batch, int) and teacher.batch > 0, f"it is {teacher.batch!r}")
    with laws.law("can_write", "Set can_write on the spec and on what it loads, or on neither."):
        writes = bool(getattr(teacher, "can_write", False))
        demand(writes == spec.can_write, f"the spec says {spec.can_write}, the teacher {writes}")


def check_answers(
    laws: Laws,
    teacher: Any,
    questions: Sequence[Question],
    tolerance: float = 1e-4,
    *,
    repeats: bool = True,
    may_end_at_once: bool = False,
) -> None:
    """Hold what a loaded teacher answers to the laws of answers.

    Args:
        laws: told what holds.
        teacher: as it is loaded.
        questions: to ask.
        tolerance: see :func:`check_teacher`.
        repeats: see :func:`check_teacher`.
        may_end_at_once: whether an empty text is an answer, as of a model that learned little.
    """
    with laws.law("sizes", "Return a number for each question: what it costs to compute."):
        sizes = list(teacher.sizes(questions))
        demand(len(sizes) == len(questions), f"{len(questions)} asked, {len(sizes)} sizes given")
        demand(all(size >= 0 for size in sizes), "a size is below 0")
    answers: list[Answer] = []
    with laws.law("an answer each", "Return a list of one mashbill.Answer a question, in order."):
        given: Any = teacher.answer(questions)
        demand(isinstance(given, list), f"it gives {type(given).__name__!r}")
        demand(len(given) == len(questions), f"{len(questions)} asked, {len(given)} answered")
        demand(all(isinstance(item, Answer) for item in given), "an answer is no Answer")
        answers += given
    if not answers:
        return
    for question, answer in zip(questions, answers, strict=True):
        _check_answer(laws, question, answer, may_end_at_once=may_end_at_once)
    if not repeats:
        return
    with laws.law(
        "answers in order",
        "An answer belongs to its own question, whatever stands beside it in the batch.",
    ):
        back = list(reversed(teacher.answer(list(reversed(questions)))))
        alone = [teacher.answer([question])[0] for question in questions]
        for others in (back, alone):
            for at, (one, other) in enumerate(zip(answers, others, strict=True)):
                demand(
                    _alike(one, other, tolerance),
                    f"question {at} has another answer in another batch: {one!r:.120} and "
                    f"{other!r:.120}",
                )


def _check_answer(laws: Laws, question: Question, answer: Answer, *, may_end_at_once: bool) -> None:
    what = f"{question.prefix}{question.body}"[:40]
    with laws.law(
        f"answer to {what!r}",
        "Give a log-probability (natural, at most 0) for each choice, or text where there are "
        "none; what could not be answered says so in failed.",
    ):
        demand(
            isinstance(answer.tokens, int) and answer.tokens >= 0,
            f"its tokens are {answer.tokens!r}",
        )
        demand(answer.finish in _FINISHES, f"its finish is {answer.finish!r}")
        if answer.failed:
            return
        if not question.choices:
            says = answer.text or answer.tool_calls
            ended = may_end_at_once and answer.finish == "stop"
            demand(says or ended, "it wrote nothing and says no reason")
            return
        demand(
            len(answer.logprobs) == len(question.choices),
            f"{len(question.choices)} choices, {len(answer.logprobs)} log-probabilities",
        )
        demand(
            all(math.isfinite(value) and value <= 1e-6 for value in answer.logprobs),
            f"its log-probabilities are {answer.logprobs}",
        )


def _alike(one: Answer, other: Answer, tolerance: float) -> bool:
    if (one.text, one.failed, len(one.logprobs)) != (other.text, other.failed, len(other.logprobs)):
        return False
    return all(abs(a - b) <= tolerance for a, b in zip(one.logprobs, other.logprobs, strict=True))


def _check_journal(
    laws: Laws, spec: TeacherSpec, teacher: Any, questions: Sequence[Question], work: Path
) -> None:
    with laws.law(
        "answers are kept", "Answers go to the journal and come back: give plain texts and numbers."
    ):
        journal = Journal(work / CALLS, writable=True)
        try:
            first = Session(spec.source, lambda: teacher, spec.identity, journal.here).ask(
                questions
            )
            again = Session(spec.source, _not_asked, spec.identity, journal.here).ask(questions)
        finally:
            journal.close()
        for (_, one), (_, other) in zip(first, again, strict=True):
            demand(_alike(one, other, 0.0), f"{one!r:.120} came back as {other!r:.120}")


def _not_asked() -> Any:
    msg = "what the journal holds is asked again"
    raise AssertionError(msg)
