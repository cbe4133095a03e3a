"""``import``: data made elsewhere, with the models that made it as far as its rows say.

Rows may name their generator as NVIDIA's Nemotron sets do (``generator``, with ``version`` and
``license``), as distilabel does (``model_name``), or in a column that the recipe names. Each
distinct one is a source of its own; rows that name none have an origin that is not recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from mashbill.core.errors import InputError
from mashbill.core.naming import free_names
from mashbill.core.record import BILL, FROM, OURS, REASON, REJECTED_BY
from mashbill.core.source import Channel, Source, SourceKind
from mashbill.stages.chat import flattened, is_chat
from mashbill.stages.reading import ReadsFiles
from mashbill.stages.rows import BadRow, as_column, half_a_character, rows_or_reasons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mashbill.conduct.listing import File
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
        """What the recipe says to expect; nothing is read to make a plan."""
        del inputs
        return self.expect_rows

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """The models that the recipe tells of; what the rows add is found when they are read."""
        del folder
        return tuple(dict.fromkeys(self._origin(name, "", self.license) for name in self.models))

    def _origin(self, generator: str, version: str, license_: str | None) -> Source:
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

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows with the number of their origin; those that cannot serve as rejects."""
        del records
        files = self.fetched(ctx)
        path = files[0].shown if len(files) == 1 else self.source
        found = list(self._found(files))
        names = list(dict.fromkeys(c for _, row in found if isinstance(row, dict) for c in row))
        renaming = Renaming(names)
        text = self._column(self.text, _TEXTS, "text", names, path)
        generator = self._column(self.generator, _GENERATORS, "generator", names, path)
        numbers = {source: i for i, source in enumerate(self.sources(ctx.recipe_folder))}
        counts: dict[str, int] = {}
        rows: list[dict[str, Any]] = []
        origins: list[int] = []
        reasons: list[str | None] = []
        for where, row in found:
            values, reason = self._values(row, text, renaming)
            who, version, license_ = (
                _said(values, column) for column in (generator, "version", "license")
            )
            source = self._origin(who, version, license_ or self.license)
            origins.append(numbers.setdefault(source, len(numbers)))
            rows.append(values)
            reasons.append(None if reason is None else f"{where} {reason}")
            if reason is None:
                counts[source.title] = counts.get(source.title, 0) + 1
        ctx.origins += [
            ((Channel.CONTENT, source),)
            for source in list(numbers)[len(self.sources(ctx.recipe_folder)) :]
        ]
        ctx.measures["generators"] = counts
        yield _table(rows, origins, reasons)

    def _found(self, files: Sequence[File]) -> Iterator[tuple[str, dict[str, Any] | BadRow]]:
        """Yield (where it stands, row), with the file's name where there are several."""
        for file in files:
            before = f"{file.name} " if len(files) > 1 else ""
            rows = rows_or_reasons(file.path, file.shown, self.format, encoding=self.encoding)
            for where, row in rows:
                yield f"{before}{where}", row

    def _column(
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
        have = ", ".join(names) or "no rows"
        missing = repr(wanted) if wanted else " or ".join(usual)
        remedy = f"set {key} in the recipe to the column that holds it"
        if key == "generator":
            remedy += ', or to "none" to import it with an origin that is not recorded'
        msg = f"{path}: there is no column {missing}; it has {have}; {remedy}"
        raise InputError(msg)

    def _values(
        self, row: dict[str, Any] | BadRow, column: str, renaming: Renaming
    ) -> tuple[dict[str, Any], str | None]:
        """Return the columns to keep, ``text`` first, and why the row cannot serve, if so."""
        if isinstance(row, BadRow):
            return {"text": _valid(row.text)}, row.reason
        value = row.get(column)
        if isinstance(value, list) and is_chat(value):
            new, reason = flattened(value)
        elif isinstance(value, str):
            text = value.strip()
            new, reason = {"text": _valid(text)}, None if text else f"column {column!r} is empty"
            if half_a_character(text):
                reason = (
                    f"column {column!r} is not valid Unicode: it holds half of a surrogate pair"
                )
        else:
            new = {"text": ""}
            what = "is missing" if value is None else f"holds {type(value).__name__}, and no text"
            reason = f"column {column!r} {what}"
        free = renaming.beside(new)
        return new | {free[name]: item for name, item in row.items() if name != column}, reason


class Renaming:
    """Which columns of a data set get another name, since a column of ours has theirs."""

    def __init__(self, names: Sequence[str]) -> None:
        """Take the names of all columns of all rows, so that every row keeps to one renaming."""
        self._names = names
        self._known: dict[frozenset[str], dict[str, str]] = {}

    def beside(self, new: Iterable[str]) -> dict[str, str]:
        """Return each name with the one that it has beside these columns, and ours."""
        taken = frozenset(new) | OURS
        if taken not in self._known:
            self._known[taken] = free_names(self._names, taken)
        return self._known[taken]


def _said(values: dict[str, Any], column: str) -> str:
    """Return what a row says in a column, if it has it."""
    value = values.get(column)
    return "" if value is None else _valid(str(value)).strip()


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _table(
    rows: list[dict[str, Any]], origins: list[int], reasons: list[str | None]
) -> pa.RecordBatch:
    names = list(dict.fromkeys(["text", *(name for row in rows for name in row)]))
    columns = {name: as_column([row.get(name) for row in rows]) for name in names}
    return pa.RecordBatch.from_pydict(
        columns
        | {
            BILL: pa.array(origins, pa.int32()),
            FROM: pa.array(range(len(rows)), pa.int64()),
            REJECTED_BY: pa.array(
                ["import" if reason else None for reason in reasons], pa.string()
            ),
            REASON: pa.array(reasons, pa.string()),
        }
    )
