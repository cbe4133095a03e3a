"""A verifier over rows, as ``verify`` and ``evaluate`` have it: what came of each.

Each row comes to one of five: scored; undecided or failed, as the verifier says; truncated, where
the output was cut off at its teacher's limit, which is not scored since what is missing of it could
be right; or missing, where there is no output.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.client.wire.finishing import finish_of
from mashbill.core.errors import InputError
from mashbill.core.missing import is_text, missing_in
from mashbill.core.parsing import json_value
from mashbill.core.record import CALL, one_batch
from mashbill.core.teacher import CUT_OFF, ENDS
from mashbill.core.texts import calls_column, empty_among, texts_of
from mashbill.core.verifier import OUTCOMES, Case, Score

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.verifier import VerifierSession, VerifierSpec

Came = Literal["scored", "undecided", "failed", "truncated", "missing"]
"""what came of scoring a row"""
CAME: tuple[Came, ...] = (*OUTCOMES, "truncated", "missing")
SCORE, REASON, ISOLATION = "score", "reason", "isolation"
PART = "score_{}"
"""column of a component"""
_CAME = "_came"  # beside a verifier's columns, where they are laid down
TRUNCATED = f"truncated: {CUT_OFF}"
"""why an output that was cut off has no score"""


@dataclass(frozen=True)
class Looked:
    """Which columns of rows a verifier is given."""

    of: str
    """the input, for messages"""
    output: str
    """what is scored"""
    reference: str = ""
    """what is known to be right; empty if there is none"""
    finish: str = ""
    """why each output ended; empty if rows do not say"""


@dataclass(frozen=True)
class Scored:
    """What was found of some rows."""

    columns: Mapping[str, pa.Array]
    """those that a verifier's scores become, by name"""
    came: tuple[Came, ...]
    """what came of each row"""

    @property
    def values(self) -> np.ndarray:
        """The score of each row, float64; NaN where there is none; shape (rows,)."""
        return np.asarray(self.columns[SCORE].to_numpy(zero_copy_only=False), np.float64)

    def write(self, path: Path) -> None:
        """Lay it down, for a run that is begun again; whole, or not at all."""
        table = pa.table({**self.columns, _CAME: pa.array(self.came, pa.string())})
        part = path.with_suffix(".part")
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> Scored:
        """Return what was laid down."""
        with pa.OSFile(str(path), "rb") as source:
            batch = one_batch(pa.ipc.open_file(source).read_all())
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return cls(columns, tuple(columns.pop(_CAME).to_pylist()))


def given_by(verifier: VerifierSpec) -> tuple[str, ...]:
    """Return the columns that a verifier's scores become."""
    rules = verifier.rules
    under = (ISOLATION,) if rules.isolates else ()
    return (SCORE, REASON, *under, *(PART.format(name) for name in rules.components))


def score_rows(verifier: VerifierSession, batch: pa.RecordBatch, looked: Looked) -> Scored:
    """Score rows.

    Args:
        verifier: who scores.
        batch: rows.
        looked: their columns.

    Raises:
        InputError: if one of the columns is not there, or holds something else.
    """
    outputs = texts_of(batch, looked.output, looked.of)
    known: list[str | None] = [None] * batch.num_rows
    if name := looked.reference:
        lacking = missing_in(batch.column(name)) if name in batch.schema.names else ()
        texts = texts_of(batch, name, looked.of)
        known = [None if no else text for text, no in zip(texts, lacking, strict=True)]
    rows: list[dict[str, Any]] = [{} for _ in outputs]
    if read := verifier.spec.reads():
        for name in read:
            texts_there(batch, name, looked.of)
        rows = batch.select(list(read)).to_pylist()
    nothing = empty_among(batch, [looked.output])
    cut = _cut_off(batch, looked)
    came: list[Came] = [
        "truncated" if is_cut else "missing" if reason else "scored"
        for reason, is_cut in zip(nothing, cut, strict=True)
    ]
    open_ = [place for place, each in enumerate(came) if each == "scored"]
    cases = [Case(outputs[place], known[place], rows[place]) for place in open_]
    scores: list[Score | None] = [None] * batch.num_rows
    for place, score in zip(open_, verifier.score(cases), strict=True):
        scores[place], came[place] = score, score.outcome
    columns = columns_of(scores, verifier.spec)
    if verifier.spec.asks():
        calls = [None if score is None else score.call or None for score in scores]
        columns[CALL] = calls_column(calls)
    told = [
        TRUNCATED if each == "truncated" else why
        for each, why in zip(came, columns[REASON].to_pylist(), strict=True)
    ]
    return Scored({**columns, REASON: pa.array(told, pa.string())}, tuple(came))


def held_to_itself(reference: str, of: str, more: str = "") -> str:
    """Return what is said where what is right would be the very column that is scored.

    Args:
        reference: the key's column.
        of: whose it is.
        more: why it is not another one's.
    """
    return (
        f"reference = {reference!r} is the column of {of} that is scored{more}: each row would be "
        "held against itself; name the column with what is right"
    )


