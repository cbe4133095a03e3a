"""Weighing choices by the log-probabilities of an answer's first token, where a service gives them.

Where it was asked for them and gives none, the written text alone is no weighing: such an answer is
kept as the reason why there is none, and the first of them ends a run.

So that it is known early, one question goes alone before the others.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

from mashbill.core.teacher import CUT_OFF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.core.teacher import Answer

UNWEIGHED = "no log-probabilities came with "
"""begins the reason of an answer that lacks what it was to be weighed by"""
_CERTAIN = 30.0  # nats between the choice that was written and the others
_FLOOR = 3.0  # nats below the least likely token that is told of: for choices that are not
_ENOUGH, _SHARES, _HALF = 20, 1_000, 0.5
"""answers from which it is told that choices hold little of the probability, and at most"""
_NO_ENDS = frozenset({"content_filter", "other"})
_WROTE = re.compile(r"the teacher wrote (['\"])(?!\1,).+, which is none of \[")
"""the reason that older releases gave, of a text that is not empty"""
_CUT = f"{CUT_OFF} before it wrote any of "
"""their reason of one that was cut off at the one token that it may have"""


@dataclass
class Held:
    """How much of the first token's probability the choices hold, over a session's answers."""

    shares: list[float] = field(default_factory=list)
    begins: Counter[str] = field(default_factory=Counter)
    """what answers began with"""
    is_told: bool = False

    def take(self, share: float, begin: str) -> None:
        """Take note of an answer, until it is told of."""
        if not self.is_told and len(self.shares) < _SHARES:
            self.shares.append(share)
            self.begins[begin] += 1

    def told(self) -> str:
        """Return once what to tell, where most of the probability is somewhere else; else ""."""
        if self.is_told or len(self.shares) < _ENOUGH or median(self.shares) >= _HALF:
            return ""
        self.is_told = True
        return (
            f"the labels hold {100 * median(self.shares):.0f}% of the probability of the first "
            f"token, as the median of {len(self.shares)} answers; most began with "
            f"{self.begins.most_common(1)[0][0][:40]!r}. What is beside the labels counts for none "
            "of them: name them in the prompt, and let it end where one of them stands next, or "
            "set logprobs = false"
        )


@dataclass
class Lacking:
    """How many of a session's latest answers to choices came without log-probabilities.

    One now and then is a rejected row. Where most are, to ask on is money for nothing: a gateway
    that goes to several providers gives them for some.
    """

    latest: dict[str, bool] = field(default_factory=dict)
    """call -> whether it lacks them; a call that is read again counts once"""

    def take(self, answers: Iterable[tuple[str, Answer]]) -> str:
        """Take note of (call, answer); return how many lack them, once that is more than half."""
        for call, answer in answers:
            lacks = lacks_weights(answer)
            if call in self.latest or not (lacks or is_weighed(answer.logprobs)):
                continue  # one that was withheld, or not read, says nothing of them
            self.latest[call] = lacks
            if len(self.latest) > _ENOUGH:
                del self.latest[next(iter(self.latest))]
            lacking = sum(self.latest.values())
            if len(self.latest) == _ENOUGH and lacking > _HALF * _ENOUGH:
                return f"{lacking} of the latest {_ENOUGH} answers"
        return ""


def by_first_token(
    words: Sequence[str], told: Sequence[tuple[str, float]]
) -> tuple[tuple[float, ...], str]:
    """Return the log-probability (natural log) of each choice, or why there is none.

    Args:
        words: the choices, without spaces around them.
        told: (token, log-probability) of the first place, the one that was written first.
    """
    mass: dict[str, float] = dict.fromkeys(words, 0.0)
    for token, logprob in dict(told).items():
        bare = token.strip()
        fits = [word for word in words if bare and word.startswith(bare)]
        if len(fits) == 1:
            mass[fits[0]] += math.exp(logprob)
    if not any(mass.values()):
        begins = told[0][0]
        return (), f"the teacher began with {begins!r}, which begins none of {words}"
    least = min(logprob for _, logprob in told) - _FLOOR
    return tuple(math.log(mass[word]) if mass[word] else least for word in words), ""


def certain(place: int, size: int) -> tuple[float, ...]:
    """Return log-probabilities of so many choices where one was written, and none is weighed."""
    total = math.log1p((size - 1) * math.exp(-_CERTAIN))
    return tuple(-total if i == place else -_CERTAIN - total for i in range(size))


def is_weighed(logprobs: Sequence[float]) -> bool:
    """Return whether log-probabilities of choices came from a service."""
    if not logprobs:
        return False
    likeliest = logprobs.index(max(logprobs))
    return len(logprobs) == 1 or tuple(logprobs) != certain(likeliest, len(logprobs))


def lacks_weights(answer: Answer) -> bool:
    """Return whether an answer that was to be weighed came without log-probabilities.

    Those that older releases bought are known by what these made of them: a choice that was
    written counted as certain, and another text as no choice.
    """
    if answer.failed:
        wrote = bool(_WROTE.match(answer.failed)) and answer.finish != "content_filter"
        return wrote or answer.failed.startswith((UNWEIGHED, _CUT))
    return bool(answer.logprobs) and not is_weighed(answer.logprobs)


def unweighed(answer: Answer) -> Answer:
    """Return an answer that an older release took for certain as the one without weights it is."""
    if is_weighed(answer.logprobs):
        return answer
    return replace(answer, logprobs=(), failed=f"{UNWEIGHED}{answer.text[:80]!r}")


def ended(answer: Answer) -> Answer:
    """Return an answer to choices as failed where its end is none of a whole answer.

    Older releases took what was written for the choice, whatever they were told of its end.
    """
    if answer.failed or answer.finish not in _NO_ENDS:
        return answer
    return replace(answer, logprobs=(), failed=answer.unfinished(keep_cut=True))
