"""The decoder that ``pretrain`` trains: its network, and what it keeps of what it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

PAD, END, FIRST_LABEL = 0, 1, 2


class Past:
    """Keys and values of what a batch has read so far, so that going on costs one token each.

    Every row has read as much as it has: rows of different lengths are padded on the right, and
    what stands behind a row's own length is written over before it is looked at.
    """

    def __init__(self, model: Decoder, rows: int, longest: int) -> None:
        """Keep nothing yet.

        Args:
            model: who reads.
            rows: in the batch.
            longest: tokens that a row will have been read at most.
        """
        self.at_b = torch.zeros(rows, dtype=torch.long)
        """tokens of each row that were read: where the next one stands"""
        shape = (rows, model.blocks[0].heads, longest, model.position.embedding_dim)
        shape = (*shape[:3], shape[3] // shape[1])
        self._kept = [(torch.zeros(shape), torch.zeros(shape)) for _ in model.blocks]
        self._rows_b1 = torch.arange(rows)[:, None]
        self._places_c = torch.arange(longest)

    def attended(
        self, layer: int, q_bhtc: torch.Tensor, k_bhtc: torch.Tensor, v_bhtc: torch.Tensor
    ) -> torch.Tensor:
        """Keep a layer's new keys and values, and attend to all that was read up to each place."""
        place_bt = self.at_b[:, None] + torch.arange(q_bhtc.shape[2])
        keys, values = self._kept[layer]
        keys[self._rows_b1, :, place_bt] = k_bhtc.transpose(1, 2)
        values[self._rows_b1, :, place_bt] = v_bhtc.transpose(1, 2)
        seen_btc = self._places_c <= place_bt[:, :, None]
        return functional.scaled_dot_product_attention(
            q_bhtc, keys, values, attn_mask=seen_btc[:, None]
        )


class Block(nn.Module):
    """One transformer block; both halves start as the identity."""

    def __init__(self, width: int, heads: int) -> None:
        """Make the block."""
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.feed_norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x_btd: torch.Tensor, layer: int, past: Past | None) -> torch.Tensor:
        """Shapes: (batch, time, width) in and out."""
        batch, length, width = x_btd.shape
        qkv = self.qkv(self.attention_norm(x_btd)).view(batch, length, 3, self.heads, -1)
        q_bhtc, k_bhtc, v_bhtc = qkv.permute(2, 0, 3, 1, 4)
        if past is None:
            a_bhtc = functional.scaled_dot_product_attention(q_bhtc, k_bhtc, v_bhtc, is_causal=True)
        else:
            a_bhtc = past.attended(layer, q_bhtc, k_bhtc, v_bhtc)
        x_btd = x_btd + self.mix(a_bhtc.transpose(1, 2).reshape(batch, length, width))
        return x_btd + self.down(functional.relu(self.up(self.feed_norm(x_btd))).square())


class Decoder(nn.Module):
    """Token ids to next-token logits."""

    def __init__(self, vocabulary: int, width: int, layers: int, heads: int, context: int) -> None:
        """Make the model with torch's current seed."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context + 1, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.RMSNorm(width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, ids_bt: torch.Tensor, past: Past | None = None) -> torch.Tensor:
        """Return logits, shape (batch, time, vocabulary).

        Args:
            ids_bt: token ids.
            past: what came before them; it keeps their keys and values, and whoever calls says
                how many of them were read.
        """
        length = ids_bt.shape[1]
        if past is None:
            position = self.position.weight[:length]
        else:  # what is padding may stand beyond the last place
            last = len(self.position.weight) - 1
            place_bt = past.at_b[:, None] + torch.arange(length)
            position = self.position.weight[place_bt.clamp(max=last)]
        x_btd = self.embedding(ids_bt) + position
        x_btd = functional.rms_norm(x_btd, (x_btd.shape[-1],))
        for layer, block in enumerate(self.blocks):
            x_btd = block(x_btd, layer, past)
        return functional.linear(self.norm(x_btd), self.embedding.weight)


def tensors(ids: Sequence[list[int]], labels: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets, both (batch, longest + 1), padded on the right with PAD."""
    longest = max(len(row) for row in ids) + 1
    inputs = np.full((len(ids), longest), PAD)
    targets = np.full((len(ids), longest), PAD)
    for i, row in enumerate(ids):
        inputs[i, 0] = FIRST_LABEL + labels[i]
        inputs[i, 1 : len(row) + 1] = row
        targets[i, : len(row)] = row
        targets[i, len(row)] = END
    return torch.from_numpy(inputs), torch.from_numpy(targets)
