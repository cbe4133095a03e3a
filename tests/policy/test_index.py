"""The index and the row reader give the same catalogue; an index that is not ours is not read."""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.policy import keeping, sealed
from mashbill.policy.claim_rows import read_rows
from mashbill.policy.claims import Claim, Entity, load_catalogue
from mashbill.policy.columns import (
    _EXAMPLE,
    ROW_RULES,
    _is_free,
    quickly,
    read_columns,
    rows_of,
    table_of,
)
from mashbill.policy.keeping import open_index
from mashbill.policy.relations import RELATIONS
from mashbill.policy.statuses import STATUSES

NAMES = st.sampled_from(["a/one", "A/One", "b/two", "c/three", "one", "Café/x", "CAFÉ/X", "ΣΑΣ/y",
                         'two, "quoted"', "d/one", "d/four\nlines"])  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
FIGURES = st.sampled_from(["", "0.5", "0.50", ".5", "1", "1e-1", "0", "-0", " 1 "])


def cells_of_entities():
    return st.fixed_dictionaries(
        {"id": NAMES, "what": st.sampled_from(["model", "dataset"])},
        optional={
            "provider": st.sampled_from(["", "unknown", "P", "Q"]),
            "kind": st.sampled_from(["", "unknown", "open-weights"]),
            "license": st.sampled_from(["", "MIT"]),
            "license_looked": st.sampled_from(["", "its card"]),
            "making_looked": st.sampled_from(["", "its report"]),
            "released": st.sampled_from(["", "2025", "2025-04", "2025-04-28"]),
            "context": st.sampled_from(["", "8192", "08192"]),
            "takes": st.sampled_from(["", "text", "text; image", ";text;"]),
            "downloads": st.sampled_from(["", "7"]),
            "downloads_on": st.sampled_from(["", "2025-04-28"]),
            "downloads_source": st.sampled_from(["", "there"]),
            "aliases": st.sampled_from(["", "uno", "uno; b/two", "ONE;;d/four\nlines", "a/one"]),
            "second_hand": st.sampled_from(["", "true", "1", "false", "yes"]),
            "source": TEXTS,
        },
    )


def cells_of_claims():
    return st.fixed_dictionaries(
        {
            "child": st.one_of(NAMES, st.sampled_from(["uno", "new/x", "NEW/x"])),
            "parent": st.one_of(NAMES, st.sampled_from(["uno", "new/x", "new/y"])),
            "relation": st.sampled_from(sorted(RELATIONS)),
            "source": st.sampled_from(["s", "t", "a, b"]),
        },
        optional={
            "route": st.sampled_from(["", "unknown", "api"]),
            "share": FIGURES,
            "tokens": FIGURES,
            "status": st.sampled_from(["", *STATUSES]),
            "second_hand": st.sampled_from(["", "true", "1", "false"]),
            "dispute": st.sampled_from(["", "who"]),
            "note": TEXTS,
        },
    )


