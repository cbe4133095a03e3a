"""What an audit reads of files and rows: whether they are what was committed, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.plain import counted as number_of
from mashbill.core.record import BILL, CALL, FROM, ID
from mashbill.core.store import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def compared(path: Path, sha256: str | None, *, keep: bool = False) -> tuple[str | None, bytes]:
    """Return what is wrong with a file, None if nothing is, and its bytes if they are to be kept.

    Args:
        path: the file.
        sha256: digest that its entry gives.
        keep: whether its bytes are wanted, which are then those that were compared.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        return "is a pipe or a device, and no file", b""
    try:
        data = path.read_bytes() if keep else b""
        found = digest_bytes(data) if keep else digest_file(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "is not there", b""
    except OSError as error:
        return f"cannot be read: {error.strerror or error}", b""
    if found == sha256:
        return None, data
    return f"has SHA-256 {found[:16]}..., the entry says {str(sha256)[:16]}...", b""


def pointed_at(table: pa.Table, numbers: int) -> np.ndarray:
    """Return how many rows point at each node, shape (numbers,).

    Raises:
        ValueError: if a row points at none.
    """
    column = table.column(BILL)
    if column.null_count:
        point = "points" if column.null_count == 1 else "point"
        msg = f"{number_of(column.null_count, 'row')} {point} at no node"
        raise ValueError(msg)
    bills = np.asarray(column)
    if len(bills) and not (bills.min() >= 0 and bills.max() < numbers):
        outside = bills.min() if bills.min() < 0 else bills.max()
        msg = f"a row points at node {outside}, and there are nodes 0 to {numbers - 1}"
        raise ValueError(msg)
    counted: np.ndarray = np.bincount(bills, minlength=numbers)
    return counted


def came_from(table: pa.Table) -> tuple[int, int] | None:
    """Return the least and largest row that the rows say they came from, None if they say none."""
    if FROM not in table.column_names:
        return None
    positions = table.column(FROM)
    if pa.types.is_list(positions.type):
        positions = pc.list_flatten(positions)
    bounds = pc.min_max(positions).as_py()
    return None if bounds["min"] is None else (bounds["min"], bounds["max"])


_OWN = {BILL: pa.int32(), CALL: pa.binary(32), ID: pa.binary(16)}


def check_own_columns(table: pa.Table) -> None:
    """Check that the columns which mashbill writes are of the types that it writes, and are full.

    Raises:
        ValueError: naming the column: another reader could take it for something else.
    """
    for name, kind in _OWN.items():
        if name in table.column_names and table.schema.field(name).type != kind:
            msg = f"{name} is {table.schema.field(name).type}, where {kind} is meant"
            raise ValueError(msg)
    if FROM not in table.column_names:
        return
    column = table.column(FROM)
    is_list = pa.types.is_list(column.type)
    if (column.type.value_type if is_list else column.type) != pa.int64():
        msg = f"{FROM} is {column.type}, where int64 or lists of them are meant"
        raise ValueError(msg)
    nothing = column.null_count
    if is_list:
        nothing += pc.sum(pc.equal(pc.list_value_length(column), 0)).as_py() or 0
        nothing += pc.list_flatten(column).null_count
    if nothing:
        row = "says that it came from no row" if nothing == 1 else "say that they came from no row"
        msg = f"{number_of(nothing, 'row')} {row}, so that nothing would be behind it"
        raise ValueError(msg)


def artifact_files(folder: Path) -> Iterator[Path]:
    """Yield every file in the folders of artifacts."""
    for name in FOLDERS.values():
        yield from sorted(path for path in (folder / name).glob("*/*") if path.is_file())
