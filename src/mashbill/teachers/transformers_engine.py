"""A teacher in this process over transformers, from a folder of safetensors.

For models and devices that ``embedded`` does not read. Questions of a batch are computed together,
padded, which can change the last bits of an answer, so a tie may break another way in another
batch; with a temperature each is written alone, from a seed of its own.
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
from mashbill.models.folder import chat_of, plain_tokenizer, seed_of
from mashbill.models.prefixed import PrefixedTeacher
from mashbill.teachers.folder_model import FolderTeacherSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.teacher import Question
    from mashbill.models.chat_template import ChatTemplate


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
        together = [[place] for place in asked] if self._spec.temperature > 0 else [list(asked)]
        for places in together:
            if places:
                seed = seed_of(self._spec.seed, questions[places[0]])
                made = self._generated([asked[place] for place in places], seed, self._chat)
                answers |= dict(zip(places, made, strict=True))
        return [answers[place] for place in range(len(questions))]

    def _generated(self, asked: list[list[int]], seed: int, chat: ChatTemplate) -> list[Answer]:
        with needs("kind 'transformers'", "torch-teacher"):
            import torch

        longest = max(map(len, asked))
        ids = np.full((len(asked), longest), chat.ends[0], np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(asked):  # padded on the left, where writing goes on
            ids[row, longest - len(one) :] = one
            mask[row, longest - len(one) :] = 1
        how: dict[str, Any] = {"do_sample": False}
        if self._spec.temperature > 0:
            how = {
                "do_sample": True,
                "temperature": self._spec.temperature,
                "top_p": self._spec.top_p,
                "top_k": 0,
            }
        device = self._model.device
        # Only where it runs: forking every GPU that there is would start each of them.
        drawn = [device] if device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(drawn):
            torch.manual_seed(seed)
            made = self._model.generate(
                self._tensor(ids),
                attention_mask=self._tensor(mask),
                max_new_tokens=self._spec.max_tokens,
                eos_token_id=list(chat.ends),
                pad_token_id=chat.ends[0],
                **how,
            )[:, longest:].tolist()
        return [_answer(one, written, chat) for one, written in zip(asked, made, strict=True)]

    def _tensor(self, values: np.ndarray) -> Any:
        with needs("kind 'transformers'", "torch-teacher"):
            import torch

        return torch.from_numpy(values).to(self._model.device)


def _answer(asked: list[int], written: list[int], chat: ChatTemplate) -> Answer:
    """Return an answer; behind the token that ends it there is padding."""
    ends = [place for place, token in enumerate(written) if token in chat.ends]
    made = written[: ends[0] + 1] if ends else written
    text = chat.text(made)
    return Answer((), len(asked) + len(made), text, finish="stop" if ends else "length")


def _version() -> str:
    try:
        return version("transformers")
    except PackageNotFoundError:
        return "not installed"
