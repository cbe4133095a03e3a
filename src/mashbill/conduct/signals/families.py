"""Families: accounts whose prompts are of the same templates, in about the same shares.

What recurs in an account's prompts is a vector: of each run of words the share of prompts that it
stands in, weighed by how many accounts it recurs in (1 / root of their number: a turn of phrase
that all have says little, and yet twenty thousand accounts of one queue are alike). Two accounts
are as alike as the angle between theirs is small. Vectors are hashed into :data:`WIDTH` places with
random signs, which keeps angles (feature hashing; Weinberger et al., ICML 2009).

Families grow around leaders, then around the middle of their members (spherical k-means; Dhillon
and Modha, Machine Learning 2001), and those whose middles are close are joined. Families before and
after that are both returned, the finer and the coarser: what accounts of one do is weighed in both.

That accounts are of one family says nothing about anybody: a popular tool, a paper's prompt and a
class's assignment make families of strangers. Families are where other signals are looked for.

All values are whole numbers, so that a sum is the same in whichever order a machine adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.conduct.signals.templates import Template

WIDTH = 256
ALIKE, NEAR, JOINED = 0.6, 0.65, 0.8
"""cosine to a leader, to the middle of a family, and of two middles, from which they belong
together"""
ROUNDS = 3
_SCALE = 2048
"""length of a vector: a product of two of them, and each part of its sum, is exact in float32"""
_AT_ONCE = 512


def families(templates: Mapping[bytes, Template], least: int = 2) -> list[list[bytes]]:
    """Return families of accounts, finer and coarser, each in the order of its accounts.

    Args:
        templates: of accounts that have one.
        least: accounts of a family.
    """
    accounts, vectors = _vectors(templates)
    if not accounts:
        return []
    family = _led(vectors)
    found: dict[tuple[bytes, ...], None] = {}
    for _ in range(ROUNDS):
        family = _settled(vectors, family)
        found |= dict.fromkeys(_members(accounts, family, least))
        family = _joined(vectors, family)
    found |= dict.fromkeys(_members(accounts, _settled(vectors, family), least))
    return [list(members) for members in sorted(found)]


def _vectors(templates: Mapping[bytes, Template]) -> tuple[list[bytes], np.ndarray]:
    """Return accounts that share runs and their vectors, float32, shape (accounts, WIDTH)."""
    accounts = sorted(name for name, one in templates.items() if len(one.runs))
    if not accounts:
        return [], np.zeros((0, WIDTH), np.float32)
    runs = np.concatenate([templates[name].runs for name in accounts])
    shares = np.concatenate([templates[name].shares for name in accounts]).astype(np.float64)
    of = np.repeat(np.arange(len(accounts)), [len(templates[name].runs) for name in accounts])
    _, place, counts = np.unique(runs, return_inverse=True, return_counts=True)
    weights = shares * np.where(counts > 1, 1 / np.sqrt(counts), 0.0)[place]
    mixed = runs.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    column = (mixed >> np.uint64(40)).astype(np.int64) % WIDTH
    signs = np.where(mixed >> np.uint64(39) & np.uint64(1), 1.0, -1.0)
    whole = np.bincount(of * WIDTH + column, weights * signs, len(accounts) * WIDTH)
    vectors = _scaled(whole.reshape(-1, WIDTH))
    kept = np.flatnonzero(vectors.any(axis=1))
    return [accounts[place] for place in kept.tolist()], vectors[kept]


def _scaled(vectors: np.ndarray) -> np.ndarray:
    """Return vectors at one length, their values whole numbers; empty ones stay empty."""
    lengths = np.sqrt((vectors * vectors).sum(axis=1))
    scaled = vectors * (_SCALE / np.where(lengths > 0, lengths, 1.0))[:, None]
    whole: np.ndarray = np.trunc(scaled).astype(np.float32)
    return whole


def _led(vectors: np.ndarray) -> np.ndarray:
    """Return of each vector the number of its leader: the nearest before it, or itself."""
    least = ALIKE * _SCALE * _SCALE
    family = np.empty(len(vectors), np.int64)
    leaders: list[int] = []
    for start in range(0, len(vectors), _AT_ONCE):
        part = vectors[start : start + _AT_ONCE]
        known, among = len(leaders), part @ part.T
        new: list[int] = []
        near = part @ vectors[leaders].T if known else np.full((len(part), 1), -1.0)
        nearest, likeness = near.argmax(axis=1), near.max(axis=1)
        for place in range(len(part)):
            best, leader = likeness[place], int(nearest[place])
            if new:
                last = int(among[place, new].argmax())
                if among[place, new[last]] > best:
                    best, leader = among[place, new[last]], known + last
            if best < least:
                leader = known + len(new)
                new.append(place)
            family[start + place] = leader
        leaders += [start + place for place in new]
    return family


@dataclass(frozen=True)
class _Middles:
    vectors: np.ndarray
    """float32, shape (families, WIDTH)"""
    sizes: np.ndarray
    numbers: np.ndarray
    """of the families, ascending"""


def _middles(vectors: np.ndarray, family: np.ndarray) -> _Middles:
    """Return the middles of families of two and more."""
    kept = family[family >= 0]
    counts = np.bincount(kept) if len(kept) else np.zeros(0, np.int64)
    numbers = np.flatnonzero(counts > 1)
    row = np.full(len(counts) + 1, -1)
    row[numbers] = np.arange(len(numbers))
    rows = np.where(family >= 0, row[family], -1)
    order = np.argsort(rows, kind="stable")[np.count_nonzero(rows < 0) :]
    starts = np.searchsorted(rows[order], np.arange(len(numbers)))
    whole = vectors[order].astype(np.float64)
    sums = np.add.reduceat(whole, starts) if len(numbers) else whole[:0]
    return _Middles(_scaled(sums), counts[numbers], numbers)


def _settled(vectors: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Return the family whose middle is nearest to each vector, -1 where none is near."""
    middles = _middles(vectors, family)
    if not len(middles.numbers):
        return np.full(len(vectors), -1)
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), _AT_ONCE):
        near = vectors[start : start + _AT_ONCE] @ middles.vectors.T
        nearest = middles.numbers[near.argmax(axis=1)]
        part = np.where(near.max(axis=1) >= NEAR * _SCALE * _SCALE, nearest, -1)
        found[start : start + len(part)] = part
    return found


def _joined(vectors: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Return families of which those are one whose middles are close: each joins a larger one."""
    middles = _middles(vectors, family)
    if not len(middles.numbers):
        return family
    to = np.arange(int(family.max()) + 1)
    larger: list[int] = []
    for place in np.argsort(-middles.sizes, kind="stable").tolist():
        if larger:
            near = middles.vectors[larger] @ middles.vectors[place]
            best = int(near.argmax())
            if near[best] >= JOINED * _SCALE * _SCALE:
                to[middles.numbers[place]] = middles.numbers[larger[best]]
                continue
        larger.append(place)
    return np.where(family >= 0, to[family], -1)


def _members(accounts: list[bytes], family: np.ndarray, least: int) -> list[tuple[bytes, ...]]:
    """Return the members of families that are large enough."""
    by_family: dict[int, list[bytes]] = {}
    for account, number in zip(accounts, family.tolist(), strict=True):
        if number >= 0:
            by_family.setdefault(number, []).append(account)
    return [tuple(members) for members in by_family.values() if len(members) >= least]
