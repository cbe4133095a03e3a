"""Two names never become one."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import read_rows, rows_of, run_stages

from mashbill import InputError, Signer, Store
from mashbill.core.naming import file_name, free_names, reference_name
from mashbill.core.record import OURS, identify
from mashbill.files import listing
from mashbill.files.listing import File, listing_digest

laws = law(300)
BASE = st.sampled_from(["_bill", "_id", "text", "prompt", "a"])
NAME = st.one_of(
    BASE,
    st.builds("original_{}".format, BASE),
    st.builds("original_{}_{}".format, st.integers(2, 4), BASE),
    st.text(st.characters(), max_size=4),
    st.sampled_from(["\ud800", "\\ud800", "\ud801", "original_\\ud800", "a\x00b", "a\\x00b"]),
)


@laws
@given(st.lists(NAME), st.sets(NAME))
@example(["_bill", "original__bill", "original_2__bill"], {"_bill"})
@example(["original__bill", "_bill"], {"_bill", "original_2__bill"})
@example(["\ud800", "\\ud800"], {"\\ud800"})
def test_free_names_are_free_and_as_many_as_the_names(names, taken):
    found = free_names(names, taken)
    assert list(found) == list(dict.fromkeys(names))
    assert len(set(found.values())) == len(found)
    assert not set(found.values()) & taken
    assert all(new == old or new not in names for old, new in found.items())
    whole = {
        name: name.replace("\x00", "").encode("utf-8", "ignore") == name.encode("utf-8", "replace")
        for name in names
    }
    assert all(new == old for old, new in found.items() if old not in taken and whole[old])
    assert all(new.encode().count(b"\x00") == 0 for new in found.values())
    for old, new in found.items():
        # Another name that cannot stay may be spelt out as this one, and come first.
        if all(whole.values()) and old in taken and f"original_{old}" not in {*names, *taken}:
            assert new == f"original_{old}"
    assert free_names(names, taken) == found


TEXT = st.text(st.characters(), max_size=80)


@laws
@given(TEXT, TEXT)
@example("a:b", "a_b")
@example("A", "a")
@example("a%3ab", "a:b")
@example("x" * 300, "x" * 299 + "y")
@example("", ".")
def test_two_texts_have_two_file_names_where_case_is_folded_too(one, two):
    first, second = file_name(one), file_name(two)
    assert (first.casefold() == second.casefold()) == (one == two)
    for name in (first, second):
        assert 0 < len(name) <= 200
        assert name not in (".", "..")
        assert "/" not in name
        assert name.isascii()
    assert file_name("corpus@1") == "corpus@1"


def test_two_locks_are_two(tmp_path):
    store = Store(tmp_path, Signer.default())
    with store.lock("a:b"), store.lock("a_b"), store.lock("A_b"), store.lock("%"):
        assert not store.is_locked("a/b")
        assert store.is_locked("a:b")


@pytest.mark.parametrize(
    ("one", "two"), [("许可证", "ライセンス"), ("Лицензия 1", "Условия 1"), ("größe", "grose")]
)
def test_names_in_other_scripts_have_references_of_their_own(one, two):
    assert reference_name(one) != reference_name(two)
    assert reference_name("Gemma terms") == "Gemma-terms"
    assert reference_name("???") == ""


IMPORT = """
[stages.got]
kind = "import"
title = "t"
source = "rows.jsonl"
license = "MIT"
generator = "none"
"""
TAKEN = {
    "text": "x", "_bill": "mine", "original__bill": "also mine", "original_2__bill": "and mine",
    "_reason": "r", "original__reason": "s", "_from": "f",
}  # fmt: skip
CHAT = {
    "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
    "text": "t1",
    "original_text": "t2",
    "prompt": "p1",
    "messages_json": "m1",
}


@pytest.mark.parametrize("row", [TAKEN, CHAT, {**TAKEN, "original_3__bill": "z"}])
def test_an_imported_row_keeps_every_column_whatever_they_are_called(tmp_path, row):
    text = "messages" if "messages" in row else "text"
    rows = [row, {**row, "extra": "e"}]
    store = run_stages(tmp_path, IMPORT + f'text = "{text}"\n', {"rows.jsonl": rows})
    for found, given_row in zip(rows_of(store, "got"), rows, strict=True):
        theirs = [value for name, value in found.items() if name not in OURS]
        for name, value in given_row.items():
            if name not in ("text", "messages") or (name == "text" and text == "messages"):
                assert value in theirs, name


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_table_with_two_columns_of_one_name_is_refused(tmp_path, ending):
    table = pa.table([pa.array(["one"]), pa.array(["two"])], names=["a", "a"])
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write(table)
    with pytest.raises(InputError, match="names column 'a' twice"):
        list(read_rows(path, path.name))


def test_columns_that_a_recipe_names_twice_are_refused():
    with pytest.raises(InputError, match="names column 'a' twice"):
        list(read_rows(b"1,2\n", "x.csv", columns=("a", "a")))


@pytest.mark.parametrize("names", [["a", "a"], ["a\x00b", "a"]])
def test_no_record_has_a_column_that_would_not_come_back(names):
    table = pa.table([pa.array(["one"]), pa.array(["two"])], names=names)
    with pytest.raises(InputError, match="rename it where it comes from"):
        identify(table)


JOIN = """
[stages.one]
kind = "import"
title = "one"
source = "one.jsonl"
generator = "none"
[stages.two]
kind = "import"
title = "two"
source = "two.jsonl"
generator = "none"
[stages.both]
kind = "join"
left = "one"
right = "two"
on = ["__left", "row_left"]
suffix = "SUFFIX"
"""


def test_a_key_may_be_called_as_a_join_calls_its_places(tmp_path):
    rows = [{"text": "a", "__left": "k", "row_left": "l"}]
    files = {"one.jsonl": rows, "two.jsonl": rows}
    store = run_stages(tmp_path, JOIN.replace("SUFFIX", "_2"), files)
    (row,) = rows_of(store, "both")
    assert (row["text"], row["text_2"], row["__left"]) == ("a", "a", "k")


def test_a_suffix_that_makes_one_of_our_names_is_refused(tmp_path):
    rows = [{"text": "a", "__left": "k", "row_left": "l", "_fr": 1}]
    files = {"one.jsonl": rows, "two.jsonl": rows}
    with pytest.raises(InputError, match="set suffix"):
        run_stages(tmp_path, JOIN.replace("SUFFIX", "om"), files)


def test_a_file_s_name_cannot_pass_for_the_line_of_another(tmp_path):
    one, two = ("a" * 64, "b" * 64)

    def file(name, sha256):
        return File(name, name, tmp_path, sha256)

    forged = [file(f"x\n{two}  y", one)]
    honest = [file("x", one), file("y", two)]
    assert listing_digest(forged) != listing_digest(honest)
    for name in ("x", "a\nb", "\\n", "\\", "a  b", "\r", "\\\n"):
        line = listing._listed(file(name, one))
        assert line.count("\n") == 1
        assert listing._read_listed(line[:-1]) == (one, name)
    assert listing._listed(file("x y", one)) == f"{one}  x y\n"
