"""What an address stands for: files, or a clear error, and never what lies outside."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_toy

from mashbill import InputError, RecipeError, load_recipe
from mashbill.core.errors import MashbillError
from mashbill.core.folder import RecipeFolder
from mashbill.files.beside import beside
from mashbill.files.listing import fetch_all


def every(names, _):
    return list(names)


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"text": name}) + "\n")
    return folder


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jsonl", "a.jsonl"), ("**/*.jsonl", "a.jsonl d/.h.jsonl d/b.jsonl d/e/c.jsonl"),
        ("**/**/**/*.jsonl", "a.jsonl d/.h.jsonl d/b.jsonl d/e/c.jsonl"),
        ("d/*", "d/.h.jsonl d/b.jsonl"), ("d/*/*", "d/e/c.jsonl"), ("*/b.jsonl", "d/b.jsonl"),
        ("[ad].jsonl", "a.jsonl"), ("d/**/c.jsonl", "d/e/c.jsonl"), ("d/?.jsonl", "d/b.jsonl"),
        ("**/e/**/c.jsonl", "d/e/c.jsonl"), ("**/c*", "d/e/c.jsonl"), ("d/e/**/*", "d/e/c.jsonl"),
    ],
)  # fmt: skip
def test_a_glob_finds_what_pathlib_finds(tmp_path, pattern, found):
    filled(tmp_path, "a.jsonl", "d/b.jsonl", "d/e/c.jsonl", "d/.h.jsonl")
    assert " ".join(beside(pattern, tmp_path, every)) == found
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob(pattern) if p.is_file()) == (
        found.split()
    )


def test_a_pattern_of_many_stars_is_walked_once(tmp_path):
    filled(tmp_path, *(f"{a}/{b}/{c}/x.txt" for a in "abc" for b in "abc" for c in "abc"))
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    began = time.monotonic()
    for pattern in ("**/" * 200 + "none", "**/*/" * 100 + "none", "*/" * 50 + "none"):
        with pytest.raises(InputError, match=r"fits this pattern|Too many levels of symbolic"):
            beside(pattern, tmp_path, every)
    assert time.monotonic() - began < 10  # 27 folders to the power of 200 otherwise


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "names no file"), ("  ", "names no file"), ("\t\n", "names no file"),
        ("a\0b", "names no file"), ("[", "fits this pattern"), ("[]", "fits this pattern"),
        ("**", "fits this pattern"), ("***", "fits this pattern"), ("a**b", "fits this pattern"),
        ("*/../../*", "behind a pattern leads back"), ("x" * 5000, "no such file|cannot be"),
        ("x" * 5000 + "*", "File name too long"), ("/".join("x" * 9000), "no such|cannot be"),
        ("hf:", "write hf:OWNER"), ("hf:x", "write hf:OWNER"), ("hf://a/b", "write hf:OWNER"),
        ("hf:datasets/a", "write hf:OWNER"), ("s3://", r"s3://"), ("s3:///", r"s3:///"),
        ("https://", "https://"), ("https://[::1", "is no address"), ("http://a:b:c/x", "http"),
        ("https://x:99999999/a", "https"), ("pypi:", "write pypi:NAME==VERSION"),
        ("pypi:==", "write pypi:NAME==VERSION"), ("unknown://x", "unknown://x"),
        ("://x", "://x"), ("simplecache::file:///etc/hostname", "a chain of addresses"),
        ("zip://a::b", "zip://a::b"), ("zip://a::file:///x.zip", "a chain|zip"),
        ("reference://x", "reference://x"), ("dir://x", "dir://x"), ("file://x", "write file:///"),
        ("file://", "write file:///"), ("https://u:p@h/x", "no name or password"),
        ("ftp://[", "is no address"), ("memory://none/x.jsonl", "memory://none"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_is_told(tmp_path, address, message):
    with pytest.raises(InputError, match=message):
        fetch_all(address, None, tmp_path, tmp_path / "cache", every)


PIECES = st.sampled_from(
    ["..", ".", "/", "//", "*", "**", "[", "]", "?", "~", "\0", "::", "://", "file", "local", "a",
     "a.jsonl", "link", "out", "hf:", "pypi:", "==", "zip", "simplecache", "memory", "@", ":", "\\",
     "C:", "etc", "passwd", "proc", "self", "root", "d", " ", "\n", "é", "\u202e", "%2e%2e"]
)  # fmt: skip


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded") / "recipe"
    filled(folder, "a.jsonl", "d/a.jsonl")
    filled(folder.parent, "out/secret.jsonl")
    (folder / "link").symlink_to(folder.parent / "out")
    (folder / "d" / "link.jsonl").symlink_to(folder.parent / "out" / "secret.jsonl")
    (folder / "r.toml").write_text("")
    return RecipeFolder.of(folder / "r.toml")


@law(600)
@given(st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=40))
@example("link/secret.jsonl")
@example("d/*")
@example("**/*")
@example("[[]/../out/*")
def test_any_text_gives_files_of_the_folder_or_an_error(guarded, address):
    said = ""
    try:
        files = fetch_all(address, None, guarded, guarded.parent / "cache", every)
    except MashbillError as error:
        files, said = (), str(error)
    assert 'secret.jsonl"' not in said
    assert all(file.path.resolve().is_relative_to(guarded) for file in files)
    try:
        names = beside(address, guarded, every)
    except (InputError, RecipeError):
        names = ()
    for name in names:
        path = guarded / name
        assert path.resolve().is_relative_to(Path(guarded))


HEAD = '[recipe]\nname = "some"\nversion = "1"\n'
STAGE = '[stages.corpus]\nkind = "corpus"\ntitle = "x"\nlicense = "CC0-1.0"\nsource = '


@pytest.mark.parametrize("source", [".", "./", "data/..", "..", "./."])
def test_the_recipes_own_folder_is_no_source(tmp_path, source):
    filled(tmp_path, "r/data/a.jsonl")
    path = tmp_path / "r" / "some.toml"
    path.write_text(f"{HEAD}{STAGE}'{source}'\n")
    with pytest.raises(RecipeError, match="is the recipe's own folder, or one above it"):
        load_recipe(path, [tmp_path])


@pytest.mark.parametrize("source", ["", " ", "\\t"])
def test_an_empty_source_is_an_error(tmp_path, source):
    path = tmp_path / "some.toml"
    path.write_text(f'{HEAD}{STAGE}"{source}"\n')
    with pytest.raises(RecipeError, match=r"stages.corpus.source = .* names no file"):
        load_recipe(path)


def test_a_glob_does_not_take_in_the_recipe(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(f"{HEAD}{STAGE}'*.toml'\n")
    with pytest.raises(RecipeError, match="takes in the recipe itself"):
        load_recipe(path)


def test_files_of_a_store_are_never_rows(tmp_path):
    folder = tmp_path / "r"
    filled(folder, "a.jsonl", "deep/b.jsonl")
    path = folder / "some.toml"
    path.write_text(f"{HEAD}{STAGE}'**/*.jsonl'\n")
    store, _ = run_toy(path, folder / "store")
    assert {row["text"] for row in rows_of(store, "corpus")} == {"a.jsonl", "deep/b.jsonl"}
    # The same recipe, now that its store lies in what the pattern covers: nothing is new.
    before = store.find("corpus").digest
    store, done = run_toy(path, folder / "store")
    assert store.find("corpus").digest == before
    assert [item.was_cached for item in done] == [True]
    for source in ("store/datasets/corpus@1/*.parquet", "store/**/*", "s*/ledger.*", "**/*.sqlite"):
        path.write_text(f"{HEAD}{STAGE}'{source}'\n")
        with pytest.raises(RecipeError, match=r"but those of the store .*, which are not read"):
            load_recipe(path)
    for source in ("store", "store/datasets", "store/datasets/corpus@1"):
        path.write_text(f"{HEAD}{STAGE}'{source}'\n")
        with pytest.raises(RecipeError, match=r"is part of the store .*, and a store is not read"):
            load_recipe(path)


def test_a_store_in_the_recipes_own_folder_leaves_its_data_alone(tmp_path):
    for number, source in enumerate(("data", "data/*", "*/*.jsonl")):
        folder = filled(tmp_path / str(number), "data/a.jsonl")
        path = folder / "some.toml"
        path.write_text(f"{HEAD}{STAGE}'{source}'\n")
        store, _ = run_toy(path, folder)
        assert [row["text"] for row in rows_of(store, "corpus")] == ["data/a.jsonl"]


def test_a_file_address_is_held_to_the_folder_and_its_pin(tmp_path):
    filled(tmp_path, "r/a.jsonl", "out/b.jsonl")
    path = tmp_path / "r" / "some.toml"
    path.write_text(f"{HEAD}{STAGE}'file://{tmp_path}/r/a.jsonl'\n")
    folder = load_recipe(path).folder
    address = f"file://{tmp_path}/r/a.jsonl"
    with pytest.raises(InputError, match="pin sha256") as caught:
        fetch_all(address, None, folder, tmp_path / "cache", every)
    pin = str(caught.value).split("sha256 = '")[1].split("'")[0]
    (file,) = fetch_all(address, pin, folder, tmp_path / "cache", every)
    assert file.path.read_text() == (tmp_path / "r" / "a.jsonl").read_text()
    with pytest.raises(RecipeError, match="it leads out"):
        fetch_all(f"file://{tmp_path}/out/b.jsonl", pin, folder, tmp_path / "cache", every)
    assert (tmp_path / "r" / "a.jsonl").exists()


@pytest.mark.parametrize("name", [b"\xff.jsonl".decode("utf-8", "surrogateescape")])
def test_a_name_that_a_list_cannot_hold_is_told(tmp_path, name):
    filled(tmp_path, "data/a.jsonl")
    (tmp_path / "data" / name).write_text("{}")
    for address in ("data", "data/*"):
        with pytest.raises(InputError, match=r"no name of a file|is no UTF-8"):
            beside(address, tmp_path, every)
