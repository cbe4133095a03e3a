"""Sequences that are longer than a model was made for are refused before the first step."""

from __future__ import annotations

import re

import pytest
from tests_support import run_stages
from tests_training import ROWS, TEACHER, digest_of
from transformers import AutoConfig

from mashbill.core.errors import MashbillError
from mashbill.models.positions import positions_of
from tests.train import test_kinds_of_bases, test_logit_kd

LONG = [{"prompt": "what is red?", "text": "fox " * 40, "by": "a/b"}, *test_kinds_of_bases.rows(1)]
OPT = {"ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 40}


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("kind", "more", "keys"),
    [
        ("gpt2", {"n_positions": 40}, 'method = "full"\n'),
        ("gpt2", {"n_positions": 40}, ""),
        ("opt", OPT, ""),
        ("llama", {"max_position_embeddings": 40}, ""),
        ("gpt_neox", {"max_position_embeddings": 40}, ""),
    ],
)
def test_a_base_learns_no_longer_sequence_than_it_was_made_for(tmp_path, kind, more, keys):
    """Learned positions end in the midst of training, and turning ones go on unseen."""
    with pytest.raises(MashbillError, match=r"said: its longest .* set max_tokens = 40, or less"):
        test_kinds_of_bases.run(tmp_path / "r", kind, keys + "steps = 1\n", LONG, **more)
    keys += 'steps = 1\nmax_tokens = 40\nheldout = "held"\n'
    store = test_kinds_of_bases.run(tmp_path / "r", kind, keys, LONG, **more)
    assert store.find("student").measures["cut_rows"] == {"said@1": 1}


def test_what_knows_no_bound_is_not_held_to_one(tmp_path):
    store = test_kinds_of_bases.run(tmp_path / "r", "mamba", 'steps = 1\nmethod = "full"\n', LONG)
    assert "cut_rows" not in store.find("student").measures


def given():
    return [{"text": "fox " * 40, "by": "a/b"}, *test_logit_kd.rows(1)]


SHORT = "steps = 1\ncontext = 16\n"
SHORT_LIVE = test_logit_kd.LIVE.replace("steps = 6\n", SHORT)


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        (
            test_logit_kd.CACHE + test_logit_kd.STUDENT.replace("steps = 6\n", SHORT),
            "set max_tokens = 16 in the stage of kind 'logits' that made it, or context = ",
        ),
        (SHORT_LIVE, "made for 16; set max_tokens = 16, or"),
        (
            SHORT_LIVE + 'max_tokens = 16\nheldout = "held"\n',
            "",
        ),
    ],
)
def test_a_new_student_is_held_to_its_context(tmp_path, stages, says):
    if not says:
        assert test_logit_kd.run(tmp_path / "r", stages, given()).find("student")
        return
    with pytest.raises(MashbillError, match=re.escape(says)):
        test_logit_kd.run(tmp_path / "r", stages, given())


@pytest.mark.parametrize("live", [True, False])
def test_a_teacher_is_held_to_its_context(tmp_path, live):
    """One with learned positions would fail at the row; others say what they never learned."""
    big = test_kinds_of_bases.make_kind(tmp_path / "r" / "big", "gpt2", n_positions=24)
    teacher = TEACHER.replace("DIGEST", digest_of(big))
    stages = test_logit_kd.LIVE if live else test_logit_kd.CACHE
    where = "said: its longest sequence" if live else "said, row 0: a sequence of it"
    data = {"rows.jsonl": given()}
    with pytest.raises(MashbillError, match=f"{where} has .* was made for 24"):
        run_stages(tmp_path / "r", ROWS + stages, data, teacher)


@pytest.mark.parametrize(
    ("kind", "more", "found"),
    [
        ("llama", {"max_position_embeddings": 64}, 64),
        ("gpt2", {"n_positions": 64}, 64),
        ("mamba", {}, 0),
        ("bloom", {}, 0),
        (
            "qwen2",
            {
                "max_position_embeddings": 32,
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32,
                },
            },
            128,
        ),
        ("gemma3", {"text_config": {"max_position_embeddings": 96}}, 96),
    ],
)
def test_what_a_model_was_made_for_is_read_of_its_config(kind, more, found):
    assert positions_of(AutoConfig.for_model(kind, **more)) == found
