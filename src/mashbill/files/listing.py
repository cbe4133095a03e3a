"""Fetching what an address stands for: a file, a folder's files or those that a glob names.

Addresses are those of :mod:`mashbill.files.fetch`, and besides:

* ``FOLDER`` or ``FOLDER/*.parquet``: relative to the recipe.
* ``s3://BUCKET/PATH``, ``gs://``, ``https://`` and whatever else fsspec knows.
* ``hf:datasets/OWNER/NAME[@REVISION][/FILE, FOLDER or GLOB]``.

What lies elsewhere is identified by its bytes: the recipe pins the SHA-256 of the file, or of the
list of a folder's files, which is the text that ``sha256sum`` prints for them, sorted by name.
Files are kept in the cache under their own digest, so that what is pinned is fetched once.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError
from mashbill.core.folder import LOCAL, check_address
from mashbill.core.store import publish, write_atomically
from mashbill.files.beside import base_of, beside
from mashbill.files.fetch import check_pin, fetch, is_elsewhere
from mashbill.files.hub_repository import HubAddress, hub_download, hub_found
from mashbill.files.remote import Found, Remote, protocol_of, remote_address, shown_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.files.beside import Choose

__all__ = ["File", "beside", "fetch_all", "is_elsewhere", "listing_digest"]


@dataclass(frozen=True)
class File:
    """One file that was fetched."""

    name: str
    """below the address, as lists have it"""
    shown: str
    """how errors name it"""
    path: Path
    """where its bytes are"""
    sha256: str
    """empty for a single file beside the recipe, whose digest the recipe has"""


def listing_digest(files: Sequence[File]) -> str:
    """Return the SHA-256 of the list of some files: a line ``DIGEST  NAME`` each, by name."""
    return digest_bytes(_listing(files).encode())


def _listing(files: Sequence[File]) -> str:
    return "".join(_listed(file) for file in sorted(files, key=lambda f: f.name))


def _listed(file: File) -> str:
    """Return a file's line, as ``sha256sum`` writes it: no name can pass for a line of its own."""
    name = file.name
    for character, escape in _ESCAPES.items():
        name = name.replace(character, escape)
    return f"{chr(92) * (name != file.name)}{file.sha256}  {name}\n"


def _read_listed(line: str) -> tuple[str, str]:
    """Return the digest and the name that a line of :func:`_listed` holds."""
    sha256, name = line.removeprefix("\\").split("  ", 1)
    if line.startswith("\\"):
        back = {escape: character for character, escape in _ESCAPES.items()}
        name = re.sub(r"\\[\\nr]", lambda found: back[found[0]], name)
    return sha256, name


_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


def fetch_all(
    address: str, sha256: str | None, folder: Path, cache: Path, choose: Choose
) -> tuple[File, ...]:
    """Return the files that an address stands for, in order of their names.

    Args:
        address: see the module.
        sha256: what the file, or the list of the files, must have; needed for what is elsewhere.
        folder: what a relative path starts from.
        cache: where fetched files are kept.
        choose: which of a folder's files are wanted, given their names and the address.

    Raises:
        InputError: if they cannot be had, are not pinned, or are not those that are pinned.
        MissingExtraError: if the package that knows the service is not installed.
        RecipeError: if the recipe may not read one of them (:mod:`mashbill.core.folder`).
    """
    check_address(folder, address)
    if is_elsewhere(address):
        check_pin(address, sha256)
    if address.startswith("pypi:"):
        path = fetch(address, sha256, folder, cache)
        return (File(path.name, str(path), path, ""),)
    if not is_elsewhere(address):
        return _from_here(address, sha256, folder, cache, choose)
    kept = _kept(address, sha256, cache) if sha256 is not None else ()
    if protocol_of(address) in LOCAL:
        files = _from_this_disk(address, folder, cache, choose)
    else:
        files = kept or _from_elsewhere(address, cache, choose)
    is_one = len(files) == 1 and files[0].shown == shown_address(address)
    found = files[0].sha256 if is_one else listing_digest(files)
    _check(address, files, found, sha256, is_one=is_one)
    if not is_one and not kept:
        lists = cache / "files" / "lists"
        lists.mkdir(parents=True, exist_ok=True)
        write_atomically(lists / found, _listing(files).encode())
    return files


