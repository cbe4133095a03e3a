"""A base of a few thousand weights, as a folder that transformers loads: made on the spot."""

from __future__ import annotations

import json

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WORDS = (
    "The red fox and the blue bird say yes or no to a name, a place, an amount. Question: what is "
    "it? Answer: it is good, bad, fair; 0 1 2 3 4 5 6 7 8 9 user assistant system tool. "
)


def make_base(
    folder, *, template=CHATML, seed=0, width=32, layers=2, marks=(), vocabulary=320, words=WORDS
):
    """Write a tiny Llama with a byte-level tokenizer, and return its folder.

    As SmolLM2-Instruct has it, the padding token is the one that ends a turn.
    """
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [words],
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in marks])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": "<|im_end|>",
                "pad_token": "<|im_end|>",
                "bos_token": "<|im_start|>",
                "clean_up_tokenization_spaces": False,
            }
        )
    )
    if template:
        (folder / "chat_template.jinja").write_text(template)
    torch.manual_seed(seed)
    end = tokenizer.token_to_id("<|im_end|>")
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.token_to_id("<|im_start|>"),
            eos_token_id=end,
            pad_token_id=end,
        )
    )
    model.generation_config.eos_token_id = end
    model.save_pretrained(folder)
    return folder
