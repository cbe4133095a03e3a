"""``classifier``: a small data-processing model, linear over hashed features of words.

Weighted by the labeller's confidence, since a label that the teacher was unsure of should pull
less, and by the labels' shares, since a weak signal otherwise loses to the commoner label. Or,
with ``soft``, learned from the teacher's whole distribution (Hinton et al., 2015, at temperature
1). Calibrated by one temperature (Guo et al., ICML 2017) over cross-validated scores. It knows
nothing but the labels it is given, and the base it starts from if it has one; a base that learned
from the same rows makes it surer than it should be.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.use import StudentKind
from mashbill.models.letter_features import learned_letters
from mashbill.models.linear import (
    LETTERS,
    WORDS,
    LinearPredictor,
    as_logits,
    calibration_error,
    fit_temperature,
    idf_of,
    linear_model,
    scaled,
    softmax,
    vectorizer,
    write_linear,
)
from mashbill.train.classes import FOLDS, check_target, hard_task, soft_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.stage import StageContext
    from mashbill.train.classes import Task

_LEAST = 1.0  # seconds that a classifier of a few rows takes
_WORDS_A_SECOND = 2_000  # rows of forty words
_LETTERS_A_SECOND = 800


class ClassifierSpec(StageSpec):
    """``kind = "classifier"``."""

    output: ClassVar[ArtifactKind] = "model"
    extras: ClassVar[tuple[str, ...]] = ("train",)
    draws: ClassVar[bool] = False
    student_kind: ClassVar[StudentKind] = "classifier"
    references: ClassVar[tuple[str, ...]] = ("input", "base")
    added: ClassVar[frozenset[str]] = frozenset({"features", "target", "otherwise"})

    kind: Literal["classifier"] = "classifier"
    input: str
    """labelled dataset to learn from"""
    soft: bool = False
    """learn from the distribution that ``label`` with soft = true kept, not from the label"""
    base: str = ""
    """classifier whose weights to start from; from nothing if empty"""
    max_iter: int = Field(default=500, gt=0)
    """iterations of the optimiser at most; with a base, few of them keep it near"""
    buckets: int = Field(default=2**18, gt=0)
    """hash buckets"""
    strength: float = Field(default=4.0, ge=1e-9, le=1e9)
    """inverse of the L2 penalty"""
    features: Literal["words", "letters"] = "words"
    """what of a text is looked at: words and their ends; or words, pairs of words, letters in a row
    and measures such as signs and surprising letters, which is slower and takes misspellings and
    many scripts better, and of which no ONNX is written"""
    target: str = "label"
    """column of the labels; another than label, such as gold, holds no confidence beside it"""
    otherwise: str = ""
    """label of rows whose target is empty; such rows are left out if not said"""

    @model_validator(mode="after")
    def _letters_stand_alone(self) -> ClassifierSpec:
        if self.base and self.features == "letters":
            msg = 'features = "letters" takes no base: its weights belong to a model of letters'
            raise ValueError(msg)
        if self.soft and (self.target != "label" or self.otherwise):
            msg = "soft = true learns from columns p_LABEL; leave target and otherwise out"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The labelled rows, and the weights that it starts from."""
        rows = Uses(self.input, "trained-on", Channel.CONTENT)
        return (rows, Uses(self.base, "base", Channel.WEIGHTS)) if self.base else (rows,)

    def expected_seconds(self, rows: int | None) -> float | None:
        """As measured for two and three labels, most of it six fits."""
        if rows is None:
            return None
        return _LEAST + rows / (
            _LETTERS_A_SECOND if self.features == "letters" else _WORDS_A_SECOND
        )

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the column of the labels is there, where it is known."""
        del folder
        known = columns.get(self.input)
        if known is not None and not self.soft:
            check_target(self.target, known, self.input)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Fit, calibrate, and write weights.safetensors and config.json."""
        with needs("training a classifier", "train"):
            from sklearn.model_selection import StratifiedKFold
        rows = ctx.input(self.input)
        task, there = (
            soft_task(rows, ctx) if self.soft else hard_task(rows, ctx, self.target, self.otherwise)
        )
        base = linear_model(ctx, self.base) if self.base else None
        if base is not None:
            self._check_base(base, task)
        # Weights are taken over with the rule by which their texts were taken apart.
        rule = LETTERS if self.features == "letters" else WORDS if base is None else base.rule
        letters = learned_letters(task.texts) if rule == LETTERS else None
        apart = vectorizer(self.buckets, rule, letters)
        counts = apart.transform(task.texts)
        idf = idf_of(counts, rule) if base is None else base.idf
        inputs = scaled(counts, idf.astype(np.float64), rule)
        ctx.progress(0, FOLDS + 1, "cross-validating")
        held_out = np.zeros((len(task.target), len(task.labels)))
        folds = StratifiedKFold(FOLDS).split(inputs, task.target)
        for number, (learned, left) in enumerate(folds, 1):
            scores = self._fit(inputs, task, learned, base).decision_function(inputs[left])
            held_out[left] = as_logits(scores)
            ctx.progress(number, FOLDS + 1, "cross-validating")
        temperature = fit_temperature(held_out, task.truth)
        ctx.progress(FOLDS, FOLDS + 1, "fitting")
        model = self._fit(inputs, task, np.arange(len(task.target)), base)
        tensors = {"weights": model.coef_, "bias": model.intercept_, "idf": idf}
        tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
        tensors |= {} if letters is None else {"letters": letters}
        written = write_linear(out, tensors, task.labels, temperature, rule)
        ctx.trained = _AsTrained(model, apart, rule, idf, temperature, tuple(task.labels))
        agreement = float((held_out.argmax(1) == task.target).mean())
        ctx.measures |= {
            f"agreement_with_{'labeller' if self.target == 'label' else 'column'}": agreement,
            "calibration_error": calibration_error(held_out / temperature, task.truth),
            "temperature": temperature,
            "parameters": int(np.count_nonzero(model.coef_)),
        }
        whom = "its labeller" if self.target == "label" else f"column {self.target}"
        _check_written(written, task, agreement, whom, ctx)
        ctx.seen[self.input] = there.astype(np.int64)
        ctx.progress(FOLDS + 1, FOLDS + 1, f"agrees with {whom} on {agreement:.1%}")

    def _check_base(self, base: LinearPredictor, task: Task) -> None:
        for what, theirs, ours in (
            ("labels", list(base.labels), list(task.labels)),
            ("buckets", base.buckets, self.buckets),
        ):
            if theirs != ours:
                msg = (
                    f"base {self.base!r} has {what} {theirs}, this classifier {ours}; they must be "
                    "the same for its weights to be taken over"
                )
                raise InputError(msg)

    def _fit(self, inputs: Any, task: Task, rows: np.ndarray, base: LinearPredictor | None) -> Any:
        """Return a model fitted on these rows, each repeated for every label it counts for."""
        with needs("training a classifier", "train"):
            from scipy.sparse import vstack
            from sklearn.exceptions import ConvergenceWarning
            from sklearn.linear_model import LogisticRegression
            from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        learned, target, weight = inputs[rows], task.target[rows], task.weight[rows]
        columns = _columns_of(learned, base)
        learned = learned[:, columns]
        model = LogisticRegression(
            C=self.strength,
            max_iter=self.max_iter,
            class_weight=None if self.soft else "balanced",
            warm_start=base is not None,
        )
        if base is not None:
            model.coef_ = base.weights[:, columns].astype(np.float64)
            model.intercept_ = base.bias.astype(np.float64)
        if self.soft:
            labels, share = len(task.labels), task.truth[rows]
            learned = vstack([learned] * labels).tocsr()
            target = np.repeat(np.arange(labels), len(rows))
            # Balanced too: each label weighs the same in all.
            weight = (share * (share.sum() / (labels * share.sum(axis=0)))).T.reshape(-1)
        # The solver's vectors are short: threads wait for each other longer than they compute, most
        # of all beside other work, and add in an order of their own.
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            if "max_iter" in self.model_fields_set:  # few iterations are what was asked for
                warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(learned, target, sample_weight=weight)
        weights = np.zeros((len(model.coef_), inputs.shape[1]))
        weights[:, columns] = model.coef_
        model.coef_, model.n_features_in_ = weights, inputs.shape[1]
        return model

    @staticmethod
    def load(folder: Path, threads: int) -> LinearPredictor:
        """Load the trained model."""
        del threads
        return LinearPredictor.load(folder)


