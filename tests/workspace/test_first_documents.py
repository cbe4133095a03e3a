"""mashbill init of a folder: questions and answers from documents, by a recipe that runs."""

import json
import tomllib

import pytest
from typer.testing import CliRunner

import mashbill as mb
from mashbill.cli import app
from mashbill.core.errors import InputError, MashbillError
from mashbill.workspace.begun import Wish
from mashbill.workspace.first_documents import begin_documents


def documents(folder):
    (folder / "deep").mkdir(parents=True)
    for number in range(6):
        text = f"The kettle of house {number} is heated to {number + 60} degrees each morning. " * 9
        (folder / f"note {number}.txt").write_text(text)
    (folder / "deep" / "rules.md").write_text("# Rules\n\nNo shoes in the hall.")
    (folder / "old.txt").write_bytes("Grüße aus Köln".encode("latin-1"))
    (folder / "empty.txt").write_text("")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def test_a_folder_becomes_a_recipe_that_runs(tmp_path):
    folder = documents(tmp_path / "Hausregeln März")
    made = begin_documents(folder, Wish(text="", teacher="fake"))
    assert (made.recipe, made.rows) == (tmp_path / "hausregeln-marz.toml", 9)
    assert any("1 document not UTF-8" in line for line in made.told)
    told = tomllib.loads(made.recipe.read_text())
    assert told["stages"]["documents"]["format"] == "text"
    space = mb.open(tmp_path / "store")
    ran = space.run(space.plan(made.recipe))
    by_name = {item.name: item.manifest for item in ran.done}
    assert by_name["documents"].rows == 7
    assert by_name["documents"].rejected_rows == 2
    assert by_name["pieces"].rows >= 7
    assert ran.result.name == "questions"


@pytest.mark.parametrize(
    ("files", "wish", "said"),
    [
        ({"a.png": "x"}, Wish(text=""), "holds no file that ends in .txt or .md"),
        ({}, Wish(text=""), "holds no file that ends in .txt or .md"),
        ({"a.txt": "x"}, Wish(text="", gold="mood"), "is a folder of documents"),
        ({"a.txt": "x"}, Wish(text="", labels=("a", "b")), "is a folder of documents"),
        ({"a.txt": "x"}, Wish(text="", teacher="house"), "MODEL@ADDRESS of a server"),
    ],
)
def test_what_cannot_be_begun_is_told(tmp_path, files, wish, said):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(InputError, match=said):
        begin_documents(folder, wish)
    assert not (tmp_path / "docs.toml").exists()


def test_the_command_takes_a_folder_and_keeps_a_recipe_that_is_there(tmp_path, monkeypatch):
    documents(tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["init", "docs", "--json"])
    told = json.loads(done.stdout)
    assert (told["recipe"], told["prompt"]) == ("docs.toml", None)
    again = CliRunner().invoke(app, ["init", "docs"])
    assert "is there already" in str(again.exception)
    (tmp_path / "store" / "datasets" / "rows@1").mkdir(parents=True)
    said = CliRunner().invoke(app, ["init", "docs", "--replace"])
    assert "mashbill run docs.toml --store docs-store" in said.stdout


def test_a_server_s_licence_is_written_or_asked_for(tmp_path):
    folder = documents(tmp_path / "docs")
    at = "house-7b@http://127.0.0.1:8123/v1"
    made = begin_documents(folder, Wish(text="", teacher=at, licence="MIT"))
    assert tomllib.loads(made.recipe.read_text())["teachers"]["t"]["license"] == "MIT"
    made = begin_documents(folder, Wish(text="", teacher=at), replace=True)
    assert "license" not in tomllib.loads(made.recipe.read_text())["teachers"]["t"]


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("name", ["new tickets.csv", "a.jsonl", "docs"])
def test_data_that_is_no_recipe_is_told_what_makes_one(tmp_path, command, name):
    path = documents(tmp_path / name) if name == "docs" else tmp_path / name
    if name != "docs":
        path.write_text("text\na\n")
    done = CliRunner().invoke(app, [command, str(path), "--store", str(tmp_path / "s")])
    assert "is no recipe" in str(done.exception)
    assert "mashbill init" in str(done.exception)


def test_a_sheet_is_told_to_be_saved_as_csv(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    done = CliRunner().invoke(app, ["init", str(tmp_path / "a.xlsx"), "--labels", "a,b"])
    assert "save the sheet as CSV" in str(done.exception)


def test_a_folder_of_documents_is_told_by_which_key_it_is_read(tmp_path):
    documents(tmp_path / "docs")
    text = '[recipe]\nname = "x"\nversion = "1"\n\n[stages.d]\nkind = "corpus"\ntitle = "d"\n'
    (tmp_path / "x.toml").write_text(text + 'source = "docs"\n')
    with pytest.raises(MashbillError, match='set format = "text" in the recipe'):
        mb.open(tmp_path / "s").plan(tmp_path / "x.toml")
