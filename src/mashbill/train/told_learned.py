"""What trainers of sequences say of what they learned from: how often, how much, what weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mashbill.core.stage import StageContext
    from mashbill.train.examples import Examples
    from mashbill.train.learning_keys import LearningSpec


def tell_learned(spec: LearningSpec, ctx: StageContext, data: Examples, times: np.ndarray) -> None:
    """Set ``ctx.seen``, ``ctx.tokens`` and ``ctx.loss_weight`` of each dataset.

    A conversation may be several sequences: it was seen as often as the one seen most, and its
    tokens are those that are learned of all of them.

    Args:
        spec: the trainer's keys.
        ctx: gets it.
        data: the sequences.
        times: how often each was learned from, int64, shape (sequences,).
    """
    learned = data.learned_tokens()
    for number, name in enumerate(spec.inputs):
        rows = ctx.input(name).num_rows
        seen, tokens = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        own = data.dataset == number
        np.maximum.at(seen, data.row[own], times[own])
        np.add.at(tokens, data.row[own], learned[own])
        ctx.seen[name], ctx.tokens[name] = seen, tokens
        ctx.loss_weight[name] = spec.weights.get(name, 1.0)