@st.composite
def files(draw, cells):
    """Return a file's bytes: rows as somebody may have written them."""
    rows = draw(st.lists(cells, max_size=6))
    rows += draw(st.lists(st.sampled_from(rows), max_size=2)) if rows else []
    columns = sorted({name for row in rows for name in row} | {"source"})
    text = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n", "\n\n", "\r"]))
    writer = csv.DictWriter(text, columns, restval="", quoting=quoting, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    written = text.getvalue()
    written = written if draw(st.booleans()) else written.rstrip("\r\n")
    return (b"\xef\xbb\xbf" * draw(st.integers(0, 2))) + written.encode()


def outcome(call):
    try:
        return call()
    except InputError as error:
        return str(error)


@law(250)
@given(st.lists(st.booleans(), max_size=4), st.data())
def test_index_and_rows_give_the_same_catalogue(kinds, data):
    with tempfile.TemporaryDirectory() as place:
        for number, is_claims in enumerate(kinds):
            name = "claims" if is_claims else "entities"
            cells = cells_of_claims() if is_claims else cells_of_entities()
            (Path(place) / f"{name}-{number}.csv").write_bytes(data.draw(files(cells)))
        plain = outcome(lambda: load_catalogue([Path(place)], shipped=False))
        index = outcome(lambda: open_index([Path(place)], shipped=False))
        if isinstance(plain, str):
            assert index == plain
            return
        assert index.whole() == plain
        assert list(index.whole().entities) == list(plain.entities)
        for name in [*plain.names, "ONE", "hf:a/ONE", "nothing", "o", "t", "datasets/uno", ""]:
            assert outcome(lambda n=name: index.find(n)) == outcome(lambda n=name: plain.find(n))
        for name in plain.entities:
            assert index.about(name)[0] == plain.about(name)
            assert index.serves_as(name) == plain.serves_as(name)
        assert index.disputes() == plain.disputes()
        for text in ("", "o", "p", "P unk", "ONE", "é", "open"):
            expected = [
                e.id
                for e in sorted(plain.entities.values(), key=lambda item: item.id.lower())
                if text.lower() in f"{e.id} {e.provider} {e.country} {e.kind}".lower()
            ]
            rows, count = index.listed(text)
            assert [e.id for e, _ in index.batches(rows)] == expected
            assert count == len(expected)
            assert index.listed(text, 2)[0] == rows[:2]


def test_the_shipped_catalogue_is_the_same_by_its_index():
    assert open_index().whole() == load_catalogue()


HEADER = "child,parent,relation,source"


@law(400)
@given(st.lists(st.sampled_from(['"', '""', ",", "\n", "\r\n", "\r", "a", " ", "é", "\0",
                                 "sft-data", "x,y,sft-data,s\n", '"x","y",sft-data,"s"\n'])),
       st.sampled_from([HEADER, f"{HEADER},note"]))  # fmt: skip
@example(['"x"y,b,sft-data,s'], HEADER)
@example(['x"y,b,sft-data,s'], HEADER)
@example(['"x,b,sft-data,s'], HEADER)
def test_any_text_is_read_by_column_as_it_is_by_row(parts, header):
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "claims.csv"
        file.write_bytes(f"{header}\n{''.join(parts)}".encode())
        rows = outcome(lambda: read_rows(file, Claim))
        table = outcome(lambda: rows_of(read_columns(file, Claim).table, Claim))
        assert table == rows


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,what\na,model\nb,thing\n", "line 3: what = 'thing'"),
        ("id,what,released\na,model,2025\nb,model,soon\n", "line 3: released = 'soon'"),
        ("id,what,license,license_looked\na,model,MIT,card\n", "line 2: row"),
        ("id,what,downloads\na,model,7\n", "line 2: row"),
        ("id,what\na,model\n,model\n", "line 3: id"),
        ("id,what\na,model,x\n", "line 2: has more or fewer cells"),
        ("id,what,colour\na,model,x\n", "line 1: found colour"),
        ("what\nmodel\n", "line 2: id"),
        ("id,what\na,mod\xff", "cannot be read as UTF-8 text: line 2"),
        ('id,what\n"a"b,model\n', "cannot be read as CSV"),
        (f"id,what\n{'a' * 200_000},model\n", "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_value(text, told, tmp_path):
    file = tmp_path / "entities.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"entities\.csv: ") as error:
        open_index([tmp_path], shipped=False)
    assert told in str(error.value)
    assert str(error.value) == outcome(lambda: read_rows(file, Entity))


def test_rows_are_read_by_column_at_all(tmp_path):
    """What is plain takes the quick way, or millions of rows would take the other one."""
    rows = load_catalogue()
    for model, these in ((Entity, rows.entities.values()), (Claim, rows.claims)):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(model.model_fields))
        writer.writeheader()
        for row in table_of(these, model).to_pylist():
            writer.writerow(row)
        read = quickly(text.getvalue().encode(), model)
        assert read is not None
        assert rows_of(read, model) == list(these)


@pytest.mark.parametrize("model", [Entity, Claim])
def test_every_rule_over_several_cells_is_known_to_the_reader_by_column(model):
    assert set(model.__pydantic_decorators__.model_validators) == ROW_RULES[model]
    model.model_validate(_EXAMPLE[model])
    assert not _is_free(model, "released" if model is Entity else "relation")


# -- keeping -------------------------------------------------------------------------------------

CLAIMS = "child,parent,relation,source\n{},b/two,sft-data,s\nb/two,c/three,sft-data,s\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(tmp_path / "key.pem"))
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "claims.csv").write_text(CLAIMS.format("a/one"))
    return tmp_path


def opened(place, name="claims"):
    return open_index([place / name], shipped=False, folder=place / "cache", kept_from=0)


def children(index):
    return [claim.child for claim in index.whole().claims]


@pytest.fixture
def builds(monkeypatch):
    """Count how often files are read."""
    counted = []
    real = keeping._built
    monkeypatch.setattr(keeping, "_built", lambda *files: counted.append(1) or real(*files))
    return counted


def data_of(place):
    return next((place / "cache").glob("*.arrow"))


def test_an_index_is_made_once_and_is_the_same(place, builds):
    first, second = opened(place), opened(place)
    assert len(builds) == 1
    assert first.whole() == second.whole()
    assert first.kept == second.kept == ""


