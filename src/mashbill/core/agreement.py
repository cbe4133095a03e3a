"""How far several judges say the same of the same things, beyond what chance would give.

All of it follows from a count of patterns: what each judge said of one thing, and of how many
things they said just that. Counts of slices are summed, so no statistic depends on how rows were
cut. Values are names without an order (nominal).

* Percent agreement: of all two verdicts on one thing, the share that are the same.
* Cohen's kappa of two judges: (p_o - p_e) / (1 - p_e), with p_e from each judge's own shares, over
  the things of which both said something (J. Cohen, "A coefficient of agreement for nominal
  scales", Educational and Psychological Measurement 20(1), 1960, 37-46).
* Krippendorff's alpha of any number of judges, who may each say nothing of some things:
  1 - D_o / D_e over the matrix of coincidences, in which a thing of which m judges speak counts
  m, its pairs 1 / (m - 1) each (A. Hayes and K. Krippendorff, "Answering the call for a standard
  reliability measure for coding data", Communication Methods and Measures 1(1), 2007, 77-89).

Where all say one and the same of everything, chance would too: kappa and alpha are not defined
then, and are None and never 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Pattern = tuple[str | None, ...]
"""what each judge said of one thing, in the order of the judges; None for nothing"""
_NOTHING = "-"
_BETWEEN = " | "


def counted(verdicts: Iterable[Pattern]) -> dict[str, int]:
    """Return the patterns of verdicts with their counts, as measures have them.

    Args:
        verdicts: of each thing, one a judge; no name of a verdict holds a ``|``.
    """
    told = (_BETWEEN.join(_NOTHING if one is None else one for one in each) for each in verdicts)
    return dict(sorted(Counter(told).items()))


def patterns(told: Mapping[str, int]) -> dict[Pattern, int]:
    """Read what :func:`counted` returned."""
    return {
        tuple(None if one == _NOTHING else one for one in text.split(_BETWEEN)): count
        for text, count in told.items()
    }


def agreement(judges: Sequence[str], told: Mapping[str, int]) -> dict[str, Any]:
    """Return the statistics of agreement, as measures have them.

    Args:
        judges: their names, at least two.
        told: count of each pattern, as :func:`counted` returns it.

    Returns:
        ``things`` of which two judges or more said something, ``percent`` (0 to 1), ``kappa`` by
        two judges ("a, b" -> kappa) and ``alpha`` of all; None where one is not defined.
    """
    known = patterns(told)
    return {
        "things": sum(n for each, n in known.items() if sum(v is not None for v in each) > 1),
        "percent": percent(known),
        "kappa": {
            f"{judges[one]}, {judges[two]}": kappa(known, one, two)
            for one, two in combinations(range(len(judges)), 2)
        },
        "alpha": alpha(known),
    }


def percent(known: Mapping[Pattern, int]) -> float | None:
    """Return the share of two verdicts on one thing that are the same; None if there are none."""
    same = all_ = 0
    for each, count in known.items():
        for one, two in combinations([value for value in each if value is not None], 2):
            same += count * (one == two)
            all_ += count
    return same / all_ if all_ else None


def kappa(known: Mapping[Pattern, int], one: int, two: int) -> float | None:
    """Return Cohen's kappa of two judges, by their places; None where it is not defined."""
    both: Counter[tuple[str, str]] = Counter()
    for each, count in known.items():
        first, second = each[one], each[two]
        if first is not None and second is not None:
            both[first, second] += count
    total = sum(both.values())
    if not total:
        return None
    mine: Counter[str] = Counter()
    its: Counter[str] = Counter()
    for (first, second), count in both.items():
        mine[first] += count
        its[second] += count
    seen = sum(count for (first, second), count in both.items() if first == second) / total
    chance = sum(mine[value] * its[value] for value in mine) / total**2
    return None if chance == 1 else (seen - chance) / (1 - chance)


def alpha(known: Mapping[Pattern, int]) -> float | None:
    """Return Krippendorff's alpha for names without an order; None where it is not defined."""
    together: defaultdict[tuple[str, str], float] = defaultdict(float)
    for each, count in known.items():
        values = [value for value in each if value is not None]
        if len(values) < 2:
            continue  # nothing to compare it with
        for one, two in combinations(values, 2):
            together[one, two] += count / (len(values) - 1)
            together[two, one] += count / (len(values) - 1)
    sums: defaultdict[str, float] = defaultdict(float)
    for (value, _), share in together.items():
        sums[value] += share
    total = sum(sums.values())
    expected = total**2 - sum(share**2 for share in sums.values())
    if len(sums) < 2 or not expected:
        return None
    differing = sum(share for (one, two), share in together.items() if one != two)
    return 1 - (total - 1) * differing / expected
