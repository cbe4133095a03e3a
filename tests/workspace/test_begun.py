"""mashbill init: a recipe for a person's own file, whatever the file is like, that runs."""

import gzip
import json
import random
import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import mashbill as mb
from mashbill.cli import app, beginning
from mashbill.core.errors import InputError
from mashbill.workspace.begun import Wish, begin
from mashbill.workspace.own_file import look

SAID = {
    "angry": "it is angry, broken, order {}", "calm": "it is calm and works, order {}",
    "lost": "it is lost, where is order {}",
}  # fmt: skip


def rows(count, labels=tuple(SAID)):
    rand = random.Random(3)
    drawn = [rand.choice(labels) for _ in range(count)]
    return [{"Ticket": SAID.get(k, k + " {}").format(n), "Mood": k, "Nr": n}
            for n, k in enumerate(drawn)]  # fmt: skip


def separated(some, divider=",", end="\n"):
    quoted = (divider.join(f'"{value}"' for value in row.values()) for row in some)
    lines = [divider.join(some[0]), *quoted]
    return (end.join(lines) + end).encode()


def parquet(some, path):
    pq.write_table(pa.Table.from_pylist(some), path)
    return path.read_bytes()


FILES = {
    "plain.csv": lambda some, _: separated(some),
    "excel.csv": lambda some, _: b"\xef\xbb\xbf" + separated(some, ";", "\r\n"),
    "piped.csv": lambda some, _: separated(some, "|"),
    "bad bytes.csv": lambda some, _: separated(some) + b'"caf\xe9",angry,9\n'
    + '"Grüße aus Köln",calm,10\n"Größe",calm,11\n'.encode(),
    "Windows Ä.csv": lambda some, _: separated([*some, {**some[0], "Ticket": "Grüße"}])
    .decode().encode("cp1252"),
    "tabs.tsv": lambda some, _: "".join(
        "\t".join(map(str, line)) + "\n" for line in [some[0].keys(), *(r.values() for r in some)]
    ).encode(),
    "lines.jsonl": lambda some, _: "".join(json.dumps(row) + "\n" for row in some).encode(),
    "list.json": lambda some, _: json.dumps(some).encode(),
    "wide.csv": lambda some, _: separated(some).decode().encode("utf-16"),
    "packed.csv.gz": lambda some, _: gzip.compress(
        separated([*some, {**some[0], "Ticket": "Grüße; aus; Köln"}], ";")
    ),
    "table.parquet": lambda some, folder: parquet(some, folder / "t"),
}  # fmt: skip


@pytest.mark.few(4)
@pytest.mark.parametrize("name", FILES)
def test_a_recipe_of_any_file_runs(tmp_path, name):
    some = rows(60)
    path = tmp_path / name
    path.write_bytes(FILES[name](some, tmp_path))
    looked = look(path)
    assert looked.columns == ("Ticket", "Mood", "Nr")
    assert looked.likely_text() == "Ticket"
    made = begin(looked, Wish("Ticket", gold="Mood", teacher="fake"))
    assert made.labels == ("angry", "calm", "lost")
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(made.recipe))
    kept = len(ws["rows"])
    assert 55 < kept <= 63
    assert len(ws["heldout"]) + len(ws["first"]) == kept
    (said,) = mb.load("classifier", tmp_path / "store")(["it is calm and works"])
    assert said in made.labels
    told = " ".join(made.told)
    assert ("bytes that are not" in told) == name.startswith("bad")
    texts = ws["rows"].to_arrow().column("text").to_pylist()
    assert not any("Ã" in text for text in texts)
    assert any("Grüße" in text for text in texts) == name.startswith(("bad", "Windows", "packed"))


def test_of_a_large_file_a_teacher_is_asked_about_some_thousands_and_no_more(tmp_path):
    path = tmp_path / "large.csv"
    path.write_bytes(separated(rows(90_000)))
    looked = look(path)
    assert 90_000 <= looked.rows <= 90_010
    made = begin(looked, Wish("Ticket", gold="Mood", teacher="fake"))
    (share,) = (one["range"][1] for name, one in tomllib.loads(made.recipe.read_text())[
        "stages"].items() if name == "first")  # fmt: skip
    assert 1900 < share * 90_000 < 2100


