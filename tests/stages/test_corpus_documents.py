"""``corpus`` on texts without rows: arrays, files that are one row, constants."""

import io
import json
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of

import mashbill as mb
from mashbill import InputError
from mashbill.core.artifact import ArtifactRef
from mashbill.files.members import members_like
from mashbill.files.rows.json_rows import json_rows

HEAD = """
[recipe]
name = "documents"
version = "1"
seed = 1

[use]
purpose = "internal"
commercial = false
distribution = "private"
competes_with = []

[stages.c]
kind = "corpus"
title = "mine"
origin = "own-dataset"
"""


def corpus(folder, keys):
    """Return the rows of a corpus of these keys."""
    (folder / "recipe.toml").write_text(HEAD + keys)
    ws = mb.open(folder / "store")
    ws.run(ws.plan(folder / "recipe.toml"))
    rows = ws.store().dataset(ArtifactRef.parse("c@1"))
    return rows.read(0, rows.num_rows).to_pylist()


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def tarred(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


# ---- arrays of texts ----


@law(60)
@given(st.lists(st.text(max_size=9), min_size=1, max_size=6), st.booleans())
def test_each_text_of_an_array_of_texts_is_a_row(texts, indented):
    text = json.dumps(texts, indent=1 if indented else None)
    unit, lines = json_rows(io.StringIO(text, newline="\n"), "f.json", "utf-8")
    found = list(lines)
    assert unit == "row"
    assert [row for _, row, _, _ in found] == [{"text": text} for text in texts]
    assert all(flaw is None for _, _, flaw, _ in found)


def test_what_is_no_text_among_texts_is_told():
    stream = io.StringIO('["a", {"text": "b"}, 3, "c"]', newline="\n")
    found = list(json_rows(stream, "f.json", "utf-8")[1])
    assert [row for _, row, _, _ in found] == [{"text": "a"}, {}, {}, {"text": "c"}]
    assert found[1][2] == ('{"text": "b"}', "is no text, as the first row is, and each must be")


def test_a_corpus_reads_an_array_of_texts(tmp_path):
    (tmp_path / "set.json").write_text('["one two", "three", ""]')
    rows = corpus(tmp_path, 'source = "set.json"\n')
    assert [row["text"] for row in rows] == ["one two", "three"]


# ---- documents ----


def test_a_folder_of_texts_is_a_row_a_file(tmp_path):
    for name, text in {"a.txt": "line\nline", "b/c.md": "# Title", "d.csv": "text\nno\n"}.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    rows = corpus(tmp_path, 'source = "docs"\nformat = "text"\n')
    assert [(row["text"], row["name"]) for row in rows] == [
        ("line\nline", "a.txt"), ("# Title", "b/c.md"),
    ]  # fmt: skip


def test_one_file_of_any_ending_is_a_row(tmp_path):
    (tmp_path / "notes").write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    rows = corpus(tmp_path, 'source = "notes"\nformat = "text"\n')
    assert [(row["text"], row["name"]) for row in rows] == [("one\ntwo", "notes")]


def test_a_folder_without_documents_is_refused(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.csv").write_text("text\nx\n")
    with pytest.raises(mb.MashbillError, match=r"no file whose ending says text \(\.txt, \.md\)"):
        corpus(tmp_path, 'source = "docs"\nformat = "text"\n')


def test_bytes_that_are_no_text_stop_or_are_rejected(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "docs" / "b.txt").write_text("tea")
    with pytest.raises(InputError, match="utf-8"):
        corpus(tmp_path, 'source = "docs"\nformat = "text"\n')
    rows = corpus(tmp_path, 'source = "docs"\nformat = "text"\non_bad_bytes = "reject"\n')
    assert [row["text"] for row in rows] == ["tea"]


def test_a_document_that_is_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MASHBILL_MAX_ROW", "100")
    (tmp_path / "a.txt").write_text("x" * 101)
    with pytest.raises(InputError, match=r"a\.txt: it has more than"):
        corpus(tmp_path, 'source = "a.txt"\nformat = "text"\n')


# ---- members by patterns ----

FILES = {
    "p/a.txt": "first", "p/q/b.txt": "second", "p/q/r/c.txt": "third", "p/q/d.md": "fourth",
    "other/e.txt": "fifth",
}  # fmt: skip


@pytest.mark.parametrize("write", [zipped, tarred])
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("p/**/*.txt", ["p/a.txt", "p/q/b.txt", "p/q/r/c.txt"]),
        ("p/*.txt", ["p/a.txt"]),
        ("**", []),
        ("**/**/[bc].txt", ["p/q/b.txt", "p/q/r/c.txt"]),
        ("p/q/?.md", ["p/q/d.md"]),
        ("p/a.txt", ["p/a.txt"]),
    ],
)
def test_a_pattern_stands_for_the_members_that_fit(tmp_path, write, pattern, names):
    archive = write(tmp_path / "archive", FILES)
    if names:
        assert members_like(archive, pattern) == names
        return
    with pytest.raises(InputError, match="no member fits the pattern"):
        members_like(archive, pattern)


