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
    """Set what ``ctx`` says of each dataset that was learned from, and measures.

    A conversation may be several sequences: see :func:`tell_parts`.

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
        own = data.dataset == number
        tell_parts(ctx, name, data.row[own], learned[own], times[own])
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


def tell_parts(
    ctx: StageContext, name: str, row: np.ndarray, tokens: np.ndarray, times: np.ndarray
) -> None:
    """Set ``ctx.seen``, ``ctx.tokens`` and ``ctx.seen_tokens`` of a dataset learned from in parts.

    A row may be several parts, and a run may end between them. It was seen as often as the part
    seen most, one pass learns from the tokens of all of them, and what was learned from it is each
    part as often as that one was.

    Args:
        ctx: gets it.
        name: of the dataset.
        row: of each part, shape (parts,).
        tokens: that are learned of each part, shape (parts,).
        times: that each part was learned from, shape (parts,).
    """
    rows = ctx.input(name).num_rows
    seen, whole, product = (np.zeros(rows, np.int64) for _ in range(3))
    counts = times.astype(np.int64)
    np.maximum.at(seen, row, counts)
    np.add.at(whole, row, tokens)
    np.add.at(product, row, tokens * counts)
    ctx.seen[name], ctx.tokens[name], ctx.seen_tokens[name] = seen, whole, product
