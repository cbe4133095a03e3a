"""Datasets that a model learned from elsewhere and that are no artifacts of the run's store.

A folder that ``mashbill publish`` wrote has ``bill.json``: its sources, each with channels, share
and depth. Which rows rest on which is not in it, so what is behind all rows is one origin, and what
is behind some of them is an origin of unknown size each. Another store has the nodes themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import digest_bytes, digest_file
from mashbill.core.errors import InputError, StoreError
from mashbill.core.given import Given
from mashbill.core.parsing import foreign, json_object, read_bytes, read_text
from mashbill.core.said_learning import OriginSize
from mashbill.core.source import Channel, Source
from mashbill.lineage.circuit.contradicted import contradictions
from mashbill.lineage.circuit.nodes import CONTENT, NodeTable
from mashbill.lineage.circuit.said_model import origins_of
from mashbill.lineage.evidence.taken_in import find_given

if TYPE_CHECKING:
    from collections.abc import Sequence

BILL, SUMS = "bill.json", "SHA256SUMS"
"""what ``mashbill publish`` writes beside rows"""
_WEIGHTS = (".safetensors", ".gguf", ".onnx")
_MOST_BILL, _MOST_SUMS = 8 << 20, 4 << 20
"""bytes that are read of both"""
_LINES, _DEEPEST, _FILES = 2_000, 20, 20_000
_SUM = re.compile(r"([0-9a-f]{64})  ([^/\0\n][^\0\n]{0,400})")
_ADDRESS = re.compile(r"[^\s:/\\]{1,200}@[^\s:/\\]{1,100}")


@dataclass(frozen=True)
class OutsideData:
    """A dataset that is not in the run's store."""

    name: str
    """NAME@VERSION"""
    digest: str
    """of its content; empty if its bill does not say it"""
    table: NodeTable
    """all nodes behind it"""
    origins: tuple[OriginSize, ...]
    rows: int | None
    sums: str
    """SHA-256 of SHA256SUMS of a published folder; empty for a store's"""
    told: str
    """on whose word its lineage is"""


def published(folder: Path, shown: str) -> OutsideData:
    """Return a dataset by the folder that it was published in.

    Args:
        folder: where it lies.
        shown: what messages call it.

    Raises:
        InputError: if it is no such folder, or not as it was written, and what to do.
    """
    lacking = [name for name in (BILL, SUMS) if not (folder / name).is_file()]
    if lacking:
        msg = (
            f"{shown}: has no {' and no '.join(lacking)}, so it is no folder that `mashbill "
            "publish` wrote; name such a folder, or have a stage of kind 'import' read its rows"
        )
        raise InputError(msg)
    listed = _listed(folder / SUMS, f"{shown}/{SUMS}")
    bill = read_bytes(folder / BILL, most=_MOST_BILL, shown=f"{shown}/{BILL}", error=InputError)
    if listed.get(BILL) != digest_bytes(bill):
        msg = f"{shown}: {BILL} is not the file that {SUMS} lists; publish the dataset again"
        raise InputError(msg)
    weights = [name for name in listed if name.endswith(_WEIGHTS)]
    if weights:
        msg = (
            f"{shown}: holds a model ({weights[0]:.80}), and a dataset is needed; what a model was "
            "made from is named by base or parents"
        )
        raise InputError(msg)
    told = json_object(folder / BILL, shown=f"{shown}/{BILL}", error=InputError, most=_MOST_BILL)
    with foreign(f"{shown}/{BILL}", "a bill", remedy="publish the dataset again"):
        name, digest = str(told["artifact"]), str(told["digest"] or "")
        if not _ADDRESS.fullmatch(name):
            msg = f"its artifact is {name!r:.80}, which is no NAME@VERSION"
            raise ValueError(msg)
        table, origins = _of_bill(told["bill"])
    rows = origins[0].rows if len(origins) == 1 else None
    return OutsideData(
        name,
        digest,
        table,
        origins,
        rows,
        digest_file(folder / SUMS),
        f"a published folder, whose origins are the word of its {BILL}",
    )


