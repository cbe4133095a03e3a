"""What trainers of sequences say of what they learned from: how often, how much, what weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext
    from mashbill.models.causal_base import CausalBase
    from mashbill.train.batches import Batches
    from mashbill.train.examples import Examples
    from mashbill.train.learning_keys import LearningSpec


def tell_learned(
    spec: LearningSpec,
    ctx: StageContext,
    data: Examples,
    batches: Batches,
    student: CausalBase,
    how: Mapping[str, Any],
) -> None:
    """Set ``ctx.seen``, ``ctx.tokens`` and ``ctx.loss_weight`` of each dataset, and measures.

    A conversation may be several sequences: it was seen as often as the one seen most, and its
    tokens are those that are learned of all of them.

    Args:
        spec: the trainer's keys.
        ctx: gets it.
        data: the sequences.
        batches: what each step learned from.
        student: what was trained.
        how: what was chosen once.
    """
    times = batches.times()
    learned = data.learned_tokens()
    for number, name in enumerate(spec.inputs):
        rows = ctx.input(name).num_rows
        seen, tokens = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        own = data.dataset == number
        np.maximum.at(seen, data.row[own], times[own])
        np.add.at(tokens, data.row[own], learned[own])
        ctx.seen[name], ctx.tokens[name] = seen, tokens
        ctx.loss_weight[name] = spec.weights.get(name, 1.0)
    ctx.measures |= data.counts | {
        "sequences": len(data),
        "steps": batches.steps,
        "learned_tokens": int((learned * times).sum()),
        "read_tokens": int((data.lengths * times).sum()),
        "passes": round(float(times.mean()), 4),
        "parameters": sum(p.numel() for p in student.model.parameters()),
        "packed": student.packs,
        "dtype": how["dtype"],
    }
    for ref, count in data.counts.get("cut_rows", {}).items():
        ctx.warn(f"{ref}: {count:,} rows were cut at max_tokens = {spec.max_tokens:,}")
