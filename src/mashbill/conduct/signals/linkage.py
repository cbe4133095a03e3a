"""I: accounts that look like strangers and share what strangers do not share.

One card behind accounts on different networks; accounts opened within minutes of each other from
different networks, which do the same work. What is shared openly is no pretence: a family, a class
or an office on one network, accounts of one organisation. So a pair counts only if its networks
differ, and each value counts by how rare it is: among n accounts of which k have it, a stranger has
it with about k / n.

It is capped low: a card is lent, a friend is told of a service in the same minute. Others have to
say that the accounts act as one.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMIT = 2.0
MINUTES = 10
_BET = 0.3
_LENT = 0.02
"""share of honest pairs of one family that share a card from different networks"""


def apart(first: Sequence[bytes], second: Sequence[bytes]) -> bool:
    """Return whether two accounts have no network in common, and each has one."""
    return bool(first) and bool(second) and not set(first) & set(second)


def by_value(
    values: Mapping[bytes, bytes], networks: Mapping[bytes, Sequence[bytes]]
) -> list[tuple[bytes, bytes, bytes]]:
    """Return pairs of accounts that share a value from different networks: (one, other, value).

    Each account is paired with the first that has the value, so n accounts of one value are n - 1
    pairs and not n (n - 1) / 2.

    Args:
        values: of accounts, what each does most with.
        networks: of accounts.
    """
    first: dict[bytes, bytes] = {}
    found = []
    for account, value in sorted(values.items()):
        other = first.setdefault(value, account)
        if other != account and apart(networks.get(other, ()), networks.get(account, ())):
            found.append((other, account, value))
    return found


def bursts(
    opened: Mapping[bytes, int], networks: Mapping[bytes, Sequence[bytes]]
) -> list[tuple[bytes, bytes]]:
    """Return pairs of accounts opened within :data:`MINUTES`, one after the other, apart."""
    order = sorted((time, account) for account, time in opened.items())
    return [
        (one, other)
        for (first, one), (second, other) in itertools.pairwise(order)
        if second - first <= MINUTES * 60_000_000
        and apart(networks.get(one, ()), networks.get(other, ()))
    ]


def evidence(accounts: int, pairs: int, usual: float, chosen_from: int) -> float:
    """Return log10 of the e-value of so many pairs, at most :data:`LIMIT`.

    A group that was chosen for what it shares shares it. So the e-value is divided by the number of
    groups of its size that could have been chosen: what a few of many strangers share is little.

    Args:
        accounts: of the group.
        pairs: that share something.
        usual: probability that an account shares it with one before, among strangers.
        chosen_from: accounts among which the group was chosen by what it shares; of a group that
            was not, as many as it has.
    """
    own = max(_LENT, usual)
    if not pairs or own >= _BET:
        return 0.0
    found = pairs * math.log10(_BET / own)
    found += max(0, accounts - 1 - pairs) * math.log10((1 - _BET) / (1 - own))
    return max(0.0, min(LIMIT, found) - math.log10(max(1.0, chosen_from / accounts)))
