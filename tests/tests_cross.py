"""Tokenizers of several kinds, and tiny bases with them, for what is aligned across tokenizers."""

from __future__ import annotations

import json

import torch
from tests_causal import TEXTS, letters
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

UNKNOWN = "<unk>"
ENDS = ("<s>", "</s>")
WORDS = (
    "The red fox and the blue bird say yes or no to a name, a place, an amount. The bird was not "
    "in the green tree. Question: what is it? Answer: it is good or bad; 0 1 2 3 4 5 6 7 8 9. "
)
TURNS = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' </s>' }}{% endif %}{% endfor %}"
)
"""a template as Llama 2 has it: no mark between roles, and spaces around what is answered"""


def _trained(tokens, trainer, texts):
    tokens.train_from_iterator(texts, trainer)
    return tokens


def unigram(texts=(*TEXTS, WORDS), scheme="always"):
    """SentencePiece's Unigram, with a marker before the first word, and bytes by their names."""
    tokens = Tokenizer(models.Unigram())
    tokens.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokens.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=[UNKNOWN], unk_token=UNKNOWN, show_progress=False
    )
    told = json.loads(_trained(tokens, trainer, list(texts) * 3).to_str())
    told["model"]["byte_fallback"] = True
    pieces = told["model"]["vocab"]
    there = {piece for piece, _ in pieces}
    pieces += [[f"<0x{n:02X}>", -30.0] for n in range(256) if f"<0x{n:02X}>" not in there]
    tokens = Tokenizer.from_str(json.dumps(told))
    tokens.add_special_tokens(list(ENDS))
    return tokens


def named_bytes(texts=(WORDS,), *, are_special=False):
    """BPE as Llama 2 has it: a normaliser puts the marker there, and bytes have names."""
    tokens = Tokenizer(models.BPE(byte_fallback=True, unk_token=UNKNOWN, fuse_unk=True))
    tokens.pre_tokenizer = pre_tokenizers.Metaspace()  # no token goes over a word's end
    trainer = trainers.BpeTrainer(
        vocab_size=450,
        special_tokens=[UNKNOWN, *ENDS, *(f"<0x{n:02X}>" for n in range(256))],
        show_progress=False,
    )
    tokens = _trained(tokens, trainer, list(texts) * 3)
    tokens.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokens.pre_tokenizer = None
    tokens.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    told = json.loads(tokens.to_str())
    if not are_special:
        told["added_tokens"] = [t for t in told["added_tokens"] if "<0x" not in t["content"]]
    return Tokenizer.from_str(json.dumps(told))


def bytes_bpe(words=WORDS, vocabulary=300, normaliser=None, *, splits=True):
    """Byte-level BPE as GPT-2 has it; unless it splits, tokens go over the ends of words."""
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=splits)
    tokens.decoder = decoders.ByteLevel()
    if normaliser is not None:
        tokens.normalizer = normaliser
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(ENDS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    return _trained(tokens, trainer, [words] * 2)


def wordpiece():
    tokens = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=[UNKNOWN], show_progress=False
    )
    return _trained(tokens, trainer, [WORDS])


KINDS = {
    "byte-level": lambda: letters(begins=False),
    "byte-level, composed": lambda: letters(begins=False, pre="qwen2"),
    "gpt-2": bytes_bpe,
    "unigram": unigram,
    "unigram, first": lambda: unigram(scheme="first"),
    "names of bytes": named_bytes,
    "names of bytes, special": lambda: named_bytes(are_special=True),
}


def save_base(folder, tokens, *, template="", begin="", seed=0, width=32, layers=2, end="</s>"):
    """Write a tiny Llama with a tokenizer, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if begin:
        from tokenizers import processors

        tokens.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, tokens.token_to_id(begin))]
        )
    tokens.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": end,
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    torch.manual_seed(seed)
    last = tokens.token_to_id(end)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokens.get_vocab_size(),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=tokens.token_to_id("<s>"),
            eos_token_id=last,
            pad_token_id=last,
        )
    )
    model.save_pretrained(folder)
    return folder
