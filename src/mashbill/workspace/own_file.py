"""A person's own file of rows, looked at: its format, what divides its fields, its columns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from mashbill.core.errors import InputError
from mashbill.files.opening import open_text_stream
from mashbill.files.rows.chunks import Manner, read_chunks
from mashbill.files.rows.formats import format_of

LOOKED = 20_000
"""rows that are looked at"""
MOST_LABELS = 50
_DIVIDERS = ",;\t|"
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_SNIFFED = 1 << 16  # bytes
_NUMBER = re.compile(r"\s*[-+]?\d[\d.,]*\s*")
_LONGEST_NAME, _MOST_WORDS = 80, 8  # letters, and words
_TEXTS = ("text", "body", "content", "message", "review", "comment", "description", "prompt",
          "question", "input", "ticket", "document")  # fmt: skip


@dataclass(frozen=True)
class Looked:
    """What a file looks like."""

    path: Path
    format: str
    encoding: str
    delimiter: str
    has_bad_bytes: bool
    """whether some bytes are not of the encoding: such rows are rejected"""
    columns: tuple[str, ...]
    rows: int
    """of the file; of lines, where it is larger than what is looked at"""
    is_whole: bool
    """whether all rows were looked at"""
    values: dict[str, Counter[str]] = field(repr=False)
    """of each column its values, as long as there are at most :data:`MOST_LABELS` of them"""
    lengths: dict[str, float] = field(repr=False)
    """mean letters of each column that has texts"""

    @property
    def manner(self) -> Manner:
        """How it is read whole, rows with bad bytes among them."""
        return _whole(self.encoding, self.delimiter)

    @property
    def seems_headless(self) -> bool:
        """Whether the names of columns read like a row: a number, a sentence, one of its values."""
        if self.format not in ("csv", "tsv"):
            return False
        return any(
            _NUMBER.fullmatch(name)
            or len(name) > _LONGEST_NAME
            or len(name.split()) > _MOST_WORDS
            or (self.is_whole and self.values.get(name, Counter[str]())[name] > 1)
            for name in self.columns
        )

    def likely_text(self, gold: str = "") -> str:
        """Return the column that is most likely the text: of a usual name, or the longest.

        Args:
            gold: column of labels, which is none.

        Returns:
            Its name; empty if no column has texts.
        """
        lengths = {name: one for name, one in self.lengths.items() if name != gold}
        named = {name.casefold(): name for name in self.columns if name in lengths}
        usual = next((named[name] for name in _TEXTS if name in named), "")
        return usual or max(lengths, key=lengths.__getitem__, default="")


def look(path: Path, *, delimiter: str = "", encoding: str = "") -> Looked:
    """Look at a file of rows.

    Args:
        path: the file.
        delimiter: between the fields of a CSV file; found if empty.
        encoding: of a file of text; found if empty.

    Raises:
        InputError: if it is none, or has no rows.
    """
    if not path.is_file():
        msg = f"{path} is no file; name a file of rows (.csv, .tsv, .jsonl, .parquet)"
        raise InputError(msg)
    kind = format_of(path.name)
    if kind is None or kind in ("text", "webdataset"):
        sheet = path.suffix.lower() in _SHEETS
        msg = f"{path}: name a file of rows that ends in .csv, .tsv, .jsonl, .json or .parquet"
        msg += "; save the sheet as CSV (UTF-8) first" if sheet else ""
        raise InputError(msg)
    found, is_bad, fields = sniffed(path)
    encoding, delimiter = encoding or found, divider(delimiter) or fields
    manner = Manner(encoding=encoding, on_bad_bytes="reject", delimiter=delimiter)
    rows, columns, first_bad = 0, dict[str, None](), ""
    values: dict[str, Counter[str]] = {}
    letters: Counter[str] = Counter()
    texts: Counter[str] = Counter()
    for chunk in read_chunks(path, str(path), manner):
        rows += chunk.rows - len(chunk.bad)
        first_bad = first_bad or next((why for _, why in chunk.bad.values()), "")
        for name, cells in chunk.columns.items():
            columns.setdefault(name)
            counted = values.setdefault(name, Counter())
            for value in cells.values():
                if isinstance(value, str) and value.strip():
                    letters[name] += len(value)
                    texts[name] += 1
                if (
                    len(counted) <= MOST_LABELS
                    and value is not None
                    and not isinstance(value, (dict, list))
                ):
                    counted[_written(value)] += 1
        if rows >= LOOKED:
            break
    if not rows:
        msg = f"{path} has no rows" + (f" that can be read: {first_bad}" if first_bad else "")
        raise InputError(msg)
    if rows >= LOOKED:
        rows = max(rows, _lines(path) if kind != "parquet" else pq.read_metadata(path).num_rows)
    return Looked(
        path, kind, encoding, delimiter, is_bad, tuple(columns), rows, rows <= LOOKED,
        {name: one for name, one in values.items() if len(one) <= MOST_LABELS},
        {name: letters[name] / texts[name] for name in texts},
    )  # fmt: skip


def _written(value: object) -> str:
    """Return a value as a corpus writes it: its labels are found by that."""
    return ("false", "true")[value] if isinstance(value, bool) else str(value).strip()


def _lines(path: Path) -> int:
    number = 0
    with open_text_stream(path, str(path)) as stream:
        while data := stream.read(1 << 20):
            number += data.count(b"\n")
    return number


def divider(written: str) -> str:
    """Return what divides fields, as a command line writes it; empty if nothing is said.

    Raises:
        InputError: if it is no single character.
    """
    found = {"tab": "\t", "\\t": "\t"}.get(written, written)
    if len(found) > 1:
        msg = f"--delimiter {written!r} is no single character; write one, or tab"
        raise InputError(msg)
    return found


def sniffed(path: Path) -> tuple[str, bool, str]:
    """Return how a file of rows is to be read: what is no text needs nothing of it.

    Returns:
        its encoding, whether some bytes are not of it, and what divides the fields of a CSV file.
    """
    kind = format_of(path.name)
    if kind not in ("csv", "tsv", "jsonl", "json", "text"):
        return "utf-8", False, ","
    encoding, is_bad = _encoding(path)
    if kind != "csv":
        return encoding, is_bad, ","
    with open_text_stream(path, str(path)) as stream:
        return encoding, is_bad, _delimiter(stream.read(_SNIFFED), encoding)


def manner_of(path: Path, *, delimiter: str = "", encoding: str = "") -> Manner:
    """Return how a file of rows is read whole, rows with bad bytes among them.

    Args:
        path: the file.
        delimiter: between the fields of a CSV file; found if empty.
        encoding: of a file of text; found if empty.
    """
    found, _, fields = sniffed(path)
    return _whole(encoding or found, divider(delimiter) or fields)


def _whole(encoding: str, delimiter: str) -> Manner:
    return Manner(encoding=encoding, on_bad_bytes="replace", delimiter=delimiter)


def _encoding(path: Path) -> tuple[str, bool]:
    """Return the encoding of a file, and whether some bytes are not of it.

    A file that is UTF-8 but for a few bytes is UTF-8 with bad bytes; one that is not is taken for
    what Windows writes in Western Europe.
    """
    with open_text_stream(path, str(path)) as stream:
        head = stream.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", False
    bad = good = 0
    with open_text_stream(path, str(path)) as stream:
        for line in stream:
            try:
                good += not line.decode("utf-8").isascii()
            except UnicodeDecodeError:
                bad += 1
    if bad and bad > good:
        return "cp1252", False
    return "utf-8", bad > 0


def _delimiter(head: bytes, encoding: str) -> str:
    """Return what divides the fields of a CSV file: what the header has most of, outside quotes."""
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    line = re.sub(r'"[^"]*"', "", text.lstrip().split("\n", 1)[0])
    counts = {one: line.count(one) for one in _DIVIDERS}
    best = max(_DIVIDERS, key=lambda one: (counts[one], -_DIVIDERS.index(one)))
    return best if counts[best] else ","
