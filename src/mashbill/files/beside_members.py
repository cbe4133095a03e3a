"""What lies in an archive beside the members that are read, or apart from any: small files.

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

from mashbill.core.errors import InputError
from mashbill.files import archives
from mashbill.files.opening import DAMAGE, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_FOLDERS, _FILES = 200, 50
"""of an archive that are looked into, and of one of them that are read"""
_OTHERS = 100_000
"""folders of an archive of which it is kept that they hold files that are not wanted"""


@dataclass
class Lying:
    """A folder of an archive."""

    shown: str
    """archive, and path in it: ``a.zip!pub``"""
    files: dict[str, bytes] = field(default_factory=dict)
    """name -> bytes, of the wanted names"""
    suffixes: set[str] = field(default_factory=set)
    """of all files that lie in it"""
    is_apart: bool = False
    """whether no member that is read lies in it, or below it"""
    others: bool = False
    """whether files that are not wanted lie in it, or below it"""


def beside_members(
    archive: Path, insides: Iterable[str], wanted: Callable[[str], bool], most: int
) -> Iterator[Lying]:
    """Yield folders in which members lie, those above, and others that hold what is wanted.

    Args:
        archive: the file.
        insides: paths of the members; ``!`` goes one archive deeper.
        wanted: whether a file of a name is read.
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
            own, others = {str(PurePosixPath(member)) for member in members}, set[str]()
            for name, size, read in archives.members_in(data, shown):
                path = PurePosixPath(name)
                is_wanted = size <= most and wanted(path.name) and str(path) not in own
                if not is_wanted and len(others) < _OTHERS:
                    others.update(map(str, path.parents))
                _take(folders, shown, is_wanted, name, read)
        for name, folder in folders.items():
            folder.others = name in others
        yield from folders.values()


def _take(
    folders: dict[str, Lying],
    shown: str,
    is_wanted: bool,
    name: str,
    read: Callable[[], bytes],
) -> None:
    """Look at a file of an archive; read it only if it is wanted."""
    path = PurePosixPath(name)
    folder = folders.get(str(path.parent))
    if folder is None and is_wanted and len(folders) < _FOLDERS:
        folder = folders[str(path.parent)] = Lying(f"{shown}!{path.parent}", is_apart=True)
    if folder is None:
        return
    folder.suffixes.add(path.suffix)
    if is_wanted and len(folder.files) < _FILES:
        folder.files[path.name] = read()
