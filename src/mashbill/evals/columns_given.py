"""The columns that an evaluation gives its rows: which there are follows from systems' names.

They are said here alone, for those who fill them and for the recipe, where no two may be the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.record import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OVERLAPPED_BY = "overlapped_by"
"""the datasets that hold a row"""


def by_seed(system: str, seeds: int) -> list[str]:
    """Return the column of each seed of a system that has several."""
    return [f"{system}_{number + 1}" for number in range(seeds)]


def came_of(system: str) -> str:
    """Return the column that says what came of a system's answers."""
    return f"{system}_came"


def reason_of(system: str) -> str:
    """Return the column with the verifier's reasons."""
    return f"{system}_reason"


def nats_of(system: str) -> str:
    """Return the column with the nats of each text."""
    return f"{system}_nats"


def tokens_of(system: str) -> str:
    """Return the column with the tokens of each text."""
    return f"{system}_tokens"


def columns_of(metric: str, system: str, seeds: int) -> list[str]:
    """Return the columns that a system gets.

    Args:
        metric: what is measured: accuracy, score or bits_per_byte.
        system: its name.
        seeds: it has.
    """
    if metric == "bits_per_byte":
        return [nats_of(system), tokens_of(system)]
    several = by_seed(system, seeds) if seeds > 1 else []
    if metric == "accuracy":
        return several or [system]
    return [system, *several, came_of(system), reason_of(system)]


def check_apart(metric: str, systems: Mapping[str, int], *, contamination: bool) -> None:
    """See that no column of the result would be written over another.

    Args:
        metric: what is measured.
        systems: how many seeds each has.
        contamination: whether rows are looked for in what systems learned from.

    Raises:
        ValueError: naming the system, what has the same column, and the column.
    """
    taken = dict.fromkeys(OURS, "mashbill itself")
    if contamination:
        taken[OVERLAPPED_BY] = "contamination"
    for system, column in _all(metric, systems):
        other = taken.setdefault(column, f"system {system!r}")
        if other != f"system {system!r}":
            msg = (
                f"system {system!r} and {other} would both have the column {column!r} of the "
                "result; call the system otherwise"
            )
            raise ValueError(msg)


def _all(metric: str, systems: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for system, seeds in systems.items():
        for column in columns_of(metric, system, seeds):
            yield system, column
