"""Launderings, each run through the real runner: what mark it leaves, or that it leaves none."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from base64 import b64encode
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laundering import CORPUS, IMPORT, OWN, in_archive, jsonl, laundered, rows_alone
from tests_laws import law
from tests_support import execute, rows_of, run_stages

from mashbill import Source, Store, load_recipe
from mashbill.calls import upkeep as keeping
from mashbill.core import registry
from mashbill.core.record import BILL, FROM
from mashbill.core.stage import StageSpec
from mashbill.lineage.bills.bill import bill, coverage
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import told_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.duties.decisions import decide_circuit
from mashbill.lineage.exports import FORMATS, export, gather
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.policy.house import load_rules
from mashbill.publish.publish import Wish, publish
from mashbill.report import write_report
from mashbill.run.executor import Execution

REGISTRY, DAY = load_registry(), date(2026, 11, 20)
DOCS = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()

TEACHER = """
[teachers.t]
kind = "fake"
name = "gpt"
source_kind = "closed-api"
provider = "OpenAI"
words.good = ["lovely"]
words.bad = ["awful"]
noise = 0.5
"""
STAGES = """
[stages.tickets]
kind = "corpus"
title = "Tickets"
origin = "own-dataset"
source = "rows.jsonl"

[stages.first]
kind = "generate"
input = "tickets"
teacher = "t"
prompt = "ask.txt"
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A store in which a closed teacher wrote answers, and a folder that they were published to."""
    folder = tmp_path_factory.mktemp("told")
    files = {"rows.jsonl": OWN, "ask.txt": "Answer: {{ text }}"}
    store = run_stages(folder, STAGES, files, TEACHER)
    publish(store, store.find("first"), str(folder / "pub"), Wish())
    return store, folder


def answers(store):
    return [row["text"] for row in rows_of(store, "first")]


def published(told, folder, **wish):
    publish(told[0], told[0].find("first"), str(folder / "pub"), Wish(**wish))
    return CORPUS.replace("SOURCE", "pub")


def by_import(told, folder, form, *, bill=True):
    published(told, folder, form=form, format="jsonl")
    for name in () if bill else ("bill.json", "README.md"):
        (folder / "pub" / name).unlink()
    return IMPORT.replace("SOURCE", "pub") + 'generator = "none"\n'


def as_csv(told, folder):
    with (folder / "rows.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["body"])
        writer.writerows([[answer] for answer in answers(told[0])])
    return CORPUS.replace("SOURCE", "rows.csv") + 'text = "body"\n'


def as_parquet(told, folder):
    pq.write_table(pa.table({"t": answers(told[0])}), folder / "rows.parquet")
    return CORPUS.replace("SOURCE", "rows.parquet") + 'text = "t"\n'


def saved_to_disk(told, folder):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": answers(told[0])}).save_to_disk(str(folder / "saved"))
    return CORPUS.replace("SOURCE", "saved")


def copied_store(told, folder):
    shutil.copytree(told[0].root / "datasets" / "first@1", folder / "copy")
    (folder / "copy" / "manifest.json").unlink()
    (folder / "copy" / "nodes.parquet").unlink()
    return CORPUS.replace("SOURCE", "copy")


def copied_whole(told, folder):
    shutil.copytree(told[0].root / "datasets" / "first@1", folder / "copy")
    return CORPUS.replace("SOURCE", "copy/part-*.parquet")


def card_alone(told, folder):
    shutil.copytree(told[1] / "pub", folder / "pub")
    (folder / "pub" / "bill.json").unlink()
    rows_alone(told, folder, OWN, "pub/rows.jsonl")
    for part in (folder / "pub").rglob("part-*"):
        part.unlink()
    return CORPUS.replace("SOURCE", "pub/rows.jsonl")


def bill_alone(told, folder):
    rows_alone(told, folder, OWN, "pub/rows.jsonl")
    shutil.copy(told[1] / "pub" / "bill.json", folder / "pub" / "bill.json")
    return CORPUS.replace("SOURCE", "pub/rows.jsonl")


def deeper(told, folder):
    """The rows in a folder below the bill."""
    shutil.copytree(told[1] / "pub", folder / "pub")
    jsonl(folder / "pub" / "data" / "rows.jsonl", OWN)
    return CORPUS.replace("SOURCE", "pub/data/rows.jsonl")


def in_archive_of_archive(told, folder):
    in_archive("gztar")(told, folder)
    with zipfile.ZipFile(folder / "outer.zip", "w") as zipped:
        zipped.write(folder / "packed.tar.gz", "in/packed.tar.gz")
    inside = "in/packed.tar.gz!./pub/data/rows.jsonl"
    return CORPUS.replace("SOURCE", "outer.zip") + f'members = {{ a = "{inside}" }}\n'


def above_the_recipe(told, folder):
    """The rows beside the recipe, and the bill in the folder above."""
    shutil.copy(told[1] / "pub" / "bill.json", folder.parent / "bill.json")
    return rows_alone(told, folder, OWN)


def abandoned(told, folder):
    """Answers that no artifact holds: their stage was thrown away, the journal was not."""
    return rows_alone(told, folder)


def twice(told, folder):
    """Laundered once, published and laundered again under another title."""
    recipe = rows_alone(told, folder)
    _, store, manifest = laundered(told, folder, recipe)
    publish(store, manifest, str(folder / "again"), Wish(receipts=False))
    for name in ("bill.json", "README.md", "SHA256SUMS"):
        (folder / "again" / name).unlink()
    return recipe + CORPUS.replace("stages.ours", "stages.twice").replace("SOURCE", "again")


def with_column(column, value, **more):
    def write(told, folder):
        rows = [{"text": row["text"], column: value} for row in OWN]
        return rows_alone(told, folder, rows, **more)

    return write


def chat(told, folder):
    rows = [{"messages": [{"role": "user", "content": "a question"},
                          {"role": "assistant", "content": answer}], "text": f"row {i}"}
            for i, answer in enumerate(answers(told[0]))]  # fmt: skip
    return rows_alone(told, folder, rows)


QWEN = 'kind = "open-weights", name = "Qwen2.5-7B-Instruct", provider = "Alibaba"'


def as_another(name, column="generator", said=QWEN):
    """Rows that name a known model, which the recipe says is another."""

    def write(told, folder):
        rows = [{"text": row["text"], column.split(".")[0]: name} for row in OWN]
        recipe = rows_alone(told, folder, rows, recipe=IMPORT, generator=column, called_by="us")
        name_of = name["by"] if isinstance(name, dict) else "".join(name)
        return f'{recipe}models."{name_of}" = {{ {said} }}\n'

    return write


NVIDIA = {"text": "a text of its own", "generator": "gpt-4o-2024-08-06", "license": "cc-by-4.0"}
ULTRA = {"text": "x", "completions": [{"model": "gpt-4", "response": "one"}]}
NECTAR = {"text": "x", "answers": [{"model": "gpt-3.5-turbo", "answer": "one", "rank": 1}]}
MAGPIE = {"text": "x", "gen_response_configs": {"output_generator": "Meta-Llama-3-70B-Instruct"}}


def of_rows(row, **more):
    def write(told, folder):
        rows = [{**row, "text": f"{row['text']} {i}"} for i in range(12)]
        return rows_alone(told, folder, rows, **more)

    return write


def exported_calls(wrap):
    """The journal as `journal export` writes it, one call a row."""

    def write(told, folder):
        keeping.export(told[0].root / "calls.sqlite", folder / "j.jsonl")
        lines = [json.loads(line) for line in (folder / "j.jsonl").read_text().splitlines()]
        calls = [line["call"] for line in lines if "call" in line]
        return rows_alone(told, folder, [wrap(call) for call in calls])

    return write


# what was done, how, kinds of marks that it leaves, whether in a fresh store
FOUND = [
    ("published, declared as one's own", published, "receipt beside row", False),
    ("the same in a store that knows nothing", published, "receipt beside", True),
    ("as JSON lines", lambda t, f: published(t, f, format="jsonl"), "receipt beside row", False),
    ("as CSV", lambda t, f: published(t, f, format="csv"), "receipt beside row", False),
    ("as Arrow", lambda t, f: published(t, f, format="arrow"), "receipt beside row", False),
    ("published without receipts", lambda t, f: published(t, f, receipts=False), "beside row",
     False),
    ("OpenAI's chats", lambda t, f: by_import(t, f, "openai"), "beside row", False),
    ("ShareGPT's chats", lambda t, f: by_import(t, f, "sharegpt"), "receipt beside row", False),
    ("Alpaca's rows", lambda t, f: by_import(t, f, "alpaca"), "receipt beside row", False),
    ("TRL's chats, the bill dropped", lambda t, f: by_import(t, f, "trl", bill=False),
     "receipt row", False),
    ("rows alone, the bill dropped", rows_alone, "row", False),
    ("the column renamed", lambda t, f: rows_alone(t, f, text="body"), "row", False),
    ("CSV of another column", as_csv, "row", False),
    ("Parquet of another column", as_parquet, "row", False),
    ("saved to disk by datasets", saved_to_disk, "row", False),
    ("in another order", lambda t, f: rows_alone(
        t, f, [{"text": a} for a in reversed(answers(t[0]))]), "row", False),
    ("put together with what was asked", lambda t, f: rows_alone(
        t, f, [{"text": f"{row['prompt']}\n{row['text']}"} for row in rows_of(t[0], "first")]),
     "part", False),
    ("a sample of a few", lambda t, f: rows_alone(
        t, f, [{"text": a} for a in answers(t[0])[::9]]), "row", False),
    ("mixed into many of one's own", lambda t, f: rows_alone(
        t, f, [{"text": f"our own words, number {i}, about this and that"} for i in range(900)]
        + [{"text": a} for a in answers(t[0])[:9]]), "row", False),
    ("upper case, other spaces, other stops", lambda t, f: rows_alone(
        t, f, [{"text": "  " + a.upper().replace(" ", "   ") + " !"} for a in answers(t[0])]),
     "row", False),
    ("in a column beside the text", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "note": a} for i, a in enumerate(answers(t[0]))]), "row",
     False),
    ("in a column that is not kept", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "note": a} for i, a in enumerate(answers(t[0]))], keep=[]),
     "row", False),
    ("within a chat beside the text", chat, "row", False),
    ("declared as public", lambda t, f: rows_alone(t, f).replace("own-dataset", "public-dataset"),
     "row", False),
    ("imported as written by people", lambda t, f: rows_alone(
        t, f, [{"text": a, "by": "human"} for a in answers(t[0])], recipe=IMPORT, generator="by"),
     "row", False),
    ("imported as another model's", lambda t, f: rows_alone(
        t, f, [{"text": a, "by": "open-one"} for a in answers(t[0])], recipe=IMPORT, generator="by",
        called_by="others"), "row", False),
    ("a generator's column dressed as people", lambda t, f: rows_alone(
        t, f, [{**row, "by": "human", "model_name": "gpt-4o"} for row in OWN], recipe=IMPORT,
        generator="by"), "generator", True),
    ("files of a store, without its own", copied_store, "receipt row", False),
    ("files of another store, whole", copied_whole, "receipt beside", True),
    ("a card beside the rows", card_alone, "beside", True),
    ("a bill beside the rows", bill_alone, "beside", True),
    ("a bill above the rows", deeper, "beside", True),
    ("a bill in the same zip", in_archive("zip", "pub/rows.jsonl"), "beside", True),
    ("a bill above in a zip", in_archive("zip"), "beside", True),
    ("a card alone above in a tar", in_archive("tar", without=["bill.json"]), "beside", True),
    ("a bill above in a packed tar", in_archive("gztar"), "beside", True),
    ("a bill in an archive of an archive", in_archive_of_archive, "beside", True),
    ("a bill above the recipe", above_the_recipe, "beside", True),
    ("our journal's calls as rows", exported_calls(lambda call: call), "receipt generator",
     True),
    ("our journal's calls in a column", exported_calls(
        lambda call: {"text": call["text"], "call": call}), "receipt generator", True),
    ("our journal's calls without their teacher", exported_calls(
        lambda call: {key: call[key] for key in ("request", "prefix", "text")}), "receipt", True),
    ("a receipt within an object", with_column("meta", {"_call": "ab" * 32}), "receipt", True),
    ("a list of names in a cell", with_column("authors", ["gpt-4o"]), "named", True),
    ("a list of several", with_column("author", ["gpt-4o", "claude-3-opus"]), "named", True),
    ("a list that is written as a text", with_column("author", "['gpt-4o', 'claude-3-opus']"),
     "named", True),
    ("names set apart by commas", with_column("author", "gpt-4o, claude-3-opus"), "named", True),
    ("an object that has a name", with_column("author", {"name": "gpt-4o", "temp": 1}), "named",
     True),
    ("an object in a column of generators", with_column("teacher", {"name": "gpt-4o"}),
     "generator", True),
    ("a list of objects in one", with_column("generators", [{"name": "gpt-4o"}, {"id": "x"}]),
     "generator", True),
    ("a key of generators that holds an object", with_column(
        "meta", {"teacher": {"name": "gpt-4o"}}), "generator", True),
    ("titled as a public set that models wrote", lambda t, f: rows_alone(t, f, OWN).replace(
        "Our tickets", "tatsu-lab/alpaca"), "address", True),
    ("titled as its address", lambda t, f: rows_alone(t, f, OWN).replace(
        "Our tickets", "https://huggingface.co/datasets/tatsu-lab/alpaca"), "address", True),
    ("rows that say a stricter licence", with_column("license", "cc-by-nc-4.0",
                                                     license="CC0-1.0"), "licence", True),
    ("rows that say one where none is declared", with_column("license", ["CC BY-SA 4.0"]),
     "licence", True),
    ("receipts alone: _bill", with_column("_bill", "ab" * 32), "receipt", True),
    ("receipts alone: _id", with_column("_id", "ab" * 16), "receipt", True),
    ("a number of a node alone", with_column("_bill", 0), "column", True),
    ("the same as text", with_column("original__bill", "3"), "column", True),
    ("positions of rows alone", with_column("_from", 7.0), "column", True),
    ("receipts alone: _call", with_column("_call", "ab" * 32), "receipt", True),
    ("receipts kept once more", with_column("original__bill", "ab" * 32), "receipt", True),
    ("NVIDIA's columns", of_rows(NVIDIA), "generator", True),
    ("distilabel's column", with_column("model_name", "gpt-4"), "generator", True),
    ("distilabel's metadata", with_column("distilabel_metadata", {"raw": "x"}), "generator", True),
    ("UltraFeedback's answers", of_rows(ULTRA), "generator", True),
    ("Nectar's answers", of_rows(NECTAR), "generator", True),
    ("Magpie's configurations", of_rows(MAGPIE), "generator", True),
    ("OpenHermes' column", with_column("model", "gpt-4"), "generator", True),
    ("a renamed column of names", with_column("src", "gpt-4.1-nano"), "named", True),
    ("names with their owner", with_column("from", "openai/gpt-4o"), "named", True),
    ("a name that is half a character", with_column("generator", "house\ud800"), "generator",
     True),
    ("a key that is half a character", with_column("meta", {"\ud800": {"model": "\ud800-7b"}}),
     "generator", True),
    ("a closed model said to be an open one", as_another("gpt-4o"), "generator", True),
    ("the same in a column of one's own", as_another("openai/gpt-4o-2024-08-06", "by"),
     "generator", True),
    ("the same in a list", as_another(["gpt-4o"], "by"), "generator", True),
    ("the same in an object", as_another({"by": "gpt-4o"}, "meta.by"), "generator", True),
    ("said to be of another maker", as_another("gpt-4o", said='provider = "Acme"'), "generator",
     True),
    ("said to have another name", as_another("o3", said='name = "Otter"'), "generator", True),
    ("a model's name for people", lambda t, f: rows_alone(
        t, f, [{**row, "by": "gpt-4o"} for row in OWN], recipe=IMPORT, generator="by",
        human="gpt-4o"), "generator", True),
    ("a name that nobody knows", with_column("generator", "in-house-7"), "generator", True),
]  # fmt: skip


@pytest.mark.few(24)
@pytest.mark.parametrize(
    ("write", "kinds", "fresh"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND]
)
def test_a_laundering_leaves_its_marks_and_no_leave(told, tmp_path, write, kinds, fresh):
    tmp_path = tmp_path / "own"
    tmp_path.mkdir()
    recipe = write(told, tmp_path)
    plan, store, manifest = laundered(told, tmp_path, recipe, fresh=fresh)
    found = told_of(store, "ours@1")
    assert found is not None
    assert {mark.kind for mark in found.marks} == set(kinds.split())
    circuit = Circuit.of_artifact(store, manifest)
    decided = decide_circuit(REGISTRY, [circuit], circuit, lambda _: "other", plan.recipe.use, DAY)
    assert decided.outcome != "allow"
    assert "origin-contradicted" in {d.rule for d in decided.decisions}
    seen = {mark.kind for stage in plan.stages if stage.told for mark in stage.told.marks}
    assert seen == set(kinds.split())
    assert plan.decide(REGISTRY, DAY).outcome != "allow"
    assert coverage(circuit).recorded[0] == 0.0
    # What was declared is the node, and its digest knows nothing of the store.
    raw = NodeTable.of(store, manifest)
    assert not any("contradicted" in body for body in raw.bodies.values())


def test_there_are_enough_of_them():
    assert len(FOUND) + len(HONEST) + len(NOT_FOUND) >= 40


# what is honest, or cannot be told from it: no mark
CARS = ["Corolla 1.6", "Model 3", "Golf VII", "Mustang Mach-E 2021", "Falcon 500"]
HONEST = [
    ("own data", lambda t, f: rows_alone(t, f, OWN)),
    ("own data that is in the store", lambda t, f: rows_alone(t, f, OWN[::-1])),
    ("cars with their models", lambda t, f: rows_alone(
        t, f, [{"text": f"car {i}", "model": CARS[i % 5]} for i in range(20)])),
    ("phones with a model_name", lambda t, f: rows_alone(
        t, f, [{"text": f"phone {i}", "model_name": "iPhone 12"} for i in range(20)])),
    ("two rows", lambda t, f: rows_alone(t, f, [{"text": "yes"}, {"text": "no"}])),
    ("one row", lambda t, f: rows_alone(t, f, [{"text": "a single row of one's own"}])),
    ("ids of a document store", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "_id": f"{i:024x}"} for i in range(9)])),
    ("bills of a restaurant", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "_bill": i * 10 + 0.5, "bill": f"{i}.50"} for i in range(9)])),
    ("edges of a graph", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "_from": f"a/{i}", "_to": f"b/{i}"} for i in range(9)])),
    ("a few tickets that speak of models", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "topic": "gpt-4o" if i == 3 else f"topic {i}"}
               for i in range(9)])),
    ("generators that nobody is named in", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "generator": "human"} for i in range(9)])),
    ("topics and ids as other sets have them", lambda t, f: rows_alone(
        t, f, [{"text": f"our own words, number {i}", "topic": f"t{i % 9}", "id": str(i)}
               for i in range(60)])),
    ("a zip without anything of ours", in_archive("zip", without=["bill.json", "README.md"])),
    ("a zip whose bill is another folder's, with its rows", in_archive(
        "zip", "other/rows.jsonl", rows=True)),
    ("requests of a web server", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "request": f"{i:064x}", "body": "x"} for i in range(9)])),
    ("lists of tags, and authors that are objects", lambda t, f: rows_alone(
        t, f, [{"text": f"row {i}", "tags": ["car", "gpt-4o" if i == 3 else f"tag {i}"],
                "author": {"name": f"Ann {i}", "id": i}} for i in range(9)])),
    ("a title with a stroke in it", lambda t, f: rows_alone(t, f, OWN).replace(
        "Our tickets", "tickets/2026")),
    ("rows that say the licence that is declared", with_column(
        "license", "cc-by-nc-4.0", license="CC-BY-NC-4.0")),
    ("rows that say a milder one", with_column("license", "mit", license="CC-BY-SA-4.0")),
    ("licences to drive", with_column("license", "Class C", license="CC0-1.0")),
    ("short texts that are alike by chance", lambda t, f: rows_alone(
        t, f, [{"text": "good"}, {"text": "thanks"}, *OWN[:9]])),
]  # fmt: skip


@pytest.mark.parametrize("write", [row[1] for row in HONEST], ids=[row[0] for row in HONEST])
def test_an_honest_set_leaves_no_mark(told, tmp_path, write):
    plan, store, _ = laundered(told, tmp_path, write(told, tmp_path))
    assert told_of(store, "ours@1") is None
    assert plan.stages[0].told is None


def test_a_bill_of_another_kind_and_a_models_card_beside_rows_are_no_marks(told, tmp_path):
    jsonl(tmp_path / "d" / "rows.jsonl", OWN)
    (tmp_path / "d" / "bill.json").write_text('{"artifact": "x@1", "bill": "12.50"}')
    (tmp_path / "d" / "README.md").write_text("---\nlicense: mit\n---\n# x-mashbill\n")
    _, store, _ = laundered(told, tmp_path, CORPUS.replace("SOURCE", "d/rows.jsonl"))
    assert told_of(store, "ours@1") is None


# what cannot be found -> what docs/sources.md says of it
NOT_FOUND = [
    ("every third word exchanged", lambda t, f: rows_alone(
        t, f, [{"text": " ".join(f"w{n}{i}" if n % 3 == 0 else word
                                 for n, word in enumerate(a.split()))}
               for i, a in enumerate(answers(t[0]))]), "A text in which every few words"),
    ("pieces of twenty letters", lambda t, f: rows_alone(
        t, f, [{"text": a[i : i + 20]} for a in answers(t[0]) for i in range(0, len(a), 20)]),
     "Parts of fewer than 39 bytes"),
    ("written in base64", lambda t, f: rows_alone(
        t, f, [{"text": b64encode(a.encode()).decode()} for a in answers(t[0])]),
     "in an encoding of its own"),
    ("a few rows among very many", lambda t, f: rows_alone(
        t, f, [{"text": f"our own words, number {i}, about this and that"} for i in range(900)]
        + [{"text": a} for a in answers(t[0])[:4]]), "Fewer than five"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("write", "says"), [row[1:] for row in NOT_FOUND], ids=[row[0] for row in NOT_FOUND]
)
def test_what_is_not_found_is_said_in_the_docs(told, tmp_path, write, says):
    _, store, _ = laundered(told, tmp_path, write(told, tmp_path))
    assert told_of(store, "ours@1") is None
    assert says in re.sub(r"\s+", " ", DOCS)


def test_rows_alone_in_a_store_that_never_had_them_are_not_found(told, tmp_path):
    _, store, _ = laundered(told, tmp_path, rows_alone(told, tmp_path), fresh=True)
    assert told_of(store, "ours@1") is None
    assert "in a store that never held them" in re.sub(r"\s+", " ", DOCS)


def test_answers_of_a_stage_that_was_thrown_away_are_in_the_journal(told, tmp_path):
    recipe = rows_alone(told, tmp_path)
    root = tmp_path / "store"
    root.mkdir()
    shutil.copy(told[0].root / "calls.sqlite", root / "calls.sqlite")
    _, store, _ = laundered(told, tmp_path, recipe, fresh=True)
    found = told_of(store, "ours@1")
    assert [mark.kind for mark in found.marks] == ["answer"]
    assert found.marks[0].rows == len(OWN)


def test_laundering_twice_is_found_twice(told, tmp_path):
    recipe = twice(told, tmp_path)
    path = tmp_path / "l.toml"
    path.write_text(f'[recipe]\nname = "l"\nversion = "1"\n{recipe}')
    store = Store(tmp_path / "store", told[0].ledger._signer)
    plan = build(load_recipe(path), store, cache=tmp_path / "cache")
    execute(plan, store, Execution(tmp_path / "cache", threads=1))
    assert told_of(store, "twice@1") is not None


def test_it_is_told_of_all_that_is_made_from_it_and_everywhere(told, tmp_path):
    recipe = rows_alone(told, tmp_path) + (
        '\n[stages.kept]\nkind = "split"\ninput = "ours"\nrange = [0.0, 0.7]\n'
    )
    _, store, manifest = laundered(told, tmp_path, recipe, name="kept")
    circuit = Circuit.of_artifact(store, manifest)
    titles = {line.source.title for line in bill(circuit)}
    assert "Our tickets (contradicted)" in titles
    assert "gpt (stand-in)" in titles
    account = gather(store, manifest)
    for name in FORMATS:
        assert "contradicted" in export(store, manifest, name), name
    assert any("ours@1" in text for text in account.unknown)
    page = write_report(store, manifest, tmp_path / "page.html").read_text()
    assert "Contradicted" in page
    assert "hold texts of first@1" in page
    for command in (["bill", "kept"], ["check", "kept"], ["trace", "kept", "--row", "0"]):
        done = subprocess.run(
            [sys.executable, "-c", "from mashbill.cli import main; main()", *command, "--json",
             "--store", str(store.root)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "contradicted" in done.stdout, (command, done.stderr)
    rules = tmp_path / "rules.toml"
    rules.write_text(
        "[[rule]]\nid = 'r'\nsays = 'x'\nfor = 'source'\n"
        "when = 'kind == \"closed-api\" || license == \"GPL-3.0\"'\noutcome = 'deny'\n"
        "[[rule]]\nid = 'a'\nsays = 'x'\nfor = 'artifact'\n"
        "when = 'sources.exists(s, s.license == \"GPL-3.0\")'\noutcome = 'deny'\n"
    )
    decided = decide_circuit(
        REGISTRY, [circuit], circuit, lambda _: "other", _use(), DAY, rules=load_rules([rules])
    )
    outcomes = {(d.rule, d.about): d.outcome for d in decided.decisions if d.engine == "house rule"}
    assert outcomes["r", "Our tickets (contradicted) (file)"] == "review"
    assert outcomes["a", "kept@1"] != "allow"


def _use():
    from mashbill.core.use import Use

    return Use()


def test_two_runs_of_one_recipe_have_one_digest_whatever_the_store_holds(told, tmp_path):
    recipe = rows_alone(told, tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        shutil.copy(tmp_path / "rows.jsonl", tmp_path / name / "rows.jsonl")
    _, one, first = laundered(told, tmp_path / "a", recipe)
    _, two, second = laundered(told, tmp_path / "b", recipe, fresh=True)
    assert first == second
    assert first.digest == second.digest
    assert told_of(one, "ours@1") is not None
    assert told_of(two, "ours@1") is None


@law(25)
@given(st.lists(st.integers(0, 39), min_size=1, max_size=12), st.sampled_from(["", "!", "  "]),
       st.booleans(), st.sampled_from(["text", "body", "answer"]))  # fmt: skip
def test_any_sample_in_any_dress_is_found(told, tmp_path_factory, which, tail, upper, column):
    folder = tmp_path_factory.mktemp("any")
    texts = [answers(told[0])[i] for i in which]
    texts = [f"{text.upper() if upper else text}{tail}" for text in texts]
    recipe = rows_alone(told, folder, [{column: text} for text in texts], text=column)
    _, store, _ = laundered(told, folder, recipe)
    assert [mark.kind for mark in told_of(store, "ours@1").marks] == ["row"]


def test_what_rests_on_a_source_of_the_same_words_does_not_rest_on_itself(told, tmp_path):
    """A set of the title of the one that its texts were asked by."""
    recipe = rows_alone(told, tmp_path).replace("Our tickets", "Tickets")
    _, store, manifest = laundered(told, tmp_path, recipe)
    assert told_of(store, "ours@1") is not None
    titles = {line.source.title for line in bill(Circuit.of_artifact(store, manifest))}
    assert titles == {"Tickets", "Tickets (contradicted)", "gpt (stand-in)"}


def test_what_is_of_unknown_origin_may_be_read_again_as_that(tmp_path):
    rows = [{"text": f"somebody wrote this text, number {i}"} for i in range(30)]
    stages = IMPORT.replace("SOURCE", "r.jsonl") + 'generator = "none"\n'
    store = run_stages(tmp_path / "a", stages, {"r.jsonl": rows}, "")
    again = stages.replace("stages.ours", "stages.again")
    path = tmp_path / "a" / "again.toml"
    path.write_text(f'[recipe]\nname = "l"\nversion = "1"\n{again}')
    execute(build(load_recipe(path), store, cache=tmp_path), store, Execution(tmp_path, threads=1))
    assert told_of(store, "again@1") is None


def test_what_a_first_stage_of_a_plugin_yields_is_looked_at(told, tmp_path, monkeypatch):
    """It need not show what it reads: its rows are those of the store all the same."""
    texts = answers(told[0])

    class Brought(StageSpec):
        streams: ClassVar[bool] = False
        kind: Literal["brought"] = "brought"

        def uses(self):
            return ()

        def sources(self, folder):
            del folder
            return (Source(name="ours", what="dataset", kind="own-dataset", route="file"),)

        def run(self, records, ctx):
            del records, ctx
            places = pa.array(range(len(texts)), pa.int64())
            bills = pa.array([0] * len(texts), pa.int32())
            yield pa.RecordBatch.from_arrays([pa.array(texts), places, bills], ["text", FROM, BILL])

    find = registry.find
    monkeypatch.setattr(
        registry, "find", lambda kind, *of: Brought if kind == "brought" else find(kind, *of)
    )
    monkeypatch.setattr(registry, "origin", lambda *_: {})
    monkeypatch.setattr(registry, "is_plugin", lambda *_: False)
    _, store, _ = laundered(told, tmp_path, '[stages.ours]\nkind = "brought"\n')
    assert [mark.kind for mark in told_of(store, "ours@1").marks] == ["row"]


@pytest.mark.parametrize(("first", "then", "marks"), [
    ("CC-BY-NC-4.0", "CC0-1.0", 1), ("CC-BY-NC-4.0", "CC-BY-NC-4.0", 0), (None, "MIT", 1),
    ("MIT", None, 0),
])  # fmt: skip
def test_a_public_set_under_another_title_is_found_where_its_licence_became_another(
    tmp_path, first, then, marks
):
    def stage(name, licence):
        said = f'license = "{licence}"\n' if licence else ""
        title = f"{name} texts"
        return f'[stages.{name}]\nkind = "corpus"\ntitle = "{title}"\n{said}source = "r.jsonl"\n'

    rows = [{"text": f"somebody wrote this text, number {i}"} for i in range(30)]
    store = run_stages(tmp_path, stage("one", first), {"r.jsonl": rows}, "")
    path = tmp_path / "two.toml"
    path.write_text(f'[recipe]\nname = "l"\nversion = "1"\n{stage("two", then)}')
    plan = build(load_recipe(path), store, cache=tmp_path / "cache")
    execute(plan, store, Execution(tmp_path / "cache", threads=1))
    found = told_of(store, "two@1")
    assert len(found.marks if found else ()) == marks


def test_labels_alone_are_not_found_and_the_docs_say_so(tmp_path):
    stages = STAGES.partition("[stages.first]")[0] + (
        '[stages.labelled]\nkind = "label"\ninput = "tickets"\nteacher = "t"\n'
        'prompt = "ask.txt"\nlabels = { good = " good", bad = " bad" }\ncalibrate_on = 8\n'
    )
    files = {"rows.jsonl": OWN, "ask.txt": "Text: {{ text }} ->"}
    store = run_stages(tmp_path, stages, files, TEACHER)
    kept = rows_of(store, "labelled")
    rows = [{"text": row["text"], "mood": row["label"]} for row in kept]
    jsonl(tmp_path / "again.jsonl", rows)
    path = tmp_path / "two.toml"
    path.write_text(
        '[recipe]\nname = "l"\nversion = "1"\n' + CORPUS.replace("SOURCE", "again.jsonl")
    )
    plan = build(load_recipe(path), store, cache=tmp_path / "cache")
    execute(plan, store, Execution(tmp_path / "cache", threads=1))
    assert told_of(store, "ours@1") is None
    assert "Labels, scores and choices" in DOCS
