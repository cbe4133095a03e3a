"""What nobody foresaw: told in a line, with whose fault it is and how to see more."""

from __future__ import annotations

import errno
import os
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mashbill
from mashbill.cli.printing import err
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
            err.emit(traceback.format_exc())
        raise


def fault(error: Exception) -> tuple[str, int]:
    """Return what to say of an error that nobody raised on purpose, and the exit code."""
    plugin = registry.blamed(error)
    if plugin is not None:
        return str(plugin), 1
    said = f"{type(error).__name__}: {error!s:.300}".rstrip(": ")
    if isinstance(error, MemoryError):
        return f"there is too little memory ({said}); what was committed is kept", 2
    import pyarrow as pa  # it takes as long to load as all else that a page of help needs

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


_REMEDIES = {
    errno.EISDIR: "it is a folder: name a file",
    errno.ENOTDIR: "a part of that path is a file: name another path",
    errno.EEXIST: "something of that name is there: name another path",
    errno.ENOENT: "make its folder, or correct the path",
    errno.EACCES: "nobody lets this user do so: change its rights, or name another path",
    errno.EPERM: "nobody lets this user do so: change its rights, or name another path",
    errno.EROFS: "nothing can be written there: name another path",
    errno.ENOSPC: "make room, and do the same again",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
}


def of_the_system(error: OSError) -> str:
    """Return what to say of an error of the system: the file, what it said, what to do."""
    where = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, "")
    return f"{where}{error.strerror or error}{f'; {remedy}' if remedy else ''}"


def _place(error: Exception) -> str:
    """Return where in this package it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_HOME)]
    if not ours:
        return ""
    return f" (in {Path(ours[-1].filename).relative_to(_HOME)}, line {ours[-1].lineno})"