def _columns_of(learned: Any, base: LinearPredictor | None) -> np.ndarray:
    """Return the columns whose weights a fit can move, in order; at least one.

    The others are left out, since they cost time at each step and change nothing. Of a column that
    no row has, the loss has the gradient 0, and the penalty that of its weight: from 0 it stays at
    0, at each step and at the optimum, and adds nothing to any sum that the solver looks at. A base
    may have left a weight there, which the penalty draws towards 0: such a column stays in.

    Args:
        learned: the rows, sparse, shape (rows, buckets).
        base: from whose weights the fit starts.
    """
    moved = np.zeros(learned.shape[1], bool)
    moved[learned.indices] = True
    if base is not None:
        moved |= (base.weights != 0).any(axis=0)
    # Texts without any word are told apart by the bias alone, which wants a matrix all the same.
    return np.flatnonzero(moved) if moved.any() else np.zeros(1, np.int64)


@dataclass
class _AsTrained:
    """The fitted model itself, asked by scikit-learn's own code and not by ours."""

    model: Any
    apart: Any
    """turns texts into rows of features"""
    rule: int
    idf: np.ndarray
    temperature: float
    labels: tuple[str, ...]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities, shape (texts, labels)."""
        counts = self.apart.transform(texts)
        inputs = scaled(counts, self.idf.astype(np.float64), self.rule)
        return softmax(as_logits(self.model.decision_function(inputs)) / self.temperature)


def _check_written(
    written: LinearPredictor, task: Task, agreement: float, whom: str, ctx: StageContext
) -> None:
    """Warn where the model knows what it learned from worse than what it never saw.

    Args:
        written: the model, as it was written.
        task: what it learned.
        agreement: share of held-out rows on which it says what it should.
        whom: whose labels it learned from, in words.
        ctx: of its stage.
    """
    known = written.probabilities(task.texts).argmax(1) == task.target
    expected = agreement - 3 * (agreement * (1 - agreement) / len(known)) ** 0.5
    if known.mean() < expected:
        ctx.warn(
            f"agrees with {whom} on {known.mean():.1%} of the rows that it learned from, and "
            f"did on {agreement:.1%} of rows held out while it was trained: do not rely on it"
        )
    commonest = float(np.bincount(task.target).max() / len(task.target))
    if agreement < commonest:
        ctx.warn(
            f"agrees with {whom} on {agreement:.1%} of held-out rows, and always naming the "
            f"commonest label would on {commonest:.1%}"
        )
