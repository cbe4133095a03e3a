"""Controls of a generator of tasks: what its own scoring pays for junk, and for what is right.

It runs in the process of :mod:`mashbill.verifiers.reasoning_gym.worker`, over tasks as rows have
them: through JSON, so that what JSON cannot hold is lost here as it is lost there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.controls import JUNK, PAID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ITEMS = 24
"""tasks that a generator is tried on"""
FULL = 1 - 1e-9
"""scores from this on are full: what is right gets one, and no junk does"""
SEED = 15
"""of those tasks"""
TRAPS = ("qzx", "[qzx]", "['qzx', 'vbk']", "qzx + 1", "[[qzx, 1], [1, 0]]", "(qzx)", "{'qzx': 1}")
"""outputs that would be seen to run, if scoring ran an output as a program"""


@dataclass
class Tried:
    """What a generator's scoring did."""

    paid: dict[str, float] = field(default_factory=dict)
    """control -> the most that it got for one; of the right answer, the least"""
    faults: list[str] = field(default_factory=list)
    """why it cannot be used at all; none if it can"""
    partly: list[str] = field(default_factory=list)
    """why its partial credit cannot be used, though its full score can"""
    runs: bool = False
    """whether it wanted to run a text as a program, which was forbidden"""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        paid = {name: round(most, 4) for name, most in self.paid.items()}
        return {"paid": paid, "faults": self.faults, "partly": self.partly, "runs": self.runs}


def tried(score: Callable[[str, Mapping[str, Any]], float], items: Sequence[Any]) -> Tried:
    """Try a generator's scoring on its controls.

    Args:
        score: of an output and a task; raises what the generator raises.
        items: tasks of the generator, with question and answer.
    """
    found = Tried()
    items = json.loads(json.dumps(list(items)))
    if not all(isinstance(item.get("answer"), str) and item["answer"] for item in items):
        found.faults.append("some tasks have no answer that is known to be right, or an empty one")
        return found
    right = [_asked(score, item["answer"], item, found, "the right answer") for item in items]
    found.paid["the right answer"] = min(right)
    if min(right) < FULL:
        found.faults.append(f"pays {min(right):.2f} for the right answer")
    for name, outputs in _wrong(items).items():
        paid = [
            _asked(score, text, item, found, name)
            for text, item in zip(outputs, items, strict=True)
            if text is not None
        ]
        most = found.paid[name] = max(paid, default=0.0)
        if most >= FULL:
            found.faults.append(f"pays {most:.2f} for {name}")
        elif most >= PAID:
            found.partly.append(f"pays {most:.2f} for {name}")
    for item in items:
        for trap in TRAPS:
            _asked(score, trap, item, found, f"the output {trap!r}")
    found.faults = list(dict.fromkeys(found.faults))
    return found


def _wrong(items: Sequence[Any]) -> dict[str, list[str | None]]:
    """Return outputs that are wrong, one a task; None where one would be right."""
    wrong: dict[str, list[str | None]] = {
        name: [None if _same(text, item["answer"]) else text for item in items]
        for name, text in JUNK.items()
    }
    wrong["the question again"] = [item["question"] for item in items]
    for step in (1, 2, 5):
        others = [items[(at + step) % len(items)]["answer"] for at in range(len(items))]
        wrong[f"another task's answer ({step} on)"] = [
            None if _same(other, item["answer"]) else other
            for other, item in zip(others, items, strict=True)
        ]
    return wrong


def _same(one: str, two: str) -> bool:
    return "".join(one.split()).casefold() == "".join(two.split()).casefold()


def _asked(
    score: Callable[[str, Mapping[str, Any]], float], text: str, item: Any, found: Tried, name: str
) -> float:
    """Return what an output gets; what is raised, or is no score, is a fault and gets nothing."""
    try:
        value = score(text, item)
    except Exception as error:  # noqa: BLE001 - whatever a generator of strangers raises
        found.faults.append(f"raises {type(error).__name__} for {name}: {error!s:.60}".rstrip(": "))
        return 0.0
    return value
