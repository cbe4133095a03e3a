"""What ``verify`` does with groups of attempts: the best of each stay, and pass@k is measured.

Rows of one prompt may lie anywhere in the input, so it is gone through twice: once to score, with
what was found laid down on disk, where a run that was killed goes on; once to say what stays. In
memory is a part of the groups at a time, each as a whole.

Of rows with equal scores those whose ``_id`` is lower come first: it is a digest of the row, so
this is as good as a lot, and the same in whichever order rows come.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.attempts import Attempts
from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in
from mashbill.core.plain import counted
from mashbill.core.record import ID, user_columns
from mashbill.core.rowbytes import digests, row_bytes
from mashbill.files.rows.same import Same

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from mashbill.verifiers.scoring import Scored

_RANGE = 1 << 16  # rows whose groups are looked at together
_KINDS = 200  # kinds of groups that are listed of each level
_LEVELS = 50  # values by which pass rates are told apart
_ROW = np.dtype(
    [("high", ">u8"), ("low", ">u8"), ("score", "<f8"), ("level", "<i4"), ("rank", "<i4"),
     ("counts", "?"), ("verdict", "i1")]
)  # fmt: skip
_STAYS, _BEATEN, _LOT, _FEWER = range(4)


@dataclass(frozen=True)
class Choice:
    """What is chosen of each group, and what is measured of it."""

    columns: tuple[str, ...]
    """rows with equal values in these are one group; all rows are one if there are none"""
    threshold: float
    """scores below it are not chosen among"""
    passes: float
    """scores from this on pass, for pass@k"""
    best: int | None = None
    """how many of a group stay; all that are good enough if None"""
    fewer: Literal["keep", "reject"] = "keep"
    """what becomes of the rows of a group that has not so many"""
    level: str = ""
    """column by whose values pass rates are told apart; empty if they are not"""
    ks: tuple[int, ...] = ()
    """of pass@k; those that say most if there are none"""


@dataclass
class Told:
    """What came of all groups."""

    attempts: Attempts = field(default_factory=Attempts)
    levels: dict[str, Attempts] = field(default_factory=dict)
    """by the value of the column that tells levels"""
    sizes: Counter[int] = field(default_factory=Counter)
    """attempts -> groups that have so many"""
    stay: int = 0
    """rows that stay"""
    full: int = 0
    """groups of which as many stay as are wanted of each"""
    fewer: int = 0
    """groups that have fewer which are good enough, and one at least"""
    none: int = 0
    """groups that have none"""
    lots: int = 0
    """groups where rows that stay and rows that go have the same score"""


class Groups:
    """The groups of all rows, on disk: all rows are added in order, then settled."""

    def __init__(self, folder: Path, choice: Choice, rows: int, of: str) -> None:
        """Begin.

        Args:
            folder: scratch; what a run left there which was killed is removed.
            choice: what is chosen of each.
            rows: how many will be added.
            of: the input, for messages.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder, self._choice, self._of = folder, choice, of
        self._same = Same(folder / "same")
        self._rows = np.lib.format.open_memmap(
            folder / "rows.npy", "w+", dtype=_ROW, shape=(max(rows, 1),)
        )
        self._added = self._unscored = 0
        self._levels: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        """Remove the files."""
        self._same.__exit__()
        del self._rows
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, batch: pa.RecordBatch, found: Scored, kept: Collection[str]) -> None:
        """Take the next rows, with what was found of them.

        Args:
            batch: rows.
            found: what was found of them.
            kept: what came of rows that stay without a score.

        Raises:
            InputError: if a column is not there, or tells more levels than can be told apart.
        """
        keys, lacking = self.keys(batch)
        self._same.add(keys)
        rows = self._rows[self._added : self._added + batch.num_rows]
        ids = np.frombuffer(b"".join(_ids(batch)), ">u8").reshape(-1, 2)
        rows["high"], rows["low"] = ids[:, 0], ids[:, 1]
        rows["score"] = found.values
        rows["counts"] = [reason is None for reason in lacking]
        rows["level"] = self._level(batch)
        self._added += batch.num_rows
        self._unscored += sum(
            came in kept for came, reason in zip(found.came, lacking, strict=True) if not reason
        )

    def keys(self, batch: pa.RecordBatch) -> tuple[pa.Array, list[str | None]]:
        """Return which group each row is of, and the column without a value where it is of none."""
        names, level = self._choice.columns, self._choice.level
        for name in (*names, *((level,) if level else ())):
            if name not in batch.schema.names:
                msg = (
                    f"{self._of} has no column {name!r}; it has {', '.join(batch.schema.names)}; "
                    "correct the column name in the recipe"
                )
                raise InputError(msg)
        lacking: list[str | None] = [None] * batch.num_rows
        for name in reversed(names):
            for place in np.flatnonzero(missing_in(batch.column(name), blank=True)).tolist():
                lacking[place] = name
        if not names:
            return pa.array(["all"] * batch.num_rows, pa.string()), lacking
        keys = row_bytes({name: batch.column(name) for name in names})
        there = pa.array([reason is None for reason in lacking], pa.bool_())
        return pc.if_else(there, keys, pa.scalar(None, pa.large_string())), lacking

    def _level(self, batch: pa.RecordBatch) -> list[int]:
        name = self._choice.level
        if not name:
            return [0] * batch.num_rows
        found = []
        for value in batch.column(name).to_pylist():
            told = "not given" if value is None else f"{value!s:.80}"
            number = self._levels.setdefault(told, len(self._levels))
            if number >= _LEVELS:
                msg = (
                    f"{self._of}: column {name!r} has more than {_LEVELS} values ({told!r:.40} is "
                    "one more), and pass rates are told apart by each; name a column with fewer"
                )
                raise InputError(msg)
            found.append(number)
        return found

    def settle(self) -> Told:
        """Say of each row whether it stays, and return what came of all groups."""
        self._same.settle()
        told = Told(stay=self._unscored)
        names = list(self._levels)
        for start in range(0, self._added, _RANGE):
            places, ends = self._same.groups(start, min(start + _RANGE, self._added))
            if len(places):
                self._settle(places, ends, told, names)
        return told

    def _settle(self, places: np.ndarray, ends: np.ndarray, told: Told, names: list[str]) -> None:
        """Settle some groups.

        Args:
            places: of their rows, group by group.
            ends: rows before the end of each group.
            told: gets what came of them.
            names: of the levels.
        """
        choice, rows = self._choice, self._rows[places]
        group = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        order = np.lexsort((places, rows["low"], rows["high"], -rows["score"], group))
        places, rows = places[order], rows[order]
        value, counts = rows["score"], rows["counts"]
        begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        place = np.arange(len(rows)) - begins[group]
        # A rank counts those that score higher: rows of one score have one rank.
        new = np.ones(len(rows), bool)
        new[1:] = (value[1:] != value[:-1]) | (group[1:] != group[:-1])
        rows["rank"] = np.where(
            np.isnan(value), 0, place[np.flatnonzero(new)[new.cumsum() - 1]] + 1
        )
        good = value >= choice.threshold
        goods = np.add.reduceat(good.astype(np.int64), begins)
        rows["verdict"] = _STAYS
        if choice.best is not None:
            last = value[np.minimum(begins + choice.best, ends) - 1][group]
            rows["verdict"][good & (place >= choice.best)] = _BEATEN
            lot = good & (place >= choice.best) & (value == last)
            rows["verdict"][lot] = _LOT
            if choice.fewer == "reject":
                rows["verdict"][good & (goods < choice.best)[group]] = _FEWER
        self._rows[places] = rows
        heads = counts[begins]  # a row without a prompt is a group of its own, and counts for none
        self._tell(rows, group, begins, goods, heads, told, names)

    def _tell(
        self,
        rows: np.ndarray,
        group: np.ndarray,
        begins: np.ndarray,
        goods: np.ndarray,
        heads: np.ndarray,
        told: Told,
        names: list[str],
    ) -> None:
        best = self._choice.best
        value = rows["score"]
        stays = (value >= self._choice.threshold) & (rows["verdict"] == _STAYS) & rows["counts"]
        told.stay += int(stays.sum())
        if best is not None:
            told.full += int((heads & (goods >= best)).sum())
            told.fewer += int((heads & (goods < best) & (goods > 0)).sum())
            told.none += int((heads & (goods == 0)).sum())
            told.lots += len(np.unique(group[(rows["verdict"] == _LOT) & rows["counts"]]))
        sizes = np.diff(np.append(begins, len(rows)))
        scored = np.add.reduceat((~np.isnan(value)).astype(np.int64), begins)
        passed = np.add.reduceat((value >= self._choice.passes).astype(np.int64), begins)
        levels = np.minimum.reduceat(rows["level"], begins)
        kinds = np.stack([scored, passed, sizes - scored, levels], axis=1)[heads]
        for kind, count in zip(*np.unique(kinds, axis=0, return_counts=True), strict=True):
            own, won, other, level = kind.tolist()
            told.attempts.add(own, won, other, int(count))
            told.sizes[own + other] += int(count)
            if names:
                told.levels.setdefault(names[level], Attempts()).add(own, won, other, int(count))

    def ranks(self, start: int, stop: int) -> pa.Array:
        """Return the rank of each of these rows in its group; null without a score or a group."""
        rows = self._rows[start:stop]
        rank = np.asarray(rows["rank"], np.int64)
        return pa.array(rank, pa.int64(), mask=(rank == 0) | ~rows["counts"])

    def turned_down(self, start: int, stop: int) -> list[str | None]:
        """Return for each of these rows why it goes, as far as its group decides that."""
        best = self._choice.best
        stay = "stays" if best == 1 else "stay"
        rows = self._rows[start:stop]
        reasons: list[str | None] = []
        for verdict, score in zip(rows["verdict"].tolist(), rows["score"].tolist(), strict=True):
            if verdict == _BEATEN:
                reasons.append(f"score {score:.4f}, and {best} of its group scored more")
            elif verdict == _LOT:
                reasons.append(
                    f"score {score:.4f}, as another of its group has that stays: of equal scores "
                    f"the lower _id comes first, and {best or 0:,} of a group {stay}"
                )
            elif verdict == _FEWER:
                reasons.append(f"fewer than {best} of its group are good enough")
            else:
                reasons.append(None)
        return reasons


