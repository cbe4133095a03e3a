"""Evidence as bets: e-values, which stay valid whenever one looks and when they are combined.

An e-value is a number of at least 0 whose mean is at most 1 if the null holds, so that by Markov it
is 1/a or more with probability at most a; one that is kept up while a log grows stays valid at any
moment (Ville; Ramdas, Gruenwald, Vovk, Shafer, Statistical Science 2023). Those here are functions
of counts, so it does not matter in which order rows came or how many processes counted them.

They are handled as log10, so that what is multiplied is added. A mean of e-values is an e-value,
whatever depends on what, and a product is one where each is valid given those before. A cap only
makes an e-value smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def mean(logs: Sequence[float]) -> float:
    """Return log10 of the mean of e-values that are given as log10."""
    most = max(logs)
    if most == -math.inf:
        return most
    return most + math.log10(math.fsum(10 ** (one - most) for one in logs) / len(logs))


def counted(
    seen: Sequence[float], null: Sequence[float], shapes: Sequence[Sequence[float]]
) -> float:
    """Return log10 of an e-value for counts of outcomes, against probabilities of the null.

    The likelihood ratio of a mixture of alternatives, each of one weight. Where the null says only
    that every outcome but the first has at most some probability, it is valid against all that do,
    if each alternative raises the others by more than it raises the first.

    Args:
        seen: how often each outcome was seen; need not be whole numbers.
        null: probability of each outcome.
        shapes: probabilities of each outcome, an alternative a row.
    """
    return mean(
        [
            math.fsum(
                count * math.log10(other / own)
                for count, own, other in zip(seen, null, shape, strict=True)
                if count
            )
            for shape in shapes
        ]
    )


def graded(shares: Sequence[float], levels: Sequence[float]) -> list[list[float]]:
    """Return alternatives: a share of prompts that trips, of which the levels have their parts.

    Args:
        shares: of all prompts, an alternative each.
        levels: parts of what trips, by level; they sum to 1.
    """
    return [[1 - share, *(share * part for part in levels)] for share in shares]


def among(hits: Mapping[int, tuple[int, int]], places: int, shares: Sequence[float]) -> float:
    """Return log10 of an e-value for one place being hit more often than exchangeable others.

    A trial has ``places`` of which one is the real one. If all are alike, and ``c`` of them are
    hit, the real one is with probability c / places, given c. A bet on that is made for each trial.

    Args:
        hits: c -> (trials with c places hit, those of them in which the real one was).
        places: of a trial.
        shares: probabilities of the alternatives that the real one is hit.
    """
    return fair([(count / places, *trials) for count, trials in sorted(hits.items())], shares)


def fair(trials: Sequence[tuple[float, int, int]], shares: Sequence[float]) -> float:
    """Return log10 of an e-value for something happening more often than it would by chance.

    Args:
        trials: (probability by chance, at most, trials, those of them in which it happened).
        shares: probabilities of the alternatives; one bets on a trial if it is above chance.
    """
    found = []
    for share in shares:
        total = 0.0
        for own, number, real in trials:
            if 0 < own < 1 and own < share:
                total += real * math.log10(share / own)
                total += (number - real) * math.log10((1 - share) / (1 - own))
        found.append(total)
    return mean(found) if found else 0.0


def discovered(logs: Sequence[float], level: float, tested: int | None = None) -> list[int]:
    """Return which nulls are rejected by e-BH, as places, the most certain first.

    The rate of false discoveries is at most ``level``, whatever the e-values depend on (Wang and
    Ramdas, JRSS B 2022).

    Args:
        logs: log10 of e-values.
        level: of false discoveries.
        tested: how many nulls there were in all, if more than are given.
    """
    number = max(len(logs), tested or 0)
    order = sorted(range(len(logs)), key=lambda place: (-logs[place], place))
    kept = 0
    for rank, place in enumerate(order, 1):
        if logs[place] >= math.log10(number / (level * rank)):
            kept = rank
    return order[:kept]
