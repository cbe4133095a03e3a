"""What a trained model is to stages and measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class Predictor(Protocol):
    """A trained model that labels texts."""

    labels: tuple[str, ...]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return calibrated probabilities, shape (texts, labels)."""
        ...
