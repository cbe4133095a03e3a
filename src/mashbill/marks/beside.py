"""Files that mashbill writes beside rows, and what they tell of: a bill, a card, nodes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.conduct.beside_members import beside_members
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest
from mashbill.core.errors import MashbillError
from mashbill.core.marks import Mark
from mashbill.core.parsing import json_object, read_text, yaml_value
from mashbill.core.source import Channel, Source
from mashbill.core.store import MANIFEST, NODES
from mashbill.lineage.nodes import CONTENT, NodeTable, reachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Part = tuple[str, str]
"""(via, digest of a node)"""
_BILL, _CARD, _SUMS, _FORM = "bill.json", "README.md", "SHA256SUMS", "form.json"
_READ = frozenset([_BILL, _CARD, MANIFEST, NODES])
"""names of the files that are read"""
_BLOCK = "x-mashbill"
_MOST = 8 << 20
"""bytes of a file that is looked into"""
_LINES, _DEEPEST, _FOLDERS = 500, 20, 200
_WEIGHTS = frozenset([".safetensors", ".gguf", ".onnx", ".pt", ".bin"])


class Beside:
    """What lies beside the files of a set."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.parts: list[Part] = []
        self.nodes: dict[str, dict[str, Any]] = {}
        self._met: set[Path] = set()

    def see_names(self, names: Iterable[str], address: str) -> None:
        """Look at the names of files at an address, of which none is read."""
        own = {name.rsplit("/", 1)[-1] for name in names}
        if {_BILL, _SUMS} <= own or {_BILL, _FORM} <= own:
            self.marks.append(Mark("beside", f"{_BILL} at {address}"))

    def see_files(self, paths: Sequence[Path], top: Path) -> None:
        """Look at what lies in the folders of some files, and above them.

        That is one folder up, wherever the recipe lies, and all folders between them and ``top``.
        """
        end = top.resolve()
        folders: dict[Path, None] = {}
        for path in paths:
            folder = path.resolve().parent
            folders.setdefault(folder)
            folders.setdefault(folder.parent)
            while end in folder.parent.parents:
                folder = folder.parent
                folders.setdefault(folder)
        for folder in list(folders)[:_FOLDERS]:
            if folder not in self._met and not _is_of_a_model(folder):
                self._met.add(folder)
                self._see_folder(folder, folder.name)

    def see_members(self, archive: Path, insides: Iterable[str]) -> None:
        """Look at what lies in an archive beside members of it, and above them."""
        for lying in beside_members(archive, insides, _READ, _MOST):
            if not lying.files or lying.suffixes & _WEIGHTS:
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
        with suppress(MashbillError, OSError, ValueError, KeyError, TypeError):
            if _is_small(folder / _BILL):
                self._see_bill(json_object(folder / _BILL), f"{shown}/{_BILL}")
        with suppress(MashbillError, OSError, ValueError, KeyError, TypeError):
            if len(self.marks) == before and _is_small(folder / _CARD):
                self._see_card(read_text(folder / _CARD), folder / _CARD, f"{shown}/{_CARD}")

    def _see_nodes(self, folder: Path, shown: str) -> None:
        """Look at a data set's own folder of a store, copied or not."""
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
        if not (begin and end and _BLOCK in front):
            return
        told = yaml_value(front, path)
        block = told.get(_BLOCK) if isinstance(told, dict) else None
        if isinstance(block, dict) and isinstance(block.get("bill"), list):
            self._see_bill(block, shown)
        elif isinstance(block, dict):
            name = str(block.get("artifact") or "an artifact")
            self.marks.append(Mark("beside", shown, (_address(name),)))

    def _see_bill(self, told: dict[str, Any], shown: str) -> None:
        """Look at a bill: what ``bill.json`` and a card's block have of one."""
        lines = told.get("bill")
        if not isinstance(lines, list) or "verdicts" not in told:
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


def _address(artifact: str) -> str:
    """Return NAME@VERSION of an artifact, as bills and cards name it."""
    return artifact.removeprefix("urn:mashbill:artifact:").partition(":")[0]


def _models(table: NodeTable) -> list[str]:
    names = {
        body["name"] for body in table.bodies.values()
        if body["type"] == "source" and body["what"] == "model"
    }  # fmt: skip
    return sorted(names)


def _is_small(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= _MOST
