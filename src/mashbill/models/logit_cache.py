"""What a teacher would say at each position, kept with the rows: columns, and a memory map of them.

A row has its tokens beside its other columns, what the teacher gives to each that is learned, and
what both are bound to: the map of ids, the chat template, the teacher and the way they are written.
So rows may be filtered, mixed and published, and whoever learns from one knows what it is of. The
digest over all of it says when a row was changed.

Training reads from flat files, unpacked once into a stage's scratch: position i of a sequence is a
record at a place that is reckoned, whatever the order of steps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.canonical import canonical, digest
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value, read_json
from mashbill.core.store import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

    from mashbill.core.dataset import Dataset

TOKENS, LOGITS, HOW, CHECK = "logit_tokens", "logits", "logits_how", "logits_check"
"""columns: marked token ids; records; what both are bound to; the first bytes of their digest"""
COLUMNS = (TOKENS, LOGITS, HOW, CHECK)
LEARNED, BEGINS = np.uint32(1 << 31), np.uint32(1 << 30)
"""marks of a token, beside its id: it is learned; a sequence begins with it"""
_ID = np.uint32((1 << 30) - 1)
_RELEASE = "1"
_CHECKED = 8  # bytes of the digest that are kept
_ROWS = 1024
_HOW_BYTES = 4096
_DONE = "cached.json"


@dataclass(frozen=True)
class How:
    """What cached logits are of."""

    tokenizer: str
    """digest of its map of ids"""
    template: str
    """digest of the chat template that conversations were written by; empty for plain texts"""
    teacher: str
    """digest of its weights"""
    form: str
    classes: int
    vocabulary: int
    temperature: float

    @property
    def text(self) -> bytes:
        """The column's cell."""
        return canonical({**self.__dict__, "release": _RELEASE})

    @classmethod
    def of(cls, text: bytes, where: str) -> How:
        """Read a cell.

        Raises:
            InputError: if it is none of this release.
        """
        found = json_value(text[:_HOW_BYTES], f"{where}, {HOW}", error=InputError)
        table = dict(found) if isinstance(found, dict) else {}
        is_ours = table.pop("release", None) == _RELEASE
        if isinstance(table.get("temperature"), int):  # canonical JSON writes 1.0 as 1
            table["temperature"] = float(table["temperature"])
        if not is_ours or {k: type(v).__name__ for k, v in table.items()} != cls.__annotations__:
            msg = (
                f"{where}: {HOW} is {text[:120]!r}, which no stage of kind 'logits' of this "
                "version wrote; make the cache again"
            )
            raise InputError(msg)
        return cls(**table)


def ids_digest(tokenizer: Tokenizer) -> str:
    """Return the identity of a tokenizer's map of ids: which text each id stands for."""
    return digest(sorted([i, token] for token, i in tokenizer.get_vocab().items()))


