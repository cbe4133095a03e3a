"""Writing with a decoder that was trained by ``pretrain``.

It knows no chat: it goes on from all that it is asked, one text behind the other. A text that
begins with a control token, ``<good> the film``, is gone on from under that label; any other under
the label that makes it likeliest, which is what the model has learned to tell.

A row's logits depend on its own tokens alone, so what stands beside it in a batch may change their
last bits and nothing else. What is drawn follows from seed, question and sample. One thread
computes: matrices of one token a row gain nothing from more, lose much where others use the
processor, and so answers do not depend on how many there are.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer, decoders
from torch.nn import functional

from mashbill.core.canonical import digest_bytes
from mashbill.core.teacher import Answer
from mashbill.models.decoder import END, FIRST_LABEL, PAD, Decoder, Past

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.model import Decoding
    from mashbill.core.teacher import Question


class DecoderWriting:
    """Answers questions with a decoder."""

    def __init__(
        self, labels: Sequence[str], context: int, tokenizer: Tokenizer, model: Decoder
    ) -> None:
        """Take a model as it stands in memory."""
        self._labels = tuple(labels)
        self._context = context
        self._model = model
        # A text that only speaks of a control token is a text.
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.encode_special_tokens = True
        self._letters = decoders.ByteLevel()

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        """Answer each question, in order: see :class:`mashbill.core.model.Writer`."""
        with torch.inference_mode(), _one_thread():
            return self._answered(questions, decoding)

    def _answered(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        asked = self._read([_said(question) for question in questions])
        answers: dict[int, Answer] = {}
        drafts: dict[int, _Draft] = {}
        for place, question in enumerate(questions):
            ids = asked[place]
            longest = max((len(self._ids(choice)) for choice in question.choices), default=1)
            if len(ids) + longest > self._context:
                failed = (
                    f"its prompt is {len(ids) - 1} tokens, and the model reads and writes "
                    f"{self._context - 1} in all"
                )
                answers[place] = Answer((), 0, failed=failed)
            elif question.choices:
                answers[place] = self._chosen(ids, question.choices)
            else:
                most = min(decoding.max_tokens, self._context - len(ids))
                drafts[place] = _Draft(ids, most, _generator(decoding.seed, question))
        if drafts:
            made = self._written(list(drafts.values()), decoding)
            answers |= dict(zip(drafts, made, strict=True))
        return [answers[place] for place in range(len(questions))]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)

    def _read(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, its control token before them."""
        found: list[list[int]] = []
        for text in texts:
            named = [label for label in self._labels if text.startswith(f"<{label}>")]
            if named:
                label = max(named, key=len)
                ids = self._ids(text[len(label) + 2 :])
                found.append([FIRST_LABEL + self._labels.index(label), *ids])
                continue
            ids = self._ids(text)
            begins = [[FIRST_LABEL + number] for number in range(len(self._labels))]
            if 0 < len(ids) < self._context:
                scores = self._logprobs(begins, [ids] * len(begins))
                begins = [begins[int(scores.argmax())]]
            found.append([*begins[0], *ids])
        return found

    def _chosen(self, asked: list[int], choices: Sequence[str]) -> Answer:
        """Return how likely each choice is to come next, the sum over its tokens."""
        ids = [self._ids(choice) for choice in choices]
        scores = self._logprobs([asked] * len(ids), ids)
        return Answer(tuple(scores.tolist()), len(asked) - 1)

    def _logprobs(self, before: Sequence[list[int]], after: Sequence[list[int]]) -> np.ndarray:
        """Return the log-probability of each continuation, natural log, shape (rows,)."""
        rows = [[*first, *then] for first, then in zip(before, after, strict=True)]
        logits_btv = self._model(_padded([row[:-1] for row in rows]))
        logprobs_btv = functional.log_softmax(logits_btv.double(), dim=-1)
        found = [
            logprobs_btv[number, torch.arange(len(first) - 1, len(row) - 1), row[len(first) :]]
            for number, (row, first) in enumerate(zip(rows, before, strict=True))
        ]
        return np.array([float(each.sum()) for each in found])

    def _written(self, drafts: Sequence[_Draft], decoding: Decoding) -> list[Answer]:
        """Write on from each text until it ends, or may not be longer."""
        lengths = torch.tensor([len(draft.asked) for draft in drafts])
        past = Past(self._model, len(drafts), max(len(d.asked) + d.most for d in drafts))
        rows = torch.arange(len(drafts))
        logits_bv = self._model(_padded([draft.asked for draft in drafts]), past)[rows, lengths - 1]
        past.at_b = lengths
        while True:
            logits = logits_bv.double().numpy()
            logits[:, [PAD, *range(FIRST_LABEL, FIRST_LABEL + len(self._labels))]] = -np.inf
            for draft, row in zip(drafts, logits, strict=True):
                if not draft.finish:
                    draft.take(_token(row, decoding, draft.draw))
            if all(draft.finish for draft in drafts):
                break
            # A row that has come to its end reads on the spot, and nobody looks at it.
            last = torch.tensor([[draft.written[-1] if draft.written else PAD] for draft in drafts])
            logits_bv = self._model(last, past)[:, 0]
            past.at_b = past.at_b + torch.tensor([not draft.finish for draft in drafts])
        return [
            Answer((), len(d.asked) - 1 + len(d.written), self._text(d.written), finish=d.finish)
            for d in drafts
        ]

    def _text(self, ids: Sequence[int]) -> str:
        pieces = [str(self._tokenizer.id_to_token(token)) for token in ids]
        return str(self._letters.decode(pieces)).strip()


@dataclass
class _Draft:
    """A text that is being written."""

    asked: list[int]
    """what it goes on from, its control token first"""
    most: int
    """tokens that may be written"""
    draw: np.random.Generator
    written: list[int] = field(default_factory=list)
    finish: str = ""

    def take(self, token: int) -> None:
        """Take the next token."""
        if token == END:
            self.finish = "stop"
            return
        self.written.append(token)
        if len(self.written) == self.most:
            self.finish = "length"


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _said(question: Question) -> str:
    """Return all that is asked, as one text."""
    return "\n\n".join(turn.content for turn in question.conversation if turn.content)


def _generator(seed: int, question: Question) -> np.random.Generator:
    """Return what draws for a question: the same wherever it stands, another for each sample."""
    key = json.dumps([seed, question.sample, _said(question)])
    return np.random.default_rng(int(digest_bytes(key.encode())[:16], 16))


def _token(logits: np.ndarray, decoding: Decoding, draw: np.random.Generator) -> int:
    """Return the next token: the likeliest, or one drawn from those that make up ``top_p``.

    Args:
        logits: float64, shape (vocabulary,).
        decoding: how it writes.
        draw: gives one number a token.
    """
    if not decoding.temperature:
        return int(logits.argmax())
    scaled = (logits - logits.max()) / decoding.temperature
    order = np.argsort(-scaled, kind="stable")
    shares = np.exp(scaled[order])
    sums = np.cumsum(shares / shares.sum())
    kept = int(np.searchsorted(sums, decoding.top_p)) + 1
    at = int(np.searchsorted(sums, draw.random() * sums[:kept][-1], side="right"))
    return int(order[min(at, kept - 1)])


def _padded(rows: Sequence[list[int]]) -> torch.Tensor:
    """Return token ids padded on the right, shape (rows, longest)."""
    ids = np.full((len(rows), max(map(len, rows))), PAD)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return torch.from_numpy(ids)
