"""The files of this disk that a path stands for: a file, a folder's files, or those of a glob.

The files of a mashbill store are never among a folder's or a glob's: they would be read as rows of
their own making. A folder is walked once, however its pattern is made, and links to folders are
followed only where a part of the pattern names them.
"""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.folder import RecipeFolder, check_address
from mashbill.core.store import LEDGER
from mashbill.files.remote import MAGIC, check_names, is_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Choose = Callable[[Sequence[str], str], list[str]]

_MOST = 1_000_000  # entries of a folder that are looked at
_OF_A_STORE = frozenset(
    {LEDGER, "calls.sqlite", "calls.sqlite-wal", "calls.sqlite-shm", "datasets", "models",
     "reports", ".work", ".locks"}
)  # fmt: skip


def beside(address: str, folder: Path, choose: Choose) -> tuple[str, ...]:
    """Return the files that a path beside the recipe stands for, relative to the recipe's folder.

    Args:
        address: a file, a folder or a glob.
        folder: what a relative path starts from.
        choose: which of a folder's files are wanted, given their names and the address.

    Raises:
        InputError: if nothing is there, or it is a folder that holds the recipe or a store.
        RecipeError: if one of them leads out of what the recipe may read.
    """
    check_address(folder, address)
    try:
        if not address.strip() or "\0" in address:
            msg = f"{address[:160]!r} names no file; write its path, from the recipe's folder"
            raise InputError(msg)
        path = folder / address
        if path.is_file() or not (path.is_dir() or MAGIC & set(address)):
            return (address,)  # whoever reads it says so if it is not there
        if path.is_dir():
            names = _folder(path, address, folder)
            return tuple(str(PurePosixPath(address, name)) for name in choose(names, address))
        return _glob(address, folder)
    except (OSError, ValueError) as error:
        msg = f"{address[:160]!r} cannot be looked at: {error!s:.200}; correct the address"
        raise InputError(msg) from error


def base_of(address: str, folder: Path) -> PurePosixPath:
    """Return the folder that names are below: the address, or what is above its pattern."""
    path = PurePosixPath(address)
    if (folder / address).is_dir():
        return path
    first = next(i for i, part in enumerate(path.parts) if MAGIC & set(part))
    return PurePosixPath(*path.parts[:first])


def _folder(path: Path, address: str, folder: Path) -> list[str]:
    real = path.resolve()
    if folder.resolve().is_relative_to(real):
        msg = (
            f"{address!r} is the recipe's own folder, or one above it, with the recipe and what "
            "else lies there; put the data into a folder of its own, or name files with a glob"
        )
        raise InputError(msg)
    names = sorted(name for name in _walk(path, ("**", "*")) if is_shown(name))
    stores = _Stores()
    for name in names:
        if (store := stores.around(path / name)) is not None:
            msg = (
                f"{address}: {name} is part of the store {store}, and a store is not read as rows; "
                "name the files themselves, or a folder that `mashbill publish` wrote"
            )
            raise InputError(msg)
        folder.joinpath(address, name)
    check_names(address, names)
    return names


def _glob(address: str, folder: Path) -> tuple[str, ...]:
    base = base_of(address, folder)
    pattern = PurePosixPath(address).relative_to(base).parts
    if ".." in pattern:
        msg = f"{address}: '..' behind a pattern leads back; name the folder without it"
        raise InputError(msg)
    stores, left_out, files = _Stores(), "", []
    top = folder / base
    names = sorted(_walk(top, pattern)) if top.is_dir() else []
    check_names(address, names)
    for name in names:
        store = stores.around(top / name)
        if store is None:
            files.append(str(base / name))
        left_out = left_out or str(store or "")
    if not files:
        why = f" but those of the store {left_out}, which are not read as rows" * bool(left_out)
        msg = f"{address}: no file beside the recipe ({folder}) fits this pattern{why}; correct it"
        raise InputError(msg)
    allowed = folder.allowed if isinstance(folder, RecipeFolder) else None
    for file in files:
        path = folder / file
        if allowed is not None and path.resolve() == allowed.own:
            msg = f"{address}: the pattern takes in the recipe itself, {file}; make it narrower"
            raise InputError(msg)
    return tuple(files)


def _walk(root: Path, pattern: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder that fit a pattern, as names from there.

    A folder is entered once for all the ways in which the pattern may go on in it: what patterns of
    many ``**`` would cost otherwise grows with the power of their number.
    """
    parts = [p for i, p in enumerate(pattern) if p != "**" or pattern[i - 1 : i] != ("**",)]
    waiting, seen = [(str(root), "", _further({0}, parts))], 0
    while waiting:
        where, below, states = waiting.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                seen += 1
                if seen > _MOST:
                    msg = f"{root} holds more than {_MOST} files and folders; name a smaller one"
                    raise InputError(msg)
                name = f"{below}{entry.name}"
                now = {s + 1 for s in states if s < len(parts) and _fits(entry.name, parts[s])}
                if entry.is_dir():
                    if not entry.is_symlink():
                        now |= {s for s in states if s < len(parts) and parts[s] == "**"}
                    if now := _further(now, parts) - {len(parts)}:
                        waiting.append((entry.path, f"{name}/", now))
                elif len(parts) in now and entry.is_file():
                    yield name


def _fits(name: str, part: str) -> bool:
    return part != "**" and fnmatch.fnmatchcase(name, part)


def _further(states: set[int], parts: list[str]) -> set[int]:
    """Return where a pattern may stand too, since ``**`` may stand for nothing."""
    return states | {s + 1 for s in states if s < len(parts) and parts[s] == "**"}


class _Stores:
    """Finds out which files are part of a store."""

    def __init__(self) -> None:
        self._at: dict[Path, tuple[Path, ...]] = {}

    def around(self, path: Path) -> Path | None:
        """Return the store that a file is part of; None if it is of none."""
        real = Path(os.path.realpath(path))
        return next(
            (
                store
                for store in self._above(real.parent)
                if real.relative_to(store).parts[0] in _OF_A_STORE
            ),
            None,
        )

    def _above(self, folder: Path) -> tuple[Path, ...]:
        above: tuple[Path, ...] = ()
        for each in (*reversed(folder.parents), folder):
            if each not in self._at:
                self._at[each] = (*above, each) if (each / LEDGER).exists() else above
            above = self._at[each]
        return above