def test_a_damaged_index_is_made_anew(place, builds):
    opened(place)
    whole = data_of(place).read_bytes()
    for at in range(0, len(whole), max(len(whole) // 40, 1)):
        data = data_of(place)
        data.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert children(opened(place)) == ["a/one", "b/two"]
    data_of(place).write_bytes(whole[: len(whole) // 2])
    assert children(opened(place)) == ["a/one", "b/two"]
    data_of(place).unlink()
    assert children(opened(place)) == ["a/one", "b/two"]
    assert len(builds) > 40


def test_an_index_of_other_claims_is_not_believed_even_with_its_seal(place, builds):
    other = place / "other"
    other.mkdir()
    (other / "claims.csv").write_text(CLAIMS.format("x/lie"))
    opened(place)
    mine = {path.suffix: path for path in (place / "cache").iterdir()}
    opened(place, "other")
    theirs = {p.suffix: p for p in (place / "cache").iterdir() if p not in mine.values()}
    mine[".arrow"].write_bytes(theirs[".arrow"].read_bytes())
    assert children(opened(place)) == ["a/one", "b/two"]
    seal = json.loads(theirs[".json"].read_text())
    mine[".json"].write_text(json.dumps(seal))
    assert children(opened(place)) == ["a/one", "b/two"]
    assert len(builds) == 4


def test_a_seal_that_somebody_else_signed_is_not_believed(place, builds, monkeypatch):
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(place / "stranger.pem"))
    opened(place)
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(place / "key.pem"))
    opened(place)
    assert len(builds) == 2


def test_a_seal_that_was_edited_is_not_believed(place, builds):
    opened(place)
    seal = next((place / "cache").glob("*.json"))
    good = seal.read_text()
    body = json.loads(good)
    for edited in ("", "{", "[]", "null", good.replace('"looked": ', '"looked": 9'), "{}",
                   json.dumps({**body, "body": {**body["body"], "parts": {}}}),
                   json.dumps({**body, "signature": None})):  # fmt: skip
        seal.write_text(edited)
        before = len(builds)
        assert children(opened(place)) == ["a/one", "b/two"]
        assert len(builds) == before + 1


def test_a_csv_file_that_changed_is_read_again_whatever_its_times_say(place, builds):
    file = place / "claims" / "claims.csv"
    opened(place)
    before = file.stat()
    file.write_text(CLAIMS.format("z/new"))  # as many bytes
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert children(opened(place)) == ["z/new", "b/two"]
    (place / "claims" / "claims-more.csv").write_text(CLAIMS.format("y/more"))
    assert children(opened(place)) == ["y/more", "b/two", "z/new"]
    assert len(builds) == 3
    file.touch()  # its times alone: it is digested, and the same
    opened(place)
    assert len(builds) == 3


def test_settled_files_are_not_digested_each_time(place, monkeypatch):
    monkeypatch.setattr(sealed, "_SETTLED_NS", -(10**12))
    opened(place)
    monkeypatch.setattr(sealed, "_digest", lambda _: pytest.fail("a settled file was read"))
    opened(place)


def test_an_index_of_other_code_is_not_believed(place, builds, monkeypatch):
    opened(place)
    monkeypatch.setattr(keeping, "_code", lambda: "another release")
    opened(place)
    assert len(builds) == 2


def test_what_cannot_be_kept_is_read_anew_and_told(place, builds):
    (place / "cache").write_text("a file where the folder should be")
    for _ in range(2):
        index = opened(place)
        assert "cannot be kept" in index.kept
        assert children(index) == ["a/one", "b/two"]
    assert len(builds) == 2


def test_an_index_that_lies_beside_a_catalogue_is_not_looked_at(place):
    opened(place)
    lie = place / "handed-over"
    lie.mkdir()
    (lie / "claims.csv").write_text(CLAIMS.format("x/true"))
    for path in (place / "cache").iterdir():
        (lie / path.name).write_bytes(path.read_bytes())
    assert children(opened(place, "handed-over")) == ["x/true", "b/two"]


def test_few_indices_are_kept(place):
    for number in range(keeping.MOST_KEPT + 3):
        folder = place / f"n{number}"
        folder.mkdir()
        (folder / "claims.csv").write_text(CLAIMS.format(f"n/{number}"))
        opened(place, folder.name)
    assert len(list((place / "cache").glob("*.json"))) == keeping.MOST_KEPT
    assert len(list((place / "cache").iterdir())) == 2 * keeping.MOST_KEPT


def test_processes_side_by_side_all_read_the_truth(place):
    code = (
        "import sys; from pathlib import Path; from mashbill.policy.keeping import open_index\n"
        "for _ in range(5):\n"
        "    i = open_index([Path(sys.argv[1])], shipped=False, folder=Path(sys.argv[2]),"
        " kept_from=0)\n"
        "    assert [c.child for c in i.whole().claims] == ['a/one', 'b/two']\n"
        "    assert not i.kept\n"
    )
    command = [sys.executable, "-c", code, str(place / "claims"), str(place / "cache")]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert sorted(p.suffix for p in (place / "cache").iterdir()) == [".arrow", ".json"]
