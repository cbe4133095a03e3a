"""Events on disk: native JSON lines, in files that are rotated by size and synced at intervals.

A crash of the machine loses at most what was written since the last sync; a crash of the process
loses what was not yet written, which is what waits in the queue. Where a line could be written
only in part, the next begins on a line of its own, so that the half line is one bad line.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

_NAME = re.compile(r"events-\d{8}T\d{6}-[0-9a-f]+-\d{6}\.jsonl")


class Sink:
    """Appends batches of events; of one thread."""

    def __init__(
        self,
        folder: Path,
        write: Callable[[pa.RecordBatch], bytes],
        *,
        rotate_bytes: int,
        sync_seconds: float,
        keep: int,
    ) -> None:
        """Write into a folder, which is made.

        Args:
            folder: where files go; each process writes files of its own names.
            write: returns a batch as lines.
            rotate_bytes: of a file, after which the next is begun.
            sync_seconds: between two fsyncs.
            keep: whole files that are kept; 0 keeps all.

        Raises:
            InputError: if the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            msg = (
                f"{folder}: no folder for events can be made there: {error.strerror}; name another"
            )
            raise InputError(msg) from error
        self._folder, self._write = folder, write
        self._rotate_bytes, self._sync_seconds, self._keep = rotate_bytes, sync_seconds, keep
        began = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self._stem = f"events-{began}-{os.getpid():x}"
        self._number = 0
        self._file: int | None = None
        self._size = 0
        self._torn = False
        self._synced = time.monotonic()
        self._is_dirty = False

    def append(self, batch: pa.RecordBatch) -> int:
        """Append events; return the bytes that were written.

        Raises:
            OSError: if they could not be; what was written of them is no line, or whole ones.
        """
        data = self._write(batch)
        if self._file is None:
            self._open()
        assert self._file is not None  # noqa: S101 - for mypy: _open set it, or raised
        if self._torn:
            data = b"\n" + data
        left = memoryview(data)
        try:
            while left:
                done = os.write(self._file, left)
                left = left[done:]
        except OSError:
            self._torn = len(left) < len(data)
            raise
        self._torn = False
        self._size += len(data)
        self._is_dirty = True
        self.sync()
        if self._size >= self._rotate_bytes:
            self._end()
        return len(data)

    def sync(self, *, now: bool = False) -> None:
        """Have what was written kept, if it is time.

        Raises:
            OSError: if the disk refuses.
        """
        if self._file is None or not self._is_dirty:
            return
        if now or time.monotonic() - self._synced >= self._sync_seconds:
            os.fsync(self._file)
            self._synced = time.monotonic()
            self._is_dirty = False

    def close(self) -> None:
        """Sync and close."""
        if self._file is not None:
            self._end()

    def _open(self) -> None:
        path = self._folder / f"{self._stem}-{self._number:06}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        self._number += 1
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # its name is kept, too
        finally:
            os.close(folder)

    def _end(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                os.fsync(file)
            finally:
                os.close(file)
        self._is_dirty = False
        if self._keep:
            old = sorted(
                path for path in self._folder.iterdir() if _NAME.fullmatch(path.name) is not None
            )
            for path in old[: -self._keep - 1]:
                path.unlink(missing_ok=True)
