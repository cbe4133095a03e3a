"""Formats of files of rows: which a file is, and which files of a folder hold rows."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Format = Literal["auto", "jsonl", "json", "parquet", "arrow", "csv", "tsv", "webdataset"]
_ENDINGS: dict[str, Format] = {
    "jsonl": "jsonl", "ndjson": "jsonl", "json": "json", "parquet": "parquet", "csv": "csv",
    "tsv": "tsv", "arrow": "arrow", "arrows": "arrow", "feather": "arrow", "ipc": "arrow",
    "tar": "webdataset", "tgz": "webdataset",
}  # fmt: skip
_BESIDE = frozenset({
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "_metadata",
    "_common_metadata", "_SUCCESS",
})  # fmt: skip
"""files that libraries write beside a set's rows, and that hold none"""
_PUBLISHED = "SHA256SUMS"
_OF_OURS = frozenset({"bill.json", "form.json"})
"""files that ``mashbill publish`` writes beside rows and their sums"""
_SAVED = "state.json"
_CACHE = re.compile(r"(?:cache-|tmp).*\.arrow", re.DOTALL)
_ORDER = "indices.arrow"
_PACKED = ("gz", "zst")


def format_of(name: str) -> Format | None:
    """Return the format that a file's ending says, ``.gz`` and ``.zst`` aside; None if none."""
    parts = name.lower().split(".")
    if len(parts) > 2 and parts[-1] in _PACKED:
        parts.pop()
    return _ENDINGS.get(parts[-1]) if len(parts) > 1 else None


def choose(names: Sequence[str], kind: Format, address: str) -> list[str]:
    """Return those files of a folder that hold its rows: all of one format.

    Raises:
        InputError: naming the folder, what it has and the remedy, if there is no file of this
            format, or with auto files of several.
    """
    paths = [PurePosixPath(name) for name in names]
    beside = {(str(path.parent), path.name) for path in paths}
    names = [name for name in names if _is_of_the_set(name, beside, address)]
    kinds = {name: format_of(name) for name in names}
    if kind in ("json", "jsonl"):  # a file that ends in .json may hold lines as well
        kinds = {name: kind if each in ("json", "jsonl") else each for name, each in kinds.items()}
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
        wanted = every if kind == "auto" else kind
        msg = (
            f"{address} holds no file whose ending says {wanted} (it has {has}); correct the "
            "address, or name the files with a glob and set format in the recipe"
        )
        raise InputError(msg)
    return chosen


def _is_of_the_set(name: str, beside: Collection[tuple[str, str]], address: str) -> bool:
    """Return whether a file may hold rows of the set, and is none that a program wrote beside them.

    Where ``save_to_disk`` of the library datasets wrote, what it keeps there of later steps
    (``map``, ``filter``) would be the same rows once more.

    Args:
        name: of the file.
        beside: folder and name of every file of the set.
        address: how errors name the folder.

    Raises:
        InputError: if the order of the rows stands in a file of its own, as it once did.
    """
    path = PurePosixPath(name)
    is_saved = (str(path.parent), _SAVED) in beside
    if is_saved and path.name == _ORDER:
        msg = (
            f"{address}: {name} says in which order the rows beside it stand, and which of them "
            "count; load the set with the library datasets, call flatten_indices(), and save it "
            "again"
        )
        raise InputError(msg)
    is_cache = is_saved and _CACHE.fullmatch(path.name)
    is_ours = (str(path.parent), _PUBLISHED) in beside and path.name in _OF_OURS
    return path.name not in _BESIDE and not is_cache and not is_ours


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


def half_a_character(text: str) -> bool:
    """Return whether a text holds half of a surrogate pair, so that it is no valid Unicode."""
    return any("\ud800" <= character <= "\udfff" for character in text)
