"""What a model keeps of the tokens that it has read, while many texts are sampled.

transformers' own cache is copied with each token that is added to it. Here room is made once for
all tokens that a text may get. Layers that keep something else, such as a window, stay what they
are.

How a model can be read on is tried, and not looked up by its name: whether it goes on from a cache,
and whether texts of several lengths can stand beside each other, padded on the left. What cannot do
that is sampled in batches of equal lengths, and what keeps no such cache (a state-space model)
reads the whole text again with each token.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mashbill.models import packed_attention

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOSE = {torch.float32: 1e-3, torch.float64: 1e-3}
_CLOSE_ELSE = 5e-2
"""of the largest logit: how far two ways to compute the same may lie apart"""
_PROBE = ((3, 17, 5), (11, 2, 13, 19, 7, 23))
_GOES_ON = ((29, 31), (3, 37))


@dataclass(frozen=True)
class Way:
    """How a model can be read on."""

    caches: bool
    """whether it goes on from what it keeps, which can be chosen from by rows"""
    pads: bool
    """whether it may be padded on the left"""


class _Roomy(DynamicLayer):  # type: ignore[misc]
    """Keys and values of a layer, with room for those that come."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._laid: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add what comes, and return all, shape (rows, heads, tokens, width)."""
        del args, kwargs
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        if not held:  # nothing is copied until rows are chosen
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        upto = held + key_states.shape[-2]
        if self._laid is None or self._laid[0].shape[-2] < upto:
            self._lay(torch.arange(len(self.keys), device=self.keys.device), upto)
        assert self._laid is not None  # noqa: S101 - it was laid out just now
        for laid, more in zip(self._laid, (key_states, value_states), strict=True):
            laid[:, :, held:upto] = more
        self.keys, self.values = (laid[:, :, :upto] for laid in self._laid)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; one may come several times."""
        if self.get_seq_length():
            self._lay(indices, self.get_seq_length())

    def _lay(self, rows: torch.Tensor, least: int) -> None:
        room, held, made = max(self._room, least), self.get_seq_length(), []
        for each in (self.keys, self.values):
            laid = each.new_empty(len(rows), each.shape[1], room, each.shape[3])
            torch.index_select(each, 0, rows, out=laid[:, :, :held])
            made.append(laid)
        self._laid = (made[0], made[1])
        self.keys, self.values = (laid[:, :, :held] for laid in made)


def roomy(model: Any, room: int) -> Any:
    """Return an empty cache for a model.

    Args:
        model: a causal language model of transformers, without what adapters lay around it.
        room: tokens that a text may have.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [_Roomy(room) if type(each) is DynamicLayer else each for each in cache.layers]
    if cache.layer_class_to_replicate is DynamicLayer:
        cache.layer_class_to_replicate = lambda: _Roomy(room)
    return cache


class Reader:
    """Reads texts on, token by token, with a model that stands in memory."""

    def __init__(self, model: Any) -> None:
        """Take the model; :func:`attending` must hold while it reads.

        Args:
            model: of transformers, with an adapter of peft or without, in evaluation mode.
        """
        self._model = model
        self._plain = plain_of(model)
        known = inspect.signature(self._plain.forward).parameters
        self._last_alone = "logits_to_keep" in known
        self._placed = "position_ids" in known
        found = _ways.get(self._plain)
        if found is None:
            found = _ways[self._plain] = self._tried()
        self.way = found
        """how the model can be read on"""

    def begin(
        self, ids: torch.Tensor, mask: torch.Tensor | None, room: int
    ) -> tuple[torch.Tensor, Any]:
        """Read prompts; return the logits behind each, shape (rows, vocabulary), and the cache.

        Args:
            ids: shape (rows, tokens).
            mask: 1 for tokens and 0 for padding before them, of the same shape; None if there is
                no padding.
            room: tokens that a text may have.
        """
        cache = roomy(self._plain, room) if self.way.caches else None
        return self.on(ids, mask, cache), cache

    def on(self, ids: torch.Tensor, mask: torch.Tensor | None, cache: Any) -> torch.Tensor:
        """Read tokens behind those of a cache; return the logits behind the last of each row.

        Args:
            ids: shape (rows, tokens): new ones; without a cache, all.
            mask: of all tokens up to these.
            cache: as :meth:`begin` gave it.
        """
        more: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            more["past_key_values"] = cache
        if self._last_alone:
            more["logits_to_keep"] = 1
        if mask is not None:
            more["attention_mask"] = mask
            if self._placed:
                more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits: torch.Tensor = self._model(input_ids=ids, **more).logits
        return logits[:, -1]

    def _tried(self) -> Way:
        """Try on a few tokens which way gives the logits of reading each text by itself."""
        for way in (Way(caches=True, pads=True), Way(caches=True, pads=False)):
            self.way = way
            try:
                if self._fits():
                    return way
            except (
                AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError,
                ValueError,
            ):  # fmt: skip
                continue
        return Way(caches=False, pads=False)

    def _fits(self) -> bool:
        device = self._plain.device
        size = int(self._plain.config.get_text_config().vocab_size)
        texts = [[each % size for each in one] for one in _PROBE]
        more = torch.tensor(_GOES_ON, device=device) % size
        if not self.way.pads:
            texts = [text[: len(texts[0])] for text in texts]
        longest = max(map(len, texts))
        ids = torch.tensor([[0] * (longest - len(one)) + one for one in texts], device=device)
        mask = torch.tensor(
            [[0] * (longest - len(one)) + [1] * (len(one) + 2) for one in texts], device=device
        )
        masks = [mask[:, : longest + n] if self.way.pads else None for n in range(3)]
        with torch.autocast(device.type, enabled=False):
            logits, cache = self.begin(ids, masks[0], longest + 2)
            found = [logits[1]]
            self.on(more[:, :1], masks[1], cache)
            cache.batch_select_indices(torch.tensor([1, 0, 1], device=device))
            again = None if masks[2] is None else masks[2][[1, 0, 1]]
            logits = self.on(more[[1, 0, 1], 1:], again, cache)
            found += [logits[1], logits[2]]
            whole = [
                self._model(input_ids=torch.tensor([one], device=device), use_cache=False)
                .logits[0, -1]
                for one in (texts[1], texts[0] + more[0].tolist(), texts[1] + more[1].tolist())
            ]  # fmt: skip
        near = _CLOSE.get(whole[0].dtype, _CLOSE_ELSE)
        return all(
            bool((ours - own).abs().max() <= near * own.abs().max())
            for ours, own in zip(found, whole, strict=True)
        )


_ways: WeakKeyDictionary[Any, Way] = WeakKeyDictionary()


def plain_of(model: Any) -> Any:
    """Return a model without what adapters lay around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def attending(model: Any) -> Iterator[None]:
    """Have a model attend as it does where texts stand beside each other, and put it back."""
    plain = plain_of(model)
    before = plain.config._attn_implementation  # noqa: SLF001 - it has no other name
    if before != packed_attention.NAME:
        yield
        return
    try:
        plain.set_attn_implementation("sdpa")
    except (ValueError, ImportError):
        plain.set_attn_implementation("eager")
    try:
        yield
    finally:
        plain.set_attn_implementation(before)


@contextmanager
def resting(model: Any) -> Iterator[None]:
    """Have each part of a model compute as it is used, and put each back as it was."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
