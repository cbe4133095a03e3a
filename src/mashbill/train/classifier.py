"""``classifier``: a small data-processing model, linear over hashed features of words.

Features are words with their first four and last three letters, which stand in for stems; hashed,
so that nothing but weights is learned. Weighted by the labeller's confidence, since a label that
the teacher was unsure of should pull less, and by the labels' shares, since a weak signal
otherwise loses to the commoner label. Calibrated by one temperature (Guo et al., ICML 2017)
over cross-validated scores. It knows nothing but the labels it is given.

Left out: a vocabulary, character n-grams (1.5 points better at a sixth of the speed, LOG.md).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mashbill.core.canonical import canonical
from mashbill.core.errors import InputError, MissingExtraError
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.stage import StageContext

_WORDS = re.compile(r"\w+|[!?:;)(]+")
_FOLDS = 5


def features(text: str) -> list[str]:
    """Return a text's features: words, and the ends of the longer ones."""
    words = _WORDS.findall(text.lower())
    return [
        *words,
        *("^" + word[:4] for word in words if len(word) > 4),
        *("$" + word[-3:] for word in words if len(word) > 5),
    ]


class ClassifierSpec(StageSpec):
    """``kind = "classifier"``."""

    output: ClassVar[ArtifactKind] = "model"

    kind: Literal["classifier"] = "classifier"
    input: str
    """labelled dataset to learn from"""
    buckets: int = Field(default=2**18, gt=0)
    """hash buckets"""
    strength: float = Field(default=4.0, gt=0)
    """inverse of the L2 penalty"""

    def uses(self) -> tuple[Uses, ...]:
        """The labelled rows."""
        return (Uses(self.input, "trained-on", Channel.CONTENT),)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Fit, calibrate, and write weights.safetensors and config.json."""
        try:
            from safetensors.numpy import save_file
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import cross_val_predict
        except ImportError as error:
            raise MissingExtraError("training a classifier", "train") from error
        rows = ctx.input(self.input)
        table = rows.read(0, rows.num_rows, ["text", "label", "confidence"])
        labels = sorted(set(table.column("label").to_pylist()))
        if len(labels) < 2:
            msg = (
                f"{rows.manifest.ref} holds only the label {labels}; a classifier needs two: "
                "label more rows, or mend the prompt"
            )
            raise InputError(msg)
        target = np.array([labels.index(label) for label in table.column("label").to_pylist()])
        rarest = int(np.bincount(target).min())
        if rarest < _FOLDS:
            msg = (
                f"{rows.manifest.ref} has a label with only {rarest} rows; cross-validation needs "
                f"{_FOLDS} of each: label more rows, or mend the prompt"
            )
            raise InputError(msg)
        confidence = np.asarray(table.column("confidence"), np.float64)
        weight = np.clip((confidence * len(labels) - 1) / (len(labels) - 1), 0.01, 1)
        counts = _vectorizer(self.buckets).transform(table.column("text").to_pylist())
        idf = np.log((1 + counts.shape[0]) / (1 + np.asarray((counts > 0).sum(0)).ravel())) + 1
        inputs = _scaled(counts, idf)
        model = LogisticRegression(C=self.strength, max_iter=500, class_weight="balanced")
        ctx.progress(0, _FOLDS + 1, "cross-validating")
        held_out = cross_val_predict(
            model,
            inputs,
            target,
            cv=_FOLDS,
            method="decision_function",
            params={"sample_weight": weight},
        )
        temperature = fit_temperature(_as_logits(held_out), target)
        ctx.progress(_FOLDS, _FOLDS + 1, "fitting")
        model.fit(inputs, target, sample_weight=weight)
        # Features that no training text has keep weight 0, so their idf does not matter.
        save_file(
            {
                "weights": model.coef_.astype(np.float32),
                "bias": model.intercept_.astype(np.float32),
                "idf": idf.astype(np.float32),
            },
            out / "weights.safetensors",
        )
        config = {"labels": labels, "buckets": self.buckets, "temperature": temperature}
        (out / "config.json").write_bytes(canonical(config))
        agreement = float((_as_logits(held_out).argmax(1) == target).mean())
        gap = calibration_error(_as_logits(held_out) / temperature, target)
        ctx.measures |= {
            "agreement_with_labeller": agreement,
            "calibration_error": gap,
            "temperature": temperature,
            "parameters": int(np.count_nonzero(model.coef_)),
        }
        ctx.seen[self.input] = np.ones(rows.num_rows, np.int64)
        ctx.progress(_FOLDS + 1, _FOLDS + 1, f"agrees with its labeller on {agreement:.1%}")

    @staticmethod
    def load(folder: Path, threads: int) -> LinearPredictor:
        """Load the trained model."""
        del threads
        return LinearPredictor(folder)


class LinearPredictor:
    """A trained classifier; see :class:`mashbill.core.stage.Predictor`."""

    def __init__(self, folder: Path) -> None:
        """Read the files that :meth:`ClassifierSpec.train` wrote."""
        try:
            from safetensors.numpy import load_file
        except ImportError as error:
            raise MissingExtraError("applying a classifier", "train") from error
        config = json.loads((folder / "config.json").read_bytes())
        tensors = load_file(folder / "weights.safetensors")
        self.labels: tuple[str, ...] = tuple(config["labels"])
        self._temperature = config["temperature"]
        self._vectorizer = _vectorizer(config["buckets"])
        self._weights, self._bias = tensors["weights"], tensors["bias"]
        self._idf = tensors["idf"].astype(np.float64)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities, shape (texts, labels)."""
        inputs = _scaled(self._vectorizer.transform(texts), self._idf)
        scores = np.asarray(inputs @ self._weights.T.astype(np.float64)) + self._bias
        return _softmax(_as_logits(scores) / self._temperature)


def _vectorizer(buckets: int) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer=features, n_features=buckets, alternate_sign=False, norm=None, binary=True
    )


def _scaled(counts: Any, idf: np.ndarray) -> Any:
    """Return TF-IDF rows of unit length."""
    from sklearn.preprocessing import normalize

    return normalize(counts.multiply(idf).tocsr())


def _as_logits(scores: np.ndarray) -> np.ndarray:
    """Return scores as (rows, labels), where scikit-learn gives one column for two labels."""
    scores = scores.reshape(len(scores), -1)
    return np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores


def _softmax(logits: np.ndarray) -> np.ndarray:
    odds: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


def fit_temperature(logits: np.ndarray, target: np.ndarray) -> float:
    """Return the temperature that makes held-out logits likeliest (Guo et al., 2017).

    Args:
        logits: shape (rows, labels).
        target: shape (rows,), indices of labels.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = _softmax(logits / np.exp(log_temperature))
        return float(-np.log(scaled[np.arange(len(target)), target] + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def calibration_error(logits: np.ndarray, target: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    Over equally filled bins of confidence (Nguyen and O'Connor, EMNLP 2015).
    """
    probabilities = _softmax(logits)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == target
    pieces = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [
        len(piece) * abs(confidence[piece].mean() - right[piece].mean())
        for piece in pieces
        if len(piece)
    ]
    return float(sum(gaps) / len(target))
