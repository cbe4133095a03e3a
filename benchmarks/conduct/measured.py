"""What a detector's findings come to beside the truth, and with which uncertainty.

A detector is anything that names accounts at moments, and may say which accounts belong together
(:class:`Found`). All are measured by the same functions, ours and rivals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import beta

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NEVER = np.iinfo(np.int64).max
MOST_PAIRS = 40_000_000
"""pairs that are listed one by one"""


@dataclass(frozen=True)
class Truth:
    """Who an account is."""

    honest: bool
    kind: str
    """of honest traffic, or the campaign"""
    cluster: str | None = None
    """which accounts act as one, of a campaign; who belongs together openly, of honest ones"""


@dataclass
class Found:
    """What a detector says: accounts, when each was first named, and which belong together.

    Accounts are places in a list, moments microseconds.
    """

    when: dict[int, int] = field(default_factory=dict)
    groups: list[tuple[int, ...]] = field(default_factory=list)


def upper(number: int, of: int, level: float = 0.95) -> float:
    """Return the one-sided upper bound of a share (Clopper and Pearson, Biometrika 1934).

    Args:
        number: of hits.
        of: trials; with none nothing is known, and the bound is 1.
        level: of confidence.
    """
    if number >= of:
        return 1.0
    return float(beta.ppf(level, number + 1, of - number))


def by_kind(truth: Sequence[Truth], found: Iterable[int]) -> dict[str, tuple[int, int]]:
    """Return of each honest kind how many accounts were found, and of how many."""
    whole = Counter(one.kind for one in truth if one.honest)
    hit = Counter(truth[place].kind for place in set(found) if truth[place].honest)
    return {kind: (hit[kind], number) for kind, number in sorted(whole.items())}


def worst(kinds: Mapping[str, tuple[int, int]]) -> tuple[str, float]:
    """Return the honest kind of which the largest share was found, and that share."""
    return max(
        ((kind, number / of) for kind, (number, of) in kinds.items() if of),
        key=lambda each: (each[1], each[0]),
        default=("", 0.0),
    )


@dataclass(frozen=True)
class Served:
    """The exchanges that were answered: who asked, and when, in the order of time."""

    account: np.ndarray
    """places, int32"""
    time: np.ndarray
    """microseconds, int64"""


def campaigns(truth: Sequence[Truth], found: Found, served: Served) -> dict[str, dict[str, Any]]:
    """Return of each campaign what was found of it, and what it had been served before.

    ``before`` counts the exchanges of each account up to the moment at which that account was
    named. ``before_cluster`` counts those of each cluster up to the moment at which the first of
    its accounts was named, as does a service that looks at the whole from then on.
    """
    names = sorted({one.kind for one in truth if not one.honest})
    places = defaultdict(list)
    for place, one in enumerate(truth):
        if not one.honest:
            places[one.kind].append(place)
    moment = np.full(len(truth), NEVER, np.int64)
    for place, when in found.when.items():
        moment[place] = when
    first = _of_clusters(truth, moment)
    before = np.bincount(served.account[served.time < moment[served.account]], None, len(truth))
    begun = np.bincount(served.account[served.time < first[served.account]], None, len(truth))
    whole = np.bincount(served.account, None, len(truth))
    told = {}
    for name in names:
        own = places[name]
        volume = int(whole[own].sum())
        told[name] = {
            "accounts": len(own),
            "found": sum(place in found.when for place in own),
            "exchanges": volume,
            "before": int(before[own].sum()) / volume if volume else 0.0,
            "before_cluster": int(begun[own].sum()) / volume if volume else 0.0,
        }
    return told


def _of_clusters(truth: Sequence[Truth], moment: np.ndarray) -> np.ndarray:
    """Return of each account the moment at which its cluster was first named."""
    first = moment.copy()
    clusters = defaultdict(list)
    for place, one in enumerate(truth):
        if not one.honest and one.cluster is not None:
            clusters[one.cluster].append(place)
    for members in clusters.values():
        first[members] = moment[members].min()
    return first


@dataclass(frozen=True)
class Pairs:
    """Pairs of accounts that a detector joins, held against pairs of one true cluster."""

    joined: int
    true: int
    """pairs of one cluster of a campaign"""
    both: int

    @property
    def precision(self) -> float | None:
        """Return which part of the joined pairs is true; None if nothing is joined."""
        return self.both / self.joined if self.joined else None

    @property
    def recall(self) -> float | None:
        """Return which part of the true pairs is joined; None if there are none."""
        return self.both / self.true if self.true else None


def pairs(labels: Sequence[str | None], groups: Sequence[Sequence[int]]) -> Pairs:
    """Count pairs; one that several groups join counts once.

    Args:
        labels: of each account the cluster of a campaign that it is of; None of honest ones.
        groups: accounts that are said to act as one.

    Raises:
        ValueError: if groups overlap and have too many pairs to list.
    """
    true = sum(_choose(number) for name, number in Counter(labels).items() if name is not None)
    groups = [tuple(sorted(set(group))) for group in {tuple(sorted(set(one))) for one in groups}]
    if sum(map(len, groups)) == len({one for group in groups for one in group}):
        joined = sum(_choose(len(group)) for group in groups)
        both = sum(
            _choose(number)
            for group in groups
            for name, number in Counter(labels[one] for one in group).items()
            if name is not None
        )
        return Pairs(joined, true, both)
    if sum(_choose(len(group)) for group in groups) > MOST_PAIRS:
        msg = "groups overlap and have too many pairs to list"
        raise ValueError(msg)
    listed = []
    for group in groups:
        members = np.asarray(group, np.int64)
        one, other = np.triu_indices(len(members), 1)
        listed.append(members[one] * len(labels) + members[other])
    whole = np.unique(np.concatenate(listed)) if listed else np.empty(0, np.int64)
    numbers = {name: at for at, name in enumerate({*labels} - {None})}
    coded = np.array([-1 if name is None else numbers[name] for name in labels], np.int64)
    left, right = coded[whole // len(labels)], coded[whole % len(labels)]
    return Pairs(len(whole), true, int(((left == right) & (left >= 0)).sum()))


def of_campaign(
    truth: Sequence[Truth],
    groups: Sequence[Sequence[int]],
    name: str | None = None,
    *,
    by_kind: bool = False,
) -> Pairs:
    """Count the pairs of one campaign, or of all.

    Of one campaign, only its own accounts and clusters count: its precision says whether its
    clusters are told from each other, and not whether strangers are among them.

    Args:
        truth: of all accounts.
        groups: accounts that are said to act as one.
        name: of the campaign; all if None.
        by_kind: whether a campaign is one cluster, and not each of its operators.
    """
    labels = [
        None
        if one.honest or name not in (None, one.kind)
        else (one.kind if by_kind else one.cluster)
        for one in truth
    ]
    if name is None:
        return pairs(labels, groups)
    own = {place for place, one in enumerate(truth) if one.kind == name and not one.honest}
    return pairs(labels, [[one for one in group if one in own] for group in groups])


def _choose(number: int) -> int:
    return number * (number - 1) // 2


def shares_over(scores: np.ndarray, families: Sequence[str], level: float) -> dict[str, list[int]]:
    """Return of each family how many scores reach a level, and of how many; of all under ``""``."""
    over = scores >= level
    found: dict[str, list[int]] = {"": [int(over.sum()), len(over)]}
    for family in sorted(set(families)):
        own = np.array([one == family for one in families])
        found[family] = [int(over[own].sum()), int(own.sum())]
    return found


def summary(truth: Sequence[Truth], found: Found, served: Served) -> dict[str, Any]:
    """Return the measures by which all detectors are put side by side."""
    kinds = by_kind(truth, found.when)
    told = campaigns(truth, found, served)
    name, share = worst(kinds)
    honest = sum(of for _, of in kinds.values())
    flagged = sum(number for number, _ in kinds.values())
    simple = {key: one for key, one in told.items() if key != "adaptive"}
    return {
        "honest": {"found": flagged, "accounts": honest, "upper": upper(flagged, honest)},
        "worst": {"kind": name, "share": share},
        "kinds": {key: list(one) for key, one in kinds.items()},
        "campaigns": told,
        "found": _part(simple, "found", "accounts"),
        "before": _weighed(simple, "before"),
        "before_cluster": _weighed(simple, "before_cluster"),
        "adaptive": _part(
            {key: one for key, one in told.items() if key == "adaptive"}, "found", "accounts"
        ),
    }


def _part(told: Mapping[str, Mapping[str, Any]], which: str, of: str) -> float | None:
    whole = sum(one[of] for one in told.values())
    return sum(one[which] for one in told.values()) / whole if whole else None


def _weighed(told: Mapping[str, Mapping[str, Any]], which: str) -> float | None:
    """Return a share over all campaigns, by their exchanges."""
    whole = sum(one["exchanges"] for one in told.values())
    return sum(one[which] * one["exchanges"] for one in told.values()) / whole if whole else None
