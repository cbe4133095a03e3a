"""The folder of a recipe, and what its recipe may read: what lies in it, and what the user allows.

Who runs a recipe need not have written it, and what a recipe reads may go to a server. So a path
that leads out of the recipe's folder, by itself or through links, wants the user's word
(``--allow PATH``), and so does Python code that a recipe brings along. Addresses of other machines
are no files of the user's; what is read there is pinned.

The file that is checked is the one that is there at that time: whoever can change the folder while
a recipe runs is its user already.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = ("file", "local")
"""Schemes of addresses that are paths of this disk."""
_REMOTE = frozenset(
    {
        "http", "https", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci",
        "ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "webdav", "github", "gdrive", "dropbox",
        "box", "memory",
    }
)  # fmt: skip
_MAGIC = frozenset("*?[")
_PACKAGES = ("pypi:", "hf:")
_SPECIAL = ("/proc", "/sys", "/dev")
_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system like others, and compared with only
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class Allowed:
    """What a recipe may read."""

    recipe: str
    """the recipe's file, as the user named it"""
    folder: Path
    """its folder, links resolved"""
    own: Path
    """its file, links resolved"""
    paths: tuple[Path, ...]
    """files and folders that the user allows besides, links resolved"""
    schemes: tuple[str, ...]
    """beginnings of addresses that the user allows besides, such as ``git://``"""

    @classmethod
    def of(cls, recipe: Path, allow: Sequence[str | Path] | Path = ()) -> Allowed:
        """Return what a recipe may read.

        Args:
            recipe: its file.
            allow: paths, from the current folder, and addresses, that are allowed besides.

        Raises:
            InputError: if one of these paths is not there.
        """
        paths, schemes = [], []
        for item in (allow,) if isinstance(allow, str | Path) else allow:
            scheme, mark, rest = str(item).partition("://")
            if mark and scheme.lower() not in LOCAL:
                schemes.append(str(item))
                continue
            written = rest if mark else str(item)
            real = _resolved(Path(written)) if written.strip() else None
            if real is None or not real.exists():
                msg = f"--allow {str(item)!r}: there is no such file or folder; correct the path"
                raise InputError(msg)
            paths.append(real)
        own = Path(os.path.realpath(recipe))
        return cls(str(recipe), own.parent, own, tuple(paths), tuple(schemes))

    def file(self, written: str | os.PathLike[str], key: str = "") -> Path:
        """Return the path of what a recipe names, if it may be read; it need not be there.

        Args:
            written: as the recipe has it.
            key: the recipe's key that names it, for the error.

        Raises:
            RecipeError: naming recipe, key, the path as written and as resolved, and the remedy.
        """
        said = self._said(written, key)
        if not os.fspath(written).strip():
            msg = f"{said} names no file; write its path, from the recipe's folder"
            raise RecipeError(msg)
        real = _resolved(self.folder / written)
        if real is None:
            msg = f"{said} can be no path of a file: it holds what no name of a file may hold"
            raise RecipeError(msg)
        if what := _special(real):
            msg = f"{said} is {what} ({real}), and only files are read; name a file"
            raise RecipeError(msg)
        inside = any(real.is_relative_to(place) for place in (self.folder, *self.paths))
        if not inside or is_of_windows(os.fspath(written)):
            allow = next((p for p in (real, *real.parents) if not _MAGIC & set(str(p))), real)
            msg = (
                f"{said}: it leads out of the recipe's folder; put the file into it, or, if you "
                f"mean {real}, which may then go to a server, add --allow {shlex.quote(str(allow))}"
            )
            raise RecipeError(msg)
        return self.folder / written

    def address(self, written: str, key: str = "") -> None:
        """Raise unless what a recipe names may be read: a path, or an address of another machine.

        Raises:
            RecipeError: as :meth:`file` does; and if its scheme is one that may reach this disk,
                such as those that fsspec chains (``zip://…::…``), or is not known.
        """
        scheme, mark, rest = written.partition("://")
        scheme = scheme.lower()
        if written.startswith(_PACKAGES):
            return
        if not mark:
            self.file(written, key)
        elif scheme in LOCAL:
            if not rest.startswith("/"):
                msg = f"{self._said(written, key)}: write file:///ABSOLUTE/PATH, or a path alone"
                raise RecipeError(msg)
            self.file(rest, key)
        elif "::" in scheme:
            msg = (
                f"{self._said(written, key)} is a chain of addresses, which could read any file of "
                "this disk; name the file itself, and what is in an archive by members or member"
            )
            raise RecipeError(msg)
        elif scheme not in _REMOTE and not any(written.startswith(s) for s in self.schemes):
            msg = (
                f"{self._said(written, key)} has a scheme that is not known, and could read any "
                "file of this disk; write a path, s3://, gs://, https:// or hf:datasets/…. If you "
                f"mean it, add --allow {shlex.quote(f'{scheme[:40]}://')}"
            )
            raise RecipeError(msg)

    def code(self, written: str | os.PathLike[str], key: str = "") -> Path:
        """Return the path of a Python file that a recipe wants executed, if the user allows it.

        Raises:
            RecipeError: as :meth:`file` does, and if it is not allowed by name or by its folder's.
        """
        path = self.file(written, key)
        real = Path(os.path.realpath(path))
        if not self.is_named(path):
            msg = (
                f"{self._said(written, key)} is Python code, which a plan would execute already. "
                f"Read it, and if you trust it add --allow {shlex.quote(str(real))}"
            )
            raise RecipeError(msg)
        return path

    def is_named(self, path: Path) -> bool:
        """Return whether the user allowed a file by name, or by its folder's."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(place) for place in self.paths)

    def _said(self, written: str | os.PathLike[str], key: str) -> str:
        text = os.fspath(written)
        shown = f"{text[:160]!r}{'…' * (len(text) > 160)}"
        return f"{self.recipe}: {key} = {shown}" if key else f"{self.recipe}: {shown}"


def _resolved(path: Path) -> Path | None:
    """Return a path without links; None if no file can have it."""
    try:
        return Path(os.path.realpath(path))
    except (ValueError, OSError):
        return None


def is_of_windows(written: str) -> bool:
    """Return whether a path is absolute on Windows, and would be an odd name in a folder here."""
    return os.name != "nt" and written[:1] != "/" and bool(PureWindowsPath(written).anchor)


def _special(real: Path) -> str:
    """Return what a path is if it is neither a file nor a folder, and empty otherwise."""
    if real.is_relative_to(_MEMORY):
        pass
    elif any(real.is_relative_to(place) for place in _SPECIAL):
        return "a file of the system"
    try:
        mode = real.stat().st_mode
    except (OSError, ValueError):
        return ""
    return next((what for holds, what in _KINDS if holds(mode)), "")


if TYPE_CHECKING:
    _Native = Path
else:
    _Native = type(Path())


class RecipeFolder(_Native):
    """The path of a recipe's folder: ``folder / name`` is a path that the recipe may read.

    Whatever a recipe names is opened by a path that was made in this way, in stages and teachers of
    others too, so that none has to think of it. All that is made of it is a plain path.
    """

    allowed: Allowed | None = None

    @classmethod
    def of(cls, recipe: Path, allow: Sequence[str | Path] = ()) -> RecipeFolder:
        """Return the folder of a recipe.

        Raises:
            InputError: see :meth:`Allowed.of`.
        """
        return cls.under(Allowed.of(recipe, allow))

    @classmethod
    def under(cls, allowed: Allowed) -> RecipeFolder:
        """Return the folder under these rules."""
        folder = cls(allowed.folder)
        folder.allowed = allowed
        return folder

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:  # type: ignore[override]
        """Return the path of a name.

        Raises:
            RecipeError: if the recipe may not read it; see :meth:`Allowed.file`.
        """
        return self.joinpath(name)

    def joinpath(  # type: ignore[override]
        self, *names: str | os.PathLike[str], key: str = ""
    ) -> Path:
        """Return the path of a name, as ``/`` does; errors name the recipe's key."""
        if self.allowed is None:  # a path that was made of a recipe's folder, such as its parent
            return Path(self).joinpath(*names)
        return self.allowed.file(os.path.join(*names), key)  # noqa: PTH118 - one name of several

    def resolve(self, strict: bool = False) -> Path:  # type: ignore[override]
        """Return itself: its links are resolved."""
        return super().resolve(strict) if self.allowed is None else self

    def absolute(self) -> Path:  # type: ignore[override]
        """Return itself."""
        return super().absolute() if self.allowed is None else self

    def with_segments(self, *parts: Any) -> Path:
        """What is made of it (by Python 3.12 and later) is a plain path."""
        return Path(*parts)

    def __reduce__(self) -> Any:
        """Keep the rules where it is sent to another process."""
        if self.allowed is None:
            return (Path, (str(self),))
        return (RecipeFolder.under, (self.allowed,))


def check_address(folder: Path, address: str) -> None:
    """Raise RecipeError unless an address may be read from this recipe's folder.

    A plain folder has no recipe, and whoever names it answers for the address.
    """
    if isinstance(folder, RecipeFolder) and folder.allowed is not None:
        folder.allowed.address(address)


def is_the_users(folder: Path, path: Path) -> bool:
    """Return whether a file beside a recipe has the user's word, and not only the recipe's."""
    allowed = folder.allowed if isinstance(folder, RecipeFolder) else None
    return allowed is None or allowed.is_named(path)


def code_file(folder: Path, name: str) -> Path:
    """Return the path of a Python file that a recipe wants executed.

    Raises:
        RecipeError: if the user does not allow it; see :meth:`Allowed.code`.
    """
    allowed = folder.allowed if isinstance(folder, RecipeFolder) else None
    return folder / name if allowed is None else allowed.code(name)
