"""Weights that mashbill made: what a folder or a GGUF file tells of the artifact that it is.

What comes from outside is a source of lineage, declared by whoever writes the recipe. A student of
ours has a bill, and declared so it would lose it: its teachers, their depth and their terms. So a
folder with our manifest, bill or card in it, and a GGUF file with our keys, is no such source.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from mashbill.core.errors import InputError, MashbillError
from mashbill.core.parsing import json_object, read_text, yaml_value
from mashbill.models.gguf_header import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KEYS = b"mashbill."
_CARD, _BLOCK = "readme.md", "x-mashbill"
_SAYS = (b'"verdicts"', b'"nodes_digest"')
"""what a bill or a manifest of ours has in it, whatever the file is called"""
_MOST = 8 << 20
"""bytes of a file that is looked into"""
_NAMELESS = "an artifact"


AS_BASE = (
    'name it with kind = "artifact", artifact = "{artifact}" and, where another store than the '
    "run's made it, store = its folder"
)
AS_TEACHER = (
    'name it with kind = "student", model = "{artifact}" and, where another store than the run\'s '
    "made it, store = its folder"
)
"""what is to be done instead: of a base, and of a teacher"""


def check_folder(files: Iterable[Path], shown: str, instead: str) -> None:
    """See that weights from outside are none that mashbill made.

    Args:
        files: of their folder; others than JSON and cards are not looked into.
        shown: what messages call them.
        instead: :data:`AS_BASE` or :data:`AS_TEACHER`.

    Raises:
        InputError: if they are, naming the artifact.
    """
    for path in files:
        if artifact := _told_in(path):
            _refuse(artifact, path, shown, instead)


def own_files(folder: Path) -> list[Path]:
    """Return the files of a folder on this disk that may tell of an artifact, by their names."""
    with suppress(OSError):
        return sorted(
            path for path in folder.iterdir()
            if path.name.lower().endswith((".json", _CARD)) and path.is_file()
        )  # fmt: skip
    return []


def check_gguf(path: Path, shown: str, instead: str) -> None:
    """See that a GGUF file from outside is none that mashbill wrote: as :func:`check_folder`.

    Raises:
        InputError: if it is, naming the artifact.
        TeacherError: if it is not GGUF.
    """
    told = texts_of(path, _KEYS)
    if told:
        _refuse(told.get("mashbill.artifact") or _NAMELESS, path, shown, instead)


def _refuse(artifact: str, path: Path, shown: str, instead: str) -> NoReturn:
    msg = (
        f"{shown}: by {path.name} it is {artifact}, which mashbill made, so what it was distilled "
        f"from its own bill says, and no recipe; {instead.format(artifact=artifact)}"
    )
    raise InputError(msg)


def _told_in(path: Path) -> str:
    """Return NAME@VERSION of the artifact that a file tells of; empty if it is none of ours."""
    name = path.name.lower()
    # What cannot be read, or is none of ours, tells of nothing.
    with suppress(MashbillError, OSError, ValueError, TypeError):
        if not name.endswith((".json", _CARD)) or path.stat().st_size > _MOST:
            return ""
        if name == _CARD:
            return _of_card(read_text(path), path)
        if any(word in path.read_bytes() for word in _SAYS):
            return _of_json(json_object(path))
    return ""


def _of_json(told: dict[str, Any]) -> str:
    """Return what a bill is about, or what a manifest is."""
    if isinstance(told.get("bill"), list) and isinstance(told.get("verdicts"), dict | list):
        artifact = told.get("artifact")
        return _address(artifact) if isinstance(artifact, str) else ""
    # Not held to this release's manifest: another one's, or one with a key more, is ours as well.
    is_ours = told.get("kind") == "model" and {"fingerprint", "stage", "bill"} <= told.keys()
    return f"{told.get('name')}@{told.get('version')}" if is_ours else ""


def _of_card(text: str, path: Path) -> str:
    """Return what a card's block of ours is about."""
    before, begin, rest = text.partition("---\n")
    front, end, _ = rest.partition("\n---")
    if before.strip() or not (begin and end) or _BLOCK not in front:
        return ""
    told = yaml_value(front, path)
    block = told.get(_BLOCK) if isinstance(told, dict) else None
    return _address(str(block.get("artifact") or "")) if isinstance(block, dict) else ""


def _address(artifact: str) -> str:
    """Return NAME@VERSION of an artifact, as bills and cards name it."""
    return artifact.removeprefix("urn:mashbill:artifact:").partition(":")[0] or _NAMELESS
