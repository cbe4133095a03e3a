"""Files that are derived from others, and believed only if nothing has changed.

Beside a data file lies a *seal*: its digest, those of the files that it was derived from, and of
the code that made it, signed with the user's key. A data file is believed if the seal is the
user's, names these files and this code, and all digests hold; else it is made anew.

A file of hundreds of megabytes is not digested for each question: one whose device, number, size,
and times of change are those that were sealed is the file that was digested. The time of a change
(ctime) is set by the system at each write; files that changed less than two seconds before they
were looked at are digested again, since a second change could bear the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError
from mashbill.core.parsing import foreign, json_object, read_bytes
from mashbill.core.store import publish, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

    from mashbill.core.ledger import Signer

_SEAL_BYTES = 1 << 20
_SETTLED_NS = 2_000_000_000
_ALIGNED = 64


@dataclass(frozen=True)
class Origin:
    """A file that something is derived from, as it was when it was looked at."""

    file: Path | Traversable
    stat: tuple[int, ...] | None
    """device, number, size, times; None for what is no file of its own"""

    @classmethod
    def of(cls, file: Path | Traversable) -> Origin:
        """Look at a file."""
        return cls(file, _stat(file))

    @property
    def name(self) -> str:
        """Where it is."""
        return str(self.file.absolute() if isinstance(self.file, Path) else self.file)


@dataclass(frozen=True)
class Held:
    """Tables that are kept."""

    tables: dict[str, pa.Table]
    sha256: str
    """of the data file"""


@dataclass(frozen=True)
class Sealed:
    """The place of one data file and its seal."""

    folder: Path
    stem: str
    """what the names of both begin with"""
    code: str
    """digest of what they are made by, and of"""
    signer: Signer

    @property
    def seal(self) -> Path:
        """Where the seal is."""
        return self.folder / f"{self.stem}.json"

    def opened(self, origins: Sequence[Origin] = ()) -> Held | None:
        """Return what is kept, mapped into memory, if it is to be believed.

        Args:
            origins: the files that it should be derived from.
        """
        try:
            text = json_object(self.seal, most=_SEAL_BYTES)
            body = text["body"]
            if text["signature"] != self._signed(body) or body["code"] != self.code:
                return None
            now = time.time_ns()
            data = self.folder / str(body["data"]["name"])
            names = [told["name"] for told in body["origins"]]
            if names != [origin.name for origin in origins]:
                return None
            seen = [
                _seen(origin.file, origin.stat, told, now)
                for origin, told in zip(origins, body["origins"], strict=True)
            ]
            whole = _seen(data, _stat(data), body["data"], now)
            if None in seen or whole is None:
                return None
            tables = _mapped(data, body["parts"])
        except (InputError, OSError, KeyError, TypeError, ValueError):
            return None
        if [*seen, whole] != [*body["origins"], body["data"]]:  # digested anew, and the same
            with contextlib.suppress(OSError):
                self._write({**body, "origins": seen, "data": whole})
        return Held(tables, whole["sha256"])

    def store(
        self,
        tables: Mapping[str, pa.Table],
        origins: Sequence[tuple[Origin, str]] = (),
        looked: int = 0,
    ) -> Path:
        """Keep tables; return the data file.

        Args:
            tables: what is kept.
            origins: the files that it was derived from, each with the digest that was read.
            looked: when these were looked at, in nanoseconds.

        Raises:
            OSError: if they cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        told, parts = self._data(tables)
        files = [
            {"name": origin.name, "sha256": digest, **_times(origin.stat, looked)}
            for origin, digest in origins
        ]
        self._write({"code": self.code, "origins": files, "data": told, "parts": parts})
        return self.folder / str(told["name"])

    def _data(self, tables: Mapping[str, pa.Table]) -> tuple[dict[str, Any], dict[str, list[int]]]:
        """Write the data; return what the seal says of the file, and where its parts are."""
        temporary = self.folder / f".{self.stem}.{os.getpid()}"
        digest, parts = hashlib.sha256(), {}
        try:
            with temporary.open("wb") as stream:
                for name, table in tables.items():
                    sink = pa.BufferOutputStream()
                    with pa.ipc.new_file(sink, table.schema) as writer:
                        writer.write_table(table)
                    data = sink.getvalue()
                    parts[name] = [stream.tell(), data.size]
                    for piece in (data, b"\0" * (-data.size % _ALIGNED)):
                        stream.write(piece)
                        digest.update(piece)
            file = self.folder / f"{self.stem}-{digest.hexdigest()[:16]}.arrow"
            publish(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
        told = {"name": file.name, "sha256": digest.hexdigest()}
        return {**told, **_times(_stat(file), time.time_ns())}, parts

    def _write(self, body: dict[str, Any]) -> None:
        text = json.dumps({"body": body, "signature": self._signed(body)}, indent=1)
        write_atomically(self.seal, f"{text}\n".encode())

    def _signed(self, body: Any) -> str:
        # Ed25519 signs the same bytes in the same way each time, so that signing again is a check.
        # JSON's own writer, since numbers of files are beyond what a canonical text may hold.
        text = json.dumps(["mashbill sealed", self.stem, body], sort_keys=True)
        return self.signer.sign(text.encode()).hex()


def _mapped(file: Path, parts: dict[str, list[int]]) -> dict[str, pa.Table]:
    """Return the tables of a file whose digest holds: mapped, and read as they are asked for."""
    with foreign(file, "a data file"), pa.memory_map(str(file)) as mapped:
        data = mapped.read_buffer(mapped.size())
        return {
            name: pa.ipc.open_file(pa.BufferReader(data.slice(*place))).read_all()
            for name, place in parts.items()
        }


def _stat(file: Path | Traversable) -> tuple[int, ...] | None:
    if not isinstance(file, Path):
        return None
    try:
        found = file.stat()
    except OSError:
        return None  # whoever reads it says what is wrong
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _times(stat: tuple[int, ...] | None, now: int) -> dict[str, Any]:
    return {"stat": None if stat is None else list(stat), "looked": now}


def _seen(
    file: Path | Traversable, stat: tuple[int, ...] | None, told: dict[str, Any], now: int
) -> dict[str, Any] | None:
    """Return what the seal is to say of a file, or None if it is not the one that was sealed."""
    if stat is not None and list(stat) == told["stat"]:
        settled = told["looked"] - max(stat[3], stat[4]) > _SETTLED_NS
        if settled:
            return told
    return {**told, **_times(stat, now)} if _digest(file) == told["sha256"] else None


def _digest(file: Path | Traversable) -> str:
    return digest_file(file) if isinstance(file, Path) else digest_bytes(read_bytes(file))
