"""What a model learned from, and what each row weighs in its bill: tokens x epochs x loss weight.

A trainer sets three things, by dataset: ``ctx.seen``, how often each row was learned from;
``ctx.loss_weight``, by what its part of the loss was multiplied (1 where nothing is set); and, if
it counts them, ``ctx.tokens``, the tokens of a row that one pass learns from: those of the
assistant's turns, say, or those left of a long text. A row that is learned from in parts, some of
them oftener than others, has no one number of times: then ``ctx.seen_tokens`` is what was learned
of it in all, and stands for times x tokens. They are kept in ``learned.parquet`` beside the model,
so that an audit weighs the same again.

A model's members are only compared with each other. So the unit is one for all of its datasets:
tokens where the trainer counted them for each, and words everywhere else, as before. And only how
loss weights relate counts: where all rows that count have the same one it drops out, and the weight
is the tokens seen. Else each is taken as a share of the largest, in units of 2^-30 and rounded up,
so that what weighs anything is never left out, and sums are whole numbers on every machine.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.artifact import TOKEN_UNIT, LearnedFrom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COUNTED_UNIT = "tokens"
"""what is counted in where a trainer counted"""
_COLUMNS = ("input", "times")
_MORE = {"loss_weight": pa.float64(), "tokens": pa.int64(), "seen_tokens": pa.int64()}
_BITS = 30  # of a loss weight as a share of the largest
_DIGIT = 10  # bits that are multiplied at once: 2^53 tokens times them are an int64
_MOST_BITS = 52  # of a model's whole weight: shares are reckoned in float64


@dataclass(frozen=True)
class Learned:
    """How a model learned from the rows of one dataset."""

    times: np.ndarray
    """of each row, int64, shape (rows,)"""
    loss_weight: np.ndarray | None = None
    """of each row, float64, shape (rows,); None for 1"""
    tokens: np.ndarray | None = None
    """that one pass learns from, of each row, int64, shape (rows,); None where nobody counted"""
    seen_tokens: np.ndarray | None = None
    """learned from in all passes, of each row, int64, shape (rows,); None for times x tokens"""

    @property
    def product(self) -> np.ndarray | None:
        """Return tokens of each row, as often as each was learned from; None: nobody counted."""
        if self.tokens is None or self.seen_tokens is not None:
            return self.seen_tokens
        product: np.ndarray = self.times * self.tokens
        return product

    @property
    def counts(self) -> np.ndarray:
        """Whether a row counts: it was seen, and its loss was; bool, shape (rows,)."""
        seen: np.ndarray = self.times > 0
        return seen if self.loss_weight is None else seen & (self.loss_weight > 0)


@dataclass(frozen=True)
class RowSizes:
    """The rows of a dataset, as far as they are weighed."""

    words: np.ndarray
    """of each row, int64, shape (rows,)"""
    bills: np.ndarray
    """number of each row's node, shape (rows,)"""
    nodes: int
    """that the dataset has"""


@dataclass(frozen=True)
class Weighed:
    """What the datasets of a model weigh in it."""

    by_node: dict[str, np.ndarray]
    """dataset -> weight of each of its nodes, int64, shape (nodes,)"""
    learned_from: tuple[LearnedFrom, ...]
    unit: str

    @property
    def tokens(self) -> int:
        """Seen in all, each as often as it was."""
        return sum(each.seen for each in self.learned_from)


