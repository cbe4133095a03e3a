"""The one pipe of a process of our own that is asked and answers."""

from __future__ import annotations

import os
from typing import BinaryIO


def answers() -> BinaryIO:
    """Return the standard output as a pipe to whoever started this process, and to nobody else.

    What a library prints from then on goes to the standard error: it is no answer of ours.
    """
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe
