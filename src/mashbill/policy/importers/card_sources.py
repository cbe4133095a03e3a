"""Sources of a bill as entities of the catalogue: under which id, and by which route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mashbill.core.source import Source


def source_id(leaf: Source) -> str:
    """Return OWNER/NAME of a source; one that is no repository is put under its provider."""
    if "/" in leaf.name or leaf.provider == "unknown":
        return leaf.name
    return f"{leaf.provider.lower().replace(' ', '-')}/{leaf.name}"


def route_of(route: str) -> Literal["weights", "api", "unknown"]:
    """Return a source's route as a claim has it."""
    if route == "weights":
        return "weights"
    return "api" if route.partition(":")[0] == "api" else "unknown"