def test_a_pattern_goes_into_an_archive_of_an_archive(tmp_path):
    inner = zipped(tmp_path / "inner.zip", FILES).read_bytes()
    outer = zipped(tmp_path / "outer.zip", {"x/inner.zip": inner})
    assert members_like(outer, "x/inner.zip!other/*") == ["x/inner.zip!other/e.txt"]


def test_a_pattern_on_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive at all")
    with pytest.raises(InputError, match="neither a zip nor a tar"):
        members_like(tmp_path / "a.zip", "*.txt")


def test_members_by_a_pattern_are_one_part_with_their_names(tmp_path):
    zipped(tmp_path / "a.zip", FILES)
    keys = 'source = "a.zip"\nformat = "text"\nmembers = { p = "p/**/*.txt", o = "other/*.txt" }\n'
    rows = corpus(tmp_path, keys)
    assert [(row["part"], row["name"], row["text"]) for row in rows] == [
        ("p", "p/a.txt", "first"), ("p", "p/q/b.txt", "second"), ("p", "p/q/r/c.txt", "third"),
        ("o", "other/e.txt", "fifth"),
    ]  # fmt: skip


# ---- chats ----


def test_turns_of_those_who_ask_are_the_text(tmp_path):
    asked, told = {"role": "user", "content": "Weather?"}, {"role": "system", "content": "Brief!"}
    answered, again = {"role": "assistant", "content": "Rain."}, {"from": "human", "value": "Bye."}
    rows = [{"q": [told, asked, answered]}, {"q": [[told, asked], [again]]}, {"q": "no"}, {"q": 1}]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = corpus(tmp_path, 'source = "set.jsonl"\ntext = "q"\nturns = ["user"]\nkeep = []\n')
    assert [row["text"] for row in found] == ["Weather?", "Weather?\n\nBye."]
    gone = rows_of(mb.open(tmp_path / "store").store(), "c", "rejected")
    assert [row["_reason"] for row in gone] == ["column 'q' holds no chat"] * 2


# ---- constants ----


def test_constants_are_columns_of_each_row(tmp_path):
    (tmp_path / "set.json").write_text('["one", "two"]')
    rows = corpus(
        tmp_path, 'source = "set.json"\nconstants = { odd = "yes", of = "x" }\nkeep = []\n'
    )
    assert [(row["text"], row["odd"], row["of"]) for row in rows] == [
        ("one", "yes", "x"), ("two", "yes", "x"),
    ]  # fmt: skip


def test_a_constant_may_be_the_label_of_all(tmp_path):
    (tmp_path / "set.json").write_text('["one", "two"]')
    keys = 'source = "set.json"\nconstants = { kind = "a" }\n'
    keys += '[stages.c.gold]\ncolumn = "kind"\nlabels = { good = { equals = "a" } }\n'
    assert [row["gold"] for row in corpus(tmp_path, keys)] == ["good", "good"]


def test_a_constant_that_the_file_has_is_refused(tmp_path):
    (tmp_path / "set.jsonl").write_text('{"text": "a", "odd": "no"}\n')
    with pytest.raises(InputError, match=r"set\.jsonl has a column 'odd' itself"):
        corpus(tmp_path, 'source = "set.jsonl"\nconstants = { odd = "yes" }\n')


@pytest.mark.parametrize("name", ["text", "gold", "part", "label"])
def test_a_constant_is_called_like_no_column_of_a_stage(tmp_path, name):
    (tmp_path / "set.json").write_text('["a"]')
    with pytest.raises(mb.MashbillError, match=f"constants.{name}: a stage gives"):
        corpus(tmp_path, f'source = "set.json"\nconstants = {{ {name} = "yes" }}\n')
