"""The mistakes that everybody makes first, with nothing but the README: each says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests_environments import MANY

from mashbill import RecipeError, load_recipe

README = """
[recipe]
name = "mine"
version = "1"

[teachers.t]
kind = "fake"
words.positive = ["good", "fast"]
words.negative = ["bad", "slow"]

[stages.corpus]
kind = "corpus"
title = "Support tickets"
origin = "own-dataset"
source = "tickets.jsonl"
text = "body"

[stages.labelled]
kind = "label"
input = "corpus"
teacher = "t"
prompt = "prompt.txt"
labels = { positive = " positive", negative = " negative" }

[stages.classifier]
kind = "classifier"
input = "labelled"
"""
LABELS = '{ positive = " positive", negative = " negative" }'
OTHER = '[stages.corpus]\nkind = "corpus"\ntitle = "x"\nsource = "tickets.jsonl"\n'


def write(folder, text=README, prompt="Ticket: {{ text }}\nMood:"):
    folder.mkdir(exist_ok=True)
    rows = [{"body": f"it was {'good' if i % 2 else 'bad'} on day {i}"} for i in range(12)]
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "prompt.txt").write_bytes(prompt if isinstance(prompt, bytes) else prompt.encode())
    path = folder / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "label"', 'kind = "lable"', "did you mean 'label'?"),
        ('kind = "fake"', 'kind = "faek"', "did you mean 'fake'?"),
        ('kind = "fake"', 'kind = "openai"', "kind = 'api' with provider = ..."),
        ('input = "corpus"', 'input = "corpsu"', "no stage above it; did you mean 'corpus'?"),
        ('teacher = "t"', 'teacher = "T"', "did you mean 't'?"),
        ("prompt = ", "promt = ", "did you mean 'prompt'?"),
        ("prompt = ", "promt = ", "prompt is missing; add it: file beside the recipe"),
        ('version = "1"', "version = 1", 'write text, in quotes: version = "1"'),
        ('version = "1"', "", "recipe.version is missing; add it: version of every artifact"),
        (LABELS, '["positive"]', "write a table: labels = { NAME = VALUE }"),
        ('["good", "fast"]', '"good"', "write a list: positive = [...]"),
        ("[stages.labelled]", "[stages.labelled]\nsoft = 1.5", "write true or false"),
        ("[stages.labelled]", '[stages.labelled]\nmax_chars = "x"', "write a whole number"),
        ("[stages.corpus]", "[stages.x]", "no stage above it"),
        (
            '[stages.corpus]\nkind = "corpus"',
            '[stages.x]\nkind = "corpus"',
            "stands below: move [stages.corpus] up",
        ),
        ("[recipe]", '[recipe]\nresult = "clasifier"', "did you mean 'classifier'?"),
        ("[recipe]", '[use]\npurpose = "reserch"\n[recipe]', "did you mean 'research'?"),
        ("[recipe]", "[recipe]\ntitle = “x”", 'straight quotes: key = "value"'),
        (
            'kind = "fake"\nwords.positive = ["good", "fast"]\nwords.negative = ["bad", "slow"]',
            'kind = "api"\nprovider = "OpenAI"\nmodel = "m"',
            "did you mean 'openai'?",
        ),
    ],
)
def test_a_wrong_key_or_value_is_told_with_what_to_write(tmp_path, old, new, said):
    assert old in README
    text = README.replace(old, new, 1)
    if "move" in said:
        text += OTHER
    with pytest.raises(RecipeError) as error:
        load_recipe(write(tmp_path / "r", text))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Mood?", "has {{ text }} 0 times; once is needed, where the text is to go"),
        ("Mood of {text}?", "(there is {text})"),
        ("Mood of {{ body }}?", "(there is {{ body }})"),
        ("Mood of {{text}}?", "(there is {{text}})"),
        ("Mood of {{ text", "(there is {{ text)"),
        ("{{ text }} {{ text }}", "2 times; once is needed"),
        (b"\xff\xfe{{ text }}", "cannot be read as UTF-8 text"),
    ],
)
def test_a_prompt_without_its_place_is_told_with_what_stands_there(tmp_path, prompt, said):
    with pytest.raises(RecipeError) as error:
        load_recipe(write(tmp_path / "r", prompt=prompt))
    assert said in str(error.value)


def test_what_is_no_recipe_is_told_with_what_is_there(tmp_path):
    path = write(tmp_path / "r")
    for wrong, said in (
        (path.with_name("min.toml"), "did you mean 'mine.toml'?"),
        (path.with_name("zzz.toml"), "has mine.toml"),
        (path.parent / "no" / "mine.toml", f"there is no folder {path.parent / 'no'}"),
        (path.parent, f"is a folder; name the recipe in it: {path}"),
        (path.with_name("tickets.jsonl"), "not valid TOML"),
        (write(tmp_path / "u", README.encode("utf-16")), "save it as UTF-8"),
    ):
        with pytest.raises(RecipeError) as error:
            load_recipe(wrong)
        assert said in str(error.value)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_what_is_asked_for_in_the_wrong_way_is_told(tmp_path, every):
    path = write(tmp_path / "r")
    store, file = str(tmp_path / "store"), str(tmp_path / "file")
    (tmp_path / "file").write_text("x")
    run = ["run", str(path), "--accept-review", "me", "--reason", "a test", "--store"]
    asked = {  # what is told -> the arguments
        "look at": ["run", "generating", "--store", store],
        "did you mean 'grey_area'?": ["run", "gray_area"],
        "is a file, and a store is a folder": [*run, file],
        "a part of that path is a file": [*run, f"{file}/store"],
        "name one with --store": ["bill", "x", "--store", str(tmp_path / "none")],
        "has no artifact 'everythin'; did you mean 'everything'? it has": [
            "bill", "everythin", "--store", store,
        ],
        "it is a folder: name a file": [
            "report", "everything", "--store", store, "--to", str(tmp_path),
        ],
        "name another path": [
            "export", "everything", "--format", "prov", "--store", store, "--to", f"{file}/x",
        ],
        "no run in this store has asked a service": ["conduct", "statement", "--store", store],
        "did you mean 'openai:gpt-4o'?": ["plan", str(path), "--teacher", "openai/gpt-4o"],
        "did you mean 'anthropic:x'?": ["plan", str(path), "--teacher", "antropic:x"],
        "write it there: [teachers.NAME]": ["run", str(path), "--teacher", "openai:gpt-4o"],
    }  # fmt: skip
    logs = tmp_path / "logs"
    logs.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(logs)],
        input=json.dumps([*asked.items()][::every]),
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    for said, code, text in json.loads(done.stdout.splitlines()[-1]):
        assert said in text, (said, text)
        assert code == (0 if said == "look at" else 2)
        assert "Traceback" not in text
        assert "fault of mashbill" not in text
