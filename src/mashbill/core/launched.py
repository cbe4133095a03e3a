"""Whether torchrun started this process, as one of several that train together."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Launched:
    """A place among the processes that torchrun started."""

    rank: int
    size: int
    place: int
    """of the process on its machine"""


def launched() -> Launched | None:
    """Return which of torchrun's processes this is; None if it is none of several."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    rank, size, place = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
    )
    return Launched(rank, size, place) if size > 1 else None
