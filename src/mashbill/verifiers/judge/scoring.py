"""What a judge says of outputs: asked, read, put together, and counted.

A judge that compares is asked both ways round. If it prefers the same one both times, its score is
the mean probability that the output is better; if not, it has not decided (L. Zheng et al.,
"Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", arXiv 2306.05685, section 3.4). An output
that is the reference is as good as that: 0.5.
"""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.agreement import counted
from mashbill.core.calibration import observed
from mashbill.core.cells import number_of
from mashbill.core.controls import PAID
from mashbill.core.errors import InputError
from mashbill.core.reasons import plain
from mashbill.core.teacher import CUT_OFF, Answer, Question
from mashbill.core.verifier import Score
from mashbill.verifiers.judge.reading import UnreadError, number_value, word_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mashbill.core.teacher import TeacherSession
    from mashbill.core.verifier import Around, Case, Outcome
    from mashbill.prompts.prompt import Prompt
    from mashbill.verifiers.judge.spec import JudgeSpec

_HALF = 0.5
_REASON = 200  # characters
_OTHER_WORD = re.compile(r"which (?:is|begins) none of|none of its choices")
"""in the reason of an answer that was given, and is none of the words"""


_TOGETHER: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "lowest": min,
}


@dataclass(frozen=True)
class Word:
    """What one judge says of one output."""

    value: float | None
    """from 0 to 1; None where it says nothing"""
    outcome: Outcome = "scored"
    reason: str = ""
    call: str = ""


