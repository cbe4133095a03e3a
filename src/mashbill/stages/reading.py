"""What stages that read files have in common: an address, its pin, a format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mashbill.core.errors import InputError
from mashbill.core.stage import Glance, StageSpec
from mashbill.files.listing import File, beside, fetch_all, is_elsewhere
from mashbill.files.rows.chunks import Chunk, Manner, OnBadBytes, read_chunks
from mashbill.files.rows.folders import in_order, said_by_names, with_constants
from mashbill.files.rows.formats import BESIDE, Format, choose, format_of
from mashbill.files.rows.glance import glance_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.looking import Looks
    from mashbill.core.stage import StageContext


_TOLD = 5  # names of files in a warning


class ReadsFiles(StageSpec):
    """A first stage, whose rows lie in one file or in several of one set."""

    streams: ClassVar[bool] = False
    added: ClassVar[frozenset[str]] = frozenset({"on_bad_bytes", "delimiter"})

    source: str
    """a file, folder or glob: a path beside the recipe, s3://, gs://, https:// or what else fsspec
    knows, hf:datasets/OWNER/NAME[@REVISION][/FILE], pypi:NAME==VERSION"""
    sha256: str | None = None
    """SHA-256 of the file, or of the list of the files as sha256sum prints it; needed for what lies
    elsewhere, and told if it is missing"""
    format: Format = "auto"
    """by the files' endings if auto; tsv has no quoting; text: each file (.txt, .md) is one row of
    the columns text and name"""
    encoding: str = "utf-8"
    """of text files"""
    on_bad_bytes: OnBadBytes = "stop"
    """what becomes of bytes that are not of the encoding: stop, or reject the row with its reason,
    or replace them by the replacement character"""

    delimiter: str = Field(default=",", pattern=r'^[^"\r\n\x00]$')
    """what divides the fields of csv files, one character: Excel writes ; in much of Europe"""

    def files(self) -> tuple[str, ...]:
        """The address, if it is a path beside the recipe."""
        return () if is_elsewhere(self.source) else (self.source,)

    def addresses(self) -> tuple[str, ...]:
        """The address, wherever it is."""
        return (self.source,)

    def files_beside(self, folder: Path) -> tuple[str, ...]:
        """The files that the path stands for.

        Raises:
            InputError: if there are none.
        """
        if is_elsewhere(self.source):
            return ()
        return beside(self.source, folder, self.chosen)

    def chosen(self, names: Sequence[str], address: str) -> list[str]:
        """Return which files of a folder hold the set's rows."""
        return choose(names, self.format, address)

    @property
    def manner(self) -> Manner:
        """How the files are read."""
        return Manner(
            self.format, self.encoding, on_bad_bytes=self.on_bad_bytes, delimiter=self.delimiter
        )

    def glance(self, folder: Path) -> Glance | None:
        """Look at the files, where they lie beside the recipe."""
        if is_elsewhere(self.source):
            return None
        files = in_order(fetch_all(self.source, self.sha256, folder, folder, self.chosen))
        seen = glance_at(files, self.manner, self.check_chunk, self.chunks_of)
        if not seen.rows and seen.is_exact:
            msg = f"{self.source} has no rows; name another file, or correct its format"
            raise InputError(msg)
        text = self.text_of(seen.columns)
        sizes = {name: size for name, size in seen.sizes.items() if name != text}
        return replace(seen, sizes={"text": seen.sizes.get(text, 0.0), **sizes})

    def chunks_of(self, file: File, files: Sequence[File]) -> Iterator[Chunk]:
        """Yield the rows of one file of a set, with what the names of its folders say of them.

        Args:
            file: the file.
            files: all of the set.
        """
        said = said_by_names(f"{self.source}/{file.name}", [f.name for f in files])
        if self.format == "text":
            said["name"] = file.name
        for chunk in read_chunks(file.path, file.shown, self.manner):
            yield with_constants(chunk, said)

    def check_chunk(self, chunk: Chunk, name: str) -> None:
        """Raise InputError if rows of a file cannot serve."""

    def text_of(self, columns: Sequence[str]) -> str:
        """Return which column becomes the text."""
        del columns
        return "text"

    def show_files(self, files: Sequence[File], look: Looks, folder: Path) -> None:
        """Let what lies beside files of this disk be looked at."""
        if not is_elsewhere(self.source) or self.source.startswith("file://"):
            look.see_files([file.path for file in files], folder)

    def fetched(self, ctx: StageContext) -> tuple[File, ...]:
        """Return the files, on this disk; where they are several, their digests are a measure.

        Raises:
            InputError: if they cannot be had, or are not those that are pinned.
        """
        left: list[str] = []

        def chosen(names: Sequence[str], address: str) -> list[str]:
            wanted = self.chosen(names, address)
            left.extend(name for name in names if name not in wanted and format_of(name))
            if is_elsewhere(address):
                ctx.look.see_names(names, address)
            return wanted

        found = fetch_all(self.source, self.sha256, ctx.recipe_folder, ctx.cache, chosen)
        left = [name for name in left if PurePosixPath(name).name not in BESIDE]
        if left:
            more = f" and {len(left) - _TOLD} more" if len(left) > _TOLD else ""
            ctx.warn(
                f"{self.source}: {', '.join(left[:_TOLD])}{more} may hold rows, and are left out "
                "beside the others: name them with a glob, or set format, if they are meant"
            )
        files = in_order(found)
        self.show_files(files, ctx.look, ctx.recipe_folder)
        if len(files) > 1:
            ctx.measures["files"] = {file.name: file.sha256 for file in files}
        return files
