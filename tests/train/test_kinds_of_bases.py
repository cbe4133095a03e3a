"""Bases of other kinds than Llama, through the real runner to a student that answers."""

from __future__ import annotations

import json

import pytest
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, SFT, digest_of, rows, student_of, with_rows
from transformers import AutoModelForCausalLM

from mashbill.core.model import Decoding
from mashbill.core.teacher import Question
from mashbill.train.sft import SftSpec
from tests.models.test_causal_base import made

pytestmark = pytest.mark.usefixtures("short_samples")

PACKED = "mashbill-packed"


def make_kind(folder, kind, **more):
    """Write a base of a kind, with the tokenizer of the tiny Llama."""
    make_base(folder)
    tokens = json.loads((folder / "config.json").read_text())
    ends = {f"{name}_token_id": tokens[f"{name}_token_id"] for name in ("bos", "eos", "pad")}
    model = made(kind, vocab_size=more.pop("vocab_size", tokens["vocab_size"]), **{**ends, **more})
    model.generation_config.eos_token_id = ends["eos_token_id"]
    for name in ("config.json", "generation_config.json", "model.safetensors"):
        (folder / name).unlink()
    model.save_pretrained(folder)
    return folder


def run(folder, kind, keys, given=None, **more):
    base = make_kind(folder / "base", kind, **more)
    told = BASE.replace("DIGEST", digest_of(base)) + with_rows(SFT + keys)
    return run_stages(folder, told, {"rows.jsonl": rows() if given is None else given})


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("kind", "keys", "packed"),
    [
        ("mamba", 'method = "full"\n', False),
        ("mamba", 'targets = ["in_proj"]\nheldout = "held"\n', False),
        ("mamba", 'targets = ["in_proj"]\nmerge = false\n', False),
        ("falcon_mamba", 'method = "full"\nheldout = "held"\n', False),
        ("bloom", 'method = "full"\n', False),
        ("gpt2", 'method = "full"\n', True),
        ("gpt2", "merge = false\n", True),
        ("gpt_neox", "", True),
    ],
)
def test_a_base_of_any_kind_is_trained_saved_and_answers(tmp_path, kind, keys, packed):
    """Attention is in the end what it was in the beginning: what has no other is left alone."""
    store = run(tmp_path / "r", kind, keys + "steps = 2\n")
    manifest, folder = student_of(store)
    assert manifest.measures["packed"] is packed
    loaded = SftSpec.load(folder, 1)
    (said,) = loaded.answer([Question("", "what is red?")], Decoding(max_tokens=4))
    assert not said.failed
    plain = AutoModelForCausalLM.from_pretrained(folder)
    assert plain.config._attn_implementation != PACKED
    assert PACKED not in "".join(p.read_text() for p in folder.glob("*.json"))