def ids_of(tokenizer: Tokenizer) -> int:
    """Return how many ids a tokenizer has: one more than its highest."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def marked(sequences: Sequence[tuple[Sequence[int], Sequence[bool]]]) -> np.ndarray:
    """Return the tokens of a row's sequences, marked, uint32, one behind the other.

    The first of a sequence has nothing before it that would predict it, and is not learned.
    """
    parts = []
    for ids, learned in sequences:
        tokens = np.asarray(ids, np.uint32)
        tokens[np.asarray(learned, bool)] |= LEARNED
        tokens[:1] = (tokens[:1] & _ID) | BEGINS
        parts.append(tokens)
    return np.concatenate(parts) if parts else np.empty(0, np.uint32)


def columns(rows: Sequence[tuple[np.ndarray, bytes] | None], how: Sequence[How]) -> dict[str, Any]:
    """Return the columns of rows.

    Args:
        rows: (marked tokens, records of those that are learned) of each; None of one without.
        how: of each row.
    """
    made: dict[str, list[bytes]] = {name: [] for name in COLUMNS}
    for row, of in zip(rows, how, strict=True):
        tokens, records = (b"", b"") if row is None else (row[0].astype("<u4").tobytes(), row[1])
        made[TOKENS].append(tokens)
        made[LOGITS].append(records)
        made[HOW].append(of.text if row is not None else b"")
        made[CHECK].append(_check(of.text, tokens, records) if row is not None else b"")
    return {name: pa.array(cells, pa.binary()) for name, cells in made.items()}


def _check(how: bytes, tokens: bytes, records: bytes) -> bytes:
    found = sha256()
    for part in (how, tokens, records):
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.digest()[:_CHECKED]


@dataclass
class Cached:
    """Sequences with what a teacher gave to their learned tokens, as memory maps."""

    how: How
    """of all; ``teacher`` is that of the first row"""
    rows: int
    tokens: np.ndarray
    """ids, marked with :data:`LEARNED` alone, uint32, shape (tokens,)"""
    ends: np.ndarray
    """where each sequence ends, int64, shape (sequences,)"""
    records: np.ndarray
    """uint8, shape (learned tokens, bytes), in their order"""
    record_ends: np.ndarray
    """where the records of each sequence end, int64"""
    dataset: np.ndarray
    """number of the dataset that each sequence is from, int64"""
    row: np.ndarray
    """position in it, int64"""

    def given(self, number: int) -> np.ndarray:
        """Return the records of a sequence's learned tokens, uint8, shape (learned, bytes)."""
        start = self.record_ends[number - 1] if number else 0
        return np.asarray(self.records[start : self.record_ends[number]])


def open_cache(
    datasets: Mapping[str, Dataset], tokenizer: str, template: str, record_bytes: Any, work: Path
) -> Cached:
    """Return the cached logits of datasets, unpacked once into a folder.

    Args:
        datasets: by name, in order.
        tokenizer: digest of the student's map of ids.
        template: digest of its chat template; empty if it has none.
        record_bytes: gives the bytes of a record, of a :class:`How`.
        work: the folder; what a run that was cut off unpacked whole is used again.

    Raises:
        InputError: if rows have no logits, were changed, or are of another tokenizer, template or
            form; naming the dataset, the row and what to do.
    """
    if not (work / _DONE).exists():
        work.mkdir(parents=True, exist_ok=True)
        _unpack(datasets, tokenizer, template, record_bytes, work)
    told = read_json(work / _DONE)
    how = How(**told["how"])
    ends, record_ends, dataset, row = np.fromfile(work / "places.bin", np.int64).reshape(4, -1)
    size = record_bytes(how)
    return Cached(
        how,
        told["rows"],
        np.memmap(work / "tokens.bin", np.uint32, "r", shape=(int(ends[-1]),)),
        ends,
        np.memmap(work / "records.bin", np.uint8, "r", shape=(int(record_ends[-1]), size)),
        record_ends,
        dataset,
        row,
    )


def _unpack(
    datasets: Mapping[str, Dataset], tokenizer: str, template: str, record_bytes: Any, work: Path
) -> None:
    first: How | None = None
    ends: list[np.ndarray] = []
    record_ends: list[np.ndarray] = []
    numbers: list[tuple[int, int, int]] = []
    at = record_at = 0
    known: dict[bytes, How] = {}
    with (work / "tokens.bin").open("wb") as tokens_out, (work / "records.bin").open("wb") as out:
        for number, (name, data) in enumerate(datasets.items()):
            for place, row in _rows(name, data):
                where = f"{data.manifest.ref}, row {place}"
                if not row[HOW]:
                    continue
                how = known.get(row[HOW]) or _fitting(row[HOW], tokenizer, template, where)
                known[row[HOW]] = how
                first = first or how
                _check_alike(how, first, where)
                tokens = _checked(row, how, record_bytes(how), where)
                begins = np.flatnonzero(tokens & BEGINS)
                learned = np.cumsum((tokens & LEARNED) > 0)
                stops = np.append(begins[1:], len(tokens))
                ends.append(at + stops)
                record_ends.append(record_at + learned[stops - 1])
                numbers.append((number, place, len(stops)))
                tokens_out.write((tokens & ~BEGINS).tobytes())
                out.write(row[LOGITS])
                at += len(tokens)
                record_at += int(learned[-1])
    if first is None or not record_at:
        msg = f"{', '.join(datasets)}: no row has logits, so there is nothing to learn from"
        raise InputError(msg)
    of, rows, counts = (np.array(each) for each in zip(*numbers, strict=True))
    places = [np.concatenate(ends), np.concatenate(record_ends)]
    places += [np.repeat(of, counts), np.repeat(rows, counts)]
    np.stack(places).astype(np.int64).tofile(work / "places.bin")
    write_atomically(work / _DONE, json.dumps({"how": first.__dict__, "rows": len(of)}).encode())


