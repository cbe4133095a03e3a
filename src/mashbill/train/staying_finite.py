"""A training that left the numbers is ended where it did so, before its weights are lost."""

from __future__ import annotations

import math

from mashbill.core.errors import InputError


def check_finite(step: int, loss: float, norm: float, keys: str) -> None:
    """See that a step's loss and the norm of its gradient are numbers.

    Args:
        step: counted from 0.
        loss: in nats.
        norm: of the gradient, before it is clipped.
        keys: what the recipe may set otherwise, such as ``rate``.

    Raises:
        InputError: if one of them is infinite or none; the step is not to be taken.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    msg = (
        f"the training diverged at step {step + 1:,}: its loss is {loss:.6g} and the norm of its "
        f"gradient {norm:.6g}. Nothing was made of it: lower {keys}, or raise warmup"
    )
    raise InputError(msg)