def test_labels_that_are_no_texts_are_those_that_the_run_finds(tmp_path):
    path = tmp_path / "bools.jsonl"
    path.write_text("".join(
        json.dumps({"body": f"row {n} {'bad' if n % 2 else 'good'}", "bad": bool(n % 2)}) + "\n"
        for n in range(60)
    ))  # fmt: skip
    made = begin(look(path), Wish("body", gold="bad", teacher="fake"))
    assert made.labels == ("false", "true")
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(made.recipe))
    assert len(ws["heldout"]) > 5


@pytest.mark.parametrize("odd", ["{{ x }}", "{% for %}", "{# no #}", "a\x7fb", "100 %"])
def test_what_looks_like_a_template_or_a_sign_is_said_as_it_is(tmp_path, odd):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(40)))
    made = begin(look(path), Wish("Ticket", task=f"Say {odd}.", teacher="fake"))
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(made.recipe))
    assert len(ws["answers"])
    wish = Wish("Ticket", labels=(odd, "calm"), teacher="fake", name="labels")
    if "{" in odd:
        with pytest.raises(InputError, match="takes for a column"):
            begin(look(path), wish)
    else:
        assert mb.load_recipe(begin(look(path), wish).recipe)


def test_few_rows_and_labels_that_differ_in_case_are_told(tmp_path):
    path = tmp_path / "few.csv"
    path.write_bytes(separated(rows(6)))
    made = begin(look(path), Wish("Ticket", labels=("Angry", "angry", "Angry")))
    assert made.labels == ("Angry", "angry")
    assert any("few to learn" in line for line in made.told)
    assert any("differ in case" in line for line in made.told)


def test_what_is_more_than_a_teacher_need_label_is_left_to_the_classifier(tmp_path):
    path = tmp_path / "many.csv"
    path.write_bytes(separated(rows(9000)))
    made = begin(look(path), Wish("Ticket", gold="Mood", teacher="fake", name="Many Rows"))
    assert made.recipe.name == "many-rows.toml"
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(made.recipe))
    sizes = {one.name: len(one) for one in ws if one.manifest.kind == "dataset"}
    assert 1700 < sizes["labelled@1"] < 2300
    assert sizes["relabelled@1"] > 4000
    assert sizes["heldout@1"] > 1500


ODD = ("very angry!", 'he said "no"', "ärger", "a.b", "calm")


def test_labels_may_be_named_oddly(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(80, ODD)))
    made = begin(look(path), Wish("Ticket", gold="Mood", teacher="fake"))
    assert made.labels == tuple(sorted(ODD))
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(made.recipe))
    assert set(mb.load("classifier", tmp_path / "store").labels) <= set(ODD)


def test_a_task_makes_a_dataset_that_a_teacher_wrote(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(10)))
    made = begin(look(path), Wish("Ticket", task="Answer this ticket kindly.", teacher="fake"))
    ws = mb.open(tmp_path / "store")
    ws.run(ws.plan(made.recipe))
    assert len(ws["answers"]) + ws["answers"].manifest.rejected_rows == 10
    assert "Answer this ticket kindly." in made.prompt.read_text()


@pytest.mark.parametrize(
    ("teacher", "kind"),
    [("openai:gpt-4o-mini", "api"), ("qwen3@http://127.0.0.1:8000/v1", "server"),
     ("smollm2", "embedded"), ("fake", "fake")],
)  # fmt: skip
def test_each_teacher_is_one_that_a_recipe_takes(tmp_path, teacher, kind):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(10)))
    made = begin(look(path), Wish("Ticket", labels=("angry", "calm"), teacher=teacher))
    assert mb.load_recipe(made.recipe).teachers["t"].kind == kind


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish("Tiket", labels=("a", "b")), "did you mean 'Ticket'"),
        (Wish("Ticket", gold="Nr"), "no column of labels"),
        (Wish("Ticket"), "--labels"),
        (Wish("Ticket", labels=("a",)), "sorts nothing"),
        (Wish("Ticket", labels=("a", "b"), teacher="gpt"), "PROVIDER:MODEL"),
        (Wish("Mood", gold="Mood"), "both the text and its labels"),
        (Wish("", labels=("a", "b")), "--text COLUMN"),
        (Wish("Ticket", labels=("Angry", "calm"), gold="Mood"), "did you mean 'angry'"),
        (Wish("Ticket", labels=("a", "b"), task="x y"), "not both"),
        (Wish("Ticket", task="   "), "says nothing"),
        (Wish("Ticket", labels=("a", "\udc80")), "no text of Unicode"),
    ],
)
def test_what_cannot_be_made_is_told(tmp_path, wish, said):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(90)))
    with pytest.raises(InputError, match=said):
        begin(look(path), wish)
    assert list(tmp_path.iterdir()) == [path]


