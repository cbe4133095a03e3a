"""What a cache of a teacher's logits loses, at equal bytes: bias, error of loss and gradient.

    python benchmarks/training/cache.py [--positions 600] [--draws 32]

The teacher is the packaged SmolLM2-135M-Instruct, over this repository's own documents. The student
that it is held against is the same network, its logits flattened and blurred, so that both are
whole distributions and every true value can be reckoned. Of each way of keeping p, written p^:

* ``bias``: |E p^ - p|, in L2, from products of two draws each, which a finite number of draws does
  not inflate; for ways that draw nothing it is the whole error.
* ``loss_bias`` and ``loss_error``: mean and root mean square of the forward KL's estimate less the
  true one, nats a position. A bucket or a cut changes what is estimated, which is its bias.
* ``gradient_bias`` and ``gradient_error``: of the gradient by logits, q - p for the whole teacher,
  as a part of its norm; ``gradient_error`` is of one position and ``of_1024`` of the mean over so
  many, in which what is unbiased averages out.
* ``kept``, of the likeliest: what a student which learned it all gives to them, over the teacher's.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from machine import describe, write  # noqa: E402

from mashbill.core.base_model import GgufModel  # noqa: E402
from mashbill.models.base_weights import weights_of  # noqa: E402
from mashbill.models.logit_records import Records  # noqa: E402
from mashbill.models.teacher_logits import TeacherLogits  # noqa: E402

Way = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""log-probabilities (n, v) -> p^ (n, v)"""


def dense(ids: torch.Tensor, values: torch.Tensor, classes: int) -> torch.Tensor:
    """Return kept classes as whole rows."""
    empty = torch.zeros(len(ids), classes, dtype=torch.float64)
    return empty.scatter_add_(1, ids, values.double())


