"""Completions behind their prompts, as a model goes through them: which tokens are told, where."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Completions:
    """Sequences one behind the other."""

    sequences: list[torch.Tensor]
    """prompt and completion of each, int64; where prompts are shared, a prompt, and behind it each
    of its completions"""
    follows: list[bool]
    """of each sequence, whether it goes on from the last one before it that does not"""
    told: torch.Tensor
    """of each token of all completions, which token's state tells it, int64: the one before it, so
    that a completion's first is told by its prompt's last"""
    targets: torch.Tensor
    """tokens of all completions, int64"""
    owner: np.ndarray
    """of each of these, which completion it is of, int64"""

    @classmethod
    def of(cls, pairs: Sequence[tuple[list[int], list[int]]], *, shared: bool) -> Completions:
        """Put sequences together.

        Args:
            pairs: ids of each prompt, at least one, and of its completion.
            shared: whether a prompt stands once before those of its completions that come one
                after the other; else before each.
        """
        sequences: list[torch.Tensor] = []
        follows: list[bool] = []
        told: list[np.ndarray] = [np.empty(0, np.int64)]
        begin = 0
        for prompt, family in groupby(pairs, key=lambda pair: pair[0]):
            answers = [ids for _, ids in family]
            if shared and len(answers) > 1:
                sequences.append(torch.tensor(prompt))
                follows.append(False)
                last = begin + len(prompt) - 1
                begin += len(prompt)
                for ids in filter(None, answers):
                    sequences.append(torch.tensor(ids))
                    follows.append(True)
                    told.append(np.array([last, *range(begin, begin + len(ids) - 1)]))
                    begin += len(ids)
                continue
            for ids in answers:
                sequences.append(torch.tensor(prompt + ids))
                follows.append(False)
                told.append(np.arange(len(ids)) + begin + len(prompt) - 1)
                begin += len(prompt) + len(ids)
        return cls(
            sequences,
            follows,
            torch.from_numpy(np.concatenate(told)),
            torch.tensor([token for _, ids in pairs for token in ids], dtype=torch.long),
            np.repeat(np.arange(len(pairs)), [len(ids) for _, ids in pairs]),
        )

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(each) for each in self.sequences]
