"""A decoder that labels: its network, its files, and its probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from mashbill.core.errors import StoreError
from mashbill.core.parsing import check_regular, foreign, json_object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


PAD, END = 0, 1


_FIRST_LABEL = 2


_SCORING_BATCH = 64


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

    def forward(self, x_btd: torch.Tensor) -> torch.Tensor:
        """Shapes: (batch, time, width) in and out."""
        batch, length, width = x_btd.shape
        qkv = self.qkv(self.attention_norm(x_btd)).view(batch, length, 3, self.heads, -1)
        q_bhtc, k_bhtc, v_bhtc = qkv.permute(2, 0, 3, 1, 4)
        a_bhtc = functional.scaled_dot_product_attention(q_bhtc, k_bhtc, v_bhtc, is_causal=True)
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

    def forward(self, ids_bt: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (batch, time, vocabulary)."""
        x_btd = self.embedding(ids_bt) + self.position.weight[: ids_bt.shape[1]]
        x_btd = functional.rms_norm(x_btd, (x_btd.shape[-1],))
        for block in self.blocks:
            x_btd = block(x_btd)
        return functional.linear(self.norm(x_btd), self.embedding.weight)


def _tensors(ids: Sequence[list[int]], labels: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets, both (batch, longest + 1), padded on the right with PAD."""
    longest = max(len(row) for row in ids) + 1
    inputs = np.full((len(ids), longest), PAD)
    targets = np.full((len(ids), longest), PAD)
    for i, row in enumerate(ids):
        inputs[i, 0] = _FIRST_LABEL + labels[i]
        inputs[i, 1 : len(row) + 1] = row
        targets[i, : len(row)] = row
        targets[i, len(row)] = END
    return torch.from_numpy(inputs), torch.from_numpy(targets)


class DecoderPredictor:
    """A trained decoder as a generative classifier; see :class:`mashbill.core.model.Predictor`.

    p(label | text) is taken from p(text | label) under equal priors. The sum over a text's tokens
    is not calibrated: it says which label, and not how sure.
    """

    def __init__(
        self, labels: Sequence[str], context: int, tokenizer: Tokenizer, model: Decoder
    ) -> None:
        """Take a model as it stands in memory."""
        self.labels: tuple[str, ...] = tuple(labels)
        self._context = context
        self._tokenizer = tokenizer
        self._model = model

    @classmethod
    def load(cls, folder: Path, threads: int) -> DecoderPredictor:
        """Read the files that :func:`train` wrote."""
        torch.set_num_threads(threads)
        names = ("config.json", "tokenizer.json", "weights.safetensors")
        check_regular(*(folder / name for name in names))
        config = json_object(folder / "config.json", error=StoreError)
        with foreign(folder, "a decoder", error=StoreError, remedy="run `mashbill audit`"):
            config.pop("format", None)
            labels = tuple(config.pop("labels"))
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            weights = load_file(folder / "weights.safetensors")
            shapes = [
                tuple(weights[name].shape) for name in ("embedding.weight", "position.weight")
            ]
            said = (config["vocabulary"], config["width"]), (config["context"] + 1, config["width"])
            if shapes != list(said) or config["layers"] > len(
                weights
            ):  # before it is made so large
                msg = f"its config says {said} and its weights are {shapes}"
                raise ValueError(msg)
            model = Decoder(**config)
            model.load_state_dict(weights)
        return cls(labels, config["context"], tokenizer, model)

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return p(label | text) under equal priors, shape (texts, labels)."""
        ids = [e.ids[: self._context - 1] for e in self._tokenizer.encode_batch(list(texts))]
        order = np.argsort([len(row) for row in ids], kind="stable")
        scores = np.zeros((len(ids), len(self.labels)))
        for start in range(0, len(order), _SCORING_BATCH):
            rows = order[start : start + _SCORING_BATCH]
            for label in range(len(self.labels)):
                inputs, targets = _tensors([ids[i] for i in rows], [label] * len(rows))
                losses = functional.cross_entropy(
                    self._model(inputs).transpose(1, 2), targets, ignore_index=PAD, reduction="none"
                )
                scores[rows, label] = -losses.sum(dim=1).double().numpy()
        odds: np.ndarray = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
        return shares
