"""A trained decoder as recipes use it: it labels texts, and it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional

from mashbill.core.errors import StoreError
from mashbill.core.parsing import check_regular, foreign, json_object
from mashbill.models.decoder import PAD, Decoder, tensors
from mashbill.models.decoder_writing import DecoderWriting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.model import Decoding
    from mashbill.core.teacher import Answer, Question

_SCORING_BATCH = 64


class DecoderModel:
    """Both :class:`mashbill.core.model.Predictor` and :class:`mashbill.core.model.Writer`.

    It labels as a generative classifier: p(label | text) is taken from p(text | label) under equal
    priors. The sum over a text's tokens is not calibrated: it says which label, and not how sure.
    """

    def __init__(
        self, labels: Sequence[str], context: int, tokenizer: Tokenizer, model: Decoder
    ) -> None:
        """Take a model as it stands in memory."""
        self.labels: tuple[str, ...] = tuple(labels)
        self._context = context
        self._tokenizer = tokenizer
        self._model = model
        self._writing = DecoderWriting(self.labels, context, tokenizer, model)

    @classmethod
    def load(cls, folder: Path, threads: int) -> DecoderModel:
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
                inputs, targets = tensors([ids[i] for i in rows], [label] * len(rows))
                losses = functional.cross_entropy(
                    self._model(inputs).transpose(1, 2), targets, ignore_index=PAD, reduction="none"
                )
                scores[rows, label] = -losses.sum(dim=1).double().numpy()
        odds: np.ndarray = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        """Go on from each question; see :mod:`mashbill.models.decoder_writing`."""
        return self._writing.answer(questions, decoding)
