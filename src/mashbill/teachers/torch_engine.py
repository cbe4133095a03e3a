"""The embedded teacher on PyTorch, with transformers' Llama and the GGUF's own weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from mashbill.core.stage import Answer
from mashbill.teachers.gguf_file import GgufFile, log_softmax, padded, read_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import Question

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


class TorchTeacher:
    """See the module and :class:`mashbill.teachers.session.Teacher`."""

    def __init__(
        self,
        gguf: Path,
        *,
        identity: Mapping[str, Any],
        precision: str,
        batch: int,
        cache: Path,
        threads: int,
    ) -> None:
        """Load the file; nothing is converted, so ``cache`` is not used."""
        del cache
        torch.set_num_threads(threads)
        self.identity = identity
        self.batch = batch
        file = GgufFile(gguf)
        self._tokenizer = file.tokenizer()
        self._model = _load(file).to(_DTYPES[precision]).eval()
        self._prefix: str | None = None
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._prefix_length = 0

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return the tokens of each question's body."""
        return [len(e.ids) for e in self._tokenizer.encode_batch([q.body for q in questions])]

    @torch.inference_mode()
    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions, those of one prefix together."""
        answers: dict[int, Answer] = {}
        for prefix, choices in dict.fromkeys((q.prefix, q.choices) for q in questions):
            places = [
                i for i, q in enumerate(questions) if (q.prefix, q.choices) == (prefix, choices)
            ]
            bodies, first = read_tokens(
                self._tokenizer, [questions[i].body for i in places], choices
            )
            self._read_prefix(prefix)
            logprobs = log_softmax(self._logits(bodies))[:, first]
            for place, body, row in zip(places, bodies, logprobs, strict=True):
                answers[place] = Answer(tuple(float(value) for value in row), len(body))
        return [answers[i] for i in range(len(questions))]

    def _read_prefix(self, prefix: str) -> None:
        if prefix == self._prefix:
            return
        ids = torch.tensor([self._tokenizer.encode(prefix).ids])
        past = self._model.model(ids, use_cache=True).past_key_values
        self._layers = [(layer.keys, layer.values) for layer in past.layers]
        self._prefix, self._prefix_length = prefix, ids.shape[1]

    def _logits(self, bodies: list[list[int]]) -> np.ndarray:
        """Return logits at each body's last position, shape (batch, vocabulary)."""
        ids, lengths = padded(bodies)
        rows, longest = ids.shape
        mask = np.ones((rows, self._prefix_length + longest), np.int64)
        mask[:, self._prefix_length :] = np.arange(longest) < lengths[:, None]
        past = DynamicCache()
        for index, (keys, values) in enumerate(self._layers):
            past.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index)
        hidden = self._model.model(
            torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            past_key_values=past,
            use_cache=True,
        ).last_hidden_state
        last = hidden[torch.arange(rows), torch.from_numpy(lengths - 1)]
        logits: np.ndarray = self._model.lm_head(last).float().numpy()
        return logits


def _load(file: GgufFile) -> LlamaForCausalLM:
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
