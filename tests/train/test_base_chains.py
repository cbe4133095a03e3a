"""Students that start from students, adapters and all, and teach: over recipes and stores."""

import pytest
import torch
from safetensors.torch import load_file
from tests_bases import write_next
from tests_support import rows_of, run_stages, run_toy
from tests_tiny_base import make_base
from transformers import AutoModelForCausalLM

from mashbill.calls.journal import Journal
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.trace import Tracer
from mashbill.models.base_weights import whole_weights
from mashbill.run.rederiving import Rederiver
from tests.train.test_sft import BASE, ROWS, SFT, digest_of, rows

pytest.importorskip("peft")

SECOND = """
[models.before]
kind = "artifact"
artifact = "student@1"
store = "../first/store"

[teachers.small]
kind = "student"
model = "student@1"
store = "../first/store"
max_tokens = 8

[stages.openings]
kind = "corpus"
title = "openings"
origin = "own-dataset"
source = "openings.jsonl"

[stages.written]
kind = "generate"
input = "openings"
teacher = "small"
prompt = "on.txt"
keep_cut = true

[stages.next]
kind = "sft"
inputs = ["written"]
base = "before"
steps = 2
batch = 2
dtype = "float32"

[stages.scratch]
kind = "pretrain"
inputs = ["written"]
steps = 2
width = 16
layers = 1
heads = 2
vocabulary = 512
batch_tokens = 64
context = 32
"""


def depths(store, name):
    lines = bill(Circuit.of_artifact(store, store.find(name)))
    return {line.source.name: line.depth for line in lines}


def test_adapters_start_the_next_student_and_teach_it_in_another_store(tmp_path):
    first = tmp_path / "first"
    base = make_base(first / "base")
    kept = SFT + "steps = 3\nmerge = false\n"
    models = BASE.replace("DIGEST", digest_of(base)) + ROWS + kept
    before = run_stages(first, models, {"rows.jsonl": rows()})
    student = before.find("student")
    folder = before.folder("model", student.ref)
    assert {item.name for item in student.inputs if item.is_base} == {"tiny"}

    whole = whole_weights(folder, student.digest, tmp_path / "cache")
    assert not list(whole.glob("adapter*"))
    ids = torch.arange(3, 11)[None]
    with torch.inference_mode():
        merged, apart = (
            AutoModelForCausalLM.from_pretrained(one)(ids).logits for one in (whole, folder)
        )
    assert torch.allclose(merged, apart, atol=1e-4)
    assert (
        load_file(whole / "model.safetensors").keys()
        == load_file(base / "model.safetensors").keys()
    )

    second = tmp_path / "second"
    second.mkdir()
    (second / "on.txt").write_text("{{ text }}")
    openings = "".join(f'{{"text": "what is {word}?"}}\n' for word in ("red", "blue", "good"))
    (second / "openings.jsonl").write_text(openings)
    store, _ = run_toy(write_next(second, SECOND), second / "store", [first])
    assert depths(store, "written") == {"openings": 1, "a/b": 2, "tiny": 2}
    assert depths(store, "next") == {"openings": 1, "a/b": 2, "tiny": 2}
    assert depths(store, "scratch") == {"openings": 1, "a/b": 2, "tiny": 2}
    result = Auditor(store.root, rederive=Rederiver(store)).run()
    assert result.findings == []
    assert len(rows_of(store, "written")) == 3
    hop = Tracer(store, Journal.of(store)).trace("scratch", 1)
    kinds = [(one.kind, one.what) for _, one in hop.walk()]
    assert ("model", "student@1") in kinds
    assert any(kind == "call" for kind, _ in kinds)
    assert {"a/b", "tiny"} <= {what for kind, what in kinds if kind == "source"}
