"""``import``: data made elsewhere, with the models that made it as far as its rows say.

Rows may name their generator as NVIDIA's Nemotron sets do (``generator``, with ``version`` and
``license``), as distilabel does (``model_name``), or in a column that the recipe names. Each
distinct one is a source of its own; rows that name none have an origin that is not recorded. Rows
are read twice, from the files and then from what was laid down of them: which columns there are,
and of which types, is known only at the end, and memory must not grow with rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from mashbill.core.errors import InputError
from mashbill.core.naming import free_names
from mashbill.core.record import BILL, FROM, OURS, REASON, REJECTED_BY
from mashbill.core.source import Channel, Source, SourceKind
from mashbill.stages.cells import Cells, Kinds
from mashbill.stages.chat import flattened, is_chat
from mashbill.stages.chunks import no_column, read_chunks
from mashbill.stages.reading import ReadsFiles
from mashbill.stages.rows import half_a_character
from mashbill.stages.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext, Uses

_TEXTS = ("text", "messages", "conversations")
_GENERATORS = ("generator", "model_name")
_NONE = "none"


class Known(BaseModel):
    """What is known of a generator beyond its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: SourceKind = "unknown"
    """who can have it, and how"""
    provider: str = "unknown"
    """who makes or serves it"""
    country: str = "unknown"
    """where the provider sits, ISO 3166 alpha-2"""
    name: str = ""
    """name as its maker writes it, if the rows write it otherwise"""


