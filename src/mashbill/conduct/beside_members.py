"""What lies in an archive beside the members that are read: small files of a few names.

Bounded as members themselves are: the list of a zip, the members and headers of a tar, the bytes
that come out. Nothing is written, and no name of an archive leads anywhere.
"""

from __future__ import annotations

import tarfile
import zipfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mashbill.conduct import archives
from mashbill.conduct.opening import DAMAGE, open_file
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_FOLDERS = 200
"""of an archive that are looked into"""


@dataclass
class Lying:
    """A folder of an archive."""

    shown: str
    """archive, and path in it: ``a.zip!pub``"""
    files: dict[str, bytes] = field(default_factory=dict)
    """name -> bytes, of the wanted names"""
    suffixes: set[str] = field(default_factory=set)
    """of all files that lie in it"""


def beside_members(
    archive: Path, insides: Iterable[str], wanted: frozenset[str], most: int
) -> Iterator[Lying]:
    """Yield the folders in which members lie, and those above them, up to the archives' own.

    Args:
        archive: the file.
        insides: paths of the members; ``!`` goes one archive deeper.
        wanted: names of the files that are read.
        most: bytes that one of them may have; larger ones are left out.

    An archive that cannot be read ends early: whoever reads its members is told of it there.
    """
    levels: dict[str, dict[str, None]] = {}
    for inside in insides:
        parts = inside.split("!")
        for at, part in enumerate(parts):
            levels.setdefault("!".join(parts[:at]), {})[part] = None
    for outer, members in levels.items():
        shown = f"{archive.name}!{outer}" if outer else archive.name
        folders: dict[str, Lying] = {}
        for member in members:
            for above in PurePosixPath(member).parents:
                if len(folders) < _FOLDERS:
                    where = shown if str(above) == "." else f"{shown}!{above}"
                    folders.setdefault(str(above), Lying(where))
        with suppress(InputError, OSError, zipfile.BadZipFile, tarfile.TarError, RuntimeError,
                      NotImplementedError, *DAMAGE), ExitStack() as stack:  # fmt: skip
            opened = (
                archives.member_of(archive, outer) if outer else open_file(archive, archive.name)
            )
            data = stack.enter_context(opened)
            for name, size, read in archives.members_in(data, shown):
                _take(folders, wanted, most, name, size, read)
        yield from folders.values()


def _take(
    folders: dict[str, Lying], wanted: frozenset[str], most: int,
    name: str, size: int, read: Callable[[], bytes],
) -> None:  # fmt: skip
    """Look at a file of an archive; read it only if it is wanted."""
    path = PurePosixPath(name)
    folder = folders.get(str(path.parent))
    if folder is None:
        return
    folder.suffixes.add(path.suffix)
    if path.name in wanted and size <= most:
        folder.files[path.name] = read()
