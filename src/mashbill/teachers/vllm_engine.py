"""A teacher in this process over vLLM, from a folder of safetensors: for a machine with a GPU.

This was never run against vLLM, which was not to be had where it was written. It is written to the
offline API that vLLM documents (``LLM``, ``SamplingParams``, ``StructuredOutputsParams``; version
0.11 and later), and its tests hold it to a stand-in with that interface. A running server of vLLM
is reached by ``kind = "server"``.

Prompts are made by our own reading of the model's chat template, as token ids, so that no text of a
row can end a turn. Which requests run together can change the last bits of an answer.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.core.errors import TeacherError
from mashbill.core.extras import needs
from mashbill.core.parsing import foreign
from mashbill.core.schema import Schema
from mashbill.core.teacher import Answer
from mashbill.models.folder import chat_of, plain_tokenizer, seed_of
from mashbill.teachers.folder_model import FolderTeacherSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Question
    from mashbill.models.chat_template import ChatTemplate

_FINISHES = ("stop", "length")


class VllmTeacherSpec(FolderTeacherSpec):
    """``kind = "vllm"``."""

    context: ClassVar[frozenset[str]] = frozenset({"gpus", "gpu_memory"})

    kind: Literal["vllm"] = "vllm"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """of weights and activations; auto takes the folder's own"""
    context_tokens: int = Field(default=0, ge=0)
    """tokens, read and written, to keep room for; 0 takes what the model was made for"""
    gpus: int = Field(default=1, gt=0)
    """GPUs that the weights are spread over"""
    gpu_memory: float = Field(default=0.9, gt=0, le=1)
    """share of each GPU's memory to use"""
    batch: int = Field(default=256, gt=0)
    """questions handed over together"""

    @property
    def extras(self) -> tuple[str, ...]:
        """What its engine is in."""
        return ("vllm",)

    @property
    def identity(self) -> dict[str, Any]:
        """The weights, the engine and its precision, and how it writes."""
        return {
            "kind": "vllm",
            "sha256": self.sha256,
            "precision": self.precision,
            "batch": self.batch,
            "context_tokens": self.context_tokens,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "engine_version": _version(),
        }

    def load(self, folder: Path, cache: Path, threads: int) -> VllmTeacher:
        """Load the weights.

        Raises:
            MissingExtraError: if vLLM is not installed.
            TeacherError: if vLLM cannot load the folder.
        """
        del threads  # vLLM sets its own
        with needs("kind 'vllm'", "vllm"):
            import vllm
        weights = self.weights(folder, cache)
        with foreign(self.folder, "a folder of weights", error=TeacherError):
            try:
                engine = vllm.LLM(
                    model=str(weights),
                    dtype=self.precision,
                    max_model_len=self.context_tokens or None,
                    tensor_parallel_size=self.gpus,
                    gpu_memory_utilization=self.gpu_memory,
                    trust_remote_code=False,
                    seed=self.seed,
                )
            except (OSError, ValueError, RuntimeError) as error:
                said = (str(error).strip() or repr(error)).splitlines()[0]
                msg = f"vLLM cannot load {self.folder}: {said}"
                raise TeacherError(msg) from error
        return VllmTeacher(self, engine, weights, cache)


