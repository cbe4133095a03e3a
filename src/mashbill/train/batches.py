"""Which sequences a step learns from, in which micro-batches, and what each token weighs."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.train.examples import Examples
    from mashbill.train.learning_keys import LearningSpec


_FEW = 512
"""tokens by which something is tried"""


class Passes:
    """Passes over things that are counted from 0, each in an order that follows from the seed."""

    def __init__(self, size: int, seed: int) -> None:
        """Take how many there are, and the seed of the orders."""
        self._size, self._seed = size, seed
        self._order = lru_cache(maxsize=2)(self._order_of)

    def of(self, begin: int, end: int) -> np.ndarray:
        """Return those at some places of all passes, one pass behind the other, int64."""
        size = self._size
        pieces = []
        for number in range(begin // size, (end - 1) // size + 1):
            first = number * size
            pieces.append(self._order(number)[max(begin - first, 0) : end - first])
        return np.concatenate(pieces)

    def _order_of(self, number: int) -> np.ndarray:
        return np.random.default_rng([self._seed, number]).permutation(self._size)


def longest_first(numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return sequences from the longest to the shortest.

    Args:
        numbers: of the sequences.
        lengths: tokens of all sequences, by number.
    """
    return numbers[np.argsort(lengths[numbers], kind="stable")[::-1]]


def cut(numbers: np.ndarray, lengths: np.ndarray, most: int) -> list[list[int]]:
    """Return sequences in micro-batches of at most ``most`` tokens, in their order.

    Args:
        numbers: of the sequences.
        lengths: tokens of all sequences, by number.
        most: tokens; a longer sequence is a micro-batch of its own.
    """
    found: list[list[int]] = []
    held = 0
    for number in numbers.tolist():
        length = int(lengths[number])
        if not found or held + length > most:
            found.append([])
            held = 0
        found[-1].append(number)
        held += length
    return found


class Batches:
    """Passes over all sequences, each in an order of its own that follows from the seed."""

    def __init__(self, data: Examples, spec: LearningSpec, seed: int) -> None:
        """Count the steps.

        Args:
            data: the sequences.
            spec: batch, epochs or steps, micro_tokens, weights.
            seed: of the orders.
        """
        self._data = data
        self._spec = spec
        self._passes = Passes(len(data), seed)
        self._lengths = data.lengths
        self._weights = np.array([spec.weights.get(name, 1.0) for name in spec.inputs], np.float32)
        # Steps follow from sequences, and never the other way: a part of an epoch is rounded once.
        self._learned = (
            spec.steps * spec.batch if spec.steps else max(1, round(spec.epochs * len(data)))
        )
        self.steps = ceil(self._learned / spec.batch)
        """optimiser steps in all; each has a sequence at least"""

    def of(self, step: int) -> np.ndarray:
        """Return the sequences of a step; the last one of a run by epochs may have fewer."""
        begin = step * self._spec.batch
        return self._passes.of(begin, min(begin + self._spec.batch, self._learned))

    def micro(self, step: int, rank: int = 0, size: int = 1) -> list[list[int]]:
        """Return a step's sequences in micro-batches of at most ``micro_tokens`` tokens.

        Args:
            step: from 0.
            rank: which of the processes computes them: each has sequences of like lengths.
            size: how many processes there are.
        """
        numbers = self.of(step)
        if size > 1:
            numbers = longest_first(numbers, self._lengths)[rank::size]
        return self._cut(numbers)

    def few(self) -> list[int]:
        """Return sequences of the first step, so few that a try costs less than a step."""
        found: list[int] = []
        held = 0
        for number in self.of(0).tolist():
            found.append(number)
            held += int(self._lengths[number])
            if held >= _FEW:
                break
        return found

    def all_micro(self) -> Iterator[list[int]]:
        """Yield all sequences once, in micro-batches."""
        yield from self._cut(np.arange(len(self._data)))

    def _cut(self, numbers: np.ndarray) -> list[list[int]]:
        # Of like length together: what is not packed needs less padding, and sums stay as they are.
        ordered = longest_first(numbers, self._lengths)
        return cut(ordered, self._lengths, self._spec.micro_tokens)

    def next_weights(self, number: int) -> np.ndarray:
        """Return the weight of what each token of a sequence tells: the next one's, float32."""
        learned = self._data.learned(number)
        weights = np.zeros(len(learned), np.float32)
        weights[:-1] = learned[1:] * self._weights[self._data.dataset[number]]
        return weights

    def weight(self, step: int) -> float:
        """Return the sum of all weights of a step: what its loss is divided by."""
        found = sum(self.next_weights(n).sum(dtype=np.float64) for n in self.of(step))
        return max(float(found), 1e-9)

    def tokens(self, step: int) -> int:
        """Return the tokens that a step reads."""
        return int(self._lengths[self.of(step)].sum())

    def times(self) -> np.ndarray:
        """Return how often each sequence is learned from, over all steps, int64."""
        found = np.zeros(len(self._data), np.int64)
        for step in range(self.steps):
            np.add.at(found, self.of(step), 1)
        return found
