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


class StackedMuon(torch.optim.Optimizer):
    """The same for many matrices at once: those of one shape are one stack, and one product each.

    A parameter may hold several matrices one below the other, as query, key and value; each is
    made orthogonal by itself. State is kept by stack, in order of the shapes' first matrix.
    """

    def __init__(
        self, matrices: list[tuple[nn.Parameter, int]], lr: float, weight_decay: float
    ) -> None:
        """Optimise these matrices.

        Args:
            matrices: parameters, each with the number of matrices that it holds.
            lr: learning rate.
            weight_decay: of the matrices.
        """
        super().__init__([p for p, _ in matrices], {"lr": lr, "weight_decay": weight_decay})
        self._pieces: dict[tuple[int, int], list[tuple[nn.Parameter, int, int]]] = {}
        for parameter, count in matrices:
            rows = len(parameter) // count
            pieces = self._pieces.setdefault((rows, parameter.shape[1]), [])
            pieces += [(parameter, at * rows, rows) for at in range(count)]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Take one step; every parameter has a gradient."""
        del closure
        group = self.param_groups[0]
        for (rows, width), pieces in self._pieces.items():
            gradient = torch.stack([p.grad[at : at + n] for p, at, n in pieces])
            state = self.state[pieces[0][0]]
            key = f"momentum {rows}x{width}"
            if key not in state:
                state[key] = torch.zeros_like(gradient)
            momentum = state[key].lerp_(gradient, 0.05)
            update = _orthogonal_stack(gradient.lerp_(momentum, 0.95))
            scale = max(1.0, rows / width) ** 0.5
            for (parameter, at, n), one in zip(pieces, update, strict=True):
                matrix = parameter[at : at + n]
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(one, alpha=-group["lr"] * scale)


def _orthogonal_stack(update_nrc: torch.Tensor) -> torch.Tensor:
    """Return the nearest semi-orthogonal matrix of each, as :func:`_orthogonal` does of one."""
    is_tall = update_nrc.shape[1] > update_nrc.shape[2]
    x = update_nrc.mT.contiguous() if is_tall else update_nrc
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = torch.bmm(x, x.mT)
        square = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, square, x, beta=3.4445)
    return x.mT if is_tall else x
