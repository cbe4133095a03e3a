"""One's own lineage as CSV, with the columns of the catalogue.

Claims: the columns of :class:`mashbill.policy.claims.Claim`, of which ``child,parent,relation,
source`` are needed; entities: those of :class:`mashbill.policy.claims.Entity`, of which ``id,what``
are. In a folder, ``claims*.csv`` and ``entities*.csv`` are read; a single file holds entities if
its name begins so, and claims otherwise. Other people's column names are not guessed at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.errors import InputError
from mashbill.policy.claim_rows import read_rows
from mashbill.policy.claims import Claim, Entity
from mashbill.policy.importers.imported import Gathering, Imported, read_each
from mashbill.policy.importers.naming_nothing import no_name

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.policy.claim_rows import Row


def read(path: Path) -> Imported:
    """Read claims and entities; ids stay as they are written.

    Raises:
        InputError: naming file and what is wrong with the whole of a single file; of a folder such
            a file is a reject, unless there is no other. A row that cannot be read is one,
            unless no row can.
    """
    entities: dict[str, Entity] = {}
    claims: dict[Claim, None] = {}
    gathered = Gathering("csv")

    def rows(file: Path, model: type[Row]) -> list[Row]:
        flaws: list[str] = []
        found = read_rows(file, model, flaws)
        if flaws and not found:
            raise InputError(flaws[0])
        for flaw in flaws:
            gathered.reject(file, flaw)
        return found

    def read_one(file: Path) -> None:
        if file.name.startswith("entities"):
            for entity in rows(file, Entity):
                if reason := no_name(entity.id):
                    gathered.leave(f"{file}: id", reason)
                elif entities.setdefault(entity.id, entity) != entity:
                    reason = f"{entity.id}: described before in other words; the first stands"
                    gathered.leave(str(file), reason)
        elif file == path or file.name.startswith("claims"):
            for claim in rows(file, Claim):
                for key in ("child", "parent"):
                    if reason := no_name(getattr(claim, key)):
                        gathered.leave(f"{file}: {key}", reason)
                        break
                else:
                    claims[claim] = None
        else:
            gathered.leave(str(file), "its name begins with neither claims nor entities")

    read_each(path, "*.csv", gathered.reject, read_one)
    return Imported(
        tuple(entities.values()),
        tuple(claims),
        tuple(gathered.left_out),
        "csv",
        tuple(gathered.rejected),
    )
