"""What a process of this machine computes with."""

from __future__ import annotations

import torch


def device_of(place: int) -> str:
    """Return what the process at a place of this machine computes with."""
    if torch.cuda.is_available():
        return f"cuda:{place % torch.cuda.device_count()}"
    return "cpu"
