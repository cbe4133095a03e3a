"""One's own lineage as CSV, with the columns of the catalogue.

Claims: the columns of :class:`mashbill.policy.claims.Claim`, of which ``child,parent,relation,
source`` are needed; entities: those of :class:`mashbill.policy.claims.Entity`, of which ``id,what``
are. In a folder, ``claims*.csv`` and ``entities*.csv`` are read; a single file holds entities if
its name begins so, and claims otherwise. Other people's column names are not guessed at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.policy.claims import Claim, Entity, read_rows
from mashbill.policy.importers.imported import Imported, read_each

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> Imported:
    """Read claims and entities; ids stay as they are written.

    Raises:
        InputError: naming file, line, column and value, for a single file; of a folder a file that
            cannot be read is left out, unless there is no other.
    """
    entities: dict[str, Entity] = {}
    claims: dict[Claim, None] = {}
    left_out: list[str] = []

    def read_one(file: Path) -> None:
        if file.name.startswith("entities"):
            left_out.extend(
                f"{file}: {entity.id}: described before in other words; the first stands"
                for entity in read_rows(file, Entity)
                if entities.setdefault(entity.id, entity) != entity
            )
        elif file == path or file.name.startswith("claims"):
            claims.update(dict.fromkeys(read_rows(file, Claim)))
        else:
            left_out.append(f"{file}: its name begins with neither claims nor entities")

    read_each(path, "*.csv", left_out, read_one)
    return Imported(tuple(entities.values()), tuple(claims), tuple(left_out), "csv")
