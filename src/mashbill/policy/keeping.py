"""Keeping an index for the next time, and believing it only if nothing has changed.

An index is derived from CSV files and never handed on: it lies in the user's own cache, and what
comes beside a catalogue is not read as one. Beside it lies a *seal*: the digests of the CSV files
and of the index, and of the code that made it, signed with the user's key. An index is believed if
the seal is the user's, names these files and this code, and all digests hold; else it is made anew.

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
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.cache import chosen_cache
from mashbill.core.canonical import canonical, digest_bytes, digest_file
from mashbill.core.errors import InputError, MashbillError
from mashbill.core.ledger import Signer
from mashbill.core.parsing import foreign, json_object, read_bytes
from mashbill.core.store import publish, write_atomically
from mashbill.policy.claims import Claim, Entity, catalogue_files
from mashbill.policy.columns import Read, read_columns
from mashbill.policy.index import Index
from mashbill.policy.merging import Merged, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.resources.abc import Traversable

KEPT_FROM = 4 << 20
"""bytes of CSV from which an index is kept; less is read in no time"""
MOST_KEPT = 6
"""catalogues whose indices are kept; the oldest go"""
_SEAL_BYTES = 1 << 20
_SETTLED_NS = 2_000_000_000
_CODE = ("claims", "columns", "merging", "index", "keeping")
_ALIGNED = 64


@dataclass(frozen=True)
class _File:
    """A CSV file as it was when it was looked at."""

    file: Path | Traversable
    model: type[Entity | Claim]
    stat: tuple[int, ...] | None
    """device, number, size, times; None for what is no file of its own"""

    @property
    def name(self) -> str:
        return str(self.file.absolute() if isinstance(self.file, Path) else self.file)


def open_index(
    more: Iterable[Path] = (),
    *,
    shipped: bool = True,
    folder: Path | None = None,
    kept_from: int = KEPT_FROM,
) -> Index:
    """Return the index of the shipped catalogue, and of folders or files of one's own behind it.

    Args:
        more: as :func:`mashbill.policy.claims.load_catalogue` takes them.
        shipped: whether to read what the package ships.
        folder: where it is kept; in the cache if None.
        kept_from: bytes of CSV from which it is kept at all.

    Raises:
        InputError: naming file, line, column and value.
    """
    files = [
        _File(file, Entity if name == "entities" else Claim, _stat(file))
        for file, name in catalogue_files(more, shipped=shipped)
    ]
    if sum(file.stat[2] for file in files if file.stat) < kept_from:
        return _built(files)[0]
    try:
        keeping = _Keeping(folder or chosen_cache() / "catalogues", files, Signer.default())
    except (OSError, MashbillError) as error:
        return replace(_built(files)[0], kept=_not_kept(f"no key to seal it with: {error}"))
    return keeping.opened() or keeping.made()


def _built(files: Sequence[_File]) -> tuple[Index, list[str]]:
    """Read the files; return the index and the digest of each."""
    read: list[Read] = [read_columns(file.file, file.model) for file in files]

    def tables(model: type[Entity | Claim]) -> list[pa.Table]:
        return [got.table for file, got in zip(files, read, strict=True) if file.model is model]

    return Index.of(merge(tables(Entity), tables(Claim))), [got.digest for got in read]


class _Keeping:
    """One catalogue's place in the cache."""

    def __init__(self, folder: Path, files: Sequence[_File], signer: Signer) -> None:
        self._folder, self._files, self._signer = folder, files, signer
        self._key = digest_bytes(canonical([_code(), [file.name for file in files]]))[:32]
        self._seal = folder / f"{self._key}.json"

    def opened(self) -> Index | None:
        """Return the index that is kept, if it is to be believed."""
        try:
            text = json_object(self._seal, most=_SEAL_BYTES)
            body = text["body"]
            if text["signature"] != self._signed(body) or body["code"] != _code():
                return None
            now = time.time_ns()
            data = self._folder / str(body["index"]["name"])
            seen = [_seen(file.file, file.stat, told, now) for file, told
                    in zip(self._files, body["files"], strict=True)]  # fmt: skip
            whole = _seen(data, _stat(data), body["index"], now)
            if None in seen or whole is None:
                return None
            index = _mapped(data, body["parts"])
        except (InputError, OSError, KeyError, TypeError, ValueError):
            return None
        if [*seen, whole] != [*body["files"], body["index"]]:  # digested anew, and the same
            with contextlib.suppress(OSError):
                self._write({**body, "files": seen, "index": whole})
        return index

    def made(self) -> Index:
        """Return the index, made anew and kept if that can be done."""
        now = time.time_ns()
        index, digests = _built(self._files)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            told, parts = self._store(index)
            files = [{"name": file.name, "sha256": digest, **_times(file.stat, now)}
                     for file, digest in zip(self._files, digests, strict=True)]  # fmt: skip
            self._write({"code": _code(), "files": files, "index": told, "parts": parts})
            self._tidy(told["name"])
        except OSError as error:
            return replace(index, kept=_not_kept(f"{self._folder}: {error.strerror or error}"))
        return index

    def _store(self, index: Index) -> tuple[dict[str, Any], dict[str, list[int]]]:
        """Write the index; return what the seal says of the file, and where its parts are."""
        temporary = self._folder / f".{self._key}.{os.getpid()}"
        digest, parts = hashlib.sha256(), {}
        try:
            with temporary.open("wb") as stream:
                for name, table in _parts(index).items():
                    sink = pa.BufferOutputStream()
                    with pa.ipc.new_file(sink, table.schema) as writer:
                        writer.write_table(table)
                    data = sink.getvalue()
                    parts[name] = [stream.tell(), data.size]
                    for piece in (data, b"\0" * (-data.size % _ALIGNED)):
                        stream.write(piece)
                        digest.update(piece)
            data_file = self._folder / f"{self._key}-{digest.hexdigest()[:16]}.arrow"
            publish(temporary, data_file)
        finally:
            temporary.unlink(missing_ok=True)
        told = {"name": data_file.name, "sha256": digest.hexdigest()}
        return {**told, **_times(_stat(data_file), time.time_ns())}, parts

    def _write(self, body: dict[str, Any]) -> None:
        text = json.dumps({"body": body, "signature": self._signed(body)}, indent=1)
        write_atomically(self._seal, f"{text}\n".encode())

    def _signed(self, body: Any) -> str:
        # Ed25519 signs the same bytes in the same way each time, so that signing again is a check.
        # JSON's own writer, since numbers of files are beyond what a canonical text may hold.
        text = json.dumps(["mashbill index", body], sort_keys=True)
        return self._signer.sign(text.encode()).hex()

    def _tidy(self, mine: str) -> None:
        """Remove earlier indices of these files, and the oldest of others."""
        seals = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        old = {path.stem for path in seals[:-MOST_KEPT]} - {self._key}
        for path in self._folder.iterdir():
            key = path.name.partition(".")[0].partition("-")[0]
            if key in old or (key == self._key and path.suffix == ".arrow" and path.name != mine):
                path.unlink(missing_ok=True)


