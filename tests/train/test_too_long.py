"""What is longer than it may be: the right end is kept, and what is dropped is counted and told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from models.test_conversation_tokens import MARKS, QWEN
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, ROWS, digest_of, rows
from train.test_logit_kd import CACHE, STUDENT
from train.test_logit_kd import run as run_kd

SFT = """
[stages.student]
kind = "sft"
inputs = ["said"]
base = "small"
method = "full"
batch = 4
steps = 2
dtype = "float32"
"""
HELD = ROWS.replace("[stages.said]", "[stages.held]").replace("rows.jsonl", "held.jsonl")
LONG = {"prompt": "what is red? " * 90, "text": "fox", "by": "a/b"}
LEFT = "it is longer than max_tokens = {}"
NONE_OF_IT = ", and nothing of its answer would be left"


def run(folder, stages, given, held=(), **base):
    made = make_base(folder / "base", **base)
    data = {"rows.jsonl": given} | ({"held.jsonl": list(held)} if held else {})
    stages = BASE.replace("DIGEST", digest_of(made)) + ROWS + (HELD if held else "") + stages
    return run_stages(folder, stages, data)


def several(words):
    """Two turns that reason: a template that drops earlier reasoning makes two sequences."""
    return {
        "messages_json": json.dumps(
            [
                {"role": "user", "content": "what is red?"},
                {"role": "assistant", "reasoning_content": "a colour", "content": "fox"},
                {"role": "user", "content": "what is blue?"},
                {"role": "assistant", "reasoning_content": "name " * words, "content": "bird"},
            ]
        ),
        "text": "bird",
        "by": "a/b",
    }


@pytest.mark.parametrize("too_long", ["cut", "leave-out"])
def test_a_sequence_of_a_row_that_is_dropped_is_counted(tmp_path, too_long):
    """Cut or left out, the other sequence of the row is learned, and only that one."""
    # Where it is cut, what is asked in the second is too long already.
    odd = several(40) if too_long == "leave-out" else several(3)
    if too_long == "cut":
        turns = json.loads(odd["messages_json"])
        turns[2]["content"] = "what is blue? " * 20
        odd["messages_json"] = json.dumps(turns)
    keys = f'max_tokens = 64\ntoo_long = "{too_long}"\n'
    given = [odd, several(1)]
    store = run(tmp_path, SFT + keys, given, template=QWEN, marks=MARKS)
    measures = store.find("student").measures
    assert measures["rows"] == 2
    assert measures["sequences"] == 3
    assert measures["dropped_sequences"] == {"said@1": 1}
    assert "cut_rows" not in measures
    assert measures["warnings"] == [
        (
            "said@1: of rows that are several sequences 1 sequence was not learned from, "
            "longer than max_tokens = 64"
        )
    ]


@pytest.mark.parametrize("too_long", ["cut", "leave-out"])
def test_rows_that_are_left_out_are_warned_of_learned_and_held_out(tmp_path, too_long):
    """TRL #3382, #6548: truncation that leaves no completion made the loss NaN."""
    keys = f'max_tokens = 64\nheldout = "held"\ntoo_long = "{too_long}"\n'
    store = run(tmp_path, SFT + keys, [LONG, *rows(1)], [*rows(1), LONG, LONG])
    measures = store.find("student").measures
    why = LEFT.format(64) + (NONE_OF_IT if too_long == "cut" else "")
    assert measures["rows"] == 5
    assert measures["sequences"] == 4
    assert measures["left_out"] == {"said@1": {why: 1}}
    assert measures["held_out"] == {"rows": 6, "left_out": {"held@1": {why: 2}}, "sequences": 4}
    assert measures["warnings"] == [
        f"said@1: 1 row was not learned from (1: {why})",
        f"held@1: 2 rows were not measured on (2: {why})",
    ]
    assert math.isfinite(measures["held_out_loss"])


@pytest.mark.parametrize("too_long", ["cut", "leave-out"])
def test_logits_of_rows_that_are_too_long(tmp_path, too_long):
    keys = f'max_tokens = 64\ntoo_long = "{too_long}"\n'
    store = run_kd(tmp_path, CACHE + keys + STUDENT, [LONG, *rows(1)])
    cached = store.find("cached")
    assert cached.rows == 4
    assert store.find("student").measures["sequences"] == 4
    dropped = run_kd(
        tmp_path / "several", CACHE + keys, [several(40), several(1)], template=QWEN, marks=MARKS
    ).find("cached")
    assert dropped.measures["dropped_sequences" if too_long == "leave-out" else "cut_rows"] == 1
    assert len(dropped.measures["warnings"]) == 1


@pytest.mark.parametrize("kind", ["text", "conversation"])
def test_what_is_cut_keeps_its_beginning(tmp_path, kind):
    """axolotl's chat template: a slice of log-probabilities kept the wrong end."""
    text = "the red fox and the blue bird say yes or no to a name, a place, an amount"
    row = {"text": text, "by": "a/b"} | ({} if kind == "text" else {"prompt": "what is red?"})
    found = {}
    for most in (20, 24, 512):
        keys = f'form = "top"\nclasses = 3\nmax_tokens = {most}\n'
        store = run_kd(tmp_path / str(most), CACHE + keys, [row])
        cells = store.dataset(store.find("cached").ref).row(0)
        tokens = np.frombuffer(cells["logit_tokens"], "<u4")
        found[most] = tokens, np.frombuffer(cells["logits"], "<u4").reshape(-1, 3)
    whole, records = found[512]
    learned = np.flatnonzero(whole >> 31)
    assert learned[-1] == len(whole) - 1
    for most in (20, 24):
        tokens, kept = found[most]
        np.testing.assert_array_equal(tokens, whole[:most])
        # A token is told by those before it: what was cut off behind it changes nothing.
        count = int((learned < most).sum())
        assert 0 < count < len(learned)
        assert len(kept) == count
        np.testing.assert_array_equal(kept & (2**20 - 1), records[:count] & (2**20 - 1))
        np.testing.assert_allclose(kept >> 20, records[:count] >> 20, atol=1)
    stages = CACHE + "max_tokens = 20\n" + STUDENT
    learned_from = run_kd(tmp_path / "learned", stages, [row]).find("student")
    assert learned_from.measures["learned_tokens"] == 6 * 4 * int((learned < 20).sum())
