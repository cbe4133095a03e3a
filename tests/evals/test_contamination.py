"""Held-out rows that stand in what a system learned from, over any number of steps."""

from __future__ import annotations

import json

import pytest
from tests_bases import (
    FILES,
    ROWS,
    TUNED,
    nudging,  # noqa: F401 - a fixture
    table,
    write_base,
    write_next,
)
from tests_support import rows_of, run_stages, run_toy
from tests_tiny_base import make_base
from tests_training import BASE, SFT, digest_of
from tests_training import ROWS as IMPORTED
from typer.testing import CliRunner

from mashbill.cli import app
from mashbill.core.evaluation import evaluation_of
from mashbill.evals.remarks import remarks
from mashbill.files.rows.items import Items, Lengths, Part
from mashbill.report import write_report

WORDS = ["otter", "pigeon", "badger", "weasel", "magpie", "sturgeon", "heron", "marmot", "walrus"]


def sentence(n):
    first, second, third = (WORDS[(n * k + k) % len(WORDS)] for k in (1, 2, 5))
    return f"Late in the week number {n} the {first} carried a {second} past the sleeping {third}"


TRAINING = [{"text": sentence(n), "answer": str(n)} for n in range(40)]
LEAKED = (3, 17, 25)
HELDOUT = [
    {"text": sentence(LEAKED[n // 4] if n % 4 == 0 else 1000 + n), "answer": str(n)}
    for n in range(12)
]
ANSWERED = """
[stages.answers]
kind = "generate"
input = "heldout"
teacher = "student"

[verifiers.any]
kind = "exact"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems.student = "answers"
by = "any"
reference = "gold"
contamination = true
"""
STAGES = """
[teachers.t]
kind = "fake"
words.good = ["otter"]
words.bad = ["pigeon"]

[stages.training]
kind = "corpus"
title = "training"
source = "training.jsonl"
columns = ["answer"]

[stages.heldout]
kind = "corpus"
title = "held out"
source = "heldout.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.labelled]
kind = "label"
input = "training"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }

[stages.classifier]
kind = "classifier"
input = "labelled"
buckets = 1024

[stages.by-teacher]
kind = "label"
input = "heldout"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }

[stages.by-classifier]
kind = "apply"
input = "heldout"
model = "classifier"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems = { teacher = "by-teacher", student = "by-classifier" }
contamination = true
"""


def files(heldout):
    rows = [{**row, "mood": "good" if n % 2 else "bad"} for n, row in enumerate(heldout)]
    return {"training.jsonl": TRAINING, "heldout.jsonl": rows, "p.txt": "Text: {{ text }} ->\n"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held")
    return run_stages(folder, STAGES, files(HELDOUT), "")


def test_rows_that_were_learned_from_are_told_with_and_without_them(store, tmp_path):
    measures = store.find("evaluation").measures
    told = measures["systems"]["student"]["overlap"]
    assert told["datasets"] == ["labelled@1"]
    assert told["rows"] == 3
    rows = rows_of(store, "evaluation")
    held = [row["overlapped_by"] is not None for row in rows]
    assert [n for n, one in enumerate(held) if one] == [0, 4, 8]
    for what, among in (("within", held), ("without", [not one for one in held])):
        own = [
            float(row["student"] == row["gold"])
            for row, one in zip(rows, among, strict=True)
            if one
        ]
        assert told[what]["rows"] == len(own)
        assert told[what]["accuracy"] == pytest.approx(sum(own) / len(own))
    # The teacher learned from nothing that is recorded, and is named as such.
    other = measures["systems"]["teacher"]["overlap"]
    assert (other["rows"], other["datasets"]) == (0, [])
    assert measures["contamination"]["datasets"]["labelled@1"]["held"] == 3
    assert "fake teacher" in measures["contamination"]["unrecorded"]
    said = " ".join(one.text for one in remarks(evaluation_of(measures)))
    assert "3 rows stand in what systems learned from" in said
    assert "what fake teacher learned from is not recorded here" in said
    html = write_report(store, store.find("evaluation"), tmp_path / "p.html").read_text()
    assert "3 rows in what it learned from" in html


def test_rows_of_which_nothing_was_learned_are_clean(tmp_path):
    clean = [row for n, row in enumerate(HELDOUT) if n % 4]
    store = run_stages(tmp_path, STAGES, files(clean), "")
    measures = store.find("evaluation").measures
    assert measures["contamination"]["held"] == 0
    assert all(row["overlapped_by"] is None for row in rows_of(store, "evaluation"))


def test_a_dataset_that_is_named_is_looked_through_for_all_systems(tmp_path):
    stages = f'{STAGES}against = ["training"]\n'
    store = run_stages(tmp_path, stages, files(HELDOUT), "")
    measures = store.find("evaluation").measures
    assert measures["systems"]["teacher"]["overlap"]["rows"] == 3
    assert set(measures["contamination"]["datasets"]) == {"labelled@1", "training@1"}


def test_rows_that_say_the_same_are_held_together():
    texts = [sentence(1), sentence(2), f"{sentence(1)}!"]
    parts = [Part(0, row, "text", is_answer=False, unspaced=False, letters=60) for row in range(3)]
    items = Items(["rows"], parts, texts, Lengths(8, 12, 20, None))
    assert items.rows_of({0}) == {0, 2}
    assert items.rows_of({1}) == {1}
    assert items.rows_of(()) == set()


def test_what_a_model_of_the_chain_learned_from_counts_too(tmp_path, nudging, monkeypatch):  # noqa: F811
    """A student's answers rest on what it was trained on, and that on what its teacher wrote."""
    folder = tmp_path / "r"
    told = table("tiny", write_base(folder / "tiny"))
    teachers = '\n[teachers.student]\nkind = "student"\nmodel = "tuned"\n'
    stages = f"""{told}{TUNED.replace('"rows"', '"training"')}
{STAGES.partition("[stages.labelled]")[0]}{ANSWERED}"""
    head, _, rest = stages.partition("\n[stages.tuned]")
    tuned, _, after = rest.partition("\n[teachers.t]")
    training, _, heldout = ("\n[teachers.t]" + after).partition("[stages.heldout]")
    stages = f"{head}{training}\n[stages.tuned]{tuned}\n[stages.heldout]{heldout}"
    store = run_stages(folder, stages, files(HELDOUT), teachers)
    measures = store.find("evaluation").measures
    told = measures["systems"]["student"]["overlap"]
    assert told["datasets"] == ["training@1"]
    assert told["rows"] == 3
    assert told["unrecorded"] == ["Tiny"]


TAKEN_IN = """
[stages.heldout]
kind = "corpus"
title = "held out"
origin = "own-dataset"
source = "heldout.jsonl"

[teachers.student]
kind = "student"
model = "tuned@1"
store = "../other/store"
"""


@pytest.mark.parametrize("same_address", [False, True])
def test_what_a_model_of_another_store_learned_from_is_named_as_unrecorded(
    same_address, tmp_path, nudging  # noqa: F811
):  # fmt: skip
    """What it was made from is not here, even where something else has its address."""
    other = tmp_path / "other"
    sha256 = write_base(other / "tiny")
    run_stages(other, table("tiny", sha256) + ROWS + TUNED, FILES, "")
    folder = tmp_path / "own"
    folder.mkdir()
    for name, rows in (("heldout.jsonl", HELDOUT), ("rows.jsonl", TRAINING)):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    stages = TAKEN_IN + ANSWERED.replace('"gold"', '"text"') + (ROWS if same_address else "")
    path = write_next(folder, stages, "1")
    store, _ = run_toy(path, folder / "store", [other])
    told = store.find("evaluation").measures["systems"]["student"]["overlap"]
    assert (told["rows"], told["datasets"]) == (0, [])
    assert told["unrecorded"] == ["Tiny", "tuned@1"]


WEIGHED = """
[stages.heldout]
kind = "corpus"
title = "held out"
source = "heldout.jsonl"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
models.after = "student"
models.before = "small"
contamination = true
"""


def test_what_adapters_learned_from_is_looked_through(tmp_path):
    """They are weighed as a folder of whole weights, which has no manifest; a stranger's may."""
    pytest.importorskip("peft")
    base = make_base(tmp_path / "base")
    (base / "manifest.json").write_text('{"what": "of somebody else"}')
    rows = [{"prompt": f"say {n}", "text": sentence(n), "by": "a/b"} for n in range(6)]
    files = {"rows.jsonl": rows, "heldout.jsonl": [{"text": sentence(n)} for n in (3, 40)]}
    kept = SFT.replace("epochs = 6", "steps = 1") + "merge = false\n"
    stages = BASE.replace("DIGEST", digest_of(base)) + IMPORTED + kept + WEIGHED
    measures = run_stages(tmp_path, stages, files, "").find("evaluation").measures
    told = {name: one["overlap"] for name, one in measures["systems"].items()}
    assert (told["after"]["rows"], told["after"]["datasets"]) == (1, ["said@1"])
    assert told["before"]["rows"] == 0
    assert told["before"]["unrecorded"] == ["tiny"]


def test_an_audit_makes_an_evaluation_again(store):
    done = CliRunner().invoke(app, ["audit", "--store", str(store.root), "--deep", "--json"])
    assert done.exit_code == 0, done.output
    assert "its measures come out otherwise" not in done.output
    told = json.loads(done.stdout)
    assert told