def _parts(index: Index) -> dict[str, pa.Table]:
    merged = index.merged
    return {
        "entities": merged.entities,
        "claims": merged.claims,
        "names": pa.table({"key": merged.keys, "named": merged.named}),
        "ends": pa.table({"child": merged.child, "parent": merged.parent,
                          "by_child": index.by_child, "by_parent": index.by_parent}),
        "starts": pa.table({"child": index.child_start, "parent": index.parent_start}),
    }  # fmt: skip


def _mapped(file: Path, parts: dict[str, list[int]]) -> Index:
    """Return the index of a file whose digest holds: mapped, and read as it is asked for."""
    with foreign(file, "an index"), pa.memory_map(str(file)) as mapped:
        data = mapped.read_buffer(mapped.size())
        tables = {
            name: pa.ipc.open_file(pa.BufferReader(data.slice(*place))).read_all()
            for name, place in parts.items()
        }

        def array(part: str, name: str) -> np.ndarray:
            column = tables[part].column(name)
            if column.num_chunks == 0:
                return np.empty(0, column.type.to_pandas_dtype())
            return np.from_dlpack(column.chunk(0))

        keys = tables["names"].column("key")
        merged = Merged(
            entities=_whole(tables["entities"]),
            claims=_whole(tables["claims"]),
            child=array("ends", "child"),
            parent=array("ends", "parent"),
            keys=keys.chunk(0) if keys.num_chunks else pa.array([], pa.string()),
            named=array("names", "named"),
        )
        return Index(merged, array("starts", "child"), array("ends", "by_child"),
                     array("starts", "parent"), array("ends", "by_parent"))  # fmt: skip


def _whole(table: pa.Table) -> pa.Table:
    """Return a table each column of which has one piece, also where it has no rows."""
    return table.combine_chunks() if table.num_rows == 0 else table


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


@cache
def _code() -> str:
    """Return the digest of the code that makes an index, and of what it is written with."""
    home = resources.files(__package__)
    texts = [(home / f"{name}.py").read_bytes() for name in _CODE]
    return digest_bytes(b"\0".join([*texts, pa.__version__.encode()]))


def _not_kept(why: str) -> str:
    return (
        f"the index of the catalogue cannot be kept ({why}), so that each command reads all of its "
        "CSV files; set MASHBILL_CACHE to a folder of your own"
    )
