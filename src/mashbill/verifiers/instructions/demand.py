"""What a demand on an output's form is: its check, its arguments, and controls of both kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Given = Mapping[str, Any]
"""arguments of a demand, as a row has them"""
Check = Callable[[str, Given], bool]
"""told the output and the arguments; whether the output keeps the demand"""


class BadDemandError(ValueError):
    """A demand whose arguments are lacking or make no sense."""


@dataclass(frozen=True)
class Demand:
    """One kind of demand."""

    check: Check
    """told the output and the demand's arguments"""
    given: Given
    """arguments of its controls"""
    good: str
    """an output that keeps it"""
    bad: str
    """one that does not"""
    keys: tuple[str, ...] = field(init=False)
    """arguments that it has to be given"""

    def __post_init__(self) -> None:
        """Take the keys of its controls."""
        object.__setattr__(self, "keys", tuple(self.given))


def count_of(given: Given, key: str, least: int = 0) -> int:
    """Return a number among a demand's arguments.

    Raises:
        BadDemandError: if it is none, or below ``least``: what is asked at least 0 times is kept by
            whatever there is.
    """
    value = given.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as a table with gaps holds whole numbers
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        msg = f"{key} is {value!r:.40}, and has to be a number of {least} or more"
        raise BadDemandError(msg)
    return value


def text_of(given: Given, key: str) -> str:
    """Return a text among a demand's arguments, without white space around it.

    Raises:
        BadDemandError: if it is none, or empty.
    """
    value = given.get(key)
    if not isinstance(value, str) or not value.strip():
        msg = f"{key} is {value!r:.40}, and has to be a text"
        raise BadDemandError(msg)
    return value.strip()


def texts_of(given: Given, key: str) -> list[str]:
    """Return a list of texts among a demand's arguments.

    Raises:
        BadDemandError: if it is none, or empty.
    """
    value = given.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        msg = f"{key} is {value!r:.40}, and has to be a list of texts"
        raise BadDemandError(msg)
    told = [one.strip() for one in value]
    if not all(told):
        msg = f"{key} is {value!r:.40}, and has a text that is empty"
        raise BadDemandError(msg)
    return told


def is_related(found: int, given: Given, key: str, relation: str = "relation") -> bool:
    """Return whether a count is as a demand wants it: less than its number, or at least that.

    Raises:
        BadDemandError: if the relation is neither, or the number is 0, which all or nothing keeps.
    """
    how = given.get(relation)
    if how not in ("less than", "at least"):
        msg = f"{relation} is {how!r:.40}, and has to be 'less than' or 'at least'"
        raise BadDemandError(msg)
    wanted = count_of(given, key, 1)
    return found < wanted if how == "less than" else found >= wanted
