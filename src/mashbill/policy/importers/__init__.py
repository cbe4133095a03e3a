"""Importers: other people's lineage as claims. They add claims, and never change one.

Each format is one file with ``read(path) -> Imported``; a repository's takes an ``Origin`` as well.
Nothing here reads a network: what is on the hub is fetched first (:mod:`mashbill.files.hub_cards`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.core.plain import listed
from mashbill.policy.importers.adding import Added, Conflict, add_to
from mashbill.policy.importers.adding_columns import add_csv
from mashbill.policy.importers.cards import read as read_cards
from mashbill.policy.importers.dpi import read as read_dpi
from mashbill.policy.importers.imported import Imported
from mashbill.policy.importers.modsleuth import read as read_modsleuth
from mashbill.policy.importers.own_csv import read as read_own_csv
from mashbill.policy.importers.rejecting import Rejected, rejected
from mashbill.policy.importers.repository import Origin
from mashbill.policy.importers.repository import read as read_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = [
    "FORMATS",
    "KINDS",
    "Added",
    "Conflict",
    "Imported",
    "Origin",
    "Rejected",
    "add_csv",
    "add_to",
    "import_all",
    "import_claims",
    "read_repository",
    "rejected",
    "together",
]

ELSEWHERE = ("repository", "hub")
"""formats that want more than a path: a commit, or the hub; :func:`read_repository` and the CLI"""
FORMATS: dict[str, Callable[[Path], Imported]] = {
    "card": read_cards,
    "modsleuth": read_modsleuth,
    "dpi": read_dpi,
    "csv": read_own_csv,
}


KINDS = (*FORMATS, *ELSEWHERE)
"""all formats that can be imported"""


def import_claims(
    format: str,  # noqa: A002 - the word for it
    path: Path,
    *,
    entity: str = "",
) -> Imported:
    """Read a file or a folder in a format of :data:`FORMATS`.

    Args:
        format: key of :data:`FORMATS`.
        path: a file, or a folder with files of that format.
        entity: for a single card: the id OWNER/NAME that it is of, if its folders do not say so.

    Raises:
        InputError: for an unknown format, a path that is not there, or content that cannot be
            read: file, line or key, what was found, and what to do.
    """
    if format not in FORMATS:
        msg = f"import: format {format!r} is not one of {listed(KINDS, len(KINDS))}"
        raise InputError(msg)
    if not path.exists():
        msg = f"{path}: there is no such file or folder; correct the path"
        raise InputError(msg)
    if not entity:
        return FORMATS[format](path)
    if format != "card" or path.is_dir():
        msg = f"import: an id ({entity!r}) can be given for a single card only, not for {path}"
        raise InputError(msg)
    return read_cards(path, entity)


def import_all(
    format: str,  # noqa: A002 - the word for it
    paths: Sequence[Path],
    *,
    entity: str = "",
) -> Imported:
    """Read several files or folders in one format; of many, one that cannot be read is a reject.

    Args:
        format: key of :data:`FORMATS`.
        paths: files, or folders with files of that format.
        entity: for a single card: whose it is.

    Raises:
        InputError: as :func:`import_claims`, for a single path, or if none of them can be read.
    """
    if len(paths) == 1 or format not in FORMATS:
        return import_claims(format, paths[0], entity=entity)
    found: list[Imported] = []
    flaws: list[tuple[Path, InputError]] = []
    for path in paths:
        try:
            found.append(import_claims(format, path, entity=entity))
        except InputError as flaw:
            flaws.append((path, flaw))
    if not found:
        msg = f"import: none of the {len(paths)} paths can be read; the first: {flaws[0][1]}"
        raise InputError(msg) from flaws[0][1]
    return together(found, [rejected(path, str(flaw)) for path, flaw in flaws])


def together(found: Sequence[Imported], more: Sequence[Rejected] = ()) -> Imported:
    """Return several imports of one format as one, with rejects that belong to none of them."""
    return Imported(
        tuple(dict.fromkeys(entity for one in found for entity in one.entities)),
        tuple(dict.fromkeys(claim for one in found for claim in one.claims)),
        (*(text for one in found for text in one.left_out), *(reject.flaw for reject in more)),
        found[0].format,
        (*(reject for one in found for reject in one.rejected), *more),
    )
