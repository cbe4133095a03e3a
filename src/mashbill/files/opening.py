"""Opening what others packed: what comes out is bounded, not what goes in.

A file of a megabyte can unpack to terabytes. A stream is read in pieces, and counted as it comes
out: more than 200 times what went in, and more than 1 GiB, is refused. Honest files that compress
better exist, so ``MASHBILL_MAX_UNPACKED`` (bytes, or 80G) says how much may come out of one file in
place of that; ``MASHBILL_MAX_DOWNLOAD`` says the same of a download. What is held at once is a row,
of 64 MiB at most, or of what ``MASHBILL_MAX_ROW`` says. None bears identity.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNPACKED = "MASHBILL_MAX_UNPACKED"
DOWNLOAD = "MASHBILL_MAX_DOWNLOAD"
ROW = "MASHBILL_MAX_ROW"
ELEMENT = 32
"""bytes of its bound that each element of a row's lists and objects counts, however short"""
_RATIO = 200
_ALWAYS = 1 << 30  # bytes that may come out of anything
_ROW = 64 << 20  # bytes of a line, or of a row
_UNTOLD = 4 << 30  # bytes that a server may send without having said how many
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_PIECE = 1 << 20
PACKED = ("gz", "zst")
"""Endings of text files that are unpacked while they are read."""
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, ValueError)
"""What readers of packed files raise for one that is damaged, cut or none at all."""


def limit_of(variable: str) -> int | None:
    """Return how many bytes an environment variable allows; None if it is not set.

    Raises:
        InputError: if it holds no number of bytes.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,15})([KMGT]?)(i?B)?", text, re.ASCII | re.IGNORECASE)
    if match is None:
        msg = f"{variable} = {text[:60]!r} is no number of bytes; write 80000000000 or 80G"
        raise InputError(msg)
    return int(match[1]) << _UNITS[match[2].upper()]


def most_of_row() -> int:
    """Return how many bytes a line or a row may have."""
    allowed = limit_of(ROW)
    return _ROW if allowed is None else max(allowed, 1)


def too_large(most: int, what: str = "") -> str:
    """Return what is said of a line or row of more than ``most``, behind its place.

    Args:
        most: what it may have.
        what: more about it: " in column 'text'".
    """
    return (
        f"has more than {in_words(most)}, or more than {most // ELEMENT:,} elements of lists and "
        f"objects{what}, and is not read whole; divide it, or set {ROW} to the bytes that a row "
        "may have if it is honest"
    )


def in_words(count: int) -> str:
    """Return a number of bytes for people."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


class Meter:
    """Counts what comes out of one file, and stops it at the bound."""

    def __init__(self, shown: str, size: int) -> None:
        """Begin at 0.

        Args:
            shown: how errors name the file.
            size: bytes that go in.
        """
        self.count = 0
        self._shown, self._size = shown, size
        allowed = limit_of(UNPACKED)
        self.most = max(_ALWAYS, _RATIO * size) if allowed is None else allowed

    def anew(self) -> Meter:
        """Return one that begins at 0 with the same bound, for a layer below."""
        return Meter(self._shown, self._size)

    def add(self, count: int) -> None:
        """Count bytes that came out.

        Raises:
            InputError: naming the file and the remedy, if they are too many.
        """
        self.count += count
        if self.count > self.most:
            msg = (
                f"{self._shown}: its {in_words(self._size)} unpack to more than "
                f"{in_words(self.most)}, as a file does that is made to fill memory or disk; it is "
                f"not read on. If it is honest, set {UNPACKED} to the bytes that may come out, or "
                "unpack it yourself"
            )
            raise InputError(msg)


