"""Removing an artifact's rows or weights: what goes is looked at first, and then entered.

The entry is on disk before the first file goes. Who is cut off between the two leaves a store in
which the entry says what is to go, and ``rm`` or ``gc`` ends it. What holds the rows' texts beside
the rows goes with them where the store made it: hashes of texts in the cache, pages under
``reports/``. What else may hold them is told, and not touched: calls are paid for.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.cache import chosen_cache
from mashbill.core.errors import InputError, StoreError
from mashbill.core.plain import counted, listed
from mashbill.core.removals import LONGEST_REASON, REMOVE, STAY
from mashbill.core.samples import SAMPLES
from mashbill.core.store import CALLS, FOLDERS, Store, sync_folder, told_of_the_disk
from mashbill.lineage.evidence.comparing import compared
from mashbill.stages.marks.index import FOLDER as MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mashbill.core.artifact import Manifest
    from mashbill.core.ledger import Signer
    from mashbill.core.removals import Removal

REPORTS = "reports"
_TICK = 0.001  # seconds; the ledger has milliseconds
_NAMED = 6  # artifacts that a sentence names
_BY_ROW = frozenset({"rows", "beside", "trained-on", "base"})
"""roles of inputs by which a row's text goes on; what a model says of others' rows is not its"""


@dataclass(frozen=True)
class Going:
    """What removing an artifact takes, what it leaves, and what rests on it."""

    manifest: Manifest
    removal: Removal | None
    """where it was removed already: what is listed here was left of that"""
    files: dict[str, int]
    """file of the store -> bytes, of those that go and are there"""
    digests: dict[str, str] = field(repr=False)
    """file of the store -> SHA-256, of all that go, as the ledger gives it"""
    altered: dict[str, str]
    """file that goes -> what is wrong with it; what is not as it was committed is put on record"""
    beside: dict[Path, int]
    """files that hold texts of its rows, or hashes of them, and go too: path -> bytes"""
    stay: dict[str, int]
    """file of the store -> bytes, of those that stay"""
    rest: tuple[str, ...]
    """artifacts that were made of it, of what was made of it, and so on: they stay"""
    texts: tuple[str, ...]
    """what else may hold the texts of its rows, in sentences"""

    @property
    def artifact(self) -> str:
        """Its address."""
        return str(self.manifest.ref)

    @property
    def bytes(self) -> int:
        """Of all files that go."""
        return sum(self.files.values()) + sum(self.beside.values())

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        manifest = self.manifest
        return {
            "artifact": self.artifact,
            "kind": manifest.kind,
            "rows": manifest.rows,
            "rejected": manifest.rejected_rows,
            "files": [
                {"file": name, "bytes": size, "sha256": self.digests.get(name)}
                for name, size in self.files.items()
            ],
            "altered": self.altered,
            "beside": [{"file": str(path), "bytes": size} for path, size in self.beside.items()],
            "stay": [{"file": name, "bytes": size} for name, size in self.stay.items()],
            "bytes": self.bytes,
            "rest_on_it": list(self.rest),
            "texts_elsewhere": list(self.texts),
            "removed_before": self.removal.as_json() if self.removal is not None else None,
        }


def look(store: Store, name: str, cache: Path) -> Going:
    """Look at what removing an artifact would take; nothing is changed.

    Args:
        store: where it is.
        name: NAME, its last version, or NAME@VERSION.
        cache: where hashes of its texts may be kept.

    Raises:
        StoreError: if there is none of that name, or something of it is a link or no file.
    """
    manifest = store.find(name)
    ref = str(manifest.ref)
    removal = store.removal(manifest.ref)
    digests = dict(removal.files) if removal is not None else store.removals().going(ref)
    folder = store.folder(manifest.kind, manifest.ref)
    check_inside(folder)
    files, altered = {}, {}
    for file in sorted(digests):
        path = _within(store, folder, file)
        if not os.path.lexists(path):
            if removal is None:
                altered[file] = "is not there"
            continue
        files[file] = _size(path)
        wrong, _ = compared(path, digests[file])
        if wrong is not None:
            altered[file] = wrong
    kept = (folder / item for item in sorted(STAY))
    rest = _resting(store, manifest)
    return Going(
        manifest,
        removal,
        files,
        digests,
        altered,
        dict(_beside(store, manifest, rest, cache, removal)),
        {store.relative(path): _size(path) for path in kept if path.exists()},
        tuple(rest),
        tuple(_texts(store, manifest, rest)) if manifest.kind == "dataset" else (),
    )


def check_inside(folder: Path) -> None:
    """See that a folder of a store is one, and no link that leads out of it.

    Raises:
        StoreError: naming the link.
    """
    for path in (folder.parent, folder):
        if path.is_symlink():
            msg = (
                f"{path} is a link, which is not followed; nothing was removed: put what it leads "
                "to there"
            )
            raise StoreError(msg)


def _within(store: Store, folder: Path, file: str) -> Path:
    """Return where a file of an artifact lies.

    Raises:
        StoreError: if an entry names one outside of the artifact's folder.
    """
    path = store.root / file
    if path.parent != folder or path.name in {"", ".", ".."}:
        msg = f"the ledger names {file!r:.120}, which is not in {folder}; run `mashbill audit`"
        raise StoreError(msg)
    return path


def _size(path: Path) -> int:
    """Return the bytes of a file.

    Raises:
        StoreError: if it is a link, a folder or a device.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        what = "a link, which is not followed" if stat.S_ISLNK(found.st_mode) else "no file"
        msg = f"{path} is {what}; nothing was removed: run `mashbill audit`, and put it right"
        raise StoreError(msg)
    return found.st_size


