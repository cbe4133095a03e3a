"""``import``: data made elsewhere, with the models that made it as far as its rows say.

Rows may name their generator as NVIDIA's Nemotron sets do (``generator``, with ``version`` and
``license``), as distilabel does (``model_name``), or in a column that the recipe names; where it
names several, a row comes from all of them. Each distinct one is a source of its own; rows that
name none have an origin that is not recorded. Rows are read twice, from the files and then from
what was laid down of them: which columns there are, and of which types, is known only at the end,
and memory must not grow with rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mashbill.core.errors import InputError
from mashbill.core.nothing import is_nothing
from mashbill.core.record import columns_beside
from mashbill.core.source import CalledBy, Source, SourceKind
from mashbill.files.rows.cells import Cells, Kinds, as_text, texts_of
from mashbill.files.rows.chat import Role
from mashbill.files.rows.chunks import Chunk, no_column
from mashbill.files.rows.forms import EACH, TEXTS, column_of, generators_of, text_column
from mashbill.files.rows.spill import Spill
from mashbill.files.rows.spreading import spread, spread_column
from mashbill.policy.model_names import apart, resolve
from mashbill.stages.giving import Giving, bare_name
from mashbill.stages.reading import ReadsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext, Uses

_NONE = "none"
MODELS = ("open-weights", "closed-api", "unknown")
"""kinds that a model has which wrote rows of a set: a test double wrote none"""


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

    @field_validator("kind")
    @classmethod
    def _is_of_a_model(cls, kind: SourceKind) -> SourceKind:
        if kind not in MODELS:
            msg = (
                f"{kind} is no kind of model: write {', '.join(MODELS)}; of rows that people wrote "
                "the generator's column holds what the key human says"
            )
            raise ValueError(msg)
        return kind


class ImportSpec(ReadsFiles):
    """``kind = "import"``."""

    references: ClassVar[tuple[str, ...]] = ()
    added: ClassVar[frozenset[str]] = ReadsFiles.added | {"prompt", "each", "roles", "called_by"}

    kind: Literal["import"] = "import"
    title: str
    """name of the dataset, for the bill"""
    text: str = ""
    """column of the text, or of the turns of a chat, or a path into an object (``json.answer``); if
    empty the first that is there of those that docs/formats.md lists"""
    prompt: str = ""
    """column of what was asked, text or turns; told by the text's column if empty (an Alpaca set's
    instruction and input, for its output); "none" if the set has none"""
    each: str = ""
    """column of a list of answers, each of which becomes a row of its own; told by its name if
    empty (completions, generations, answers)"""
    roles: dict[str, Role] = Field(default={})
    """role as the turns of a chat name it -> assistant, user, system, call or tool"""
    generator: str = ""
    """column that names the generator, or a path; generator or model_name if empty; "none" if none
    does"""
    human: str = "human"
    """value of that column for rows that people wrote"""
    license: str | None = None
    """SPDX identifier, for rows that have no column license"""
    called_by: CalledBy = ""
    """who had these models write: us (our account, or whoever acted for us), or others on their own
    account; a licence on rows does not lift what bound whoever called, so what is not said wants
    review"""
    models: dict[str, Known] = Field(default={})
    """value of that column -> kind, provider, country and name of that model; where the catalogue
    knows another model, kind or maker by that name, the origin is contradicted"""
    expect_rows: int | None = None
    """rows to expect, for plans; the run counts them"""

    @property
    def rows_say_who_wrote(self) -> bool:
        """Where a column names the generator."""
        return self.generator != "none"

    def uses(self) -> tuple[Uses, ...]:
        """Nothing of this store: this is where a chain begins."""
        return ()

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of the files and what is made of a chat; what lists of answers hold is not seen."""
        del inputs
        if files is None:
            return None
        has_text = self.text not in EACH if self.text else text_column(files)
        if self.each or (not has_text and _each_of(files)):
            return None
        return columns_beside(files, ("text", "prompt", "messages_json"))

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
        known = self.models.get(generator) or self.by_name(generator)
        return Source(
            name=known.name or generator,
            what="model",
            kind=known.kind,
            route=route,
            provider=known.provider,
            country=known.country,
            version=version,
            license=license_,
            called_by=self.called_by,
        )

    @staticmethod
    def by_name(generator: str) -> Known:
        """Return what the catalogue knows of a model that the recipe says nothing of.

        Its name stays as the rows have it. A repack or a fine-tune is another thing, and its maker
        and who can have it are not those of what it was made of.
        """
        found = resolve(generator)
        return Known(kind=found.kind, provider=found.provider, country=found.country)

    def named_in(self, name: str) -> list[str]:
        """Return the models that a name tells of: several that stand in one cell are several."""
        return [name] if name in self.models or name == self.human else apart(name)

    def origin_names(self, rows: pa.Table) -> list[frozenset[str] | None]:
        """Return what the source of each row may be called; None where no column names one."""
        usual = (self.generator,) if self.generator else ("generator", "model_name")
        column = next((name for name in usual if name in rows.column_names), None)
        if column is None or not pa.types.is_string(rows.schema.field(column).type):
            return [None] * rows.num_rows
        texts = rows.column(column).unique().to_pylist()
        known = {text: self._names_in(text) for text in texts}
        return [known[text] for text in rows.column(column).to_pylist()]

    def _names_in(self, text: str | None) -> frozenset[str] | None:
        """Return what the sources that a cell names may be called; None if it names none."""
        told = texts_of(text) or []
        bare = [name for name in map(bare_name, told) if not is_nothing(name)]
        # How a release looks names up may change; what the row says does not.
        each = [one for name in bare for one in self.named_in(name)]
        found = {*bare, *told, *each, *(self.origin(name, "", None).name for name in each)}
        return frozenset(found) if bare else None

    def text_of(self, columns: Sequence[str]) -> str:
        """The column of the text; that of the generator must be there, too."""
        names = list(columns)
        if not names:
            return ""  # no line of it is a row, which the run tells with the reason
        if self.each and self.each not in names:
            raise _no(self.each, (), "each", names, self.source)
        each = self.each or ("" if self.text or text_column(names) else _each_of(names))
        if each:
            return each  # what its answers hold is known once they are rows
        text = self.text_column(names, self.source)
        self.generator_columns(names, text, "", self.source)
        return text if text in names else (column_of(text, names) or ("",))[0]

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows with the number of their origin; those that cannot serve as rejects."""
        del records
        files = self.fetched(ctx)
        shown = files[0].shown if len(files) == 1 else self.source
        each: str | None = None
        rows, is_there = 0, False
        with Spill(ctx.work / "rows") as spill:
            for file in files:
                before = f"{file.name} " if len(files) > 1 else ""
                for chunk in self.chunks_of(file, files):
                    if each is None:
                        each = spread_column(self.each, self.text, chunk)
                    ctx.look.see(chunk.columns, chunk.rows)
                    wide, of, where = spread(chunk, each)
                    is_there = is_there or each in chunk.columns
                    spill.add(_laid(wide, [rows + row for row in of], where, before))
                    rows += chunk.rows
                    ctx.progress(spill.rows, 0, "reading")
            if not spill.rows:
                msg = f"{shown} has no rows; name another file, or correct its format"
                raise InputError(msg)
            if self.each and not is_there:
                names = [n.removeprefix("user ") for n in spill.kinds if n.startswith("user ")]
                raise _no(self.each, (), "each", names, shown)
            yield from Giving(self, spill, shown, ctx, each or "").rows()

    def text_column(self, names: Sequence[str], path: str, each: str = "") -> str:
        """Return the column of the text, or the path to it.

        Raises:
            InputError: naming the file, the columns it has and the remedy.
        """
        wanted = self.text
        if not wanted and each:  # of answers that are objects the text has a column, of texts none
            wanted = next((n for n in (EACH.get(each, each), each) if n in names), "")
        found = text_column(names) if not wanted else wanted if column_of(wanted, names) else None
        if found is None:
            raise _no(wanted, TEXTS[:3], "text", names, path)
        return found

    def generator_columns(self, names: Sequence[str], text: str, each: str, path: str) -> list[str]:
        """Return the columns that name the generator, or paths to them; none if none does.

        Where a row's first names nobody, the next may.

        Raises:
            InputError: as :meth:`text_column`.
        """
        wanted = self.generator
        if wanted == _NONE:
            return []
        ways = ((wanted,),) if wanted else generators_of(text, each)
        for way in ways:
            if found := [name for name in way if column_of(name, names)]:
                return found
        raise _no(wanted, ways[-1], "generator", names, path)


def _each_of(names: Sequence[str]) -> str:
    return next((name for name in EACH if name in names), "")


def _laid(
    chunk: Chunk, positions: Sequence[int], where: Sequence[str], before: str
) -> dict[str, Cells]:
    """Return what is laid down of some rows: where they stand, what is wrong, and their cells."""
    lines = {row: as_text(line) for row, (line, _) in chunk.bad.items()}
    bad = [chunk.bad.get(row, ("", None))[1] for row in range(chunk.rows)]
    told = {
        "at": pa.array(positions, pa.int64()),
        "where": pa.array([f"{before}{place}" for place in where], pa.string()),
        "bad": pa.array(bad, pa.string()),
        "line": pa.array([lines.get(row) for row in range(chunk.rows)], pa.string()),
    }
    user = {f"user {name}": cells for name, cells in chunk.columns.items()}
    return {**{name: Cells(array, Kinds()) for name, array in told.items()}, **user}


def _no(wanted: str, usual: Sequence[str], key: str, names: Sequence[str], path: str) -> InputError:
    remedy = f"set {key} in the recipe to the column that holds it"
    if key == "generator":
        remedy += ', or to "none" to import it with an origin that is not recorded'
    says = no_column(wanted or usual[0], names)
    if not wanted:
        others = " or ".join(repr(name) for name in usual)
        says = says.replace(repr(usual[0]), others, 1)
    return InputError(f"{path}: there is {says}; {remedy}")
