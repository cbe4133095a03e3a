"""``corpus``: read human text, and its gold labels if it has them, from where it lies.

Text that is empty, unreadable or a duplicate is rejected with its reason, never dropped. Rows are
read twice, from the file and then from what was laid down of it: which of them are duplicates, and
of which type a column is, is known only at the end, and memory must not grow with rows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.json_fields import with_json
from mashbill.core.letters import half_a_character
from mashbill.core.naming import free_names
from mashbill.core.plain import counted
from mashbill.core.record import BILL, FROM, OURS, REASON, REJECTED_BY, columns_beside
from mashbill.core.source import CalledBy, Source
from mashbill.files.archives import unpacked
from mashbill.files.members import members_like
from mashbill.files.rows.cells import Cells, Kinds, Other, as_text, bare_lengths, kind_of
from mashbill.files.rows.chat import Role, said_by
from mashbill.files.rows.chunks import Chunk, Manner, no_column, read_chunks
from mashbill.files.rows.folders import with_constants, with_declared
from mashbill.files.rows.gold import Gold
from mashbill.files.rows.same import Same
from mashbill.files.rows.spill import Spill
from mashbill.files.rows.text import matching_keys
from mashbill.stages.reading import ReadsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.looking import Looks
    from mashbill.core.stage import Glance, StageContext, Uses
    from mashbill.files.listing import File

_GIVEN = frozenset({"text", "gold", "part", "label", "confidence"}) | OURS
"""names of columns that this stage, or those behind it, give themselves"""

_DISTINCT, _SHOWN, _LONGEST = 1_000, 5, 80
"""values of gold that no rule takes: counted, shown, and characters of one"""


class CorpusSpec(ReadsFiles):
    """``kind = "corpus"``."""

    added: ClassVar[frozenset[str]] = ReadsFiles.added | {"keep", "called_by", "constants", "turns"}

    kind: Literal["corpus"] = "corpus"
    title: str
    """name of the corpus, for the bill"""
    release: str = ""
    """its version or date, for the bill"""
    provider: str = "unknown"
    """who published it"""
    license: str | None = None
    """SPDX identifier of its licence"""
    origin: Literal["public-dataset", "own-dataset"] = "public-dataset"
    """published by others, or your own"""
    called_by: CalledBy = ""
    """of data that models wrote: who had them write, us or others; see ``import``"""
    members: dict[str, str] = Field(default={})
    """part of the corpus -> path within the archive, or a glob of paths; each part is a source of
    its own"""
    columns: tuple[str, ...] = ()
    """column names, for csv and tsv files without a header line"""
    text: str = "text"
    """column of the text"""
    turns: tuple[Role, ...] = ()
    """where that column holds a chat, or a list of chats: whose turns are the text: ["user"]"""
    gold: Gold | None = None
    """human labels; without them everything runs except the comparison with humans"""
    expect_rows: int | None = None
    """rows to expect, for plans; the run counts them"""
    min_chars: int = Field(default=1, ge=1)
    """shorter texts are rejected"""
    dedup: bool = True
    """reject texts that equal an earlier one but for case and punctuation"""
    constants: dict[str, str] = Field(default={})
    """columns with one value for each row, such as the label of a set that is all of one kind"""
    keep: Literal["all"] | tuple[str, ...] = "all"
    """columns to keep beside the text, such as an id to join by; all if not said, but that of the
    human labels, which later steps must not learn from unless it is named here"""

    @model_validator(mode="after")
    def _columns_differ(self) -> CorpusSpec:
        if self.gold is not None and self.gold.column == self.text:
            msg = "gold.column must not be the text column"
            raise ValueError(msg)
        ours = sorted((_GIVEN | {self.text}) & self.constants.keys())
        if ours:
            msg = f"constants.{ours[0]}: a stage gives a column of this name itself; choose another"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """Nothing: this is where a chain begins."""
        return ()

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """What the recipe says to expect, where the files are not at hand to be counted."""
        del inputs
        return self.expect_rows

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """One source a part."""
        del folder
        return tuple(
            Source(
                name=f"{self.title}: {part}" if part else self.title,
                what="dataset",
                kind=self.origin,
                route="file",
                provider=self.provider,
                version=self.release,
                license=self.license,
                sha256=self.sha256,
                called_by=self.called_by,
            )
            for part in self.members or {"": ""}
        )

    @property
    def manner(self) -> Manner:
        """How the files are read."""
        return Manner(self.format, self.encoding, self.columns, self.on_bad_bytes, self.delimiter)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield text, gold (null where there is none), part and kept columns; rejects marked."""
        del records
        files = self.fetched(ctx)
        parts = {part: self._inside(files, path) for part, path in self.members.items()}
        if parts:  # of one archive, whose members are told apart once
            every = [name for names in parts.values() for name in names]
            ctx.look.see_members(files[0].path, every)
        with Spill(ctx.work / "rows") as spill, Same(ctx.work / "same") as same:
            taking = _Taking(self, spill, same)
            for part, names in (parts or {"": []}).items():
                taking.begin(part)
                for chunk, name in self._chunks(files, names, ctx.cache):
                    ctx.look.see(chunk.columns, chunk.rows)
                    taking.take(chunk, name)
                    ctx.progress(spill.rows, 0, "reading")
            if not spill.rows:
                msg = f"{self.source} has no rows; name another file, or correct its format"
                raise InputError(msg)
            taking.check_labels()
            taking.tell_untaken(ctx)
            same.settle()
            yield from taking.rows()
            ctx.measures["gold_labels"] = taking.counts

    def _inside(self, files: Sequence[File], path: str) -> list[str]:
        """Return the members of the archive that a path or a pattern of a part stands for."""
        if len(files) > 1:
            msg = f"{self.source}: members are those of one archive, and these are {len(files)}"
            raise InputError(msg)
        return [name for file in files for name in members_like(file.path, path, file.shown)]

    def _chunks(
        self, files: Sequence[File], inside: Sequence[str], cache: Path
    ) -> Iterator[tuple[Chunk, str]]:
        """Yield (rows, file) over all files, or over members of an archive."""
        for file in files:
            if not inside:
                for chunk in self.chunks_of(file, files):
                    yield chunk, file.shown
            said: dict[str, str | None] = {}
            for member in inside:
                name = f"{file.shown}!{member}"
                if self.format == "text":
                    said["name"] = member
                for chunk in read_chunks(unpacked(file.path, member, cache), name, self.manner):
                    yield with_declared(with_constants(chunk, said), self.constants, name), name

    def chunks_of(self, file: File, files: Sequence[File]) -> Iterator[Chunk]:
        """Yield the rows of one file of a set, with what is declared of each."""
        for chunk in super().chunks_of(file, files):
            yield with_declared(chunk, self.constants, file.shown)

    def show_members(self, files: Sequence[File], look: Looks) -> None:
        """Let what lies in the archive beside its members be looked at."""
        inside = self.members.values()
        for file in files if inside else ():
            names = [name for path in inside for name in members_like(file.path, path, file.shown)]
            look.see_members(file.path, names)

    def glance(self, folder: Path) -> Glance | None:
        """Look at the file; an archive is not unpacked for it."""
        return None if self.members else super().glance(folder)

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of the files, the text and its gold label."""
        del inputs
        given = sorted((_GIVEN - OURS) | self.constants.keys())
        return None if files is None else columns_beside(files, given)

    def text_of(self, columns: Sequence[str]) -> str:
        """The column that the recipe names."""
        del columns
        return self.text

    def check_chunk(self, chunk: Chunk, name: str) -> None:
        """Raise InputError if a line is no row, or a column or a number of gold is not there."""
        self.check_columns(chunk, name)
        if self.gold is not None and self.gold.column in chunk.columns:
            self.gold.labels_of(chunk, name)

    def check_columns(self, chunk: Chunk, name: str) -> None:
        """Raise InputError if a line is no row, or a column is not there."""
        if chunk.bad and self.on_bad_bytes != "reject":
            at, (_, reason) = next(iter(chunk.bad.items()))
            msg = f"{name}: {chunk.where(at)} {reason}; correct the line, or fetch the file again"
            raise InputError(msg)
        kept = () if self.keep == "all" else self.keep
        gold = (self.gold.column,) if self.gold is not None else ()
        for column in dict.fromkeys((self.text, *gold, *kept)):
            first = next((at for at in range(chunk.rows) if at not in chunk.bad), None)
            lacking = chunk.absent.get(column) if column in chunk.columns else first
            if lacking is None:
                continue
            says = no_column(column, list(chunk.columns))
            where = chunk.where(lacking)
            msg = f"{name}: {where} has {says}; correct the column names in the recipe"
            raise InputError(msg)


class _Taking:
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
        names = free_names(kept, _GIVEN | {name for name in kept if name.startswith("p_")})
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
