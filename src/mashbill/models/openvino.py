"""The embedded teacher on OpenVINO.

openvino-genai reads the GGUF file once and saves OpenVINO's own format; that graph is then cut
open, so that the output head is computed at the last position only, and the state after the
few-shot prefix is computed once and handed to every batch.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from tokenizers import Tokenizer

from mashbill.core.canonical import digest_file
from mashbill.core.extras import needs
from mashbill.core.store import write_atomically
from mashbill.models import chat_template
from mashbill.models.gguf_file import GgufFile
from mashbill.models.gguf_pre_tokenizers import COMPOSED
from mashbill.models.prefixed import PrefixedTeacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Answer, Question
    from mashbill.models.openvino_writer import OpenVinoWriter

_MODEL = "openvino_model.xml"
_TOKENIZER = "tokenizer.json"


class OpenVinoTeacher(PrefixedTeacher):
    """See the module."""

    def __init__(
        self,
        gguf: Path,
        *,
        identity: Mapping[str, Any],
        precision: str,
        batch: int,
        cache: Path,
        threads: int,
        writing: Mapping[str, Any],
    ) -> None:
        """Load the file, converting it once into ``cache``."""
        folder = _converted(gguf, cache)
        self._load_writer = partial(_writer, gguf, folder, dict(writing), precision, threads)
        self._writer: OpenVinoWriter | None = None
        super().__init__(Tokenizer.from_file(str(folder / _TOKENIZER)), identity, batch)
        model = last_position_only(ov.Core().read_model(folder / _MODEL))
        self._request = (
            ov.Core()
            .compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": threads,
                    "INFERENCE_PRECISION_HINT": precision,
                    "KV_CACHE_PRECISION": precision,
                },
            )
            .create_infer_request()
        )
        self._states: list[tuple[Any, np.ndarray]] = []

    def write(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions with text; the pipeline that writes is loaded when it is needed."""
        if self._writer is None:
            self._writer = self._load_writer(self._tokenizer)
        return self._writer.write(questions)

    def _compute_prefix(self, ids: np.ndarray) -> None:
        self._request.reset_state()
        self._infer(ids, np.array([ids.shape[1]]))
        self._states = [(s, np.array(s.state.data)) for s in self._request.query_state()]

    def _compute_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        for state, value in self._states:
            state.state = ov.Tensor(value)
        return self._infer(ids, lengths)

    def _infer(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return logits at each row's last position, shape (batch, vocabulary).

        The state may have one row where ``ids`` has many: ``beam_idx`` of zeros repeats it.
        """
        rows, longest = ids.shape
        positions = self._prefix_length + np.arange(longest)
        outputs = self._request.infer(
            {
                "input_ids": ids,
                "attention_mask": self._mask(longest, lengths),
                "position_ids": np.tile(positions, (rows, 1)),
                "beam_idx": np.zeros(rows, np.int32),
                "last": lengths[:, None] - 1,
            }
        )
        return np.array(outputs[0][:, 0, :])


def _writer(
    gguf: Path,
    folder: Path,
    settings: dict[str, Any],
    precision: str,
    threads: int,
    tokenizer: Tokenizer,
) -> OpenVinoWriter:
    with needs("engine 'openvino'", "local"):
        from mashbill.models.openvino_writer import OpenVinoWriter

    path = folder / chat_template.FILE
    if not path.exists():
        write_atomically(path, json.dumps(chat_template.describe(GgufFile(gguf))).encode())
    chat = chat_template.ChatTemplate(folder, tokenizer)
    return OpenVinoWriter(folder, chat, settings, precision, threads)


def last_position_only(model: ov.Model) -> ov.Model:
    """Put a gather of each row's last position before the output head."""
    head = model.get_results()[0].input(0).get_source_output().get_node()
    last = ops.parameter([-1, 1], np.int64, name="last")
    last.output(0).get_tensor().set_names({"last"})
    index = ops.unsqueeze(last, ops.constant(2, np.int64))
    hidden = head.input(0).get_source_output()
    gathered = ops.gather_nd(hidden, index, batch_dims=1)
    head.input(0).replace_source_output(gathered.output(0))
    model.add_parameters([last])
    model.validate_nodes_and_infer_types()
    return model


def _converted(gguf: Path, cache: Path) -> Path:
    """Return the folder with tokenizer and model in OpenVINO's format, converting once.

    The folder is named by the file's digest and the converter's version. Every matrix is float16
    on the way: the converter misreads Q4_1, and float16 agrees with torch to the third decimal.
    """
    file = GgufFile(gguf)
    # Letters were not composed for Qwen's tokenizers once: those that are kept of then are others.
    composed = "-composed" if file.value("tokenizer.ggml.pre") in COMPOSED else ""
    key = f"{digest_file(gguf)[:32]}-f16-tokenizer{composed}-{version('openvino-genai')}"
    final = cache / "openvino" / key
    if final.exists():
        return final
    with needs("engine 'openvino'", "local"):
        import openvino_genai

    scratch = cache / "openvino" / f".{key}.{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    file.tokenizer().save(str(scratch / _TOKENIZER))
    file.rewrite_f16(scratch / "model.gguf")
    openvino_genai.LLMPipeline(scratch / "model.gguf", "CPU", enable_save_ov_model=True)
    (scratch / "model.gguf").unlink()
    if final.exists():
        shutil.rmtree(scratch)
    else:
        scratch.rename(final)
    return final
