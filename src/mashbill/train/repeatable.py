"""The same operations each time, so that a training that was killed goes on to the same bits."""

from __future__ import annotations

import os

import torch


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
