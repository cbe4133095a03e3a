"""``exact``: 1 if a label equals the known one, else 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def exact(outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """Return a score an output, 1.0 or 0.0, shape (outputs,)."""
    return np.array(
        [float(output == known) for output, known in zip(outputs, references, strict=True)]
    )
