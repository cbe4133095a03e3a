"""Sampling with a model that is in training: on its weights as they are, many texts at once.

What a text gets follows from its own prompt and its own generator: what stands beside it, and in
which order, may change the last bits of its logits, and nothing else. A prompt that is sampled
several times is read once. Texts that ended leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from mashbill.core.errors import InputError
from mashbill.models.positions import positions_of
from mashbill.models.products import fast_linear
from mashbill.models.sampled_cache import Reader, attending, plain_of, resting
from mashbill.models.sampled_drawing import drawn
from mashbill.models.sampled_precision import rounded_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.model import Decoding

_ENDED = 1 / 16
"""share of a batch's texts that have ended from which on they are taken out of it"""


@dataclass(frozen=True)
class Sampled:
    """What a model went on with."""

    ids: list[int]
    """tokens written, the end token included where it came"""
    logprobs: list[float]
    """of each, by the model as it sampled, in nats: of its whole distribution at the temperature
    of sampling (at 1 where the likeliest was taken), whatever ``top_p`` leaves out"""
    finish: Literal["stop", "length"]
    """whether an end token came"""


@dataclass(frozen=True)
class _Text:
    place: int
    prompt: tuple[int, ...]


def sample(
    model: Any,
    prompts: Sequence[list[int]],
    draws: Sequence[np.random.Generator],
    ends: Sequence[int],
    most: int,
    decoding: Decoding,
    *,
    batch_tokens: int,
    classes: int | None = None,
) -> list[Sampled]:
    """Return what a model goes on with, for each prompt.

    It computes in what holds around it (under autocast the head stays float32), leaves no gradient,
    draws nothing from torch's own generators, and leaves the model in the mode and with the
    attention that it had.

    Args:
        model: a causal language model of transformers, with an adapter of peft or without, in
            training or not.
        prompts: token ids, one at least each.
        draws: of each prompt: gives ``most`` numbers. A generator that is given twice goes on.
        ends: tokens that end a text; it goes on to ``most`` where there are none.
        most: tokens to be written for each, at most.
        decoding: temperature and top_p; its other keys are not looked at.
        batch_tokens: tokens of texts that are computed together, prompts and what may come; one
            text is computed in any case.
        classes: tokens that may come, the first ones of the vocabulary, where a head has more rows
            than there are tokens.

    Raises:
        InputError: if a prompt is empty, has a foreign token, or is too long to be gone on from;
            or if the model's logits are no numbers.
    """
    if len(prompts) != len(draws):
        msg = f"{len(prompts)} prompts and {len(draws)} generators"
        raise ValueError(msg)
    plain = plain_of(model)
    _check(plain.config, prompts, most)
    numbers = np.zeros((len(prompts), most))
    if decoding.temperature:
        for row, draw in zip(numbers, draws, strict=True):
            row[:] = draw.random(most)
    found: dict[int, Sampled] = {}
    with torch.no_grad(), fast_linear(), resting(model), attending(model):
        reader = Reader(model)
        texts = [_Text(place, tuple(prompt)) for place, prompt in enumerate(prompts)]
        with rounded_once(plain, plain.device):
            for batch in _batches(texts, most, batch_tokens, even=not reader.way.pads):
                own = torch.from_numpy(numbers[[text.place for text in batch]])
                writing = _Writing(reader, batch, ends, most)
                writing.write(own, decoding, classes, plain.device)
                found |= writing.found()
    return [found[place] for place in range(len(prompts))]


def _check(config: Any, prompts: Sequence[list[int]], most: int) -> None:
    """See that each prompt can be gone on from, before anything is computed."""
    context = positions_of(config)
    size = int(config.get_text_config().vocab_size)
    if most < 1:
        msg = f"max_new_tokens is {most}, and at least 1 token is written"
        raise InputError(msg)
    for place, prompt in enumerate(prompts):
        told = f"prompt {place + 1} of {len(prompts)}"
        if not prompt:
            msg = f"{told} has no tokens, and a model goes on from one at least"
            raise InputError(msg)
        if context and len(prompt) + most > context:
            msg = (
                f"{told} has {len(prompt):,} tokens and {most:,} may come, which are "
                f"{len(prompt) + most:,}; the model was made for {context:,}: lower "
                "max_new_tokens, or leave longer prompts out"
            )
            raise InputError(msg)
        if not 0 <= min(prompt) <= max(prompt) < size:
            strange = next(each for each in prompt if not 0 <= each < size)
            msg = (
                f"{told} has the token {strange}, and the model knows those from 0 to {size - 1}: "
                "it was encoded by another model's tokenizer"
            )
            raise InputError(msg)


