"""How many rows of each input a mix takes: by weights, temperature and caps, to the row.

Row counts are those of the largest remainders, computed exactly, so that they sum up to the total.
Temperature T makes an input's share proportional to its size to the power 1/T: T = 1 is by size, a
higher one evens inputs out. That is how mT5 draws languages (Xue et al. 2021, arXiv 2010.11934,
section 3.2, with an exponent of 0.3, hence T = 3.3), and XLM before it (Lample and Conneau 2019,
arXiv 1901.07291, section 3.1).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Short = Literal["refuse", "others", "fewer"]


def shares_of(
    weights: Mapping[str, float], sizes: Mapping[str, int], temperature: float | None
) -> dict[str, Fraction]:
    """Return the share of each input.

    Args:
        weights: of each.
        sizes: rows of each.
        temperature: sizes count by their power of one over it; None if they do not count.

    Raises:
        InputError: if all that sizes give is nothing.
    """
    # Weights as they are written: 0.1 is a tenth.
    parts = {name: Fraction(repr(float(weight))) for name, weight in weights.items()}
    if temperature is not None:
        largest = max((sizes[name] for name in weights), default=0)
        for name in parts:
            # Over the largest, so that no power is beyond a float, and in digits that all machines
            # agree on.
            scaled = (sizes[name] / largest) ** (1 / temperature) if sizes[name] else 0.0
            parts[name] *= Fraction(f"{scaled:.12e}")
    whole = sum(parts.values())
    if not whole:
        msg = f"mix: its inputs {', '.join(weights)} have no rows; there is nothing to mix"
        raise InputError(msg)
    return {name: part / whole for name, part in parts.items()}


def counts_of(
    shares: Mapping[str, Fraction], caps: Mapping[str, int], total: int | None, short: Short
) -> dict[str, int]:
    """Return the rows that each input gives.

    Args:
        shares: of each, with sum 1.
        caps: rows that each can give at most.
        total: rows in all; None for as many as the caps allow at these shares.
        short: what becomes of rows that one cannot give: an error, the others give them, or there
            are fewer.

    Raises:
        InputError: saying which input is short of how many rows, and what to do.
    """
    if total is None:
        return _most(shares, caps)
    counts = largest_remainders(shares, total)
    lacking = {name: count - caps[name] for name, count in counts.items() if count > caps[name]}
    if not lacking:
        return counts
    if short == "refuse":
        told = "; ".join(f"{name} can give {caps[name]:,} of {counts[name]:,}" for name in lacking)
        msg = (
            f"mix: {total:,} rows at these shares are not there: {told}. Lower total, let rows "
            "be taken several times (most_times), or say what becomes of the rest: "
            "short = 'others' takes it from the others, 'fewer' leaves it out"
        )
        raise InputError(msg)
    if short == "fewer":
        return {name: min(count, caps[name]) for name, count in counts.items()}
    return _by_the_others(shares, caps, total)


def _most(shares: Mapping[str, Fraction], caps: Mapping[str, int]) -> dict[str, int]:
    """Return the most rows that caps allow at these shares."""
    # Shares by size are rounded to twelve digits, so that a whole number may be just missed.
    most = min(caps[name] / share for name, share in shares.items() if share)
    total = int(most * (1 + Fraction(1, 10**9)))
    while True:
        counts = largest_remainders(shares, total)
        if all(count <= caps[name] for name, count in counts.items()):
            return counts
        total -= 1


def _by_the_others(
    shares: Mapping[str, Fraction], caps: Mapping[str, int], total: int
) -> dict[str, int]:
    """Return counts where inputs that are short give all they can, and the others the rest."""
    full: dict[str, int] = {}
    while True:
        rest = {name: share for name, share in shares.items() if name not in full and share}
        left = total - sum(full.values())
        if not rest:
            if left > 0:
                msg = (
                    f"mix: {total:,} rows are wanted, and all inputs together can give "
                    f"{total - left:,}; lower total, or raise most_rows or most_times"
                )
                raise InputError(msg)
            return {name: full.get(name, 0) for name in shares}
        whole = sum(rest.values())
        counts = largest_remainders({name: share / whole for name, share in rest.items()}, left)
        short = {name: caps[name] for name, count in counts.items() if count > caps[name]}
        if not short:
            return {name: full.get(name, counts.get(name, 0)) for name in shares}
        full |= short


def largest_remainders(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Return whole numbers in these shares that sum up to a total (Hamilton's method).

    What remains goes to the largest remainders, and among equal ones to the first.
    """
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: int(part) for name, part in exact.items()}
    order = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in order[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def told_shares(
    counts: Mapping[str, int], sizes: Mapping[str, int], shares: Mapping[str, Fraction]
) -> dict[str, Any]:
    """Return what a manifest says of a mix, by input: rows, of how many, and its share."""
    total = sum(counts.values())
    return {
        name: {
            "rows": count,
            "of": sizes[name],
            "share": count / total if total else 0.0,
            "wanted_share": float(shares[name]),
        }
        for name, count in counts.items()
    }
