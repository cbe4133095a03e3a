"""Clearing a store of what nothing needs: leftovers of runs and removals, superseded versions.

What is an artifact goes by an entry of its own (:mod:`mashbill.run.removing`). Shards that a run
left unfinished are given up by an ``abandon`` entry each, since entries speak of them. Temporary
files, of which no entry speaks, are counted in one entry of the event ``gc``, so that whoever looks
for them later finds who took them away. What a run could go on from is kept for some days.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.artifact import NAME_PATTERN
from mashbill.core.removals import CLEAR
from mashbill.core.store import FOLDERS, PENDING, Store, told_of_the_disk
from mashbill.run.removing import (
    Going,
    check_inside,
    left_of_removals,
    look,
    remove,
    sync,
    take_away,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.ledger import Entry, Signer

DAYS = 7
"""for which what a run could go on from is kept"""
KEEP = 1
"""newest versions of a name that are no superseded ones"""
_TEMPORARY = re.compile(
    r"\.(part|rejected)-\d{5,}\.parquet|\.learned\.parquet|\.{1,2}.+\.(\d{1,10}|taken)"
)
"""names of files that a write which was cut off leaves in an artifact's folder"""
_ADDRESS = re.compile(rf"{NAME_PATTERN}@{NAME_PATTERN}")

Why = Literal["left of a removal", "temporary", "unfinished", "superseded", "cache"]


