"""Which texts hold a part of known items, by runs of words; the known ones in an index in memory.

An item's **part** is a text, such as a question. It is told by its runs of so many words (of
letters, where most of it is of a script without spaces); one that is shorter by a single run of all
its words. How much of a part a text holds is the share of the part's runs that stand in it, whether
together or not, each weighed by 1 over the number of parts that have it. A run that stands in more
parts than a bound is common text (a stem such as *choose the right answer*, the end of each problem
of a series): it weighs nothing, and a part of nothing else is not looked for.

Texts are looked through by the thousand: each run's number is held against a table of bits, which
passes few that are not known, and those are looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mashbill.files.rows.tokens import Runs

_STEP = np.uint64(0xD6E8FEB86659FD93)
_SPREAD, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_BITS = 12  # of a table, at least
_ROOM = 8  # places of a table for each known run


@dataclass(frozen=True)
class Held:
    """What texts hold of parts, one line a pair."""

    texts: np.ndarray
    """which text, int64, shape (pairs,)"""
    parts: np.ndarray
    """which part, int64"""
    shares: np.ndarray
    """how much of the part, in (0, 1], float64"""


class _Lookup:
    """The runs of one length, by their numbers."""

    def __init__(self, numbers: np.ndarray, parts: np.ndarray, common: int) -> None:
        """Build from the runs of parts; one may stand in a part several times.

        Args:
            numbers: of runs, shape (runs,).
            parts: the part of each.
            common: parts that a run may stand in.
        """
        order = np.lexsort((parts, numbers))
        numbers, parts = numbers[order], parts[order]
        new = np.ones(len(numbers), bool)
        new[1:] = (numbers[1:] != numbers[:-1]) | (parts[1:] != parts[:-1])
        numbers, parts = numbers[new], parts[new]
        known, begins, counts = np.unique(numbers, return_index=True, return_counts=True)
        self.weights = np.where(counts <= common, 1 / counts, 0)
        self.total = np.repeat(self.weights, counts)
        self.of = parts
        keep = counts <= common
        self.known, self._begins, self._counts = known[keep], begins[keep], counts[keep]
        self._weights = self.weights[keep]
        bits = max(_BITS, (len(self.known) * _ROOM).bit_length())
        self._mask = np.uint64((1 << bits) - 1)
        self._table = np.zeros(1 << bits, bool)
        self._table[self._place(self.known)] = True
        # By other bits, for the few that pass: looking one up costs more than both tables.
        self._again = np.zeros(1 << bits, bool)
        self._again[self._place(self.known * _SPREAD >> _HALF)] = True

    def _place(self, numbers: np.ndarray) -> np.ndarray:
        # Each token's number is mixed, so that the low bits of a run's are as good as others.
        return (numbers & self._mask).view(np.int64)

    def found(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where known runs stand among these, and which they are."""
        maybe = np.flatnonzero(self._table[self._place(numbers)])
        maybe = maybe[self._again[self._place(numbers[maybe] * _SPREAD >> _HALF)]]
        if not len(maybe) or not len(self.known):
            return maybe[:0], maybe[:0]
        at = np.searchsorted(self.known, numbers[maybe])
        at[at == len(self.known)] = 0
        same = self.known[at] == numbers[maybe]
        return maybe[same], at[same]

    def parts(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the parts of known runs: (which of these runs, part, weight), one a pair."""
        counts = self._counts[runs]
        which = np.repeat(np.arange(len(runs)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.of[self._begins[runs][which] + within], self._weights[runs][which]


class Parts:
    """The index: parts by their runs."""

    def __init__(self, tokens: Runs, lengths: np.ndarray, common: int) -> None:
        """Build it.

        Args:
            tokens: of each part.
            lengths: words of each part's runs; 0 for one that is not looked for.
            common: parts that a run may stand in, and still tell something.
        """
        self.totals = np.zeros(len(lengths))
        """weight of all runs of each part; 0 for one that is not looked for, or all common"""
        self._lookups: dict[int, _Lookup] = {}
        counts, starts = tokens.counts, tokens.starts
        for length in np.unique(lengths[lengths > 0]).tolist():
            own = np.flatnonzero((lengths == length) & (counts >= length))
            each = counts[own] - length + 1
            part = np.repeat(own, each)
            within = np.arange(len(part)) - np.repeat(np.cumsum(each) - each, each)
            numbers = run_numbers(tokens.numbers, length)[starts[part] + within]
            lookup = _Lookup(numbers, part, common)
            np.add.at(self.totals, lookup.of, lookup.total)
            self._lookups[length] = lookup

    def held_by(self, tokens: Runs) -> Held:
        """Return what texts hold of parts.

        Args:
            tokens: of each text.
        """
        texts, parts, weights = [], [], []
        made, last = tokens.numbers, 1
        ends = tokens.ends
        for length, lookup in sorted(self._lookups.items()):
            made = _longer(made, tokens.numbers, last, length)
            last = length
            at, runs = lookup.found(made)
            text = np.searchsorted(ends, at, side="right")
            inside = at + length <= ends[text]
            text, runs = text[inside], runs[inside]
            if not len(runs):
                continue
            # A run that stands twice in a text counts once.
            pairs = np.unique(text * len(lookup.known) + runs)
            which, part, weight = lookup.parts(pairs % len(lookup.known))
            texts.append((pairs // len(lookup.known))[which])
            parts.append(part)
            weights.append(weight)
        if not texts:
            none = np.empty(0, np.int64)
            return Held(none, none, np.empty(0))
        both = np.concatenate(texts) * len(self.totals) + np.concatenate(parts)
        pairs, inverse = np.unique(both, return_inverse=True)
        found = np.bincount(inverse, np.concatenate(weights), len(pairs))
        part = pairs % len(self.totals)
        return Held(pairs // len(self.totals), part, np.minimum(found / self.totals[part], 1))


def run_numbers(tokens: np.ndarray, length: int) -> np.ndarray:
    """Return the number of the run that begins at each token, as far as there is one."""
    return _longer(tokens, tokens, 1, length)


def _longer(made: np.ndarray, tokens: np.ndarray, last: int, length: int) -> np.ndarray:
    """Return runs of a length, made of runs of a smaller one."""
    for place in range(last, length):
        left = max(len(tokens) - place, 0)
        made = made[:left] * _STEP + tokens[place:]
    return made


def stands_in(run: np.ndarray, tokens: np.ndarray) -> bool:
    """Return whether tokens stand somewhere in others, one behind the other."""
    if not len(run) or len(run) > len(tokens):
        return False
    at = np.flatnonzero(tokens[: len(tokens) - len(run) + 1] == run[0])
    for place in range(1, len(run)):
        at = at[tokens[at + place] == run[place]]
    return bool(len(at))
