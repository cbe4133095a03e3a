"""Weights of datasets in a loss, as recipes say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 1e6


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
        if not 0 < weight <= _MOST:
            msg = f"weights.{name} = {weight} must be above 0; leave the dataset out for none"
            raise ValueError(msg)