def _batches(
    texts: list[_Text], most: int, batch_tokens: int, *, even: bool
) -> Iterator[list[_Text]]:
    """Yield texts, those of one prompt and of like lengths together.

    Args:
        texts: all of them.
        most: tokens to be written for each.
        batch_tokens: tokens of a batch.
        even: whether prompts of a batch must be of one length.
    """
    batch: list[_Text] = []
    # The longest come first: what does not fit into memory is found out at once.
    for text in sorted(texts, key=lambda text: (-len(text.prompt), text.prompt)):
        longest = len(batch[0].prompt) if batch else 0
        is_full = (len(batch) + 1) * (longest + most) > batch_tokens
        if batch and (is_full or (even and len(text.prompt) != longest)):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


class _Writing:
    """A batch of texts that are written together."""

    def __init__(self, reader: Reader, batch: list[_Text], ends: Sequence[int], most: int) -> None:
        self._reader, self._batch, self._most = reader, batch, most
        self._ends = np.array(sorted(ends), np.int64)
        self._filler = int(self._ends[0]) if len(self._ends) else 0
        self._ids = np.zeros((len(batch), most), np.int64)
        self._logprobs = np.zeros((len(batch), most), np.float32)
        self._lengths = np.zeros(len(batch), np.int64)
        self._stopped = np.zeros(len(batch), bool)

    def write(
        self,
        numbers: torch.Tensor,
        decoding: Decoding,
        classes: int | None,
        device: torch.device,
    ) -> None:
        """Write until all have ended.

        Args:
            numbers: what is drawn by, float64, shape (texts, most).
            decoding: temperature and top_p.
            classes: tokens that may come.
            device: of the model.
        """
        ids, mask, owner = self._read_once(device)
        longest = ids.shape[1]
        logits, cache = self._reader.begin(
            ids, None if mask is None else mask[:, :longest], longest + self._most
        )
        ids, logits = ids[owner], logits[owner]
        mask = None if mask is None else mask[owner]
        if cache is not None:
            cache.batch_select_indices(owner)
        live = np.arange(len(self._batch))  # the texts that stand in the batch
        for step in range(self._most):
            tokens, logprobs = drawn(logits, numbers[live, step], decoding, classes)
            self._add(live, step, tokens.numpy(), logprobs.numpy())
            going = ~self._stopped[live]
            if step + 1 == self._most or not going.any():
                return
            tokens = tokens.to(device)[:, None]
            if (~going).sum() >= len(live) * _ENDED:
                stay = torch.from_numpy(np.flatnonzero(going)).to(device)
                live, tokens, ids = live[going], tokens[stay], ids[stay]
                mask = None if mask is None else mask[stay]
                if cache is not None:
                    cache.batch_select_indices(stay)
            upto = None if mask is None else mask[:, : longest + step + 1]
            if cache is None:
                tokens = ids = torch.cat([ids, tokens], 1)
            logits = self._reader.on(tokens, upto, cache)

    def found(self) -> dict[int, Sampled]:
        """Return what was written, by place."""
        return {
            text.place: Sampled(
                self._ids[row, :length].tolist(),
                self._logprobs[row, :length].tolist(),
                "stop" if stopped else "length",
            )
            for row, (text, length, stopped) in enumerate(
                zip(self._batch, self._lengths.tolist(), self._stopped.tolist(), strict=True)
            )
        }

    def _add(self, live: np.ndarray, step: int, tokens: np.ndarray, logprobs: np.ndarray) -> None:
        """Add a token to each text that has not ended; what comes behind an end is no part."""
        of_going = ~self._stopped[live]
        going = live[of_going]
        self._ids[going, step] = tokens[of_going]
        self._logprobs[going, step] = logprobs[of_going]
        self._lengths[going] = step + 1
        self._stopped[going] = np.isin(tokens[of_going], self._ends)

    def _read_once(
        self, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Return the distinct prompts, padded on the left, their mask, and whose each text's is.

        The mask has room for what comes; it is None where nothing is padded.
        """
        distinct: dict[tuple[int, ...], int] = {}
        for text in self._batch:
            distinct.setdefault(text.prompt, len(distinct))
        longest = max(map(len, distinct))
        ids = np.full((len(distinct), longest), self._filler, np.int64)
        mask = np.ones((len(distinct), longest + self._most), np.int64)
        for row, prompt in enumerate(distinct):
            ids[row, longest - len(prompt) :] = prompt
            mask[row, : longest - len(prompt)] = 0
        owner = np.array([distinct[text.prompt] for text in self._batch])
        return (
            torch.from_numpy(ids).to(device),
            None if mask.all() else torch.from_numpy(mask).to(device),
            torch.from_numpy(owner).to(device),
        )
