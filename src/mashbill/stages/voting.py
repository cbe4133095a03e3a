"""Judges of pairs: what each is asked, in which order, and how their words become a verdict.

Judges lean to a place. By default each is asked about a pair both ways round, and one that does
not prefer the same completion both times has not decided: a tie (L. Zheng et al., "Judging
LLM-as-a-Judge with MT-Bench and Chatbot Arena", NeurIPS 2023, section 3.4). Asked one way only,
which stands first follows from a hash, and what the judge leans to by place alone, its mean
log-odds over all pairs, is subtracted (H. Zhou et al., "Batch Calibration", ICLR 2024).

A verdict is a word about two completions: the first, the second, or a tie. One that was not
answered is none of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import RecipeError
from mashbill.core.teacher import Question
from mashbill.prompts.prompt import Prompt
from mashbill.stages.judging import Template, asked_where, scores_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.teacher import Answer, TeacherSession

_JINJA = frozenset({".jinja", ".j2"})
SLOTS = ("prompt", "first", "second")
Votes = Literal["majority", "unanimous", "margin"]
"""more than half of the judges that answered; all of them; the sign of their mean log-odds"""


@dataclass(frozen=True)
class Asking:
    """How judges are asked about pairs."""

    template: Template | Prompt
    answers: tuple[str, str]
    """what a judge would write next for the one named first, and for the second"""
    max_chars: int
    seed: int
    swap: bool
    """whether each pair is asked both ways round"""
    within: float = 0.0
    """log-odds up to which neither is better"""
    tie: str = ""
    """what it would write next where neither is better; empty if it is not asked to"""

    def question(self, prompt: str, first: str, second: str) -> Question:
        """Return which of two completions is better, as a question."""
        row = {"prompt": prompt, "first": first, "second": second}
        choices = (*self.answers, *([self.tie] if self.tie else []))
        if isinstance(self.template, Template):
            body = self.template.fill(row, self.max_chars)
            return Question(self.template.prefix, body, choices)
        cut = {name: text[: self.max_chars] for name, text in row.items()}
        head, rest = self.template.in_one(self.template.render(cut, "a pair"), SLOTS)
        return Question(head, rest, choices)

    def leans(self, found: Sequence[tuple[str | None, Answer | None]]) -> np.ndarray:
        """Return the log-odds that the one named first is better, 0 for a tie; NaN for nothing."""
        scores = scores_of(found, 3 if self.tie else 2)
        lean: np.ndarray = scores[:, 0] - scores[:, 1]
        if self.tie:
            lean = np.where(scores[:, 2] >= scores[:, :2].max(axis=1), 0.0, lean)
        return lean


def prompt_of(path: Path) -> Template | Prompt:
    """Read the prompt of judges of pairs.

    Raises:
        RecipeError: if it lacks one of the two completions, or has another variable.
    """
    if path.suffix not in _JINJA:
        return Template(path, SLOTS)
    prompt = Prompt(path)
    prompt.check(SLOTS)
    for name in SLOTS[1:]:
        if name not in prompt.variables:
            msg = f"{path} has no {{{{ {name} }}}}, so a judge would not see what it judges"
            raise RecipeError(msg)
    return prompt


@dataclass(frozen=True)
class Word:
    """What one judge says of all pairs."""

    margins: np.ndarray
    """log-odds that the first completion is better; NaN where it did not answer; shape (pairs,)"""
    votes: np.ndarray
    """1 for the first, -1 for the second, 0 for a tie; NaN where it did not answer"""
    calls: list[str | None]
    """digest of the call that each rests on: of two, that with the first completion first"""
    problems: list[str | None]
    """why it did not answer"""
    facts: dict[str, Any]
    """what is measured of it"""


def ask(
    teacher: TeacherSession,
    how: Asking,
    prompts: Sequence[str],
    texts: tuple[Sequence[str], Sequence[str]],
    reasons: Sequence[str | None],
) -> Word:
    """Ask one judge about all pairs at once.

    Args:
        teacher: the judge.
        how: it is asked.
        prompts: of the pairs.
        texts: the first completions, and the second ones.
        reasons: why a pair is not judged.
    """
    rows = list(zip(prompts, *texts, strict=True))
    return _both_ways(teacher, how, rows, reasons) if how.swap else _one_way(
        teacher, how, rows, reasons
    )  # fmt: skip


def _one_way(
    teacher: TeacherSession,
    how: Asking,
    rows: list[tuple[str, str, str]],
    reasons: Sequence[str | None],
) -> Word:
    swapped = np.array(
        [int(digest_bytes("\n".join((str(how.seed), *row)).encode())[0], 16) % 2 for row in rows]
    ).astype(np.int64)
    questions = [
        how.question(prompt, (a, b)[s], (b, a)[s])
        for (prompt, a, b), s in zip(rows, swapped.tolist(), strict=True)
    ]
    problems = list(reasons)
    found = asked_where(teacher, questions, problems)
    lean = how.leans(found)
    tied = (lean == 0) & bool(how.tie)  # it said so: no place is to be taken off
    judged = lean[~np.isnan(lean) & ~tied]
    mean = float(judged.mean()) if len(judged) else 0.0
    margins = np.where(tied, 0.0, (lean - mean) * (1 - 2 * swapped))
    facts = {"lean_to_the_first": mean}
    return _word(margins, _signs(margins, how.within), [c for c, _ in found], problems, facts)


def _both_ways(
    teacher: TeacherSession,
    how: Asking,
    rows: list[tuple[str, str, str]],
    reasons: Sequence[str | None],
) -> Word:
    questions = [how.question(prompt, a, b) for prompt, a, b in rows]
    questions += [how.question(prompt, b, a) for prompt, a, b in rows]
    problems = [*reasons, *reasons]
    found = asked_where(teacher, questions, problems)
    lean = how.leans(found)
    straight, turned = lean[: len(rows)], lean[len(rows) :]
    margins = (straight - turned) / 2
    decided = straight * turned < 0  # each time the same completion, so each time another place
    votes = np.where(decided, _signs(margins, how.within), np.where(np.isnan(margins), np.nan, 0.0))
    answered = ~np.isnan(margins)
    facts = {
        "lean_to_the_first": float((straight + turned)[answered].mean() / 2)
        if answered.any()
        else 0.0,
        "inconsistent": int((answered & ~decided).sum()),
        "first_both_times": int((answered & (straight > 0) & (turned > 0)).sum()),
        "second_both_times": int((answered & (straight < 0) & (turned < 0)).sum()),
    }
    why = [one or two for one, two in zip(problems[: len(rows)], problems[len(rows) :],
           strict=True)]  # fmt: skip
    return _word(margins, votes, [call for call, _ in found[: len(rows)]], why, facts)


def _signs(margins: np.ndarray, within: float) -> np.ndarray:
    return np.where(np.abs(margins) <= within, 0.0, np.sign(margins))


def _word(
    margins: np.ndarray,
    votes: np.ndarray,
    calls: list[str | None],
    problems: list[str | None],
    facts: dict[str, Any],
) -> Word:
    counts = {
        "answered": int((~np.isnan(votes)).sum()),
        "ties": int((votes == 0).sum()),
    }
    return Word(margins, votes, calls, problems, {**counts, **facts})


def verdicts(words: Sequence[Word], rule: Votes) -> tuple[np.ndarray, np.ndarray]:
    """Return what judges say together, and by how much.

    Judges that did not answer do not count; a pair of which none answered has no verdict.

    Args:
        words: of each judge.
        rule: how votes become a verdict.

    Returns:
        verdicts (1, -1, 0; NaN for none), and the mean of the judges' log-odds that the first
        completion is better, each of shape (pairs,).
    """
    votes = np.stack([word.votes for word in words])
    margins = np.stack([word.margins for word in words])
    there = ~np.isnan(votes)
    count = there.sum(axis=0)
    mean = _mean(margins, there, count)
    sums = {side: ((votes == side) & there).sum(axis=0) for side in (1, -1)}
    if rule == "margin":
        found = np.sign(np.where(count > 0, mean, 0.0))
    else:
        need = count if rule == "unanimous" else count // 2 + 1
        found = (sums[1] >= need).astype(float) - (sums[-1] >= need).astype(float)
    return np.where(count > 0, found, np.nan), mean


def _mean(margins: np.ndarray, there: np.ndarray, count: np.ndarray) -> np.ndarray:
    total = np.where(there, margins, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def share_of_votes(words: Sequence[Word]) -> np.ndarray:
    """Return the share of the judges' votes for the first completion, a tie as half a vote.

    NaN where none answered; shape (pairs,).
    """
    votes = np.stack([word.votes for word in words])
    there = ~np.isnan(votes)
    count = there.sum(axis=0)
    return _mean((votes + 1) / 2, there, count)


def held_against_gold(found: np.ndarray, gold: np.ndarray) -> dict[str, Any]:
    """Return how often verdicts are those that people, or whoever else, gave.

    Args:
        found: verdicts, NaN for none.
        gold: the same, NaN where there is none.

    Returns:
        ``pairs`` that both speak of, ``right`` of them, ``accuracy``; and ``decided``, pairs of
        which neither says a tie, with ``accuracy_where_decided``. None for what has no pairs.
    """
    both = ~np.isnan(found) & ~np.isnan(gold)
    decided = both & (found != 0) & (gold != 0)
    right = both & (found == gold)
    pairs, firm = int(both.sum()), int(decided.sum())
    return {
        "pairs": pairs,
        "right": int(right.sum()),
        "accuracy": int(right.sum()) / pairs if pairs else None,
        "decided": firm,
        "accuracy_where_decided": int((right & decided).sum()) / firm if firm else None,
    }
