"""Writes tests/train/trl_oracle.json: what TRL 1.16.0 makes of small cases, for tests to equal.

In an environment of its own:

    python -m venv env && env/bin/pip install torch==2.13.0 && env/bin/pip install trl==1.16.0
    env/bin/python benchmarks/training/trl_oracle.py > tests/train/trl_oracle.json

TRL's temperature divides logits and multiplies nothing, so what is written is a sum over positions
at its temperature, before the square of it. Both of its divergences are asked: that of GKDTrainer,
over whole logits, and that of DistillationTrainer, by tiles.
"""

from __future__ import annotations

import json

import torch
import trl
from trl.experimental.gkd.gkd_trainer import GKDTrainer
from trl.trainer.distillation_trainer import _chunked_divergence_loss

N, V, D, E = 4, 7, 3, 4


def rounded(tensor: torch.Tensor) -> list:
    """Return a tensor's numbers as they are, in float32."""
    return tensor.detach().tolist()


def case(seed: int, beta: float, temperature: float) -> dict:
    """Return one case: what went in, and the sums and gradients of both ways."""
    torch.manual_seed(seed)
    hidden, head = torch.randn(N, D), torch.randn(V, D)
    teacher_hidden, teacher_head = torch.randn(N, E), torch.randn(V, E)
    mask = (torch.rand(N) > 0.3).long()
    mask[0] = 1
    given = {
        name: rounded(value)
        for name, value in (
            ("hidden", hidden), ("head", head), ("teacher_hidden", teacher_hidden),
            ("teacher_head", teacher_head), ("mask", mask),
        )
    }  # fmt: skip
    leaves = [hidden.requires_grad_(), head.requires_grad_()]
    labels = torch.where(mask > 0, 1, -100)[None]
    gkd = GKDTrainer.generalized_jsd_loss(
        (leaves[0] @ leaves[1].T)[None],
        (teacher_hidden @ teacher_head.T)[None],
        labels=labels, beta=beta, temperature=temperature, reduction="sum",
    )  # fmt: skip
    gkd_gradients = torch.autograd.grad(gkd, leaves)
    tiled, _, _ = _chunked_divergence_loss(
        leaves[0][None], teacher_hidden[None], leaves[1], teacher_head, mask[None],
        beta, num_items_in_batch=1, temperature=temperature,
    )  # fmt: skip
    tiled_gradients = torch.autograd.grad(tiled, leaves)
    return given | {
        "beta": beta,
        "temperature": temperature,
        "gkd": [gkd.item(), *map(rounded, gkd_gradients)],
        "tiled": [tiled.item(), *map(rounded, tiled_gradients)],
    }


if __name__ == "__main__":
    cases = [
        case(seed, beta, temperature)
        for seed, (beta, temperature) in enumerate(
            (beta, temperature) for beta in (0.0, 0.3, 0.5, 1.0) for temperature in (1.0, 2.0)
        )
    ]
    print(json.dumps({"trl": trl.__version__, "torch": torch.__version__, "cases": cases}))
