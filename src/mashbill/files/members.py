"""Which members of an archive a pattern stands for."""

from __future__ import annotations

import fnmatch
import tarfile
import zipfile
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from mashbill.core.errors import InputError
from mashbill.files.archives import member_of, members_in
from mashbill.files.opening import DAMAGE, open_file
from mashbill.files.remote import MAGIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST = 10_000
"""members that one pattern may stand for: each is unpacked as a file of its own"""


def members_like(archive: Path, inside: str, shown: str = "") -> list[str]:
    """Return the members of an archive that a path stands for, in order of their names.

    Args:
        archive: the file.
        inside: path of a member, which is returned as it is; or with ``*``, ``?`` and ``[...]`` in
            its last archive a pattern, in which ``**`` is any number of folders.
        shown: how errors name the archive; its name if empty.

    Raises:
        InputError: naming archive and pattern, if none fits, or too many do.
    """
    above, _, pattern = inside.rpartition("!")
    if not MAGIC & set(pattern):
        return [inside]
    where = shown or archive.name
    parts = [part for part in PurePosixPath(pattern).parts if part != "."]
    with ExitStack() as stack:
        data: BinaryIO = stack.enter_context(
            member_of(archive, above, where) if above else open_file(archive, where)
        )
        try:
            every = members_in(data, where)
            found = sorted({name for name, _, _ in every if _fits(name.split("/"), parts)})
        except (zipfile.BadZipFile, NotImplementedError, tarfile.TarError, *DAMAGE) as error:
            msg = (
                f"{where} is neither a zip nor a tar archive, or not a whole one ({error!s:.200}), "
                f"so no member fits {pattern[:160]!r}; fetch it again, or correct members"
            )
            raise InputError(msg) from error
    if not found:
        msg = f"{where}: no member fits the pattern {pattern[:160]!r}; correct members"
        raise InputError(msg)
    if len(found) > _MOST:
        msg = (
            f"{where}: {len(found):,} members fit {pattern[:160]!r}, and {_MOST:,} may; make it "
            "narrower"
        )
        raise InputError(msg)
    return [f"{above}!{name}" if above else name for name in found]


def _fits(name: Sequence[str], parts: Sequence[str]) -> bool:
    """Return whether a name fits a pattern, part by part; ``**`` stands for any folders."""
    # Where in the pattern one may be: a set, so that many ** cost no more than one each.
    at = {0}
    for place, part in enumerate(name):
        at |= _further(at, parts)
        is_last = place == len(name) - 1
        now = {s + 1 for s in at if s < len(parts) and parts[s] != "**" and
               fnmatch.fnmatchcase(part, parts[s])}  # fmt: skip
        if not is_last:
            now |= {s for s in at if s < len(parts) and parts[s] == "**"}
        at = now
    return len(parts) in at


def _further(at: set[int], parts: Sequence[str]) -> set[int]:
    """Return where one may be too, since ``**`` may stand for no folder."""
    found = set(at)
    for place, part in enumerate(parts):
        if place in found and part == "**":
            found.add(place + 1)
    return found
