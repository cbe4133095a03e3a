"""Files behind an address that fsspec knows: s3://, gs://, https://, memory:// and its others.

Who asks, and which server is asked, is told by the environment that each service's own tools read:
``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_PROFILE`` for S3;
``GOOGLE_APPLICATION_CREDENTIALS`` for gs; ``FSSPEC_S3_ANON=true`` for a bucket open to all. An
address never holds them, since it is recorded.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError, MissingExtraError
from mashbill.core.extras import needs
from mashbill.core.folder import LOCAL
from mashbill.files.opening import may_come

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from urllib.parse import SplitResult

_EXTRA = "objects"
_OURS = ("s3", "s3a", "http", "https")  # what the extra brings
_AWS = "AWS"
_WEB = ("http", "https")
_NO_FOLDERS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss")
_PIECE = 1 << 20
MAGIC = frozenset("*?[")
"""Characters that make an address a glob."""


def protocol_of(address: str) -> str:
    """Return the scheme of an address, of a chain all that stands before it; empty for a path."""
    head, mark, _ = address.partition("://")
    return head.lower() if mark else ""


def is_shown(name: str) -> bool:
    """Return whether no part of a relative name begins with ``.`` or ``_``: markers and caches."""
    return not any(part.startswith((".", "_")) for part in PurePosixPath(name).parts)


@dataclass(frozen=True)
class Found:
    """What an address stands for."""

    files: Mapping[str, str]
    """name below the address -> path in its file system"""
    kind: str
    """file, folder or glob"""


class Remote:
    """One address and the file system that it is in."""

    def __init__(self, address: str) -> None:
        """Open it; nothing is asked yet.

        Raises:
            InputError: if the address holds a password, or names a service that is not known here.
            MissingExtraError: if fsspec, or what it needs for S3 and the web, is not installed.
        """
        self.address = address
        self.protocol = protocol_of(address)
        if "::" in self.protocol:
            msg = (
                f"{address}: a chain of addresses is not followed; name the file itself, and what "
                "is in an archive by members or member"
            )
            raise InputError(msg)
        if "@" in _split(address).netloc and self.protocol in (*_NO_FOLDERS, *_WEB, "ftp"):
            msg = (
                f"{self.protocol}://…{urlsplit(address).path}: an address is recorded, so no name "
                "or password belongs in it; set the service's own environment variables"
            )
            raise InputError(msg)
        with needs(address, _EXTRA):
            import fsspec
        try:
            # fsspec keeps one client a service and set of options: the server is one of these.
            endpoint = _endpoint(self.protocol)
            options = {"endpoint_url": endpoint} if endpoint not in ("", _AWS) else {}
            # Not url_to_fs: it would follow chains such as simplecache::file:///etc/passwd.
            service = fsspec.get_filesystem_class(self.protocol)
            # The methods are those that url_to_fs calls, and every file system has them.
            self._fs = service(**service._get_kwargs_from_urls(address), **options)  # noqa: SLF001
            self.path = str(self._fs._strip_protocol(address))  # noqa: SLF001
            self._fs.invalidate_cache()
        except ImportError as error:
            if self.protocol in _OURS:
                raise MissingExtraError(address, _EXTRA) from error
            msg = f"{address}: {error}"
            raise InputError(msg) from error
        except Exception as error:
            msg = (
                f"{address[:300]}: {error!s:.200}; write a path, s3://, gs://, https:// or "
                "hf:datasets/…"
            )
            raise InputError(msg) from error

    @contextmanager
    def _told(self, doing: str, address: str = "") -> Iterator[None]:
        """Tell what went wrong in words that name the address, the server and the remedy."""
        name = address or self.address
        endpoint = _endpoint(self.protocol)
        at = f" at {endpoint}" if endpoint else ""
        try:
            yield
        except FileNotFoundError as error:
            msg = f"{name}: nothing of that name is there{at} ({error!s:.200}); check {_PLACES}"
            raise InputError(msg) from error
        except (InputError, MissingExtraError):
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error!s:.300}"
            if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
                msg = f"{name}: access is refused{at} ({why}); {_credentials(self.protocol)}"
            else:
                variable = " and AWS_ENDPOINT_URL" if endpoint else ""
                msg = f"{name} could not be {doing}{at}: {why}; check the connection{variable}"
            raise InputError(msg) from error

    def found(self) -> Found:
        """Return the files that the address stands for.

        Raises:
            InputError: if nothing is there, or it cannot be asked.
        """
        if self.protocol in _WEB:
            name = PurePosixPath(unquote(_split(self.address).path)).name
            if not name or "*" in name:
                msg = (
                    f"{self.address}: a web server cannot be asked which files it has; name one "
                    "file, or use s3://, gs:// or hf:datasets/…"
                )
                raise InputError(msg)
            return Found({name: self.path}, "file")
        with self._told("read"):
            path = self.path.rstrip("/")
            if MAGIC & set(path) and not self._fs.exists(path):
                base = _before_magic(path)
                found = self._fs.glob(path, detail=True)
                kind = "glob"
            elif self._fs.info(path)["type"] == "file":
                return Found({PurePosixPath(path).name: path}, "file")
            else:
                base, kind = path, "folder"
                found = self._fs.find(path, detail=True)
            names = {
                str(where)[len(base) :].lstrip("/"): str(where)
                for where, facts in sorted(found.items())
                if facts["type"] == "file" and not str(where).endswith("/")
            }
        if kind == "folder":
            names = {name: where for name, where in names.items() if is_shown(name)}
        check_names(self.address, names)
        if not names:
            msg = f"{self.address}: there is no file{' of that pattern' * (kind == 'glob')}; check "
            raise InputError(msg + _PLACES)
        return Found(names, kind)

    def download(self, path: str, address: str, to: Path) -> None:
        """Copy one file to this disk.

        Raises:
            InputError: if it cannot be had, or came shorter than the service says it is.
        """
        with needs(address, _EXTRA):
            from fsspec.callbacks import Callback

        class Counted(Callback):  # type: ignore[misc]
            """Told of each piece that came; what it raises ends the download."""

            def relative_update(self, inc: int = 1) -> None:
                super().relative_update(inc)
                may_come(address, self.value, size)

        with self._told("fetched", address):
            size = self._fs.info(path).get("size")
            may_come(address, 0, size)
            self._fs.get_file(path, str(to), callback=Counted())
        if size is not None and to.stat().st_size != size:
            msg = f"{address}: {to.stat().st_size} of {size} bytes came; try again"
            raise InputError(msg)

    # As a place to publish to:

    def names(self, within: Sequence[str] = ()) -> set[str]:
        """Return the names of the files that lie there, and in folders of some names.

        None are there if the folder is not.
        """
        if self.protocol in _WEB:
            msg = f"{self.address}: a web address can be read, and nothing published to it"
            raise InputError(msg)
        names = set()
        for folder in ("", *within):
            with self._told("read"):
                try:
                    found = self._fs.ls(self._inside(folder), detail=True)
                except (FileNotFoundError, NotADirectoryError):
                    continue
            for item in found:
                path = PurePosixPath(item["name"])
                # A service without folders lists a file when it is asked for one of that name.
                if item["type"] == "file" and path.parent.name == (folder or path.parent.name):
                    names.add(f"{folder}/{path.name}".lstrip("/"))
        return names

    def _inside(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    def is_same(self, name: str, file: Path) -> bool:
        """Return whether the file of this name there has the bytes of a file here."""
        path = f"{self.path.rstrip('/')}/{name}"
        with self._told("read", f"{self.address.rstrip('/')}/{name}"):
            if self._fs.info(path)["size"] != file.stat().st_size:
                return False
            sha256 = hashlib.sha256()
            with self._fs.open(path, "rb") as stream:
                while piece := stream.read(_PIECE):
                    sha256.update(piece)
        return sha256.hexdigest() == digest_file(file)

    def write(self, files: Mapping[str, Path], remove: Sequence[str]) -> None:
        """Write files in order, each whole or not at all where the service does so, then remove.

        Raises:
            InputError: naming the file that could not be written; those before it are there.
        """
        folder = self.path.rstrip("/")
        with self._told("written"):
            if self.protocol not in _NO_FOLDERS:
                self._fs.makedirs(folder, exist_ok=True)
        for name, file in files.items():
            address = f"{self.address.rstrip('/')}/{name}"
            with self._told("written", address):
                if "/" in name and self.protocol not in _NO_FOLDERS:
                    self._fs.makedirs(f"{folder}/{PurePosixPath(name).parent}", exist_ok=True)
                self._fs.put_file(str(file), f"{folder}/{name}")
                self._fs.invalidate_cache()
                size = self._fs.info(f"{folder}/{name}")["size"]
            if size != file.stat().st_size:
                msg = f"{address}: {size} of {file.stat().st_size} bytes arrived; publish again"
                raise InputError(msg)
        for name in remove:
            with self._told("removed", f"{self.address.rstrip('/')}/{name}"):
                self._fs.rm_file(f"{folder}/{name}")


def check_names(address: str, names: Iterable[str]) -> None:
    """Raise InputError if a name that a service tells of is none of a file below the address."""
    for name in names:
        parts = name.split("/")
        if ".." in parts or not all(parts) or "\0" in name:
            msg = f"{address[:300]}: it says to hold {name[:160]!r}, which is no name of a file"
            raise InputError(msg)
        try:
            name.encode()
        except UnicodeEncodeError as error:
            msg = f"{address[:300]}: the name of file {name[:160]!r} is no UTF-8; rename it"
            raise InputError(msg) from error


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        msg = f"{address[:300]!r} is no address: {error}; correct it"
        raise InputError(msg) from error


_PLACES = "the bucket or host, and the path"


def _before_magic(path: str) -> str:
    """Return the folder of a pattern above the first part that has a pattern in it."""
    parts = path.split("/")
    first = next(i for i, part in enumerate(parts) if MAGIC & set(part))
    return "/".join(parts[:first])


def _endpoint(protocol: str) -> str:
    """Return which server S3 is, as its own tools read it; empty for other services."""
    if protocol not in ("s3", "s3a"):
        return ""
    usual = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next((value for name in usual if (value := os.environ.get(name))), _AWS)


def _credentials(protocol: str) -> str:
    if protocol in ("s3", "s3a"):
        return (
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a bucket open to "
            "all, FSSPEC_S3_ANON=true"
        )
    return "set the credentials that the service's own tools read"


def shown_address(address: str) -> str:
    """Return an address for people: of a web address, without what may be a key in its query."""
    return address.split("?", 1)[0] if protocol_of(address) in _WEB else address


def remote_address(remote: Remote, found: Found, name: str) -> str:
    """Return the address of one file of those that were found, for people."""
    if found.kind == "file":
        return shown_address(remote.address)
    base = _before_magic(remote.address) if found.kind == "glob" else remote.address.rstrip("/")
    return f"{base}/{name}"


def folder_of(address: str) -> str:
    """Return the path of a ``file://`` address, and any other as it is."""
    if protocol_of(address) in LOCAL:
        return unquote(_split(address).path)
    return os.fspath(address)
