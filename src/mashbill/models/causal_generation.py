"""Writing with any causal language model of transformers: the questions of a batch together.

Prompts are padded on the left. A row's logits depend on its own tokens alone, so what stands beside
it may change their last bits, and a tie of two tokens that close with them, and nothing else.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessor

from mashbill.models.drawing import next_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.model import Decoding


@dataclass(frozen=True)
class Draft:
    """A text to be gone on from."""

    asked: list[int]
    """its token ids, one at least"""
    draw: np.random.Generator
    """draws for it, where the temperature is above 0"""


def written(
    model: Any, drafts: Sequence[Draft], ends: Sequence[int], most: int, decoding: Decoding
) -> list[tuple[list[int], str]]:
    """Return for each draft the token ids that go on from it, and why they end.

    The token that ends a text is the last of its ids. Of the model's own generation settings
    (penalties, temperatures) none is used: whoever asks says how it writes.

    Args:
        model: a causal language model of transformers, in a state that computes.
        drafts: the texts.
        ends: token ids that end a text; a text goes on to ``most`` where there are none.
        most: tokens to be written for each, at most.
        decoding: temperature and top_p.
    """
    longest = max(len(draft.asked) for draft in drafts)
    filler = ends[0] if ends else 0
    ids = np.full((len(drafts), longest), filler, np.int64)
    mask = np.zeros_like(ids)
    for row, draft in enumerate(drafts):  # padded on the left, where writing goes on
        ids[row, longest - len(draft.asked) :] = draft.asked
        mask[row, longest - len(draft.asked) :] = 1
    device = model.device
    with torch.inference_mode(), at_rest(model):
        made = model.generate(
            torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            max_new_tokens=most,
            do_sample=False,
            use_cache=True,
            eos_token_id=list(ends) or None,
            pad_token_id=filler,
            logits_processor=[_Drawing(drafts, decoding)] if decoding.temperature else None,
        )[:, longest:].tolist()
    return [_cut(one, ends) for one in made]


def _cut(made: list[int], ends: Sequence[int]) -> tuple[list[int], str]:
    """Return what was written and why it ends; behind the token that ends it there is padding."""
    places = [place for place, token in enumerate(made) if token in ends]
    return (made[: places[0] + 1], "stop") if places else (made, "length")


class _Drawing(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of each row, and leaves no other."""

    def __init__(self, drafts: Sequence[Draft], decoding: Decoding) -> None:
        self._drafts = drafts
        self._decoding = decoding

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        del input_ids
        logits = scores.float().cpu().numpy()
        drawn = [
            next_token(row, self._decoding, draft.draw)
            for row, draft in zip(logits, self._drafts, strict=True)
        ]
        only = torch.full_like(scores, -torch.inf)
        only[torch.arange(len(drawn)), torch.tensor(drawn)] = 0
        return only


@contextmanager
def at_rest(model: Any) -> Iterator[None]:
    """Have a model compute as it is used, by no settings of its own, and put it back afterwards."""
    # A model with an adapter hands its settings on to the one that it is laid upon.
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    before, was_training = plain.generation_config, model.training
    plain.generation_config = GenerationConfig()
    model.eval()
    try:
        yield
    finally:
        plain.generation_config = before
        model.train(was_training)
