"""What of this package's optional parts is installed, and what installs the rest of them here.

Told from the metadata of the distribution that is installed, never from a name on a registry: where
mashbill came from a folder or a file, that is named again with the extra; else the packages are.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "mashbill"
_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][\w.-]*)[^;]*")
_EXTRA = re.compile(r"""extra\s*==\s*["'](?P<extra>[\w.-]+)["']""")
_NOT_ON_WINDOWS = re.compile(r"""sys_platform\s*!=\s*["']win32["']""")


def requirements(extra: str) -> dict[str, str]:
    """Return the packages of an extra: name -> requirement, such as ``aiohttp>=3.12``.

    Empty where mashbill is not installed at all, or has no such extra.
    """
    found = {}
    for line in _requires(_ours()):
        requirement, _, marker = line.partition(";")
        match, asked = _REQUIREMENT.match(requirement), _EXTRA.search(marker)
        if match is None or asked is None or asked["extra"] != extra:
            continue
        if sys.platform == "win32" and _NOT_ON_WINDOWS.search(marker):
            continue
        found[match["name"]] = requirement.strip()
    return found


def missing(extra: str) -> list[str]:
    """Return the names of an extra's packages that are not installed, sorted."""
    return sorted(name for name in requirements(extra) if not is_installed(name))


def is_installed(name: str) -> bool:
    """Return whether a distribution of this name is installed, at whatever version."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def install_command(extras: Iterable[str]) -> str:
    """Return what somebody can type here, as it stands, to have these extras."""
    wanted = list(dict.fromkeys(extras))
    named = (item for extra in wanted for item in requirements(extra).values())
    arguments = _as_it_was_installed(wanted) or list(dict.fromkeys(named))
    if not arguments:  # a checkout on the path, with no metadata
        return f"install it anew, with its extra {' and '.join(repr(item) for item in wanted)}"
    return install_with(arguments)


def install_with(arguments: Iterable[str]) -> str:
    """Return a command that gives these arguments to this interpreter's installer."""
    head = [sys.executable or "python3", "-m", "pip", "install"]
    if find_spec("pip") is None and shutil.which("uv"):
        head = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*head, *arguments])


def _as_it_was_installed(extras: list[str]) -> list[str]:
    """Return what an installer is given to install from the same place; empty if that is gone."""
    data = _direct_url()
    url = str(data.get("url", ""))
    named = f"[{','.join(extras)}]"
    if "vcs_info" in data:
        vcs = data["vcs_info"]
        inside = f"#subdirectory={data['subdirectory']}" if data.get("subdirectory") else ""
        return [f"{NAME}{named} @ {vcs['vcs']}+{url}@{vcs['commit_id']}{inside}"]
    if not url.startswith("file:"):
        return [f"{NAME}{named} @ {url}"] if url else []
    path = Path(url2pathname(urlsplit(url).path))
    if path.is_file():
        return [f"{path}{named}"]
    if not _is_ours(path):
        return []
    pins = path / "constraints.txt"
    return [
        *(["--constraint", str(pins)] if pins.is_file() else []),
        *(["--editable"] if data.get("dir_info", {}).get("editable") else []),
        f"{path}{named}",
    ]


def _is_ours(folder: Path) -> bool:
    """Return whether a folder still holds the source of this package."""
    try:
        said = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(said.get("project", {}).get("name") == NAME)


def _ours() -> Distribution | None:
    try:
        return distribution(NAME)
    except PackageNotFoundError:
        return None


def _requires(found: Distribution | None) -> list[str]:
    return (found.requires or []) if found is not None else []


def _direct_url() -> dict[str, Any]:
    """Return what PEP 610 keeps of where mashbill was installed from; empty for an index."""
    found = _ours()
    try:
        data = json.loads((found and found.read_text("direct_url.json")) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
