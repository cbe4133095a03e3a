"""A decoder of the Llama architecture, written for training from scratch on a processor.

The network is that of Touvron et al. (arXiv 2302.13971, section 2.2): pre-norm by root mean square,
SwiGLU, rotary positions. Its weights map one to one on transformers' ``LlamaForCausalLM`` with tied
embeddings (:func:`named_as_transformers`), and so what it says is what that says, within float32
(tests hold both to it). It is faster since query, key and value are one product, and gate and up
another; since rotations are computed once; and since logits are never there as a whole: it gives
hidden states, and whoever trains takes the loss from these (:mod:`mashbill.train.losses`).

Several documents may stand in one block: each token attends to its own document alone, and counts
its position from that one's beginning.

Shapes: b blocks, t tokens, d width, h heads, c width of a head, f width of the feed-forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping

EPSILON = 1e-5
THETA = 10_000.0


@dataclass(frozen=True)
class Shape:
    """How large a network is."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    context: int
    """tokens of a block"""

    @property
    def feed(self) -> int:
        """Width of the feed-forward: eight thirds, in 32s, so that it has the usual weights."""
        return -(-8 * self.width // 3 // 32) * 32

    @property
    def parameters(self) -> int:
        """Weights in all."""
        of_layer = 4 * self.width**2 + 3 * self.width * self.feed + 2 * self.width
        return self.vocabulary * self.width + self.layers * of_layer + self.width


@dataclass(frozen=True)
class Places:
    """Where tokens stand in their documents, and what they attend to: once for all layers."""

    cos_btc: torch.Tensor
    sin_btc: torch.Tensor
    mask_btt: torch.Tensor | None
    """what is added to attention, shape (b, 1, t, t); None where every block is one document"""


class Rotations:
    """Cosines and sines of all positions of a context, computed once."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        """Compute them in float32, as transformers does."""
        head = shape.width // shape.heads
        powers = torch.arange(0, head, 2, dtype=torch.float32) / head
        angles_tc = torch.arange(shape.context).float()[:, None] * (1.0 / THETA**powers)
        both_tc = torch.cat([angles_tc, angles_tc], dim=-1)
        self._cos_tc, self._sin_tc = both_tc.cos().to(device), both_tc.sin().to(device)
        # Half of a head turns against the other half: the sign is put into the sines.
        self._sin_tc[:, : head // 2] *= -1

    def places(self, positions_bt: torch.Tensor) -> Places:
        """Return where each token stands, and what it attends to.

        Args:
            positions_bt: of each token in its document, from 0; a document begins where it is 0.
        """
        cos_btc = self._cos_tc[positions_bt][:, None]
        sin_btc = self._sin_tc[positions_bt][:, None]
        begins_bt = positions_bt == 0
        if not bool(begins_bt[:, 1:].any()):
            return Places(cos_btc, sin_btc, None)
        document_bt = begins_bt.cumsum(dim=1)
        length = positions_bt.shape[1]
        seen_btt = document_bt[:, :, None] == document_bt[:, None, :]
        seen_btt &= torch.ones(length, length, dtype=torch.bool, device=seen_btt.device).tril()
        mask = torch.zeros(seen_btt.shape, device=seen_btt.device)
        return Places(cos_btc, sin_btc, mask.masked_fill_(~seen_btt, float("-inf"))[:, None])


class Layer(nn.Module):
    """Attention and feed-forward; both halves begin as the identity."""

    def __init__(self, shape: Shape) -> None:
        """Make the layer with torch's current seed."""
        super().__init__()
        width, feed = shape.width, shape.feed
        self.heads = shape.heads
        self.attention_norm = nn.Parameter(torch.ones(width))
        self.qkv = nn.Parameter(torch.empty(3 * width, width))
        self.mix = nn.Parameter(torch.zeros(width, width))
        self.feed_norm = nn.Parameter(torch.ones(width))
        self.gate_up = nn.Parameter(torch.empty(2 * feed, width))
        self.down = nn.Parameter(torch.zeros(width, feed))
        for matrix in (self.qkv, self.gate_up):
            nn.init.normal_(matrix, std=width**-0.5)

    def forward(self, x_btd: torch.Tensor, places: Places) -> torch.Tensor:
        """Shapes: (b, t, d) in and out."""
        batch, length, width = x_btd.shape
        normed_btd = functional.rms_norm(x_btd, (width,), self.attention_norm, EPSILON)
        qkv = functional.linear(normed_btd, self.qkv).view(batch, length, 3, self.heads, -1)
        q_bhtc, k_bhtc, v_bhtc = qkv.permute(2, 0, 3, 1, 4)
        a_bhtc = functional.scaled_dot_product_attention(
            _turned(q_bhtc, places),
            _turned(k_bhtc, places),
            v_bhtc,
            attn_mask=places.mask_btt,
            is_causal=places.mask_btt is None,
        )
        a_btd = a_bhtc.transpose(1, 2).reshape(batch, length, width)
        x_btd = x_btd + functional.linear(a_btd, self.mix)
        normed_btd = functional.rms_norm(x_btd, (width,), self.feed_norm, EPSILON)
        gate_btf, up_btf = functional.linear(normed_btd, self.gate_up).chunk(2, dim=-1)
        return x_btd + functional.linear(functional.silu(gate_btf) * up_btf, self.down)


class Llama(nn.Module):
    """Token ids to the hidden states from which the next token is told."""

    def __init__(self, shape: Shape) -> None:
        """Make the network with torch's current seed."""
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.width))
        nn.init.normal_(self.embedding, std=0.02)
        self.layers = nn.ModuleList([Layer(shape) for _ in range(shape.layers)])
        self.norm = nn.Parameter(torch.ones(shape.width))

    def forward(self, ids_bt: torch.Tensor, places: Places) -> torch.Tensor:
        """Return hidden states, normed, shape (b, t, d); the head's weights are the embedding."""
        x_btd = functional.embedding(ids_bt, self.embedding)
        for layer in self.layers:
            x_btd = layer(x_btd, places)
        return functional.rms_norm(x_btd, (self.shape.width,), self.norm, EPSILON)

    def matrices(self) -> list[tuple[nn.Parameter, int]]:
        """Return the layers' matrices, and of how many, one below the other, each is made."""
        found: list[tuple[nn.Parameter, int]] = []
        for layer in self.layers:
            found += [(layer.qkv, 3), (layer.mix, 1), (layer.gate_up, 2), (layer.down, 1)]
        return found


