"""``check_verifier``: a verifier over right and wrong outputs, with all laws checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.canonical import digest_bytes
from mashbill.core.verifier import Case, Score, VerifierSession
from mashbill.stages.verify import VerifySpec
from mashbill.testing.laws import Laws, check_source, check_spec, demand
from mashbill.testing.stages import run_twice
from mashbill.testing.trial import Trial, all_rows, scratch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Answer, Question, TeacherSpec
    from mashbill.core.verifier import VerifierSpec

_PAID = 0.5
_ODD = ("", " ", "\x00", "\n" * 40, "日本語 🙂", "a" * 100_000, "{", "```", "1e999", "-0", "NaN")
_CONTROLS = ("", "I don't know", "x7§")
"""outputs that are right for nothing that anybody asks"""


def check_verifier(
    spec: VerifierSpec,
    right: Sequence[Case],
    wrong: Sequence[Case],
    *,
    failing: Sequence[Case] = (),
    files: Mapping[str, str | bytes] | None = None,
    teachers: Mapping[str, TeacherSpec] | None = None,
) -> tuple[str, ...]:
    """Score outputs and hold a verifier to all laws of verifiers; return those that held.

    Args:
        spec: its keys.
        right: outputs that are right; each is also scored with junk in its place.
        wrong: outputs that are wrong.
        failing: what it cannot decide or look at, so that it must say that, and never a number.
        files: beside the recipe.
        teachers: those that it asks, by the names that its keys give them.

    Raises:
        LawError: naming each law that it breaks, and what to mend.
    """
    laws = Laws(f"verifier kind {spec.kind!r}")
    check_spec(laws, spec)
    check_source(laws, spec.source)
    with scratch() as folder:
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

        def loaded() -> VerifierSession:
            own = VerifierSession(spec.kind, spec, lambda: spec.load(folder, folder, 1))
            return own.asking(lambda name: Asked((teachers or {})[name], folder))

        with laws.law(
            "whom it asks is named", "Name in asks() the teachers that its keys name, and no other."
        ):
            strange = set(spec.asks()) - set(teachers or {})
            demand(not strange, f"asks() names {', '.join(sorted(strange))}: give it as teachers")
        session = loaded()
        scores: list[Score] = []
        with laws.law(
            "a score each", "Return a list of one mashbill.Score a case, in order, and never raise."
        ):
            scores += session.score([*right, *wrong])
        if scores:
            _check_pay(laws, session, right, scores, len(right))
            _check_failing(laws, session, right, failing)
            _check_alone(laws, session, loaded(), [*right, *wrong], scores)
        if not spec.asks():
            _check_run(laws, spec, [*right, *wrong], files or {}, folder / "run")
    return laws.settle()


class Asked:
    """A teacher without a journal, for trials."""

    def __init__(self, spec: TeacherSpec, folder: Path) -> None:
        """Load it."""
        self.source = spec.source
        self._teacher = spec.load(folder, folder, 1)

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the question, answer) for each, in order."""
        answers = self._teacher.answer(list(questions)) if questions else []
        calls = [digest_bytes(repr(question).encode()) for question in questions]
        return list(zip(calls, answers, strict=True))


def _value(score: Score) -> float:
    return -1.0 if score.value is None else score.value


def _check_pay(
    laws: Laws, session: VerifierSession, right: Sequence[Case], scores: list[Score], count: int
) -> None:
    with laws.law("right is paid", f"Give an output that is right {_PAID} at least."):
        for at, score in enumerate(scores[:count]):
            demand(_value(score) >= _PAID, f"right output {at} gets {score!r:.160}")
    with laws.law("wrong is not paid", f"Give an output that is wrong less than {_PAID}."):
        for at, score in enumerate(scores[count:]):
            demand(_value(score) < _PAID, f"wrong output {at} gets {score!r:.160}")
    with laws.law(
        "junk is not paid", "An empty output, junk and 'I don't know' are worth nothing."
    ):
        for case in right:
            junk = [replace(case, output=text) for text in _CONTROLS if text != case.output]
            for one, score in zip(junk, session.score(junk), strict=True):
                demand(_value(score) < _PAID, f"{one.output!r} gets {score!r:.160}")


def _check_failing(
    laws: Laws, session: VerifierSession, right: Sequence[Case], failing: Sequence[Case]
) -> None:
    mend = "Return Score.undecided(why) or Score.failed(why) where nothing can be said: never 0."
    with laws.law("a failure is told and not 0", mend):
        for case, score in zip(failing, session.score(failing), strict=True):
            demand(score.outcome != "scored", f"{case!r:.120} gets {score!r:.120}")
        if session.spec.rules.needs_reference:
            bare = [replace(case, reference=None) for case in right]
            for score in session.score(bare):
                demand(score.outcome != "scored", f"without a reference it gives {score!r:.120}")
    with laws.law("no output is too odd", "Score whatever text comes, or say that it failed."):
        session.score([replace(case, output=text) for case in right[:1] for text in _ODD])


def _check_alone(
    laws: Laws,
    session: VerifierSession,
    other: VerifierSession,
    cases: list[Case],
    scores: list[Score],
) -> None:
    with laws.law("scores in order", "A score depends on its own case alone, not on its batch."):
        back = list(reversed(session.score(list(reversed(cases)))))
        alone = [session.score([case])[0] for case in cases]
        if session.spec.rules.repeats:
            demand(back == scores == alone, "a case has another score in another batch")
    if session.spec.rules.repeats:
        with laws.law("the same twice", "Set repeats = False where scores may come out otherwise."):
            demand(other.score(cases) == scores, "a case has another score when it is loaded anew")


def _check_run(
    laws: Laws,
    spec: VerifierSpec,
    cases: list[Case],
    files: Mapping[str, Any],
    folder: Path,
) -> None:
    """Run it in a stage ``verify``, as a recipe does."""
    table = pa.table(
        {
            "text": pa.array([case.output for case in cases], pa.string()),
            "known": pa.array([case.reference for case in cases], pa.string()),
        }
    )
    for name in spec.reads():
        table = table.append_column(name, pa.array([case.row.get(name) for case in cases]))
    stage = VerifySpec(
        input="rows", by="v", reference="known", threshold=0, undecided="keep", failed="keep"
    )
    trial = Trial(stage, {"rows": table}, verifiers={"v": spec}, files=files)
    made = run_twice(laws, trial, folder) if spec.rules.repeats else None
    if made is None:
        return
    with laws.law("its scores are rows", "Declare in components all parts that a score has."):
        kept, _ = all_rows(*made)
        demand(kept is not None and kept.num_rows == len(cases), "rows of the stage are missing")
