"""A student through the embedded engine: its folder is written as GGUF once, and OpenVINO computes.

Weights are float16 on the way, since OpenVINO's reader takes no float32: answers are near those of
the trained model and not the same to the bit, and a tie may break another way. What is kept in the
cache is OpenVINO's own form, by the model's digest and the versions that made it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
import openvino_genai

from mashbill.core.errors import InputError, TeacherError
from mashbill.core.extras import needs
from mashbill.core.teacher import Answer
from mashbill.models.engine_choice import obstacle
from mashbill.models.openvino import last_position_only
from mashbill.models.openvino_writer import OpenVinoWriter
from mashbill.models.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.model import Decoding
    from mashbill.core.teacher import Question
    from mashbill.models.reading import Asked

_MADE = "1"  # of how the files are written: another way gives another folder
_MODEL = "openvino_model.xml"
_PRECISION = "f32"  # of what is computed


class OpenVinoStudent:
    """A :class:`mashbill.core.model.Writer` over OpenVINO."""

    def __init__(self, folder: Path, digest: str, cache: Path, threads: int, batch: int) -> None:
        """Load a model, converting it if the cache has none.

        Args:
            folder: as transformers keeps it.
            digest: of its content.
            cache: where what is converted is kept.
            threads: of the processor.
            batch: rows computed together where choices are weighed.

        Raises:
            InputError: if it cannot be computed by this engine, and why.
        """
        why = obstacle(folder)
        if why:
            msg = f"OpenVINO does not compute {folder}: {why}"
            raise InputError(msg)
        self._reading = Reading(folder)
        self._folder = converted(folder, digest, cache)
        self._threads = threads
        self._batch = batch
        self._writer: tuple[Decoding, OpenVinoWriter] | None = None
        self._request: ov.InferRequest | None = None

    def answer(self, questions: Sequence[Question], decoding: Decoding) -> list[Answer]:
        """Answer each question, in order: see :class:`mashbill.core.model.Writer`."""
        chosen = [place for place, question in enumerate(questions) if question.choices]
        writing = [place for place, question in enumerate(questions) if not question.choices]
        made = self._writes(decoding).write([questions[place] for place in writing])
        answers = dict(zip(writing, made, strict=True))
        for place in chosen:
            try:
                asked = self._reading.asked(questions[place], decoding.max_tokens)
                answers[place] = self._chosen(asked)
            except TeacherError as error:
                answers[place] = Answer((), 0, failed=str(error))
        return [answers[place] for place in range(len(questions))]

    def _writes(self, decoding: Decoding) -> OpenVinoWriter:
        if self._writer is None or self._writer[0] != decoding:
            settings = asdict(decoding)
            made = OpenVinoWriter(self._folder, self._reading, settings, _PRECISION, self._threads)
            self._writer = (decoding, made)
        return self._writer[1]

    def _chosen(self, asked: Asked) -> Answer:
        """Return how likely each choice is, the sum over its tokens."""
        beginnings = sorted(
            {tuple(choice[:at]) for choice in asked.choices for at in range(len(choice))}
        )
        after: dict[tuple[int, ...], np.ndarray] = {}
        for start in range(0, len(beginnings), self._batch):
            some = beginnings[start : start + self._batch]
            logits = self._logits([[*asked.ids, *begun] for begun in some])
            after |= dict(zip(some, _log_softmax(logits), strict=True))
        found = tuple(
            float(sum(after[tuple(choice[:at])][token] for at, token in enumerate(choice)))
            for choice in asked.choices
        )
        return Answer(found, len(asked.ids) + sum(len(choice) for choice in asked.choices))

    def _logits(self, rows: list[list[int]]) -> np.ndarray:
        """Return logits after each row's last token, shape (rows, vocabulary)."""
        if self._request is None:
            model = last_position_only(ov.Core().read_model(self._folder / _MODEL))
            how = {
                "INFERENCE_NUM_THREADS": self._threads,
                "INFERENCE_PRECISION_HINT": _PRECISION,
                "KV_CACHE_PRECISION": _PRECISION,
            }
            self._request = ov.Core().compile_model(model, "CPU", how).create_infer_request()
        lengths = np.array([len(row) for row in rows])
        ids = np.zeros((len(rows), lengths.max()), np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
        positions = np.arange(ids.shape[1])
        self._request.reset_state()
        outputs = self._request.infer(
            {
                "input_ids": ids,
                "attention_mask": (positions < lengths[:, None]).astype(np.int64),
                "position_ids": np.tile(positions, (len(rows), 1)),
                "beam_idx": np.arange(len(rows), dtype=np.int32),
                "last": lengths[:, None] - 1,
            }
        )
        return np.array(outputs[0][:, 0, :])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def converted(folder: Path, digest: str, cache: Path) -> Path:
    """Return the folder with a model in OpenVINO's form, converting it once.

    Raises:
        InputError: if it is of an architecture, or has a tokenizer, that is not read there.
    """
    key = f"student-{digest[:32]}-{_MADE}-{version('openvino-genai')}"
    final = cache / "openvino" / key
    if final.exists():
        return final
    with needs("a student by engine 'openvino'", "students"):
        from mashbill.models.gguf_writing import write_gguf
    scratch = final.with_name(f".{key}.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        file = scratch / "model.gguf"
        write_gguf(folder, file, "f16", {})
        openvino_genai.LLMPipeline(file, "CPU", enable_save_ov_model=True)
        file.unlink()
        if not final.exists():
            scratch.rename(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final