@dataclass(frozen=True)
class Item:
    """One thing that can be cleared away."""

    why: Why
    what: str
    """in words, with the artifact or the folder that it is of"""
    files: int
    bytes: int
    goes: bool
    """whether it goes; what stays says why in ``note``"""
    note: str = ""
    paths: tuple[Path, ...] = field(default=(), repr=False)
    """files and folders that are taken away"""
    artifact: str = ""
    gives_up: bool = False
    """whether entries speak of its files, so that it is given up on record"""
    going: Going | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "why": self.why, "what": self.what, "files": self.files, "bytes": self.bytes,
            "goes": self.goes, "note": self.note, "artifact": self.artifact or None,
        }  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is asked to be cleared."""

    older_than: float = DAYS
    """days for which what a run could go on from is kept"""
    superseded: bool = False
    keep: int = KEEP
    caches: bool = False


def find(store: Store, cache: Path, wanted: Wanted, now: dt.datetime) -> list[Item]:
    """Return what can be cleared away, and what only could be; nothing is changed.

    Args:
        store: to look at.
        cache: where files are kept that can be fetched or made again.
        wanted: what is asked.
        now: with its zone.
    """
    limit = now - dt.timedelta(days=wanted.older_than)
    return [
        *_removals(store, cache),
        *_temporary(store),
        *_unfinished(store, limit),
        *_superseded(store, wanted),
        *_cached(cache, wanted),
    ]


def _removals(store: Store, cache: Path) -> Iterator[Item]:
    for going in left_of_removals(store, cache):
        yield Item(
            "left of a removal", f"{going.artifact}, {going.removal}", len(going.files),
            sum(going.files.values()), goes=True, artifact=going.artifact, going=going,
        )  # fmt: skip


def _temporary(store: Store) -> Iterator[Item]:
    """Find what writes that were cut off left, where no run could go on from it."""
    found: dict[str, list[Path]] = {}
    for folder in _artifact_folders(store):
        own = [p for p in _files_in(folder) if _TEMPORARY.fullmatch(p.name) and p.name != PENDING]
        if own:
            found[store.relative(folder)] = own
    reports = store.root / "reports"
    if reports.is_dir() and not reports.is_symlink():
        own = [path for path in _files_in(reports) if re.fullmatch(r"\..+\.\d{1,10}", path.name)]
        if own:
            found["reports"] = own
    runs = [p for p in _files_in(store.root / ".locks") if p.name.startswith("run-")]
    if runs:
        found[".locks"] = runs
    made = {_work_of(entry) for entry in _last_made(store).values() if entry.event == "commit"}
    for work in _works(store):
        if work.name in made:
            found[store.relative(work)] = [work]
    for where, paths in found.items():
        files, size = _measure(paths)
        yield Item("temporary", f"left by a run that was cut off, in {where}", files, size,
                   goes=True, paths=tuple(paths))  # fmt: skip


def _unfinished(store: Store, limit: dt.datetime) -> Iterator[Item]:
    """Find what runs began and did not finish, and could go on from."""
    committed, removed = store.committed(), store.removals().in_force
    for artifact, entry in _last_made(store).items():
        if entry.event == "commit" or (artifact in committed and artifact not in removed):
            continue
        works = [p for p in _works(store) if p.name.rpartition("-")[0] == artifact]
        kept: list[Path] = []
        for folder in _artifact_folders(store):
            if folder.name == artifact:
                gone = removed[artifact].files if artifact in removed else None
                kept += [p for p in _files_in(folder)
                         if (gone is None or store.relative(p) in gone)
                         and not _TEMPORARY.fullmatch(p.name)]  # fmt: skip
        paths = [*works, *kept]
        if not paths:
            continue
        files, size = _measure(paths)
        began = dt.datetime.fromisoformat(str(entry.predicate["at"]))
        old = began <= limit
        spoken_of = any(
            e.event == "shard" and e.predicate.get("artifact") == artifact
            for e in store.ledger.accepted
        )
        yield Item(
            "unfinished", f"{artifact}, which a run left on {began:%Y-%m-%d}", files, size,
            goes=old,
            note="" if old else "the same run goes on from there; --older-than 0 takes it",
            paths=tuple(paths), artifact=artifact,
            gives_up=spoken_of and artifact not in removed,
        )  # fmt: skip


def _last_made(store: Store) -> dict[str, Entry]:
    """Return the last entry by which each artifact was begun, made further or committed."""
    found: dict[str, Entry] = {}
    for entry in store.ledger.accepted:
        artifact = str(entry.predicate.get("artifact"))
        if entry.event in {"start", "shard", "commit"} and _ADDRESS.fullmatch(artifact):
            found.pop(artifact, None)
            found[artifact] = entry
        elif entry.event == "abandon" and "digest" not in entry.predicate:
            found.pop(artifact, None)
    return found


def _work_of(entry: Entry) -> str:
    return f"{entry.predicate['artifact']}-{str(entry.predicate.get('fingerprint'))[:12]}"


def _superseded(store: Store, wanted: Wanted) -> Iterator[Item]:
    """Find versions behind which there are newer ones, and on which nothing rests that is whole."""
    for manifest in superseded(store, wanted.keep):
        going = [store.root / name for name in store.removals().going(str(manifest.ref))]
        files, size = _measure([path for path in going if path.exists()])
        yield Item(
            "superseded", f"{manifest.ref}, of which there are newer versions", files, size,
            goes=wanted.superseded,
            note="" if wanted.superseded else "--superseded removes it, by an entry of its own",
            artifact=str(manifest.ref),
        )  # fmt: skip


def superseded(store: Store, keep: int) -> list[Manifest]:
    """Return the artifacts of which newer versions are there, and on which nothing else rests.

    What rests on one of them is itself one, or was removed.

    Args:
        store: to look at.
        keep: newest versions of each name that are none.
    """
    whole = {str(m.ref): m for m in store.manifests() if store.removal(m.ref) is None}
    versions: dict[str, list[str]] = {}
    for ref, manifest in whole.items():
        versions.setdefault(manifest.name, []).append(ref)
    old = {ref for refs in versions.values() for ref in refs[: -max(keep, 1)]}
    grew = True
    while grew:
        needed = {
            item.name
            for ref, manifest in whole.items()
            if ref not in old
            for item in manifest.inputs
            if item.is_artifact
        }
        grew = bool(old & needed)
        old -= needed
    return [manifest for ref, manifest in whole.items() if ref in old]


def _cached(cache: Path, wanted: Wanted) -> Iterator[Item]:
    """Find what is kept outside of the store and can be fetched or made again, folder by folder."""
    if not cache.is_dir():
        return
    for path in sorted(cache.iterdir()):
        if path.is_symlink() or not path.is_dir():
            continue
        files, size = _measure([path])
        if files:
            yield Item(
                "cache", str(path), files, size, goes=wanted.caches, paths=(path,),
                note="" if wanted.caches else "all stores share it; --caches takes it away",
            )  # fmt: skip


def _artifact_folders(store: Store) -> Iterator[Path]:
    for name in FOLDERS.values():
        kind = store.root / name
        if kind.is_dir() and not kind.is_symlink():
            yield from sorted(p for p in kind.iterdir() if p.is_dir() and not p.is_symlink())


def _works(store: Store) -> list[Path]:
    folder = store.root / ".work"
    if not folder.is_dir() or folder.is_symlink():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _files_in(folder: Path) -> list[Path]:
    """Return the files of a folder, no links among them."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def _measure(paths: Sequence[Path]) -> tuple[int, int]:
    """Return how many files these are, and how many bytes; links count as themselves."""
    files = size = 0
    for path in paths:
        if path.is_symlink() or path.is_file():
            files, size = files + 1, size + path.lstat().st_size
            continue
        for folder, _, names in os.walk(path):
            for name in names:
                with suppress(FileNotFoundError):  # others may write to a cache meanwhile
                    files, size = files + 1, size + (Path(folder) / name).lstat().st_size
    return files, size


