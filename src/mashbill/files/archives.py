"""Members of zip and tar archives, taken out one at a time and bounded; nothing else is unpacked.

``a.tar.gz!b.txt`` goes one archive deeper. A member is read as bytes and never written under its
own name, so no name of an archive leads anywhere; links, devices and what is encrypted is refused.
"""

from __future__ import annotations

import bz2
import io
import os
import struct
import tarfile
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError
from mashbill.core.store import publish, write_atomically
from mashbill.files.opening import DAMAGE, Meter, counted, open_file, too_large, unpacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NESTED = 8  # archives in archives
_MEMBERS = 1_000_000
_DIRECTORY = 32 << 20  # bytes of a zip's own list of members, 300,000 of them or so
_HEADER = 1 << 20  # bytes of a tar's header: names and such
_PIECE = 1 << 20
_SMALL = 256  # bytes that go in at once where a reader does not bound what comes out
_DAMAGE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, MemoryError, struct.error, *DAMAGE,
)  # fmt: skip
_TOLD = 12  # names of members in an error


@contextmanager
def member_of(
    archive: Path, inside: str, shown: str = "", scratch: Path | None = None
) -> Iterator[BinaryIO]:
    """Open a member of an archive, as a stream that can be sought.

    Args:
        archive: the file.
        inside: path of the member; ``!`` goes one archive deeper.
        shown: how errors name the archive; its name if empty.
        scratch: folder on whose disk it is unpacked meanwhile; the system's own if None.

    Raises:
        InputError: naming the archive, the member and the remedy, if it cannot be had.
    """
    where = shown or archive.name
    parts = inside.split("!")
    if len(parts) > _NESTED:
        msg = f"{where}: {inside[:160]!r} goes {len(parts)} archives deep; {_NESTED} at most"
        raise InputError(msg)
    meter = Meter(where, archive.stat().st_size if archive.is_file() else 0)
    with ExitStack() as stack:
        data = stack.enter_context(open_file(archive, where))
        for part in parts:
            into = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            _take(data, part, where, cast("BinaryIO", into), meter)
            into.seek(0)
            data, where = cast("BinaryIO", into), f"{where}!{part}"
        yield data


def unpacked(archive: Path, inside: str, cache: Path) -> Path:
    """Return a member as a file of its own, kept under the digest of its bytes.

    Raises:
        InputError: as :func:`member_of` does.
    """
    note = cache / "members" / f"{digest_bytes(f'{digest_file(archive)} {inside}'.encode())}.name"
    if note.exists():
        path = Path(note.read_text())
        if path.exists():
            return path
    folder = cache / "members"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{os.getpid()}-{note.stem}"
    try:
        with member_of(archive, inside, scratch=folder) as data, temporary.open("wb") as file:
            while piece := data.read(_PIECE):
                file.write(piece)
        name = PurePosixPath(inside.rsplit("!", maxsplit=1)[-1]).name
        path = folder / digest_file(temporary) / name
        path.parent.mkdir(exist_ok=True)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    write_atomically(note, str(path).encode())
    return path


def _take(data: BinaryIO, name: str, where: str, into: BinaryIO, meter: Meter) -> None:
    """Write a member's bytes into a file.

    Raises:
        InputError: if it is not there, or is no file that can be read.
    """
    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in name:
        msg = f"{where}: a member is a file of the archive, and {name[:160]!r} names none"
        raise InputError(msg)
    if len(os.fsencode(path.name)) > 255:
        msg = f"{where}: {name[:160]!r}… is too long for the name of a file"
        raise InputError(msg)

    def broken(error: Exception) -> InputError:
        return InputError(
            f"{where}!{name} cannot be unpacked: {type(error).__name__}: {error!s:.200}; fetch the "
            "archive again, or unpack it yourself and name the file"
        )

    try:
        if zipfile.is_zipfile(data):
            have = _from_zip(data, name, where, into, meter)
        else:
            data.seek(0)
            have = _from_tar(data, name, where, into, meter)
    except _DAMAGE as error:
        raise broken(error) from error
    except tarfile.TarError as error:
        msg = (
            f"{where} is neither a zip nor a tar archive, or not a whole one ({error!s:.200}), so "
            f"it has no member {name!r}; fetch it again, or correct member"
        )
        raise InputError(msg) from error
    if have is not None:
        told = ", ".join(have[:_TOLD]) + ", …" * (len(have) > _TOLD) or "none"
        msg = f"{where} has no member {name!r}; it has {told}; correct the name"
        raise InputError(msg)


