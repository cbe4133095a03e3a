"""What a teacher would say at each position, kept with the rows: columns, and a memory map of them.

A row has its tokens beside its other columns, what the teacher gives to each that is learned, and
what both are bound to: the map of ids, how texts are read, the chat template, the teacher, the way
they are written, and the row's own values that they were made of. So rows may be filtered, mixed
and published, and whoever learns from one knows what it is of. Two digests say when a row was
changed: one over what was cached together, one over the values.

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

from mashbill.core.canonical import canonical
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value, read_json
from mashbill.core.store import write_atomically
from mashbill.models.row_binding import changed, never_bound, row_digest
from mashbill.models.tokenizer_identity import other_map, other_reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset

TOKENS, LOGITS, HOW, CHECK = "logit_tokens", "logits", "logits_how", "logits_check"
"""columns: marked token ids; records; what both are bound to; the first bytes of their digest, and
of that of the row's values"""
COLUMNS = (TOKENS, LOGITS, HOW, CHECK)
LEARNED, BEGINS = np.uint32(1 << 31), np.uint32(1 << 30)
"""marks of a token, beside its id: it is learned; a sequence begins with it"""
_ID = np.uint32((1 << 30) - 1)
_RELEASE = "2"
_UNBOUND = "1"
"""the release that did not bind logits to the row's values"""
_CHECKED = 8  # bytes of the digest that are kept
_ROWS = 1024
_HOW_BYTES = 1 << 16
_DONE = "bound.json"  # what release 1 unpacked had another mark: it was not held to its rows


@dataclass(frozen=True)
class How:
    """What cached logits are of."""

    tokenizer: str
    """digest of its map of ids"""
    reading: str
    """digest of how texts become ids"""
    template: str
    """digest of the chat template that conversations were written by; empty for plain texts"""
    teacher: str
    """digest of its weights"""
    form: str
    classes: int
    vocabulary: int
    temperature: float
    columns: list[str]
    """of the row, that tokens and logits were made of"""

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
        release = table.pop("release", None)
        if release == _UNBOUND:
            raise InputError(never_bound(where))
        if isinstance(table.get("temperature"), int):  # canonical JSON writes 1.0 as 1
            table["temperature"] = float(table["temperature"])
        if release != _RELEASE or {k: _kind(v) for k, v in table.items()} != cls.__annotations__:
            msg = (
                f"{where}: {HOW} is {text[:120]!r}, which no stage of kind 'logits' of this "
                "version wrote; make the cache again"
            )
            raise InputError(msg)
        return cls(**table)


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return f"list[{'str' if all(isinstance(one, str) for one in value) else 'any'}]"
    return type(value).__name__


@dataclass(frozen=True)
class Student:
    """How a student reads: what logits have to be of."""

    tokenizer: str
    """digest of its map of ids"""
    reading: str
    """digest of how texts become ids"""
    template: str = ""
    """digest of its chat template; empty if it has none"""


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


