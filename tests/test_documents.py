"""Paths that documents name in backticks are there, from where the reader would look for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")),
]
STARTS = [ROOT, ROOT / "src", ROOT / "src/mashbill"]
"""folders that a path may begin in"""

OF_OTHERS = {
    "mlx_lm/server.py",
    *(f"mashbill_echo/{name}.py" for name in ("teacher", "stage", "verifier", "trainer")),
    "test_echo.py",
}
"""files of other projects, and of the plugin that CONTRIBUTING.md writes"""

_ROOM = re.compile(r"(?:src|tests|benchmarks|examples|recipes|docs|\.ci)/")
_PATH = re.compile(r"[a-z0-9_./*-]+")


def rooms() -> set[str]:
    """Return the names of the packages under src/mashbill."""
    return {path.name for path in (ROOT / "src/mashbill").iterdir() if path.is_dir()}


def is_there(path: str) -> bool:
    """Return whether a path, or a pattern of paths, leads to something."""
    return any(any(start.glob(end)) for start in STARTS for end in (path, f"{path}.py"))


def names_something(dotted: str) -> bool:
    """Return whether a dotted name is a module, or something that a module defines."""
    *front, last = dotted.split(".")
    path = ROOT / "src/mashbill" / "/".join(front)
    if (path / last).is_dir() or (path / f"{last}.py").is_file():
        return True
    module = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    return module.is_file() and re.search(rf"\b{last}\b", module.read_text("utf-8")) is not None


def missing(document: str) -> list[str]:
    """Return what a document names as ours, and is not there."""
    found = []
    for whole in re.findall(r"`([^`\n]+)`", (ROOT / document).read_text("utf-8")):
        named = whole.split("::")[0]
        if named in OF_OTHERS or not _PATH.fullmatch(named):
            continue
        of_ours = named.split("/")[0] in rooms() or _ROOM.match(named)
        if named.endswith(".py") or ("/" in named and of_ours):
            if not is_there(named):
                found.append(whole)
            continue
        dotted = named.removeprefix("mashbill.")
        if dotted.endswith((".csv", ".sqlite", ".toml", ".jsonl")):
            continue
        if "." in dotted and dotted.split(".")[0] in rooms() and not names_something(dotted):
            found.append(whole)
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_in_backticks_is_there(document: str) -> None:
    assert missing(document) == []


@pytest.mark.parametrize(
    ("document", "words"), [("ARCHITECTURE.md", 1700), ("CONTRIBUTING.md", 1300)]
)
def test_a_page_stays_one(document: str, words: int) -> None:
    """What explains one mechanism stands in the docstring of its module, or in docs/."""
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text("utf-8"), flags=re.DOTALL)
    assert len(text.split()) <= words
