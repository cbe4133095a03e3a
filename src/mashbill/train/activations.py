"""Activations that are computed again going back, in place of being kept (Chen et al., 2016).

"Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
"""

from __future__ import annotations

from typing import Any


def recompute_activations(model: Any) -> None:
    """Have a model of transformers keep the states between its layers alone."""
    # transformers 5.23 calls it by another name than those before it.
    newer = getattr(model, "activation_checkpointing_enable", None)
    (newer or model.gradient_checkpointing_enable)({"use_reentrant": False})
