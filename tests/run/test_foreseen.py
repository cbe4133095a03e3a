"""What is said before anything is bought, of teachers."""

import json

import pytest

import mashbill as mb

RECIPE = """
[recipe]
name = "two"
version = "1"

[teachers.a]
kind = "server"
model = "house-7b"
license = "MIT"
base_url = "http://127.0.0.1:8123/v1"

[teachers.b]
kind = "server"
model = "house-7b"
license = "MIT"
base_url = "http://127.0.0.1:{port}/v1"
{more}

[stages.rows]
kind = "corpus"
title = "rows"
origin = "own-dataset"
source = "rows.jsonl"

[stages.one]
kind = "generate"
input = "rows"
teacher = "a"
prompt = "ask.txt"

[stages.two]
kind = "generate"
input = "rows"
teacher = "b"
prompt = "ask.txt"
"""


@pytest.mark.parametrize(
    ("port", "more", "told"),
    [(8124, "", 2), (8123, "", 0), (8124, 'revision = "q8"', 0), (8124, "max_tokens = 7", 0)],
)
def test_two_addresses_that_are_one_model_to_the_journal_are_told(tmp_path, port, more, told):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "a"}))
    (tmp_path / "ask.txt").write_text("Answer {{ text }}")
    (tmp_path / "two.toml").write_text(RECIPE.format(port=port, more=more))
    planned = mb.open(tmp_path / "store").plan(tmp_path / "two.toml")
    said = [str(one) for one in planned.warnings if "other addresses" in str(one)]
    assert len(said) == told
    assert all("set revision" in line for line in said)
