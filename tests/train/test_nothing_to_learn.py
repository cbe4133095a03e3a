"""Where no row can be learned from, each run says so: the second one as well as the first."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, ROWS, SFT, TEACHER, digest_of, rows

from mashbill.core.errors import MashbillError
from mashbill.train.examples import examples

# What was asked is longer than max_tokens, so that nothing of the answer would be left.
UNFIT = [{"prompt": "what is red? " * 90, "text": "fox", "by": "a/b"}] * 3
HELD = ROWS.replace("[stages.said]", "[stages.held]").replace("rows.jsonl", "held.jsonl")
KD = """
[stages.student]
kind = "logit_kd"
inputs = ["said"]
teacher = "big"
live = true
width = 16
layers = 1
heads = 2
steps = 2
max_tokens = 64
HELDOUT
"""
OWN_BASE = TEACHER.replace('folder = "big"', 'folder = "base"')


@pytest.mark.parametrize("learned", [True, False], ids=["learned", "held out"])
@pytest.mark.parametrize("kind", ["sft", "logit_kd"])
def test_the_second_run_says_what_the_first_said(tmp_path, kind, learned):
    base = digest_of(make_base(tmp_path / "base"))
    data = {"rows.jsonl": UNFIT if learned else rows(1), "held.jsonl": UNFIT}
    heldout = "" if learned else 'heldout = "held"\n'
    stages = (
        SFT + "max_tokens = 64\n" + heldout if kind == "sft" else KD.replace("HELDOUT", heldout)
    )
    stages = BASE.replace("DIGEST", base) + ROWS + HELD + stages
    teachers = OWN_BASE.replace("DIGEST", base)
    name = "said" if learned else "held"
    for _ in range(3):
        with pytest.raises(MashbillError, match=f"{name}: no row can be learned from .3 rows: "):
            run_stages(tmp_path, stages, data, teachers)


def test_a_mark_that_an_earlier_version_left_is_not_believed(tmp_path):
    class Context:
        work = tmp_path

    folder = tmp_path / "heldout"
    folder.mkdir()
    empty = np.empty(0, np.int64)
    np.savez(folder / "places.npz", ends=empty, dataset=empty, row=empty)
    (folder / "tokens.bin").write_bytes(b"")
    told = {"rows": 3, "left_out": {"held@1": {"its text is empty": 3}}}
    (folder / "examples.json").write_text(json.dumps(told))
    says = "held: no row can be learned from (3 rows: its text is empty); give it rows"
    with pytest.raises(MashbillError, match=re.escape(says)):
        examples(None, ["held"], None, Context, "heldout")
