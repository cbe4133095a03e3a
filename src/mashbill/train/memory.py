"""Memory that a step frees is the next step's: it is not given back to the system in between.

A step allocates the same large tensors again and again. glibc maps each by itself and gives it back
when it is freed, so that the kernel clears the same pages again in every step: a third of a step's
time for a small model (LOG.md). Within a block of this, freed memory is kept and used again.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)
_NEVER = 2**31 - 1
_TRIM_USUAL, _MMAP_USUAL = 128 << 10, 65_536


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep what is freed in this block, and give it back at its end; without glibc, do nothing."""
    try:
        library = ctypes.CDLL(None)
        tune, trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):
        yield
        return
    tune(_MMAP_MAX, 0)
    tune(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        tune(_MMAP_MAX, _MMAP_USUAL)
        tune(_TRIM_THRESHOLD, _TRIM_USUAL)
        trim(0)
