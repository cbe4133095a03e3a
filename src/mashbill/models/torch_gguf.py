"""The embedded teacher on PyTorch, with transformers' Llama and the GGUF's own weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from mashbill.core.canonical import digest_file
from mashbill.core.errors import TeacherError
from mashbill.core.store import write_atomically
from mashbill.core.teacher import Answer
from mashbill.models import chat_template
from mashbill.models.chat_template import ChatTemplate, describe
from mashbill.models.gguf_file import GgufFile
from mashbill.models.prefixed import PrefixedTeacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.teacher import Question

_DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


class TorchTeacher(PrefixedTeacher):
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
        """Load the file; only the chat template is written into ``cache``."""
        torch.set_num_threads(threads)
        file = GgufFile(gguf)
        super().__init__(file.tokenizer(), identity, batch)
        self._settings = dict(writing)
        folder = cache / "chat" / digest_file(gguf)[:32]
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / chat_template.FILE, json.dumps(describe(file)).encode())
        self._chat = ChatTemplate(folder, self._tokenizer)
        self._model = llama_of(file).to(_DTYPES[precision]).eval()
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    @torch.inference_mode()
    def write(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions one by one, likeliest token first: the slow reference.

        Raises:
            TeacherError: for a schema or a temperature, which the other engine has.
        """
        if self._settings["temperature"] > 0 or any(
            question.schema is not None for question in questions
        ):
            msg = (
                "engine = 'torch' writes the likeliest token and no schema; for a schema or a "
                "temperature set engine = 'openvino' in the teacher's table"
            )
            raise TeacherError(msg)
        answers = []
        for question in questions:
            try:
                ids = self._chat.asked(question, self._settings["max_tokens"])
            except TeacherError as error:
                answers.append(Answer((), 0, failed=str(error)))
                continue
            made = self._model.generate(
                torch.tensor([ids]),
                max_new_tokens=self._settings["max_tokens"],
                do_sample=False,
                eos_token_id=list(self._chat.ends),
                pad_token_id=self._chat.ends[0],
            )[0, len(ids) :].tolist()
            finish = "stop" if made and made[-1] in self._chat.ends else "length"
            text = self._chat.text(made)
            answers.append(Answer((), len(ids) + len(made), text, finish=finish))
        return answers

    @torch.inference_mode()
    def _compute_prefix(self, ids: np.ndarray) -> None:
        past = self._model.model(torch.from_numpy(ids), use_cache=True).past_key_values
        self._layers = [(layer.keys, layer.values) for layer in past.layers]

    @torch.inference_mode()
    def _compute_logits(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        rows, longest = ids.shape
        past = DynamicCache()
        for index, (keys, values) in enumerate(self._layers):
            past.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index)
        hidden = self._model.model(
            torch.from_numpy(ids),
            attention_mask=torch.from_numpy(self._mask(longest, lengths)),
            past_key_values=past,
            use_cache=True,
        ).last_hidden_state
        last = hidden[torch.arange(rows), torch.from_numpy(lengths - 1)]
        logits: np.ndarray = self._model.lm_head(last).float().numpy()
        return logits


def llama_of(file: GgufFile) -> LlamaForCausalLM:
    """Return the model of a GGUF file, its weights dequantised to float32.

    Raises:
        TeacherError: if it is of another architecture than Llama's.
    """
    if file.architecture != "llama":
        msg = (
            f"{file.path.name} is of architecture {file.architecture!r}, and llama is what torch "
            "reads of GGUF; name a folder of safetensors, or leave engine at 'openvino'"
        )
        raise TeacherError(msg)
    heads, kv_heads = (
        file.value("llama.attention.head_count"),
        file.value("llama.attention.head_count_kv"),
    )
    tensors = dict(file.weights())
    tied = "output.weight" not in tensors
    config = LlamaConfig(
        vocab_size=file.value("llama.vocab_size"),
        hidden_size=file.value("llama.embedding_length"),
        intermediate_size=file.value("llama.feed_forward_length"),
        num_hidden_layers=file.value("llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=file.value("llama.context_length"),
        rms_norm_eps=file.value("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": file.value("llama.rope.freq_base")},
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    weights = {}
    rotated = {"attn_q": heads, "attn_k": kv_heads}
    for name, values in tensors.items():
        part = name.split(".")[-2]
        straight = _unpermuted(values, rotated[part]) if part in rotated else values
        weights[_renamed(name)] = torch.from_numpy(np.array(straight))
    if tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, assign=True)
    model.model.rotary_emb = LlamaRotaryEmbedding(config)
    return model


def _unpermuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's reordering of each head's rows for its rotary embedding."""
    rows, columns = weights.shape
    grouped = weights.reshape(heads, rows // heads // 2, 2, columns)
    return grouped.swapaxes(1, 2).reshape(rows, columns)


def _renamed(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{_NAMES[parts[2]]}.{parts[3]}"
    return f"{_OUTER[parts[0]]}.{parts[1]}"
