"""What nobody foresaw: told in a line, with whose fault it is and how to see more."""

from __future__ import annotations

import os
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

import mashbill
from mashbill.core import registry

DEBUG = "MASHBILL_DEBUG"
_HOME = Path(mashbill.__file__).parent


@contextmanager
def tracebacks() -> Iterator[None]:
    """Print the traceback of whatever passes, if ``MASHBILL_DEBUG`` is set."""
    try:
        yield
    except Exception:
        if os.environ.get(DEBUG, "0") not in {"", "0"}:
            # It may quote what strangers wrote.
            sys.stderr.write(traceback.format_exc().translate(registry.CONTROLS))
        raise


def fault(error: Exception) -> tuple[str, int]:
    """Return what to say of an error that nobody raised on purpose, and the exit code."""
    plugin = registry.blamed(error)
    if plugin is not None:
        return str(plugin), 1
    said = f"{type(error).__name__}: {error!s:.300}".rstrip(": ").translate(registry.CONTROLS)
    if isinstance(error, MemoryError):
        return f"there is too little memory ({said}); what was committed is kept", 2
    if isinstance(error, (pa.ArrowException, sqlite3.Error)):
        told = (
            f"a file of the store cannot be read or written ({said}); `mashbill audit` says which "
            f"is damaged, and {DEBUG}=1 shows where it was met"
        )
        return told, 2
    told = (
        f"a fault of mashbill itself{_place(error)}: {said}. What was committed is kept; run it "
        f"again with {DEBUG}=1 for the traceback, and report it with that"
    )
    return told, 2


def _place(error: Exception) -> str:
    """Return where in this package it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_HOME)]
    if not ours:
        return ""
    return f" (in {Path(ours[-1].filename).relative_to(_HOME)}, line {ours[-1].lineno})"