def columns(
    rows: Sequence[tuple[np.ndarray, bytes] | None],
    how: Sequence[How],
    values: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the columns of rows.

    Args:
        rows: (marked tokens, records of those that are learned) of each; None of one without.
        how: of each row.
        values: of each row: what it was made of, by column.
    """
    made: dict[str, list[bytes]] = {name: [] for name in COLUMNS}
    for row, of, own in zip(rows, how, values, strict=True):
        if row is None:
            for cells in made.values():
                cells.append(b"")
            continue
        tokens, records = row[0].astype("<u4").tobytes(), row[1]
        made[TOKENS].append(tokens)
        made[LOGITS].append(records)
        made[HOW].append(of.text)
        made[CHECK].append(_check(of.text, tokens, records) + row_digest(of.columns, own))
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
    """of all; ``teacher``, ``template`` and ``columns`` are those of the first row"""
    teachers: dict[str, str]
    """digest of each teacher -> the first row that is of it, as messages name it"""
    without: dict[str, int]
    """dataset -> rows that have no logits, of those that have any such"""
    rows: int
    """that have logits"""
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
    datasets: Mapping[str, Dataset], student: Student, record_bytes: Any, work: Path
) -> Cached:
    """Return the cached logits of datasets, unpacked once into a folder.

    Args:
        datasets: by name, in order.
        student: who learns from them.
        record_bytes: gives the bytes of a record, of a :class:`How`.
        work: the folder; what a run that was cut off unpacked whole is used again.

    Raises:
        InputError: if rows have no logits, were changed, or are of another tokenizer, template or
            form; naming the dataset, the row and what to do. Also if their texts were changed.
    """
    if not (work / _DONE).exists():
        work.mkdir(parents=True, exist_ok=True)
        _unpack(datasets, student, record_bytes, work)
    told = read_json(work / _DONE)
    how = How(**told["how"])
    ends, record_ends, dataset, row = np.fromfile(work / "places.bin", np.int64).reshape(4, -1)
    size = record_bytes(how)
    return Cached(
        how,
        told["teachers"],
        told["without"],
        told["rows"],
        np.memmap(work / "tokens.bin", np.uint32, "r", shape=(int(ends[-1]),)),
        ends,
        np.memmap(work / "records.bin", np.uint8, "r", shape=(int(record_ends[-1]), size)),
        record_ends,
        dataset,
        row,
    )


def _unpack(
    datasets: Mapping[str, Dataset], student: Student, record_bytes: Any, work: Path
) -> None:
    first: How | None = None
    ends: list[np.ndarray] = []
    record_ends: list[np.ndarray] = []
    numbers: list[tuple[int, int, int]] = []
    at = record_at = 0
    teachers: dict[str, str] = {}
    without: dict[str, int] = {}
    with (work / "tokens.bin").open("wb") as tokens_out, (work / "records.bin").open("wb") as out:
        for number, (name, data) in enumerate(datasets.items()):
            ref = str(data.manifest.ref)
            known = _known(name, data, student)
            for place, row, values in _rows(data, known):
                where = f"{ref}, row {place}"
                if not row[HOW]:
                    without[ref] = without.get(ref, 0) + 1
                    continue
                how = known[row[HOW]]
                first = first or how
                teachers.setdefault(how.teacher, where)
                _check_alike(how, first, where)
                tokens = _checked(row, how, record_bytes(how), where)
                if row[CHECK][_CHECKED:] != row_digest(how.columns, values):
                    raise InputError(changed(where, how.columns, data.columns))
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
    told = {
        "how": first.__dict__, "rows": len(of), "teachers": teachers, "without": without,
    }  # fmt: skip
    write_atomically(work / _DONE, json.dumps(told).encode())


def _known(name: str, data: Dataset, student: Student) -> dict[bytes, How]:
    """Return what rows of a dataset are bound to, by their cells, each found to fit the student."""
    missing = [column for column in COLUMNS if column not in data.columns]
    if missing:
        msg = (
            f"{name} ({data.manifest.ref}) has no column {missing[0]!r}, so it holds no logits; "
            "name a dataset that a stage of kind 'logits' made, or a teacher to be asked live"
        )
        raise InputError(msg)
    known: dict[bytes, How] = {}
    for start, table in data.chunks(_ROWS, (HOW,)):
        for place, cell in enumerate(table.column(HOW).to_pylist()):
            if isinstance(cell, bytes) and cell and cell not in known:
                where = f"{data.manifest.ref}, row {start + place}"
                known[cell] = _fitting(cell, student, where)
    return known


def _rows(
    data: Dataset, known: Mapping[bytes, How]
) -> Iterator[tuple[int, dict[str, bytes], dict[str, Any]]]:
    """Yield (position, cells of the logits, values that they were made of) of each row."""
    bound = {column for how in known.values() for column in how.columns}
    own = [column for column in data.columns if column in bound and column not in COLUMNS]
    for start, table in data.chunks(_ROWS, [*COLUMNS, *own]):
        cells = [table.column(column).to_pylist() for column in COLUMNS]
        values = table.select(own).to_pylist() if own else [{}] * table.num_rows
        for place, row in enumerate(zip(*cells, strict=True)):
            where = f"{data.manifest.ref}, row {start + place}"
            yield (
                start + place,
                {
                    column: _bytes(cell, column, where)
                    for column, cell in zip(COLUMNS, row, strict=True)
                },
                values[place],
            )


def _bytes(cell: Any, column: str, where: str) -> bytes:
    if cell is None or isinstance(cell, bytes):
        return cell or b""
    msg = f"{where}: {column} holds {type(cell).__name__}, and no bytes; make the cache again"
    raise InputError(msg)


def _fitting(text: bytes, student: Student, where: str) -> How:
    """Return what a row is bound to, once it is found to fit the student."""
    how = How.of(text, where)
    if apart := other_map(how.tokenizer, student.tokenizer):
        msg = (
            f"{where}: its logits are over the tokens of another tokenizer: {apart}; cache the "
            "logits of a teacher whose tokenizer the student has, or give the student that "
            "tokenizer"
        )
        raise InputError(msg)
    if apart := other_reading(how.reading, student.reading):
        msg = (
            f"{where}: its tokens are those of a tokenizer that reads texts otherwise: {apart}; it "
            "would learn other tokens than it is asked with. Cache the logits of a teacher that "
            "has the student's tokenizer.json, or give the student the teacher's"
        )
        raise InputError(msg)
    if how.template and how.template != student.template:
        msg = (
            f"{where}: its conversation was written by a chat template of digest "
            f"{how.template[:12]}, and the student's is {student.template[:12] or 'none'}: it "
            "would learn at other places than it is asked at; cache with the student's template, "
            "or give the student the teacher's"
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
        and row[CHECK][:_CHECKED] == _check(row[HOW], row[TOKENS], row[LOGITS])
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
