"""Texts that a spreadsheet would run are told, and made harmless if that is asked for."""

import csv
import json

import pytest
from tests_support import run_stages
from typer.testing import CliRunner

from mashbill.cli import app
from mashbill.publish.publish import Wish, publish


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


FORMULAS = [
    "=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "\tx", "\rx", "\n=x", "\uff1d1", "\uff0d1",
]  # fmt: skip
STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
PLAIN_TEXTS = ["a=b", "", " =x", "'=x", "1-2", 'say "=x"', "x\n=y", "é"]


def spreadsheet(tmp_path, name="note"):
    """A store with a dataset of such texts, in a column of this name."""
    rows = [
        {"text": f"t{i}", name: text, "number": -i, "list": ["=x"], f"'{name}": "kept"}
        for i, text in enumerate([*FORMULAS, *PLAIN_TEXTS])
    ]
    stages = '[stages.got]\nkind = "import"\ntitle = "t"\nsource = "a.jsonl"\ngenerator = "none"\n'
    return run_stages(tmp_path / "made", stages, {"a.jsonl": rows})


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("name", ["note", "=cmd|x"])
def test_formulas_are_told_and_escaped_if_asked_for(tmp_path, name):
    store = spreadsheet(tmp_path, name)
    to, safe = tmp_path / "plain", tmp_path / "safe"
    told = invoke("publish", "got", "--to", to, "--format", "csv", "--store", store.root)
    assert told.exit_code == 0
    text = " ".join(told.output.split())
    assert f"{len(FORMULAS)} of {name!r}" in text
    assert "--escape-formulas" in text
    assert text.count("Formulas:") == 1
    assert ("names of columns that do" in text) == (name[0] == "=")
    header, *rows = read_csv(to / "data" / "part-00000.csv")
    at = header.index(name)
    assert [row[at] for row in rows] == [*FORMULAS, *PLAIN_TEXTS]
    told = invoke("publish", "got", "--to", safe, "--format", "csv", "--escape-formulas", "--json",
                  "--store", store.root)  # fmt: skip
    facts = json.loads(told.stdout)["formulas"]
    assert facts["cells"] == {name: len(FORMULAS)}
    assert facts["headers"] == [name] * (name[0] == "=")
    new, *others = read_csv(safe / "data" / "part-00000.csv")
    assert len(set(new)) == len(header)
    assert [row[at] for row in others] == ["'" + text for text in FORMULAS] + PLAIN_TEXTS
    number = header.index("number")
    for line in (new, *others):
        texts = [cell for i, cell in enumerate(line) if i != number]
        assert not [text for text in texts if text[:1] in STARTS]
    assert [row[number] for row in others] == [row[number] for row in rows]


def test_escaping_formulas_is_for_csv_alone(tmp_path):
    store = spreadsheet(tmp_path)
    told = invoke(
        "publish", "got", "--to", tmp_path / "x", "--escape-formulas", "--store", store.root
    )
    assert "goes with --format csv" in str(told.exception)
    done = publish(store, store.find("got"), str(tmp_path / "y"), Wish())
    assert (dict(done.formulas.cells), done.formulas.headers) == ({}, set())
