"""A trained student that writes: a causal language model in a folder as transformers keeps it.

Files of ``save_pretrained`` (config.json, *.safetensors, tokenizer.json and, for a chat,
chat_template.jinja) are a :class:`mashbill.core.model.Writer` here, and so is the model as it
stands in a trainer's memory, with the folder of its tokenizer. :mod:`mashbill.models.reading` says
how questions are read.

:meth:`CausalWriter.logprobs` weighs texts and conversations, for perplexity. All is computed in
float32, whatever the weights were saved in. A row's results do not depend on what stands beside it,
except for the last bits of float32.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol

import torch

from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer
from mashbill.models.causal_folder import load_causal
from mashbill.models.causal_generation import Draft, at_rest, written
from mashbill.models.causal_weighing import Weighed, weigh
from mashbill.models.drawing import generator
from mashbill.models.reading import Asked, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.model import Decoding
    from mashbill.core.teacher import Question

_BATCH = 16
_NO_SCHEMA = (
    "a student over transformers writes under no schema; set engine = 'openvino' in its table, or "
    "leave schema out"
)


class Learned(Protocol):
    """A text as a trainer reads it: its token ids, and which of them are learned."""

    ids: Sequence[int]
    learned: Sequence[bool]


class CausalWriter:
    """See the module; a :class:`mashbill.core.model.Writer`."""

    def __init__(self, model: Any, tokenizer_folder: Path, *, batch: int = _BATCH) -> None:
        """Take a model as it stands in memory.

        Args:
            model: a causal language model of transformers, with or without an adapter of peft. It
                is left as it is: one that is not in float32 is copied.
            tokenizer_folder: has tokenizer.json and config.json, and as far as there are such,
                tokenizer_config.json, chat_template.jinja and generation_config.json.
            batch: rows computed together.
        """
        self._model = _in_float32(model)
        self._batch = batch
        self._reading = Reading(tokenizer_folder)

    @classmethod
    def load(cls, folder: Path, threads: int, *, device: str = "cpu") -> CausalWriter:
        """Load the files of a model, an adapter with its base.

        Raises:
            StoreError: if they are none that transformers loads.
        """
        torch.set_num_threads(threads)
        model = load_causal(folder, dtype=torch.float32, device=device)
        return cls(model, folder)

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        """Answer each question, in order: see :class:`mashbill.core.model.Writer`."""
        answers: dict[int, Answer] = {}
        asked: dict[int, Asked] = {}
        for place, question in enumerate(questions):
            try:
                asked[place] = self._asked(question, decoding.max_tokens)
            except TeacherError as error:
                answers[place] = Answer((), 0, failed=str(error))
        chosen = [place for place in asked if questions[place].choices]
        answers |= self._chosen({place: asked[place] for place in chosen})
        writing = [place for place in asked if not questions[place].choices]
        writing.sort(key=lambda place: (asked[place].most, len(asked[place].ids)))
        for start in range(0, len(writing), self._batch):
            places = writing[start : start + self._batch]
            drafts = [
                Draft(asked[place].ids, generator(decoding.seed, questions[place]))
                for place in places
            ]
            most = [asked[place].most for place in places]
            made = written(self._model, drafts, self._reading.ends, max(most), decoding)
            for place, (ids, finish) in zip(places, made, strict=True):
                answers[place] = self._written(asked[place], ids, finish)
        return [answers[place] for place in range(len(questions))]

    def logprobs(self, rows: Sequence[str | Learned]) -> list[Weighed]:
        """Return how likely each row is: nats of its tokens, and their number.

        A text is read as the tokenizer reads texts; its first token is weighed where the tokenizer
        puts one before it. Of a conversation, as :mod:`mashbill.models.conversation_tokens` encodes
        it, the tokens that are learned are weighed. What is longer than the model's context is
        read in pieces, one behind the other.
        """
        begin = self._reading.begin
        read: list[tuple[Sequence[int], Sequence[bool]]] = []
        for row in rows:
            if isinstance(row, str):
                ids = [*begin, *self._reading.ids(row)]
                read.append((ids, [False] * len(begin) + [True] * (len(ids) - len(begin))))
            else:
                read.append((row.ids, row.learned))
        with at_rest(self._model):
            return weigh(self._model, read, self._reading.context, self._batch)

    def _asked(self, question: Question, most: int) -> Asked:
        if question.schema is not None:
            raise TeacherError(_NO_SCHEMA)
        return self._reading.asked(question, most)

    def _chosen(self, asked: dict[int, Asked]) -> dict[int, Answer]:
        """Return how likely each choice is, the sum over its tokens."""
        rows = [
            ([*one.ids, *choice], [False] * len(one.ids) + [True] * len(choice))
            for one in asked.values()
            for choice in one.choices
        ]
        if not rows:
            return {}
        with at_rest(self._model):
            found = iter(weigh(self._model, rows, 0, self._batch))
        return {
            place: Answer(
                tuple(-next(found).nats for _ in one.choices),
                len(one.ids) + sum(len(choice) for choice in one.choices),
            )
            for place, one in asked.items()
        }

    def _written(self, asked: Asked, ids: list[int], finish: str) -> Answer:
        if len(ids) > asked.most:  # it was written beside one that may be longer
            ids, finish = ids[: asked.most], "length"
        return Answer((), len(asked.ids) + len(ids), self._reading.text(ids), finish=finish)


def _in_float32(model: Any) -> Any:
    """Return a model that computes in float32: itself, or a copy."""
    kinds = {one.dtype for one in model.parameters() if one.is_floating_point()}
    if kinds <= {torch.float32}:
        return model
    if hasattr(model, "get_base_model"):  # with an adapter
        return copy.deepcopy(model).float()
    # Made anew: what a model reckons with beside its weights may have been rounded with them.
    with torch.random.fork_rng(devices=[]):
        made = type(model)(copy.deepcopy(model.config))
    made.load_state_dict(model.state_dict())
    return made.to(model.device)
