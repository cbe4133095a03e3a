"""What the names of a set's folders and files say of its rows: partitions and splits.

Hive's partitions (``model=gpt-4/part-0.parquet``) hold a column's value in a folder's name alone,
URL-encoded; ``datasets`` writes a split's name into that of its folder or file.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mashbill.core.errors import InputError
from mashbill.files.rows.cells import Cells, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.files.listing import File
    from mashbill.files.rows.chunks import Chunk

_DIGITS = re.compile(r"(\d{1,18})", re.ASCII)
SPLIT = "split"
_PARTITION = re.compile(r"([^=/?&#*]+)=([^/*]*)")
_SPLITS = frozenset({"train", "training", "test", "validation", "valid", "val", "dev", "eval"})
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_SHARD = re.compile(r"(?:(.+)-)?\d{5}-of-\d{5}(?:\.[\w.]+)?")


def in_order(files: Sequence[File]) -> tuple[File, ...]:
    """Return the files of a set in the order in which people count: part-2 before part-10."""
    return tuple(sorted(files, key=lambda file: (_counted(file.name), file.name)))


def _counted(name: str) -> list[tuple[int, str]]:
    # What is split by digits has them at odd places.
    parts = _DIGITS.split(name)
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)]


def said_by_names(name: str, names: Sequence[str]) -> dict[str, str | None]:
    """Return column -> value that the names of folders and of a file say of its rows.

    Args:
        name: of the file, below the address of its set, or its whole address.
        names: of all files of the set: a split is told only where there are several.
    """
    said: dict[str, str | None] = {}
    for part in PurePosixPath(name).parts[:-1]:
        if found := _PARTITION.fullmatch(part):
            value = unquote(found[2])
            said[unquote(found[1])] = None if found[2] == _NO_VALUE else value
    splits = [_split(each) for each in names]
    if len(set(splits)) > 1 and all(splits) and SPLIT not in said:
        said[SPLIT] = _split(name)
    return said


def _split(name: str) -> str:
    """Return the split that a shard's name says: ``train`` of train-00000-of-00002.parquet."""
    path = PurePosixPath(name)
    found = _SHARD.fullmatch(path.name)
    if found is None:
        words = (path.name.split(".", 1)[0], path.parent.name)
        return next((word for word in words if word.lower() in _SPLITS), "")
    own = found[1] or ""
    return path.parent.name if own in ("", "data") and path.parent.name else own


def with_constants(chunk: Chunk, said: dict[str, str | None]) -> Chunk:
    """Return a chunk with columns that hold one value.

    What its file holds itself stays; where the folder says something else of it, both are kept.
    """
    for column, value in said.items():
        own = chunk.columns.get(column)
        if own is None:
            chunk.columns[column] = Cells.of([value] * chunk.rows)
        elif any(as_text(cell) != value for cell in own.values() if cell is not None):
            chunk.columns[f"{column}_of_folder"] = Cells.of([value] * chunk.rows)
    return chunk


def with_declared(chunk: Chunk, declared: Mapping[str, str], name: str) -> Chunk:
    """Return a chunk with columns of one value that a recipe declares.

    Raises:
        InputError: naming file and column, if the file has it itself.
    """
    for column, value in declared.items():
        if column in chunk.columns:
            msg = (
                f"{name} has a column {column!r} itself, so constants cannot give it one value; "
                "call the constant otherwise, or remove it to have the file's"
            )
            raise InputError(msg)
        chunk.columns[column] = Cells.of([value] * chunk.rows)
    return chunk
