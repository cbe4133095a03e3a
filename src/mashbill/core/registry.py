"""Finding teachers, verifiers, trainers and stages by kind, through entry points.

Built-ins register the same way as a plugin does, in ``pyproject.toml``.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mashbill.core.errors import RecipeError

TEACHERS = "mashbill.teachers"
VERIFIERS = "mashbill.verifiers"
TRAINERS = "mashbill.trainers"
STAGES = "mashbill.stages"


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=group))}


def kinds(*groups: str) -> list[str]:
    """Return the kinds registered in these groups, sorted."""
    return sorted(name for group in groups for name in _points(group))


def find(kind: str, *groups: str) -> Any:
    """Return what is registered under ``kind`` in the first of these groups that has it.

    Raises:
        RecipeError: listing the kinds there are.
    """
    for group in groups:
        point = _points(group).get(kind)
        if point is not None:
            return point.load()
    msg = f"kind {kind!r} is not one of {', '.join(kinds(*groups))}"
    raise RecipeError(msg)


def origin(kind: str, *groups: str) -> dict[str, str]:
    """Return which distribution, at which version, registers a kind: it goes into the ledger."""
    for group in groups:
        point = _points(group).get(kind)
        if point is not None and point.dist is not None:
            return {"distribution": point.dist.name, "version": point.dist.version}
    return {}
