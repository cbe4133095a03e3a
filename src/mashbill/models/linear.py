"""What a linear classifier over hashed words is: its features, its files, its probabilities.

Features are words with their first four and last three letters, which stand in for stems; hashed,
so that nothing but weights is learned. Left out: a vocabulary. Character n-grams (1.5 points
better at a sixth of the speed, LOG.md) are rule 3, of :mod:`mashbill.models.letter_features`, which
is asked for; its tensor ``letters`` is its model of pairs of letters.

``config.json`` carries a format number since format 2. Files without one were written by a release
that put the weights of three or more labels in a wrong order (:mod:`mashbill.core.faults`). Since
format 3 it says by which rule texts are taken apart (``words``). Rule 1, that of all before, knows
no combining marks, signs or emoji, and takes what stands between spaces for one word; what was
trained by it is asked by it, and so is what is made of its weights.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.canonical import canonical
from mashbill.core.errors import InputError, StoreError
from mashbill.core.extras import needs
from mashbill.core.faults import CONFIG, LINEAR_FORMAT, linear_fault
from mashbill.core.parsing import check_regular, foreign, json_object
from mashbill.core.words import is_unspaced, words
from mashbill.models.letter_features import Letters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext

WORDS = 2
"""the rule by which a new classifier takes texts apart: :func:`mashbill.core.words.words`"""
LETTERS = 3
"""the rule that also takes letters in a row: :class:`mashbill.models.letter_features.Letters`"""
FIRST_WORDS = re.compile(r"\w+|[!?:;)(]+")
"""rule 1"""


def first_features(text: str) -> list[str]:
    """Return a text's features by rule 1."""
    found = FIRST_WORDS.findall(text.lower())
    return [
        *found,
        *("^" + word[:4] for word in found if len(word) > 4),
        *("$" + word[-3:] for word in found if len(word) > 5),
    ]


def features(text: str) -> list[str]:
    """Return a text's features by rule 2: words, and the ends of the longer ones."""
    found = words(text, marks=True)
    longer = [word for word in found if len(word) > 4 and not is_unspaced(word)]
    return [
        *found,
        *("^" + word[:4] for word in longer),
        *("$" + word[-3:] for word in longer if len(word) > 5),
    ]


_FEATURES = {1: first_features, WORDS: features}


def vectorizer(buckets: int, rule: int, letters: np.ndarray | None = None) -> Any:
    """Return what turns texts into rows of hashed features, by one of the rules.

    Args:
        buckets: into which features are hashed.
        rule: by which texts are taken apart.
        letters: the model of pairs of letters that rule 3 needs.
    """
    if rule == LETTERS:
        if letters is None:
            msg = "rule 3 needs a model of pairs of letters"
            raise ValueError(msg)
        return Letters(buckets, letters)
    with needs("a classifier", "train"):
        from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer=_FEATURES[rule], n_features=buckets, alternate_sign=False, norm=None, binary=True
    )


def idf_of(counts: Any, rule: int) -> np.ndarray:
    """Return the inverse document frequencies of features, float64, shape (buckets,).

    Features that no text has keep weight 0, so theirs does not matter. By rule 3 all are 1: with
    frequencies, rare words decided more than they knew on families that were not learned from.
    """
    if rule == LETTERS:
        return np.ones(counts.shape[1])
    seen = np.asarray((counts > 0).sum(0)).ravel()
    idf: np.ndarray = np.log((1 + counts.shape[0]) / (1 + seen)) + 1
    return idf


def scaled(counts: Any, idf: np.ndarray, rule: int = WORDS) -> Any:
    """Return TF-IDF rows of unit length; those of rule 3 have their length already."""
    if rule == LETTERS:
        return counts.multiply(idf).tocsr()
    with needs("a classifier", "train"):
        from sklearn.preprocessing import normalize

    return normalize(counts.multiply(idf).tocsr())


