"""Texts of which a teacher reads the beginning alone: it is said, and which key changes it."""

import json

import pytest
from tests_support import run_stages

from mashbill.core.stage import WARNINGS

TEACHER = """
[teachers.t]
kind = "fake"
source_kind = "open-weights"
license = "Apache-2.0"
words.good = ["lovely"]
words.bad = ["awful"]
"""
STAGES = """
[stages.rows]
kind = "corpus"
title = "rows"
origin = "own-dataset"
source = "rows.jsonl"

[stages.labelled]
kind = "label"
input = "rows"
teacher = "t"
prompt = "ask.txt"
labels = { good = " good", bad = " bad" }
"""


@pytest.mark.parametrize(("longest", "keys", "is_told"), [
    (400, "", False), (401, "", True), (401, "max_chars = 401\n", False),
])  # fmt: skip
def test_a_text_that_is_cut_is_told(tmp_path, longest, keys, is_told):
    texts = ["a lovely day", "an awful day", "x" * longest]
    rows = "\n".join(json.dumps({"text": f"{text} {n}"[:longest]}) for n, text in enumerate(texts))
    files = {"rows.jsonl": rows, "ask.txt": "Text: {{ text }}\nIt is:"}
    store = run_stages(tmp_path, STAGES + keys, files, TEACHER)
    told = store.find("labelled").measures.get(WARNINGS, [])
    assert any("set max_chars higher" in line for line in told) is is_told