def _resting(store: Store, manifest: Manifest) -> dict[str, Manifest]:
    """Return what was made of an artifact, directly or not, by address, oldest first."""
    found: dict[str, Manifest] = {}
    digests = {str(manifest.ref): manifest.digest}
    for other in store.manifests():
        taken = (item for item in other.inputs if item.is_artifact)
        if any(digests.get(item.name) == item.digest for item in taken):
            found[str(other.ref)] = other
            digests[str(other.ref)] = other.digest
    return found


def _beside(
    store: Store, manifest: Manifest, rest: Iterable[str], cache: Path, removal: Removal | None
) -> Iterator[tuple[Path, int]]:
    """Yield the files that hold texts of rows, or hashes of them, and can be made again.

    A page that was written after the removal shows none of them: it is no rest of it.
    """
    until = inf if removal is None else datetime.fromisoformat(removal.at).timestamp() + _TICK
    for where in dict.fromkeys((cache, chosen_cache())):
        for path in sorted((where / MARKS).glob(f"{manifest.digest}-*")):
            if path.is_file() and not path.is_symlink():
                yield path, path.stat().st_size
    pages = store.root / REPORTS
    names = (str(manifest.ref), *rest)
    if pages.is_symlink() or not pages.is_dir():
        return
    for path in sorted(pages.iterdir()):
        own = any(path.name.startswith((f"{name}.", f"{name}-")) for name in names)
        if own and path.is_file() and not path.is_symlink():
            found = path.stat()
            if found.st_mtime < until:
                yield path, found.st_size


def _texts(store: Store, manifest: Manifest, rest: dict[str, Manifest]) -> Iterator[str]:
    """Yield what may hold the texts of a dataset's rows once they are gone, in sentences."""
    held = {str(manifest.ref)}  # datasets that may have its texts, and models that learned them
    for ref, one in rest.items():
        if any(item.name in held and item.role in _BY_ROW for item in one.inputs):
            held.add(ref)
    there = {r: rest[r] for r in rest if r in held and store.removal(rest[r].ref) is None}
    rows = [ref for ref, one in there.items() if one.kind == "dataset"]
    models = [ref for ref, one in there.items() if one.kind == "model"]
    above = [item.name for item in manifest.inputs if item.is_artifact and item.role == "rows"]
    if above:
        yield f"what it was made of: {listed(above, _NAMED)}"
    if rows:
        names = listed(rows, _NAMED)
        yield f"rows that were made of its own: {names}; `mashbill rm` takes these, too"
    if models:
        yield f"what models have learned by heart: {listed(models, _NAMED)}"
    if (store.root / CALLS).exists():
        yield (
            f"{CALLS}: what teachers were asked and answered is kept, since it was paid for. "
            "`mashbill journal prune` takes the texts of calls to services out; those of teachers "
            "that ran here stay"
        )
    if isinstance(manifest.measures.get(SAMPLES), list):
        yield "its manifest, whose measures hold samples of texts, and which stays"
    yield "its manifest, which stays, as far as keys of its stage quote a text"
    yield "the files that it was read from, and the cache of fetched ones (`mashbill gc --caches`)"
    yield "what was published, exported or copied elsewhere, which this store does not know"


