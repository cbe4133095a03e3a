"""What recipes say of a trainer's datasets: their weights in the loss, and what is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEAST, _MOST = 1e-6, 1e6
"""of a weight: float32, in which tokens are weighed, holds what lies between with room to spare"""


def check_weights(weights: Mapping[str, float], inputs: Sequence[str]) -> None:
    """Check that each is of an input, and a number that can be.

    Args:
        weights: dataset -> weight of its tokens.
        inputs: datasets that are learned from.

    Raises:
        ValueError: naming the key, what it is, and what to do.
    """
    for name, weight in weights.items():
        if name not in inputs:
            msg = f"weights names {name!r}, which is none of inputs {list(inputs)}"
            raise ValueError(msg)
        if not _LEAST <= weight <= _MOST:
            msg = (
                f"weights.{name} = {weight} must be above 0, from {_LEAST:g} to {_MOST:g}; leave "
                "the dataset out for none"
            )
            raise ValueError(msg)


def check_held_out(heldout: str, inputs: Sequence[str], instead: str) -> None:
    """Check that what is held out is not learned from: its loss would be the training's.

    Args:
        heldout: dataset; empty if there is none.
        inputs: datasets that are learned from.
        instead: what to do.

    Raises:
        ValueError: naming the key, what it is, and what to do.
    """
    if heldout in inputs:
        msg = f"heldout names {heldout!r}, which is learned from; {instead}"
        raise ValueError(msg)
