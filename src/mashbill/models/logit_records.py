"""A position's distribution over a vocabulary in a few bytes, and back.

``sampled`` keeps k classes whose shares have the probabilities as their expectation. Sparse Logit
Sampling (Anshumann et al., ACL 2025) draws N classes with replacement and keeps count / N, some 12
classes of N = 50. Here k classes are drawn without replacement, which is as unbiased and varies
least of all ways with k classes: those above a threshold t are kept with their own probability, and
of the others k minus so many are drawn, each with chance p / t, and kept with share t, where t is
such that shares add up to 1 (Cohen et al., "Efficient stream sampling for variance-optimal
estimation of subset sums", SIAM J. Comput. 2011). Three bytes a class: its id in as few bits as the
vocabulary needs, and in the rest what part it is of what the classes before it left, rounded at
random to either neighbour, so that rounding is unbiased too. One more byte is the distribution's
entropy, rounded likewise; with it a loss is told as a divergence. 12 classes are 37 bytes.

``top`` keeps the k likeliest classes, four bytes each: 20 bits of id and 12 of log-probability.
What they leave is known, as one bucket, and no more of it is.

Shapes: n positions, v vocabulary, k classes, b bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

Form = Literal["sampled", "top"]
_ID_BITS = 20  # a million classes
_WORD = 24  # bits of a sampled class
_LEAST_BITS = 4
_DEEPEST = 24.0  # nats: what is less likely than exp(-24) is kept as that
_LEVELS = 2**12 - 1
_ENTROPY = 255
_NOTHING = -1e4  # nats, of a class that is ruled out
_SPAN = 128  # classes whose probabilities are added up first, so that few sums are gone through


@dataclass(frozen=True)
class Kept:
    """What was kept of distributions."""

    ids_nk: torch.Tensor
    """int64"""
    values_nk: torch.Tensor
    """``sampled``: shares, of which those of 0 are no class; ``top``: log-probabilities; float32"""
    entropy_n: torch.Tensor | None
    """nats, of ``sampled``"""


@dataclass(frozen=True)
class Records:
    """How distributions are written."""

    form: Form
    classes: int
    vocabulary: int

    def __post_init__(self) -> None:
        """Refuse what cannot be written.

        Raises:
            ValueError: saying what can.
        """
        most = min(self.vocabulary, 255)
        if not 1 <= self.classes <= most:
            msg = f"{self.classes} classes of {self.vocabulary} cannot be kept; 1 to {most} can"
            raise ValueError(msg)
        if self.vocabulary > 2**_ID_BITS:
            msg = f"a vocabulary of {self.vocabulary:,} is larger than {2**_ID_BITS:,}"
            raise ValueError(msg)

    @property
    def bytes(self) -> int:
        """Bytes of a position."""
        return 3 * self.classes + 1 if self.form == "sampled" else 4 * self.classes

    @property
    def draws(self) -> int:
        """Numbers in [0, 1) that a position needs."""
        return self.classes + 2 if self.form == "sampled" else 0

    def write(self, logits_nv: torch.Tensor, draws_nk: torch.Tensor) -> torch.Tensor:
        """Return records, uint8, shape (n, b).

        Args:
            logits_nv: at the temperature that is kept.
            draws_nk: float64 in [0, 1), shape (n, ``draws``), which decide all that is random.
        """
        logp = torch.log_softmax(logits_nv.float(), 1)
        if self.form == "top":
            return self._write_top(logp)
        ids, shares = sampled(logp, self.classes, draws_nk[:, 0])
        entropy = -(logp.exp() * logp.clamp(min=_NOTHING)).sum(1)
        return self._write_sampled(ids, shares, entropy, draws_nk[:, 1:])

    def read(self, records_nb: torch.Tensor) -> Kept:
        """Return what records hold.

        Raises:
            ValueError: if they name a class beyond the vocabulary.
        """
        if self.form == "top":
            words = _words(records_nb.unflatten(1, (self.classes, 4)))
            ids = words & (2**_ID_BITS - 1)
            logprobs = (words >> _ID_BITS).float().mul_(-_DEEPEST / _LEVELS)
            kept = Kept(ids, logprobs, None)
        else:
            words = _words(records_nb[:, :-1].unflatten(1, (self.classes, 3)))
            ids = words & (2**self._id_bits - 1)
            shares = self._shares(words >> self._id_bits)
            entropy = records_nb[:, -1].float() * (math.log(self.vocabulary) / _ENTROPY)
            kept = Kept(ids, shares, entropy)
        if ids.numel() and int(ids.max()) >= self.vocabulary:
            msg = f"class {int(ids.max())} is kept, of a vocabulary of {self.vocabulary}"
            raise ValueError(msg)
        return kept

    @property
    def _id_bits(self) -> int:
        return min(max(1, (self.vocabulary - 1).bit_length()), _WORD - _LEAST_BITS)

    def _write_top(self, logp: torch.Tensor) -> torch.Tensor:
        top = logp.topk(self.classes, dim=1)
        codes = (top.values * (-_LEVELS / _DEEPEST)).round_().clamp_(0, _LEVELS).long()
        return _bytes(top.indices | (codes << _ID_BITS), 4)

    def _write_sampled(
        self,
        ids_nk: torch.Tensor,
        shares_nk: torch.Tensor,
        entropy_n: torch.Tensor,
        draws_nk: torch.Tensor,
    ) -> torch.Tensor:
        top = 2 ** (_WORD - self._id_bits) - 1
        codes = torch.zeros_like(ids_nk)
        left = shares_nk.flip(1).cumsum(1).flip(1)
        for place in range(self.classes - 1):
            most = 1 - 1 / (self.classes - place)
            over = 1 - shares_nk[:, place] / left[:, place].clamp(min=1e-300)
            x = (over.clamp(0, most) / most).sqrt() * top
            low = x.floor().clamp(max=top - 1)
            a, b = (low / top) ** 2 * most, ((low + 1) / top) ** 2 * most
            is_high = draws_nk[:, place] * (b - a) < over - a
            # Drawn ones share what is left alike, which is a level of its own.
            is_equal = shares_nk[:, place] == shares_nk[:, -1]
            codes[:, place] = torch.where(is_equal, 0, top - (low + is_high)).long()
        level = entropy_n.double() * (_ENTROPY / math.log(max(self.vocabulary, 2)))
        last = (level + draws_nk[:, -1]).floor_().clamp_(0, _ENTROPY).to(torch.uint8)
        return torch.cat([_bytes(ids_nk | (codes << self._id_bits), 3), last[:, None]], 1)

    def _shares(self, codes_nk: torch.Tensor) -> torch.Tensor:
        """Return the share of each class, from what part it is of what those before it left."""
        top = 2 ** (_WORD - self._id_bits) - 1
        left = torch.ones(len(codes_nk), dtype=torch.float64, device=codes_nk.device)
        shares = torch.empty(codes_nk.shape, dtype=torch.float32, device=codes_nk.device)
        for place in range(self.classes):
            most = 1 - 1 / (self.classes - place)
            part = 1 - most * ((top - codes_nk[:, place]).double() / top) ** 2
            part = torch.where(codes_nk[:, place] == 0, 1 - most, part)
            shares[:, place] = part * left
            left = left * (1 - part)
        return shares


def sampled(
    logp_nv: torch.Tensor, classes: int, draws_n: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return k classes of each distribution, and shares whose expectation is the distribution.

    Args:
        logp_nv: natural logarithms.
        classes: k.
        draws_n: float64 in [0, 1).

    Returns:
        Ids, int64, and shares, float64: first the classes kept for themselves, likeliest first,
        then those drawn, each with the same share.
    """
    short = -logp_nv.shape[1] % _SPAN
    p_nv = torch.nn.functional.pad(logp_nv.exp(), (0, short))
    top = p_nv.topk(classes, dim=1)
    likeliest = top.values.double()
    before = torch.cat([torch.zeros_like(likeliest[:, :1]), likeliest.cumsum(1)], 1)[:, :-1]
    whole = p_nv.unflatten(1, (-1, _SPAN)).sum(2, dtype=torch.float64)
    rest = whole.sum(1, keepdim=True) - before
    slots = classes - torch.arange(classes, dtype=torch.float64, device=p_nv.device)
    heads = (likeliest * slots <= rest).int().argmax(1, keepdim=True)
    place = torch.arange(classes, device=p_nv.device)[None]
    is_head = place < heads
    # Others alone: those that are kept for themselves are not drawn from.
    p_nv.scatter_(1, top.indices, torch.where(is_head, 0.0, top.values))
    spans = p_nv.unflatten(1, (-1, _SPAN)).sum(2, dtype=torch.float64).cumsum(1)
    threshold = spans[:, -1:] / (classes - heads)
    points = (draws_n[:, None] + (place - heads).clamp(min=0)) * threshold
    span = torch.searchsorted(spans, points, right=True).clamp_(max=spans.shape[1] - 1)
    begins = torch.where(span > 0, spans.gather(1, (span - 1).clamp(min=0)), 0.0)
    within = p_nv.unflatten(1, (-1, _SPAN)).gather(1, span[:, :, None].expand(-1, -1, _SPAN))
    ends = within.cumsum(2, dtype=torch.float64)
    # The span's own sum may differ in its last bit: what lies beyond its end is its last class.
    found = torch.searchsorted(ends, (points - begins)[:, :, None], right=True)[:, :, 0]
    last = (within > 0).int().mul_(torch.arange(1, _SPAN + 1, device=p_nv.device)).amax(2) - 1
    drawn = span * _SPAN + torch.minimum(found, last.clamp(min=0))
    ids = torch.where(is_head, top.indices, drawn.clamp_(max=logp_nv.shape[1] - 1))
    return ids, torch.where(is_head, likeliest, threshold)


def _bytes(words: torch.Tensor, size: int) -> torch.Tensor:
    """Return words as bytes, the lowest first, shape (n, k * size)."""
    parts = [(words >> (8 * place)) & 255 for place in range(size)]
    return torch.stack(parts, 2).to(torch.uint8).flatten(1)


def _words(parts: torch.Tensor) -> torch.Tensor:
    """Return bytes as words, shape (n, k)."""
    found = torch.zeros(parts.shape[:2], dtype=torch.int64, device=parts.device)
    for place in range(parts.shape[2]):
        found |= parts[:, :, place].long() << (8 * place)
    return found
