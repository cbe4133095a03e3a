"""What logits are bound to of a row: the values of the columns that it was learned from.

A stage behind ``logits`` may change a text and keep the columns that it does not know. Then what a
teacher read is another text than the row has, and a student would learn what was taken out of it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import canonical_row
from mashbill.core.cells import is_missing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

BYTES = 8
"""of the digest that are kept"""
REMEDY = (
    "put the stage of kind 'logits' behind whatever changes rows, so that the teacher reads what "
    "the student is to learn"
)


def row_digest(columns: Sequence[str], row: Mapping[str, Any]) -> bytes:
    """Return the first bytes of the digest of a row's values.

    Args:
        columns: that are looked at, in order; one that the row does not have is empty.
        row: its values.
    """
    found = {name: row.get(name) for name in columns}
    there = {name: None if is_missing(value) else value for name, value in found.items()}
    return sha256(canonical_row(there)).digest()[:BYTES]


def changed(where: str, columns: Sequence[str], there: Collection[str]) -> str:
    """Return what is said of a row whose values are no more those that the teacher read.

    Args:
        where: the row.
        columns: that were looked at.
        there: that the rows have now.
    """
    gone = [name for name in columns if name not in there]
    lacks = f" (the rows have no column {', '.join(gone)})" if gone else ""
    return (
        f"{where}: its logits are of other values than it has: the teacher read "
        f"{', '.join(columns)}, and what stands there was changed behind it{lacks}; {REMEDY}"
    )


def never_bound(where: str) -> str:
    """Return what is said of a row whose logits are of a version that did not bind them to it."""
    return (
        f"{where}: its logits were made by an earlier version, which did not bind them to the "
        f"row's values: whether these were changed behind the teacher cannot be said; {REMEDY}, "
        "and give that stage another 'version', so that it is made anew"
    )
