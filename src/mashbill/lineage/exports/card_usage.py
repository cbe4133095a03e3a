"""What a card says of how its artifact is used: code that can be run over the folder as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.lineage.exports.account import Account

_WRITE = frozenset({"pretrain"})
"""kinds of stages whose models write and label"""
_WRITES_ON = 'print(model.answer([Question("", "a text")], Decoding(max_tokens=32))[0].text)'
ADAPTER = "adapter_config.json"


def is_for_transformers(manifest: Manifest) -> bool:
    """Whether plain transformers loads an artifact's folder: a causal language model of its."""
    names = {item.file for item in manifest.files}
    weights = any(
        name.endswith(".safetensors") and name.startswith(("model", "adapter_model"))
        for name in names
    )
    return weights and {"config.json", "tokenizer.json", "tokenizer_config.json"} <= names


def usage(account: Account) -> list[str]:
    """Return the section, a line an item."""
    manifest = account.manifest
    if not account.is_model:
        return [
            "```python",
            "from datasets import load_dataset",
            "",
            'rows = load_dataset("path/to/this/folder", split="train")',
            "```",
            "",
            (
                "The columns `_id`, `_bill` and `_from`, where they are kept, are receipts: which "
                "row it is, what it was made from, and of which rows."
            ),
        ]
    if is_for_transformers(manifest):
        return _by_transformers(manifest)
    kind = str(manifest.stage.get("kind", ""))
    writes = kind in _WRITE
    return [
        "```python",
        "from pathlib import Path",
        *(["from mashbill import Decoding, Question"] if writes else []),
        "from mashbill.core import registry",
        "",
        f'trained = registry.find("{kind}", registry.TRAINERS)',
        'model = trained.load(Path("path/to/this/folder"), threads=2)',
        'print(model.labels, model.probabilities(["a text"]))',
        *([_WRITES_ON] if writes else []),
        "```",
    ]


def _by_transformers(manifest: Manifest) -> list[str]:
    names = {item.file for item in manifest.files}
    asks = (
        [
            'turns = [{"role": "user", "content": "a question"}]',
            "asked = tokenizer.apply_chat_template(",
            '    turns, add_generation_prompt=True, return_tensors="pt", return_dict=True',
            ")",
        ]
        if "chat_template.jinja" in names
        else ['asked = tokenizer("a text", return_tensors="pt")']
    )
    needs = (
        ["It is an adapter beside its base, which the folder holds too: install `peft`.", ""]
        if ADAPTER in names
        else []
    )
    return [
        *needs,
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")',
        'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")',
        *asks,
        "made = model.generate(**asked, max_new_tokens=64, do_sample=False)",
        'print(tokenizer.decode(made[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))',
        "```",
        "",
        (
            "`mashbill export NAME --format gguf` writes it for llama.cpp; a teacher of kind "
            "`student` asks it in a recipe."
        ),
    ]
