"""A model that came back answers, teaches and is exported as one that was trained here."""

from __future__ import annotations

import json
import shutil

import pytest
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import ASKED, BASE, ROWS, SFT, digest_of

import mashbill as mb
from mashbill.core.learning import read_learned
from mashbill.core.record import BILL
from mashbill.core.store import LEARNED
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.contradicted import told_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver

pytestmark = pytest.mark.slow

SAYS = ["what is red?", "a name, a place?"]
TAKEN = """
[stages.NAME]
kind = "trained"
folder = "NAME"
base = "small"
inputs = ["said@1"]
"""


def rows():
    """Two writers' answers: a dataset with two origins."""
    return [
        {"prompt": f"what is {word}?", "text": answer, "by": f"lab/writer-{at % 2}"}
        for at, (word, answer) in enumerate(list(ASKED.items()) * 3)
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with students of ours, and their files as another trainer would have left them."""
    folder = tmp_path_factory.mktemp("trained")
    base = make_base(folder / "base")
    keys = SFT.replace("epochs = 6", "epochs = 12")
    stages = keys + 'method = "full"\n' + keys.replace("student]", "kept]") + "merge = false\n"
    models = BASE.replace("DIGEST", digest_of(base))
    store = run_stages(folder, models + ROWS + stages, {"rows.jsonl": rows()})
    for name, out, wanted in (
        ("student", "full", ("model.safetensors", "config.json")),
        ("kept", "light", ("adapter_model.safetensors", "adapter_config.json")),
    ):
        there = store.folder("model", store.find(name).ref)
        (folder / out).mkdir()
        for item in there.iterdir():
            if item.name in wanted or "token" in item.name or item.name.endswith(".jinja"):
                shutil.copyfile(item, folder / out / item.name)
    there = folder / "light" / "adapter_config.json"
    config = json.loads(there.read_text())
    there.write_text(json.dumps({**config, "base_model_name_or_path": "/elsewhere/bases/tiny"}))
    (folder / "light" / "tokenizer.json").unlink()
    return folder, store, models


def take(trained, name, more="", **keys):
    folder, _, models = trained
    stage = TAKEN.replace("NAME", name) + "".join(f"{k} = {v}\n" for k, v in keys.items())
    return run_stages(folder, models + stage + more, {})


def test_a_record_of_all_that_sft_counted_gives_the_bill_that_sft_gave(trained):
    folder, store, _ = trained
    student = store.find("student")
    there = store.folder("model", student.ref)
    learned = read_learned((there / LEARNED).read_bytes())["said@1"]
    data = store.dataset(store.find("said").ref)
    nodes = NodeTable.of(store, data.manifest).numbered
    parts: dict[str, int] = {}
    for number, tokens in zip(
        data.read(0, data.num_rows).column(BILL).to_pylist(), learned.product.tolist(), strict=True
    ):
        parts[nodes[number]] = parts.get(nodes[number], 0) + tokens
    assert len(parts) == 2
    record = {
        "format": 1,
        "trainer": {"name": "mashbill"},
        "base": {"name": "nobody/tiny"},
        "epochs": 12.0,
        "datasets": [{"digest": data.manifest.digest, "rows": data.num_rows, "parts": parts}],
    }
    (folder / "full" / "mashbill.json").write_text(json.dumps(record))
    store = take(trained, "full")
    mine, ours = (store.find(name) for name in ("full", "student"))
    bills = [[line.as_json() for line in bill(NodeTable.of(store, one))] for one in (mine, ours)]
    assert bills[0] == bills[1]
    assert mine.learned_from == ours.learned_from
    assert (mine.tokens, mine.token_unit) == (ours.tokens, ours.token_unit)
    result = Auditor(store.root, rederive=Rederiver(store)).run()
    assert result.holds, result.findings


def said_by(root, name):
    return mb.load(name, root, max_tokens=6)(SAYS)


def test_it_answers_as_it_did_where_it_was_trained(trained):
    _, store, _ = trained
    take(trained, "full")
    store = take(trained, "light", method='"lora"')
    assert said_by(store.root, "full") == said_by(store.root, "student")
    assert said_by(store.root, "light") == said_by(store.root, "kept")
    light = store.folder("model", store.find("light").ref)
    assert {"model.safetensors", "adapter_model.safetensors"} <= {p.name for p in light.iterdir()}


def test_adapters_without_their_base_are_kept_and_say_that_they_cannot_answer(trained):
    folder, store, _ = trained
    shutil.copytree(folder / "light", folder / "alone", dirs_exist_ok=True)
    take(trained, "alone", method='"lora"', with_base="false")
    with pytest.raises(mb.MashbillError, match=r"config\.json"):
        said_by(store.root, "alone")


def test_it_teaches_and_its_own_bill_is_a_hop_further(trained):
    folder, store, _ = trained
    take(trained, "full")
    more = """
[teachers.back]
kind = "student"
model = "full@1"
max_tokens = 6
engine = "transformers"

[stages.questions]
kind = "corpus"
title = "our questions"
origin = "own-dataset"
source = "asked.jsonl"

[stages.written]
kind = "generate"
input = "questions"
teacher = "back"
prompt = "ask.txt"
keep_cut = true
"""
    files = {"asked.jsonl": [{"text": one} for one in SAYS], "ask.txt": "{{ text }}"}
    store = run_stages(folder, more, files)
    lines = bill(NodeTable.of(store, store.find("written")))
    assert {(line.source.name, line.depth) for line in lines if "writer" in line.source.name} == {
        ("lab/writer-0", 2), ("lab/writer-1", 2),
    }  # fmt: skip
    assert Auditor(store.root).run().holds


def test_a_gguf_file_is_taken_and_answers(trained):
    folder, store, models = trained
    from mashbill.models.gguf_writing import write_gguf

    there = store.folder("model", store.find("student").ref)
    facts = {"general.base_model.0.name": "tiny", "general.base_model.count": 1}
    write_gguf(there, folder / "small.gguf", "f32", facts)
    stage = TAKEN.replace("NAME", "small").replace('"small"\nbase', '"small.gguf"\nbase')
    stage = stage.replace("stages.small", "stages.tight")
    stage = stage.replace('inputs = ["said@1"]', 'method = "quantise"')
    store = run_stages(folder, models + stage, {})
    assert said_by(store.root, "tight") == said_by(store.root, "student")
    assert [
        (line.source.name, line.share) for line in bill(NodeTable.of(store, store.find("tight")))
    ] == [("tiny", (1.0, 1.0))]
    assert told_of(store, "tight@1") is None
