"""``mix``: several datasets as one, each so many times over, or at a share of so many rows.

By ``inputs`` a dataset is taken so many times; a row that a part of a repetition would keep is kept
by a hash of its content, so that the choice is the same in every run and does not depend on the
other rows.

By ``weights`` the mix has a share of each, to the row (:mod:`mashbill.stages.sharing`). No row is
taken twice unless ``most_times`` says so. Which rows are taken is decided by the same hash: those
with the lowest, and among copies of one row the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.missing import missing_in
from mashbill.core.record import FROM, ID, one_batch, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.stages.sharing import Short, counts_of, shares_of, told_shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.core.stage import StageContext

_ROWS = 65536  # whose identities are read at once
_NAMED = 12  # columns of a warning
_CHATS = ("messages_json", "messages", "conversations")
_OF_WEIGHTS = ("temperature", "total", "most_rows", "most_times", "short")


class MixSpec(StageSpec):
    """``kind = "mix"``."""

    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("inputs", "weights", "most_rows", "most_times")
    added: ClassVar[frozenset[str]] = frozenset({"weights", *_OF_WEIGHTS})

    kind: Literal["mix"] = "mix"
    inputs: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    """dataset -> times that its rows are taken; of a part of one, as many rows by a hash"""
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    """in place of inputs: dataset -> its share of the rows, beside those of the others"""
    temperature: float | None = Field(default=None, gt=0)
    """shares are of weight times rows to the power of one over this: 1 is by size, more evens out;
    not by size if not said"""
    total: int | None = Field(default=None, gt=0)
    """rows of the mix; as many as the shares and caps allow if not said"""
    most_rows: dict[str, Annotated[int, Field(ge=0)]] = Field(default={})
    """dataset -> rows that it gives at most"""
    most_times: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    """dataset -> times that its rows are taken at most; once if not said"""
    short: Short = "refuse"
    """what becomes of rows that a dataset cannot give: an error, others give them, or fewer rows"""
    columns: Literal["common", "all"] = "common"
    """columns that all inputs have, or those that any has, empty where an input lacks them; rows of
    conversations beside others need all"""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> MixSpec:
        if bool(self.inputs) == bool(self.weights):
            msg = (
                "name the datasets: inputs = { NAME = TIMES } takes each so many times, or "
                "weights = { NAME = WEIGHT } makes them shares; one of both"
            )
            raise ValueError(msg)
        fields = type(self).model_fields
        strange = [key for key in _OF_WEIGHTS if getattr(self, key) != fields[key].get_default()]
        if self.inputs and strange:
            msg = f"{', '.join(strange)} is for shares: write weights in place of inputs"
            raise ValueError(msg)
        for key in ("most_rows", "most_times"):
            for name in getattr(self, key):
                if name not in self.weights:
                    msg = f"{key}.{name} is none of weights{near(name, self.weights)}"
                    raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The datasets, in order."""
        return tuple(self.inputs or self.weights)

    def uses(self) -> tuple[Uses, ...]:
        """The rows of each."""
        return tuple(Uses(name, "rows", Channel.CONTENT) for name in self.names)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """The rows of each, times its repetitions; or as many as the shares give."""
        if self.inputs:
            return round(sum(inputs[name] * times for name, times in self.inputs.items()))
        try:
            return sum(self._counts({name: inputs[name] for name in self.names})[0].values())
        except InputError:  # these may be guesses; the run knows, and tells
            return self.total

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those that all inputs may have, or any."""
        del files
        if any(name not in inputs for name in self.names):
            return None
        every = list(dict.fromkeys(column for name in self.names for column in inputs[name]))
        if self.columns == "all":
            return every
        return [column for column in every if all(column in inputs[name] for name in self.names)]

    def doubts(self, columns: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """The columns that are left out, where those of all inputs are known."""
        if self.columns == "all" or any(name not in columns for name in self.names):
            return ()
        told = _left_out({name: columns[name] for name in self.names})
        return (told,) if told else ()

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the input at hand, repeated, with the columns of the mix."""
        schema = self._schema(ctx)
        taken: Taken | None = None
        if self.weights:
            ctx.overall |= ctx.once("measured", lambda: self._measured(ctx))
            for name, told in ctx.overall["taken"].items():
                if abs(told["share"] - told["wanted_share"]) > 1 / max(1, ctx.overall["rows"]):
                    ctx.warn(
                        f"{name} is {told['share']:.4f} of the mix and was to be "
                        f"{told['wanted_share']:.4f}, since an input could not give its share"
                    )
            taken = ctx.once(f"taken {ctx.current}", lambda: self._taken(ctx))
        start = 0
        for batch in records:
            drawn = _drawn(batch.column(ID), f"{ctx.seed}\n{ctx.current}")
            if taken is None:
                times = self.inputs[ctx.current]
                copies = np.full(batch.num_rows, int(times)) + (drawn < times % 1)
            else:
                copies = taken.copies(drawn, ctx.first + start)
            rows = np.repeat(np.arange(batch.num_rows), copies)
            columns = [
                batch.column(name)
                if name in batch.schema.names and batch.schema.field(name).type == kind
                else pa.nulls(batch.num_rows, kind)
                for name, kind in zip(schema.names, schema.types, strict=True)
            ]
            table = pa.table(columns, schema=schema).take(pa.array(rows))
            yield one_batch(table.append_column(FROM, pa.array(start + rows, pa.int64())))
            start += batch.num_rows

    def _counts(self, sizes: dict[str, int]) -> tuple[dict[str, int], Any]:
        """Return the rows that each gives, and the shares that they were to have.

        Raises:
            InputError: if one cannot give its share, and nothing says what then.
        """
        caps = {
            name: min(int(size * self.most_times.get(name, 1)), self.most_rows.get(name, 1 << 62))
            for name, size in sizes.items()
        }
        shares = shares_of(self.weights, sizes, self.temperature)
        return counts_of(shares, caps, self.total, self.short), shares

    def _measured(self, ctx: StageContext) -> dict[str, Any]:
        sizes = {name: ctx.input(name).num_rows for name in self.names}
        counts, shares = self._counts(sizes)
        return {"rows": sum(counts.values()), "taken": told_shares(counts, sizes, shares)}

    def _taken(self, ctx: StageContext) -> Taken:
        """Return which rows of the input at hand are taken; its identities are read once."""
        data = ctx.input(ctx.current)
        wanted = ctx.overall["taken"][ctx.current]["rows"]
        times, rest = divmod(wanted, data.num_rows) if data.num_rows else (0, 0)
        if not rest:
            return Taken(times, 0.0, -1)
        salt = f"{ctx.seed}\n{ctx.current}"
        drawn = np.concatenate([
            _drawn(rows.column(ID).combine_chunks(), salt)
            for _, rows in data.chunks(_ROWS, [ID])
        ])  # fmt: skip
        edge = float(np.partition(drawn, rest - 1)[rest - 1])
        same = np.flatnonzero(drawn == edge)
        return Taken(times, edge, int(same[rest - int((drawn < edge).sum()) - 1]))

    def _schema(self, ctx: StageContext) -> pa.Schema:
        """Return the columns of the mix.

        Raises:
            InputError: naming the columns whose types differ, or if there are none in common.
        """
        kinds: dict[str, dict[str, pa.DataType]] = {}
        held: dict[str, Sequence[str]] = {}
        for name in self.names:
            data = ctx.input(name)
            schema = pq.read_schema(data.path / data.manifest.shards[0].file)
            held[name] = user_columns(schema.names)
            for column in held[name]:
                kinds.setdefault(column, {})[name] = schema.field(column).type
        wanted = {
            column: self._types(column, types, ctx)
            for column, types in kinds.items()
            if self.columns == "all" or len(types) == len(self.names)
        }
        for column, found in wanted.items():
            if len(found) > 1:
                each = ", ".join(f"{kind} in {name}" for name, kind in kinds[column].items())
                msg = f"mix: column {column!r} is {each}; make them one type, or rename one"
                raise InputError(msg)
        if not wanted:
            each = "; ".join(
                f"{name}: {', '.join(c for c, types in kinds.items() if name in types)}"
                for name in self.names
            )
            msg = f"mix: its inputs have no column in common ({each}); set columns = 'all'"
            raise InputError(msg)
        if self.columns == "common" and (told := _left_out(held)):
            ctx.warn(told)
        return pa.schema([(column, *found) for column, found in wanted.items()])

    def _types(
        self, column: str, kinds: dict[str, pa.DataType], ctx: StageContext
    ) -> set[pa.DataType]:
        """Return the types of a column in the inputs; where it has no value it has no type."""
        found = set(kinds.values()) - {pa.null()}
        if len(found) > 1:
            found = {
                kind
                for name, kind in kinds.items()
                if not missing_in(ctx.input(name).column(column), blank=True).all()
            }
        return found or {next(iter(kinds.values()))}


