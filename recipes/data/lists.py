# ruff: noqa: INP001, S311
"""Write data of ``recipes/on_policy.toml`` and ``recipes/council.toml``: lists to go through.

Run it from any folder: ``python recipes/data/lists.py``. It writes the same bytes each time. The
lines are dedicated to the public domain (CC0-1.0).

Two skills, each with an answer of as many steps as the list is long, so that a mistake in one step
is carried on by all that come after it: running sums (``sum: 3 8 5`` is ``3 11 16``), and letters
in order (``sort: k c t`` is ``c k t``). No list comes twice.
"""

from __future__ import annotations

import json
import random
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent
LETTERS = "abcdefghijklmnopqrst"
ROWS = 3_000


def numbers(draw: random.Random, size: int) -> tuple[str, str]:
    """Return digits, and their sums up to each."""
    items = [draw.randint(1, 9) for _ in range(size)]
    return " ".join(map(str, items)), " ".join(map(str, accumulate(items)))


def letters(draw: random.Random, size: int) -> tuple[str, str]:
    """Return different letters, and the same in order."""
    items = draw.sample(LETTERS, size)
    return " ".join(items), " ".join(sorted(items))


SKILLS: dict[str, tuple[tuple[int, ...], Callable[[random.Random, int], tuple[str, str]]]] = {
    "sum": ((4, 5), numbers),
    "sort": ((5, 6, 7), letters),
}
"""skill -> how many items a list may have, and what makes one"""


def rows(skill: str) -> list[dict[str, str]]:
    """Return the rows of a skill."""
    draw = random.Random(f"lists of {skill}")
    sizes, make = SKILLS[skill]
    found: dict[str, dict[str, str]] = {}
    while len(found) < ROWS:
        items, answer = make(draw, draw.choice(sizes))
        asked = f"{skill}: {items}"
        found[asked] = {"text": asked, "answer": answer, "skill": skill}
    return list(found.values())


def write(name: str, made: list[dict[str, str]]) -> None:
    """Write rows as JSON lines beside this file."""
    text = "".join(json.dumps(row) + "\n" for row in made)
    (FOLDER / name).write_text(text, "utf-8")


def main() -> None:
    """Write both files."""
    for skill in SKILLS:
        write(f"lists-{skill}.jsonl", rows(skill))


if __name__ == "__main__":
    main()
