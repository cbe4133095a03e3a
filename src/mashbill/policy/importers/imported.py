"""What an importer hands over, and what all importers share: reading, gathering, writing ids."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core import parsing
from mashbill.core.errors import InputError
from mashbill.policy.claims import Claim, Entity
from mashbill.policy.importers.naming_nothing import no_name
from mashbill.policy.importers.rejecting import Rejected, rejected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
"""an id on the hub: OWNER/NAME, or NAME alone for the oldest repositories"""
_HUB_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<data>datasets/)?(?P<rest>[^?#\s]+)"
)
NO_OWNERS = frozenset(
    ["api", "blog", "chat", "collections", "datasets", "docs", "join", "learn", "login", "models",
     "new", "organizations", "papers", "pricing", "search", "settings", "spaces", "tasks"]
)  # fmt: skip
"""first parts of addresses on the hub that are no owner of a repository"""


@dataclass(frozen=True)
class Imported:
    """What one import found. Nothing of it is written yet."""

    entities: tuple[Entity, ...]
    claims: tuple[Claim, ...]
    left_out: tuple[str, ...]
    """what was passed over: file, key and reason"""
    format: str = "own"
    """which importer read it; goes into the names of the files that are written"""
    rejected: tuple[Rejected, ...] = ()
    """files and rows that could not be read; they stand in ``left_out``, too"""


@dataclass
class Gathering:
    """Entities and claims while an importer reads: each once, whatever the case of its name."""

    format: str
    entities: dict[str, Entity] = field(default_factory=dict)
    """lower-case id -> entity"""
    claims: dict[Claim, None] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, file: object, flaw: str) -> None:
        """Note a file or row that cannot be read, by an error's text that names the file first."""
        reject = rejected(file, flaw)
        self.rejected.append(reject)
        self.left_out.append(flaw)

    def leave(self, where: str, reason: str) -> None:
        """Note what is passed over."""
        self.left_out.append(f"{where}: {reason}")

    def add_entity(self, where: str, **facts: Any) -> None:
        """Keep an entity; of two descriptions the first that says more than a name stands."""
        if reason := no_name(str(facts["id"])):
            self.leave(where, reason)
            return
        try:
            entity = Entity.model_validate(facts)
        except ValidationError as error:
            self.leave(where, _first(error))
            return
        key = entity.id.lower()
        if key not in self.entities or self.entities[key].is_bare:
            self.entities[key] = entity

    def add_claim(self, where: str, **facts: Any) -> bool:
        """Keep a claim, or note why it is none; return whether it was kept."""
        for key in ("child", "parent"):
            if reason := no_name(str(facts[key])):
                self.leave(where, reason)
                return False
        if str(facts["child"]).lower() == str(facts["parent"]).lower():
            self.leave(where, f"{facts['child']} is named as its own parent")
            return False
        try:
            self.claims[Claim.model_validate(facts)] = None
        except ValidationError as error:
            self.leave(where, _first(error))
            return False
        return True

    def finish(self) -> Imported:
        """Return what was gathered; ids that differ only in case are written in one way."""
        spelt = {key: entity.id for key, entity in self.entities.items()}
        for claim in self.claims:
            for name in (claim.child, claim.parent):
                spelt.setdefault(name.lower(), name)
        claims = dict.fromkeys(
            claim.model_copy(
                update={
                    "child": spelt[claim.child.lower()],
                    "parent": spelt[claim.parent.lower()],
                }
            )
            for claim in self.claims
        )
        return Imported(
            tuple(self.entities.values()),
            tuple(claims),
            tuple(self.left_out),
            self.format,
            tuple(self.rejected),
        )


def _first(error: ValidationError) -> str:
    item = error.errors()[0]
    where = ".".join(str(part) for part in item["loc"]) or "row"
    return f"{where}: {item['msg']}"


def one_line(text: str) -> str:
    """Return a text with all white space as single spaces, and without lone surrogates."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def from_address(text: str) -> tuple[str, str] | None:
    """Return the id and "model" or "dataset" of an address on the hub, or None if it is none."""
    match = _HUB_ADDRESS.match(text)
    if match is None:
        return None
    parts = [part for part in match["rest"].split("/") if part]
    data = match["data"] is not None
    if not parts or (not data and (len(parts) < 2 or parts[0] in NO_OWNERS)):
        return None
    # An old dataset has no owner, and pages of a repository begin with one of these words.
    bare = data and (len(parts) == 1 or parts[1] in {"viewer", "blob", "tree", "resolve"})
    name = parts[0] if bare else "/".join(parts[:2])
    return (name, "dataset" if data else "model") if HUB_ID.fullmatch(name) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, and none of what is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def read_each(
    path: Path, pattern: str, reject: Callable[[Path, str], None], read: Callable[[Path], None]
) -> None:
    """Read a single file, or those below a folder; of many, one that cannot be read is a reject.

    Args:
        path: the file, or the folder.
        pattern: which files of a folder.
        reject: is told each file that cannot be read, with the text of the error.
        read: takes one; it adds nothing of a file before it has found that it can be read.

    Raises:
        InputError: if there is no file; what is wrong with a single file, or with the first if none
            of a folder can be read.
    """
    files = files_of(path, pattern)
    flaws: list[InputError] = []
    for file in files:
        try:
            read(file)
        except InputError as flaw:
            flaws.append(flaw)
            reject(file, str(flaw))
    if len(flaws) < len(files):
        return
    if len(files) > 1:
        msg = f"{path}: none of the {len(files)} files can be read; the first: {flaws[0]}"
        raise InputError(msg) from flaws[0]
    raise flaws[0]


def files_of(path: Path, pattern: str) -> list[Path]:
    """Return a single file, or the files below a folder that fit a pattern, in order.

    Raises:
        InputError: if there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        msg = f"{path}: there is no such file or folder; correct the path"
        raise InputError(msg)
    found = sorted(path.rglob(pattern))
    if not found:
        msg = f"{path}: no {pattern} in this folder or below it; name the file, or another folder"
        raise InputError(msg)
    return found


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: if it cannot be read as UTF-8.
    """
    return parsing.read_text(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        InputError: naming file and line, if it holds no object.
    """
    return parsing.json_object(path)