def clear(root: Path, signer: Signer, cache: Path, wanted: Wanted, now: dt.datetime) -> list[Item]:
    """Clear a store of what nothing needs, and return what went.

    Args:
        root: of the store.
        signer: whose key enters it.
        cache: as above.
        wanted: what is asked.
        now: with its zone.

    Raises:
        StoreError: if a run goes on in it, or the disk cannot be written.
        AuditError: if its ledger does not hold, or the key is none of its signers.
    """
    store = Store(root, signer)
    with told_of_the_disk(root), store.alone():
        store = Store(root, signer)
        store.ledger.check_may_append()
        items = [item for item in find(store, cache, wanted, now) if item.goes]
        for item in items:
            for path in item.paths if item.why != "cache" else ():
                check_inside(path)
        for item in items:
            if item.gives_up:
                why = "a run left it unfinished, and it was cleared away"
                store.ledger.append("abandon", artifact=item.artifact, reason=why)
        counts: dict[str, dict[str, int]] = {}
        for item in items:
            if item.why in ("left of a removal", "temporary", "unfinished"):
                told = counts.setdefault(item.why, {"files": 0, "bytes": 0})
                told["files"] += item.files
                told["bytes"] += item.bytes
        if counts:
            store.ledger.append(CLEAR, cleared=counts)
        for item in items:
            if item.why == "left of a removal" and item.going is not None:
                take_away(store, item.going)
            for path in item.paths:
                _take(path)
        for folder in _artifact_folders(store):
            empty = not any(folder.iterdir())
            if empty and str(folder.name) not in store.committed():
                folder.rmdir()
    return [
        item
        for item in items
        if item.why != "superseded" or _goes(root, signer, cache, item, wanted)
    ]


def _goes(root: Path, signer: Signer, cache: Path, item: Item, wanted: Wanted) -> bool:
    """Remove a superseded version, unless something was made of it meanwhile."""
    store = Store(root)
    if item.artifact not in {str(one.ref) for one in superseded(store, wanted.keep)}:
        return False
    name = item.artifact.partition("@")[0]
    reason = f"superseded: newer versions of {name} are there"
    remove(root, signer, look(store, item.artifact, cache), cache, reason)
    return True


def _take(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync(path.parent)