def check_published(folder: Path, shown: str) -> None:
    """See that the files of a published folder are those that it lists, as far as they are there.

    Rows need not lie beside the bill.

    Raises:
        InputError: naming the first that is another.
    """
    for name, sha256 in _listed(folder / SUMS, f"{shown}/{SUMS}").items():
        path = folder / name
        if path.is_file() and digest_file(path) != sha256:
            msg = (
                f"{shown}/{name} is not the file that {SUMS} lists: its SHA-256 is "
                f"{digest_file(path)}; publish the dataset again, or name the folder that the "
                "model learned from"
            )
            raise InputError(msg)


def _listed(path: Path, shown: str) -> dict[str, str]:
    """Return file -> SHA-256 of ``SHA256SUMS``."""
    text = read_text(path, most=_MOST_SUMS, shown=shown, error=InputError)
    found = {}
    for number, line in enumerate(text.splitlines()[: _FILES + 1], 1):
        match = _SUM.fullmatch(line)
        if match is None or ".." in Path(match[2]).parts or number > _FILES:
            msg = f"{shown}: line {number}: {line[:80]!r} is no SHA-256 with the name of a file"
            raise InputError(msg)
        found[match[2]] = match[1]
    return found


def _of_bill(lines: Any) -> tuple[NodeTable, tuple[OriginSize, ...]]:
    """Return the nodes that the lines of a bill tell of, and the origins within the dataset."""
    if not isinstance(lines, list) or len(lines) > _LINES:
        msg = f"it has no list of at most {_LINES:,} lines"
        raise ValueError(msg)
    table = NodeTable()
    everywhere: list[tuple[str, str]] = []
    somewhere: list[tuple[str, str]] = []
    rows: int | None = None
    for line in lines:
        source = Source.model_validate(line["source"])
        channels = [Channel(one).value for one in line["channels"]]
        low, high = (float(end) for end in line["share"])
        if not (0 <= low <= high <= 1) or not channels:
            msg = f"a line has the share {line['share']!r:.60} and {len(channels)} channels"
            raise ValueError(msg)
        part = (channels[0], _behind(table, source, channels[1:], int(line["depth"])))
        if low >= 1:
            everywhere.append(part)
            records = line["records"]
            rows = records if isinstance(records, int) and 0 < records < 2**50 else rows
        else:
            somewhere.append(part)
    if not lines:
        source = Source(name="unknown", what="unknown", kind="unknown", route="published")
        everywhere.append((CONTENT, table.add_source(source)))
    if not somewhere:
        return table, (OriginSize(table.add_made(everywhere), rows, None),)
    made = [table.add_made([*everywhere, part]) for part in somewhere]
    made += [table.add_made(everywhere)] if everywhere else []
    return table, tuple(OriginSize(node, None, None) for node in dict.fromkeys(made))


def _behind(table: NodeTable, source: Source, channels: Sequence[str], depth: int) -> str:
    """Return the node of a source behind as many models, and channels, as a bill says."""
    node = table.add_source(source)
    for channel in reversed(channels):
        node = table.add_made([(channel, node)])
    for number in range(min(max(depth, 1), _DEEPEST) - 1):
        node = table.add(
            {
                "type": "model",
                "artifact": f"a model that a bill tells of, {number + 1}",
                "files": "",
                "members": [[CONTENT, node, None]],
            }
        )
    return node


def of_store(address: str, store: str, key: str, folder: Path) -> OutsideData:
    """Return a dataset of another store.

    Args:
        address: NAME@VERSION.
        store: the other store's folder, as the recipe writes it.
        key: of the recipe that names it, for messages.
        folder: the recipe's.

    Raises:
        InputError: if it is not there, or not as it was committed.
    """
    given = Given(ArtifactRef.parse(address), key, store=store, kind="dataset")
    found = find_given(given, None, folder)
    if found is None:  # it is looked for in the other store, and that is named
        msg = f"{key}: {address} cannot be looked up"
        raise StoreError(msg)
    against = contradictions(found.store, found.manifest)
    if against:
        first = next(iter(against.values()))
        msg = (
            f"{key}: in {store} the origin behind {address} is contradicted ({first.says:.300}); "
            "run the recipe that made it in this store, where that is told on each bill"
        )
        raise InputError(msg)
    table = NodeTable.of(found.store, found.manifest)
    return OutsideData(
        address,
        found.manifest.digest,
        table,
        origins_of(table),
        found.manifest.rows,
        "",
        f"of another store, signed by {found.signer[:16]}, whose word its origins are",
    )
