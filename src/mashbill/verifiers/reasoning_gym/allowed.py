"""Which generators of reasoning-gym may score: those that passed the controls, by a list.

``controls.json`` is made by :mod:`mashbill.verifiers.reasoning_gym.listing`, which tries every
generator that is installed, and names package version and day. It is never written by hand.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from mashbill.core.explaining import near

LIST = Path(__file__).with_name("controls.json")


@cache
def listed() -> dict[str, Any]:
    """Return the list: version of the package, day, and of each generator what it paid."""
    held: dict[str, Any] = json.loads(LIST.read_text(encoding="utf-8"))
    return held


def release() -> str:
    """Return the version of reasoning-gym that was tried."""
    return str(listed()["version"])


def allowed(*, partial: bool = False) -> list[str]:
    """Return the generators that passed; with partial credit, those that passed with it."""
    return [name for name in listed()["generators"] if not against(name, partial=partial)]


def against(name: str, *, partial: bool = False) -> str:
    """Return why a generator may not score, in a sentence; empty if it may.

    Args:
        name: as reasoning-gym has it.
        partial: whether its partial credit is to count.
    """
    told = listed()["generators"].get(name)
    if told is None:
        return (
            f"reasoning-gym {release()} has no generator {name!r}"
            f"{near(name, list(listed()['generators']))}"
        )
    if told["faults"]:
        return f"{name} did not pass its controls: it {_first(told['faults'])}"
    if partial and told["partly"]:
        return (
            f"{name} did not pass its controls with partial credit: it {_first(told['partly'])}; "
            "leave partial out, and only its full score counts"
        )
    return ""


def _first(faults: list[str]) -> str:
    more = f", and {len(faults) - 3} more" if len(faults) > 3 else ""
    told = "; ".join(faults[:3])
    return f"{told}{more}".replace("some tasks have", "makes tasks that have")
