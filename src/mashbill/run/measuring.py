"""Measures, held to what a manifest and the ledger can hold, before rows are committed.

JSON has no NaN and no infinity. A mean over no rows, or a loss that ran away, is no reason to lose
rows that are in order: such a measure becomes null, and it is told. What has no JSON form at all
is a fault of the stage, which is named with the measure.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import canonical
from mashbill.core.errors import CanonicalError
from mashbill.core.stage import WARNINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext


def settle_measures(context: StageContext, stage: str) -> None:
    """Set measures that are NaN or infinite to null, with a warning each, in place.

    Args:
        context: of the stage.
        stage: name of the stage, for errors.

    Raises:
        CanonicalError: naming stage and measure, if one has no JSON form.
    """
    for measures in (context.overall, context.measures):
        for name, was in _unsettled(measures):
            context.warn(
                f"its measure {name} came out as {was}, which is no number; it is kept as null"
            )
    for name, value in [*context.overall.items(), *context.measures.items()]:
        try:
            canonical({str(name): value})
        except CanonicalError as error:
            msg = (
                f"stages.{stage}: its measure {name!r} cannot be kept: {error}; this is a fault of "
                "the stage, and nothing of it was committed"
            )
            raise CanonicalError(msg) from error


def add_measures(whole: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Add what a slice measured to what those before it did.

    Counts are summed, warnings are told once each, and of all else the last one's stands.
    """
    for name, value in own.items():
        before = whole.get(name)
        if type(before) is type(value) is int:
            whole[name] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            add_measures(before, value)
        elif name == WARNINGS and isinstance(before, list):
            before += [text for text in value if text not in before]
        else:
            whole[name] = copy.deepcopy(value)


def _unsettled(measures: dict[str, Any]) -> list[tuple[str, float]]:
    """Set what is not finite to null; return its name and what it was."""
    found: list[tuple[str, float]] = []
    waiting: list[tuple[Any, Any, str]] = [(measures, key, str(key)) for key in measures]
    while waiting:
        holder, key, name = waiting.pop()
        value = holder[key]
        if isinstance(value, tuple):
            value = holder[key] = list(value)
        if isinstance(value, dict):
            waiting += [(value, inner, f"{name}.{inner}") for inner in value]
        elif isinstance(value, list):
            waiting += [(value, place, f"{name}[{place}]") for place in range(len(value))]
        elif isinstance(value, float) and not math.isfinite(value):
            holder[key] = None
            found.append((name, value))
    return sorted(found, key=lambda item: item[0])


def agree(told: Any, found: Any) -> bool:
    """Return whether all that is told is found too; numbers may differ in their last bits.

    What is found beside it, a release may have come to measure since.
    """
    match told, found:
        case dict(), dict():
            return all(key in found and agree(told[key], found[key]) for key in told)
        case (list() | tuple(), list() | tuple()):
            return len(told) == len(found) and all(map(agree, told, found))
        case float(), (int() | float()):
            return math.isclose(told, found, rel_tol=1e-9, abs_tol=1e-12)
        case _:
            return bool(told == found)


def left_out(told: Any, found: Any) -> list[str]:
    """Return the names of what is found and not told, those inside others with dots."""
    if not (isinstance(told, dict) and isinstance(found, dict)):
        return []
    names = sorted(str(key) for key in found.keys() - told.keys())
    for key in sorted(found.keys() & told.keys()):
        names += [f"{key}.{name}" for name in left_out(told[key], found[key])]
    return names
