"""Attention over sequences that stand one behind the other, each seeing itself alone.

A batch is one row of tokens; :func:`lengths` says how long each sequence in it is. Every product
but attention is then made of tokens that count, with no padding, and attention is made sequence by
sequence, so that nothing can leak: what another sequence holds is never an operand. Models of
transformers take it by name (``attn_implementation``), whatever their architecture, as far as they
ask for plain causal attention; what they ask for beyond that is refused here, and found when a
model is tried (:mod:`mashbill.models.causal_base`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "mashbill-packed"
_lengths: list[tuple[int, ...]] = []
"""those that hold now, the last one; of the process, since a device goes back in other threads"""
_UNKNOWN = ("softcap", "s_aux", "position_bias")


@contextmanager
def lengths(of_each: Sequence[int]) -> Iterator[None]:
    """Say how long the sequences of the next batches are; it must hold while going back, too.

    Args:
        of_each: tokens of each sequence, in order.
    """
    _lengths.append(tuple(of_each))
    try:
        yield
    finally:
        _lengths.pop()


def _attend(
    module: Any,
    query_bhtd: torch.Tensor,
    key_bgtd: torch.Tensor,
    value_bgtd: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention, shape (1, tokens, heads, width of a head)."""
    asked = [name for name in _UNKNOWN if kwargs.get(name) is not None]
    if asked or attention_mask is not None or not getattr(module, "is_causal", True):
        msg = f"attention that is not plainly causal: {', '.join(asked) or 'a mask'}"
        raise NotImplementedError(msg)
    groups = query_bhtd.shape[1] // key_bgtd.shape[1]
    if groups > 1:
        key_bgtd, value_bgtd = (
            each.repeat_interleave(groups, dim=1) for each in (key_bgtd, value_bgtd)
        )
    window = kwargs.get("sliding_window")
    asked_tokens, held_tokens = query_bhtd.shape[2], key_bgtd.shape[2]
    lengths_now = _lengths[-1] if _lengths else (asked_tokens,)
    if asked_tokens != held_tokens:  # it goes on from what a cache holds: one sequence
        lengths_now = (asked_tokens,)
    pieces, start = [], 0
    for length in lengths_now:
        query = query_bhtd[:, :, start : start + length]
        # A cache's tokens lie before those that are asked of.
        held = slice(start, start + length + held_tokens - asked_tokens)
        near = _seen(length, held.stop - held.start, window, query.device)
        pieces.append(
            functional.scaled_dot_product_attention(
                query, key_bgtd[:, :, held], value_bgtd[:, :, held], attn_mask=near,
                dropout_p=dropout, scale=scaling, is_causal=near is None,
            )
        )  # fmt: skip
        start += length
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None


def _seen(asked: int, held: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return which tokens each of the last ones sees, (asked, held); None if all before it."""
    if asked == held and (window is None or asked <= window):
        return None
    places = torch.arange(held, device=device)
    behind = places[held - asked :, None] - places[None, :]
    return (behind >= 0) & (behind < (window or held))


AttentionInterface.register(NAME, _attend)
