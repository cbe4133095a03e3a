"""Write a language model of some hundred thousand weights, drawn at random, into a folder.

It stands for a base such as SmolLM2-135M where a training is to take seconds: a student of it
learns the form of an answer and little else. python make_base.py FOLDER
"""

import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

bytes_of_all = pre_tokenizers.ByteLevel.alphabet()
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
texts = ["My order arrived broken, I am angry. Thank you, it works well. complaint praise user"]
tokenizer.train_from_iterator(
    texts, trainers.BpeTrainer(vocab_size=400, special_tokens=MARKS, initial_alphabet=bytes_of_all)
)
whole = PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, eos_token=MARKS[2], pad_token=MARKS[2], bos_token=MARKS[1]
)
whole.chat_template = CHAT
whole.save_pretrained(sys.argv[1])
torch.manual_seed(0)
end = whole.eos_token_id
shape = LlamaConfig(
    vocab_size=len(whole), hidden_size=96, intermediate_size=192, num_hidden_layers=3,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
    tie_word_embeddings=True, bos_token_id=whole.bos_token_id, eos_token_id=end, pad_token_id=end,
)  # fmt: skip
LlamaForCausalLM(shape).save_pretrained(sys.argv[1])