class Judge:
    """See the module."""

    def __init__(self, spec: JudgeSpec, prompt: Prompt) -> None:
        """Take the keys and the rubric."""
        self._spec = spec
        self._prompt = prompt

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Say that nobody can be asked: a run scores by :meth:`score_by`."""
        return [Score.failed("its teachers are asked in a run alone") for _ in cases]

    def score_by(self, cases: Sequence[Case], around: Around) -> list[Score]:
        """Return what the judges come to of each output."""
        spec = self._spec
        said = [self._words(around.teacher(name), cases) for name in spec.teachers]
        by_case = list(zip(*said, strict=True))
        scores = [self._together(words) for words in by_case]
        around.observe(self._counts(cases, by_case, scores))
        return scores

    def _words(self, teacher: TeacherSession, cases: Sequence[Case]) -> list[Word]:
        """Ask one judge about all outputs at once."""
        spec = self._spec
        both = (False, True) if spec.compares else (False,)
        asked: list[tuple[int, Question]] = []
        words: dict[int, Word] = {}
        for at, case in enumerate(cases):
            try:
                if spec.compares and case.reference is None:
                    words[at] = Word(None, "undecided", "there is no reference to compare with")
                    continue
                asked += [(at, self._question(case, turned=turned)) for turned in both]
            except InputError as error:
                words[at] = Word(None, "failed", plain(str(error), _REASON))
        answers = teacher.ask([question for _, question in asked])
        given: dict[int, list[Word]] = {}
        for (at, _), (call, answer) in zip(asked, answers, strict=True):
            given.setdefault(at, []).append(read(self._spec, call, answer))
        for at, each in given.items():
            words[at] = self._compared(cases[at], *each) if spec.compares else each[0]
        return [words[at] for at in range(len(cases))]

    def _question(self, case: Case, *, turned: bool) -> Question:
        """Return what a judge is asked about one output.

        Raises:
            InputError: if the prompt cannot be filled.
        """
        spec, most = self._spec, self._spec.max_chars
        columns = {name: _cut(case.row.get(name), most) for name in spec.columns}
        pair = (_cut(case.output, most), _cut(case.reference, most))
        if spec.compares:
            own = dict(zip(("first", "second"), pair[::-1] if turned else pair, strict=True))
        else:
            own = dict(zip(("output", "reference"), pair, strict=True))
        told = self._prompt.render({**columns, **own}, "an output", columns)
        if spec.answer != "choice":
            return Question("", told.user, system=told.system)
        head, rest = self._prompt.in_one(told, (*columns, *own))
        return Question(head, rest, spec.choices)

    def _compared(self, case: Case, one: Word, other: Word) -> Word:
        """Return what a judge says that was asked both ways round.

        Args:
            case: the output, and what it is compared with.
            one: asked with the output first; its value says how probable that is the better.
            other: asked with the reference first.
        """
        lacking = next((word for word in (one, other) if word.value is None), None)
        if lacking is not None or one.value is None or other.value is None:
            return lacking or one
        if case.output.strip() == (case.reference or "").strip():
            return Word(_HALF, reason="it is the reference", call=one.call)
        turned = 1 - other.value
        mean = (one.value + turned) / 2
        if (one.value - _HALF) * (turned - _HALF) < 0:
            why = (
                f"asked the other way round it said otherwise ({one.value:.2f} and {turned:.2f} "
                "for the output)"
            )
            return Word(None, "undecided", why, one.call)
        return Word(mean, call=one.call)

    def _together(self, words: Sequence[Word]) -> Score:
        """Return the score that judges come to."""
        spec = self._spec
        names = spec.teachers
        told = {name: w.value for name, w in zip(names, words, strict=True) if w.value is not None}
        call = next((word.call for word in words if word.call), "")
        if len(told) < (spec.needs or len(names)):
            lacking = [(n, w) for n, w in zip(names, words, strict=True) if w.value is None]
            failed = [(n, w) for n, w in lacking if w.outcome == "failed"]
            name, word = (failed or lacking)[0]
            why = f"{name}: {word.reason}"[:_REASON] if len(names) > 1 else word.reason
            outcome: Outcome = "failed" if failed else "undecided"
            return Score(None, why or "it says nothing", outcome=outcome, call=call)
        values = list(told.values())
        value = _TOGETHER[spec.together](values)
        parts = ", ".join(f"{name} {one:.2f}" for name, one in told.items())
        reason = parts if len(names) > 1 else words[0].reason
        components = told if len(names) > 1 else {}
        return Score(min(max(value, 0.0), 1.0), reason, components, call=call)

    def _counts(
        self, cases: Sequence[Case], said: Sequence[Sequence[Word]], scores: Sequence[Score]
    ) -> dict[str, Any]:
        """Return what is counted beside scores, which may be summed over slices."""
        spec = self._spec
        counts: dict[str, Any] = {
            "judges": {
                name: _of_judge([words[at] for words in said])
                for at, name in enumerate(spec.teachers)
            }
        }
        if len(spec.teachers) > 1:
            patterns = counted(tuple(_paid(word) for word in words) for words in said)
            counts["agreement"] = {"judges": list(spec.teachers), "patterns": patterns}
        if spec.gold:
            gold = [_gold(case, spec.gold) for case in cases]
            rows = [
                (case.output, score.value, value)
                for case, score, value in zip(cases, scores, gold, strict=True)
            ]
            counts["gold"] = observed(rows, spec.gold_right)
        return counts


def read(spec: JudgeSpec, call: str, answer: Answer) -> Word:
    """Return what an answer of a judge says."""
    if answer.failed:
        came: Outcome = "undecided" if _OTHER_WORD.search(answer.failed) else "failed"
        return Word(None, came, plain(answer.failed, _REASON), call)
    if spec.answer == "choice":
        return _weighed(spec, call, answer)
    if answer.finish == "length":
        return Word(None, "undecided", CUT_OFF, call)
    if problem := answer.unfinished():
        return Word(None, "failed", plain(problem, _REASON), call)
    try:
        if spec.answer == "word":
            return Word(word_value(answer.text, spec.mark, spec.scale), call=call)
        value = number_value(answer.text, spec.mark, spec.low, spec.high)
        return Word(value, call=call)
    except UnreadError as error:
        return Word(None, "undecided", plain(str(error), _REASON), call)


def _weighed(spec: JudgeSpec, call: str, answer: Answer) -> Word:
    """Return the mean value of the scale's words, by their probabilities."""
    choices, given = spec.choices, answer.logprobs
    if len(given) != len(choices) or not all(map(math.isfinite, given)):
        return Word(None, "failed", "its log-probabilities are not all numbers", call)
    top = max(given)
    weights = [math.exp(one - top) for one in given]
    values = [spec.scale[word] for word in choices]
    mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    return Word(min(max(mean, 0.0), 1.0), call=call)


def _cut(value: Any, most: int) -> Any:
    """Return a text within its bound; what is missing is empty."""
    if value is None:
        return ""
    return value[:most] if isinstance(value, str) else value


def _of_judge(words: Sequence[Word]) -> dict[str, int]:
    return {
        "answered": sum(word.value is not None for word in words),
        "undecided": sum(word.outcome == "undecided" for word in words),
        "failed": sum(word.outcome == "failed" for word in words),
    }


def _paid(word: Word) -> str | None:
    """Return on which side of what is paid a judge is."""
    return None if word.value is None else "paid" if word.value >= PAID else "not paid"


def _gold(case: Case, column: str) -> float | None:
    value: Any = case.row.get(column)
    number = float(value) if isinstance(value, bool) else number_of(value)
    return None if number is None else float(number)