def group_ids(keys: pa.Array) -> pa.Array:
    """Return a short name for each group: 16 hexadecimal digits of a digest of its values."""
    names = [name.hex()[:16] for name in digests({"": keys})]
    lacking = np.asarray(keys.is_null())
    return pa.array(names, pa.string(), mask=lacking)


def measured(told: Told, choice: Choice) -> dict[str, Any]:
    """Return what came of all groups, for a manifest."""
    attempts = told.attempts.as_json(choice.ks)
    sizes = sorted(told.sizes)
    found: dict[str, Any] = {
        "attempts": attempts
        | {"passed_from": choice.passes, "smallest": sizes[0] if sizes else 0,
           "largest": sizes[-1] if sizes else 0}
    }  # fmt: skip
    if told.levels:
        levels = {name: own.as_json(choice.ks, _KINDS) for name, own in sorted(told.levels.items())}
        found["levels"] = {"column": choice.level, "attempts": levels}
    if choice.best is not None:
        found["best"] = {
            "of_each": choice.best, "full": told.full, "fewer": told.fewer, "none": told.none,
            "lots": told.lots,
        }  # fmt: skip
    return found


def remarks(told: Told, choice: Choice, of: str) -> Iterator[str]:
    """Yield what has to be said of the groups."""
    groups = sum(told.sizes.values())
    sizes = sorted(told.sizes)
    if choice.best is not None and told.fewer + told.none:
        yield _of_few(told, choice, groups)
    if choice.best is not None and sizes and sizes[-1] <= choice.best:
        yield (
            f"no group of {of} has more than {counted(choice.best, 'row')}, so nothing was chosen "
            "among them"
        )
    if len(sizes) > 1 and choice.columns:
        usual = told.sizes.most_common(1)[0][0]
        others = groups - told.sizes[usual]
        yield (
            f"{others:,} of {counted(groups, 'group')} {'has' if others == 1 else 'have'} other "
            f"than {counted(usual, 'attempt')} (from {sizes[0]} to {sizes[-1]}): rows that an "
            "earlier stage rejected are missing among them, and count for nothing in pass rates"
        )


def _of_few(told: Told, choice: Choice, groups: int) -> str:
    """Return what has to be said of the groups that have too few rows that are good enough."""
    short, rejects = told.fewer + told.none, choice.fewer == "reject"
    has, it = ("has", "it") if short == 1 else ("have", "they")
    few = f"{short:,} of {counted(groups, 'group')} {has}"
    if not told.fewer:
        return (
            f"{few} no row that is good enough: nothing of {'it' if short == 1 else 'them'} stays"
        )
    few += f" fewer than {counted(choice.best or 0, 'row')} that are good enough"
    if rejects:
        return f"{few}: {it} {'is' if short == 1 else 'are'} rejected whole"
    none = f", and {told.none:,} of them {'has' if told.none == 1 else 'have'} none"
    return f"{few}: what {it} {has} stays{none if told.none else ''}"


def _ids(batch: pa.RecordBatch) -> Sequence[bytes]:
    """Return the 16 bytes that each row is called by."""
    if ID in batch.schema.names:
        return [bytes(value) for value in batch.column(ID).to_pylist()]
    names = user_columns(batch.schema.names)
    return [full[:16] for full in digests({name: batch.column(name) for name in names})]
