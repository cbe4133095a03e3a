"""What one column of a dataset is like, gathered piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.json_fields import is_json_field
from mashbill.core.missing import is_text, missing_in
from mashbill.files.rows.spoken import read_cell, said, turns
from mashbill.files.rows.text import matching_keys
from mashbill.report.data.sketches import Distinct, Lengths, Sample, Values, hashes_of

if TYPE_CHECKING:
    from mashbill.core.dataset import Dataset

_LABELS, _LABEL_CHARS = 50, 40
"""distinct values up to which a column's are told, and characters of one"""
_BARS = 24  # of a picture of numbers


class Column:
    """A column of a dataset; one that is no text and no number is only counted."""

    def __init__(self, field: pa.Field, *, is_main: bool = False) -> None:
        """Begin.

        Args:
            field: name, type and marks.
            is_main: whether texts that say the same are counted, too, and not only equal ones.
        """
        self.name = field.name
        self.is_json = is_json_field(field)
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        self.type = "list or object" if self.is_json else str(kind)
        self.is_text = is_text(kind)
        self.is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        self.is_decimal = pa.types.is_decimal(kind)
        self._has_labels = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or self.is_text
        self.rows = self.missing = self.empty = 0
        self.chars, self.words = Lengths(), Lengths()
        self.turns = Lengths()
        """of cells that are conversations"""
        self.distinct, self.same = Distinct(), Distinct() if is_main else None
        self.values = Values()
        self._numbers = Sample()
        self._mean = 0.0
        self._least: float | None = None
        self._greatest: float | None = None
        self._counted = 0

    def add(self, rows: pa.Table, start: int) -> list[str] | None:
        """Take rows, and return what each says, of a column of texts.

        Args:
            rows: a piece of the dataset.
            start: position of its first row.
        """
        column = rows.column(self.name).combine_chunks()
        missing = missing_in(column)
        self.rows += len(column)
        self.missing += int(missing.sum())
        there = np.flatnonzero(~missing)
        places = start + there
        spoken: list[str] | None = None
        if self.is_text:
            spoken = self._add_texts(column, there, start)
        elif self.is_number or self.is_decimal:
            self._add_numbers(column, there, places)
        if self._has_labels and not self.is_json and self.values.counts is not None:
            counted = pc.value_counts(column.filter(pa.array(~missing)))
            self.values.add((each["values"], each["counts"]) for each in counted.to_pylist())
        return spoken

    def _add_texts(self, column: Any, there: np.ndarray, start: int) -> list[str]:
        places = start + there
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        texts = column
        if self.is_json:  # lengths are of what is said in it
            values = [read_cell(text) for text in column.to_pylist()]
            pairs = zip(column.to_pylist(), values, strict=True)
            texts = pa.array([_in(text, value) for text, value in pairs], pa.large_string())
            counted = [(at, turns(values[at])) for at in there.tolist()]
            chats = [(start + at, count) for at, count in counted if count is not None]
            self.turns.add(
                np.array([count for _, count in chats], np.int64),
                np.array([at for at, _ in chats], np.int64),
            )
        present = texts.take(pa.array(there))
        self.empty += int(pc.sum(pc.equal(pc.utf8_trim_whitespace(present), "")).as_py() or 0)
        self.chars.add(np.asarray(pc.utf8_length(present), np.int64), places)
        words = pc.count_substring_regex(present, r"\S+")
        self.words.add(np.asarray(words, np.int64), places)
        self.distinct.add(_hashes(column.take(pa.array(there))))
        if self.same is not None:
            self.same.add(_hashes(matching_keys(present)))
        return [text or "" for text in texts.to_pylist()]

    def _add_numbers(self, column: Any, there: np.ndarray, places: np.ndarray) -> None:
        numbers = np.asarray(pc.cast(column, pa.float64(), safe=False), np.float64)[there]
        finite = np.isfinite(numbers)
        self._numbers.add(numbers[finite], places[finite])
        numbers = numbers[finite]
        before = self._counted
        self._counted += len(numbers)
        if len(numbers):  # by parts, since the sum of large ones may be none
            self._mean *= before / self._counted
            self._mean += float((numbers / self._counted).sum())
            least, greatest = float(numbers.min()), float(numbers.max())
            self._least = least if self._least is None else min(self._least, least)
            self._greatest = greatest if self._greatest is None else max(self._greatest, greatest)

    @property
    def labels(self) -> list[tuple[str, int]] | None:
        """(value, rows), the commonest first; None where there are many, or hardly one twice."""
        counts = self.values.counts
        if not self._has_labels or not counts or len(counts) > _LABELS:
            return None
        often = 2 if self.same is None else 10  # a text is no label for being there twice
        if len(counts) * often > self.rows - self.missing or self.is_json:
            return None
        if any(len(value) > _LABEL_CHARS for value in counts if isinstance(value, str)):
            return None
        told = [(str(value).strip() or "(blank)", count) for value, count in counts.items()]
        return sorted(told, key=lambda each: (-each[1], each[0]))

    @property
    def numbers(self) -> dict[str, Any] | None:
        """Of a column of numbers what they are like; None of another, or where there are none."""
        if self._least is None or self._greatest is None:
            return None
        return {
            "least": self._least, "p5": self._numbers.quantile(0.05),
            "median": self._numbers.quantile(0.5), "p95": self._numbers.quantile(0.95),
            "greatest": self._greatest, "mean": self._mean,
            "not_finite": self.rows - self.missing - self._counted,
            "is_exact": self._numbers.is_exact, "bins": self._number_bins(),
        }  # fmt: skip

    def _number_bins(self) -> list[list[float]]:
        """Return [from, to, share] of bins of one width, of the sample."""
        values = self._numbers.values
        low, high = self._least or 0.0, self._greatest or 0.0
        if low == high or not np.isfinite(high - low):
            return [[low, high, 1.0]]
        counts, edges = np.histogram(values, bins=_BARS, range=(low, high))
        return [
            [float(edges[at]), float(edges[at + 1]), int(count) / len(values)]
            for at, count in enumerate(counts)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return what was found, as JSON has it."""
        found: dict[str, Any] = {
            "column": self.name, "type": self.type, "rows": self.rows, "missing": self.missing,
        }  # fmt: skip
        if self.is_text:
            found |= {
                "empty": self.empty,
                "chars": self.chars.as_json(),
                "words": self.words.as_json(),
                "equal": self.distinct.as_json(),
            }
        if self.turns.rows:
            found["turns"] = {"conversations": self.turns.rows, **self.turns.as_json()}
        if self.same is not None:
            found["says_the_same"] = self.same.as_json()
        if self.numbers is not None:
            found["numbers"] = self.numbers
        if self.labels is not None:
            found["labels"] = [list(each) for each in self.labels]
        return found


def _in(text: str | None, value: Any) -> str:
    """Return what a cell of JSON says; of an object, which says nothing, the JSON itself.

    So of a list of other than texts and turns.
    """
    return said(value) or (text or "" if isinstance(value, dict | list) and value else "")


def _hashes(texts: Any) -> np.ndarray:
    """Return a hash of each text; where a piece has few different ones each is hashed once."""
    coded = pc.dictionary_encode(texts)
    once = hashes_of(coded.dictionary.to_pylist())
    return once[np.asarray(coded.indices, np.int64)] if len(once) else np.zeros(0, np.uint64)


def main_column(data: Dataset) -> str | None:
    """Return the column that a dataset's texts are in; None if it has none.

    That is ``text`` or a conversation where it has one, else the longest in the mean of its first
    rows.
    """
    fields = {field.name: field for field in data.schema if not field.name.startswith("_")}
    texts: list[str] = [name for name, field in fields.items() if is_text(field.type)]
    for name in ("text", "messages_json", "messages", "conversations", "completion"):
        if name in texts:
            return name
    if not texts or not data.num_rows:
        return texts[0] if texts else None
    head = data.read(0, min(data.num_rows, 1000), texts)
    lengths = {name: pc.sum(pc.utf8_length(head.column(name))).as_py() or 0 for name in texts}
    longest: str = max(texts, key=lambda name: int(lengths[name]))
    return longest
