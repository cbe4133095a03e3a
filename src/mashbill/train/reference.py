"""What the reference, the base that a student starts from, gives the answers of pairs.

It is the student itself, so that there is never a second model in memory: before the first step,
or with its adapters switched off. What was computed before the first step is kept in the stage's
scratch, once, bound to all that it follows from: the tokens of the pairs, how texts become tokens,
the base's bytes and how products are computed. What is bound to something else is made anew.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from mashbill.models.folder import template_of
from mashbill.train.answer_nats import Scored, logprobs_of
from mashbill.train.durable import keep, kept

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.base_model import BaseWeights
    from mashbill.models.causal_base import CausalBase
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.train.batches import Batches
    from mashbill.train.preference_pairs import Pairs


class Comparing:
    """The answers of pairs that are scored: both sides, and for KTO another prompt's."""

    def __init__(self, data: Pairs, *, mismatches: int = 0) -> None:
        """Take the pairs.

        Args:
            data: the pairs.
            mismatches: tokens that a prompt with another's answer may have; 0 if none is needed.
        """
        self.data = data
        self.partner = (
            data.mismatched(mismatches) if mismatches else np.full(len(data), -1, np.int64)
        )
        """of each pair, the side whose answer is held against its prompt; -1 for none"""

    def sides(self, numbers: list[int]) -> list[Scored]:
        """Return both sides of pairs: chosen, rejected, chosen, rejected, ..."""
        sides = self.data.sides
        return [Scored(sides.ids(n), sides.learned(n))
                for number in numbers for n in (2 * number, 2 * number + 1)]  # fmt: skip

    def mismatched(self, numbers: list[int]) -> tuple[list[int], list[Scored]]:
        """Return the pairs that have an answer to another prompt, and these answers."""
        have = [number for number in numbers if self.partner[number] >= 0]
        made = [self.data.with_answer_of(n, int(self.partner[n])) for n in have]
        return have, [Scored(*each) for each in made]


class Reference:
    """What the base gives, of pairs that are asked for."""

    def __init__(
        self, student: CausalBase, comparing: Comparing, dtype: str, cached: np.ndarray | None
    ) -> None:
        """Take what was computed before the first step, or ask the student without its adapters.

        Args:
            student: that is trained.
            comparing: the pairs.
            dtype: what products are computed in.
            cached: log-probabilities of chosen, rejected and mismatched, shape (pairs, 3); None
                for a student with adapters.
        """
        self._student, self._comparing, self._dtype = student, comparing, dtype
        self._cached = cached

    def sides(self, numbers: list[int]) -> torch.Tensor:
        """Return log-probabilities of both sides, float64, shape (2, pairs)."""
        if self._cached is not None:
            return torch.from_numpy(self._cached[numbers, :2].T.copy())
        found = self._now(self._comparing.sides(numbers))
        return found.reshape(-1, 2).T

    def mismatched(self, numbers: list[int]) -> torch.Tensor:
        """Return those of answers to other prompts, of pairs that have one, float64."""
        if self._cached is not None:
            return torch.from_numpy(self._cached[numbers, 2])
        return self._now(self._comparing.mismatched(numbers)[1])

    def _now(self, sequences: list[Scored]) -> torch.Tensor:
        with without_adapters(self._student):
            return logprobs_of(self._student, sequences, self._dtype).cpu()


def without_adapters(student: CausalBase) -> AbstractContextManager[object]:
    """Return the context in which a student is its base, if it has adapters."""
    switch = getattr(student.model, "disable_adapter", None)
    found: AbstractContextManager[object] = nullcontext() if switch is None else switch()
    return found


def cached(
    path: Path,
    student: CausalBase,
    comparing: Comparing,
    batches: Batches,
    bound: dict[str, str],
) -> np.ndarray:
    """Return log-probabilities of all pairs by a student that is still its base.

    Args:
        path: where they are kept.
        student: before its first step.
        comparing: the pairs.
        batches: says which are computed at once.
        bound: what they follow from, beside the pairs: see :func:`bound_to`.

    Returns:
        Of chosen, rejected and mismatched, 0 where there is none, float64, shape (pairs, 3).
    """
    data = comparing.data
    digest = hashlib.sha256(np.ascontiguousarray(data.tokens).tobytes())
    for each in (data.sides.ends, comparing.partner):
        digest.update(np.ascontiguousarray(each).tobytes())
    told = json.dumps(bound | {"pairs": digest.hexdigest()}, sort_keys=True)
    state = kept(path)
    found: np.ndarray
    if state is not None and state.get("bound") == told:
        found = state["logprobs"].numpy()
        return found
    made: torch.Tensor = torch.zeros(len(data), 3, dtype=torch.double)
    with without_adapters(student):
        for micro in batches.all_micro():
            sides = logprobs_of(student, comparing.sides(micro), bound["dtype"])
            made[micro, :2] = sides.cpu().reshape(-1, 2)
            have, others = comparing.mismatched(micro)
            if have:
                made[have, 2] = logprobs_of(student, others, bound["dtype"]).cpu()
    keep(path, {"bound": told, "logprobs": made})
    found = made.numpy()
    return found


def bound_to(base: BaseWeights, encoder: ConversationTokens, dtype: str) -> dict[str, str]:
    """Return what log-probabilities follow from beside the pairs.

    Args:
        base: the reference.
        encoder: its tokenizer and template.
        dtype: what products are computed in.
    """
    template = template_of(base.folder) or ""
    return {
        "base": base.digest,
        "reading": encoder.reading,
        "template": hashlib.sha256(template.encode()).hexdigest(),
        "dtype": dtype,
    }
