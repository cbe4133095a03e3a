"""How two bills differ: lines side by side, and where verdicts part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.lineage.bills.bill import Line
    from mashbill.lineage.bills.definitions import Verdict


@dataclass(frozen=True)
class LinePair:
    """One source by one route, in either bill; None where it is not."""

    first: Line | None
    second: Line | None

    @property
    def either(self) -> Line:
        """The line, of whichever bill has it."""
        line = self.first or self.second
        assert line is not None  # noqa: S101 - a pair is made of at least one
        return line

    def as_json(self) -> dict[str, Any]:
        """Return the pair for a program."""
        return {
            "first": self.first.as_json() if self.first else None,
            "second": self.second.as_json() if self.second else None,
        }


def compare_bills(first: Iterable[Line], second: Iterable[Line]) -> list[LinePair]:
    """Return the lines that differ between two bills, in share or depth, or are in one only."""

    def keyed(lines: Iterable[Line]) -> dict[Any, Line]:
        return {(line.source, line.channels): line for line in lines}

    one, two = keyed(first), keyed(second)
    pairs = [LinePair(one.get(key), two.get(key)) for key in dict.fromkeys([*one, *two])]
    return [pair for pair in pairs if _facts(pair.first) != _facts(pair.second)]


def _facts(line: Line | None) -> Any:
    return line and (line.share, line.owed, line.depth)


def compare_verdicts(
    first: Sequence[tuple[Verdict, Verdict]], second: Sequence[tuple[Verdict, Verdict]]
) -> list[tuple[Verdict, Verdict]]:
    """Return pairs of verdicts, asked alike, whose conclusion, depth or sources differ."""
    pairs = []
    for ones, twos in zip(first, second, strict=True):
        for one, two in zip(ones, twos, strict=True):
            if (one.conclusion, one.depth, set(one.sources)) != (
                two.conclusion,
                two.depth,
                set(two.sources),
            ):
                pairs.append((one, two))
    return pairs
