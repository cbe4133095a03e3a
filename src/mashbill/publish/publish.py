"""Publishing an artifact: its files, a card with the bill, the bill for programs, the digests.

What is written depends on the artifact alone, so publishing again changes nothing. Everything is
made in a temporary folder first ($TMPDIR needs the room), a batch of rows in memory at a time, and
compared with what lies at the address before any of it is touched. ``SHA256SUMS`` is written last.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError, StoreError
from mashbill.core.shown import json_text
from mashbill.core.store import MANIFEST, Store
from mashbill.files.places import Place, place
from mashbill.files.remote import folder_of
from mashbill.lineage.exports import gather
from mashbill.lineage.exports.bill_file import BILL_FILE, bill_text
from mashbill.lineage.exports.card import write as write_card
from mashbill.publish.forms import EARLIER, RowForm, Shaped, write_form
from mashbill.publish.rollouts import ends_of
from mashbill.publish.rows import DataFormat, Formulas, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.artifact import Manifest

__all__ = ["Formulas", "Published", "Wish", "publish"]

CARD = "README.md"
FORM_FILE = "form.json"
SUMS = "SHA256SUMS"
ROWS, REJECTED = "data", "rejected"
"""folders of a publication: pandas and pyarrow read all that lies in a folder as rows, and neither
a card nor a rejected row is one"""
_DATA = re.compile(rf"(?:({ROWS}|{REJECTED})/)?(part|rejected)-\d+\.(parquet|jsonl|csv|arrow)")


@dataclass(frozen=True)
class Wish:
    """What to publish of an artifact, and how."""

    format: DataFormat = "parquet"
    """of a dataset's rows"""
    receipts: bool = True
    """whether rows keep _id, _bill (as the node's digest) and _from"""
    rejected: bool = False
    """whether rejected rows go too, in files of their own"""
    replace: bool = False
    """whether files of the same name with other bytes are overwritten"""
    public: bool = False
    """whether everyone may see a repository of the hub"""
    form: RowForm | None = None
    """whose form rows get, as JSON lines, in place of their columns"""
    escape_formulas: bool = False
    """whether texts of CSV files that a spreadsheet may run as formulas get a quote in front"""


@dataclass(frozen=True)
class Published:
    """What was published."""

    artifact: str
    to: str
    sums: dict[str, str]
    """every file but SHA256SUMS -> its SHA-256"""
    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    """files of an earlier publication that this one does not have"""
    rows: int
    """rows of a dataset, rejected ones with them if wished"""
    commit: str
    """of a repository of the hub; empty elsewhere or if nothing changed"""
    formulas: Formulas
    """texts of CSV files that a spreadsheet may run"""
    shaped: Shaped | None
    """what was written in a form, and what it had no place for"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "artifact": self.artifact,
            "to": self.to,
            "rows": self.rows,
            "files": self.sums,
            "written": list(self.written),
            "unchanged": list(self.unchanged),
            "removed": list(self.removed),
            "commit": self.commit or None,
            "formulas": {
                "cells": dict(self.formulas.cells),
                "headers": sorted(self.formulas.headers),
                "escaped": self.formulas.escape,
            },
            "form": self.shaped.as_json() if self.shaped else None,
        }


def publish(store: Store, manifest: Manifest, to: str, wish: Wish) -> Published:
    """Write an artifact to an address: a folder, an address of fsspec, ``hf:OWNER/NAME``.

    Args:
        store: where the artifact is.
        manifest: which one.
        to: the address.
        wish: what of it, and how.

    Raises:
        InputError: naming the address and the remedy, if it holds other files of the same names,
            cannot be written to, or the format has no word for a value.
        StoreError: if the artifact's files are not those that were committed; RemovedError if they
            were removed.
        MissingExtraError: if the package that knows the service is not installed.
    """
    store.check_there(manifest.ref, "what would be published of it")
    _refuse_the_store(store, folder_of(to))
    title = f"{manifest.ref}, published by mashbill"
    target = place(folder_of(to), manifest.kind, public=wish.public, title=title)
    there = target.names((ROWS, REJECTED))
    formulas = Formulas(wish.escape_formulas)
    shaped = _shape(store, manifest, wish)
    with tempfile.TemporaryDirectory(prefix="mashbill-publish-") as scratch:
        files = dict(_made(store, manifest, wish, Path(scratch), shaped or formulas))
        sums = {name: digest_file(path) for name, path in files.items()}
        files[SUMS] = Path(scratch) / SUMS
        files[SUMS].write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
        same = {name for name in files if name in there and target.is_same(name, files[name])}
        stale = sorted(name for name in there - files.keys() if _DATA.fullmatch(name))
        if not wish.replace:
            _refuse_other_bytes(target, sorted(there & files.keys() - same), stale)
        target.write({name: path for name, path in files.items() if name not in same}, stale)
    return Published(
        artifact=str(manifest.ref),
        to=target.address,
        sums=sums,
        written=tuple(name for name in files if name not in same),
        unchanged=tuple(name for name in files if name in same),
        removed=tuple(stale),
        rows=shaped.rows
        if shaped
        else manifest.rows + (manifest.rejected_rows if wish.rejected else 0),
        commit=getattr(target, "commit", ""),
        formulas=formulas,
        shaped=shaped,
    )


def _shape(store: Store, manifest: Manifest, wish: Wish) -> Shaped | None:
    """Return what is to be counted of a form.

    Raises:
        InputError: if the wishes do not go together.
    """
    if wish.form is None:
        return None
    if manifest.kind != "dataset" or wish.format != "jsonl" or wish.rejected:
        msg = f"form {wish.form} is for a dataset's rows as jsonl, without rejected ones"
        raise InputError(msg)
    # An import's own roles; what was made from it may have turned its chats into others.
    roles = manifest.stage.get("roles")
    own = roles if isinstance(roles, dict) else {}
    form = EARLIER.get(wish.form, wish.form)
    return Shaped(form, wish.receipts, own, ends_of(store, manifest))


def _refuse_the_store(store: Store, address: str) -> None:
    """Raise InputError if the address is a folder within the store."""
    inside = "://" not in address and not address.startswith("hf:")
    if inside and Path(address).resolve().is_relative_to(store.root.resolve()):
        msg = f"{address} is in the store {store.root}, whose files are evidence; publish elsewhere"
        raise InputError(msg)


def _refuse_other_bytes(target: Place, other: Sequence[str], stale: Sequence[str]) -> None:
    """Raise InputError if something would be overwritten, or would stay among the new files."""
    if other:
        msg = (
            f"{target.address} holds {_some(other)} with other bytes; publish to another address, "
            "or overwrite with --replace"
        )
        raise InputError(msg)
    if stale:
        msg = (
            f"{target.address} holds {_some(stale)}, which this has not and a reader would take "
            "for a part of it; publish to another address, or remove what is there with --replace"
        )
        raise InputError(msg)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _made(
    store: Store, manifest: Manifest, wish: Wish, scratch: Path, counts: Formulas | Shaped
) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file: data first, then the bill, and the card."""
    account = gather(store, manifest)
    if manifest.kind == "dataset":
        files = list(_data(store, manifest, wish, account.table.numbered, scratch, counts))
    else:
        files = list(_model(store, manifest))
    yield from files
    rows = digest_bytes("".join(f"{digest_file(path)} {name}\n" for name, path in files).encode())
    texts = {
        BILL_FILE: bill_text(account),
        CARD: write_card(account, f"{ROWS}/part-*.{wish.format}", rows),
    }
    if isinstance(counts, Shaped):
        texts[FORM_FILE] = json_text(counts.as_json()) + "\n"
    for name, text in texts.items():
        (scratch / name).write_text(text, "utf-8")
        yield name, scratch / name


