"""A base as it is trained: its body, its head, and how sequences are kept apart in it.

Any causal language model that transformers loads can serve. What is needed of it beyond that is
tried on the spot, before the first step, and not looked up by its name: whether its head's product
is all there is between states and logits, and whether sequences that stand one behind the other
are computed as each by itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from mashbill.core.errors import TeacherError
from mashbill.models import packed_attention
from mashbill.models.causal_folder import load_causal
from mashbill.models.positions import positions_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CLOSE = 1e-3
"""of the largest logit: how far two ways to compute the same may lie apart, in float32"""
_LARGER = 4096.0
_PROBE = ((3, 7), (11, 5), (2, 13), (19, 3), (5, 17), (7, 7))


class CausalBase:
    """See the module. Weights are float32, whatever they are saved in."""

    def __init__(self, model: Any, title: str, *, packs: bool) -> None:
        """Take a loaded model, and try it.

        Args:
            model: of transformers, with its head.
            title: what messages call it.
            packs: whether sequences are wanted one behind the other.

        Raises:
            TeacherError: if its head does not give its logits by one product.
        """
        self.model = model
        self.title = title
        self._scale = 1.0
        self._scale = self._head_scale()
        self._loaded = model
        self._attention = model.config._attn_implementation  # noqa: SLF001 - it has no other name
        self.packs: bool
        """whether sequences stand one behind the other; else each is computed by itself"""
        self.shares: bool
        """whether several that go on from one may stand behind it, so that it is computed once"""
        self.packs, self.shares = self._try() if packs else (False, False)

    @classmethod
    def load(cls, folder: Path, title: str, *, packs: bool, device: str = "cpu") -> CausalBase:
        """Load a folder as ``save_pretrained`` writes it.

        Raises:
            StoreError: if transformers cannot load it.
        """
        model = load_causal(folder, dtype=torch.float32, device=device)
        model.config.use_cache = False
        return cls(model.train(), title, packs=packs)

    @property
    def body(self) -> Any:
        """What makes states of tokens."""
        return self.model.get_decoder()

    @property
    def head(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weights of the head, shape (vocabulary, width), and its bias if it has one."""
        layer = self.model.get_output_embeddings()
        return layer.weight, getattr(layer, "bias", None)

    @property
    def context(self) -> int:
        """Tokens of a sequence that it was made for; 0 if it knows no bound."""
        return positions_of(self.model.config)

    def states(
        self, sequences: Sequence[torch.Tensor], follows: Sequence[bool] = ()
    ) -> torch.Tensor:
        """Return the state behind each token, sequences one behind the other.

        :meth:`together` must hold around this and around going back.

        Args:
            sequences: token ids, int64, each of shape (tokens,); one alone if it does not pack.
            follows: of each, whether it goes on from the last one before it that does not; none
                does if empty, as where it does not share.
        """
        device = self.model.device
        ids = torch.cat(list(sequences))[None].to(device)
        places = packed_attention.places([len(each) for each in sequences], follows)[None]
        places = places.to(device)
        found = self.body(input_ids=ids, position_ids=places, use_cache=False)
        states: torch.Tensor = found.last_hidden_state[0]
        return states if self._scale == 1 else states * self._scale

    def together(
        self, lengths: Sequence[int], follows: Sequence[bool] = ()
    ) -> AbstractContextManager[None]:
        """Return the context in which sequences are computed, and gone back through.

        Args:
            lengths: tokens of each sequence; what does not pack is computed one by one.
            follows: as of :meth:`states`.
        """
        return packed_attention.lengths(lengths, follows) if self.packs else nullcontext()

    def attend_as_loaded(self) -> None:
        """Let attention be what it was before sequences stood one behind the other.

        It is the loaded model's own: what adapters were laid upon or added to.
        """
        if self.packs:
            self._loaded.set_attn_implementation(self._attention)

    @torch.no_grad()
    def _head_scale(self) -> float:
        """Return what logits are of the head's product: 1, or what Granite and Cohere scale by.

        Raises:
            TeacherError: if they are something else of it, such as capped.
        """
        self.model.eval()
        try:
            weight, bias = self.head
            scale = self._scale_now(1.0)
            # A cap shows where logits are large: a power of two is exact both ways.
            weight.mul_(_LARGER)
            larger = self._scale_now(scale or 1.0)
            weight.div_(_LARGER)
        except (AttributeError, TypeError, ValueError, RuntimeError, NotImplementedError) as error:
            msg = f"{self.title} cannot be trained here: {error!s:.300}"
            raise TeacherError(msg) from error
        self.model.train()
        if scale is not None and larger is not None and (scale == 1 or bias is None):
            return scale
        msg = (
            f"{self.title} changes its logits behind its head (a cap, it seems), which cannot be "
            "trained here; name a base whose logits are its head's product"
        )
        raise TeacherError(msg)

    def _scale_now(self, expected: float) -> float | None:
        """Return what logits are of the head's product; None if that is no one number."""
        size = int(self.model.config.get_text_config().vocab_size)
        ids = torch.tensor([[(a * 31 + b) % size for a, b in _PROBE]], device=self.model.device)
        weight, bias = self.head
        whole = self.model(input_ids=ids, use_cache=False).logits[0].float()
        ours = torch.nn.functional.linear(self.states([ids[0]]), weight, bias).float()
        if ours.shape != whole.shape:
            return None
        scale = float((ours * whole).sum() / (ours * ours).sum())
        scale = expected if abs(scale / expected - 1) < _CLOSE else scale
        fits = (ours * scale - whole).abs().max() <= _CLOSE * whole.abs().max()
        return scale if fits else None

    @torch.no_grad()
    def _try(self) -> tuple[bool, bool]:
        """Return whether sequences together are computed as each alone, and behind one prompt, too.

        Attention is the packed one from here on if the first holds, and else as it was loaded.
        """
        size = int(self.model.config.get_text_config().vocab_size)
        ids = torch.tensor([(a * 17 + b) % size for a, b in _PROBE])
        prompt, first, second = ids[:3], ids[3:5], ids[4:]
        whole = [torch.cat([prompt, each]) for each in (first, second)]
        self.model.eval()
        try:
            alone = [self.states([each]) for each in whole]
            if not self._are_as(torch.cat(alone), whole, [False, False]):
                if self.model.config._attn_implementation != self._attention:  # noqa: SLF001
                    self.model.set_attn_implementation(self._attention)
                return False, False
            shared = torch.cat([alone[0], alone[1][len(prompt) :]])
            return True, self._are_as(shared, [prompt, first, second], [False, True, True])
        finally:
            self.model.train()

    def _are_as(
        self, alone: torch.Tensor, sequences: list[torch.Tensor], follows: list[bool]
    ) -> bool:
        """Return whether packed attention gives sequences the states that each has by itself."""
        try:
            self.model.set_attn_implementation(packed_attention.NAME)
            with packed_attention.lengths([len(each) for each in sequences], follows):
                beside = self.states(sequences, follows)
        except (NotImplementedError, ValueError, TypeError, RuntimeError, AttributeError):
            return False
        return bool((beside - alone).abs().max() <= _CLOSE * alone.abs().max())
