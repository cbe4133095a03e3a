"""A record: one row and where it came from.

The user's columns come first; ours start with an underscore. ``_id`` is the record's identity (the
first 16 bytes of the SHA-256 of the user's columns), ``_bill`` the number of its node in the
dataset's ``nodes.parquet``, ``_from`` the position of the input row it was made from, ``_call``
the digest of the teacher call it rests on. A rejected row also says by what and why.

``_from`` counts over all inputs of role ``rows``, one behind the other, and is a list where a row
is made of several. A duplicate that was dropped stays in ``_from`` of the row that was kept, since
either could be where the text came from.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.naming import free_names
from mashbill.core.plain import counted
from mashbill.core.rowbytes import digests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

ID = "_id"
BILL = "_bill"
FROM = "_from"
CALL = "_call"
REJECTED_BY = "_rejected_by"
REASON = "_reason"
_BEYOND = re.compile(r"beyond the [\d,]+ rows? that (is|are) wanted")
_LEAF = b"\x00"  # of RFC 6962, as in mashbill.core.merkle.leaf
OURS = frozenset({ID, BILL, FROM, CALL, REJECTED_BY, REASON})


def user_columns(names: Sequence[str]) -> list[str]:
    """Return the column names that are the user's, in order."""
    return [name for name in names if name not in OURS]


def kept_beside(batch: pa.RecordBatch | pa.Table, given: Collection[str]) -> dict[str, Any]:
    """Return the user's columns, each under a name that is free beside those that a stage gives.

    Nothing is written over: a ``label`` that rows bring along becomes ``original_label``, where a
    stage gives them a ``label`` of its own; see :func:`mashbill.core.naming.free_names`.

    Args:
        batch: rows.
        given: columns that the stage gives.
    """
    names = user_columns(batch.schema.names)
    return {new: batch.column(name) for name, new in free_names(names, given).items()}


def beyond(wanted: int | None) -> str:
    """Return why a row goes that is good, where as many as are wanted stay before it."""
    return f"beyond the {counted(wanted or 0, 'row')} that {'is' if wanted == 1 else 'are'} wanted"


def is_beyond(reason: str) -> bool:
    """Return whether a row went for that alone, and was good: see :func:`beyond`."""
    return _BEYOND.fullmatch(reason) is not None


def columns_beside(columns: Iterable[str], given: Collection[str]) -> tuple[str, ...]:
    """Return the columns that rows may have where a stage gives them some beside their own.

    Args:
        columns: that the rows may bring along.
        given: that the stage may give.
    """
    names = list(columns)
    taken = {*given, *(name for name in names if name.startswith("_"))}
    return tuple(dict.fromkeys([*names, *given, *free_names(names, taken).values()]))


def identify(table: pa.Table) -> pa.Table:
    """Return the table with ``_id`` computed from the user's columns and put behind them.

    Raises:
        InputError: if a column's name would not come back from the file, or two have one name.
    """
    for name, count in Counter(table.column_names).items():
        if count > 1 or "\x00" in name:
            what = "there twice" if count > 1 else "a name that holds NUL, where Arrow cuts it"
            msg = f"column {name!r} is {what}; rename it where it comes from"
            raise InputError(msg)
    names = user_columns(table.column_names)
    ids = [full[:16] for full in digests({name: table.column(name) for name in names})]
    ours = [name for name in table.column_names if name in OURS and name != ID]
    table = table.select(names + ours)
    return table.add_column(len(names), pa.field(ID, pa.binary(16)), pa.array(ids, pa.binary(16)))


def leaves(table: pa.Table, nodes: Sequence[str]) -> list[bytes]:
    """Return the Merkle leaf of every record (32 bytes each).

    A leaf covers every column; the node is covered by its digest and not by its number, so that
    a record's leaf means the same outside its dataset.

    Args:
        table: records with ``_bill``.
        nodes: digest of each node, by number.
    """
    columns = {name: table.column(name) for name in table.column_names}
    columns[BILL] = pa.array(nodes, pa.string()).take(table.column(BILL).combine_chunks())
    return digests(columns, _LEAF)


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch; an empty one too, so that its columns stay known."""
    if table.num_rows == 0:
        return pa.RecordBatch.from_pylist([], table.schema)
    return table.combine_chunks().to_batches()[0]


def printable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with binary values as hexadecimal text, for JSON and for people."""
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()}
