"""Why rows were rejected, grouped: reasons that differ in a number or a quotation are one kind.

Reasons quote rows and services, so they are foreign text: what is told of them is bounded, and
holds nothing that a terminal would act on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.record import REASON

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mashbill.core.artifact import Shard

TOLD = 2
"""reasons that a line tells"""
_LONGEST = 160  # characters of a reason that is told
_KINDS = 1000  # reasons that are told apart; those that come later are counted together
_READ = 2000  # characters of a reason that are looked at
_ANY = "…"
_OTHERS = ("other reasons",)

# A quotation as repr() and people write it, or a number; an apostrophe within a word begins none.
_PARTICULAR = re.compile(
    r"(?<!\w)'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?%?"
)
_OPEN = re.compile(r"(?<!\w)['\"].*", re.DOTALL)
"""a quotation that was cut, and so does not end"""
_PLACE = re.compile(rf"^((?:\S+ )?)(line|row|item|record|object) {_ANY} (?=\S)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def plain(text: str, longest: int = _LONGEST) -> str:
    """Return foreign text as one line of at most ``longest`` characters, without control codes."""
    line = " ".join(_CONTROL.sub(" ", text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}{_ANY}"


@dataclass(frozen=True)
class Counted:
    """A kind of reason, and the rows that were rejected with it."""

    rows: int
    reason: str

    def __str__(self) -> str:
        colon = ":" if self.reason[:1].isdigit() else ""
        return f"{self.rows:,}{colon} {self.reason}"


class Reasons:
    """Reasons by kind, counted as they come; memory does not grow with them."""

    def __init__(self, reasons: Iterable[str] = (), *, elided: bool = False) -> None:
        """Count some.

        Args:
            reasons: as rows have them.
            elided: tell no quotation, and no reason that one row alone has: what rows say is not
                to be read.
        """
        self._elided = elided
        self._kinds: dict[tuple[str, ...], tuple[int, list[str]]] = {}
        for reason in reasons:
            self.add(reason)

    def add(self, reason: str, rows: int = 1) -> None:
        """Count a reason.

        Args:
            reason: as the row has it.
            rows: how many have it.
        """
        reason = reason[:_READ]
        if self._elided:
            reason = unquoted(reason)
        kind = tuple(_PARTICULAR.split(reason))
        own = _PARTICULAR.findall(reason)
        if kind not in self._kinds and len(self._kinds) >= _KINDS:
            kind, own = _OTHERS, []
        count, before = self._kinds.get(kind, (0, own))
        # What all of a kind have in common is told; what is of one row is not.
        shared = [mine if mine == its else _ANY for mine, its in zip(own, before, strict=True)]
        self._kinds[kind] = (count + rows, shared)

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return sum(count for count, _ in self._kinds.values())

    def commonest(self, most: int | None = TOLD) -> list[Counted]:
        """Return the commonest kinds, the commonest first; all if ``most`` is None."""
        told = {
            kind: (count, shared)
            for kind, (count, shared) in self._kinds.items()
            if count > 1 or not self._elided or kind == _OTHERS
        }
        rest = self.rows - sum(count for count, _ in told.values())
        if rest:
            before, _ = told.get(_OTHERS, (0, []))
            told[_OTHERS] = (before + rest, [])
        found = [
            Counted(count, _of_several(plain("".join(_woven(kind, shared))), count))
            for kind, (count, shared) in told.items()
        ]
        return sorted(found, key=lambda each: (-each.rows, each.reason))[:most]

    def told(self, most: int = TOLD) -> str:
        """Say the commonest kinds in a line, and how many rows went for others; empty if none."""
        shown = [each for each in self.commonest(None) if each.reason != _OTHERS[0]][:most]
        left = self.rows - sum(each.rows for each in shown)
        more = [f"{'and ' if shown else ''}{left:,} for other reasons"] if left else []
        return "; ".join([*map(str, shown), *more])


def _of_several(reason: str, rows: int) -> str:
    """Return a reason that begins with the place of its row, as it is said of several rows."""
    return reason if rows == 1 else _PLACE.sub(r"\1\2s: ", reason)


def _woven(kind: tuple[str, ...], shared: list[str]) -> Iterable[str]:
    yield kind[0]
    for own, rest in zip(shared, kind[1:], strict=True):
        yield own
        yield rest


def unquoted(text: str) -> str:
    """Return a sentence without what it quotes."""
    return _OPEN.sub(_ANY, _PARTICULAR.sub(_hidden, text))


def _hidden(match: re.Match[str]) -> str:
    return match[0] if match[0][0] not in "'\"" else _ANY


def rejections(folder: Path, shards: Iterable[Shard], *, elided: bool = False) -> Reasons:
    """Return why the rows of an artifact were rejected, as its ``rejected-*.parquet`` have it.

    Args:
        folder: of the artifact.
        shards: its rejected ones.
        elided: tell nothing that rows say: see :class:`Reasons`.
    """
    reasons = Reasons(elided=elided)
    for shard in shards:
        if not (folder / shard.file).exists():
            continue  # a store that lost a file is told of by an audit
        with pq.ParquetFile(folder / shard.file) as file:
            for batch in file.iter_batches(columns=[REASON]):
                for each in pc.value_counts(batch.column(0)).to_pylist():
                    reasons.add(each["values"] or "no reason was given", each["counts"])
    return reasons
