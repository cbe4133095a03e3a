"""Tiny causal language models in folders as transformers keeps them, made on the spot."""

import torch
import transformers

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


def letters(begins=True):
    """A tokenizer of bytes; with ``begins`` it has each text begin with <s>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokens.add_special_tokens(["<s>", "<|im_start|>", "<|im_end|>"])
    if begins:
        tokens.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokens.token_to_id("<s>"))]
        )
    return tokens


def save(folder, kind="llama", *, chat=True, begins=True, seed=0, **keys):
    """Write a model of random weights over bytes."""
    tokens = letters(begins)
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