def set_by_trainer(
    names: Sequence[str],
    rows: Mapping[str, int],
    seen: Mapping[str, Any],
    loss_weight: Mapping[str, Any],
    tokens: Mapping[str, Any],
    seen_tokens: Mapping[str, Any],
) -> dict[str, Learned]:
    """Return what a trainer set in its context, by dataset, once it is checked.

    Args:
        names: the datasets that it says it learns from.
        rows: of each.
        seen: ``ctx.seen``.
        loss_weight: ``ctx.loss_weight``, a number or one a row.
        tokens: ``ctx.tokens``.
        seen_tokens: ``ctx.seen_tokens``.

    Raises:
        ValueError: saying what is wrong with which.
    """
    for what, given in (
        ("loss_weight", loss_weight),
        ("tokens", tokens),
        ("seen_tokens", seen_tokens),
        ("seen", seen),
    ):
        strange = sorted(given.keys() - set(names))
        if strange:
            msg = f"sets ctx.{what}[{strange[0]!r}], which its uses() does not learn from"
            raise ValueError(msg)
    lacking = [name for name in names if name not in seen]
    if lacking:
        msg = f"does not set ctx.seen[{lacking[0]!r}]: how often each row was learned from"
        raise ValueError(msg)
    uncounted = [name for name in names if name not in tokens]
    if tokens and uncounted:
        msg = (
            f"sets ctx.tokens of {min(tokens)!r} and not of {uncounted[0]!r}: tokens and "
            "words cannot be weighed against each other, so set it of all or of none"
        )
        raise ValueError(msg)
    if seen_tokens and not tokens:
        msg = (
            f"sets ctx.seen_tokens of {min(seen_tokens)!r} and no ctx.tokens, the tokens of a row "
            "that one pass learns from; set both"
        )
        raise ValueError(msg)
    found = {}
    for name in names:
        weight: np.ndarray | None = None
        if name in loss_weight:
            weight = np.asarray(loss_weight[name], np.float64)
            weight = np.full(rows[name], weight) if weight.ndim == 0 else weight
        found[name] = Learned(
            _whole(seen[name], f"ctx.seen[{name!r}]"),
            weight,
            _whole(tokens[name], f"ctx.tokens[{name!r}]") if tokens else None,
            _whole(seen_tokens[name], f"ctx.seen_tokens[{name!r}]")
            if name in seen_tokens
            else None,
        )
        if why := _wrong(found[name], rows[name]):
            msg = f"{name!r}: {why}"
            raise ValueError(msg)
    if not any(each.counts.any() for each in found.values()) and names:
        msg = "learned from no row: all of ctx.seen, or of ctx.loss_weight, is 0"
        raise ValueError(msg)
    return found


def learned_table(learned: Mapping[str, Learned]) -> pa.Table:
    """Return ``learned.parquet``: a row each of the datasets' rows, one behind the other.

    Columns that say nothing, where every weight is 1, nobody counted or no row was learned from in
    part, are left out.
    """
    whole = learned.values()
    columns: dict[str, Any] = {
        "input": pa.chunked_array(
            [pa.repeat(pa.scalar(name), len(each.times)) for name, each in learned.items()],
            pa.string(),
        ),
        "times": _one([each.times for each in whole], np.int64),
    }
    if any(each.loss_weight is not None and (each.loss_weight != 1).any() for each in whole):
        weights = [
            np.ones(len(each.times)) if each.loss_weight is None else each.loss_weight
            for each in whole
        ]
        columns["loss_weight"] = _one(weights, np.float64)
    if learned and all(each.tokens is not None for each in whole):
        columns["tokens"] = _one([each.tokens for each in whole], np.int64)
        products = _one([each.product for each in whole], np.int64)
        if not products.equals(pc.multiply(columns["times"], columns["tokens"])):
            columns["seen_tokens"] = products
    return pa.table(columns)


def read_learned(data: bytes) -> dict[str, Learned]:
    """Read ``learned.parquet``, by address of the dataset.

    Raises:
        ValueError: if it is not such a file.
    """
    table = pq.ParquetFile(io.BytesIO(data)).read()
    more = table.column_names[len(_COLUMNS) :]
    if (
        table.column_names[: len(_COLUMNS)] != list(_COLUMNS)
        or more != [name for name in _MORE if name in more]
        or ("seen_tokens" in more and "tokens" not in more)
        or any(table.column(name).null_count for name in table.column_names)
        or any(table.column(name).type != _MORE[name] for name in more)
    ):
        msg = f"has columns {table.column_names}"
        raise ValueError(msg)
    counts = [name for name in ("times", "tokens", "seen_tokens") if name in table.column_names]
    whole = {name: np.asarray(table.column(name), np.int64) for name in counts}
    if "loss_weight" in more:
        whole["loss_weight"] = np.asarray(table.column("loss_weight"), np.float64)
    names = table.column("input").combine_chunks()
    ends = pc.run_end_encode(names) if len(names) else None
    found: dict[str, Learned] = {}
    begin = 0
    for name, end in (
        zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True) if ends else ()
    ):
        if str(name) in found:
            msg = f"has rows of {name} in two places"
            raise ValueError(msg)
        found[str(name)] = Learned(**{key: values[begin:end] for key, values in whole.items()})
        if why := _wrong(found[str(name)], end - begin):
            raise ValueError(why)
        begin = end
    return found