def ours(form: str, classes: int) -> tuple[Way, float]:
    """Return one of our ways, and its bytes; of a bucket each class has its share of q's."""

    def keep(logp: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        records = Records(form, classes, logp.shape[1])  # type: ignore[arg-type]
        draws = torch.rand(len(logp), records.draws, dtype=torch.float64, generator=generator)
        kept = records.read(records.write(logp, draws))
        values = kept.values_nk if form == "sampled" else kept.values_nk.exp()
        return dense(kept.ids_nk, values, logp.shape[1])

    return keep, float(Records(form, classes, 2).bytes if classes < 3 else _bytes(form, classes))


def _bytes(form: str, classes: int) -> int:
    return Records(form, classes, 49_152).bytes  # type: ignore[arg-type]


def top_bf16(classes: int, *, renormalised: bool) -> tuple[Way, float]:
    """Return top-k as peers keep it: two bytes of id, and a log-probability in bfloat16."""

    def keep(logp: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        del generator
        top = logp.topk(classes, dim=1)
        values = top.values.bfloat16().double().exp()
        if renormalised:
            values /= values.sum(1, keepdim=True)
        return dense(top.indices, values, logp.shape[1])

    return keep, 4.0 * classes


def with_replacement(rounds: int, most: int | None) -> tuple[Way, float]:
    """Return draws with replacement, count over rounds; at most so many classes, renormalised."""

    def keep(logp: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        drawn = torch.multinomial(logp.exp(), rounds, replacement=True, generator=generator)
        found = dense(drawn, torch.full(drawn.shape, 1 / rounds), logp.shape[1])
        if most is not None:
            top = found.topk(most, dim=1)
            found = dense(top.indices, top.values / top.values.sum(1, keepdim=True), logp.shape[1])
        return found

    return keep, math.nan if most is None else 3.0 * most + 1


WAYS: dict[str, tuple[Way, float]] = {
    "sampled-12 (ours)": ours("sampled", 12),
    "sampled-18-rounds": with_replacement(18, None),
    "sampled-50-rounds": with_replacement(50, None),
    "sampled-50-rounds, 12 kept": with_replacement(50, 12),
    "top-9, bucket (ours)": ours("top", 9),
    "top-9 bf16, bucket": top_bf16(9, renormalised=False),
    "top-9 bf16, renormalised": top_bf16(9, renormalised=True),
    "top-32 bf16, bucket": top_bf16(32, renormalised=False),
    "top-32 bf16, renormalised": top_bf16(32, renormalised=True),
}
BUCKETS = {name for name in WAYS if "bucket" in name}


def measured(name: str, logp: torch.Tensor, logq: torch.Tensor, draws: int) -> dict[str, Any]:
    """Return the figures of one way."""
    way, size = WAYS[name]
    generator = torch.Generator().manual_seed(7)
    p, q = logp.double().exp(), logq.double().exp()
    true_kl = (p * (logp - logq)).sum(1).double()
    gradient = q - p
    is_random = name.startswith("sampled")
    sums = torch.zeros_like(p)
    squares = torch.zeros(len(p), dtype=torch.float64)
    errors, kept, used = [], [], []
    times = draws if is_random else 1
    for _ in range(times):
        found = way(logp, generator)
        used.append(float((found > 0).double().sum(1).mean()))
        there = found > 0
        kept.append(float((found.sum(1) / (p * there).sum(1)).mean()))
        if name in BUCKETS:  # what the loss compares: outcomes, of which all others are one
            rest_p, rest_q = (1 - found.sum(1)).clamp(min=1e-12), (q * ~there).sum(1)
            one = torch.where(there, found, 1.0)
            told = (found * (one.log() - logq.double())).sum(1)
            told += rest_p * (rest_p.log() - rest_q.log())
            found = found + ~there * q * (rest_p / rest_q)[:, None]
        elif "renormalised" in name or "kept" in name:
            one = torch.where(there, found, 1.0)
            told = (found * (one.log() - logq.double())).sum(1)
        else:
            told = -(found * logq.double()).sum(1) + (p * logp.double()).sum(1)
        errors.append(told - true_kl)
        off = found - p
        sums += off
        squares += (off**2).sum(1)
    if times > 1:  # products of two draws: what is random in one is not in the other
        bias = ((sums**2).sum(1) - squares) / (times * (times - 1))
    else:
        bias = (sums**2).sum(1)
    error, norm = squares / times, (gradient**2).sum(1)
    all_errors = torch.stack(errors)
    mean_bias, mean_norm = float(bias.mean().clamp(min=0)), float(norm.mean())
    spread = max(float(error.mean()) - mean_bias, 0.0)
    size = 3 * sum(used) / len(used) if math.isnan(size) else size
    return {
        "bytes": round(size, 1),
        "classes": round(sum(used) / len(used), 1),
        "bias": round(math.sqrt(mean_bias), 5),
        "loss_bias": round(float(all_errors.mean()), 5),
        "loss_error": round(float((all_errors**2).mean().sqrt()), 4),
        "gradient_bias": round(math.sqrt(mean_bias / mean_norm), 5),
        "gradient_error": round(math.sqrt(float(error.mean()) / mean_norm), 4),
        "gradient_error_of_1024": round(math.sqrt((mean_bias + spread / 1024) / mean_norm), 5),
        **({} if is_random else {"kept": round(sum(kept) / len(kept), 4)}),
    }


def distributions(positions: int, threads: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of teacher and student, shape (positions, vocabulary)."""
    weights = weights_of("teacher", GgufModel(), HERE, Path.home() / ".cache" / "mashbill")
    teacher = TeacherLogits(weights, threads)
    texts = "\n".join(
        path.read_text("utf-8") for path in sorted((HERE.parents[1] / "docs").glob("*.md"))
    )
    ids = teacher.encoder.tokenizer.encode(texts, add_special_tokens=False).ids
    pieces = [torch.tensor(ids[start : start + 256]) for start in range(0, 4 * positions, 256)]
    states = torch.cat([teacher.states([piece])[64:] for piece in pieces])[:positions]
    weight, _ = teacher.head
    logits = states @ weight.T
    blur = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    return torch.log_softmax(logits, 1), torch.log_softmax(0.7 * logits + 0.5 * blur, 1)


def paces(logp: torch.Tensor) -> dict[str, float]:
    """Return what writing and reading a position takes, in microseconds, the best of five."""
    found = {}
    for form, classes in (("sampled", 12), ("top", 9)):
        records = Records(form, classes, logp.shape[1])  # type: ignore[arg-type]
        draws = torch.rand(len(logp), records.draws, dtype=torch.float64)
        written = records.write(logp, draws)
        for what, do in (
            ("write", lambda r=records, d=draws: r.write(logp, d)),
            ("read", lambda r=records, w=written: r.read(w)),
        ):
            best = math.inf
            for _ in range(5):
                began = time.perf_counter()
                do()
                best = min(best, time.perf_counter() - began)
            found[f"{what}_{form}_us"] = round(best / len(logp) * 1e6, 2)
    return found


def main() -> None:
    """Measure all ways, and write results/cache.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--positions", type=int, default=600)
    parser.add_argument("--draws", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    told = parser.parse_args()
    logp, logq = distributions(told.positions, told.threads)
    table = {name: measured(name, logp, logq, told.draws) for name in WAYS}
    us = table["sampled-12 (ours)"]
    ratios = {
        name: {
            "bias": round(row["bias"] / max(us["bias"], 1e-5), 1),
            "gradient_error_of_1024": round(
                row["gradient_error_of_1024"] / us["gradient_error_of_1024"], 2
            ),
        }
        for name, row in table.items()
    }
    entropy = float(-(logp.exp() * logp).sum(1).mean())
    report = {
        "machine": describe(),
        "positions": len(logp),
        "draws": told.draws,
        "mean_entropy": round(entropy, 3),
        "mean_kl": round(float((logp.exp() * (logp - logq)).sum(1).mean()), 4),
        "ways": table,
        "over_ours_sampled": ratios,
        "pace": paces(logp[:256]),
    }
    for name, row in table.items():
        print(f"{name:28s}", row)
    write(HERE / "cache.json", report)


if __name__ == "__main__":
    main()