def _turned(x_bhtc: torch.Tensor, places: Places) -> torch.Tensor:
    """Rotate the two halves of each head against each other, by the position."""
    half = x_bhtc.shape[-1] // 2
    swapped = torch.cat([x_bhtc[..., half:], x_bhtc[..., :half]], dim=-1)
    return torch.addcmul(x_bhtc * places.cos_btc, swapped, places.sin_btc)


def named_as_transformers(model: Llama) -> dict[str, torch.Tensor]:
    """Return all weights under the names that ``LlamaForCausalLM`` has for them, on the CPU."""
    named = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.norm}
    for number, layer in enumerate(model.layers):
        at = f"model.layers.{number}"
        for names, matrix in (
            (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), layer.qkv),
            (("self_attn.o_proj",), layer.mix),
            (("mlp.gate_proj", "mlp.up_proj"), layer.gate_up),
            (("mlp.down_proj",), layer.down),
            (("input_layernorm",), layer.attention_norm),
            (("post_attention_layernorm",), layer.feed_norm),
        ):
            for name, part in zip(names, matrix.chunk(len(names)), strict=True):
                named[f"{at}.{name}.weight"] = part
    return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}


def config_of(shape: Shape, special: Mapping[str, int | None]) -> dict[str, Any]:
    """Return config.json for transformers.

    Args:
        shape: of the network.
        special: ``begin``, ``end`` and ``pad`` -> token id.
    """
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": special["begin"],
        "dtype": "float32",
        "eos_token_id": special["end"],
        "head_dim": shape.width // shape.heads,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.feed,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.heads,
        "pad_token_id": special["pad"],
        "rms_norm_eps": EPSILON,
        "rope_parameters": {"rope_theta": THETA, "rope_type": "default"},
        "rope_theta": THETA,
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }
