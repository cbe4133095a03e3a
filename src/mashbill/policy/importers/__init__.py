"""Importers: other people's lineage as claims. They add claims, and never change one.

Each format is one file with ``read(path) -> Imported``; a repository's takes an ``Origin`` as well.
Nothing here reads a network: what is on the hub is fetched first (:mod:`mashbill.conduct.hub`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.policy.importers.adding import Added, Conflict, add_to
from mashbill.policy.importers.cards import read as read_cards
from mashbill.policy.importers.dpi import read as read_dpi
from mashbill.policy.importers.imported import Imported
from mashbill.policy.importers.modsleuth import read as read_modsleuth
from mashbill.policy.importers.own_csv import read as read_own_csv
from mashbill.policy.importers.repository import Origin
from mashbill.policy.importers.repository import read as read_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "FORMATS",
    "Added",
    "Conflict",
    "Imported",
    "Origin",
    "add_to",
    "import_claims",
    "read_repository",
]

FORMATS: dict[str, Callable[[Path], Imported]] = {
    "card": read_cards,
    "modsleuth": read_modsleuth,
    "dpi": read_dpi,
    "csv": read_own_csv,
}


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
        msg = f"import: format {format!r} is not one of {', '.join(FORMATS)}"
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
