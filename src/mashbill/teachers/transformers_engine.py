"""A teacher in this process over transformers, from a folder of safetensors.

For models and devices that ``embedded`` does not read. Questions of a batch are computed together,
padded, which can change the last bits of an answer, so a tie may break another way in another
batch; what is drawn follows from seed, question and sample (:mod:`mashbill.models.drawing`).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mashbill.core.errors import TeacherError
from mashbill.core.extras import needs
from mashbill.core.parsing import foreign
from mashbill.core.teacher import Answer
from mashbill.models.drawing import generator
from mashbill.models.folder import chat_of, plain_tokenizer
from mashbill.models.prefixed import PrefixedTeacher
from mashbill.teachers.folder_model import FolderTeacherSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.teacher import Question
    from mashbill.models.chat_template import ChatTemplate


_DRAWS = 2
"""how samples are drawn; before, torch's own generator drew, and each question was asked alone"""


class TransformersTeacherSpec(FolderTeacherSpec):
    """``kind = "transformers"``."""

    context: ClassVar[frozenset[str]] = frozenset({"device"})

    kind: Literal["transformers"] = "transformers"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """of weights and activations"""
    device: str = Field(default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$")
    """where it runs; no identity, though devices differ in last bits and draw other samples"""
    batch: int = Field(default=16, gt=0)
    """questions computed together"""

    @property
    def extras(self) -> tuple[str, ...]:
        """What its engine is in."""
        return ("torch-teacher",)

    @property
    def identity(self) -> dict[str, Any]:
        """The weights, the engine, its precision and padding, and how it writes."""
        return {
            "kind": "transformers",
            "sha256": self.sha256,
            "precision": self.precision,
            "batch": self.batch,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "engine_version": _version(),
            # Only where it draws: what was answered without keeps its digest.
            **({"draws": _DRAWS} if self.temperature > 0 else {}),
        }

    def load(self, folder: Path, cache: Path, threads: int) -> TransformersTeacher:
        """Load the weights.

        Raises:
            MissingExtraError: if transformers or torch is not installed.
            TeacherError: if transformers cannot load the folder.
        """
        with needs("kind 'transformers'", "torch-teacher"):
            import torch
            from transformers import AutoModelForCausalLM, GenerationConfig
        torch.set_num_threads(threads)
        weights = self.weights(folder, cache)
        with foreign(self.folder, "a folder of weights", error=TeacherError):
            try:
                model = AutoModelForCausalLM.from_pretrained(
                    weights,
                    dtype=getattr(torch, self.precision),
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=True,
                ).to(self.device)
            except (OSError, ValueError, RuntimeError, AssertionError) as error:
                # AssertionError: a torch built without the device
                said = (str(error).strip() or repr(error)).splitlines()[0]
                msg = f"transformers cannot load {self.folder} on device {self.device!r}: {said}"
                raise TeacherError(msg) from error
        model.generation_config = GenerationConfig()  # the recipe says how it writes
        return TransformersTeacher(self, model.eval(), weights, cache)


class TransformersTeacher(PrefixedTeacher):
    """See the module; a :class:`mashbill.core.teacher.Teacher`."""

    def __init__(
        self, spec: TransformersTeacherSpec, model: Any, weights: Path, cache: Path
    ) -> None:
        tokenizer, self._begin = plain_tokenizer(weights)
        super().__init__(tokenizer, spec.identity, spec.batch)
        self._spec = spec
        self._model = model
        self._weights = weights
        self._cache = cache
        self._chat: ChatTemplate | None = None
        self._before: list[int] = []

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions; see :meth:`PrefixedTeacher.answer`.

        Raises:
            TeacherError: if they do not fit into the device's memory, or cannot be answered.
        """
        with needs("kind 'transformers'", "torch-teacher"):
            import torch

        try:
            return super().answer(questions)
        except torch.OutOfMemoryError as error:
            msg = (
                f"{self._spec.device} has too little memory for {len(questions)} questions "
                f"together; set batch below {self._spec.batch} in the teacher's table"
            )
            raise TeacherError(msg) from error

    def _compute_prefix(self, ids: np.ndarray) -> None:
        # Not every architecture can repeat a state over a batch: the prefix is computed again.
        self._before = [*self._begin, *(int(i) for i in ids[0])]

    def _compute_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        with needs("kind 'transformers'", "torch-teacher"):
            import torch

        rows, longest = ids.shape
        before = np.tile(np.array(self._before, np.int64), (rows, 1))
        mask = np.ones((rows, len(self._before) + longest), np.int64)
        mask[:, len(self._before) :] = np.arange(longest) < lengths[:, None]
        last = len(self._before) + lengths - 1
        kept = np.unique(last)
        with torch.inference_mode():
            logits = self._model(
                input_ids=self._tensor(np.concatenate([before, ids], axis=1)),
                attention_mask=self._tensor(mask),
                logits_to_keep=self._tensor(kept),
                use_cache=False,
            ).logits
            chosen = logits[
                torch.arange(rows), torch.from_numpy(np.searchsorted(kept, last)).to(logits.device)
            ]
            found: np.ndarray = chosen.float().cpu().numpy()
        return found

    def write(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions with text; what is wrong with one of them fails that one alone.

        Raises:
            TeacherError: for a schema, which transformers cannot hold its answers to, or if the
                folder has no chat template.
        """
        if any(question.schema is not None for question in questions):
            msg = (
                "kind = 'transformers' writes under no schema; ask a teacher of kind 'embedded' "
                "or 'vllm', or leave schema out"
            )
            raise TeacherError(msg)
        if self._chat is None:
            self._chat = chat_of(self._weights, self._tokenizer, self._cache)
        answers: dict[int, Answer] = {}
        asked: dict[int, list[int]] = {}
        for place, question in enumerate(questions):
            try:
                asked[place] = self._chat.asked(question, self._spec.max_tokens)
            except TeacherError as error:
                answers[place] = Answer((), 0, failed=str(error))
        if asked:
            answers |= self._written(questions, asked, self._chat)
        return [answers[place] for place in range(len(questions))]

    def _written(
        self, questions: Sequence[Question], asked: dict[int, list[int]], chat: ChatTemplate
    ) -> dict[int, Answer]:
        with needs("kind 'transformers'", "torch-teacher"):
            from mashbill.models.causal_generation import Draft, written

        how = self._spec.decoding
        drafts = [Draft(ids, generator(how.seed, questions[at])) for at, ids in asked.items()]
        made = written(self._model, drafts, chat.ends, how.max_tokens, how)
        return {
            place: Answer((), len(asked[place]) + len(ids), chat.text(ids), finish=finish)
            for place, (ids, finish) in zip(asked, made, strict=True)
        }

    def _tensor(self, values: np.ndarray) -> Any:
        with needs("kind 'transformers'", "torch-teacher"):
            import torch

        return torch.from_numpy(values).to(self._model.device)


def _version() -> str:
    try:
        return version("transformers")
    except PackageNotFoundError:
        return "not installed"
