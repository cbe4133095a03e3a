"""Files that mashbill writes beside rows, and what they tell of: a bill, a card, nodes."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest
from mashbill.core.errors import MashbillError
from mashbill.core.marks import Mark
from mashbill.core.parsing import json_object, read_text, yaml_value
from mashbill.core.source import Channel, Source
from mashbill.core.store import LEDGER, MANIFEST, NODES
from mashbill.files.beside_members import beside_members
from mashbill.lineage.circuit.nodes import CONTENT, NodeTable, reachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Part = tuple[str, str]
"""(via, digest of a node)"""
_BILL, _CARD, _SUMS, _FORM = "bill.json", "readme.md", "sha256sums", "form.json"
_OURS = frozenset([_BILL, _CARD, _SUMS, _FORM, MANIFEST, NODES])
"""names of the files that we write, in small letters"""
_MAY_BE = (".json", ".md", ".markdown", ".yaml", ".yml", ".jsonld", ".txt", ".rst")
"""endings of files that are looked into for what we write, whatever they are called"""
_BLOCK = "x-mashbill"
_SAYS = (b"x-mashbill", b'"verdicts"', b"urn:mashbill:artifact:", b"machine-generated")
"""what a file has in it that says something"""
_URN = re.compile(r"urn:mashbill:artifact:([^\s\"':/@]{1,200}@[^\s\"':/]{1,100})")
_MOST = 8 << 20
"""bytes of a file that is looked into"""
_SMALL = 1 << 20
"""bytes of one whose name says nothing"""
_LINES, _DEEPEST, _FOLDERS, _FILES = 500, 20, 200, 50
_WEIGHTS = frozenset([".safetensors", ".gguf", ".onnx", ".pt", ".bin"])


class Beside:
    """What lies beside the files of a set."""

    def __init__(self) -> None:
        self._read: set[Path] = set()
        self.marks: list[Mark] = []
        self.parts: list[Part] = []
        self.nodes: dict[str, dict[str, Any]] = {}
        self._met: set[Path] = set()

    def see_names(self, names: Iterable[str], address: str) -> None:
        """Look at the names of files at an address, of which none is read."""
        own = {name.rsplit("/", 1)[-1].lower() for name in names}
        if {_BILL, _SUMS} <= own or {_BILL, _FORM} <= own:
            self.marks.append(Mark("beside", f"{_BILL} at {address}"))

    def see_files(self, paths: Sequence[Path], top: Path) -> None:
        """Look at what lies in the folders of some files, and above them.

        That is one folder up, wherever the recipe lies, and all folders between them and ``top``;
        of folders in those only such as have nothing but what we write. What lies in a store's own
        folder tells of its artifacts, whose rows lie in folders of theirs: it says nothing of a
        file further down.
        """
        end = top.resolve()
        self._read |= {path.resolve() for path in paths}
        folders: dict[Path, None] = {}
        own = {path.resolve().parent for path in paths}
        for path in paths:
            folder = path.resolve().parent
            folders.setdefault(folder)
            folders.setdefault(folder.parent)
            while end in folder.parent.parents:
                folder = folder.parent
                folders.setdefault(folder)
        for folder in list(folders)[:_FOLDERS]:
            if folder not in own and (folder / LEDGER).is_file():
                continue
            if folder not in self._met and not _is_of_a_model(folder):
                self._met.add(folder)
                self._see_folder(folder, folder.name)
                if folder == end or end in folder.parents:
                    for inner in _of_ours_alone(folder):
                        self._see_folder(inner, f"{folder.name}/{inner.name}")

    def see_members(self, archive: Path, insides: Iterable[str]) -> None:
        """Look at what lies in an archive beside members of it, and above them."""
        for lying in beside_members(archive, insides, _may_be, _MOST):
            if not lying.files or lying.suffixes & _WEIGHTS or (lying.is_apart and lying.others):
                continue
            with TemporaryDirectory() as name:
                folder = Path(name)
                for own, data in lying.files.items():  # names of ours, not of the archive
                    (folder / own).write_bytes(data)
                self._see_folder(folder, lying.shown)

    def _see_folder(self, folder: Path, shown: str) -> None:
        # What cannot be read, or is none of ours, is no mark.
        with suppress(MashbillError, OSError, ValueError, KeyError, TypeError):
            self._see_nodes(folder, shown)
        before = len(self.marks)
        for path in _candidates(folder):
            if path in self._read or len(self.marks) > before:
                continue
            with suppress(MashbillError, OSError, ValueError, KeyError, TypeError):
                self._see_file(path, f"{shown}/{path.name}")

    def _see_file(self, path: Path, shown: str) -> None:
        """Look at a file that may be a bill, a card, or an export of ours, by what it says."""
        data = path.read_bytes()
        if not any(word in data for word in _SAYS):
            return
        before = len(self.marks)
        if path.suffix.lower() == ".json":
            with suppress(MashbillError):
                self._see_bill(json_object(path), shown)
        else:
            self._see_card(read_text(path), path, shown)
        named = _URN.findall(data.decode("utf-8", "replace")) if len(self.marks) == before else []
        if named:
            self.marks.append(Mark("beside", shown, tuple(dict.fromkeys(named))))

    def _see_nodes(self, folder: Path, shown: str) -> None:
        """Look at a dataset's own folder of a store, copied or not."""
        if not (_is_small(folder / MANIFEST) and _is_small(folder / NODES)):
            return
        manifest = Manifest.model_validate(json_object(folder / MANIFEST))
        table = NodeTable.read(folder / NODES)
        if table.digest != manifest.nodes_digest:
            return
        self.nodes |= {name: table.bodies[name] for name in reachable(table, [table.root])}
        self.parts.append((CONTENT, table.root))
        self.marks.append(
            Mark("beside", f"{NODES} in {shown}", (str(manifest.ref), *_models(table)))
        )

    def _see_card(self, text: str, path: Path, shown: str) -> None:
        """Look at a card: its front matter may have a block of ours."""
        _, begin, rest = text.partition("---\n")
        front, end, _ = rest.partition("\n---")
        if not (begin and end):
            return
        told = yaml_value(front, path)
        if isinstance(told, dict) and _BLOCK not in told:
            made = told.get("language_creators")
            if "machine-generated" in (made if isinstance(made, list) else [made]):
                self.marks.append(Mark("beside", shown, ("texts that machines generated",)))
            return
        block = told.get(_BLOCK) if isinstance(told, dict) else None
        if isinstance(block, dict) and isinstance(block.get("bill"), list):
            self._see_bill(block, shown)
        elif isinstance(block, dict):
            name = str(block.get("artifact") or "an artifact")
            self.marks.append(Mark("beside", shown, (_address(name),)))

    def _see_bill(self, told: dict[str, Any], shown: str) -> None:
        """Look at a bill: what ``bill.json`` and a card's block have of one."""
        lines = told.get("bill")
        is_ours = isinstance(told.get("artifact"), str) and isinstance(
            told.get("verdicts"), dict | list
        )
        if not isinstance(lines, list) or not is_ours:
            return
        names = [_address(str(told.get("artifact") or "an artifact"))]
        for line in lines[:_LINES]:
            with suppress(ValidationError, KeyError, TypeError, ValueError):
                source = Source.model_validate(line["source"])
                how = Channel(line["channels"][0]).value
                if source.what == "model":
                    names.append(source.title)
                self.parts.append((how, self._behind(source, int(line["depth"]))))
        self.marks.append(Mark("beside", shown, tuple(dict.fromkeys(names))))

    def _behind(self, source: Source, depth: int) -> str:
        """Return the node of a source that stands behind as many models as a bill says."""
        body: dict[str, Any] = {"type": "source", **source.model_dump(mode="json")}
        name = digest(body)
        self.nodes[name] = body
        for number in range(min(depth, _DEEPEST) - 1):
            body = {"type": "model", "artifact": f"a model that a bill tells of, {number + 1}",
                    "files": "", "members": [[CONTENT, name, None]]}  # fmt: skip
            name = digest(body)
            self.nodes[name] = body
        return name


