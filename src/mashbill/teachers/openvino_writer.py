"""Writing with openvino-genai: continuous batching, structured output by JSON Schema.

Requests of a batch share the processor and leave it as they end, so a long answer holds up no
short one. Which requests run together can change the last bits of a sum, so at temperature 0 a tie
may break another way in another batch; batches are cut the same way on a resume.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import openvino_genai

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import TeacherError
from mashbill.core.stage import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import Question
    from mashbill.teachers.chat_template import ChatTemplate

_CACHE_GB = 2
_AT_ONCE = 64


class OpenVinoWriter:
    """Answers questions with text."""

    def __init__(
        self,
        folder: Path,
        chat: ChatTemplate,
        settings: dict[str, Any],
        precision: str,
        threads: int,
    ) -> None:
        """Load the pipeline.

        Args:
            folder: the converted model.
            chat: its template and tokenizer.
            settings: max_tokens, temperature, top_p, seed.
            precision: of activations, f32 or bf16.
            threads: processor threads.
        """
        self._chat = chat
        self._settings = settings
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = _CACHE_GB
        scheduler.max_num_seqs = _AT_ONCE
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(folder),
            scheduler,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": precision,
                "KV_CACHE_PRECISION": precision,
            },
        )

    def write(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer a batch; one question's fault fails that question alone."""
        answers: list[Answer | None] = [None] * len(questions)
        prompts: list[list[int]] = []
        configs: list[Any] = []
        places: list[int] = []
        for place, question in enumerate(questions):
            if question.tools:
                answers[place] = Answer((), 0, failed="an embedded teacher has no tools to call")
                continue
            try:
                ids = self._chat.ids(question)
                configs.append(self._config(question))
            except TeacherError as error:
                answers[place] = Answer((), 0, failed=str(error))
                continue
            prompts.append(ids)
            places.append(place)
        if prompts:
            tensors = [ov.Tensor(np.array([ids], np.int64)) for ids in prompts]
            try:
                results = self._pipeline.generate(tensors, configs)
            except RuntimeError as error:
                msg = f"the embedded teacher cannot answer a batch: {str(error).splitlines()[-1]}"
                raise TeacherError(msg) from error
            for place, ids, result in zip(places, prompts, results, strict=True):
                answers[place] = self._answer(ids, list(result.m_generation_ids[0]))
        return [answer for answer in answers if answer is not None]

    def _answer(self, asked: list[int], written: list[int]) -> Answer:
        ended = bool(written) and written[-1] in self._chat.ends
        cut = not ended and len(written) >= self._settings["max_tokens"]
        text = self._chat.text(written)
        tokens = len(asked) + len(written)
        return Answer((), tokens, text, finish="length" if cut else "stop")

    def _config(self, question: Question) -> Any:
        settings = self._settings
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = settings["max_tokens"]
        config.eos_token_id = self._chat.ends[0]
        config.stop_token_ids = set(self._chat.ends)
        config.apply_chat_template = False
        if settings["temperature"] > 0:
            config.do_sample = True
            config.temperature = settings["temperature"]
            config.top_p = settings["top_p"]
            config.rng_seed = _seed(settings["seed"], question)
        if question.schema:
            _check_schema(question.schema)
            config.structured_output_config = openvino_genai.StructuredOutputConfig(
                json_schema=question.schema
            )
        return config


def _seed(seed: int, question: Question) -> int:
    """Return a seed that follows from the teacher's, the question and the sample."""
    key = "\n".join(
        (str(seed), str(question.sample), question.system, question.turns, question.body)
    )
    return int(digest_bytes(key.encode())[:12], 16)


def _check_schema(text: str) -> None:
    try:
        schema = json.loads(text)
    except ValueError as error:
        msg = f"the schema is no JSON: {error}"
        raise TeacherError(msg) from error
    if not isinstance(schema, dict):
        msg = f"the schema is {schema!r:.60}; an object is needed"
        raise TeacherError(msg)
