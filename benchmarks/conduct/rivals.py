"""What is done today, on the same log: limits, outliers, addresses, texts.

Each returns :class:`measured.Found`. They are given what their authors would give them: a quantile
of honest traffic that no operator knows, the true share of abusive accounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from measured import Found, Truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanned import Rows

DAY = 86_400_000_000
SMALLEST = 3
"""accounts at one address, from which linkage names them"""
PROMPTS = 50
"""prompts, from which a share of them is looked at"""


def key_limit(rows: Rows, truth: Sequence[Truth]) -> Found:
    """Name accounts whose requests of a day go over what 99.9% of chat's days of use have."""
    at = np.flatnonzero(rows.is_exchange)
    account, day = rows.account[at], rows.time[at] // DAY
    rank = _ranks(account.astype(np.int64) * (1 << 20) + (day - day.min()))
    last = rank == _sizes(account.astype(np.int64) * (1 << 20) + (day - day.min())) - 1
    chat = np.array([one.kind == "chat" for one in truth])[account]
    limit = (
        np.quantile(rank[last & chat] + 1, 0.999, method="higher")
        if (last & chat).any()
        else np.inf
    )
    return Found(_first(account, rows.time[at], rank + 1 > limit))


def _ranks(keys: np.ndarray) -> np.ndarray:
    """Return of each row how many before it have its key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[begins, len(ordered)])
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - np.repeat(begins, sizes)
    return ranks


def _sizes(keys: np.ndarray) -> np.ndarray:
    """Return of each row how many have its key."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse])


def _first(account: np.ndarray, time: np.ndarray, is_hit: np.ndarray) -> dict[int, int]:
    """Return when each account was first hit."""
    names, places = np.unique(account[is_hit], return_index=True)
    return dict(zip(names.tolist(), time[is_hit][places].tolist(), strict=True))


def forest(rows: Rows, truth: Sequence[Truth], looks: int = 6) -> Found:
    """Name outliers among accounts, looked for at some moments with all there is up to then.

    An isolation forest (Liu, Ting, Zhou, ICDM 2008; scikit-learn's) over features of each account;
    its contamination is the true share of abusive accounts.
    """
    from sklearn.ensemble import IsolationForest

    share = max(1e-4, sum(not one.honest for one in truth) / len(truth))
    begin, end = int(rows.time[0]), int(rows.time[-1])
    when: dict[int, int] = {}
    for moment in np.linspace(begin, end, looks + 1)[1:].astype(np.int64).tolist():
        names, features = _features(rows, int(np.searchsorted(rows.time, moment, "right")))
        told = IsolationForest(contamination=share, random_state=0, n_jobs=1).fit_predict(features)
        for name in names[told < 0].tolist():
            when.setdefault(name, moment)
    return Found(when)


def _features(rows: Rows, until: int) -> tuple[np.ndarray, np.ndarray]:
    """Return accounts and what each does, of the rows up to a place."""
    at = np.flatnonzero(rows.is_exchange[:until])
    at = at[np.argsort(rows.account[at], kind="stable")]
    account, time = rows.account[at], rows.time[at]
    names, begins, counts = np.unique(account, return_index=True, return_counts=True)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.add.reduceat(values.astype(np.float64), begins) / counts)

    gaps = np.log1p(np.diff(time, prepend=time[:1]).clip(0) / 1e6)
    gaps[begins] = 0.0
    tokens = [np.log1p(rows.numbers(name, 0)[at]) for name in ("tokens_in", "tokens_out")]
    days = _distinct(account, time // DAY, names)
    hours = (time // (DAY // 24)) % 24
    columns = [
        np.log1p(counts), days, np.log1p(counts / days), mean(gaps),
        np.sqrt(np.maximum(0, mean(gaps**2) - mean(gaps) ** 2)), mean(tokens[0]), mean(tokens[1]),
        mean(rows.is_limited[at]), mean(hours < 6),
        _distinct(account, rows.codes("item")[at], names) / counts,
        np.log1p(_distinct(account, rows.codes("address")[at], names)),
        np.log1p(_distinct(account, rows.codes("network")[at], names)),
        np.log1p(_distinct(account, rows.codes("agent")[at], names)),
    ]  # fmt: skip
    return names, np.column_stack(columns)


def _distinct(account: np.ndarray, values: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return how many different values each account has."""
    both = np.unique(account.astype(np.int64) * (1 << 32) + (values - values.min()))
    return np.bincount(np.searchsorted(names, both >> 32), minlength=len(names)).astype(np.float64)


def addresses(rows: Rows, which: str) -> Found:
    """Name accounts that are joined to two others or more by an address, or by its block.

    Args:
        rows: of the log.
        which: ``address`` or ``network``.
    """
    codes = rows.codes(which)
    keep = codes >= 0
    account, code, time = rows.account[keep], codes[keep], rows.time[keep]
    _, places = np.unique(account.astype(np.int64) * (1 << 32) + code, return_index=True)
    parents: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    holder: dict[int, int] = {}
    when: dict[int, int] = {}
    for place in np.sort(places).tolist():
        one, value, moment = int(account[place]), int(code[place]), int(time[place])
        other = holder.setdefault(value, one)
        left, right = _root(parents, members, one), _root(parents, members, other)
        if left == right:
            continue
        if len(members[left]) < len(members[right]):
            left, right = right, left
        parents[right] = left
        members[left] += members.pop(right)
        if len(members[left]) >= SMALLEST:
            for name in members[left]:
                when.setdefault(name, moment)
    groups = [tuple(sorted(one)) for one in members.values() if len(one) >= SMALLEST]
    return Found(when, groups)


def _root(parents: dict[int, int], members: dict[int, list[int]], one: int) -> int:
    if one not in parents:
        parents[one], members[one] = one, [one]
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


def one_prompt(rows: Rows, jailbreak: float, extraction: float) -> Found:
    """Name accounts of which one prompt passes a level of the model of texts."""
    hit = (rows.numbers("jailbreak", -99) >= jailbreak) | (
        rows.numbers("extraction", -99) >= extraction
    )
    return Found(_first(rows.account, rows.time, hit & rows.is_served))


def some_prompts(
    rows: Rows, jailbreak: float, extraction: float, share: float = 0.02, least: int = PROMPTS
) -> Found:
    """Name accounts of which a share of all prompts so far passes a level."""
    at = np.flatnonzero(rows.is_served)
    account, time = rows.account[at], rows.time[at]
    hit = (rows.numbers("jailbreak", -99)[at] >= jailbreak) | (
        rows.numbers("extraction", -99)[at] >= extraction
    )
    order = np.argsort(account, kind="stable")
    ordered = account[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[begins, len(ordered)])
    seen = np.arange(len(ordered)) - np.repeat(begins, sizes) + 1
    summed = np.cumsum(hit[order])
    summed = summed - np.repeat(summed[begins] - hit[order][begins], sizes)
    over = np.empty(len(at), bool)
    over[order] = (summed >= share * seen) & (seen >= least)
    return Found(_first(account, time, over))
