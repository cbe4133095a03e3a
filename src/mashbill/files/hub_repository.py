"""Repositories of the Hugging Face hub: which files they have, having them, publishing to them."""

from __future__ import annotations

import fnmatch
import hashlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.files.hub_cards import told
from mashbill.files.opening import may_come
from mashbill.files.remote import MAGIC, Found, check_names, is_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ADDRESS = re.compile(
    r"hf:(datasets/)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([^/@]+))?(?:/(.*))?", re.ASCII
)


@dataclass(frozen=True)
class HubAddress:
    """``hf:[datasets/]OWNER/NAME[@REVISION][/FILE]``."""

    kind: Literal["dataset", "model"]
    repository: str
    revision: str
    """branch, tag or commit; empty for the newest"""
    inside: str
    """file, folder or glob in the repository; empty for all of it"""

    @classmethod
    def parse(cls, address: str) -> HubAddress:
        """Read an address. A ``/`` in a revision is written ``%2F``, as the hub's pages have it.

        Raises:
            InputError: if it is none.
        """
        match = _ADDRESS.fullmatch(address)
        # hf:datasets/NAME has no owner: it names no model of an owner "datasets" either.
        halves = match is not None and not match[1] and address.startswith("hf:datasets/")
        if match is None or halves or ".." in (match[4] or "").split("/"):
            msg = (
                f"{address}: write hf:OWNER/NAME/FILE for a model's file, or "
                "hf:datasets/OWNER/NAME for a dataset, with @REVISION behind the name and a "
                "file, folder or glob behind that if wanted"
            )
            raise InputError(msg)
        kind: Literal["dataset", "model"] = "dataset" if match[1] else "model"
        return cls(kind, match[2], unquote(match[3] or ""), match[4] or "")

    @property
    def name(self) -> str:
        """The repository as errors name it."""
        return f"hf:{'datasets/' * (self.kind == 'dataset')}{self.repository}"

    def file(self, path: str) -> str:
        """Return the address of one of its files."""
        at = f"@{self.revision.replace('/', '%2F')}" if self.revision else ""
        return f"{self.name}{at}/{path}"


def hub_found(asked: HubAddress) -> Found:
    """Return the files that an address of the hub stands for.

    A path whose last part has a dot is one file; a glob's ``*`` stands for folders too, as the
    hub's own patterns have it.

    Raises:
        InputError: if the hub has nothing there.
    """
    inside = asked.inside
    is_glob = bool(MAGIC & set(inside))
    if not is_glob and "." in inside.rsplit("/", 1)[-1]:
        return Found({inside.rsplit("/", 1)[-1]: inside}, "file")
    base = "" if is_glob else inside.rstrip("/")
    with told(asked.name, inside or "file") as endpoint:
        with needs(asked.name, "hub"):
            from huggingface_hub import HfApi

        tree = HfApi(endpoint).list_repo_tree(
            asked.repository,
            base or None,
            recursive=True,
            revision=asked.revision or None,
            repo_type=asked.kind,
        )
        sizes = {item.path: item.size for item in tree if hasattr(item, "size")}
        paths = sorted(sizes)
        check_names(asked.name, paths)
    if is_glob:
        chosen = {path: path for path in paths if fnmatch.fnmatchcase(path, inside)}
    else:
        chosen = {path.removeprefix(f"{base}/" if base else ""): path for path in paths}
        chosen = {name: path for name, path in chosen.items() if is_shown(name)}
    if not chosen:
        msg = (
            f"{asked.file(inside)}: the repository has no such file (it has "
            f"{', '.join(paths[:8]) or 'none'}); correct the address"
        )
        raise InputError(msg)
    for path in chosen.values():
        may_come(asked.file(path), 0, sizes[path])
    return Found(chosen, "glob" if is_glob else "folder")


