"""What the embedded engines share: one prefix computed once, bodies padded into a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenizers import Tokenizer

    from mashbill.core.teacher import Question


class PrefixedTeacher(ABC):
    """A teacher over a tokenizer and an engine; see :class:`mashbill.core.teacher.Teacher`.

    An engine computes two things: the state after a prefix, and logits at the last position of
    bodies that follow it.
    """

    can_write = True

    def __init__(self, tokenizer: Tokenizer, identity: Mapping[str, Any], batch: int) -> None:
        """Prepare to answer; no prefix is computed yet."""
        self.identity = identity
        self.batch = batch
        self._tokenizer = tokenizer
        self._prefix: str | None = None
        self._prefix_length = 0

    @abstractmethod
    def _compute_prefix(self, ids: np.ndarray) -> None:
        """Compute and keep the state after a prefix; ``ids`` has shape (1, length)."""

    @abstractmethod
    def _compute_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return logits at each body's last position after the prefix, (batch, vocabulary).

        Args:
            ids: token ids padded on the right, shape (batch, longest).
            lengths: tokens of each body, shape (batch,).
        """

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return the tokens of each question's body."""
        return [len(e.ids) for e in self._tokenizer.encode_batch([q.body for q in questions])]

    def write(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions that have no choices with text.

        Raises:
            TeacherError: if this engine does not write.
        """
        del questions
        msg = "this engine only chooses among given texts; set engine = 'openvino'"
        raise TeacherError(msg)

    def logits(self, questions: Sequence[Question]) -> np.ndarray:
        """Return the logits after each question's text, shape (questions, vocabulary).

        All of them have one prefix.
        """
        (prefix,) = {question.prefix for question in questions}
        self._take_prefix(prefix)
        encoded = self._tokenizer.encode_batch([question.body for question in questions])
        return self._compute_logits(*_padded([encoding.ids for encoding in encoded]))

    def _take_prefix(self, prefix: str) -> None:
        if prefix != self._prefix:
            ids = np.array([self._tokenizer.encode(prefix).ids])
            if not ids.size:
                msg = (
                    "a question to this teacher begins with what a row holds, and it goes on from "
                    "words that all questions share: let the prompt begin with some, such as what "
                    "is asked for"
                )
                raise TeacherError(msg)
            self._prefix, self._prefix_length = None, 0
            self._compute_prefix(ids)
            self._prefix, self._prefix_length = prefix, ids.shape[1]

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions: those with choices of one prefix together, then those to be written."""
        answers: dict[int, Answer] = {}
        written = [i for i, question in enumerate(questions) if not question.choices]
        if written:
            made = self.write([questions[i] for i in written])
            answers |= dict(zip(written, made, strict=True))
        chosen = [question for question in questions if question.choices]
        for prefix, choices in dict.fromkeys((q.prefix, q.choices) for q in chosen):
            places = [
                i for i, q in enumerate(questions) if (q.prefix, q.choices) == (prefix, choices)
            ]
            first = self._first_tokens(choices)
            encoded = self._tokenizer.encode_batch([questions[i].body for i in places])
            bodies = [encoding.ids for encoding in encoded]
            self._take_prefix(prefix)
            logprobs = _log_softmax(self._compute_logits(*_padded(bodies)))[:, first]
            for place, body, row in zip(places, bodies, logprobs, strict=True):
                answers[place] = Answer(tuple(float(value) for value in row), len(body))
        return [answers[i] for i in range(len(questions))]

    def _first_tokens(self, choices: tuple[str, ...]) -> list[int]:
        """Return the first token id of each choice.

        Raises:
            TeacherError: if two choices begin with the same token.
        """
        first = [self._tokenizer.encode(choice).ids[0] for choice in choices]
        if len(set(first)) < len(first):
            msg = (
                f"choices {list(choices)} share a first token; choose label words that differ there"
            )
            raise TeacherError(msg)
        return first

    def _mask(self, longest: int, lengths: np.ndarray) -> np.ndarray:
        """Return 1 where there is a token, prefix included, shape (batch, prefix + longest)."""
        mask = np.ones((len(lengths), self._prefix_length + longest), np.int64)
        mask[:, self._prefix_length :] = np.arange(longest) < lengths[:, None]
        return mask


def _padded(bodies: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return token ids padded on the right, shape (batch, longest), and lengths, (batch,)."""
    lengths = np.array([len(body) for body in bodies])
    ids = np.zeros((len(bodies), lengths.max()), np.int64)
    for row, body in enumerate(bodies):
        ids[row, : len(body)] = body
    return ids, lengths


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities over the last axis, in float64."""
    logits = logits.astype(np.float64)
    shifted: np.ndarray = logits - logits.max(axis=-1, keepdims=True)
    logprobs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logprobs