class VllmTeacher:
    """See the module; a :class:`mashbill.core.teacher.Teacher`."""

    can_write = True

    def __init__(self, spec: VllmTeacherSpec, engine: Any, weights: Path, cache: Path) -> None:
        self.identity = spec.identity
        self.batch = spec.batch
        self._spec = spec
        self._engine = engine
        self._weights = weights
        self._cache = cache
        self._tokenizer, self._begin = plain_tokenizer(weights)
        self._chat: ChatTemplate | None = None

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return the tokens of each question's body."""
        return [len(self._ids(question.body)) for question in questions]

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions; what is wrong with one of them fails that one alone.

        Raises:
            TeacherError: if two choices begin with the same token, a schema is none, or the folder
                has no chat template.
        """
        chosen = {place: q for place, q in enumerate(questions) if q.choices}
        written = {place: q for place, q in enumerate(questions) if not q.choices}
        answers = self._weigh(chosen) | self._write(written)
        return [answers[place] for place in range(len(questions))]

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def _weigh(self, questions: Mapping[int, Question]) -> dict[int, Answer]:
        """Return the log-probability of each choice's first token.

        Each choice is a prompt that ends with that token; what is asked for is how likely its last
        token was, which vLLM reports exactly, however unlikely it is.
        """
        prompts: list[dict[str, Any]] = []
        for question in questions.values():
            first = [self._ids(choice)[0] for choice in question.choices]
            if len(set(first)) < len(first):
                msg = (
                    f"choices {list(question.choices)} share a first token; choose label words "
                    "that differ there"
                )
                raise TeacherError(msg)
            text = [*self._begin, *self._ids(question.prefix), *self._ids(question.body)]
            prompts += [{"prompt_token_ids": [*text, token]} for token in first]
        if not prompts:
            return {}
        asked = self._sampling(max_tokens=1, temperature=0.0, prompt_logprobs=0)
        results = iter(self._engine.generate(prompts, asked, use_tqdm=False))
        answers = {}
        for place, question in questions.items():
            logprobs, tokens = [], 0
            for _ in question.choices:
                result = next(results)
                token = result.prompt_token_ids[-1]
                logprobs.append(float(result.prompt_logprobs[-1][token].logprob))
                tokens += len(result.prompt_token_ids) + len(result.outputs[0].token_ids)
            answers[place] = Answer(tuple(logprobs), tokens)
        return answers

    def _write(self, questions: Mapping[int, Question]) -> dict[int, Answer]:
        if not questions:
            return {}
        asked_for = {item.schema for item in questions.values() if item.schema is not None}
        for schema in sorted(asked_for, key=Schema.to_json):
            _check_schema(schema)
        if self._chat is None:
            self._chat = chat_of(self._weights, self._tokenizer, self._cache)
        answers: dict[int, Answer] = {}
        asked: dict[int, list[int]] = {}
        for place, question in questions.items():
            try:
                asked[place] = self._chat.asked(question, self._spec.max_tokens)
            except TeacherError as error:
                answers[place] = Answer((), 0, failed=str(error))
        try:
            answers |= self._generated(asked, questions, self._chat)
        except ValueError:  # of one of them, and vLLM gives all of them up
            for place, ids in asked.items():
                try:
                    answers |= self._generated({place: ids}, questions, self._chat)
                except ValueError as error:
                    answers[place] = Answer((), 0, failed=f"vLLM refuses it: {error!s:.200}")
        return answers

    def _generated(
        self, asked: Mapping[int, list[int]], questions: Mapping[int, Question], chat: ChatTemplate
    ) -> dict[int, Answer]:
        if not asked:
            return {}
        spec = self._spec
        wanted = [
            self._sampling(
                max_tokens=spec.max_tokens,
                temperature=spec.temperature,
                top_p=spec.top_p,
                seed=seed_of(spec.seed, questions[place]) if spec.temperature else None,
                stop_token_ids=list(chat.ends),
                schema=questions[place].schema,
            )
            for place in asked
        ]
        prompts = [{"prompt_token_ids": ids} for ids in asked.values()]
        results = self._engine.generate(prompts, wanted, use_tqdm=False)
        answers = {}
        for (place, ids), result in zip(asked.items(), results, strict=True):
            made = result.outputs[0]
            finish = made.finish_reason if made.finish_reason in _FINISHES else "other"
            tokens = len(ids) + len(made.token_ids)
            answers[place] = Answer((), tokens, chat.text(made.token_ids), finish=finish)
        return answers

    def _sampling(self, *, schema: Schema | None = None, **keys: Any) -> Any:
        with needs("kind 'vllm'", "vllm"):
            from vllm import SamplingParams
            from vllm.sampling_params import StructuredOutputsParams

        if schema is not None:
            keys["structured_outputs"] = StructuredOutputsParams(json=schema.to_json())
        return SamplingParams(**keys)


def _check_schema(schema: Schema) -> None:
    """Raise TeacherError if a value is no JSON Schema."""
    import jsonschema

    try:
        jsonschema.validators.validator_for(schema.value).check_schema(schema.value)
    except (ValueError, TypeError, jsonschema.SchemaError) as error:
        why = error.message if isinstance(error, jsonschema.SchemaError) else str(error)
        msg = f"the schema {schema.to_json():.200} is no JSON Schema: {why:.200}; correct it"
        raise TeacherError(msg) from error


def _version() -> str:
    try:
        return version("vllm")
    except PackageNotFoundError:
        return "not installed"
