"""Which rows say the same, over any number of rows, in memory that does not grow with them.

Each row's key is told by the first 16 bytes of a BLAKE2b hash of it: two different keys are taken
for one with a chance of one in 2^128 a pair. Hashes go to one of 128 files by their first bits, so
that equal ones meet in one file; each file is then sorted by itself.
"""

from __future__ import annotations

import shutil
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.files.rows.merged import Merged

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

_FILES = 128
_SEEN = np.dtype([("high", ">u8"), ("low", ">u8"), ("row", "<i8")])


class Same:
    """Groups of rows of one key: all rows are added in order, then it is asked about ranges."""

    def __init__(self, folder: Path) -> None:
        """Begin in this folder; what a run left there which was killed is removed."""
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._rows = 0
        self._files: list[IO[bytes]] = [
            (folder / f"keys-{number}").open("wb", 1 << 14) for number in range(_FILES)
        ]
        self.merged = Merged(folder)
        self.repeated = 0
        """rows whose key an earlier row has; known once it is settled"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        """Remove the files."""
        for file in self._files:
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, keys: pa.Array) -> None:
        """Take the keys of the next rows.

        Args:
            keys: texts or bytes, shape (rows,); a missing one equals no other.
        """
        found = np.zeros(len(keys), _SEEN)
        found["row"] = np.arange(self._rows, self._rows + len(keys))
        self._rows += len(keys)
        if pa.types.is_null(keys.type) or not len(keys):
            return
        hashes = np.frombuffer(_hashes(keys.cast(pa.large_binary())), ">u8").reshape(-1, 2)
        found["high"], found["low"] = hashes[:, 0], hashes[:, 1]
        if keys.null_count:
            found = found[np.asarray(pc.is_valid(keys))]
        part = (found["high"] >> np.uint64(57)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        found, counts = found[order], np.bincount(part, minlength=_FILES)
        begin = 0
        for number in np.flatnonzero(counts).tolist():
            end = begin + int(counts[number])
            self._files[number].write(found[begin:end].tobytes())
            begin = end

    def settle(self) -> None:
        """Find the groups. Nothing may be added from now on."""
        for number, file in enumerate(self._files):
            file.close()
            path = self._folder / f"keys-{number}"
            rows = np.fromfile(path, _SEEN)
            path.unlink()
            rows = rows[np.lexsort((rows["row"], rows["low"], rows["high"]))]
            new = np.ones(len(rows), bool)
            new[1:] = (rows["high"][1:] != rows["high"][:-1]) | (
                rows["low"][1:] != rows["low"][:-1]
            )
            first = rows["row"][new][np.cumsum(new) - 1] if len(rows) else rows["row"]
            self.repeated += int((~new).sum())
            self.merged.add(rows["row"][~new], first[~new])

    def firsts(self, start: int, stop: int) -> np.ndarray:
        """Return the first row that has the key of each of these rows, int64, shape (rows,)."""
        return self.merged.into(start, stop)

    def groups(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`mashbill.files.rows.merged.Merged.groups`."""
        return self.merged.groups(start, stop)


def _hashes(keys: pa.LargeBinaryArray) -> bytes:
    """Return 16 bytes for each key, one behind the other."""
    if keys.null_count:
        keys = pc.fill_null(keys, b"")
    data = memoryview(keys.buffers()[2] or b"")
    ends = memoryview(keys.buffers()[1]).cast("q")[keys.offset : keys.offset + len(keys) + 1]
    return b"".join(
        [blake2b(data[a:b], digest_size=16).digest() for a, b in pairwise(ends.tolist())]
    )
