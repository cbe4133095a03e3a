"""Completions behind their prompts, as a model goes through them: which tokens are told, where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Completions:
    """Sequences one behind the other."""

    sequences: list[torch.Tensor]
    """prompt and completion of each, int64"""
    told: torch.Tensor
    """of each token of all, whether the next one is a completion's, bool: the state behind a token
    tells the next, so a completion's first is told by its prompt's last"""
    targets: torch.Tensor
    """tokens of all completions, int64"""
    owner: np.ndarray
    """of each of these, which sequence it is of, int64"""

    @classmethod
    def of(cls, pairs: Sequence[tuple[list[int], list[int]]]) -> Completions:
        """Put sequences together.

        Args:
            pairs: ids of each prompt, at least one, and of its completion.
        """
        told = [np.arange(1, len(prompt) + len(ids) + 1) >= len(prompt) for prompt, ids in pairs]
        for each in told:
            each[-1] = False
        return cls(
            [torch.tensor(prompt + ids) for prompt, ids in pairs],
            torch.from_numpy(np.concatenate([np.empty(0, bool), *told])),
            torch.tensor([token for _, ids in pairs for token in ids], dtype=torch.long),
            np.repeat(np.arange(len(pairs)), [len(ids) for _, ids in pairs]),
        )

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [len(each) for each in self.sequences]
