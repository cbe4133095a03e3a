"""Products of float32 matrices on a processor, by the faster of two libraries that torch has.

torch's own builds give them to MKL, which on processors of AMD takes instructions half as wide as
these have. oneDNN, which torch has too, takes what is there: 2.3 times as fast (LOG.md). torch goes
to it where float32 need not be exact (``torch.set_float32_matmul_precision("medium")``), and where
a processor has no faster inexact product, what comes back is exact. So that is looked at, once a
process: on AMD, and if a product is as near to float64's as MKL's is, oneDNN computes; else nothing
is changed. The answer is the same each time on one machine, so that a resume has the same bits.

Attention is left as it is: torch computes it in small pieces, which oneDNN makes slower.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESSOR = Path("/proc/cpuinfo")
_SLACK = 2.0
"""times MKL's error that is as good as MKL's"""
_LINEAR = functional.linear


@cache
def is_faster_elsewhere() -> bool:
    """Return whether oneDNN computes float32 products here: faster than MKL, and as exactly."""
    try:
        if "AuthenticAMD" not in _PROCESSOR.read_text(errors="replace"):
            return False
    except OSError:
        return False
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    generator = torch.Generator().manual_seed(0)
    for rows, inner, columns in ((256, 512, 384), (33, 65, 97), (512, 64, 1024)):
        left = torch.randn(rows, inner, generator=generator)
        right = torch.randn(columns, inner, generator=generator)
        true = left.double() @ right.double().T
        errors = []
        for precision in ("highest", "medium"):
            with _precision(precision):
                alone, stack = left @ right.T, torch.bmm(left[None], right.T[None])[0]
            errors.append(max(float((made - true).abs().max()) for made in (alone, stack)))
        if errors[1] > _SLACK * errors[0]:
            return False
    return True


@contextmanager
def _precision(name: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def fast_products() -> Iterator[None]:
    """Let the faster library compute products in this block: where no attention is."""
    if not is_faster_elsewhere():
        yield
        return
    with _precision("medium"):
        yield


@contextmanager
def fast_linear() -> Iterator[None]:
    """Let ``torch.nn.functional.linear``, and so every layer, compute by the faster library.

    It holds for the gradients of what was computed in the block, wherever they are.
    """
    if not is_faster_elsewhere():
        yield
        return
    layers: Any = functional
    before, layers.linear = layers.linear, linear
    try:
        yield
    finally:
        layers.linear = before


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Return ``x @ weight.T + bias``, float32 on a processor by the faster library.

    Args:
        x: shape (..., d).
        weight: shape (out, d).
        bias: shape (out,).
    """
    fits = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not fits or weight.ndim != 2 or torch.is_autocast_enabled("cpu"):
        return _LINEAR(x, weight, bias)
    if not is_faster_elsewhere():
        return _LINEAR(x, weight, bias)
    made: torch.Tensor = _Product.apply(x, weight)
    return made if bias is None else made + bias


class _Product(torch.autograd.Function):
    """``x @ weight.T``, with its gradients by the same library."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        # Of what is frozen, as a base beside its adapters, no more is kept than torch would.
        wanted = ctx.needs_input_grad
        ctx.save_for_backward(x if wanted[1] else None, weight if wanted[0] else None)
        ctx.shape = x.shape
        with fast_products():
            flat = x.reshape(-1, x.shape[-1]) @ weight.T
        return flat.view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])
        to_x = to_weight = None
        with fast_products():
            if ctx.needs_input_grad[0]:
                to_x = (flat @ weight).view(ctx.shape)
            if ctx.needs_input_grad[1]:
                to_weight = flat.T @ x.reshape(-1, x.shape[-1])
        return to_x, to_weight
