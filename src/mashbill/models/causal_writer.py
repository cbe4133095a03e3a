"""A trained student that writes: a causal language model in a folder as transformers keeps it.

Files of ``save_pretrained`` (config.json, *.safetensors, tokenizer.json and, for a chat,
chat_template.jinja) are a :class:`mashbill.core.model.Writer` here, and so is the model as it
stands in a trainer's memory, with the folder of its tokenizer:

* With a chat template a question is a conversation, by the folder's own template, and the answer is
  the assistant's turn. A choice is that turn too: without the spaces around it, and with the token
  that ends it, so that ``1`` does not win over ``10`` for being shorter.
* Without one, a text goes on from all that is asked, and a choice from where the text ends.

:meth:`CausalWriter.logprobs` weighs texts and conversations, for perplexity. All is computed in
float32, whatever the weights were saved in. A row's results do not depend on what stands beside it,
except for the last bits of float32.
"""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer
from mashbill.models.causal_folder import load_causal
from mashbill.models.causal_generation import Draft, at_rest, written
from mashbill.models.causal_weighing import Weighed, weigh
from mashbill.models.chat_template import ChatTemplate
from mashbill.models.drawing import generator
from mashbill.models.folder import context_of, describe, ends_of, plain_tokenizer, template_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenizers import Tokenizer

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


@dataclass(frozen=True)
class _Asked:
    """A question as token ids, and those of its choices."""

    ids: list[int]
    choices: tuple[list[int], ...]
    most: int
    """tokens that may be written"""


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
        self._tokenizer, self._begin = plain_tokenizer(tokenizer_folder)
        self._context = context_of(tokenizer_folder)
        self._ends = _ends(tokenizer_folder, self._tokenizer)
        self._chat: ChatTemplate | None = None
        self._end: int | None = None
        if template_of(tokenizer_folder):
            self._chat = ChatTemplate(describe(tokenizer_folder, self._tokenizer), self._tokenizer)
        else:
            self._tokenizer.encode_special_tokens = True  # a mark in a text is a text

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
        asked: dict[int, _Asked] = {}
        for place, question in enumerate(questions):
            try:
                asked[place] = self._read(question, decoding.max_tokens)
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
            made = written(self._model, drafts, self._ends, max(most), decoding)
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
        read: list[tuple[Sequence[int], Sequence[bool]]] = []
        for row in rows:
            if isinstance(row, str):
                ids = [*self._begin, *self._ids(row)]
                read.append(
                    (ids, [False] * len(self._begin) + [True] * (len(ids) - len(self._begin)))
                )
            else:
                read.append((row.ids, row.learned))
        with at_rest(self._model):
            return weigh(self._model, read, self._context, self._batch)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _read(self, question: Question, most: int) -> _Asked:
        """Return a question as token ids.

        Raises:
            TeacherError: if it cannot be answered.
        """
        if question.schema is not None:
            raise TeacherError(_NO_SCHEMA)
        if self._chat is not None:
            choices: tuple[list[int], ...] = ()
            if question.choices:
                end = self._end_of_turn(self._chat)
                choices = tuple([*self._ids(c.strip()), end] for c in question.choices)
            longest = max((len(choice) for choice in choices), default=most)
            return _Asked(self._chat.asked(question, longest), choices, most)
        if question.tools:
            msg = "a model without a chat template calls no tools"
            raise TeacherError(msg)
        said = "\n\n".join(turn.content for turn in question.conversation if turn.content)
        ids = [*self._begin, *self._ids(said)] or list(self._ends[:1])
        if not ids:
            msg = "nothing is asked, and the model's tokenizer has no token that begins a text"
            raise TeacherError(msg)
        choices = tuple(self._ids(choice) for choice in question.choices)
        left = self._context - len(ids) if self._context else most
        if left < max((len(choice) for choice in choices), default=1):
            msg = f"it is {len(ids)} tokens, and the model reads and writes {self._context} in all"
            raise TeacherError(msg)
        return _Asked(ids, choices, min(most, left))

    def _end_of_turn(self, chat: ChatTemplate) -> int:
        """Return the token by which the template ends an assistant's turn."""
        if self._end is None:
            self._end = chat.ends[0]
            turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
            with contextlib.suppress(TeacherError):
                begun = chat.filled(turns[:1], begins=True)
                answer, has_end = chat.up_to_end(chat.filled(turns, begins=False)[len(begun) :])
                self._end = chat.ids_of(answer, ())[-1] if has_end else self._end
        return self._end

    def _chosen(self, asked: dict[int, _Asked]) -> dict[int, Answer]:
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

    def _written(self, asked: _Asked, ids: list[int], finish: str) -> Answer:
        if len(ids) > asked.most:  # it was written beside one that may be longer
            ids, finish = ids[: asked.most], "length"
        tokens = len(asked.ids) + len(ids)
        if self._chat is not None:
            return Answer((), tokens, self._chat.text(ids), finish=finish)
        plain = [token for token in ids if token not in self._ends]
        text = str(self._tokenizer.decode(plain, skip_special_tokens=True))
        return Answer((), tokens, text, finish=finish)


def _ends(folder: Path, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens that end a text; none where the folder names none, and texts go on."""
    try:
        return ends_of(folder, tokenizer)
    except TeacherError:
        return ()


def _in_float32(model: Any) -> Any:
    kinds = {one.dtype for one in model.parameters() if one.is_floating_point()}
    return model if kinds <= {torch.float32} else copy.deepcopy(model).float()