class ImportSpec(ReadsFiles):
    """``kind = "import"``."""

    references: ClassVar[tuple[str, ...]] = ()

    kind: Literal["import"] = "import"
    title: str
    """name of the data set, for the bill"""
    text: str = ""
    """column of the text, or of the turns of a chat; text, messages or conversations if empty"""
    generator: str = ""
    """column that names the generator; generator or model_name if empty; "none" if none does"""
    human: str = "human"
    """value of that column for rows that people wrote"""
    license: str | None = None
    """SPDX identifier, for rows that have no column license"""
    models: dict[str, Known] = Field(default={})
    """value of that column -> kind, provider, country and name of that model"""
    expect_rows: int | None = None
    """rows to expect, for plans; the run counts them"""

    def uses(self) -> tuple[Uses, ...]:
        """Nothing of this store: this is where a chain begins."""
        return ()

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """What the recipe says to expect, where the files are not at hand to be counted."""
        del inputs
        return self.expect_rows

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """The models that the recipe tells of; what the rows add is found when they are read."""
        del folder
        return tuple(dict.fromkeys(self.origin(name, "", self.license) for name in self.models))

    def origin(self, generator: str, version: str, license_: str | None) -> Source:
        """Return the source of a row."""
        route = f"dataset:{self.title}"
        if not generator:
            name = f"{self.title}: origin not recorded"
            return Source(name=name, what="unknown", kind="unknown", route=route)
        if generator == self.human:
            return Source(
                name=f"{self.title}: people",
                what="dataset",
                kind="human",
                route=route,
                license=license_,
            )
        known = self.models.get(generator, Known())
        return Source(
            name=known.name or generator,
            what="model",
            kind=known.kind,
            route=route,
            provider=known.provider,
            country=known.country,
            version=version,
            license=license_,
        )

    def text_of(self, columns: Sequence[str]) -> str:
        """The column of the text; that of the generator must be there, too."""
        self.column(self.generator, _GENERATORS, "generator", list(columns), self.source)
        return self.column(self.text, _TEXTS, "text", list(columns), self.source)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows with the number of their origin; those that cannot serve as rejects."""
        del records
        files = self.fetched(ctx)
        shown = files[0].shown if len(files) == 1 else self.source
        with Spill(ctx.work / "rows") as spill:
            for file in files:
                before = f"{file.name} " if len(files) > 1 else ""
                for chunk in read_chunks(file.path, file.shown, self.manner):
                    where = [f"{before}{chunk.where(row)}" for row in range(chunk.rows)]
                    lines = {row: _valid(line) for row, (line, _) in chunk.bad.items()}
                    bad = [chunk.bad.get(row, ("", None))[1] for row in range(chunk.rows)]
                    told = {
                        "where": pa.array(where, pa.string()),
                        "bad": pa.array(bad, pa.string()),
                        "line": pa.array(
                            [lines.get(row) for row in range(chunk.rows)], pa.string()
                        ),
                    }
                    user = {f"user {name}": cells for name, cells in chunk.columns.items()}
                    spill.add({**{n: Cells(a, Kinds()) for n, a in told.items()}, **user})
                    ctx.progress(spill.rows, 0, "reading")
            if not spill.rows:
                msg = f"{shown} has no rows; name another file, or correct its format"
                raise InputError(msg)
            yield from _Giving(self, spill, shown, ctx).rows()

    def column(
        self, wanted: str, usual: tuple[str, ...], key: str, names: list[str], path: str
    ) -> str:
        """Return the column to take.

        Raises:
            InputError: naming the file, the columns it has and the remedy.
        """
        if wanted == _NONE and key == "generator":
            return ""
        for name in (wanted,) if wanted else usual:
            if name in names:
                return name
        remedy = f"set {key} in the recipe to the column that holds it"
        if key == "generator":
            remedy += ', or to "none" to import it with an origin that is not recorded'
        says = no_column(wanted or usual[0], names)
        if not wanted:
            others = " or ".join(repr(name) for name in usual)
            says = says.replace(repr(usual[0]), others, 1)
        msg = f"{path}: there is {says}; {remedy}"
        raise InputError(msg)


class _Giving:
    """Gives the rows that were laid down, with what they say of their origin."""

    def __init__(self, spec: ImportSpec, spill: Spill, path: str, ctx: StageContext) -> None:
        self._spec, self._spill, self._ctx = spec, spill, ctx
        names = [name.removeprefix("user ") for name in spill.kinds if name.startswith("user ")]
        self._text = spec.column(spec.text, _TEXTS, "text", names, path)
        self._generator = spec.column(spec.generator, _GENERATORS, "generator", names, path)
        own = ("text", "prompt", "messages_json") if self._has_chats() else ("text",)
        others = [name for name in names if name != self._text]
        self._own = own
        self._names = free_names(others, {*own, *OURS})
        told = spec.sources(ctx.recipe_folder)
        self._numbers = {source: number for number, source in enumerate(told)}
        self._known: dict[tuple[str, str, str], tuple[int, Source]] = {}
        self._counts: dict[str, int] = {}
        ctx.measures["generators"] = self._counts

    def _has_chats(self) -> bool:
        """Return whether the text of some row is a list of turns."""
        name = f"user {self._text}"
        if not self._spill.kinds[name].names - {"str"}:
            return False
        chunks = (chunk[name].values() for chunk in self._spill.chunks() if name in chunk)
        return any(isinstance(v, list) and is_chat(v) for values in chunks for v in values)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; new origins are in the context before the first row that has one."""
        start = 0
        for chunk in self._spill.chunks():
            rows = len(chunk["where"].array)
            columns, reasons = self._texts(chunk, rows)
            numbers = self._origins(chunk, reasons, rows)
            for name, new in self._names.items():
                columns[new] = self._spill.final(f"user {name}", chunk, rows)
            why = [
                None if reason is None else f"{where} {reason}"
                for where, reason in zip(chunk["where"].array.to_pylist(), reasons, strict=True)
            ]
            by = ["import" if reason else None for reason in why]
            yield pa.RecordBatch.from_pydict(
                columns
                | {
                    BILL: pa.array(numbers, pa.int32()),
                    FROM: pa.array(np.arange(start, start + rows)),
                    REJECTED_BY: pa.array(by, pa.string()),
                    REASON: pa.array(why, pa.string()),
                }
            )
            start += rows

    def _texts(
        self, chunk: Mapping[str, Cells], rows: int
    ) -> tuple[dict[str, pa.Array], list[str | None]]:
        """Return the columns that are made of the text column, and why rows cannot serve."""
        cells = chunk.get(f"user {self._text}")
        values = cells.values() if cells is not None else [None] * rows
        found: dict[str, list[str | None]] = {name: [] for name in self._own}
        reasons: list[str | None] = []
        lines = chunk["line"].array.to_pylist()
        for value, bad, line in zip(values, chunk["bad"].array.to_pylist(), lines, strict=True):
            new, reason = ({"text": line}, bad) if bad is not None else self._new(value)
            for name in self._own:
                found[name].append(new.get(name))
            reasons.append(reason)
        return {name: pa.array(column, pa.string()) for name, column in found.items()}, reasons

    def _new(self, value: Any) -> tuple[dict[str, Any], str | None]:
        """Return the columns that a cell of text, or of turns, becomes, and why it cannot serve."""
        column = self._text
        if isinstance(value, list) and is_chat(value):
            return flattened(value)
        if isinstance(value, str):
            text = value.strip()
            if half_a_character(text):
                reason = (
                    f"column {column!r} is not valid Unicode: it holds half of a surrogate pair"
                )
                return {"text": _valid(text)}, reason
            return {"text": text}, None if text else f"column {column!r} is empty"
        what = "is missing" if value is None else f"holds {type(value).__name__}, and no text"
        return {"text": ""}, f"column {column!r} {what}"

    def _origins(
        self, chunk: Mapping[str, Cells], reasons: list[str | None], rows: int
    ) -> list[int]:
        """Return the number of each row's origin."""
        said = [self._said(chunk, name, rows) for name in (self._generator, "version", "license")]
        numbers = []
        for key, reason in zip(zip(*said, strict=True), reasons, strict=True):
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._met(*key)
            number, source = known
            numbers.append(number)
            if reason is None:
                self._counts[source.title] = self._counts.get(source.title, 0) + 1
        return numbers

    def _met(self, generator: str, version: str, license_: str) -> tuple[int, Source]:
        source = self._spec.origin(generator, version, license_ or self._spec.license)
        if source not in self._numbers:
            self._numbers[source] = len(self._numbers)
            self._ctx.origins.append(((Channel.CONTENT, source),))
        return self._numbers[source], source

    def _said(self, chunk: Mapping[str, Cells], column: str, rows: int) -> list[str]:
        """Return what each row says in a column; empty where it says nothing."""
        cells = chunk.get(f"user {column}")
        if not column or cells is None or column == self._text:
            return [""] * rows
        return ["" if value is None else _valid(str(value)).strip() for value in cells.values()]


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