def _copy(source: BinaryIO, into: BinaryIO, meter: Meter, piece: int = _PIECE) -> None:
    while data := source.read(piece):
        meter.add(len(data))
        into.write(data)


def _from_zip(
    data: BinaryIO, name: str, where: str, into: BinaryIO, meter: Meter
) -> list[str] | None:
    """Write a member into a file; return the names of those that are there if it is not."""
    if _directory_bytes(data) > _DIRECTORY:
        msg = f"{where} lists too many members to be read; unpack it yourself and name the file"
        raise InputError(msg)
    data.seek(0)
    with zipfile.ZipFile(data) as zipped:
        try:
            info = zipped.getinfo(name)
        except KeyError:
            return zipped.namelist()
        if info.is_dir():
            msg = f"{where}!{name} is a folder; name a file of it"
            raise InputError(msg)
        if info.flag_bits & 1:
            msg = f"{where}!{name} is encrypted; unpack it yourself and name the file"
            raise InputError(msg)
        if info.compress_type == zipfile.ZIP_BZIP2:  # 200 bytes of it may be 256 MB at once
            with bz2.BZ2File(cast("Any", io.BufferedReader(_Window(data, info)))) as packed:
                _copy(cast("BinaryIO", packed), into, meter)
            return None
        with zipped.open(info) as stream:
            bounds = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if not bounds:
                cast("Any", stream).MIN_READ_SIZE = _SMALL
            _copy(cast("BinaryIO", stream), into, meter, _PIECE if bounds else _SMALL)
    return None


class _Window(io.RawIOBase):
    """The packed bytes of a zip's member, as they lie in it."""

    def __init__(self, data: BinaryIO, info: zipfile.ZipInfo) -> None:
        super().__init__()
        data.seek(info.header_offset)
        header = data.read(30)
        if header[:4] != b"PK\3\4":
            msg = "there is no header where the list of members says"
            raise zipfile.BadZipFile(msg)
        name, extra = struct.unpack_from("<HH", header, 26)
        self._data, self._left = data, info.compress_size
        data.seek(name + extra, io.SEEK_CUR)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._data.read(min(len(buffer), self._left))
        self._left -= len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def _directory_bytes(data: BinaryIO) -> int:
    """Return how long a zip says its list of members is; the reader takes all of it at once."""
    size = data.seek(0, io.SEEK_END)
    data.seek(max(0, size - 65_557 - 76))  # with the longest comment, and the 64-bit records
    tail = data.read()
    end, larger = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
    found = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if found == 0xFFFFFFFF and larger >= 0:
        return int.from_bytes(tail[larger + 40 : larger + 48], "little")
    return found


class _Header(tarfile.TarInfo):
    """A header whose own extra bytes are bounded: tarfile would read them all at once."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        kinds = (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if self.type in kinds and self.size > _HEADER:
            msg = f"a header of {self.size} bytes"
            raise tarfile.ReadError(msg)
        return cast("tarfile.TarInfo", super()._proc_member(tar))  # type: ignore[misc]


def _from_tar(
    data: BinaryIO, name: str, where: str, into: BinaryIO, meter: Meter
) -> list[str] | None:
    """Write a member into a file, the last of its name, as unpacking all of it would leave it."""

    def broken(error: Exception) -> InputError:
        return InputError(
            f"{where} is packed, and not a whole file: {error!s:.200}; fetch it again"
        )

    stream = unpacking(data, meter.anew(), broken)
    have: list[str] = []
    taken, count = False, 0
    with tarfile.open(
        fileobj=stream or data, mode="r:" if stream is None else "r|", tarinfo=_Header
    ) as tar:
        for item in tar:
            count += 1
            tar.members = []  # type: ignore[attr-defined]  # or it keeps every header that it saw
            if count > _MEMBERS:
                msg = f"{where} has more than {_MEMBERS} members; unpack it yourself"
                raise InputError(msg)
            if item.name != name:
                if len(have) <= _TOLD:
                    have.append(item.name[:160])
                continue
            found = _file_of(tar, item, f"{where}!{name}")
            into.seek(0)
            into.truncate()
            _copy(counted(found, None, broken), into, meter)
            taken = True
    return None if taken else have


def members_in(data: BinaryIO, shown: str) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Yield name, size in bytes and a way to read each file of a zip or a tar, in its order.

    What is encrypted, and links, devices and folders, are left out. Each must be read, if it is,
    before the next is asked for.

    Raises:
        InputError, and what zipfile and tarfile raise: if it is none, is damaged, or more comes
            out of it than may.
    """
    meter = Meter(shown, data.seek(0, io.SEEK_END))
    data.seek(0)
    if zipfile.is_zipfile(data):
        yield from _in_zip(data, shown, meter)
        return
    data.seek(0)

    def broken(error: Exception) -> InputError:
        return InputError(f"{shown} is packed, and not a whole file: {error!s:.200}")

    stream = unpacking(data, meter.anew(), broken)
    with tarfile.open(
        fileobj=stream or data, mode="r:" if stream is None else "r|", tarinfo=_Header
    ) as tar:
        for count, item in enumerate(tar):
            tar.members = []  # type: ignore[attr-defined]  # or it keeps every header that it saw
            if count >= _MEMBERS:
                return
            if item.isfile():
                yield item.name, item.size, lambda item=item: _read(tar, item, meter)  # type: ignore[misc]


