"""I and L: accounts that do parts of one work, and never the same part twice.

Strangers who go through one public set repeat each other: what one has done another does, too. One
queue that is dealt out over accounts gives each item once. Of the items that members of a group did
and others did as well, the others being strangers, the set is public; then it is counted how often
two members meet in one item, against how often a member and a stranger do, both by the number of
pairs of their exchanges that could have met. Without strangers who do the same items nothing is
known about the set, and nothing is said.

Strangers are those who do a good part of their work in the same set (:data:`PART`), and the set
is public if they did a good part of the group's: who met the group by chance says nothing.

A group whose members do meet is a group that does the same work, such as a class or a benchmark
that everybody runs whole; that speaks against one queue.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

PART = 0.1
"""of a stranger's sampled items that the group did as well, and five at least"""
PUBLIC = 0.2
"""of the group's sampled items that strangers did as well"""
LIMIT = 2.5
"""log10: what it may add, since a set may be divided openly, by a teacher or a paper"""


def meetings(
    members: Sequence[AbstractSet[int]], strangers: Sequence[AbstractSet[int]]
) -> tuple[int, int, float, float]:
    """Return items met within and without, and the pairs of exchanges that could have met in each.

    Args:
        members: items of each member, of one coordinated sample.
        strangers: items of each account outside that did at least one of them.
    """
    counts = Counter(item for one in members for item in one)
    outside = Counter(item for one in strangers for item in one)
    within = sum(count * (count - 1) // 2 for count in counts.values())
    without = sum(count * outside[item] for item, count in counts.items())
    sizes = [len(one) for one in members]
    whole = sum(sizes)
    pairs = (whole * whole - sum(size * size for size in sizes)) / 2
    return within, without, pairs, float(whole * sum(len(one) for one in strangers))


def evidence(within: int, without: int, pairs: float, others: float) -> float:
    """Return log10 of the e-value of members not meeting, at most :data:`LIMIT`.

    Given how many meetings there were in all, each is within the group with the share of its pairs;
    the bet is that a queue deals each item once.
    """
    if not pairs or not others or not within + without:
        return 0.0
    own = pairs / (pairs + others)
    bet = own / 20
    found = within * math.log10(bet / own) + without * math.log10((1 - bet) / (1 - own))
    return max(-6.0, min(LIMIT, found))