def may_come(address: str, came: int, size: int | None) -> None:
    """Raise InputError if a download brings more than it may.

    Args:
        address: how errors name it.
        came: bytes so far.
        size: bytes that the server says there are; None if it does not say.
    """
    allowed = limit_of(DOWNLOAD)
    if allowed is not None and max(came, size or 0) > allowed:
        msg = f"{address}: it is larger than {DOWNLOAD} allows, {in_words(allowed)}; not fetched"
        raise InputError(msg)
    if size is not None and came > size:
        msg = f"{address}: more came than the {size} bytes that the server told of; try again"
        raise InputError(msg)
    if allowed is None and size is None and came > _UNTOLD:
        msg = (
            f"{address}: the server does not say how large it is, and {in_words(came)} came so "
            f"far; if it is honest, set {DOWNLOAD} to the bytes that may come"
        )
        raise InputError(msg)


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted, and whose faults are told with the file's name."""

    def __init__(self, inner: Any, meter: Meter | None, broken: Callable[[Exception], InputError],
                 most: int = _PIECE) -> None:  # fmt: skip
        super().__init__()
        self._inner, self._meter, self._broken, self._most = inner, meter, broken, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(min(len(buffer), self._most))
        except DAMAGE as error:
            raise self._broken(error) from error
        if self._meter is not None:
            self._meter.add(len(data))
        buffer[: len(data)] = data
        return len(data)


def counted(
    inner: Any, meter: Meter | None, broken: Callable[[Exception], InputError], most: int = _PIECE
) -> BinaryIO:
    """Return a stream over another whose bytes are counted, ``most`` of them asked for at once."""
    raw = _Counted(inner, meter, broken, most)
    return cast("BinaryIO", io.BufferedReader(raw, _PIECE))


def open_file(path: Path, shown: str) -> BinaryIO:
    """Open a file of this disk, and nothing that is no file: a pipe would be waited for.

    Raises:
        InputError: naming it and the remedy, if it cannot be read.
    """
    try:
        if not path.is_file():
            what = "is no file" if path.exists() else "is not there"
            msg = f"{shown} {what}; name a file"
            raise InputError(msg)
        return path.open("rb")
    except (OSError, ValueError) as error:
        msg = f"{shown} cannot be read: {error!s:.200}; correct the path, or who may read it"
        raise InputError(msg) from error


@contextmanager
def open_text_stream(data: Path | bytes | BinaryIO, shown: str) -> Iterator[BinaryIO]:
    """Open a file of text, unpacked as the ending of its name says: ``.gz``, ``.zst`` or neither.

    Args:
        data: where it lies, its bytes, or a stream that can be sought.
        shown: its name, and how errors name it.

    Raises:
        InputError: naming the file and the remedy, if it cannot be unpacked, or not to its end, or
            if more comes out than may; while it is read, too.
    """
    ending = shown.rsplit(".", 1)[-1].lower()
    with ExitStack() as stack:
        if isinstance(data, Path):
            plain = stack.enter_context(open_file(data, shown))
        elif isinstance(data, bytes):
            plain = cast("BinaryIO", io.BytesIO(data))
        else:
            plain = data
        if ending not in PACKED:
            yield plain
            return

        def broken(error: Exception) -> InputError:
            return InputError(
                f"{shown} is no {ending} file, or not a whole one: {error!s:.200}; fetch it again"
            )

        size = plain.seek(0, io.SEEK_END)
        plain.seek(0)
        inner = _unpacked("gz" if ending == "gz" else "zst", plain, broken)
        yield stack.enter_context(counted(inner, Meter(shown, size), broken))


_MAGIC = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
}


def unpacking(
    plain: BinaryIO, meter: Meter, broken: Callable[[Exception], InputError]
) -> BinaryIO | None:
    """Return what a stream unpacks to, by how it begins; None if it is not packed."""
    head = plain.read(8)
    plain.seek(0)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")
    return counted(_unpacked(kind, plain, broken), meter, broken) if kind else None


def _unpacked(kind: str, plain: IO[bytes], broken: Callable[[Exception], InputError]) -> Any:
    try:
        if kind == "gz":
            return gzip.GzipFile(fileobj=plain)
        if kind == "bz2":
            return bz2.BZ2File(plain)
        if kind == "xz":
            return lzma.LZMAFile(plain)
        return pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), "zstd")
    except DAMAGE as error:
        raise broken(error) from error
