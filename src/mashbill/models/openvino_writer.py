"""Writing with openvino-genai: continuous batching, structured output by JSON Schema.

Requests of a batch share the processor and leave it as they end, so a long answer holds up no
short one. Which requests run together can change the last bits of a sum, so a tie may break another
way in another batch; batches are cut the same way on a resume.

A beginning that all requests of a batch share, such as examples in a prompt, is computed once for
them. What the pipeline's cache of beginnings holds would depend on what was asked before, so a
batch that gains by it has a pipeline of its own, which begins empty. Whole blocks alone are put
there: requests that went on from one half full block were seen to write over each other in it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import openvino_genai

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import TeacherError
from mashbill.core.teacher import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Question
    from mashbill.models.chat_template import ChatTemplate
    from mashbill.models.reading import Reading

_AT_ONCE = 64  # measured: LOG.md, "Writing"
_BLOCK = 32  # tokens whose state is kept together, on a processor
_SHARED_LEAST = 2_000  # tokens that need not be computed again: what a pipeline takes to be made
_FINISHES = {
    openvino_genai.GenerationFinishReason.STOP: "stop",
    openvino_genai.GenerationFinishReason.LENGTH: "length",
}


class OpenVinoWriter:
    """Answers questions with text."""

    def __init__(
        self,
        folder: Path,
        chat: ChatTemplate | Reading,
        settings: Mapping[str, Any],
        precision: str,
        threads: int,
    ) -> None:
        """Load the pipeline.

        Args:
            folder: the converted model.
            chat: its template and tokenizer, or how a student reads.
            settings: max_tokens, temperature, top_p, seed.
            precision: of activations, f32 or bf16.
            threads: processor threads.
        """
        self._chat = chat
        self._most: int = settings["max_tokens"]
        self._settings = settings
        self._schemas: set[str] = set()
        self._folder = folder
        self._how = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "KV_CACHE_PRECISION": precision,
        }
        self._plain: Any = None

    def write(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer a batch; what is wrong with one question fails that question alone.

        Raises:
            TeacherError: if a schema is not one that decoding can be held to.
        """
        asked_for = {item.schema.to_json() for item in questions if item.schema is not None}
        for schema in sorted(asked_for - self._schemas):
            self._try_schema(schema)
            self._schemas.add(schema)
        answers: dict[int, Answer] = {}
        asked: dict[int, list[int]] = {}
        most: dict[int, int] = {}
        for place, question in enumerate(questions):
            try:
                asked[place], most[place] = self._asked(question)
            except TeacherError as error:
                answers[place] = Answer((), 0, failed=str(error))
        configs = {place: self._config(questions[place], most[place]) for place in asked}
        try:
            answers |= self._generated(asked, configs)
        except RuntimeError:
            for place, ids in asked.items():
                try:
                    answers |= self._generated({place: ids}, configs)
                except RuntimeError as error:
                    failed = f"the engine cannot answer it: {_last_line(error)}"
                    answers[place] = Answer((), 0, failed=failed)
        return [answers[place] for place in range(len(questions))]

    def _generated(
        self, asked: Mapping[int, list[int]], configs: Mapping[int, Any]
    ) -> dict[int, Answer]:
        if not asked:
            return {}
        shared = _beginning(list(asked.values()))
        if len(shared) * (len(asked) - 1) < _SHARED_LEAST:
            pipeline = self._pipeline
        else:
            pipeline = self._made(sharing=True)
            pipeline.generate([_tensor(shared)], [self._one_token()])
        tensors = [_tensor(ids) for ids in asked.values()]
        results = pipeline.generate(tensors, [configs[place] for place in asked])
        return {
            place: self._answer(ids, result)
            for (place, ids), result in zip(asked.items(), results, strict=True)
        }

    @property
    def _pipeline(self) -> Any:
        """The one that shares nothing, made when it is first needed."""
        if self._plain is None:
            self._plain = self._made(sharing=False)
        return self._plain

    def _made(self, *, sharing: bool) -> Any:
        """Return a pipeline, with a cache of beginnings that several questions share or without."""
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = 0  # it grows as it must
        scheduler.max_num_seqs = _AT_ONCE
        scheduler.enable_prefix_caching = sharing
        return openvino_genai.ContinuousBatchingPipeline(
            str(self._folder), scheduler, "CPU", self._how
        )

    def _one_token(self) -> Any:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = 1
        config.eos_token_id = self._chat.ends[0]
        config.apply_chat_template = False
        return config

    def _answer(self, asked: Sequence[int], result: Any) -> Answer:
        finish = _FINISHES.get(result.finish_reasons[0]) if result.finish_reasons else None
        if finish is None:
            return Answer((), 0, failed=f"the engine gave {len(asked)} tokens up: no memory for it")
        written = result.m_generation_ids[0]
        return Answer((), len(asked) + len(written), self._chat.text(written), finish=finish)

    def _asked(self, question: Question) -> tuple[list[int], int]:
        """Return a question's token ids, and how many may be written.

        Raises:
            TeacherError: if it cannot be answered.
        """
        found = self._chat.asked(question, self._most)
        return (found, self._most) if isinstance(found, list) else (found.ids, found.most)

    def _config(self, question: Question, most: int) -> Any:
        settings = self._settings
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = most
        config.eos_token_id = self._chat.ends[0]
        config.stop_token_ids = set(self._chat.ends)
        config.apply_chat_template = False
        if settings["temperature"] > 0:
            config.do_sample = True
            config.temperature = settings["temperature"]
            config.top_p = settings["top_p"]
            config.rng_seed = _seed(settings["seed"], question)
        if question.schema is not None:
            config.structured_output_config = openvino_genai.StructuredOutputConfig(
                json_schema=question.schema.to_json()
            )
        return config

    def _try_schema(self, schema: str) -> None:
        """Have the engine compile a schema, which it keeps, and write one token by it.

        Raises:
            TeacherError: saying what in the schema it cannot do.
        """
        config = self._one_token()
        config.structured_output_config = openvino_genai.StructuredOutputConfig(json_schema=schema)
        try:
            self._pipeline.generate([_tensor(self._chat.ends[:1])], [config])
        except RuntimeError as error:
            msg = (
                f"the embedded teacher cannot hold its answers to the schema {schema:.200}: "
                f"{_last_line(error)}; correct it or leave that part out of the schema"
            )
            raise TeacherError(msg) from error


def _beginning(rows: Sequence[list[int]]) -> list[int]:
    """Return the whole blocks that all rows begin with; one token of each row is left over."""
    first, last = min(rows), max(rows)
    most = min(len(row) for row in rows) - 1
    same = next((at for at in range(most) if first[at] != last[at]), most)
    return first[: same // _BLOCK * _BLOCK]


def _tensor(ids: Sequence[int]) -> Any:
    return ov.Tensor(np.array([ids], np.int64))


def _last_line(error: RuntimeError) -> str:
    """Return what an engine says, without where in its source it stands."""
    return re.sub(r"^.*\.(cc|cpp|hpp|h):\d+: ", "", str(error).strip().splitlines()[-1])


def _seed(seed: int, question: Question) -> int:
    """Return a seed that follows from the teacher's, the question and the sample."""
    key = json.dumps(
        [
            seed, question.sample, question.system, question.turns.to_json(), question.prefix,
            question.body, question.schema.to_json() if question.schema is not None else "",
        ]
    )  # fmt: skip
    return int(digest_bytes(key.encode())[:12], 16)