def _data(
    store: Store,
    manifest: Manifest,
    wish: Wish,
    nodes: Sequence[str],
    scratch: Path,
    counts: Formulas | Shaped,
) -> Iterator[tuple[str, Path]]:
    """Yield the files of a dataset in the format, or the form, that is wished."""
    shards = [*manifest.shards, *(manifest.rejected if wish.rejected else ())]
    if not shards:
        msg = f"{manifest.ref} has no records, so there is nothing to publish"
        raise InputError(msg)
    for shard in shards:
        folder = REJECTED if shard in manifest.rejected else ROWS
        name = f"{folder}/{Path(shard.file).with_suffix(f'.{wish.format}')}"
        to = scratch / name
        to.parent.mkdir(exist_ok=True)
        source = store.folder("dataset", manifest.ref) / shard.file
        _check(source, shard.sha256)
        if isinstance(counts, Formulas):
            write_rows(source, to, wish.format, nodes, receipts=wish.receipts, formulas=counts)
            yield name, to
            continue
        before = counts.rows
        write_form(source, to, nodes, counts)
        if counts.rows > before:
            yield name, to
    if isinstance(counts, Shaped) and not counts.rows:
        told = "; ".join(f"{n:,} since {reason}" for reason, (n, _) in counts.unfit.items())
        msg = (
            f"{_none_of(counts.seen)} {manifest.ref} has the form {counts.form}: "
            f"{told:.500}; --format jsonl writes them as they are"
        )
        raise InputError(msg)


def _none_of(rows: int) -> str:
    return f"none of the {rows:,} rows of" if rows > 1 else "not even the one row of"


def _model(store: Store, manifest: Manifest) -> Iterator[tuple[str, Path]]:
    """Yield the files of a model, as they lie in the store."""
    folder = store.folder("model", manifest.ref)
    for item in (*manifest.files, manifest.nodes):
        if item.file in (CARD, BILL_FILE, SUMS):
            msg = f"{manifest.ref} has a file {item.file} of its own, where mashbill writes another"
            raise InputError(msg)
    check_files(store, manifest)
    for item in (*manifest.files, manifest.nodes):
        yield item.file, folder / item.file
    yield MANIFEST, folder / MANIFEST


def check_files(store: Store, manifest: Manifest) -> None:
    """Hold the files of a model against what was committed.

    Raises:
        StoreError: naming the one that is another.
    """
    folder = store.folder("model", manifest.ref)
    for item in (*manifest.files, manifest.nodes):
        _check(folder / item.file, item.sha256)


def _check(path: Path, sha256: str) -> None:
    """Raise StoreError if a file is not the one that was committed."""
    try:
        found = digest_file(path)
    except OSError as error:
        msg = f"{path} cannot be read: {error}; run `mashbill audit`"
        raise StoreError(msg) from error
    if found != sha256:
        msg = f"{path} is not what was committed: its SHA-256 is {found}; run `mashbill audit`"
        raise StoreError(msg)
