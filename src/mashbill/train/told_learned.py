"""What trainers of sequences say of what they learned from: how often, how much, what weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.plain import counted

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
    heldout: Examples | None = None,
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
        heldout: sequences that the loss was measured on.
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
    _warn(spec, ctx, data.counts, "learned from")
    if heldout is not None:
        ctx.measures["held_out"] = heldout.counts | {"sequences": len(heldout)}
        _warn(spec, ctx, heldout.counts, "measured on")


def _warn(spec: LearningSpec, ctx: StageContext, counts: Mapping[str, Any], done: str) -> None:
    """Warn of what is not there of the rows, by dataset."""
    for ref, reasons in counts.get("left_out", {}).items():
        each = "; ".join(f"{many:,}: {why}" for why, many in reasons.items())
        ctx.warn(f"{ref}: {_were(sum(reasons.values()), 'row')} not {done} ({each})")
    for ref, count in counts.get("cut_rows", {}).items():
        ctx.warn(f"{ref}: {_were(count, 'row')} cut at max_tokens = {spec.max_tokens:,}")
    for ref, count in counts.get("dropped_sequences", {}).items():
        ctx.warn(
            f"{ref}: of rows that are several sequences {_were(count, 'sequence')} not {done}, "
            f"longer than max_tokens = {spec.max_tokens:,}"
        )


def _were(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'was' if number == 1 else 'were'}"


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
