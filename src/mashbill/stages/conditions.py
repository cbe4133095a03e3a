"""What a row must be like to stay: comparisons of a column, and members of a list."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from mashbill.core.cells import compared, is_missing, says_nothing
from mashbill.core.errors import InputError
from mashbill.core.json_fields import is_json_field
from mashbill.core.literals import Literals
from mashbill.core.missing import is_text
from mashbill.files.rows.spoken import read_cell

if TYPE_CHECKING:
    import pyarrow as pa

Member = bool | int | float | str
_SHOWN = 80  # characters of a value that a reason quotes
_BOUNDS = {"at_least": (-1,), "at_most": (1,), "above": (-1, 0), "below": (0, 1)}
"""key -> how a number may not stand to it"""
_WORDS = {
    "at_least": "below", "at_most": "above", "above": "not above", "below": "not below",
}  # fmt: skip


class Condition(Literals):
    """One condition: all that are set of a column must hold."""

    added: ClassVar[frozenset[str]] = frozenset({*_BOUNDS, "one_of", "none_of"})

    column: str
    """column to look at"""
    at_least: float | None = None
    """a number not below this"""
    at_most: float | None = None
    """a number not above this"""
    above: float | None = None
    """a number above this"""
    below: float | None = None
    """a number below this"""
    one_of: tuple[Member, ...] = ()
    """values of which it is one, texts after trimming, or a text that writes such a number; of a
    list that one of its values is"""
    none_of: tuple[Member, ...] = ()
    """values of which it is none; a missing value is none of them"""

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self._bounds() and not self.one_of and not self.none_of:
            msg = (
                f"the condition on {self.column!r} asks for nothing; set at_least, at_most, above, "
                "below, one_of or none_of"
            )
            raise ValueError(msg)
        wrong = [key for key, bound in self._bounds().items() if math.isnan(bound)]
        if wrong:
            msg = f"{wrong[0]} of the condition on {self.column!r} is NaN, and must be a number"
            raise ValueError(msg)
        return self

    def _bounds(self) -> dict[str, float]:
        found = {key: getattr(self, key) for key in _BOUNDS}
        return {key: bound for key, bound in found.items() if bound is not None}

    def reasons(self, batch: pa.RecordBatch, of: str) -> list[str | None]:
        """Return for each row why it does not stay; None if it does.

        Args:
            batch: rows.
            of: the input, for errors.

        Raises:
            InputError: if there is no such column, or it holds lists or objects.
        """
        if self.column not in batch.schema.names:
            msg = (
                f"{of} has no column {self.column!r}; it has {', '.join(batch.schema.names)}; "
                "correct the column name in the recipe"
            )
            raise InputError(msg)
        column = batch.column(self.column)
        texts, cells = is_text(column.type), column.to_pylist()
        if is_json_field(batch.schema.field(self.column)):
            cells = [None if cell is None else read_cell(cell) for cell in cells]
        return [self._reason(value, texts=texts) for value in cells]

    def _reason(self, value: Any, *, texts: bool) -> str | None:
        bounds = self._bounds()
        if isinstance(value, dict) or (isinstance(value, list) and bounds):
            msg = (
                f"column {self.column!r} holds lists or objects; a bound is for one number, and of "
                "a list of values one_of and none_of may be asked"
            )
            raise InputError(msg)
        lacks = says_nothing(value) if bounds else is_missing(value)
        if lacks:
            return f"{self.column} is missing" if bounds or self.one_of else None
        shown = repr(value)[:_SHOWN] if texts or isinstance(value, list) else value
        for key, bound in bounds.items():
            placed = compared(value, bound)
            if placed is None:
                return f"{self.column} {shown} is no number"
            if placed in _BOUNDS[key]:
                return f"{self.column} {shown} {_WORDS[key]} {bound:g}"
        if self.one_of and not _among(value, self.one_of):
            return f"{self.column} {shown} is none of {_listed(self.one_of)}"
        if _among(value, self.none_of):
            return f"{self.column} {shown} is one of {_listed(self.none_of)}"
        return None


def _among(value: Any, members: tuple[Member, ...]) -> bool:
    """Return whether a cell is a member: texts by their letters or the number that they write.

    A list is one if a value of it is.
    """
    if isinstance(value, list):
        return any(_is_one(each, members) for each in value)
    return _is_one(value, members)


def _is_one(value: Any, members: tuple[Member, ...]) -> bool:
    numbers = [each for each in members if not isinstance(each, bool | str)]
    if isinstance(value, str):
        # As bounds do, a text that writes a number meets it: files such as CSV hold texts alone.
        return value.strip() in {each.strip() for each in members if isinstance(each, str)} or any(
            compared(value, each) == 0 for each in numbers
        )
    if isinstance(value, bool):
        return any(each is value for each in members if isinstance(each, bool))
    return any(compared(value, each) == 0 for each in numbers)


def _listed(members: tuple[Member, ...]) -> str:
    shown = [repr(each)[:_SHOWN] for each in members[:5]]
    more = f" and {len(members) - 5} more" if len(members) > 5 else ""
    return ", ".join(shown) + more
