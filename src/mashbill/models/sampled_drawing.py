"""Drawing the next tokens of many texts at once, each by a number of its own.

A number in [0, 1) is looked up in the sums of a row's probabilities, in the order of the tokens'
ids. Sums are made of blocks first, so that a vocabulary is read and not added up one by one, in
float64, so that what is rare is drawn as rarely as it should be.

Shapes: r rows, v vocabulary, b blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from mashbill.core.model import Decoding

_BLOCK = 256
_FIRST = 128
"""of the likeliest tokens, those that are looked at first for ``top_p``"""


def drawn(
    logits_rv: torch.Tensor,
    numbers_r: torch.Tensor,
    decoding: Decoding,
    classes: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the next token of each row, and its log-probability.

    The log-probability is of the whole distribution at the temperature (at 1 where the likeliest is
    taken), and of nothing that ``top_p`` or ``classes`` leave over: float32, by a log-sum that is
    added up in float64.

    Args:
        logits_rv: of a model; float32 ones are overwritten.
        numbers_r: float64, in [0, 1), on the processor; unused where the temperature is 0.
        decoding: temperature and top_p.
        classes: tokens that may come, the first ones of the vocabulary; all if absent.

    Returns:
        int64 and float32, both on the processor, shape (r,).

    Raises:
        InputError: if a row's logits are no distribution: its model left the numbers.
    """
    z_rv = logits_rv.float()
    if decoding.temperature and decoding.temperature != 1:
        z_rv = z_rv.div_(decoding.temperature)
    peaks = z_rv.amax(1, keepdim=True)
    of_tokens = z_rv if classes is None else z_rv[:, :classes]
    shares_rv = (z_rv - peaks).exp_()
    sums_rb = _of_blocks(shares_rv)
    log_z = peaks[:, 0].double() + sums_rb.sum(1).log()
    if not bool(torch.isfinite(log_z).all()):
        msg = (
            "the student gives logits that are no numbers, so nothing can be drawn: its training "
            "diverged; lower rate, or raise warmup"
        )
        raise InputError(msg)
    if not decoding.temperature:
        tokens = of_tokens.argmax(1)
    else:
        if classes is not None and classes < z_rv.shape[1]:
            shares_rv[:, classes:] = 0
            sums_rb = _of_blocks(shares_rv)
        if decoding.top_p < 1:
            shares_rv = _likeliest(shares_rv, decoding.top_p * sums_rb.sum(1))
            sums_rb = _of_blocks(shares_rv)
        tokens = _looked_up(shares_rv, sums_rb.cpu(), numbers_r)
    logprobs = z_rv.gather(1, tokens[:, None])[:, 0].double() - log_z
    return tokens.cpu(), logprobs.float().cpu()


def _of_blocks(shares_rv: torch.Tensor) -> torch.Tensor:
    """Return the sums of blocks, float64, shape (r, b); the last one may be shorter."""
    size = shares_rv.shape[1]
    whole = size // _BLOCK * _BLOCK
    sums = shares_rv[:, :whole].unflatten(1, (-1, _BLOCK)).sum(2, dtype=torch.double)
    if whole == size:
        return sums
    return torch.cat([sums, shares_rv[:, whole:].sum(1, keepdim=True, dtype=torch.double)], 1)


def _looked_up(
    shares_rv: torch.Tensor, sums_rb: torch.Tensor, numbers_r: torch.Tensor
) -> torch.Tensor:
    """Return the token in which a number of each row falls."""
    upto = sums_rb.cumsum(1)
    wanted = numbers_r * upto[:, -1]
    block = _place(upto, sums_rb, wanted)
    before = (upto - sums_rb).gather(1, block[:, None])[:, 0]
    size = shares_rv.shape[1]
    places = block[:, None] * _BLOCK + torch.arange(_BLOCK)
    own = shares_rv.gather(1, places.clamp(max=size - 1).to(shares_rv.device)).double().cpu()
    own = own.masked_fill(places >= size, 0)
    found = block * _BLOCK + _place(own.cumsum(1), own, wanted - before)
    return found.to(shares_rv.device)


def _place(upto: torch.Tensor, each: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the first place whose sum lies above what is wanted, and none that has nothing."""
    place = torch.searchsorted(upto, wanted[:, None], right=True)[:, 0]
    # What is rounded up to the whole sum falls into the last one that has something.
    last = each.shape[1] - 1 - (each > 0).flip(1).int().argmax(1)
    return torch.minimum(place, last)


def _likeliest(shares_rv: torch.Tensor, wanted_r: torch.Tensor) -> torch.Tensor:
    """Return shares with all set to 0 but the fewest likeliest that come to a sum.

    Of tokens that are as likely as the last of them, those of lower ids are taken.
    """
    size, many = shares_rv.shape[1], min(_FIRST, shares_rv.shape[1])
    while True:  # a vocabulary is sorted only where a few do not come to the sum
        top_rk = shares_rv.topk(many, 1).values
        upto = top_rk.double().cpu().cumsum(1)
        enough = upto >= wanted_r.cpu()[:, None]
        if many == size or bool(enough[:, -1].all()):
            break
        many = min(size, many * 16)
    kept = torch.where(enough[:, -1], enough.int().argmax(1) + 1, many).to(shares_rv.device)
    least = top_rk.gather(1, kept[:, None] - 1)
    above = shares_rv > least
    ties = shares_rv == least
    lacking = kept - above.sum(1)
    for row in (ties.sum(1) > lacking).nonzero()[:, 0].tolist():
        ties[row, ties[row].nonzero()[int(lacking[row]) :, 0]] = False
    return shares_rv.masked_fill_(~(above | ties), 0)
