"""How likely tokens are to a causal language model of transformers, for choices and perplexity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.models.products import fast_linear

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOGITS = 1 << 27
"""logits computed together, at most: 512 MiB in float32"""
_ROWS = 256
"""positions whose logarithms are taken in float64 together"""


@dataclass(frozen=True)
class Weighed:
    """How likely a row is to a model."""

    nats: float
    """sum of minus the natural log-probability of each of its weighed tokens"""
    tokens: int
    """how many those are"""


@dataclass(frozen=True)
class _Piece:
    row: int
    ids: Sequence[int]
    weighed: np.ndarray
    """positions in ``ids`` whose tokens are weighed; none is the first"""


def weigh(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[bool]]], context: int, batch: int
) -> list[Weighed]:
    """Return how likely the weighed tokens of each row are, given all before them.

    The first token of a row follows from nothing and is not weighed. A row that is longer than
    the context is read in pieces of that length, each of which begins with the last token of the
    one before: every token is weighed once, and those after a cut from less than a context.

    Args:
        model: in evaluation mode.
        rows: token ids, and for each whether it is weighed.
        context: tokens that the model reads at once; 0 if there is no such bound.
        batch: pieces computed together, at most.
    """
    vocabulary = int(model.config.get_text_config().vocab_size)
    longest = max(2, min(context or _LOGITS, _LOGITS // vocabulary))
    nats, tokens = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    pieces = sorted(_pieces(rows, longest), key=lambda piece: len(piece.ids))
    together: list[_Piece] = []
    for place, piece in enumerate(pieces):
        together.append(piece)
        is_last = place + 1 == len(pieces)
        longer = 0 if is_last else len(pieces[place + 1].ids)
        is_full = is_last or len(together) == batch
        if is_full or (len(together) + 1) * longer * vocabulary > _LOGITS:
            for one, found in zip(together, _logprobs(model, together), strict=True):
                nats[one.row] -= found.sum()
                tokens[one.row] += len(found)
            together = []
    return [Weighed(float(n), int(t)) for n, t in zip(nats, tokens, strict=True)]


def _pieces(rows: Sequence[tuple[Sequence[int], Sequence[bool]]], longest: int) -> list[_Piece]:
    found = []
    for number, (ids, weighed) in enumerate(rows):
        for start in range(0, max(len(ids) - 1, 0), longest - 1):
            end = start + longest
            marks = np.asarray(weighed[start:end], bool)
            marks[0] = False
            if marks.any():
                found.append(_Piece(number, ids[start:end], np.flatnonzero(marks)))
    return found


def _logprobs(model: Any, pieces: Sequence[_Piece]) -> list[np.ndarray]:
    """Return the natural log-probability of each weighed token, float64, one array a piece."""
    with torch.inference_mode(), fast_linear():
        return _found(model, pieces)


def _found(model: Any, pieces: Sequence[_Piece]) -> list[np.ndarray]:
    longest = max(len(piece.ids) for piece in pieces)
    ids = np.zeros((len(pieces), longest), np.int64)
    mask = np.zeros_like(ids)
    for row, piece in enumerate(pieces):
        ids[row, : len(piece.ids)] = piece.ids
        mask[row, : len(piece.ids)] = 1
    device = model.device
    logits_btv = model(
        input_ids=torch.from_numpy(ids).to(device),
        attention_mask=torch.from_numpy(mask).to(device),
        use_cache=False,
    ).logits
    found = []
    for row, piece in enumerate(pieces):
        parts = []
        for start in range(0, len(piece.weighed), _ROWS):
            at = torch.from_numpy(piece.weighed[start : start + _ROWS]).to(device)
            logits_nv = logits_btv[row, at - 1].double()
            taken_n = logits_nv.gather(1, torch.from_numpy(ids[row]).to(device)[at][:, None])[:, 0]
            parts.append((taken_n - logits_nv.logsumexp(dim=1)).cpu().numpy())
        found.append(np.concatenate(parts))
    return found