def _from_here(
    address: str, sha256: str | None, folder: Path, cache: Path, choose: Choose
) -> tuple[File, ...]:
    names = beside(address, folder, choose)
    if names == (address,):
        path = fetch(address, sha256, folder, cache)
        return (File(path.name, str(path), path, ""),)
    base = folder / base_of(address, folder)
    paths = [folder / name for name in names]
    files = tuple(
        File(path.relative_to(base).as_posix(), str(path), path, digest_file(path))
        for path in paths
    )
    if sha256 is not None:
        _check(address, files, listing_digest(files), sha256, is_one=False)
    return files


def _from_this_disk(address: str, folder: Path, cache: Path, choose: Choose) -> tuple[File, ...]:
    """Return the files of a ``file://`` address, where they lie."""
    path = address.partition("://")[2]
    if not path.startswith("/"):
        msg = f"{address[:300]}: write file:///ABSOLUTE/PATH, or a path alone"
        raise InputError(msg)
    files = _from_here(path, None, folder, cache, choose)
    if len(files) == 1 and not files[0].sha256:
        return (File(files[0].name, address, files[0].path, digest_file(files[0].path)),)
    return files


def _kept(address: str, sha256: str, cache: Path) -> tuple[File, ...]:
    """Return the files of a pinned address from the cache; none if one is not there, or ill."""
    listed = cache / "files" / "lists" / sha256
    try:
        if not listed.exists():
            shown = shown_address(address)
            kept = [
                File(PurePosixPath(shown).name, shown, cache / "files" / sha256 / "bytes", sha256)
            ]
        else:
            lines = [_read_listed(line) for line in listed.read_text("utf-8")[:-1].split("\n")]
            kept = [
                File(name, f"{address} → {name}", cache / "files" / one / "bytes", one)
                for one, name in lines
            ]
        if all(digest_file(file.path) == file.sha256 for file in kept):
            return tuple(kept)
    except (OSError, ValueError):
        return ()
    return ()


def _from_elsewhere(address: str, cache: Path, choose: Choose) -> tuple[File, ...]:
    """Fetch the files of an address into the cache."""
    if address.startswith("hf:"):
        asked = HubAddress.parse(address)
        found = hub_found(asked)
        files = []
        for name, path in _wanted(found, address, choose):
            shown = address if found.kind == "file" else asked.file(path)
            files.append(_keep(name, shown, hub_download(asked, path, cache), cache))
        return tuple(files)
    remote = Remote(address)
    found = remote.found()
    folder = cache / "files"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch:
        for name, path in _wanted(found, address, choose):
            shown = remote_address(remote, found, name)
            remote.download(path, shown, Path(scratch) / "bytes")
            files.append(_keep(name, shown, Path(scratch) / "bytes", cache))
    return tuple(files)


def _wanted(found: Found, address: str, choose: Choose) -> list[tuple[str, str]]:
    """Return name and path of the files that are wanted."""
    names = sorted(found.files)
    if found.kind == "folder":
        names = choose(names, address)
    return [(name, found.files[name]) for name in names]


def _keep(name: str, shown: str, got: Path, cache: Path) -> File:
    """Keep a fetched file under its digest, without a copy where the disk allows that."""
    sha256 = digest_file(got)
    kept = cache / "files" / sha256 / "bytes"
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_name(f".{os.getpid()}")
    try:
        os.link(got.resolve(), temporary)
    except OSError:
        shutil.copyfile(got, temporary)
    publish(temporary, kept)
    got.unlink(missing_ok=True)
    return File(name, shown, kept, sha256)


def _check(
    address: str, files: Sequence[File], found: str, sha256: str | None, *, is_one: bool
) -> None:
    """Raise InputError if the bytes are not pinned, or are not the pinned ones."""
    what = "its SHA-256" if is_one else f"the SHA-256 of the list of its {len(files)} files"
    if sha256 is None:
        msg = (
            f"{address}: pin sha256, so that it is the same tomorrow; as it is now, {what} is "
            f"{found}: write sha256 = {found!r} beside source if that is what you mean to read"
        )
        raise InputError(msg)
    if found != sha256:
        now = "; ".join(f"{file.name} {file.sha256[:12]}" for file in files[:6])
        msg = (
            f"{address}: {what} is {found}, the recipe pins {sha256}; the bytes have changed, or "
            f"files came or went (now: {now}{', …' * (len(files) > 6)}); not used"
        )
        raise InputError(msg)