def _is_of_a_model(folder: Path) -> bool:
    """Return whether a folder holds a model: its bill is not about data that lie beside it."""
    with suppress(OSError):
        return any(path.suffix in _WEIGHTS for path in folder.iterdir())
    return True


def _may_be(name: str) -> bool:
    """Return whether a file of a name is looked into."""
    return name.lower() in _OURS or name.lower().endswith(_MAY_BE)


def _candidates(folder: Path) -> list[Path]:
    """Return the files of a folder that may be a bill or a card: those so called first."""
    found, number = [], 0
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if not (name.endswith(_MAY_BE) and path.is_file()):
            continue
        number += name not in _OURS
        most = _MOST if name in _OURS else _SMALL
        if path.stat().st_size <= most and number <= _FILES:
            found.append(path)
    order = {_BILL: 0, _CARD: 1}
    return sorted(found, key=lambda path: order.get(path.name.lower(), 2))


def _of_ours_alone(folder: Path) -> list[Path]:
    """Return the folders in a folder that hold a bill or a card, and no rows that it is about."""
    found = []
    with suppress(OSError):
        for inner in sorted(folder.iterdir())[:_FOLDERS]:
            if not inner.is_dir() or inner.is_symlink():
                continue
            paths = [path for path in islice(inner.iterdir(), _FOLDERS) if path.name[:1] != "."]
            if paths and all(path.is_file() and _may_be(path.name) for path in paths):
                found.append(inner)
    return found


def _address(artifact: str) -> str:
    """Return NAME@VERSION of an artifact, as bills and cards name it."""
    return artifact.removeprefix("urn:mashbill:artifact:").partition(":")[0]


def _models(table: NodeTable) -> list[str]:
    names = {
        body["name"]
        for body in table.bodies.values()
        if body["type"] == "source" and body["what"] == "model"
    }
    return sorted(names)


def _is_small(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _MOST
