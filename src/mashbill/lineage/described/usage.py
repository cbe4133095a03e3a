"""How an artifact is used: snippets that run over the published folder, or over the store.

In each ``path/to/this/folder`` stands for the folder that ``mashbill publish`` wrote, and all else
is as it is: a test runs them.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.lineage.described.model_files import is_for_transformers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.artifact import Manifest
    from mashbill.lineage.described.model_files import Built

FOLDER = "path/to/this/folder"
LOADS = "mashbill"


@dataclass(frozen=True)
class Usage:
    """One way to use it."""

    title: str
    """what it is, in words"""
    language: str
    """python or sh"""
    code: tuple[str, ...]
    """a line an item"""
    needs: str = ""
    """what has to be installed for it, as pip takes it; empty if nothing beside mashbill"""


def usages(manifest: Manifest, built: Built | None) -> tuple[Usage, ...]:
    """Return the ways in which an artifact is used, the plainest first.

    Args:
        manifest: its.
        built: of a model, how it is built; None of a dataset.
    """
    return tuple(_of_data(manifest) if built is None else _of_model(manifest, built))


def _of_data(manifest: Manifest) -> Iterator[Usage]:
    yield Usage(
        "With datasets",
        "python",
        (
            "from datasets import load_dataset",
            "",
            f'rows = load_dataset("{FOLDER}", split="train")',
        ),
        "datasets",
    )
    name = shlex.quote(str(manifest.ref))
    yield Usage("From the store", "sh", (f"mashbill show {name} --rows 5",))


def _of_model(manifest: Manifest, built: Built) -> Iterator[Usage]:
    if is_for_transformers(built.files):
        yield _by_transformers(built)
    elif built.form == "gguf":
        first = next(name for name in built.files if name.endswith(".gguf"))
        yield Usage(
            "With llama.cpp", "sh",
            (f"llama-cli -m {shlex.quote(f'{FOLDER}/{first}')} -p 'a text' -n 64",), "llama.cpp",
        )  # fmt: skip
    elif not built.is_adapter or built.config:
        yield _by_mashbill(built)
    if built.form == "decoder":
        yield Usage("To have it write on", "python", _WRITES_ON, LOADS)
    name = shlex.quote(str(manifest.ref))
    yield Usage(
        "On a file of rows, from the store", "sh",
        (f"mashbill predict {name} rows.csv --text text --to answers.jsonl",),
    )  # fmt: skip
    if built.form == "linear" and built.number("words") != 3:  # rule 3 has no featuriser in ONNX
        export = f"mashbill export {name} --format onnx --to model.onnx"
        yield Usage("With ONNX and no mashbill", "sh", (export,), "mashbill[onnx]")
        yield Usage(
            "then, beside the two files", "python",
            (
                "import onnxruntime",
                "from features import features",
                "",
                'session = onnxruntime.InferenceSession("model.onnx")',
                'given = {"features": features(["a text"])}',
                '(probabilities,) = session.run(["probabilities"], given)',
                f"print({json.dumps(list(built.labels), ensure_ascii=False)}, probabilities)",
            ),
            "onnxruntime numpy",
        )  # fmt: skip
    if is_for_transformers(built.files):
        yield Usage(
            "With llama.cpp", "sh",
            (
                f"mashbill export {name} --format gguf --to model.gguf",
                "llama-cli -m model.gguf -p 'a text' -n 64",
            ),
            "llama.cpp",
        )  # fmt: skip


_WRITES_ON = (
    "from pathlib import Path",
    "",
    "from mashbill import Decoding, Question",
    "from mashbill.core import registry",
    "",
    'trained = registry.find("pretrain", registry.TRAINERS)',
    f'model = trained.load(Path("{FOLDER}"), threads=2)',
    'print(model.answer([Question("", "a text")], Decoding(max_tokens=32))[0].text)',
)


def _by_mashbill(built: Built) -> Usage:
    code = ["import mashbill", "", f'model = mashbill.load("{FOLDER}")']
    code += ['print(model(["a text", "another"]))']
    if built.labels:
        code += ['print(model.labels, model.probabilities(["a text"]))']
    return Usage("With mashbill", "python", tuple(code), LOADS)


def _by_transformers(built: Built) -> Usage:
    if built.labels:
        code = [
            "from transformers import pipeline",
            "",
            f'classify = pipeline("text-classification", model="{FOLDER}")',
            'print(classify(["a text", "another"]))',
        ]
        return Usage("With transformers", "python", tuple(code), "transformers torch")
    asks = (
        [
            'turns = [{"role": "user", "content": "a question"}]',
            "asked = tokenizer.apply_chat_template(",
            '    turns, add_generation_prompt=True, return_tensors="pt", return_dict=True',
            ")",
        ]
        if built.has_template
        else ['asked = tokenizer("a text", return_tensors="pt")']
    )
    code = [
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'tokenizer = AutoTokenizer.from_pretrained("{FOLDER}")',
        f'model = AutoModelForCausalLM.from_pretrained("{FOLDER}")',
        *asks,
        "made = model.generate(**asked, max_new_tokens=64, do_sample=False)",
        'print(tokenizer.decode(made[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    needs = "transformers torch" + (" peft" if built.is_adapter else "")
    return Usage("With transformers", "python", tuple(code), needs)
