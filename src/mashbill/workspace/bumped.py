"""New versions for what a changed recipe makes otherwise than a store has it.

An artifact never changes. Where a recipe asks for another one of the same name, it gets the next
version, and so does all that is made from it. The recipe's file is edited at these lines alone.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from mashbill.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mashbill.core.store import Store

_TABLE = re.compile(r"\[")
_VERSION = re.compile(r"version\s*=")


def next_versions(store: Store, stages: Mapping[str, str]) -> dict[str, str]:
    """Return the version that each stage is to have: the next number that the store has not.

    Args:
        store: where earlier ones are.
        stages: stage -> the version that the recipe says.
    """
    there: dict[str, set[str]] = {}
    for manifest in store.manifests():
        there.setdefault(manifest.name, set()).add(manifest.version)
    found = {}
    for stage, version in stages.items():
        taken = there.get(stage, set()) | {version}
        numbers = [int(one) for one in taken if one.isdecimal() and len(one) < 10]
        number = max(numbers, default=1) + 1
        while str(number) in taken:
            number += 1
        found[stage] = str(number)
    return found


def with_versions(text: str, versions: Mapping[str, str], path: Path) -> str:
    """Return a recipe's text with these versions in these stages, and nothing else changed.

    Args:
        text: of the recipe.
        versions: stage -> version.
        path: how errors name it.

    Raises:
        RecipeError: if a stage does not stand in a table of its own, as it is in arms.
    """
    lines = text.splitlines(keepends=True)
    for stage, version in versions.items():
        _set(lines, stage, f'version = "{version}"', path)
    made = "".join(lines)
    wanted, found = tomllib.loads(text), tomllib.loads(made)
    for stage, version in versions.items():
        wanted["stages"][stage]["version"] = version
    if wanted != found:
        raise _by_hand(versions, path)
    return made


def _set(lines: list[str], stage: str, line: str, path: Path) -> None:
    head = re.compile(rf"\s*\[\s*stages\s*\.\s*[\"']?{re.escape(stage)}[\"']?\s*\]")
    at = next((place for place, one in enumerate(lines) if head.match(one)), None)
    if at is None:
        raise _by_hand([stage], path)
    end = "\r\n" if lines[at].endswith("\r\n") else "\n"
    for place in range(at + 1, len(lines)):
        bare = lines[place].lstrip()
        if _TABLE.match(bare):
            break
        if _VERSION.match(bare):
            lines[place] = line + end
            return
    if not lines[at].endswith(("\n", "\r")):
        lines[at] += end
    lines.insert(at + 1, line + end)


def _by_hand(stages: Iterable[str], path: Path) -> RecipeError:
    tables = ", ".join(f"[stages.{stage}]" for stage in stages)
    return RecipeError(
        f"{path}: version cannot be set in {tables} by a program, since they are written in "
        "another way than as tables of their own; set it by hand, or name another --store"
    )
