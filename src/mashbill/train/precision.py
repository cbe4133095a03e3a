"""What products are computed in: float32, or bfloat16 where a processor has units for it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from mashbill.train.repeatable import random_of, set_random

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMES = 2
_GAIN = 1.1
"""how much faster bfloat16 must be for its loss of precision to be taken"""


def autocast(dtype: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which products are computed in a type; weights stay float32."""
    if dtype == "float32":
        return nullcontext()
    context: AbstractContextManager[object] = torch.autocast(device.type, dtype=torch.bfloat16)
    return context


def choose_dtype(wanted: str, compute: Callable[[str], None], device: torch.device) -> str:
    """Return the type to compute in; ``auto`` takes the faster one, measured here and now.

    Args:
        wanted: auto, float32 or bfloat16.
        compute: does a piece of the work in a type.
        device: where it is done.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cpu" and not _has_units():
        return "float32"
    took = {}
    for dtype in ("float32", "bfloat16"):
        compute(dtype)
        best = float("inf")
        for _ in range(_TIMES):
            began = time.monotonic()
            compute(dtype)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = min(best, time.monotonic() - began)
        took[dtype] = best
    return "bfloat16" if took["float32"] > _GAIN * took["bfloat16"] else "float32"


def choose_how(
    wanted: str, threads: int, model: Any, compute: Callable[[str], None]
) -> dict[str, Any]:
    """Return what is chosen once for all resumes: the threads, and the type of products.

    Choosing leaves no trace: neither a gradient, nor a random number that was drawn.

    Args:
        wanted: auto, float32 or bfloat16.
        threads: of the processor.
        model: that is trained.
        compute: does a piece of the work in a type, forth and back.
    """
    torch.set_num_threads(threads)

    def compute_alone(dtype: str) -> None:
        compute(dtype)
        model.zero_grad(set_to_none=True)

    state = random_of(model.device)
    dtype = choose_dtype(wanted, compute_alone, model.device)
    set_random(state, model.device)
    return {"threads": threads, "dtype": dtype}


def _has_units() -> bool:
    """Return whether this processor multiplies bfloat16: without units it is many times slower."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16"))