def check_looked(verifier: VerifierSpec, batch: pa.RecordBatch, looked: Looked) -> None:
    """See that a verifier can be given rows, by their columns and what these hold.

    Args:
        verifier: who would score.
        batch: rows, or none of them.
        looked: their columns.

    Raises:
        InputError: as :func:`score_rows` does.
    """
    for name in filter(None, (looked.output, looked.reference)):
        texts_of(batch, name, looked.of)
    for name in verifier.reads():
        texts_there(batch, name, looked.of)
    _cut_off(batch, looked)


def texts_there(batch: pa.RecordBatch, name: str, of: str) -> None:
    """Raise InputError if rows lack a column, of any type."""
    if name not in batch.schema.names:
        texts_of(batch, name, of)


def unheeded(batch: pa.RecordBatch, looked: Looked) -> str:
    """Return the column that says of some outputs that they were cut off, if nobody looks there."""
    for name in () if looked.finish else ENDS:
        if name not in batch.schema.names:
            continue
        column = batch.column(name)
        texts = pc.unique(column) if is_text(column.type) else column
        if _says_ends(column.type) and any(map(_is_cut, texts.to_pylist())):
            return name
    return ""


def _says_ends(kind: pa.DataType) -> bool:
    """Return whether a column may say how outputs ended: by a word each, or by a list of words."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(is_text(kind) or (is_list and is_text(kind.value_type)))


def _is_cut(cell: Any) -> bool:
    """Return whether a cell says that an output was cut off: its word, or one of its list."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        with suppress(InputError):
            cell = json_value(cell, "it")
    words = cell if isinstance(cell, list) else [cell]
    return any(isinstance(word, str) and finish_of(word) == "length" for word in words)


def _cut_off(batch: pa.RecordBatch, looked: Looked) -> list[bool]:
    """Return which outputs were cut off, by the words of any service, or by yes and no."""
    if not looked.finish:
        return [False] * batch.num_rows
    texts_there(batch, looked.finish, looked.of)
    column = batch.column(looked.finish)
    if pa.types.is_boolean(column.type):
        return [value is True for value in column.to_pylist()]
    if not _says_ends(column.type) and not pa.types.is_null(column.type):
        msg = (
            f"{looked.of}: column {looked.finish!r} holds {column.type}; finish names a column "
            "with the word for why each output ended (such as stop or length), or with true where "
            "it was cut off"
        )
        raise InputError(msg)
    return [_is_cut(cell) for cell in column.to_pylist()]


def turned_down(
    found: Scored, threshold: float, kept: Collection[str], output: str
) -> list[str | None]:
    """Return for each row why it goes; None if it stays.

    Args:
        found: what was found of them.
        threshold: scores below it go.
        kept: what came of rows that stay without a score.
        output: the column that was scored.
    """
    reasons: list[str | None] = []
    values, whys = found.columns[SCORE].to_pylist(), found.columns[REASON].to_pylist()
    for came, value, why in zip(found.came, values, whys, strict=True):
        if came == "missing":
            reasons.append(f"its column {output} is empty")
        elif came != "scored":
            reasons.append(None if came in kept else why)
        elif value < threshold:
            more = f": {why}" if why else ""
            reasons.append(f"score {value:.4f}, below {threshold}{more}")
        else:
            reasons.append(None)
    return reasons


def said(score: Score) -> str:
    """Return a score's reason; one that is none begins with what it is."""
    return score.reason if score.outcome == "scored" else f"{score.outcome}: {score.reason}"


def columns_of(scores: Sequence[Score | None], verifier: VerifierSpec) -> dict[str, pa.Array]:
    """Return scores as columns (:func:`given_by`): null where there is none."""
    values = [None if score is None else score.value for score in scores]
    told = [None if score is None else said(score) or None for score in scores]
    parts = {
        PART.format(name): pa.array(
            [None if score is None else score.components.get(name) for score in scores],
            pa.float64(),
        )
        for name in verifier.rules.components
    }
    columns = {SCORE: pa.array(values, pa.float64()), REASON: pa.array(told, pa.string())}
    if verifier.rules.isolates:
        under = [None if score is None else score.isolation or None for score in scores]
        columns[ISOLATION] = pa.array(under, pa.string())
    return columns | parts


def count(found: Scored, passes: float, measures: dict[str, Any], *, says_finish: bool) -> None:
    """Add some rows to a stage's measures: what came of them, and under which isolation.

    Args:
        found: what was found of them.
        passes: scores from this on pass.
        measures: gets the counts.
        says_finish: whether rows say why their output ended.
    """
    came = Counter[str](found.came)
    told: dict[str, int] = {name: came[name] for name in OUTCOMES}
    told["passed"] = int(np.count_nonzero(found.values >= passes))  # NaN passes nowhere
    if says_finish:
        told["truncated"] = came["truncated"]
    if came["missing"]:
        told["missing"] = came["missing"]
    _add(measures.setdefault("scores", {}), told)
    if ISOLATION in found.columns:
        under = Counter(name for name in found.columns[ISOLATION].to_pylist() if name)
        _add(measures.setdefault("isolation", {}), under)


def _add(whole: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        whole[name] = whole.get(name, 0) + number
