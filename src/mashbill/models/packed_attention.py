"""Attention over sequences that stand one behind the other, each seeing itself alone.

A batch is one row of tokens; :func:`lengths` says how long each sequence in it is. Every product
but attention is then made of tokens that count, with no padding, and attention is made sequence by
sequence, so that nothing can leak: what another sequence holds is never an operand. Models of
transformers take it by name (``attn_implementation``), whatever their architecture, as far as they
ask for plain causal attention; what they ask for beyond that is refused here, and found when a
model is tried (:mod:`mashbill.models.causal_base`).

A sequence may follow another: several completions of a prompt then stand behind it, each sees the
prompt and itself, and the prompt is computed once. Such a family is attended to in one product
under a mask where it is short, and completion by completion where most of that product would be
masked.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "mashbill-packed"
_UNKNOWN = ("softcap", "s_aux", "position_bias")
_SHORT = 512
"""tokens of a family up to which one masked product is made of it"""


@dataclass(frozen=True)
class _Piece:
    """Tokens that are attended from at once."""

    begin: int
    end: int
    seen: tuple[tuple[int, int], ...]
    """where the tokens lie that they may see, those themselves last; of a whole family, itself"""
    members: tuple[int, ...] = ()
    """tokens of the prompt and of each completion, where it is a family"""


@dataclass
class _Row:
    """A row of tokens, and the masks that were made for it."""

    pieces: list[_Piece]
    masks: dict[Any, torch.Tensor | None] = field(default_factory=dict)

    def mask(self, piece: _Piece, window: int | None, device: torch.device) -> torch.Tensor | None:
        """Return which tokens a piece sees, bool, (its tokens, those); None if all before it."""
        held = sum(end - begin for begin, end in piece.seen)
        key = (piece.members, piece.end - piece.begin, held, window, device)
        if key not in self.masks:
            if piece.members:
                self.masks[key] = _seen_in_family(piece.members, window, device)
            else:
                self.masks[key] = _seen(piece.end - piece.begin, held, window, device)
        return self.masks[key]


_rows: list[_Row] = []
"""those that hold now, the last one; of the process, since a device goes back in other threads"""


@contextmanager
def lengths(of_each: Sequence[int], follows: Sequence[bool] = ()) -> Iterator[None]:
    """Say how long the sequences of the next batches are; it must hold while going back, too.

    Args:
        of_each: tokens of each sequence, in order.
        follows: of each, whether it goes on from the last one before it that does not; none does
            if empty.
    """
    _rows.append(_Row(_pieces(of_each, follows or [False] * len(of_each))))
    try:
        yield
    finally:
        _rows.pop()


def places(of_each: Sequence[int], follows: Sequence[bool] = ()) -> torch.Tensor:
    """Return the position of each token in what it sees, int64; arguments as of lengths."""
    found, prompt = [], 0
    for length, is_behind in zip(of_each, follows or [False] * len(of_each), strict=True):
        begin = prompt if is_behind else 0
        found.append(torch.arange(begin, begin + length))
        prompt = prompt if is_behind else length
    return torch.cat(found)


def _pieces(of_each: Sequence[int], follows: Sequence[bool]) -> list[_Piece]:
    ends = list(accumulate(of_each, initial=0))
    spans = list(pairwise(ends))
    found: list[_Piece] = []
    number = 0
    while number < len(spans):
        last = number + 1
        while last < len(spans) and follows[last]:
            last += 1
        prompt, whole = spans[number], (ends[number], ends[last])
        if last - number > 1 and whole[1] - whole[0] <= _SHORT:
            found.append(_Piece(*whole, (whole,), tuple(of_each[number:last])))
        else:
            found.append(_Piece(*prompt, (prompt,)))
            found += [_Piece(*own, (prompt, own)) for own in spans[number + 1 : last]]
        number = last
    return found


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
    row = _rows[-1] if _rows else _Row([_Piece(0, asked_tokens, ((0, asked_tokens),))])
    if asked_tokens != held_tokens:  # it goes on from what a cache holds: one sequence
        row = _Row([_Piece(0, asked_tokens, ((0, held_tokens),))])
    found = []
    for piece in row.pieces:
        query = query_bhtd[:, :, piece.begin : piece.end]
        key, value = _held(key_bgtd, piece.seen), _held(value_bgtd, piece.seen)
        near = row.mask(piece, window, query.device)
        found.append(
            functional.scaled_dot_product_attention(
                query, key, value, attn_mask=near,
                dropout_p=dropout, scale=scaling, is_causal=near is None,
            )
        )  # fmt: skip
    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


def _held(of_all: torch.Tensor, seen: Sequence[tuple[int, int]]) -> torch.Tensor:
    parts = [of_all[:, :, begin:end] for begin, end in seen]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _seen(asked: int, held: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Return which tokens each of the last ones sees, (asked, held); None if all before it."""
    if asked == held and (window is None or asked <= window):
        return None
    at = torch.arange(held, device=device)
    behind = at[held - asked :, None] - at[None, :]
    return (behind >= 0) & (behind < (window or held))


def _seen_in_family(
    members: Sequence[int], window: int | None, device: torch.device
) -> torch.Tensor:
    """Return which tokens of a prompt and its completions each of them sees, (tokens, tokens)."""
    at = places(members, [number > 0 for number in range(len(members))]).to(device)
    of = torch.repeat_interleave(
        torch.arange(len(members), device=device), torch.tensor(members, device=device)
    )
    behind = at[:, None] - at[None, :]
    near = (behind >= 0) & (behind < (window or sum(members)))
    return near & ((of[None, :] == 0) | (of[None, :] == of[:, None]))


AttentionInterface.register(NAME, _attend)