def weigh(learned: Mapping[str, Learned], rows: Mapping[str, RowSizes]) -> Weighed:
    """Return what each node of the datasets weighs in a model, and each dataset in all."""
    is_counted = bool(learned) and all(each.tokens is not None for each in learned.values())
    units = {
        name: _units(each, rows[name], is_counted=is_counted) for name, each in learned.items()
    }
    seen = {name: _seen(each, units[name], is_counted=is_counted) for name, each in learned.items()}
    shares = _relative(learned, seen)
    sums: dict[str, list[int]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name, each in learned.items():
        own = rows[name]
        if shares is None:
            sums[name] = _added(seen[name], own).tolist()
        else:
            sums[name] = [0] * own.nodes
            for begin in range(0, _BITS + 1, _DIGIT):
                digits = (shares[name] >> begin) & ((1 << _DIGIT) - 1)
                part = _added(seen[name] * digits, own).tolist()
                sums[name] = [a + (b << begin) for a, b in zip(sums[name], part, strict=True)]
        weights = np.ones(1) if each.loss_weight is None else each.loss_weight[each.counts]
        facts[name] = {
            "rows": int(each.counts.sum()),
            "tokens": int(units[name].sum()),
            "seen": int(seen[name].sum()),
            "loss_weights": (float(weights.min(initial=np.inf)), float(weights.max(initial=0.0)))
            if len(weights)
            else (0.0, 0.0),
        }
    shift = 0
    if shares is not None:
        shift = max(0, sum(map(sum, sums.values())).bit_length() - _MOST_BITS)
    by_node = {
        name: np.array([-(-one >> shift) for one in each], np.int64) for name, each in sums.items()
    }
    learned_from = tuple(
        LearnedFrom(name=name, weight=int(by_node[name].sum()), **facts[name]) for name in learned
    )
    return Weighed(by_node, learned_from, COUNTED_UNIT if is_counted else TOKEN_UNIT)


def _units(each: Learned, rows: RowSizes, *, is_counted: bool) -> np.ndarray:
    """Return the tokens, or the words, of rows that count; 0 of others; int64, shape (rows,)."""
    sizes = each.tokens if is_counted and each.tokens is not None else rows.words
    return np.where(each.counts, sizes, 0).astype(np.int64)


def _seen(each: Learned, units: np.ndarray, *, is_counted: bool) -> np.ndarray:
    """Return what was learned from of each row, over all passes; int64, shape (rows,)."""
    product = each.product if is_counted else None
    return np.where(each.counts, units * each.times if product is None else product, 0)


def _added(values: np.ndarray, rows: RowSizes) -> np.ndarray:
    """Return the sum of each node's rows, int64, shape (nodes,): exact in any order."""
    total = np.zeros(rows.nodes, np.int64)
    np.add.at(total, rows.bills, values)
    return total


def _relative(
    learned: Mapping[str, Learned], seen: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """Return each row's loss weight as a share of the largest; None where they are all the same.

    Rows of which nothing was seen have none to compare with. Whole numbers from 1 to 2^30, and 0
    where the loss was not counted; int64, shape (rows,).
    """
    weights = {
        name: np.ones(len(each.times)) if each.loss_weight is None else each.loss_weight
        for name, each in learned.items()
    }
    counted = [weights[name][seen[name] > 0] for name in learned]
    largest = max((float(each.max()) for each in counted if len(each)), default=1.0)
    if all((each == largest).all() for each in counted):
        return None
    found = {}
    for name, each in weights.items():
        share = np.ceil(each / largest * (1 << _BITS))
        share = np.clip(share, 1, 1 << _BITS).astype(np.int64)
        found[name] = np.where(each > 0, share, 0)
    return found


def _one(parts: list[Any], kind: type) -> pa.Array:
    return pa.array(np.concatenate([np.empty(0, kind), *parts]).astype(kind, copy=False))


def _whole(values: Any, what: str) -> np.ndarray:
    """Return counts as int64."""
    given = np.asarray(values)
    if given.dtype.kind not in "iub" and not (np.mod(given.astype(np.float64), 1) == 0).all():
        msg = f"{what} counts, and holds what is no whole number"
        raise ValueError(msg)
    return given.astype(np.int64)


def _wrong(learned: Learned, rows: int) -> str:
    """Return what is wrong with what is said of a dataset's rows; empty if nothing is."""
    for what, values in vars(learned).items():
        if values is not None and values.shape != (rows,):
            return f"{what} has the shape {values.shape}, and there are {rows:,} rows"
    if len(learned.times) and learned.times.min() < 0:
        return "says that a row was learned from less than never"
    if learned.tokens is not None and len(learned.tokens) and learned.tokens.min() < 0:
        return "says that a row has less than no token"
    most = None if learned.tokens is None else learned.times * learned.tokens
    of_all = learned.seen_tokens
    if most is not None and of_all is not None and ((of_all < 0) | (of_all > most)).any():
        return (
            "says that more tokens of a row were learned from in all than its tokens as often as "
            "it was, or less than no token"
        )
    weight = learned.loss_weight
    if weight is not None and not (np.isfinite(weight) & (weight >= 0)).all():
        return (
            "says that a row's loss has a weight that is no number from 0; give the size of one "
            "that is pushed away from"
        )
    return ""
