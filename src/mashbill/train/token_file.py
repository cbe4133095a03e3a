"""Texts as token ids on disk: of any number of rows, made slice by slice, and never all in memory.

Three files in the stage's scratch:

* ``ids.bin``: token ids of all documents, one behind the other, each between its marks of
  beginning and end;
* ``pieces.bin``: where to learn: a document is one piece, or several if it is longer than the
  context, each so that every token is told once from those before it in its piece;
* ``tokens.json``: how far the two go. It is written behind them, so that a run which was killed
  goes on at the next slice.

A document is a text. What it says is text, whatever it looks like: ``<end>`` in a row is five
letters and no mark.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text, missing_in
from mashbill.core.store import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from tokenizers import Tokenizer

    from mashbill.core.dataset import Dataset

PIECE = np.dtype([("start", "<i8"), ("row", "<i8"), ("length", "<i4"), ("set", "<i4")])
"""where a piece begins in ids.bin; its row over all datasets; tokens that it tells; its dataset"""
_SLICE = 8_192
"""rows that are tokenised at once"""


@dataclass(frozen=True)
class Marks:
    """Ids of what stands around a document."""

    begin: int | None
    """None where a tokenizer has no such mark; a document's first token is told by nothing then"""
    end: int
    pad: int


@dataclass(frozen=True)
class TokenFile:
    """What was made of the texts."""

    ids: np.ndarray
    """mapped from disk, shape (tokens,)"""
    pieces: np.ndarray
    """mapped from disk, of :data:`PIECE`, shape (pieces,)"""
    left_out: tuple[dict[str, int], ...]
    """of each dataset, rows without a text, by column"""
    letters: tuple[int, ...]
    """of each dataset, bytes of its texts in UTF-8"""


def read_texts(data: Dataset, column: str, rows: int = _SLICE) -> Iterator[tuple[int, pa.Array]]:
    """Yield (position of the first, texts) of a dataset; a text may be null.

    Raises:
        InputError: if the column is not there, or holds no texts.
    """
    if data.num_rows and column in data.columns:
        kind = data.schema.field(column).type
        if not is_text(kind):
            msg = (
                f"{data.manifest.ref}: column {column!r} holds {kind}, and texts are wanted; name "
                "another column, or make a column of texts of it by a stage before"
            )
            raise InputError(msg)
    for start, table in data.chunks(rows, [column]):
        yield start, table.column(column)


def write_tokens(
    folder: Path,
    datasets: Sequence[Dataset],
    column: str,
    tokenizer: Tokenizer,
    marks: Marks,
    context: int,
    progress: Callable[[int, int], None],
) -> TokenFile:
    """Tokenise all texts, from where an earlier run was killed.

    Args:
        folder: in which the files are.
        datasets: one behind the other.
        column: of the texts.
        tokenizer: reads every text as text.
        marks: put around each document.
        context: tokens of a block: no piece is longer.
        progress: told (rows done, rows in all).
    """
    kind = np.dtype("<u2") if tokenizer.get_vocab_size() <= 1 << 16 else np.dtype("<u4")
    paths = [folder / "ids.bin", folder / "pieces.bin"]
    state = _state(folder, len(datasets))
    total = sum(data.num_rows for data in datasets)
    with _opened(paths[0], state["ids"]) as ids, _opened(paths[1], state["pieces"]) as pieces:
        begin = 0
        for number, data in enumerate(datasets):
            for start, texts in _left(data, column, state["rows"] - begin):
                made, cut = _slice(
                    texts, tokenizer, marks, context, state["ids"] // kind.itemsize, kind
                )
                cut["row"] += begin + start
                cut["set"] = number
                missing = int(missing_in(texts).sum())
                state["ids"] += ids.write(made.tobytes())
                state["pieces"] += pieces.write(cut.tobytes())
                state["rows"] = begin + start + len(texts)
                state["missing"][number] += missing
                state["letters"][number] += _letters(texts)
                for file in (ids, pieces):
                    file.flush()
                    os.fsync(file.fileno())
                write_atomically(folder / "tokens.json", json.dumps(state).encode())
                progress(state["rows"], total)
            begin += data.num_rows
    return TokenFile(
        mapped(paths[0], kind),
        mapped(paths[1], PIECE),
        tuple({column: count} if count else {} for count in state["missing"]),
        tuple(state["letters"]),
    )


def mapped(path: Path, kind: np.dtype[Any]) -> np.ndarray:
    """Return a file as an array that is read as it is needed; an empty one has no bytes to map."""
    if not path.stat().st_size:
        return np.empty(0, kind)
    return np.memmap(path, kind, "r")


def _state(folder: Path, datasets: int) -> dict[str, Any]:
    path = folder / "tokens.json"
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_bytes())
        return state
    none = [0] * datasets
    return {"rows": 0, "ids": 0, "pieces": 0, "missing": none, "letters": list(none)}


def _opened(path: Path, size: int) -> Any:
    """Open a file to go on behind so many bytes: what lies beyond was not finished."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


def _left(data: Dataset, column: str, done: int) -> Iterator[tuple[int, pa.Array]]:
    """Yield the slices of a dataset that are not done; slices are as they were."""
    if done >= data.num_rows:
        return
    for start, texts in read_texts(data, column):
        if start >= done:
            yield start, texts


def _letters(texts: pa.Array) -> int:
    import pyarrow.compute as pc

    return int(pc.sum(pc.binary_length(texts)).as_py() or 0)


def _slice(
    texts: pa.Array,
    tokenizer: Tokenizer,
    marks: Marks,
    context: int,
    at: int,
    kind: np.dtype[Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of a slice's documents, and its pieces, rows counted within the slice."""
    there = np.flatnonzero(~missing_in(texts))
    given = [text for text in texts.to_pylist() if text is not None]
    begin = [] if marks.begin is None else [marks.begin]
    flat: list[int] = []
    lengths = np.zeros(len(given), np.int64)
    for number, encoded in enumerate(tokenizer.encode_batch(given, add_special_tokens=False)):
        before = len(flat)
        flat += begin
        flat += encoded.ids
        flat.append(marks.end)
        lengths[number] = len(flat) - before
    starts = at + np.cumsum(lengths) - lengths
    told = lengths - 1  # the first token is told by nothing
    counts = -(-told // context)
    pieces = np.zeros(int(counts.sum()), PIECE)
    place = np.arange(len(pieces)) - np.repeat(np.cumsum(counts) - counts, counts)
    pieces["start"] = np.repeat(starts, counts) + place * context
    pieces["length"] = np.minimum(context, np.repeat(told, counts) - place * context)
    pieces["row"] = np.repeat(there, counts)
    return np.array(flat, kind), pieces
