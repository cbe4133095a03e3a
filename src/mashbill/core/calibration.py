"""How scores stand to what people say of the same outputs: accuracy, correlation, calibration.

Kept are whole numbers alone, which are summed over slices: how many scores lie in each twentieth
from 0 to 1, of outputs that are right and wrong, on either of two parts, and sums of scores and
gold in millionths. A threshold is chosen on one part and told on the other, so that it is not
praised for what it was fitted to; an output's part follows from its digest.

The expected calibration error is that of Guo et al., "On Calibration of Modern Neural Networks",
ICML 2017, section 2: the mean, over bins by score, of how far the mean score of a bin lies from its
share of right outputs, weighted by how many are in it; over all outputs, with twenty bins.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BINS = 20
_UNIT = 1_000_000
_FAR = 1e9  # gold beyond it is left out of sums
_HALF = _BINS // 2
_PARTS = ("fit", "held")


def observed(
    rows: Iterable[tuple[str, float | None, float | None]], right: float
) -> dict[str, Any]:
    """Return the counts of outputs of which both a judge and people say something.

    Args:
        rows: (output, score from 0 to 1, gold); None where nothing is said.
        right: gold from which an output is right.
    """
    parts: dict[str, dict[str, dict[str, int]]] = {name: {} for name in _PARTS}
    sums = dict.fromkeys(("rows", "score", "gold", "score_score", "gold_gold", "score_gold"), 0)
    for output, score, gold in rows:
        if score is None or gold is None or not math.isfinite(gold) or abs(gold) > _FAR:
            continue
        own = parts[_PARTS[hashlib.sha256(output.encode("utf-8", "surrogatepass")).digest()[0] % 2]]
        place = f"{min(int(score * _BINS), _BINS - 1):02d}"
        each = own.setdefault(place, {"right": 0, "wrong": 0, "score": 0})
        each["right" if gold >= right else "wrong"] += 1
        each["score"] += round(score * _UNIT)
        sums["rows"] += 1
        for name, value in (
            ("score", score), ("gold", gold), ("score_score", score * score),
            ("gold_gold", gold * gold), ("score_gold", score * gold),
        ):  # fmt: skip
            sums[name] += round(value * _UNIT)
    return {**parts, "sums": sums}


def calibrated(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what follows from the counts of :func:`observed`.

    Returns:
        ``rows``; ``accuracy`` of the side of 0.5 that scores are on; ``correlation`` with gold
        (Pearson's); ``error``, the expected calibration error; ``threshold``, from which on a
        twentieth best tells right from wrong outputs on one part, with ``held_rows``,
        ``held_accuracy`` by it and ``held_at_half`` by 0.5 on the other. None where there is
        nothing to say it of.
    """
    fit, held = (_bins(told.get(name, {})) for name in _PARTS)
    whole = [tuple(map(sum, zip(*both, strict=True))) for both in zip(fit, held, strict=True)]
    rows = sum(right + wrong for right, wrong, _ in whole)
    threshold = _best(fit)
    return {
        "rows": rows,
        "accuracy": _accuracy(whole, _HALF),
        "correlation": _correlation(told.get("sums", {})),
        "error": _error(whole),
        "threshold": None if threshold is None else threshold / _BINS,
        "held_rows": sum(right + wrong for right, wrong, _ in held),
        "held_accuracy": None if threshold is None else _accuracy(held, threshold),
        "held_at_half": _accuracy(held, _HALF),
    }


_Bin = tuple[int, ...]
"""right outputs, wrong ones, and the sum of their scores in millionths"""


def _bins(told: Mapping[str, Mapping[str, int]]) -> list[_Bin]:
    nothing: Mapping[str, int] = {}
    found = [told.get(f"{place:02d}", nothing) for place in range(_BINS)]
    return [tuple(each.get(key, 0) for key in ("right", "wrong", "score")) for each in found]


def _accuracy(bins: list[_Bin], place: int) -> float | None:
    """Return the share that is on its side of a threshold, the lower edge of a bin."""
    rows = sum(right + wrong for right, wrong, _ in bins)
    good = sum(each[1] for each in bins[:place]) + sum(each[0] for each in bins[place:])
    return good / rows if rows else None


def _best(bins: list[_Bin]) -> int | None:
    """Return the threshold with the highest accuracy; of several that nearest to a half."""
    found = [(_accuracy(bins, place), -abs(place - _HALF), place) for place in range(_BINS + 1)]
    known = [(accuracy, near, place) for accuracy, near, place in found if accuracy is not None]
    return max(known)[2] if known else None


def _error(bins: list[_Bin]) -> float | None:
    rows = sum(right + wrong for right, wrong, _ in bins)
    if not rows:
        return None
    return sum(abs(score / _UNIT - right) for right, _, score in bins) / rows


def _correlation(sums: Mapping[str, int]) -> float | None:
    count = sums.get("rows", 0)
    if count < 2:
        return None
    mean = {name: sums[name] / _UNIT / count for name in sums if name != "rows"}
    spread = [
        mean["score_score"] - mean["score"] ** 2,
        mean["gold_gold"] - mean["gold"] ** 2,
    ]
    if min(spread) <= 1e-9:  # all the same, but for what is rounded
        return None
    both = mean["score_gold"] - mean["score"] * mean["gold"]
    return max(-1.0, min(1.0, both / math.sqrt(spread[0] * spread[1])))
