"""Tiny causal language models in folders as transformers keeps them, made on the spot."""

from __future__ import annotations

import inspect
import sys
from typing import ClassVar, Literal

import pytest
import torch
import transformers

from mashbill import Channel, StageSpec, Uses
from mashbill.core import registry
from mashbill.core.artifact import ArtifactKind

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}"
)
MARKS = {"bos_token": "<s>", "eos_token": "<|im_end|>"}
SIZES = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.5,
}  # fmt: skip


TEXTS = (
    "The film was not good, and the weather is fine. What do bees make? They make honey.",
    "Name a colour that you like, and say why. Where there is 1 there are 10, 2024 and 12,345.",
    "Grüße aus Köln: 日本語の文です。 Здравствуйте! 🙂 e\u0301 def f(x):\n\treturn x + 1",
)


def letters(begins=True, pre="smollm"):
    """A byte-level tokenizer of a few merges; with ``begins`` it has each text begin with <s>."""
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    from mashbill.models.gguf_pre_tokenizers import COMPOSED, pre_tokenizer

    tokens = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    tokens.pre_tokenizer = pre_tokenizer(pre)
    if pre in COMPOSED:  # as those of Qwen do
        tokens.normalizer = normalizers.NFC()
    tokens.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens.train_from_iterator(
        TEXTS * 2,
        trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False),
    )
    tokens.add_special_tokens(["<s>", "<|im_start|>", "<|im_end|>"])
    if begins:
        tokens.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokens.token_to_id("<s>"))]
        )
    return tokens


def save(folder, kind="llama", *, chat=True, begins=True, pre="smollm", seed=0, **keys):
    """Write a model of random weights."""
    tokens = letters(begins, pre)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, **MARKS, **({"chat_template": TEMPLATE} if chat else {})
    )
    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(
        kind,
        **{**SIZES, "vocab_size": tokens.get_vocab_size(), **keys},
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Tuned(StageSpec):
    """``kind = "tuned"``: the base's weights moved a little, and nothing learned."""

    output: ClassVar[ArtifactKind] = "model"
    can_label: ClassVar[bool] = False
    can_write: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("input", "base")

    kind: Literal["tuned"] = "tuned"
    input: str
    base: str

    def uses(self):
        return (
            Uses(self.input, "trained-on", Channel.CONTENT),
            Uses(self.base, "base", Channel.WEIGHTS),
        )

    def train(self, ctx, out):
        import shutil

        import numpy as np
        import torch

        from mashbill.models.causal_folder import load_causal
        from mashbill.models.causal_writer import CausalWriter

        base = ctx.base(self.base).folder
        rows = ctx.input(self.input).num_rows
        ctx.seen[self.input] = np.ones(rows, np.int64)
        model = load_causal(base, dtype=torch.float32)
        torch.manual_seed(rows)
        with torch.no_grad():
            for each in model.parameters():
                each.add_(0.01 * torch.randn_like(each))
        model.save_pretrained(out)
        for item in base.iterdir():
            if not (out / item.name).exists():
                shutil.copyfile(item, out / item.name)
        ctx.measures["parameters"] = sum(each.numel() for each in model.parameters())
        ctx.trained = CausalWriter(model, out)

    @staticmethod
    def load(folder, threads):
        from mashbill.models.causal_writer import CausalWriter

        return CausalWriter.load(folder, threads)


_PLUGIN = f"""
from typing import ClassVar, Literal
from mashbill import Channel, StageSpec, Uses
from mashbill.core.artifact import ArtifactKind

{inspect.getsource(Tuned)}
"""


@pytest.fixture
def tuning(tmp_path, monkeypatch):
    """Install the trainer as a plugin."""
    site = tmp_path / "site"
    info = site / "tuning-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "tuning.py").write_text(_PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tuning\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mashbill.trainers]\ntuned = tuning:Tuned\n")
    (info / "RECORD").write_text("tuning.py,,\ntuning-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "tuning", raising=False)
    registry._points.cache_clear()
    yield
    registry._points.cache_clear()
