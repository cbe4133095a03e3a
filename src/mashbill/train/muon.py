"""Muon: momentum whose update is made orthogonal, for the matrices of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates, for matrices, in float32; see the module."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, weight_decay: float) -> None:
        """Optimise these matrices."""
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take one step."""
        del closure
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 0.05)
                update = _orthogonal(matrix.grad.lerp(momentum, 0.95))
                scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * scale)


def _orthogonal(update: torch.Tensor) -> torch.Tensor:
    """Return roughly the nearest semi-orthogonal matrix: five quintic Newton-Schulz steps."""
    tall = update.shape[0] > update.shape[1]
    x = update.T if tall else update
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x