def check_reason(reason: str) -> str:
    """Return a reason as an entry keeps it.

    Raises:
        InputError: if it is too long, or no text that can be written.
    """
    try:
        reason.encode()
    except UnicodeEncodeError as error:
        msg = f"--reason {reason!r:.60}: it holds characters that cannot be written"
        raise InputError(msg) from error
    if len(reason) > LONGEST_REASON:
        msg = f"--reason has {counted(len(reason), 'letter')}, and {LONGEST_REASON:,} are kept"
        raise InputError(msg)
    return reason.strip()


def remove(root: Path, signer: Signer, going: Going, cache: Path, reason: str = "") -> Removal:
    """Remove an artifact's rows or weights, as they were looked at.

    Where it was removed already, what was left of that goes, and nothing is entered.

    Args:
        root: of the store.
        signer: whose key enters it.
        going: what was looked at.
        cache: where hashes of its texts may be kept.
        reason: goes into the entry.

    Raises:
        StoreError: if a run goes on in the store, the disk cannot be written, or the store is not
            as it was when it was looked at.
        AuditError: if its ledger does not hold, or the key is none of its signers.
        InputError: if the reason cannot be kept.
    """
    reason = check_reason(reason)
    store = Store(root, signer)
    with told_of_the_disk(root), store.alone(), store.lock(going.artifact):
        store = Store(root, signer)  # as it is, now that nobody else changes it
        found = look(store, going.artifact, cache)
        if (found.manifest, found.rest) != (going.manifest, going.rest):
            msg = f"{root} was changed since {going.artifact} was looked at; look at it again"
            raise StoreError(msg)
        if found.removal is None:
            _enter(store, found, reason)
        removal = store.removal(found.manifest.ref)
        if removal is None:
            msg = (
                f"the ledger of {root} does not take the removal of {found.artifact}; no file was "
                "touched: run `mashbill audit`"
            )
            raise StoreError(msg)
        take_away(store, found)
    return removal


def _enter(store: Store, going: Going, reason: str) -> None:
    manifest = going.manifest
    facts: dict[str, Any] = {"altered": going.altered} if going.altered else {}
    store.ledger.append(
        REMOVE,
        going.digests,
        artifact=going.artifact,
        kind=manifest.kind,
        digest=manifest.digest,
        entry=store.committed()[going.artifact].digest,
        rows=manifest.rows,
        rejected_rows=manifest.rejected_rows,
        bytes=going.files,
        reason=reason,
        **facts,
    )


def take_away(store: Store, going: Going) -> None:
    """Take away the files of a removal that is entered, and make that last."""
    folder = store.folder(going.manifest.kind, going.manifest.ref)
    for file in going.files:
        _within(store, folder, file).unlink(missing_ok=True)
    sync(folder)
    for path in going.beside:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Make what was taken out of a folder stay out of it, even if the machine stops."""
    if folder.is_dir():
        sync_folder(folder)


def left_of_removals(store: Store, cache: Path) -> list[Going]:
    """Return the removals whose files are still there, since they were cut off or put back."""
    begun = {
        str(e.predicate.get("artifact")): e.index
        for e in store.ledger.accepted
        if e.event == "start"
    }
    found = []
    for name, removal in store.removals().in_force.items():
        if begun.get(name, -1) > removal.entry:
            continue  # a run that makes it again was cut off: the same command goes on from there
        if any((store.root / kind / name).is_dir() for kind in FOLDERS.values()):
            going = look(store, name, cache)
            if going.files:
                found.append(going)
    return found
