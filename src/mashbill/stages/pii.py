"""``pii``: what points at a person is found and redacted, or its row rejected.

Found is what has a form of its own: addresses of e-mail, telephone numbers, payment cards, IBANs,
identity numbers, IP addresses. Names of people, postal addresses and dates of birth have none; no
rule finds them, and nothing here does.

No value that was found is written anywhere: reasons, measures and manifests have kinds and counts,
and the rows of a rejected part are redacted too.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.errors import InputError, RecipeError
from mashbill.core.explaining import check_columns
from mashbill.core.json_fields import is_json_field
from mashbill.core.missing import is_text
from mashbill.core.parsing import json_value
from mashbill.core.record import FROM, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.files.rows.cells import as_json
from mashbill.files.rows.redacted import KINDS, Kind
from mashbill.stages.judging import marks
from mashbill.stages.personal.numbers import COUNTRIES, NORTH_AMERICA, unknown_regions
from mashbill.stages.personal.redacting import KIND, NUMBER, Finder, RowRedactor, texts_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext

_MEANT = {"UK": "GB", "EN": "GB", "EL": "GR"}
"""what is often written for a country -> its two letters in ISO 3166"""
_LIBRARIES = ("email-validator", "phonenumbers", "python-stdnum")


class PiiSpec(StageSpec):
    """``kind = "pii"``."""

    keeps_columns: ClassVar[bool] = True
    extras: ClassVar[tuple[str, ...]] = ("pii",)
    redacts: ClassVar[bool] = True

    kind: Literal["pii"] = "pii"
    input: str
    """dataset to look at"""
    columns: Literal["all"] | tuple[str, ...] = "all"
    """columns to look at; all that hold texts, or lists and objects with texts in them"""
    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1)
    """what to look for: email, iban, card, national-id, phone, ip"""
    regions: tuple[str, ...] = ("US",)
    """countries whose telephone numbers are looked for as they are dialled there, beside those of
    all countries that begin with +"""
    countries: tuple[str, ...] = COUNTRIES
    """whose identity numbers to look for"""
    put: str = "<{kind}_{number}>"
    """what stands in the place of a find: {kind} is its kind, {number} one of those of the row"""
    found: Literal["redact", "reject"] = "redact"
    """what becomes of a row in which something is found"""

    @model_validator(mode="after")
    def _can_be(self) -> PiiSpec:
        for country in self.countries:
            if country not in COUNTRIES:
                msg = f"countries {country!r}: choose of {', '.join(COUNTRIES)}"
                raise ValueError(msg)
        for region in self.regions:
            if len(region) != 2 or not region.isascii() or not region.isupper():
                msg = f"regions {region!r} is no country's two letters, such as US"
                raise ValueError(msg)
        left = self.put.replace(KIND, "").replace(NUMBER, "")
        if "{" in left or "}" in left or any(character.isdigit() for character in left):
            msg = f"put = {self.put!r} may have {KIND} and {NUMBER}, and no other brace or digit"
            raise ValueError(msg)
        if "@" in left:
            msg = f"put = {self.put!r} may not have an @, which would be found again"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def check(self, folder: Path) -> None:
        """See that the libraries know the regions."""
        del folder
        unknown = unknown_regions(self.regions) if self.regions else []
        if unknown:
            meant = _MEANT.get(unknown[0])
            hint = f"; did you mean {meant}?" if meant else ""
            msg = f"regions {unknown[0]!r}: the library phonenumbers knows no such country{hint}"
            raise RecipeError(msg)

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns are there, where they are known."""
        del folder
        named = [("columns", name) for name in self.columns] if self.columns != "all" else []
        check_columns(named, columns.get(self.input), self.input)

    def expected_seconds(self, rows: int | None) -> float | None:
        """For rows of a hundred words; most of the time goes for regions beside these two."""
        is_slow = bool(set(self.regions) - NORTH_AMERICA)
        return None if rows is None else rows / (300 if is_slow else 3_500)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rows redacted; those in which something is found are rejected if so wanted."""
        finder = Finder(self.kinds, self.regions, self.countries)
        finds: dict[str, int] = dict.fromkeys(self.kinds, 0)
        rows_with: dict[str, int] = dict.fromkeys(self.kinds, 0)
        touched = start = 0
        for batch in records:
            names = user_columns(batch.schema.names)
            looked = {name: cells for name in self._looked_at(batch.schema)
                      if (cells := _Cells(batch, name)).has_texts}  # fmt: skip
            reasons: list[str | None] = [None] * batch.num_rows
            for row in range(batch.num_rows):
                texts = [text for cells in looked.values() for text in cells.texts(row)]
                redactor = RowRedactor(finder, self.put, texts)
                if not redactor.counts:
                    continue
                touched += 1
                for kind, count in redactor.counts.items():
                    finds[kind] += count
                    rows_with[kind] += 1
                for cells in looked.values():
                    cells.redact(row, redactor)
                if self.found == "reject":
                    told = ", ".join(f"{redactor.counts[kind]} {kind}" for kind in KINDS
                                     if redactor.counts[kind])  # fmt: skip
                    reasons[row] = f"it holds {told}"
            columns = {
                name: looked[name].column() if name in looked else batch.column(name)
                for name in names
            }
            place = pa.array(np.arange(start, start + batch.num_rows), pa.int64())
            yield pa.RecordBatch.from_pydict({**columns, FROM: place, **marks("pii", reasons)})
            start += batch.num_rows
        ctx.measures |= {"found": finds, "rows_with": rows_with, "rows_touched": touched}
        ctx.overall["libraries"] = {name: version(name) for name in _LIBRARIES}

    def _looked_at(self, schema: pa.Schema) -> list[str]:
        """Return the columns to look at.

        Raises:
            InputError: if one that is named is not there, or can hold no text.
        """
        names = user_columns(schema.names)
        if self.columns == "all":
            return names
        for name in self.columns:
            if name not in names:
                msg = (
                    f"{self.input} has no column {name!r}; it has {', '.join(names)}; correct the "
                    "column name in the recipe"
                )
                raise InputError(msg)
            kind = schema.field(name).type
            if not _holds_texts(kind) and not pa.types.is_null(kind):
                msg = f"{self.input}: column {name!r} holds {kind}; text is needed"
                raise InputError(msg)
        return list(self.columns)


def _holds_texts(kind: pa.DataType) -> bool:
    while pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return is_text(kind)


class _Cells:
    """A column, whose texts are read and written."""

    def __init__(self, batch: pa.RecordBatch, name: str) -> None:
        self._field = batch.schema.field(name)
        self.has_texts = _holds_texts(self._field.type)
        self._is_json = is_json_field(self._field)
        self._column = batch.column(name)
        self._values: list[Any] = self._column.to_pylist() if self.has_texts else []
        self._is_changed = False

    def _value(self, row: int) -> tuple[Any, bool]:
        """Return a cell as a value, and whether it was read as JSON."""
        value = self._values[row]
        if self._is_json and isinstance(value, str):
            try:
                return json_value(value, "a cell"), True
            except InputError:  # marked as JSON, and none: a text
                return value, False
        return value, False

    def texts(self, row: int) -> list[str]:
        """Return the texts of a cell."""
        return texts_within(self._value(row)[0])

    def redact(self, row: int, redactor: RowRedactor) -> None:
        """Redact a cell; one in which nothing is found keeps its bytes."""
        value, is_json = self._value(row)
        if not texts_within(value):
            return
        before = self._values[row]
        after = redactor.value(value)
        if is_json:
            after = as_json(after, ascii_only=before.isascii())
            if as_json(json_value(before, "a cell"), ascii_only=before.isascii()) == after:
                return
        self._values[row] = after
        self._is_changed = True

    def column(self) -> Any:
        """Return the column as it is now."""
        return pa.array(self._values, self._field.type) if self._is_changed else self._column
