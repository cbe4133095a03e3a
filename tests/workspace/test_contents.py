"""ls, show and predict: what is in a store, read as a person would, and a model asked."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import mashbill as mb
from mashbill.cli import app
from mashbill.core.errors import InputError
from mashbill.workspace.contents import listed, shown
from mashbill.workspace.rows_written import check_free, write_rows

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
    assert repr(model) == "<mashbill model classifier@1: classifier, labels angry, calm and lost>"


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u2003"])
def test_a_text_that_is_blank_has_no_label(store, blank):
    model = mb.load("classifier", store)
    for asked in (model, model.probabilities):
        with pytest.raises(InputError, match="text 1 is empty or blank"):
            asked(["it is broken", blank])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("divider", [",", ";", "\t", "|"])
def test_rows_of_a_file_are_read_in_python_as_the_command_reads_them(
    store, tmp_path, divider, encoding
):
    file = tmp_path / "in.csv"
    lines = [f"Body{divider}Größe", *(f'"{body}"{divider}ä{n}' for n, body in enumerate(BODIES))]
    file.write_bytes("\n".join(lines).encode(encoding))
    (rows,) = mb.load("classifier", store).rows(file, text="Body")
    assert [row["label"] for row in rows] == ["angry", "calm", "lost"]
    assert [row["Größe"] for row in rows] == ["ä0", "ä1", "ä2"]
    told = run("predict", "classifier", file, "--store", store)
    assert [json.loads(line) for line in told.stdout.splitlines()] == rows


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
        ".csv": lambda: list(csv.DictReader(to.open(newline=""), delimiter=";")),
        ".parquet": lambda: pq.read_table(to).to_pylist(),
    }[ending]()
    assert [row.get("label") or None for row in rows] == ["angry", "calm", "lost", "angry", None]
    assert [row["Größe"] for row in rows] == list("01234")
    assert float(rows[0]["p_angry"]) == float(rows[0]["confidence"])
    assert rows[4]["failed"] == "column Body has no text"
    alone = run(
        *(word for word in given if word not in ("--text", "Body")), "--to", to, "--replace"
    )
    assert "the text is taken from column 'Body'; --text names another" in alone.stderr
    assert "5 rows" in alone.stdout
    printed = run(*given).stdout.splitlines()
    assert [json.loads(line).get("label") for line in printed] == [
        row.get("label") or None for row in rows
    ]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_what_a_file_says_in_columns_of_ours_is_kept_beside_what_the_model_said(
    store, tmp_path, ending
):
    """A file that was written by `predict` is asked about again, and nothing of it goes."""
    file, first, second = tmp_path / "in.csv", tmp_path / f"1{ending}", tmp_path / f"2{ending}"
    lines = [f'"{body}",calm,0.1,,p,a,x' for body in BODIES] + [",angry,hi,f,p,a,y"]
    names = ["label", "confidence", "failed", "p_lost", "answer", "own"]
    file.write_text("\n".join([",".join(["text", *names]), *lines]) + "\n")
    read = {
        ".jsonl": lambda to: [json.loads(line) for line in to.read_text().splitlines()],
        ".csv": lambda to: list(csv.DictReader(to.open(newline=""))),
        ".parquet": lambda to: pq.read_table(to).to_pylist(),
    }[ending]
    told = run("predict", "classifier", file, "--store", store, "--to", first)
    assert "1 row could not be asked about" in told.stderr
    for name in names[:4]:
        assert told.stderr.count(f"column {name!r} of the file is kept as 'original_{name}'") == 1
    assert told.stderr.count("is kept as") == 4
    rows = read(first)
    assert [row.get("label") or None for row in rows] == ["angry", "calm", "lost", None]
    assert not rows[3].get("confidence")
    for row in rows:
        del row["text"]
        assert row["answer"] == "a"
        assert row["original_p_lost"] == "p"
    assert [row["original_label"] for row in rows] == ["calm", "calm", "calm", "angry"]
    assert [row["original_confidence"] for row in rows] == ["0.1", "0.1", "0.1", "hi"]
    assert [row["original_failed"] for row in rows] == ["", "", "", "f"]
    assert [row["own"] for row in rows] == ["x", "x", "x", "y"]
    told = run("predict", "classifier", first, "--store", store, "--to", second)
    again = read(second)
    assert [row["original_label"] for row in again] == [row["original_label"] for row in rows]
    assert [row["original_2_label"] for row in again] == [row.get("label") for row in rows]
    assert "'label' of the file is kept as 'original_2_label'" in told.stderr


def test_columns_that_begin_late_get_names_that_are_free(store, tmp_path):
    file = tmp_path / "in.jsonl"
    rows = [{"text": BODIES[0], "label": "mine"}] * 20_000
    rows += [{"text": BODIES[0], "label": "mine", "original_label": "theirs"}]
    file.write_text("\n".join(map(json.dumps, rows)))
    told = []
    model = mb.load("classifier", store)
    last = [*model.rows(file, on_kept=lambda *names: told.append(names))][-1][-1]
    assert last["label"] == "angry"
    assert {last["original_label"], last[dict(told)["label"]]} >= {"mine"}
    assert "theirs" in last.values()
    assert len(told) == len(dict(told))


def test_a_text_that_stands_in_a_column_of_ours_is_asked_about(store, tmp_path):
    (tmp_path / "in.csv").write_text("label,n\n" + f'"{BODIES[0]}",1\n" ",2\n')
    told = run("predict", "classifier", tmp_path / "in.csv", "--text", "label", "--store", store)
    first, second = (json.loads(line) for line in told.stdout.splitlines())
    assert (first["original_label"], first["label"]) == (BODIES[0], "angry")
    assert "label" not in second


def _another_name(tmp_path, how):
    file = tmp_path / "in.csv"
    if how == "same":
        return file
    if how == "spelt":
        (tmp_path / "x").mkdir()
        return tmp_path / "x" / ".." / "in.csv"
    link = tmp_path / "link.csv"
    if how == "link":
        link.symlink_to(file)
    else:
        link.hardlink_to(file)
    return link


@pytest.mark.parametrize("how", ["same", "spelt", "link", "hard link"])
@pytest.mark.parametrize("more", [[], ["--replace"]])
def test_the_file_that_is_read_is_never_written(store, tmp_path, how, more):
    file = tmp_path / "in.csv"
    file.write_text(f"text,n\n{BODIES[2].replace(',', '')},1\n")
    before = file.read_bytes()
    to = _another_name(tmp_path, how)
    told = run("predict", "classifier", file, "--store", store, "--to", to, *more)
    assert "is the file that is read" in str(told.exception)
    assert file.read_bytes() == before


@pytest.mark.parametrize("asked", ["file", "say"])
def test_a_file_that_is_there_is_written_over_only_if_that_is_said(store, tmp_path, asked):
    file, to = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text("text\nit is broken\n")
    to.write_text("mine")
    what = [file] if asked == "file" else ["--say", "it is broken"]
    told = run("predict", "classifier", *what, "--store", store, "--to", to)
    assert "--replace" in str(told.exception)
    assert to.read_text() == "mine"
    told = run("predict", "classifier", *what, "--store", store, "--to", to, "--replace")
    assert told.exit_code == 0, told.output
    assert "angry" in to.read_text()


def test_a_device_is_not_replaced(store):
    with pytest.raises(InputError, match="is a device"):
        check_free(Path(os.devnull), None, replace=True)


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("divider", [",", ";", "\t", "|"])
def test_a_csv_file_is_written_with_the_divider_of_the_one_that_was_read(
    store, tmp_path, divider, said
):
    file, to = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(f"text{divider}n\nit is broken{divider}1\n")
    more = ["--delimiter", "tab" if divider == "\t" else divider] if said else []
    told = run("predict", "classifier", file, "--store", store, "--to", to, *more)
    assert told.exit_code == 0, told.output
    assert to.read_text().startswith(f"text{divider}n{divider}label{divider}confidence")


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
