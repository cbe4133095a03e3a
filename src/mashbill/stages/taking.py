"""Rows of a corpus on their way from its files to records.

Rows are laid down as they are read. Which of them are duplicates, and of which type a column is, is
known only when all were.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.json_fields import with_json
from mashbill.core.letters import half_a_character
from mashbill.core.naming import free_names
from mashbill.core.plain import counted
from mashbill.core.record import BILL, FROM, OURS, REASON, REJECTED_BY
from mashbill.files.rows.cells import Cells, Kinds, Other, as_text, bare_lengths, kind_of
from mashbill.files.rows.chat import said_by
from mashbill.files.rows.chunks import Chunk
from mashbill.files.rows.same import Same
from mashbill.files.rows.spill import Spill
from mashbill.files.rows.text import matching_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.stages.corpus import CorpusSpec

GIVEN = frozenset({"text", "gold", "part", "label", "confidence"}) | OURS
"""names of columns that this stage, or those behind it, give themselves"""

_DISTINCT, _SHOWN, _LONGEST = 1_000, 5, 80
"""values of gold that no rule takes: counted, shown, and characters of one"""


class Taking:
    """Takes the rows as they are read, and gives them once all were."""

    def __init__(self, spec: CorpusSpec, spill: Spill, same: Same) -> None:
        self.counts = dict.fromkeys(spec.gold.labels, 0) if spec.gold else {}
        self._spec = spec
        self._spill = spill
        self._same = same
        self._parts: list[str] = []
        self._begins: list[int] = []
        """rows of all parts before each part"""
        self._met: set[str] = set()
        """labels that some row has"""
        self._there: dict[str, None] = {}
        """the first values of gold"""
        self._values: Counter[str] = Counter()
        """values of gold that no rule takes"""
        self._untaken = 0
        """rows of them"""

    def begin(self, part: str) -> None:
        """Begin with a part of the corpus."""
        self._parts.append(part)
        self._begins.append(self._spill.rows)

    def take(self, chunk: Chunk, name: str) -> None:
        """Lay down a chunk of the part that was begun last."""
        spec = self._spec
        spec.check_columns(chunk, name)
        reasons: list[str | None] = [None] * chunk.rows
        texts = self._texts(chunk, reasons)
        short = pc.less(bare_lengths(texts), spec.min_chars)
        for at in pc.indices_nonzero(short).to_pylist():
            short = f"shorter than {counted(spec.min_chars, 'character')}"
            reasons[at] = reasons[at] or (short if spec.min_chars > 1 else "empty")
        rejected = pa.array([reason is not None for reason in reasons], pa.bool_())
        keys = pa.nulls(chunk.rows)
        if spec.dedup:
            keys = pc.if_else(rejected, None, matching_keys(texts))
        self._same.add(keys)
        gold = self._gold(chunk, name, reasons)
        self._met.update(gold.filter(pc.invert(rejected)).unique().to_pylist())
        kept = {
            f"user {column}": cells
            for column, cells in chunk.columns.items()
            if column in (*(spec.keep if spec.keep != "all" else chunk.columns), *spec.constants)
            and column != spec.text
            and not (spec.keep == "all" and spec.gold and column == spec.gold.column)
        }
        ours = {"text": texts, "gold": gold, "reason": pa.array(reasons, pa.string())}
        self._spill.add({**{n: Cells(a, Kinds()) for n, a in ours.items()}, **kept})

    def _texts(self, chunk: Chunk, reasons: list[str | None]) -> pa.Array:
        """Return the texts as they are; what is none is told in ``reasons``."""
        spec = self._spec
        cells = chunk.columns.get(spec.text, Cells(pa.nulls(chunk.rows), Kinds()))
        for at in pc.indices_nonzero(pc.is_null(cells.array)).to_pylist():
            if at not in chunk.bad:
                reasons[at] = f"column {spec.text!r} is missing"
        if spec.turns:
            chats = [said_by(value, spec.turns) for value in cells.values()]
            for at, said in enumerate(chats):
                if said is None and at not in chunk.bad:
                    reasons[at] = reasons[at] or f"column {spec.text!r} holds no chat"
            cells = Cells.of(chats)
        if not cells.is_json and pa.types.is_string(cells.array.type):
            texts = pc.fill_null(cells.array, "")
        else:
            found = []
            for at, value in enumerate(cells.values()):
                if isinstance(value, str) and half_a_character(value):
                    reasons[at] = "not valid Unicode: it holds half of a surrogate pair"
                elif cells.kinds.names == {"other"} and value is not None:
                    what = kind_of(Other(str(value)))
                    reasons[at] = f"column {spec.text!r} holds {what}, and no text"
                elif value is not None and not isinstance(value, str):
                    what = kind_of(value)
                    reasons[at] = f"column {spec.text!r} holds {what}, and no text"
                found.append("" if value is None else as_text(value))
            texts = pa.array(found, pa.string())
        if chunk.bad:
            lines = texts.to_pylist()
            for at, (line, reason) in chunk.bad.items():
                lines[at], reasons[at] = as_text(line) or lines[at], reason
            texts = pa.array(lines, pa.string())
        return texts

    def _gold(self, chunk: Chunk, name: str, reasons: Sequence[str | None]) -> pa.Array:
        """Return the label of each row, null where it has none."""
        gold = self._spec.gold
        if gold is None or gold.column not in chunk.columns:
            return pa.nulls(chunk.rows, pa.string())
        found = gold.labels_of(chunk, name)
        for value, label, reason in zip(
            chunk.columns[gold.column].values(), found, reasons, strict=True
        ):
            if reason is not None or value is None or value != value:  # noqa: PLR0124 - NaN
                continue
            text = as_text(value).strip()[:_LONGEST]
            if len(self._there) < _SHOWN:
                self._there.setdefault(text)
            if label is None and text:
                self._untaken += 1
                if text in self._values or len(self._values) < _DISTINCT:
                    self._values[text] += 1
        return pa.array(found, pa.string())

    def tell_untaken(self, ctx: StageContext) -> None:
        """Tell once of values that no rule takes, where each rule names its text."""
        gold = self._spec.gold
        if gold is None or not gold.by_words or not self._untaken:
            return
        shown = ", ".join(f"{count:,} {text!r}" for text, count in self._commonest())
        more = "" if len(self._values) <= _SHOWN else ", and others"
        rows = "1 row has" if self._untaken == 1 else f"{self._untaken:,} rows have"
        ctx.warn(
            f"{rows} a value of column {gold.column!r} that no rule of gold takes: {shown}{more}"
        )

    def _commonest(self) -> list[tuple[str, int]]:
        return sorted(self._values.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]

    def check_labels(self) -> None:
        """Raise InputError if a rule of gold takes no value at all."""
        for label in self.counts:
            if self._spec.gold is not None and label not in self._met:
                values = [text for text, _ in self._commonest()] or list(self._there)
                has = f" (it has {', '.join(map(repr, values))})" if values else ""
                msg = (
                    f"{self._spec.source}: no value of column {self._spec.gold.column!r} is taken "
                    f"by the rule gold.labels.{label}{has}; correct it, or remove gold to go "
                    "without human labels"
                )
                raise InputError(msg)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield what was laid down, with duplicates as rejects."""
        kept = [
            name.removeprefix("user ") for name in self._spill.kinds if name.startswith("user ")
        ]
        # p_LABEL is where a label stage writes a distribution, and what a soft learner reads.
        names = free_names(kept, GIVEN | {name for name in kept if name.startswith("p_")})
        start = 0
        for chunk in self._spill.chunks():
            rows = len(chunk["text"].array)
            yield self._batch(chunk, start, rows, names)
            start += rows

    def _batch(
        self, chunk: Mapping[str, Cells], start: int, rows: int, names: Mapping[str, str]
    ) -> pa.RecordBatch:
        number = int(np.searchsorted(self._begins, start, "right")) - 1
        places = np.arange(start, start + rows)
        firsts = self._same.firsts(start, start + rows) if rows else places
        reasons = chunk["reason"].array.to_pylist()
        for at in np.flatnonzero(firsts != places).tolist():
            reasons[at] = f"duplicate of {self._told(int(firsts[at]))}"
        why = pa.array(reasons, pa.string())
        gold = chunk["gold"].array
        for item in pc.value_counts(gold.filter(pc.is_null(why))).to_pylist():
            if item["values"] is not None:
                self.counts[item["values"]] += item["counts"]
        columns = {
            "text": chunk["text"].array,
            "gold": gold,
            "part": pa.array([self._parts[number]] * rows, pa.string()),
            **{new: self._spill.final(f"user {name}", chunk, rows) for name, new in names.items()},
            BILL: pa.array(np.full(rows, number, np.int32)),
            FROM: pa.array(places - self._begins[number]),
            REJECTED_BY: pc.if_else(pc.is_null(why), pa.scalar(None, pa.string()), "corpus"),
            REASON: why,
        }
        nested = [new for name, new in names.items() if self._spill.is_nested(f"user {name}")]
        return with_json(pa.RecordBatch.from_pydict(columns), nested)

    def _told(self, row: int) -> str:
        """Say which row one is, counted over all parts."""
        number = int(np.searchsorted(self._begins, row, "right")) - 1
        return f"{self._parts[number] or self._spec.source} row {row - self._begins[number]}"
