"""Keeping an index for the next time.

An index is derived from CSV files and never handed on: it lies in the user's own cache, and what
comes beside a catalogue is not read as one. It is believed under a seal of the user's key alone
(:mod:`mashbill.policy.sealed`). So are arrays that others derive from an index, beside it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.cache import chosen_cache
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.errors import MashbillError
from mashbill.core.ledger import Signer
from mashbill.policy.claims import Claim, Entity, catalogue_files
from mashbill.policy.columns import Read, read_columns
from mashbill.policy.index import Index
from mashbill.policy.merging import Merged, merge
from mashbill.policy.sealed import Origin, Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

KEPT_FROM = 4 << 20
"""bytes of CSV from which an index is kept; less is read in no time"""
MOST_KEPT = 6
"""catalogues whose indices are kept; the oldest go"""
_CODE = ("claims", "relations", "columns", "merging", "index", "keeping", "sealed")
_Model = type[Entity | Claim]


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
    now = time.time_ns()
    given = catalogue_files(more, shipped=shipped)
    models: list[_Model] = [Entity if begins == "entities" else Claim for _, begins in given]
    origins = [Origin.of(file) for file, _ in given]
    if sum(origin.stat[2] for origin in origins if origin.stat) < kept_from:
        return _built(origins, models)[0]
    try:
        signer = Signer.default()
    except (OSError, MashbillError) as error:
        return replace(_built(origins, models)[0], kept=_not_kept(f"no key to seal it: {error}"))
    stem = digest_bytes(canonical([_code(), [origin.name for origin in origins]]))[:32]
    place = Sealed(folder or chosen_cache() / "catalogues", stem, _code(), signer)
    held = place.opened(origins)
    if held is not None:
        return replace(_index_of(held.tables), place=place, sha256=held.sha256)
    index, digests = _built(origins, models)
    try:
        data = place.store(_parts(index), list(zip(origins, digests, strict=True)), now)
        _tidy(place, data)
    except OSError as error:
        return replace(index, kept=_not_kept(f"{place.folder}: {error.strerror or error}"))
    return replace(index, place=place, sha256=data.stem.partition("-")[2])


def derived(
    index: Index, name: str, code: str, make: Callable[[], dict[str, pa.Table]]
) -> dict[str, pa.Table]:
    """Return tables that are derived from an index, kept beside it if it is kept.

    Args:
        index: what they are derived from.
        name: what they are: letters and digits.
        code: digest of what makes them, and of what it is asked.
        make: makes them.
    """
    if index.place is None:
        return make()
    place = index.place
    code = digest_bytes(canonical([code, place.code, index.sha256[:16]]))
    beside = Sealed(place.folder, f"{place.stem}-{name}", code, place.signer)
    held = beside.opened()
    if held is not None:
        return held.tables
    tables = make()
    try:
        data = beside.store(tables)
        for path in place.folder.glob(f"{beside.stem}-*.arrow"):
            if path != data:
                path.unlink(missing_ok=True)
    except OSError:
        pass  # as an index that cannot be kept, which is told
    return tables


def code_of(package: str, names: Sequence[str]) -> str:
    """Return the digest of some modules of a package, and of what tables are written with."""
    home = resources.files(package)
    texts = [(home / f"{name}.py").read_bytes() for name in names]
    return digest_bytes(b"\0".join([*texts, pa.__version__.encode()]))


@cache
def _code() -> str:
    return code_of(__package__, _CODE)


def _built(origins: Sequence[Origin], models: Sequence[_Model]) -> tuple[Index, list[str]]:
    """Read the files; return the index and the digest of each."""
    read: list[Read] = [
        read_columns(origin.file, model) for origin, model in zip(origins, models, strict=True)
    ]

    def tables(wanted: _Model) -> list[pa.Table]:
        return [got.table for got, model in zip(read, models, strict=True) if model is wanted]

    return Index.of(merge(tables(Entity), tables(Claim))), [got.digest for got in read]


def _tidy(place: Sealed, mine: Path) -> None:
    """Remove what was derived from earlier files, and the oldest indices of others."""
    seals = [path for path in place.folder.glob("*.json") if "-" not in path.stem]
    seals.sort(key=lambda path: path.stat().st_mtime_ns)
    old = {path.stem for path in seals[:-MOST_KEPT]} - {place.stem}
    for path in place.folder.iterdir():
        key = path.name.partition(".")[0].partition("-")[0]
        stale = key == place.stem and path not in (mine, place.seal)
        if key in old or (stale and path.suffix in {".arrow", ".json"}):
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


def _index_of(tables: dict[str, pa.Table]) -> Index:
    """Return the index of tables that :func:`_parts` made."""

    def array(part: str, name: str) -> np.ndarray:
        return array_of(tables[part], name)

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


def array_of(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers as it lies in memory."""
    column = table.column(name)
    if column.num_chunks == 0:
        return np.empty(0, column.type.to_pandas_dtype())
    return np.from_dlpack(column.chunk(0))


def _whole(table: pa.Table) -> pa.Table:
    """Return a table each column of which has one piece, also where it has no rows."""
    return table.combine_chunks() if table.num_rows == 0 else table


def _not_kept(why: str) -> str:
    return (
        f"the index of the catalogue cannot be kept ({why}), so that each command reads all of its "
        "CSV files; set MASHBILL_CACHE to a folder of your own"
    )
