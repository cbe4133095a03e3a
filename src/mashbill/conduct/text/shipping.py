"""From two trained classifiers to what ships: eight bits a weight, calibrated, with thresholds."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.conduct.text.features import Read, Summed
from mashbill.conduct.text.scoring import (
    BILL,
    HEADS,
    MANIFEST,
    READ_BY,
    WEIGHTS,
    packed_weights,
    unpacked,
)
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.models.linear import LinearPredictor

RATES = {"1%": 0.01, "0.1%": 0.001}
"""shares of honest prompts that may lie above a threshold"""
_STEPS, _SMALLEST = 50, 1e-9


@dataclass(frozen=True)
class Row:
    """A prompt for development."""

    text: str
    kind: str
    is_one: Mapping[str, bool]
    """head -> whether it is one"""

    @property
    def is_honest(self) -> bool:
        """Whether it is neither."""
        return not any(self.is_one.values())


def ship(
    models: Mapping[str, LinearPredictor],
    rows: Sequence[Row],
    bill: str,
    facts: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write weights, manifest and bill of a model of texts.

    Args:
        models: head -> classifier with features = "letters" and labels no and yes; equal in
            buckets and in the model of letters.
        rows: for development: calibration and thresholds rest on them, and weights must not.
        bill: what the classifiers were made from, as text.
        facts: what else the manifest says, such as digests.
        folder: where to.

    Raises:
        InputError: if the classifiers do not belong together.
    """
    weights, bias, letters = _together(models)
    small, largest = packed_weights(weights)
    summed = Summed(unpacked(small, largest).T, bias, letters)
    scores = Read(summed, [READ_BY[name] for name in HEADS]).scores([row.text for row in rows])
    data = small.tobytes() + letters.tobytes()
    heads: dict[str, Any] = {}
    for place, name in enumerate(HEADS):
        known = np.array([row.is_one[name] for row in rows])
        slope, shift = calibrated(scores[:, place], known)
        odds = (scores[:, place] * slope + shift).astype(np.float32)
        heads[name] = {
            "reads": READ_BY[name],
            "largest": float(largest[place]),
            "bias": float(bias[place]),
            "slope": slope,
            "shift": shift,
            "thresholds": {
                rate: threshold(odds, [row.kind if row.is_honest else "" for row in rows], share)
                for rate, share in RATES.items()
            },
        }
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": 3,
        "buckets": int(weights.shape[1]),
        "sha256": hashlib.sha256(data).hexdigest(),
        "heads": heads,
        "bill_sha256": hashlib.sha256(bill.encode()).hexdigest(),
        **facts,
    }
    (folder / WEIGHTS).write_bytes(zlib.compress(data, 9))
    (folder / BILL).write_text(bill, encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _together(
    models: Mapping[str, LinearPredictor],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights (heads, buckets), bias (heads,) and the model of letters."""
    ordered = [models[name] for name in HEADS]
    first = ordered[0].letters
    for name, model in zip(HEADS, ordered, strict=True):
        if model.letters is None or first is None or model.labels != ("no", "yes"):
            msg = f"{name}: it is no classifier with features = 'letters' and labels no and yes"
            raise InputError(msg)
        if model.buckets != ordered[0].buckets or not np.array_equal(model.letters, first):
            msg = f"{name} was trained on other texts than {HEADS[0]}; run the recipe as one"
            raise InputError(msg)
    weights = np.stack([model.weights[0] * model.idf for model in ordered])
    bias = np.array([float(model.bias[0]) for model in ordered])
    return weights, bias, np.asarray(first)


def calibrated(scores: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Return slope and shift that make scores log10 odds, where both classes weigh the same.

    Logistic regression on the score with smoothed targets (Platt, 1999), by Newton's method.
    """
    count = np.array([np.sum(~known), np.sum(known)])
    if not count.all():
        msg = "calibration needs prompts for development of both classes"
        raise InputError(msg)
    target = np.where(known, (count[1] + 1) / (count[1] + 2), 1 / (count[0] + 2))
    weight = np.where(known, 0.5 / count[1], 0.5 / count[0])
    middle, spread = float(scores.mean()), float(scores.std()) or 1.0
    columns = np.stack([(scores - middle) / spread, np.ones_like(scores)], axis=1)

    def loss(at: np.ndarray) -> float:
        logits = columns @ at
        return float((weight * (np.logaddexp(0, logits) - target * logits)).sum())

    found = np.zeros(2)
    for _ in range(_STEPS):
        share = 1 / (1 + np.exp(-columns @ found))
        slope = columns.T @ (weight * (share - target))
        bend = (columns * (weight * share * (1 - share))[:, None]).T @ columns
        step = np.linalg.solve(bend + 1e-9 * np.eye(2), slope)
        # A whole step may lead away where the curve is flat.
        while loss(found - step) > loss(found) and np.abs(step).max() > _SMALLEST:
            step /= 2
        found -= step
        if np.abs(step).max() <= _SMALLEST:
            break
    log10 = found / np.log(10)
    return float(log10[0] / spread), float(log10[1] - log10[0] * middle / spread)


def threshold(odds: np.ndarray, kinds: Sequence[str], share: float) -> float:
    """Return the least score that at most this share of each kind lies above.

    Kinds of so few prompts that not one of them may lie above are judged together: the worst of 65
    prompts says little of where 1% of their kind lies.

    Args:
        odds: scores.
        kinds: of each; an empty one does not count.
        share: that may lie above.
    """
    counts = Counter(kind for kind in kinds if kind)
    few = {kind for kind, count in counts.items() if count * share < 1}
    of = np.array(["few" if kind in few else kind for kind in kinds])
    highest = []
    for kind in sorted(set(of) - {""}):
        ordered = np.sort(odds[of == kind])
        highest.append(float(ordered[-1 - int(share * len(ordered))]))
    return max(highest)
