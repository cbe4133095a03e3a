"""Files of a package registry, fetched as files: nothing of a package is built, run or installed.

Where to look is what pip is configured with: ``index-url``, ``extra-index-url``, ``find-links``,
``no-index``, ``trusted-host`` and ``cert``, from its files and its environment. Indexes answer by
PEP 503 (HTML) or PEP 691 (JSON), over http(s) or from a folder. The recipe pins the bytes, so an
index is believed in nothing.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError
from mashbill.files.index_pages import Link, links_of
from mashbill.files.web import Web, folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PUBLIC = "https://pypi.org/simple"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9][\w.+!-]{0,250}", re.ASCII)
_UNTOLD = 8  # files whose digest the index does not tell, fetched to look at it
_YES = ("1", "true", "yes", "on", "y", "t")


@dataclass(frozen=True)
class Places:
    """Where pip would look."""

    indexes: tuple[str, ...] = (_PUBLIC,)
    links: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    """hosts, or HOST:PORT, whose certificates are not checked"""
    cert: str = ""

    @classmethod
    def configured(cls, environ: Mapping[str, str] = os.environ) -> Places:
        """Return what pip is configured with here; without pip, what its environment says."""
        said = _pip_says(environ)
        for name, value in environ.items():
            if name.startswith("PIP_"):
                said[name.removeprefix("PIP_").lower().replace("_", "-")] = value
        indexes = (said.get("index-url") or _PUBLIC, *said.get("extra-index-url", "").split())
        if said.get("no-index", "").strip().lower() in _YES:
            indexes = ()
        return cls(
            indexes,
            tuple(said.get("find-links", "").split()),
            tuple(said.get("trusted-host", "").split()),
            said.get("cert", ""),
        )


def _pip_says(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what pip's files set for a download."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], env=dict(environ),
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found: dict[str, dict[str, str]] = {"global": {}, "download": {}}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        key, equals, value = line.partition("=")
        section, _, name = key.partition(".")
        if equals and section in found:
            try:
                found[section][name] = str(ast.literal_eval(value))
            except (ValueError, SyntaxError):
                found[section][name] = value
    return found["global"] | found["download"]


def package_file(requirement: str, sha256: str | None, cache: Path) -> Path:
    """Return a local path of one file of a package, fetching it once.

    Args:
        requirement: NAME==VERSION.
        sha256: of its bytes, which tells its files apart: a wheel, or a source archive.
        cache: where it is kept.

    Raises:
        InputError: naming what was looked for, where and what to do.
    """
    name, version = _parsed(requirement)
    if sha256 is None:
        msg = f"pypi:{requirement[:160]}: pin sha256, so that it is the same file tomorrow"
        raise InputError(msg)
    folder = cache / "registry" / sha256
    for kept in sorted(folder.glob("*")) if folder.is_dir() else []:
        if kept.is_file() and digest_file(kept) == sha256:
            return kept
    places = Places.configured()
    web = Web(places.cert, places.trusted)
    tried: list[str] = []
    links = [link for link in _links(web, places, name, tried) if _is_of(link, name, version)]
    scratch = cache / "registry" / f".{sha256}.{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        for link in _wanted(links, sha256):
            got = scratch / link.name
            try:
                web.download(link.address, got)
            except InputError as error:
                tried.append(str(error))
                continue
            if digest_file(got) == sha256:
                folder.mkdir(exist_ok=True)
                got.replace(folder / link.name)
                return folder / link.name
            got.unlink()
            tried.append(f"{link.name} has another SHA-256")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    have = ", ".join(f"{link.name} {link.sha256[:12] or '(not told)'}" for link in links[:8])
    msg = (
        f"pypi:{requirement}: no file with the pinned SHA-256 {sha256[:12]}… was found; of this "
        f"version there is {have or 'nothing'}{told(tried)}. Check the name, the version and the "
        "pinned sha256, or fetch the file yourself and name its path"
    )
    raise InputError(msg)


def told(tried: list[str]) -> str:
    """Return what went wrong on the way, for an error."""
    return f" ({'; '.join(tried[:4]):.600})" if tried else ""


def _parsed(requirement: str) -> tuple[str, Version]:
    name, _, text = requirement.partition("==")
    try:
        version = Version(text)
    except InvalidVersion as error:
        msg = f"pypi:{requirement[:160]}: write pypi:NAME==VERSION, with the version in full"
        raise InputError(msg) from error
    if not _NAME.fullmatch(name):
        msg = f"pypi:{requirement[:160]}: {name[:80]!r} is no name of a package; correct it"
        raise InputError(msg)
    return canonicalize_name(name), version


def _links(web: Web, places: Places, name: str, tried: list[str]) -> Iterator[Link]:
    """Yield the files that each place has of a package; what cannot be asked is told."""
    for index in places.indexes:
        try:
            yield from links_of(web, f"{index.rstrip('/')}/{name}/")
        except InputError as error:
            tried.append(str(error))
    for place in places.links:
        try:
            yield from _found_in(web, place)
        except InputError as error:
            tried.append(str(error))


def _found_in(web: Web, place: str) -> Iterator[Link]:
    """Yield the files of a place of ``find-links``: a folder, a page here or elsewhere."""
    address = place if "://" in place else Path(place).expanduser().resolve().as_uri()
    folder = folder_of(address)
    if folder is None:
        yield from links_of(web, address)
        return
    for path in sorted(folder.iterdir()):
        yield Link(path.name, path.as_uri(), "")


def _is_of(link: Link, name: str, version: Version) -> bool:
    """Return whether a link is to a wheel or source archive of this version of the package."""
    if not _FILE.fullmatch(link.name):
        return False  # a name that leads anywhere else is none of a package's
    try:
        if link.name.endswith(".whl"):
            found, which, _, _ = parse_wheel_filename(link.name)
        else:
            found, which = parse_sdist_filename(link.name)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return False
    return found == name and which == version


def _wanted(links: list[Link], sha256: str) -> list[Link]:
    """Return the links to fetch: the pinned file, or else those whose digest is not told."""
    exact = [link for link in links if link.sha256 == sha256]
    return exact or [link for link in links if not link.sha256][:_UNTOLD]
