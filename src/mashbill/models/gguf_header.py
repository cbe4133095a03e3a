"""The header of a GGUF file, read first and held to the file's size.

The format's own reader believes what a file says of itself, and makes an object of each item: a
count of 2**60, or a thousand million bytes as a list, would fill the memory. This walks over the
header by its lengths alone and keeps nothing.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, NoReturn

from mashbill.core.errors import TeacherError

if TYPE_CHECKING:
    from pathlib import Path

_ITEMS = 8_000_000
"""items of all lists together; a vocabulary of 256,000 has a million with merges and scores"""
_KEYS, _TENSORS, _LONGEST, _DIMENSIONS = 4096, 100_000, 16 << 20, 4
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""value type -> bytes, of those of one size"""
_STRING, _LIST = 8, 9


class _Header:
    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._path = path
        self._at = 0
        self._items = 0

    def refuse(self, what: str) -> NoReturn:
        msg = (
            f"{self._path} is not a GGUF file, or not a whole one: byte {self._at}: {what}; "
            "fetch it again"
        )
        raise TeacherError(msg)

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        if self._at + size > len(self._data):
            self.refuse("the file ends within its header")
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += size
        return int(value)

    def skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            self.refuse(
                f"{size:,} bytes are announced, and {len(self._data) - self._at:,} are left"
            )
        self._at += size

    def string(self) -> bytes:
        size = self.number("<Q")
        if size > _LONGEST:
            self.refuse(f"a text of {size:,} bytes; {_LONGEST:,} at most")
        begins = self._at
        self.skip(size)
        return bytes(self._data[begins : self._at])

    def value(self, kind: int, key: bytes) -> int | None:
        """Walk over a value; return it if it is a plain number."""
        if kind == _STRING:
            self.string()
        elif kind == _LIST:
            of, count = self.number("<I"), self.number("<Q")
            self._items += count
            if self._items > _ITEMS:
                self.refuse(f"{key!r:.60} and those before it list {self._items:,} items")
            if of in _SIZES:
                self.skip(count * _SIZES[of])
            elif of == _STRING:
                for _ in range(count):
                    self.string()
            else:
                self.refuse(f"{key!r:.60} is a list of type {of}")
        elif kind in _SIZES:
            begins = self._at
            self.skip(_SIZES[kind])
            return int.from_bytes(self._data[begins : self._at], "little")
        else:
            self.refuse(f"{key!r:.60} has type {kind}, which there is not")
        return None


def check_header(path: Path) -> None:
    """Check that a file is GGUF, and that whatever its header announces is there.

    Raises:
        TeacherError: naming the file and the byte.
    """
    with _opened(path) as data:
        _walk(_Header(data, path), data)


def texts_of(path: Path, prefix: bytes) -> dict[str, str]:
    """Return the keys of a file's metadata that begin so, and their texts; others' are empty.

    Raises:
        TeacherError: if the file is not GGUF, naming the byte.
    """
    found = {}
    with _opened(path) as data:
        header = _Header(data, path)
        _, pairs = _counts(header, data)
        for _ in range(pairs):
            key, kind = header.string(), header.number("<I")
            text = header.string() if kind == _STRING else b""
            if kind != _STRING:
                header.value(kind, key)
            if key.startswith(prefix):
                found[key.decode("utf-8", "replace")] = text.decode("utf-8", "replace")
    return found


def _opened(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: it is empty
        msg = f"{path} cannot be read as a GGUF file: {error}"
        raise TeacherError(msg) from error


def _counts(header: _Header, data: mmap.mmap) -> tuple[int, int]:
    """Return how many tensors and keys are announced, at the place of the first key."""
    if data[:4] != b"GGUF":
        header.refuse(f"it begins with {data[:4]!r}")
    header.skip(4)
    version = header.number("<I")
    if version not in {2, 3}:
        header.refuse(f"version {version}; 2 and 3 are read")
    tensors, pairs = header.number("<Q"), header.number("<Q")
    if tensors > _TENSORS or pairs > _KEYS:
        header.refuse(f"{tensors:,} tensors and {pairs:,} keys are announced")
    return tensors, pairs


def _walk(header: _Header, data: mmap.mmap) -> None:
    tensors, pairs = _counts(header, data)
    seen: set[bytes] = set()
    for _ in range(pairs):
        key = header.string()
        if key in seen:
            header.refuse(f"{key!r:.60} is there twice")
        seen.add(key)
        found = header.value(header.number("<I"), key)
        if key == b"general.alignment" and (not found or found & (found - 1) or found > 1 << 16):
            header.refuse(f"an alignment of {found}")
    for _ in range(tensors):
        name = header.string()
        dimensions = header.number("<I")
        if dimensions > _DIMENSIONS:
            header.refuse(f"the tensor {name!r:.60} has {dimensions} dimensions")
        size = 1
        for _ in range(dimensions):
            size *= header.number("<Q")
        header.number("<I")
        begins = header.number("<Q")
        # Two bits a number is the least that any type has.
        if size // 8 > len(data) or begins > len(data):
            header.refuse(f"the tensor {name!r:.60} of {size:,} numbers is not in the file")
