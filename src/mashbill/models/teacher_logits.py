"""A teacher whose logits are read: what it gives to each token of sequences, written as records.

The distribution is over the ids that its tokenizer has: rows of a head that stand for no token, as
padding to a round number leaves them, are no classes, so that two sizes of one family are alike.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.canonical import digest
from mashbill.core.errors import TeacherError
from mashbill.models.causal_base import CausalBase
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.folder import describe
from mashbill.models.products import fast_linear
from mashbill.models.tokenizer_identity import ids_digest, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

    from mashbill.core.base_model import BaseWeights
    from mashbill.models.logit_records import Records

_BLOCK = 2**22  # logits that exist at once


class TeacherLogits:
    """See the module."""

    def __init__(self, weights: BaseWeights, threads: int, device: str = "cpu") -> None:
        """Load a folder of weights.

        Raises:
            TeacherError: if it is no causal language model whose logits are its head's product.
        """
        torch.set_num_threads(threads)
        self.encoder = ConversationTokens(weights.folder)
        self.template = template_digest(weights.folder, self.encoder.tokenizer)
        """digest of its chat template; empty if it has none"""
        self.digest = weights.digest
        self._base = CausalBase.load(weights.folder, weights.title, packs=True, device=device)
        self._base.model.eval().requires_grad_(requires_grad=False)
        rows = len(self._base.head[0])
        self.vocabulary = ids_of(self.encoder.tokenizer)
        """classes: ids of the tokenizer"""
        if self.vocabulary > rows:
            msg = (
                f"{weights.title}: its tokenizer has {self.vocabulary:,} ids and its head {rows:,} "
                "rows, so some tokens have no logit; name a teacher whose files fit each other"
            )
            raise TeacherError(msg)

    @cached_property
    def ids(self) -> str:
        """Digest of its tokenizer's map of ids."""
        return ids_digest(self.encoder.tokenizer)

    @property
    def context(self) -> int:
        """Tokens of a sequence that it was made for; 0 if it knows no bound."""
        return self._base.context

    @property
    def shares(self) -> bool:
        """Whether several sequences that go on from one may stand behind it."""
        return self._base.shares

    @property
    def reading(self) -> str:
        """Digest of how texts become ids."""
        return self.encoder.reading

    @property
    def head(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Weights of the head, shape (vocabulary, width), and its bias if it has one."""
        weight, bias = self._base.head
        return weight[: self.vocabulary], None if bias is None else bias[: self.vocabulary]

    @torch.no_grad()
    @fast_linear()
    def states(
        self, sequences: Sequence[torch.Tensor], follows: Sequence[bool] = ()
    ) -> torch.Tensor:
        """Return the state behind each token, sequences one behind the other.

        Args:
            sequences: token ids, int64, each of shape (tokens,).
            follows: of each, whether it goes on from the last one before it that does not; where
                it :attr:`shares`.
        """
        groups = [list(sequences)] if self._base.packs else [[each] for each in sequences]
        found = []
        for group in groups:
            with self._base.together([len(each) for each in group], follows):
                found.append(self._base.states(group, follows))
        return torch.cat(found)

    @torch.no_grad()
    def whole_logprobs(self, ids: np.ndarray) -> np.ndarray:
        """Return the log-probability of each token of a sequence but its first, float64.

        They are computed as the model computes its logits by itself, and not of :meth:`states`, so
        that the one way may be held against the other.
        """
        model = self._base.model
        with self._base.together([len(ids)]):
            found = model(input_ids=torch.from_numpy(ids)[None].to(model.device), use_cache=False)
        logits = found.logits[0, :-1, : self.vocabulary]
        logprobs = torch.log_softmax(logits.double(), 1).cpu()
        told: np.ndarray = logprobs.gather(1, torch.from_numpy(ids)[1:, None])[:, 0].numpy()
        return told

    @torch.no_grad()
    @fast_linear()
    def records(
        self,
        sequences: Sequence[tuple[Sequence[int], Sequence[bool]]],
        form: Records,
        temperature: float,
        draws: Sequence[np.ndarray],
        *,
        most: int,
    ) -> list[bytes]:
        """Return the records of each sequence's learned tokens, but for its first.

        Args:
            sequences: ids, and which are learned.
            form: how they are written.
            temperature: that logits are divided by.
            draws: of each sequence, shape (learned tokens, ``form.draws``).
            most: tokens that are computed at once.
        """
        weight, bias = self.head
        found: list[bytes] = [b""] * len(sequences)
        for numbers in _together([len(ids) for ids, _ in sequences], most):
            tensors = [torch.tensor(sequences[number][0]) for number in numbers]
            told = np.concatenate([_tells(sequences[number][1]) for number in numbers])
            states = self.states(tensors)[torch.from_numpy(told).to(weight.device)]
            drawn = torch.from_numpy(np.concatenate([draws[number] for number in numbers]))
            written = []
            step = max(1, _BLOCK // self.vocabulary)
            for start in range(0, len(states), step):
                logits = torch.nn.functional.linear(states[start : start + step], weight, bias)
                block = drawn[start : start + step].to(logits.device)
                written.append(form.write(logits / temperature, block).cpu().numpy())
            whole = np.concatenate(written) if written else np.empty((0, form.bytes), np.uint8)
            at = 0
            for number in numbers:
                count = int(_tells(sequences[number][1]).sum())
                found[number] = whole[at : at + count].tobytes()
                at += count
        return found


def template_digest(folder: Path, tokenizer: Tokenizer) -> str:
    """Return the identity of a folder's chat template; empty if it has none."""
    try:
        told = describe(folder, tokenizer)
    except TeacherError:
        return ""
    return digest({key: told[key] for key in ("template", "bos", "eos")})


def _tells(learned: Sequence[bool]) -> np.ndarray:
    """Return behind which tokens of a sequence the next one is learned, bool, shape (tokens,)."""
    found = np.zeros(len(learned), bool)
    found[:-1] = np.asarray(learned[1:], bool)
    return found


def _together(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Yield the numbers of sequences that are computed at once, in order."""
    held: list[int] = []
    tokens: Any = 0
    for number, length in enumerate(lengths):
        if held and tokens + length > most:
            yield held
            held, tokens = [], 0
        held.append(number)
        tokens += length
    if held:
        yield held
