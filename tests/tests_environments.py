"""Environments of the base and one extra alone: folders of links, and an interpreter that sees them.

What an environment holds follows from metadata: what mashbill requires, with the extra, and what
that requires in turn.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mashbill

EXTRAS = ("", "api", "local", "train", "torch-teacher", "hub", "objects")
"""all but vllm, whose wheels are for few platforms; "" is the base"""


def distributions(extra: str) -> dict[str, object]:
    """Return what an environment holds beside mashbill: name -> distribution."""
    found = {}
    todo = [("mashbill", extra)]
    seen = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform, or not wanted here
        found[name] = there
        for line in there.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                inner = canonicalize_name(requirement.name)
                todo += [(inner, each) for each in ("", *sorted(requirement.extras))]
    return found


def make_environment(folder: Path, extra: str) -> Path:
    """Write a folder to put on the path, with links to what the environment holds."""
    folder.mkdir(parents=True)
    for name, there in distributions(extra).items():
        root = Path(there.locate_file(""))
        tops = {file.parts[0] for file in there.files or () if file.parts[0] not in {"..", "/"}}
        if name == "mashbill":  # the code that is tested, wherever it lies
            tops = {top for top in tops if top.endswith(".dist-info")}
            _link(Path(mashbill.__file__).parent, folder / "mashbill")
        for top in sorted(tops - {"__pycache__", "bin"}):
            _link(root / top, folder / top)
    return folder


def _link(there: Path, here: Path) -> None:
    """Link to a file or package; of a folder that many distributions share, to what is in it."""
    if not there.exists():
        return
    is_shared = there.is_dir() and "." not in there.name and not (there / "__init__.py").exists()
    if not is_shared:
        if not here.exists():
            here.symlink_to(there)
        return
    here.mkdir(exist_ok=True)
    for item in there.iterdir():
        _link(item, here / item.name)


HEAD = """
import sys
sys.path[:] = [item for item in sys.path if "site-packages" not in item] + [{folder!r}]
"""


def interpreter(folder: Path) -> list[str]:
    """Return a command that runs Python with an environment and nothing else; it takes ``-c``."""
    return [sys.executable, "-I", "-S", "-c", HEAD.format(folder=str(folder))]
