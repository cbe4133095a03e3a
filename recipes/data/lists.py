# ruff: noqa: INP001, S311
"""Write data of ``recipes/on_policy.toml`` and ``recipes/council.toml``: lists to go through.

Run it from any folder: ``python recipes/data/lists.py``. It writes the same bytes each time. The
lines are dedicated to the public domain (CC0-1.0).

Two skills, each with an answer of as many steps as the list is long, so that a mistake in one step
is carried on by all that come after it: letters in order (``sort: k c t`` is ``c k t``), and in the
other order (``fall: k c t`` is ``t k c``). No list comes twice.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent
LETTERS = "abcdefghijklmnopqrst"
SIZES = (5, 6, 7)
"""letters of a list"""
ROWS = 3_000


SKILLS: dict[str, Callable[[list[str]], list[str]]] = {
    "sort": sorted,
    "fall": lambda items: sorted(items, reverse=True),
}


def rows(skill: str) -> list[dict[str, str]]:
    """Return the rows of a skill."""
    draw = random.Random(f"lists of {skill}")
    found: dict[str, dict[str, str]] = {}
    while len(found) < ROWS:
        items = draw.sample(LETTERS, draw.choice(SIZES))
        asked = f"{skill}: {' '.join(items)}"
        answer = " ".join(SKILLS[skill](items))
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