def as_logits(scores: np.ndarray) -> np.ndarray:
    """Return scores as (rows, labels), where scikit-learn gives one column for two labels."""
    scores = scores.reshape(len(scores), -1)
    return np.hstack([np.zeros_like(scores), scores]) if scores.shape[1] == 1 else scores


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, shape (rows, labels)."""
    odds: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


WEIGHTS = "weights.safetensors"


def write_linear(
    out: Path,
    tensors: dict[str, np.ndarray],
    labels: Sequence[str],
    temperature: float,
    rule: int = WORDS,
) -> LinearPredictor:
    """Write weights.safetensors and config.json; return the model as it is in memory.

    Args:
        out: folder.
        tensors: ``weights`` (rows, buckets), ``bias`` (rows,), ``idf`` (buckets,); rows are labels,
            or 1 for two labels. ``weights`` may be int8 with ``scale`` (rows,) beside it. By rule 3
            there is ``letters`` too.
        labels: names, in order.
        temperature: by which scores are divided.
        rule: by which texts were taken apart for these weights.

    Raises:
        StoreError: if the file, read again, holds other numbers.
    """
    with needs("writing a classifier", "train"):
        from safetensors.numpy import load_file, save_file
    # The library writes an array's memory as it lies, whatever its strides say: scikit-learn's
    # weights of three or more labels lie column by column.
    save_file(
        {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, out / WEIGHTS
    )
    written = load_file(out / WEIGHTS)
    for name, tensor in tensors.items():
        if not np.array_equal(written[name], tensor, equal_nan=True):
            msg = f"{out / WEIGHTS}: {name} is not what was trained; the model was not committed"
            raise StoreError(msg)
    buckets = tensors["weights"].shape[1]
    config = {
        "format": LINEAR_FORMAT,
        "labels": list(labels),
        "buckets": buckets,
        "temperature": temperature,
        "words": rule,
    }
    (out / CONFIG).write_bytes(canonical(config))
    return LinearPredictor(config, tensors)


class LinearPredictor:
    """A trained classifier; see :class:`mashbill.core.model.Predictor`."""

    @classmethod
    def load(cls, folder: Path) -> LinearPredictor:
        """Read the files that :func:`write_linear` wrote.

        Raises:
            StoreError: if they are of a release that wrote them wrong, or of a later one that
                takes texts apart in another way.
        """
        with needs("applying a classifier", "train"):
            from safetensors.numpy import load_file
        check_regular(folder / CONFIG, folder / WEIGHTS)
        config = json_object(folder / CONFIG, error=StoreError)
        fault = linear_fault(config)
        if fault:
            msg = f"{folder.name} {fault}; run its recipe again, which makes it anew"
            raise StoreError(msg)
        if config.get("words", 1) not in (*_FEATURES, LETTERS):
            msg = (
                f"{folder.name} takes texts apart by rule {config['words']!r:.40}, which this "
                "release does not know; use the release that made it, or a later one"
            )
            raise StoreError(msg)
        with foreign(folder, "a classifier", error=StoreError, remedy="run `mashbill audit`"):
            return cls(config, load_file(folder / WEIGHTS))

    def __init__(self, config: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        """Take what :func:`write_linear` writes; that config and tensors fit is checked."""
        self.labels: tuple[str, ...] = tuple(config["labels"])
        self.temperature: float = config["temperature"]
        self.buckets: int = config["buckets"]
        self.rule: int = config.get("words", 1)
        self.weights: np.ndarray = tensors["weights"]
        if "scale" in tensors:
            self.weights = self.weights.astype(np.float32) * tensors["scale"][:, None]
        self.bias: np.ndarray = tensors["bias"]
        self.idf: np.ndarray = tensors["idf"]
        size = len(self.labels)
        rows = 1 if size == 2 and len(self.weights) == 1 else size
        shapes = (self.weights.shape, self.bias.shape, self.idf.shape)
        if shapes != ((rows, self.buckets), (rows,), (self.buckets,)) or not self.temperature > 0:
            msg = f"{size} labels, {self.buckets} buckets and tensors of {shapes} do not fit"
            raise ValueError(msg)
        self.letters: np.ndarray | None = tensors.get("letters")
        self._vectorizer = vectorizer(self.buckets, self.rule, self.letters)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities, shape (texts, labels)."""
        inputs = scaled(self._vectorizer.transform(texts), self.idf.astype(np.float64), self.rule)
        scores = np.asarray(inputs @ self.weights.T.astype(np.float64)) + self.bias
        return softmax(as_logits(scores) / self.temperature)


def linear_model(ctx: StageContext, name: str) -> LinearPredictor:
    """Return a model of the recipe whose weights are to be taken over.

    Raises:
        InputError: if it is of another kind.
    """
    model = ctx.predictor(name)
    if not isinstance(model, LinearPredictor):
        msg = (
            f"{ctx.name}: {name} is no linear classifier, so its weights cannot be taken over; "
            "name a stage of kind 'classifier', 'merge' or 'quantise'"
        )
        raise InputError(msg)
    if model.rule == LETTERS:
        msg = (
            f'{ctx.name}: {name} was trained with features = "letters", whose weights are not '
            "taken over, since they belong to its own model of letters; name one of "
            'features = "words"'
        )
        raise InputError(msg)
    return model


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature that makes held-out logits likeliest (Guo et al., 2017).

    Args:
        logits: shape (rows, labels).
        truth: shape (rows, labels), what the labeller says of each: 1 for its label, or shares.
    """
    with needs("training a classifier", "train"):
        from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = softmax(logits / np.exp(log_temperature))
        return float(-(truth * np.log(scaled + 1e-12)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def calibration_error(logits: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    Over equally filled bins of confidence (Nguyen and O'Connor, EMNLP 2015).
    """
    probabilities = softmax(logits)
    confidence = probabilities.max(axis=1)
    right = truth[np.arange(len(truth)), probabilities.argmax(axis=1)]
    pieces = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [
        len(piece) * abs(confidence[piece].mean() - right[piece].mean())
        for piece in pieces
        if len(piece)
    ]
    return float(sum(gaps) / len(truth))