def _left_out(columns: Mapping[str, Sequence[str]]) -> str:
    """Say which columns of some inputs others lack, so that they are left out; empty if none are.

    Args:
        columns: of each input.
    """
    lacking: dict[tuple[str, ...], list[str]] = {}
    for column in dict.fromkeys(one for names in columns.values() for one in names):
        without = tuple(name for name, names in columns.items() if column not in names)
        if without:
            lacking.setdefault(without, []).append(column)
    if not lacking:
        return ""
    told = "; ".join(
        f"{_listed(names)}, which {_listed(without)} {'lacks' if len(without) == 1 else 'lack'}"
        for without, names in lacking.items()
    )
    chats = [name for names in lacking.values() for name in names if name in _CHATS]
    also = f" (the conversations in {_listed(chats)} are lost without it)" if chats else ""
    return (
        f"columns that not all inputs have are left out of the mix: {told}; columns = 'all' keeps "
        f"them{also}, empty in the rows of inputs that lack them"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@dataclass(frozen=True)
class Taken:
    """Which rows of an input are taken: all so many times, and those once more that rank lowest."""

    times: int
    edge: float
    """rows that drew less are taken once more"""
    last: int
    """of those that drew just this, the last that is taken once more"""

    def copies(self, drawn: np.ndarray, first: int) -> np.ndarray:
        """Return how often each row is taken, shape (rows,).

        Args:
            drawn: what each row drew.
            first: position of the first of them in the input.
        """
        places = np.arange(first, first + len(drawn))
        more = (drawn < self.edge) | ((drawn == self.edge) & (places <= self.last))
        copies: np.ndarray = self.times + more.astype(np.int64)
        return copies


def _drawn(ids: pa.Array, salt: str) -> np.ndarray:
    """Return a number in [0, 1) for each row, by its content, shape (rows,).

    An ``_id`` is part of a SHA-256, but a mix of a mix would meet only those that the first kept:
    the bits are mixed with the salt (the finaliser of splitmix64, Steele et al., OOPSLA 2014).
    """
    halves = np.frombuffer(ids.buffers()[1], "<u8").reshape(-1, 2)
    bits = halves[ids.offset : ids.offset + len(ids), 0].astype(np.uint64)
    bits += np.uint64(int(digest_bytes(salt.encode())[:16], 16))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    numbers: np.ndarray = (bits ^ (bits >> np.uint64(31))) / 2**64
    return numbers