def _read(tar: tarfile.TarFile, item: tarfile.TarInfo, meter: Meter) -> bytes:
    meter.add(item.size)
    return _file_of(tar, item, item.name).read()


def _in_zip(
    data: BinaryIO, shown: str, meter: Meter
) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    if _directory_bytes(data) > _DIRECTORY:
        return
    data.seek(0)
    with zipfile.ZipFile(data) as zipped:
        items = zipped.infolist()
    for item in items:
        if item.is_dir() or item.flag_bits & 1:
            continue

        def read(item: zipfile.ZipInfo = item) -> bytes:
            into = io.BytesIO()
            _from_zip(data, item.filename, shown, cast("BinaryIO", into), meter)
            return into.getvalue()

        yield item.filename, item.file_size, read


def tar_members(data: Path | bytes, shown: str, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the files of a tar, packed or not, in its order; folders are none.

    Args:
        data: where it lies, or its bytes.
        shown: how errors name it.
        most: bytes that one member may have.

    Raises:
        InputError: naming the archive, the member and the remedy, if it is none, is cut off, holds
            links or devices, or more comes out than may.
    """

    def broken(error: Exception) -> InputError:
        return InputError(
            f"{shown} is no tar archive, or not a whole one: {error!s:.200}; fetch it again"
        )

    with ExitStack() as stack:
        plain = (
            cast("BinaryIO", io.BytesIO(data))
            if isinstance(data, bytes)
            else stack.enter_context(open_file(data, shown))
        )
        meter = Meter(shown, plain.seek(0, io.SEEK_END))
        plain.seek(0)
        stream = unpacking(plain, meter.anew(), broken)
        try:
            tar = stack.enter_context(
                tarfile.open(
                    fileobj=stream or plain, mode="r:" if stream is None else "r|", tarinfo=_Header
                )
            )
            for count, item in enumerate(tar, 1):
                tar.members = []  # type: ignore[attr-defined]  # or it keeps every header it saw
                if count > _MEMBERS:
                    msg = f"{shown} has more than {_MEMBERS} members; divide it"
                    raise InputError(msg)
                if item.isdir():
                    continue
                where = f"{shown}!{item.name[:160]}"
                if item.size > most:
                    msg = f"{where} {too_large(most)}"
                    raise InputError(msg)
                meter.add(item.size)
                yield item.name, _file_of(tar, item, where).read()
        except (tarfile.TarError, *_DAMAGE) as error:
            raise broken(error) from error


def _file_of(tar: tarfile.TarFile, item: tarfile.TarInfo, shown: str) -> BinaryIO:
    if item.issym() or item.islnk():
        msg = f"{shown} is a link to {item.linkname[:160]!r}; name the file that it stands for"
        raise InputError(msg)
    found = tar.extractfile(item) if item.isfile() else None
    if found is None:
        what = "a folder; name a file of it" if item.isdir() else "a device or pipe, and no file"
        msg = f"{shown} is {what}"
        raise InputError(msg)
    return cast("BinaryIO", found)
