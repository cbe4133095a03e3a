"""``corpus``: read human text, and its gold labels if it has them, from where it lies.

Text that is empty, unreadable or a duplicate is rejected with its reason, never dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mashbill.conduct.fetch import member
from mashbill.core.errors import InputError
from mashbill.core.record import BILL, FROM, REASON, REJECTED_BY
from mashbill.core.source import Source
from mashbill.stages.reading import ReadsFiles
from mashbill.stages.rows import half_a_character, read_rows
from mashbill.stages.text import matching_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.conduct.listing import File
    from mashbill.core.stage import StageContext, Uses

_BATCH = 4096


class GoldRule(BaseModel):
    """When a gold value means a label: all the conditions that are set must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    at_least: float | None = None
    """a number not below this"""
    at_most: float | None = None
    """a number not above this"""
    equals: str | None = None
    """this text, after trimming"""

    def holds(self, value: Any) -> bool:
        """Return whether the value means this rule's label; ValueError if it is no number."""
        if self.equals is not None and str(value).strip() != self.equals:
            return False
        if self.at_least is not None and float(value) < self.at_least:
            return False
        return not (self.at_most is not None and float(value) > self.at_most)


class Gold(BaseModel):
    """Which column holds what humans said, and how its values map to labels."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    column: str
    """column of the human ratings or labels"""
    labels: dict[str, GoldRule]
    """label -> rule; a value that no rule takes gets no label"""


class CorpusSpec(ReadsFiles):
    """``kind = "corpus"``."""

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
    members: dict[str, str] = Field(default={})
    """part of the corpus -> path within the archive; each part is a source of its own"""
    columns: tuple[str, ...] = ()
    """column names, for csv and tsv files without a header line"""
    text: str = "text"
    """column of the text"""
    gold: Gold | None = None
    """human labels; without them everything runs except the comparison with humans"""
    expect_rows: int | None = None
    """rows to expect, for plans; the run counts them"""
    min_chars: int = Field(default=1, ge=1)
    """shorter texts are rejected"""
    dedup: bool = True
    """reject texts that equal an earlier one but for case and punctuation"""

    @model_validator(mode="after")
    def _columns_differ(self) -> CorpusSpec:
        if self.gold is not None and self.gold.column == self.text:
            msg = "gold.column must not be the text column"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """Nothing: this is where a chain begins."""
        return ()

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """What the recipe says to expect; nothing is read to make a plan."""
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
            )
            for part in self.members or {"": ""}
        )

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield text, gold (null where there is none) and part, with rejects marked."""
        del records
        files = self.fetched(ctx)
        first_seen: dict[str, str] = {}
        counts = dict.fromkeys(self.gold.labels, 0) if self.gold else {}
        batch: list[dict[str, Any]] = []
        for number, (part, inside) in enumerate((self.members or {"": ""}).items()):
            for row, (name, in_file, values) in enumerate(self._rows(files, inside)):
                text, gold = self._text_and_gold(values, name, in_file)
                reason = self._why_reject(text, f"{part or self.source} row {row}", first_seen)
                text = text.encode("utf-8", "replace").decode()
                if gold is not None and reason is None:
                    counts[gold] += 1
                batch.append(
                    {
                        "text": text,
                        "gold": gold,
                        "part": part,
                        BILL: number,
                        FROM: row,
                        REJECTED_BY: "corpus" if reason else None,
                        REASON: reason,
                    }
                )
                if len(batch) == _BATCH:
                    yield pa.RecordBatch.from_pylist(batch, _SCHEMA)
                    batch = []
        if batch:
            yield pa.RecordBatch.from_pylist(batch, _SCHEMA)
        ctx.measures["gold_labels"] = counts
        for label, count in counts.items():
            if self.gold is not None and not count:
                msg = (
                    f"{self.source}: no value of column {self.gold.column!r} is taken by the rule "
                    f"gold.labels.{label}; correct it, or remove gold to go without human labels"
                )
                raise InputError(msg)

    def _rows(
        self, files: Sequence[File], inside: str
    ) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Yield (file, row within it, values) over all files, or over one member of an archive."""
        if inside and len(files) > 1:
            msg = f"{self.source}: members are those of one archive, and these are {len(files)}"
            raise InputError(msg)
        for file in files:
            name = f"{file.shown}!{inside}" if inside else file.shown
            data = member(file.path, inside) if inside else file.path
            rows = read_rows(data, name, self.format, encoding=self.encoding, columns=self.columns)
            for row, values in enumerate(rows):
                yield name, row, values

    def _text_and_gold(self, values: dict[str, Any], name: str, row: int) -> tuple[str, str | None]:
        for column in filter(None, (self.text, self.gold.column if self.gold else None)):
            if column not in values:
                msg = (
                    f"{name}: row {row} has no column {column!r}; it has {', '.join(values)}; "
                    "correct the column names in the recipe"
                )
                raise InputError(msg)
        text = values[self.text]
        if not isinstance(text, str):
            text = "" if text is None else str(text)
        if self.gold is None:
            return text.strip(), None
        value = values[self.gold.column]
        try:
            for label, rule in self.gold.labels.items():
                if value is not None and rule.holds(value):
                    return text.strip(), label
        except ValueError as error:
            msg = (
                f"{name}: row {row}: column {self.gold.column!r} holds {value!r}, which is not the "
                "number that gold.labels asks for"
            )
            raise InputError(msg) from error
        return text.strip(), None

    def _why_reject(self, text: str, where: str, first_seen: dict[str, str]) -> str | None:
        if half_a_character(text):
            return "not valid Unicode: it holds half of a surrogate pair"
        if len(text) < self.min_chars:
            return f"shorter than {self.min_chars} characters"
        if self.dedup:
            earlier = first_seen.setdefault(matching_key(text), where)
            if earlier != where:
                return f"duplicate of {earlier}"
        return None


_SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("gold", pa.string()),
        ("part", pa.string()),
        (BILL, pa.int32()),
        (FROM, pa.int64()),
        (REJECTED_BY, pa.string()),
        (REASON, pa.string()),
    ]
)
