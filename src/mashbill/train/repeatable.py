"""The same operations each time, so that a training that was killed goes on to the same bits."""

from __future__ import annotations

import os

import torch


def random_of(device: torch.device) -> list[torch.Tensor]:
    """Return the states of the generators of random numbers: the processor's, and a GPU's own."""
    own = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *own]


def set_random(states: list[torch.Tensor] | torch.Tensor, device: torch.device) -> None:
    """Go on from states of :func:`random_of`; a processor's alone leave a GPU's as it is.

    Args:
        states: as a checkpoint has them; one tensor is a processor's, as older ones have it.
        device: what is trained with now.
    """
    known = [states] if isinstance(states, torch.Tensor) else states
    torch.set_rng_state(known[0])
    if device.type == "cuda" and len(known) > 1:
        torch.cuda.set_rng_state(known[1], device)


def compute_repeatably() -> None:
    """Have torch take operations that give the same bits each time, in all of this process.

    torch also fills every new tensor then, so that a program which reads what it has not written is
    found out: a tenth of a step of fine-tuning on a processor (LOG.md). No operation here does, and
    it is left out.
    """
    # Without it cuBLAS, which reads it when it is first used, refuses to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
