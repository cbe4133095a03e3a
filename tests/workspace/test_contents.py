"""ls, show and predict: what is in a store, read as a person would, and a model asked."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import mashbill as mb
from mashbill.cli import app
from mashbill.core.errors import InputError
from mashbill.workspace.contents import listed, shown
from mashbill.workspace.rows_written import write_rows

RECIPE = """
[recipe]
name = "three"
version = "1"

[teachers.t]
kind = "fake"
words.angry = ["broken", "refund"]
words.calm = ["thanks", "works"]
words.lost = ["where", "how"]

[stages.tickets]
kind = "corpus"
title = "Tickets"
origin = "own-dataset"
source = "tickets.jsonl"
text = "body"

[stages.moods]
kind = "label"
input = "tickets"
teacher = "t"
prompt = "prompt.txt"
labels = { angry = " angry", calm = " calm", lost = " lost" }

[stages.classifier]
kind = "classifier"
input = "moods"
"""
BODIES = (
    "it is broken, refund it please",
    "thanks, it works well",
    "where is it, and how is it used",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    (folder / "three.toml").write_text(RECIPE)
    (folder / "prompt.txt").write_text("Ticket: {{ text }}\nMood:")
    chat = [{"role": "user", "content": "hello\nyou"}, {"role": "assistant", "content": "yes"}]
    rows = [{"body": f"{BODIES[n % 3]}, number {n}", "chat": chat, "n": n} for n in range(60)]
    rows += [{"body": "", "chat": [], "n": 60}, rows[0]]
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ws = mb.open(folder / "store")
    ws.run(ws.plan(folder / "three.toml"))
    return folder / "store"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_store_is_listed_oldest_first(store):
    found = listed(mb.open(store))
    assert [(one.name, one.kind, one.made_by) for one in found] == [
        ("tickets@1", "dataset", "corpus"), ("moods@1", "dataset", "label"),
        ("classifier@1", "model", "classifier"),
    ]  # fmt: skip
    assert [(one.rows, one.rejected) for one in found] == [(60, 2), (60, 0), (0, 0)]
    assert all(one.bytes > 500 and one.made.startswith("20") for one in found)
    told = run("ls", "--store", store)
    assert all(one.name in told.stdout for one in found)
    assert json.loads(run("ls", "--store", store, "--json").stdout)[0]["rejected"] == 2


def test_an_empty_store_says_what_makes_something(tmp_path):
    told = run("ls", "--store", tmp_path / "none")
    assert told.exit_code == 0
    assert "mashbill run" in told.stdout


def test_rows_are_shown_and_a_chat_turn_by_turn(store):
    told = run("show", "tickets", "--rows", 2, "--store", store).stdout
    assert "60 rows, 2 rejected" in told
    assert "rejected 1 empty" in told
    assert "text: text" in told
    assert "user: hello" in told
    assert "assistant: yes" in told
    assert "row 1\n" in told
    assert "row 2\n" not in told
    last = run("show", "tickets", "--from", -1, "--column", "n", "--store", store).stdout
    assert "row 59" in last
    assert "n: 59" in last
    assert "chat" not in last


def test_rejected_rows_are_shown_with_their_reasons(store):
    found = shown(mb.open(store)["tickets"], rejects=True)
    assert [one.reason for one in found.rows] == ["empty", "duplicate of tickets.jsonl row 0"]
    assert found.rows[1].values["n"] == 0
    told = run("show", "tickets", "--rejects", "--from", 1, "--store", store).stdout
    assert "duplicate of tickets.jsonl row 0" in told
    assert "row 0 " not in told


def test_a_model_is_shown_with_labels_and_measures(store):
    told = run("show", "classifier", "--store", store).stdout
    assert "labels: angry, calm, lost" in told
    assert "agreement with labeller" in told
    assert json.loads(run("show", "classifier", "--json", "--store", store).stdout)["labels"]
    assert "has no rows" in str(run("show", "classifier", "--rejects", "--store", store).exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "tickets", "--column", "nope"], "it has"),
        (["show", "nope"], "nope"),
        (["predict", "classifier"], "name a file of rows, or a text"),
        (["predict", "tickets", "--say", "x"], "is a dataset"),
        (["predict", "classifier", "none.csv"], "is no file"),
        (["predict", "classifier", "--say", "x", "--to", "a.xlsx"], "ends in .jsonl"),
        (["predict", "classifier", "--say", "x", "--to", "nowhere/a.csv"], "no folder"),
        (["predict", "classifier", __file__, "--delimiter", "ab"], "single character"),
    ],
)
def test_what_cannot_be_shown_or_asked_is_told(store, words, said):
    told = run(*words, "--store", store)
    assert isinstance(told.exception, mb.MashbillError)
    assert said in str(told.exception)


def test_a_model_answers_lists_of_texts(store):
    model = mb.load("classifier", store)
    assert model.labels == ("angry", "calm", "lost")
    assert model(list(BODIES)) == ["angry", "calm", "lost"]
    shares = model.probabilities(BODIES)
    assert shares.shape == (3, 3)
    assert np.allclose(shares.sum(axis=1), 1)
    assert model([]) == []
    with pytest.raises(InputError, match="give a list"):
        model("a text")
    with pytest.raises(InputError, match="NoneType"):
        model(["a", None])


FOREIGN = "\ufeffBody;Größe\n" + "".join(
    f'"{body}; no. {n}";{n}\n' for n, body in enumerate(BODIES)
)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_rows_of_a_file_come_back_with_what_the_model_says(store, tmp_path, ending):
    file, to = tmp_path / "in.csv", tmp_path / f"out{ending}"
    file.write_bytes(FOREIGN.encode() + b'"broken \xff, refund";3\n" ";4\n')
    given = ("predict", "classifier", file, "--text", "Body", "--store", store)
    told = run(*given, "--to", to)
    assert told.exit_code == 0, told.output
    assert "5 rows" in told.stdout
    assert "1 row could not be asked about" in told.stderr
    rows = {
        ".jsonl": lambda: [json.loads(line) for line in to.read_text().splitlines()],
        ".csv": lambda: list(csv.DictReader(to.open(newline=""))),
        ".parquet": lambda: pq.read_table(to).to_pylist(),
    }[ending]()
    assert [row.get("label") or None for row in rows] == ["angry", "calm", "lost", "angry", None]
    assert [row["Größe"] for row in rows] == list("01234")
    assert float(rows[0]["p_angry"]) == float(rows[0]["confidence"])
    assert rows[4]["failed"] == "column Body has no text"
    alone = run(*(word for word in given if word not in ("--text", "Body")), "--to", to)
    assert "the text is taken from column 'Body'; --text names another" in alone.stderr
    assert "5 rows" in alone.stdout
    printed = run(*given).stdout.splitlines()
    assert [json.loads(line).get("label") for line in printed] == [
        row.get("label") or None for row in rows
    ]


def test_what_a_file_says_in_columns_of_ours_is_not_what_the_model_said(store, tmp_path):
    """A file that was written by `predict` is asked about again, and empty rows have no label."""
    file, to = tmp_path / "in.csv", tmp_path / "out.csv"
    lines = [f'"{body}",calm,0.1,,x' for body in BODIES] + [",angry,hi,,y"]
    file.write_text("\n".join(["text,label,confidence,failed,own", *lines]) + "\n")
    for source in (file, to):
        told = run("predict", "classifier", source, "--store", store, "--to", to)
        assert "1 row could not be asked about" in told.stderr
        rows = list(csv.DictReader(to.open(newline="")))
        assert [row["label"] for row in rows] == ["angry", "calm", "lost", ""]
        assert rows[3]["confidence"] == ""
        assert [row["own"] for row in rows] == ["x", "x", "x", "y"]


def test_json_of_a_row_keeps_its_number_whatever_its_columns_are_called(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a text", "row": "r", "reason": "z"}\n')
    (tmp_path / "r.toml").write_text(
        '[recipe]\nname = "r"\nversion = "1"\n[stages.rows]\nkind = "corpus"\ntitle = "x"\n'
        'origin = "own-dataset"\nsource = "rows.jsonl"\n'
    )
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(tmp_path / "r.toml"))
    (row,) = shown(ws["rows"]).told()["shown"]
    assert (row["row"], row["reason"]) == (0, None)
    assert row["values"]["row"] == "r"


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_column_that_begins_late_is_told_and_not_left_out(tmp_path, ending):
    to = tmp_path / f"out{ending}"
    with pytest.raises(InputError, match="'b' begins after the first rows"):
        write_rows([[{"a": 1}], [{"a": 1, "b": 2}]], to, ("label", "failed"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_no_rows_are_a_file_with_columns(tmp_path, ending):
    to = tmp_path / f"out{ending}"
    assert write_rows([], to, ("label", "failed")) == (0, 0)
    if ending == ".csv":
        assert to.read_text() == "label,failed\n"
    elif ending == ".parquet":
        assert pq.read_table(to).column_names == ["label", "failed"]
    else:
        assert to.read_bytes() == b""


def test_nested_values_are_json_in_a_csv_file(tmp_path):
    to = tmp_path / "out.CSV"
    write_rows([[{"chat": [{"role": "user"}]}]], to, ("failed",))
    (row,) = csv.DictReader(to.open(newline=""))
    assert json.loads(row["chat"]) == [{"role": "user"}]


def test_a_file_whose_columns_change_their_type_is_not_written_in_part(tmp_path):
    to = tmp_path / "out.parquet"
    to.write_text("before")
    with pytest.raises(InputError, match="several types"):
        write_rows([[{"a": 1}], [{"a": "x"}]], to, ("label", "failed"))
    with pytest.raises(InputError, match="several types"):
        write_rows([[{"a": 1}, {"a": "x"}, {"a": 2**70}]], to, ("label", "failed"))
    assert to.read_text() == "before"
    assert list(tmp_path.iterdir()) == [to]


def test_a_column_that_is_empty_at_first_is_written_as_what_it_will_be(tmp_path):
    to = tmp_path / "out.parquet"
    parts = [[{"t": "", "failed": "no text"}], [{"t": "a", "label": "x", "confidence": 0.5}]]
    assert write_rows(parts, to, ("label", "confidence", "p_x", "failed")) == (2, 1)
    table = pq.read_table(to)
    assert table.schema.field("confidence").type == pa.float64()
    assert table.column("label").to_pylist() == [None, "x"]