def _rows(name: str, data: Dataset) -> Iterator[tuple[int, dict[str, bytes]]]:
    missing = [column for column in COLUMNS if column not in data.columns]
    if missing:
        msg = (
            f"{name} ({data.manifest.ref}) has no column {missing[0]!r}, so it holds no logits; "
            "name a dataset that a stage of kind 'logits' made, or a teacher to be asked live"
        )
        raise InputError(msg)
    for start, table in data.chunks(_ROWS, COLUMNS):
        cells = [table.column(column).to_pylist() for column in COLUMNS]
        for place, row in enumerate(zip(*cells, strict=True)):
            yield (
                start + place,
                {
                    column: _bytes(cell, column, f"{data.manifest.ref}, row {start + place}")
                    for column, cell in zip(COLUMNS, row, strict=True)
                },
            )


def _bytes(cell: Any, column: str, where: str) -> bytes:
    if cell is None or isinstance(cell, bytes):
        return cell or b""
    msg = f"{where}: {column} holds {type(cell).__name__}, and no bytes; make the cache again"
    raise InputError(msg)


def _fitting(text: bytes, tokenizer: str, template: str, where: str) -> How:
    """Return what a row is bound to, once it is found to fit the student."""
    how = How.of(text, where)
    if how.tokenizer != tokenizer:
        msg = (
            f"{where}: its logits are over the tokens of another tokenizer: the map of ids has "
            f"digest {how.tokenizer[:12]}, the student's {tokenizer[:12]}. Sizes may be equal, and "
            "a class still be another token; cache the logits of a teacher whose tokenizer the "
            "student has, or give the student that tokenizer"
        )
        raise InputError(msg)
    if how.template and how.template != template:
        msg = (
            f"{where}: its conversation was written by a chat template of digest "
            f"{how.template[:12]}, and the student's is {template[:12] or 'none'}: it would learn "
            "at other places than it is asked at; cache with the student's template, or give the "
            "student the teacher's"
        )
        raise InputError(msg)
    return how


def _check_alike(how: How, first: How, where: str) -> None:
    """Raise InputError unless two rows can be learned from in one way; teachers may differ."""
    for key in ("form", "classes", "vocabulary", "temperature"):
        ours, theirs = getattr(how, key), getattr(first, key)
        if ours != theirs:
            msg = (
                f"{where}: its logits are kept with {key} = {ours!r}, and those of rows before it "
                f"with {theirs!r}; cache all inputs in one way"
            )
            raise InputError(msg)


def _checked(row: Mapping[str, bytes], how: How, size: int, where: str) -> np.ndarray:
    """Return a row's tokens, once it is found to be as it was written."""
    tokens = np.frombuffer(row[TOKENS][: len(row[TOKENS]) // 4 * 4], "<u4")
    learned = int(((tokens & LEARNED) > 0).sum())
    whole = (
        len(row[TOKENS]) == 4 * len(tokens)
        and len(row[LOGITS]) == learned * size
        and row[CHECK] == _check(row[HOW], row[TOKENS], row[LOGITS])
        and bool(len(tokens) and tokens[0] & BEGINS)
        and int((tokens & _ID).max()) < how.vocabulary
    )
    if not whole:
        msg = (
            f"{where}: tokens and logits are not those that were cached together; make the cache "
            "again, and change rows before it, not behind it"
        )
        raise InputError(msg)
    return tokens
