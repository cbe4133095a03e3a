"""``corpus``: read human text, and its gold labels if it has them, from where it lies.

Text that is empty, unreadable or a duplicate is rejected with its reason, never dropped. Rows are
read twice, from the file and then from what was laid down of it: which of them are duplicates, and
of which type a column is, is known only at the end, and memory must not grow with rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.record import OURS, columns_beside
from mashbill.core.source import CalledBy, Source
from mashbill.files.archives import unpacked
from mashbill.files.members import members_like
from mashbill.files.rows.chat import Role
from mashbill.files.rows.chunks import Chunk, Manner, no_column, read_chunks
from mashbill.files.rows.folders import with_constants, with_declared
from mashbill.files.rows.gold import Gold
from mashbill.files.rows.same import Same
from mashbill.files.rows.spill import Spill
from mashbill.stages.reading import ReadsFiles
from mashbill.stages.taking import GIVEN, Taking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.looking import Looks
    from mashbill.core.stage import Glance, StageContext, Uses
    from mashbill.files.listing import File


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
        ours = sorted((GIVEN | {self.text}) & self.constants.keys())
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
            taking = Taking(self, spill, same)
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
        given = sorted((GIVEN - OURS) | self.constants.keys())
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
