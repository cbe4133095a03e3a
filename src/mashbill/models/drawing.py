"""The next token of a text: the likeliest, or one that is drawn.

What is drawn follows from seed, question and sample alone, each question with a generator of its
own: what else is in the batch, or was asked before, changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.models.folder import seed_of

if TYPE_CHECKING:
    from mashbill.core.model import Decoding
    from mashbill.core.teacher import Question


def generator(seed: int, question: Question) -> np.random.Generator:
    """Return what draws for a question: the same wherever it stands, another for each sample."""
    return np.random.default_rng(seed_of(seed, question))


def next_token(logits: np.ndarray, decoding: Decoding, draw: np.random.Generator) -> int:
    """Return the next token: the likeliest, or one drawn from those that make up ``top_p``.

    Args:
        logits: shape (vocabulary,).
        decoding: how it writes.
        draw: gives one number a token.
    """
    if not decoding.temperature:
        return int(logits.argmax())
    scaled = logits.astype(np.float64)
    shares = np.exp((scaled - scaled.max()) / decoding.temperature)
    if decoding.top_p >= 1:  # nothing is left out, so nothing is sorted
        sums = np.cumsum(shares)
        return int(
            min(np.searchsorted(sums, draw.random() * sums[-1], side="right"), _last(shares))
        )
    order = np.argsort(-shares, kind="stable")
    sums = np.cumsum(shares[order])
    kept = min(int(np.searchsorted(sums, decoding.top_p * sums[-1])) + 1, len(sums))
    at = int(np.searchsorted(sums, draw.random() * sums[kept - 1], side="right"))
    return int(order[min(at, kept - 1)])


def _last(shares: np.ndarray) -> int:
    """Return the last token that may come at all."""
    return int(np.flatnonzero(shares)[-1])