def test_a_recipe_that_is_there_is_kept(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(20)))
    wish = Wish("Ticket", labels=("a", "b"))
    begin(look(path), wish).recipe.write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        begin(look(path), wish)
    assert (tmp_path / "tickets.toml").read_text() == "mine"
    begin(look(path), wish, replace=True)
    assert (tmp_path / "tickets.toml").read_text() != "mine"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [("a.csv", b"", "no rows"), ("a.csv", b"x,y\n", "no rows"), ("a.pdf", b"%PDF", "ends in"),
     ("a.jsonl", b"no json\n", "a.jsonl")],
)  # fmt: skip
def test_a_file_that_is_none_is_told(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        look(tmp_path / name)
    with pytest.raises(InputError, match="is no file"):
        look(tmp_path / "other.csv")


def test_the_command_takes_flags_and_says_what_is_next(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(20)))
    told = CliRunner().invoke(app, ["init", str(path), "--gold", "Mood"])
    assert told.exit_code == 0, told.output
    assert "labels: angry, calm, lost" in told.stdout
    assert "mashbill run" in told.stdout
    again = CliRunner().invoke(app, ["init", str(path)])
    assert "--labels angry,calm, or --gold" in str(again.exception)


@pytest.mark.parametrize(
    ("typed", "labels"),
    [("\nMood\n", ["angry", "calm", "lost"]), ("Ticket\n\nred, green\n", ["red", "green"]),
     ("\n\n\nSum it up.\n", [])],
)  # fmt: skip
def test_at_a_terminal_it_asks(tmp_path, monkeypatch, typed, labels):
    path = tmp_path / "tickets.csv"
    path.write_bytes(separated(rows(20)))

    class Terminal:
        def isatty(self):
            return True

    class Sys:
        stdin = Terminal()

    monkeypatch.setattr(beginning, "sys", Sys)
    told = CliRunner().invoke(app, ["init", str(path)], input=typed)
    assert told.exit_code == 0, told.output
    text = (tmp_path / "tickets.toml").read_text()
    assert all(f"{label} = " in text for label in labels)
    assert ("generate" in text) == (not labels)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Tickets März.csv", "tickets-marz"), ("Größe.csv", "grosse"), ("письма.csv", "mine"),
        ("Ünïcödé (1).csv", "unicode-1"), ("---.csv", "mine"),
    ],
)  # fmt: skip
def test_a_recipe_is_named_in_plain_letters(tmp_path, file, name):
    path = tmp_path / file
    path.write_bytes(separated(rows(40)))
    made = begin(look(path), Wish(text="Ticket", gold="Mood"))
    assert made.recipe.name == f"{name}.toml"


@pytest.mark.parametrize(
    ("header", "is_told"),
    [
        ("Ticket,Mood,Nr", False), ("text,label,id", False), ("it broke,angry,1", True),
        ("a,b,2026", True),
        (f"it broke {'and nobody answers ' * 6},mood,nr", True),
    ],
)  # fmt: skip
def test_a_file_whose_columns_have_no_names_is_told(tmp_path, header, is_told):
    path = tmp_path / "a.csv"
    body = separated(rows(40)).decode().split("\n", 1)[1]
    path.write_text(f"{header}\n{body}")
    text, mood = header.split(",")[:2]
    made = begin(look(path), Wish(text=text, gold=mood))
    assert any("reads like a row" in line for line in made.told) is is_told


def test_a_label_that_is_nearly_another_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(separated(rows(60)) + b'"it is angry",angrry,99\n')
    told = begin(look(path), Wish(text="Ticket", gold="Mood")).told
    assert any("'angrry' (1 row) may be a slip of the pen for 'angry'" in line for line in told)
    assert sum("slip of the pen" in line for line in told) == 1


def test_divider_and_encoding_may_be_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(separated(rows(40), "~").decode().encode("utf-16-le"))
    done = CliRunner().invoke(
        app,
        ["init", str(path), "--gold", "Mood", "--delimiter", "~", "--encoding", "utf-16-le"],
    )
    assert done.exit_code == 0, done.output
    told = tomllib.loads((tmp_path / "a.toml").read_text())["stages"]["rows"]
    assert (told["delimiter"], told["encoding"]) == ("~", "utf-16-le")
    wrong = CliRunner().invoke(app, ["init", str(path), "--gold", "Mood", "--delimiter", "ab"])
    assert "is no single character" in str(wrong.exception)
