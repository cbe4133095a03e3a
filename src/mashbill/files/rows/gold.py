"""Human labels in a column of a corpus: which values mean which label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from mashbill.core.cells import compared, is_missing, says_nothing
from mashbill.core.errors import InputError
from mashbill.files.rows.cells import as_text

if TYPE_CHECKING:
    from mashbill.files.rows.chunks import Chunk


class GoldRule(BaseModel):
    """When a gold value means a label: all the conditions that are set must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    at_least: float | None = None
    """a number not below this"""
    at_most: float | None = None
    """a number not above this"""
    equals: str | None = None
    """this text, after trimming"""

    def holds(self, value: Any) -> bool:
        """Return whether the value means this rule's label; NaN, a missing number, means none.

        Raises:
            ValueError: if a number is asked for, and it is none.
        """
        if is_missing(value):
            return False
        if self.equals is not None and self.equals not in _spellings(value):
            return False
        for bound, above in ((self.at_least, True), (self.at_most, False)):
            if bound is None:
                continue
            if says_nothing(value):
                return False
            placed = compared(value, bound)
            if placed is None:
                msg = f"{value!r:.200} is no number"
                raise ValueError(msg)
            if placed == (-1 if above else 1):
                return False
        return True


class Gold(BaseModel):
    """Which column holds what humans said, and how its values map to labels."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    column: str
    """column of the human ratings or labels"""
    labels: dict[str, GoldRule]
    """label -> rule; a value that no rule takes gets no label"""

    def label_of(self, value: Any) -> str | None:
        """Return the label that a value means; None if it is missing, or means none.

        Raises:
            ValueError: if it is not the number that a rule asks for.
        """
        if is_missing(value):
            return None
        rules = self.labels.items()
        if isinstance(value, str) and not value.strip():  # none, unless a rule says that it is one
            meant = GoldRule(equals="")
            return next((label for label, rule in rules if rule == meant), None)
        return next((label for label, rule in rules if rule.holds(value)), None)

    @property
    def by_words(self) -> bool:
        """Whether each rule names a text, so that a value that none takes is perhaps forgotten."""
        return all(
            rule.equals is not None and rule.at_least is None and rule.at_most is None
            for rule in self.labels.values()
        )

    def labels_of(self, chunk: Chunk, name: str) -> list[str | None]:
        """Return the label of each row of a chunk that has the column.

        Raises:
            InputError: naming file and line, if a value is not the number that a rule asks for.
        """
        known: dict[tuple[type, Any], str | None] = {}
        found: list[str | None] = []
        for at, value in enumerate(chunk.columns[self.column].values()):
            key = (type(value), value if isinstance(value, str | int | float) else None)
            if key[1] is None or key not in known:
                try:
                    known[key] = self.label_of(value)
                except ValueError as error:
                    msg = (
                        f"{name}: {chunk.where(at)}: column {self.column!r} holds {value!r:.200}, "
                        "which is not the number that gold.labels asks for; correct it, or leave "
                        "the cell empty if there is no rating"
                    )
                    raise InputError(msg) from error
            found.append(known[key])
        return found


def _spellings(value: Any) -> tuple[str, ...]:
    """Return the texts that a value equals: a whole number that came as 1.0 is a 1, too."""
    text = as_text(value).strip()
    is_whole = isinstance(value, float) and value.is_integer()
    return (text, str(int(value))) if is_whole else (text,)
