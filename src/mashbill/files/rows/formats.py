"""Formats of files of rows: which a file is, and which files of a folder hold rows."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

Format = Literal["auto", "jsonl", "json", "parquet", "arrow", "csv", "tsv", "text", "webdataset"]
_ENDINGS: dict[str, Format] = {
    "jsonl": "jsonl", "ndjson": "jsonl", "json": "json", "parquet": "parquet", "csv": "csv",
    "tsv": "tsv", "arrow": "arrow", "arrows": "arrow", "feather": "arrow", "ipc": "arrow",
    "tar": "webdataset", "tgz": "webdataset",
}  # fmt: skip
BESIDE = frozenset({
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "_metadata",
    "_common_metadata", "_SUCCESS", "bill.json", "config.json", "metadata.json",
})  # fmt: skip
"""files that libraries write beside a set's rows, and that hold none"""
_SUMS, _OF_OURS, _REJECTED = "SHA256SUMS", frozenset({"bill.json", "form.json"}), "rejected"
"""what ``mashbill publish`` writes beside rows, and its folder of rows that were rejected"""
_STATE = "state.json"
"""in each folder that ``save_to_disk`` of datasets wrote"""
_SAVED = re.compile(r"(?:data-\d{5}-of-\d{5}|dataset)\.arrow")
_PERHAPS: frozenset[Format | None] = frozenset({"json", "webdataset"})
"""formats whose endings other files have, too: they are rows where nothing else is"""
_PACKED = ("gz", "zst")
_DOCUMENTS = ("txt", "md")
"""endings of the files that are one row each with ``format = "text"``; auto takes none for rows"""


def format_of(name: str) -> Format | None:
    """Return the format that a file's ending says, ``.gz`` and ``.zst`` aside; None if none."""
    return _ENDINGS.get(_ending(name))


def _ending(name: str) -> str:
    """Return the ending of a name in small letters, without ``.gz`` and ``.zst``; empty if none."""
    parts = name.lower().split(".")
    if len(parts) > 2 and parts[-1] in _PACKED:
        parts.pop()
    return parts[-1] if len(parts) > 1 else ""


def choose(names: Sequence[str], kind: Format, address: str) -> list[str]:
    """Return those files of a folder that hold its rows: all of one format.

    Raises:
        InputError: naming the folder, what it has and the remedy, if there is no file of this
            format, or with auto files of several.
    """
    names = _of_the_set(names, address)
    kinds = {name: format_of(name) for name in names}
    if kind in ("json", "jsonl"):  # a file that ends in .json may hold lines as well
        kinds = {name: kind if each in ("json", "jsonl") else each for name, each in kinds.items()}
    if kind == "text":
        kinds = {name: kind if _ending(name) in _DOCUMENTS else None for name in names}
    if kind == "auto" and set(kinds.values()) - {None, *_PERHAPS}:
        # Beside rows, JSON is what somebody says of them, and an archive is what they came from.
        kinds = {name: None if each in _PERHAPS else each for name, each in kinds.items()}
    found = Counter(each for each in kinds.values() if each is not None)
    have = ", ".join(f"{count} {each}" for each, count in found.items())
    if kind == "auto" and len(found) > 1:
        msg = (
            f"{address} holds files of several formats ({have}), which may be the same rows twice; "
            "set format in the recipe, or name the files with a glob, such as *.parquet"
        )
        raise InputError(msg)
    chosen = [name for name in names if kinds[name] and kind in ("auto", kinds[name])]
    if not chosen:
        has = have or ", ".join(names[:5]) or "nothing"
        every = "Parquet, JSONL, JSON, Arrow, CSV, TSV or WebDataset"
        if kind == "auto" and any(_ending(name) in _DOCUMENTS for name in names):
            msg = (
                f'{address} holds documents ({has}); set format = "text" in the recipe, and a file '
                "is a row"
            )
            raise InputError(msg)
        wanted = {"auto": every, "text": "text (.txt, .md)"}.get(kind, kind)
        msg = (
            f"{address} holds no file whose ending says {wanted} (it has {has}); correct the "
            "address, or name the files with a glob and set format in the recipe"
        )
        raise InputError(msg)
    return chosen


def _of_the_set(names: Sequence[str], address: str) -> list[str]:
    """Return the files that may hold rows of a set: none that a library keeps beside them.

    Raises:
        InputError: if the set is one of ``datasets`` whose rows were chosen, or put in another
            order, by an index that lies beside them.
    """
    saved = {PurePosixPath(name).parent for name in names if PurePosixPath(name).name == _STATE}
    published = {PurePosixPath(name).parent for name in names if PurePosixPath(name).name == _SUMS}
    found = []
    for name in names:
        path = PurePosixPath(name)
        if path.name in BESIDE or (path.parent in published and path.name in _OF_OURS):
            continue
        if path.parent.name == _REJECTED and path.parent.parent in published:
            continue
        if path.parent in saved and path.suffix == ".arrow" and not _SAVED.fullmatch(path.name):
            if path.name.startswith("indices"):
                msg = (
                    f"{address}: {name} chooses and orders the rows of its set, so that the files "
                    "alone are another one; load it with datasets, call flatten_indices(), and "
                    "save_to_disk() it anew"
                )
                raise InputError(msg)
            continue  # what datasets keeps of earlier results: the same rows again
        found.append(name)
    return found


def named_once(columns: Sequence[str], name: str) -> list[str]:
    """Return the columns of a file.

    Raises:
        InputError: if two have one name, so that a row would keep one of them only.
    """
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        msg = f"{name}: the header names column {twice[0]!r} twice; rename one"
        raise InputError(msg)
    return list(columns)
