"""The rows of an import as a dataset has them: text, what was asked, and who wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError
from mashbill.core.json_fields import with_json
from mashbill.core.naming import free_names
from mashbill.core.nothing import is_nothing
from mashbill.core.record import BILL, FROM, OURS, REASON, REJECTED_BY
from mashbill.core.source import Channel, Source
from mashbill.files.rows.cells import Other, as_text, kind_of, texts_of
from mashbill.files.rows.forms import beside_of, column_of, form_of, made_of, within
from mashbill.policy.licence_cells import licence_of
from mashbill.policy.model_names import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.files.rows.cells import Cells
    from mashbill.files.rows.spill import Spill
    from mashbill.stages.imported import ImportSpec

_NAMES = 1_000  # names of generators of which it is told how they were resolved
_KEPT = 100_000  # combinations of generator, version and licence that are remembered


class Giving:
    """Gives the rows that were laid down, with what they say of their origin."""

    def __init__(
        self, spec: ImportSpec, spill: Spill, path: str, ctx: StageContext, each: str
    ) -> None:
        """Find out what each column is.

        Args:
            spec: the stage.
            spill: what was laid down: ``at``, ``where``, ``bad``, ``line``, and ``user NAME``.
            path: how errors name the set.
            ctx: the stage's.
            each: column of a list of answers that became rows; empty if none did.

        Raises:
            InputError: if the column of the text or of the generator is not there.
        """
        self._spec, self._spill, self._ctx = spec, spill, ctx
        names = [name.removeprefix("user ") for name in spill.kinds if name.startswith("user ")]
        self._columns = names
        self._check_rows(path)
        text = spec.text_column(names, path, each)
        self._form = form_of(text, spec.prompt, names, each)
        self._generators = spec.generator_columns(names, text, each, path)
        has_chats = self._has_chats()
        asked = self._form.prompt
        is_plain = asked in ((), ("prompt",)) and not self._is_nested("prompt")
        own = ["text"]
        if has_chats or not is_plain or self._form.pairs:
            own.append("prompt")
        if has_chats:
            own.append("messages_json")
        self._own = tuple(own)
        # Steps and segments are put together to a text, and stay as they were beside it.
        is_whole = not (self._form.steps or self._form.pairs)
        others = [name for name in names if name != self._form.text or not is_whole]
        self._names = free_names(others, {*own, *OURS})
        told = spec.sources(ctx.recipe_folder)
        self._numbers: dict[tuple[Source, ...], int] = {
            (source,): number for number, source in enumerate(told)
        }
        self._known: dict[tuple[Any, ...], tuple[int, tuple[Source, ...]]] = {}
        self._licences: dict[frozenset[str], str] = {}
        """licences that hold together, in any order -> as they were first written"""
        self._beside = beside_of(self._form.text, names)
        self._counts: dict[str, int] = {}
        ctx.measures["generators"] = self._counts
        self._names_told: dict[str, str] = {}
        """name of a generator that the recipe says nothing of -> what it was led to, and how"""

    def _check_rows(self, path: str) -> None:
        """Raise InputError if no line of a set is a row, with why the first is none."""
        if self._columns:
            return
        for chunk in self._spill.chunks():
            for where, bad in zip(chunk["where"].array, chunk["bad"].array, strict=True):
                if bad.is_valid:
                    msg = f"{path}: {where} {bad}; no line of it is a row: correct the file"
                    raise InputError(msg)

    def _is_nested(self, column: str) -> bool:
        kinds = self._spill.kinds.get(f"user {column}")
        return kinds is not None and bool(kinds.names - {"str"})

    def _has_chats(self) -> bool:
        """Return whether what was asked, or the text, of some row is a list of turns."""
        paths = (self._form.text, *self._form.prompt)
        columns = {found[0] for path in paths if (found := column_of(path, self._columns))}
        if not any(self._is_nested(column) for column in columns):
            return False
        for chunk in self._spill.chunks():
            rows = len(chunk["where"].array)
            cells = [self._cells(chunk, path, rows) for path in paths]
            for value, *asked in zip(*cells, strict=True):
                if made_of(self._form, value, asked, self._spec.roles).messages is not None:
                    return True
        return False

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; new origins are in the context before the first row that has one."""
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
            batch = pa.RecordBatch.from_pydict(
                columns
                | {
                    BILL: pa.array(numbers, pa.int32()),
                    FROM: chunk["at"].array,
                    REJECTED_BY: pa.array(by, pa.string()),
                    REASON: pa.array(why, pa.string()),
                }
            )
            nested = [
                new for name, new in self._names.items() if self._spill.is_nested(f"user {name}")
            ]
            yield with_json(batch, [*nested, "messages_json"])

    def _texts(
        self, chunk: Mapping[str, Cells], rows: int
    ) -> tuple[dict[str, pa.Array], list[str | None]]:
        """Return the columns that are made of the text's, and why rows cannot serve."""
        cells = [self._cells(chunk, path, rows) for path in (self._form.text, *self._form.prompt)]
        found: dict[str, list[str | None]] = {name: [] for name in self._own}
        reasons: list[str | None] = []
        lines, flaws = chunk["line"].array.to_pylist(), chunk["bad"].array.to_pylist()
        for (value, *asked), bad, line in zip(zip(*cells, strict=True), flaws, lines, strict=True):
            made = made_of(self._form, value, asked, self._spec.roles)
            new = {"text": made.text, "prompt": made.prompt, "messages_json": made.messages}
            if bad is not None:
                new["text"] = line or made.text
            for name in self._own:
                found[name].append(new.get(name))
            reasons.append(bad if bad is not None else made.reason)
        return {name: pa.array(column, pa.string()) for name, column in found.items()}, reasons

    def _cells(self, chunk: Mapping[str, Cells], path: str, rows: int) -> list[Any]:
        """Return the cells of a column, or of what a path leads to in it."""
        found = column_of(path, self._columns) if path else None
        cells = chunk.get(f"user {found[0]}") if found else None
        if found is None or cells is None:
            return [None] * rows
        values = cells.values()
        if found[1]:
            return [within(value, found[1]) for value in values]
        if self._spill.kinds[f"user {found[0]}"].names == {"other"}:
            return [None if value is None else Other(str(value)) for value in values]
        return values

    def _origins(
        self, chunk: Mapping[str, Cells], reasons: list[str | None], rows: int
    ) -> list[int]:
        """Return the number of each row's origin; a cell that names none rejects its row."""
        text = (column_of(self._form.text, self._columns) or ("",))[0]
        own = [self._cells(chunk, path, rows) for path in self._generators]
        also = [self._cells(chunk, path, rows) for path in self._beside]
        cells = [
            [self._named(who) for who in zip(*own, strict=True)] if own else [None] * rows,
            *(self._cells(chunk, n if n != text else "", rows) for n in ("version", "license")),
            [list(who) for who in zip(*also, strict=True)] if also else [None] * rows,
        ]
        numbers = []
        for row, said in enumerate(zip(*cells, strict=True)):
            key = tuple(as_text(each) if isinstance(each, list | dict) else each for each in said)
            key = (*key, *map(type, said))
            known = self._known.get(key)
            if known is None:
                known = self._met(*said, row=row, reasons=reasons)
                if len(self._known) < _KEPT and reasons[row] is None:
                    self._known[key] = known
            number, sources = known
            numbers.append(number)
            for source in sources if reasons[row] is None else ():
                self._counts[source.title] = self._counts.get(source.title, 0) + 1
        return numbers

    def _named(self, cells: Sequence[Any]) -> Any:
        """Return the first cell that names a generator; else the first."""
        return next((cell for cell in cells if texts_of(cell) != []), cells[0])

    def _licence(self, value: Any) -> str | None:
        """Return the licence of a cell; what lists the same licences in another order is the same.

        A row that says that it has none has none; one that says nothing has the recipe's.
        """
        if is_missing(value) or value in ([], ""):
            return self._spec.license
        told = texts_of(value)
        found = licence_of(told if told is not None and len(told) > 1 else value)
        if found is None:
            return None
        return self._licences.setdefault(frozenset(found.split(" AND ")), as_text(found))

    def _met(
        self,
        generator: Any,
        version: Any,
        license_: Any,
        also: Any,
        *,
        row: int,
        reasons: list[str | None],
    ) -> tuple[int, tuple[Source, ...]]:
        spec = self._spec
        names = texts_of(generator)
        version = None if version == [] else version
        is_named = version is None or (
            isinstance(version, str | int | float) and not isinstance(version, bool)
        )
        is_licence = texts_of(license_) is not None or (
            isinstance(license_, list | dict) and licence_of(license_) is not None
        )
        for column, value, is_fit, wanted in (
            (next(iter(self._generators), ""), generator, names is not None, "name of a model"),
            ("version", version, is_named, "version"),
            ("license", license_, is_licence, "licence"),
        ):
            if not is_fit and reasons[row] is None:
                reasons[row] = f"column {column!r} holds {kind_of(value)}, and no {wanted}"
        beside = [name for cell in also or () for name in texts_of(cell) or ()]
        every = dict.fromkeys(
            each for name in [*(names or ()), *beside] for each in spec.named_in(bare_name(name))
        )
        told = [name for name in every if not self._is_nothing(name)]
        release = "" if is_missing(version) or not is_named else as_text(version).strip()
        for name in told:
            self._tell_name(as_text(name))
        licence = self._licence(license_)
        release = "" if is_nothing(release) else release
        # In one order, whatever theirs is: who made a row with whom is one origin.
        sources = tuple(
            sorted(
                {spec.origin(as_text(name), release, licence) for name in told or [""]},
                key=Source.model_dump_json,
            )
        )
        if sources not in self._numbers:
            self._numbers[sources] = len(self._numbers)
            self._ctx.origins.append(tuple((Channel.CONTENT, source) for source in sources))
        return self._numbers[sources], sources

    def _tell_name(self, name: str) -> None:
        """Note how a name that the recipe says nothing of was led to a model, for the manifest."""
        known = name in self._spec.models or name == self._spec.human
        if known or name in self._names_told or len(self._names_told) >= _NAMES:
            return
        self._names_told[name] = str(resolve(name))
        self._ctx.measures["names"] = self._names_told

    def _is_nothing(self, name: str) -> bool:
        """Return whether a name says that there is none, and nobody in the recipe has it."""
        return name not in self._spec.models and name != self._spec.human and is_nothing(name)


_UNSEEN = str.maketrans({**dict.fromkeys("\u200b\u2060\ufeff\u00ad\u200e\u200f\0"), "\u2011": "-"})


def bare_name(name: str) -> str:
    """Return a name without what nobody sees in it: it would be another one, and not be known."""
    return name.translate(_UNSEEN).strip() or name