def hub_download(asked: HubAddress, path: str, cache: Path) -> Path:
    """Return a local path of one file of a repository.

    Raises:
        InputError: if it cannot be had.
    """
    with told(asked.name, path) as endpoint:
        with needs(asked.name, "hub"):
            from huggingface_hub import hf_hub_download
            from huggingface_hub.utils import tqdm

        class Counted(tqdm):  # type: ignore[misc]
            """Told of each piece that came; what it raises ends the download."""

            came = 0

            def update(self, n: float | None = 1) -> bool | None:
                self.came += int(n or 0)
                # A bar that is not shown has no initial, the bytes that an earlier try left.
                size = int(self.total) - getattr(self, "initial", 0) if self.total else None
                may_come(asked.file(path), self.came, size)
                return bool(super().update(n))

        bar = {"tqdm_class": Counted}  # which older ones of huggingface_hub do not take
        takes = "tqdm_class" in inspect.signature(hf_hub_download).parameters
        return Path(
            hf_hub_download(
                asked.repository,
                path,
                repo_type=asked.kind,
                revision=asked.revision or None,
                cache_dir=cache / "hub",
                endpoint=endpoint,
                **(bar if takes else {}),
            )
        )


class HubRepository:
    """A repository as a place to publish to: all in one commit, and only onto what was seen."""

    def __init__(self, asked: HubAddress, *, public: bool, title: str) -> None:
        """Look at the repository; it is made at the first writing if it is not there.

        Args:
            asked: which one.
            public: whether everyone may see it.
            title: the commit's message.

        Raises:
            InputError: if the hub cannot be asked, or all can see the repository and were not
                meant to.
        """
        if asked.inside:
            msg = f"{asked.file(asked.inside)}: publish to a whole repository, {asked.name}"
            raise InputError(msg)
        self.address = asked.name
        self.commit = ""
        self._asked, self._public, self._title = asked, public, title
        self._parent: str | None = None
        self._there: dict[str, Any] = {}
        with told(asked.name, "revision " + (asked.revision or "main")) as endpoint:
            with needs(asked.name, "hub"):
                from huggingface_hub import HfApi

            self._api = HfApi(endpoint)
            self._exists = self._api.repo_exists(asked.repository, repo_type=asked.kind)
            if not self._exists:
                return
            info = self._api.repo_info(
                asked.repository, repo_type=asked.kind, revision=asked.revision or None
            )
            self._parent = info.sha
            tree = self._api.list_repo_tree(
                asked.repository, recursive=True, revision=info.sha, repo_type=asked.kind
            )
            self._there = {item.path: item for item in tree if hasattr(item, "size")}
        if not info.private and not public:
            msg = (
                f"{asked.name} is there and everyone can see it; say --public to publish to it, "
                "or name another repository, which is then made private"
            )
            raise InputError(msg)

    def names(self, within: Sequence[str] = ()) -> set[str]:
        """Return the names of the files at its top, and in folders of some names."""
        return {name for name in self._there if name.rpartition("/")[0] in ("", *within)}

    def is_same(self, name: str, file: Path) -> bool:
        """Return whether the file of this name there has the bytes of a file here.

        The hub tells the SHA-256 of large files and git's SHA-1 of small ones.
        """
        there = self._there[name]
        if there.size != file.stat().st_size:
            return False
        if there.lfs is not None:
            return bool(there.lfs.sha256 == digest_file(file))
        sha1 = hashlib.sha1(f"blob {there.size}\0".encode(), usedforsecurity=False)
        with file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                sha1.update(piece)
        return bool(there.blob_id == sha1.hexdigest())

    def write(self, files: Mapping[str, Path], remove: Sequence[str]) -> None:
        """Write and remove files in one commit on top of the one that was seen.

        Raises:
            InputError: if the hub does not let us, or has another commit by now.
        """
        if not files and not remove:
            return
        asked = self._asked
        with told(asked.name, "revision " + (asked.revision or "main")):
            with needs(asked.name, "hub"):
                from huggingface_hub import CommitOperationAdd, CommitOperationDelete

            if not self._exists:
                self._api.create_repo(
                    asked.repository, repo_type=asked.kind, private=not self._public
                )
            done = self._api.create_commit(
                asked.repository,
                [
                    *(CommitOperationAdd(name, str(file)) for name, file in files.items()),
                    *(CommitOperationDelete(name) for name in remove),
                ],
                commit_message=self._title,
                repo_type=asked.kind,
                revision=asked.revision or None,
                parent_commit=self._parent,
            )
        self.commit = str(done.oid)
