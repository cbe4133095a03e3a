"""What a trained model is to stages and measurements: one that labels, one that writes, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from mashbill.core.teacher import Answer, Question


@runtime_checkable
class Predictor(Protocol):
    """A trained model that labels texts."""

    labels: tuple[str, ...]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities, shape (texts, labels)."""
        ...


@dataclass(frozen=True)
class Decoding:
    """How a model writes: literals of whoever has it write, and no part of the model."""

    max_tokens: int = 256
    """of an answer, at most"""
    temperature: float = 0.0
    """0 writes what is likeliest"""
    top_p: float = 1.0
    """share of the likeliest tokens that are drawn from, where the temperature is above 0"""
    seed: int = 0
    """of what is drawn, where the temperature is above 0"""


def labelling(model: Any, name: str) -> Predictor:
    """Return a model of a stage that labels.

    Raises:
        InputError: if it only writes, as one that learned from texts without labels does.
    """
    if not hasattr(model, "probabilities"):
        msg = (
            f"{name} writes and does not label: it learned from texts without labels; ask it as a "
            "teacher of kind 'student', or train it on rows with a column 'label'"
        )
        raise InputError(msg)
    found: Predictor = model
    return found


class Writer(Protocol):
    """A trained model that writes; it is asked as a teacher is, and by no other way.

    An answer follows from the weights, the question (with which sample of it is wanted) and how it
    is decoded: what else is in the batch, or was asked before, changes nothing.
    """

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        """Answer each question, in order.

        Without choices an answer has the text that goes on from the question, and in ``finish``
        why it ends: ``stop``, or ``length`` where it was cut off. With choices it has the natural
        log-probability of each. What cannot be answered says why in ``failed``.
        """
        ...
