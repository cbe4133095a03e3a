"""Rejects: one bad file or row ends no import, each is told, and nothing else is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import InputError
from mashbill.cli import main
from mashbill.policy.importers import import_all, import_claims, rejected
from mashbill.policy.importers.card_names import read_name
from mashbill.policy.importers.naming_nothing import no_name

HEAD = "child,parent,relation,source\n"
CARD = "---\nbase_model: a/base\n---\n"
RECORD = {"Hugging Face URL": "https://huggingface.co/datasets/a/d", "Model Generated": ["GPT-4"]}


def write(folder, name, data):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


# ---- names that name nothing ----

NOTHING = [
    "None", "none", "NONE", "null", "Null", "n/a", "N/A", "NA", "nan", "", "  ", "-", "?", "TBD",
    "todo", "undefined", "[More Information Needed]", "<unknown>", "none/none", "null/None",
    "None/model", "acme/None", "acme/null", "undefined/undefined", "unknown/x", "./output", "../x",
    "./", "/root/models/x", "~/m", "C:\\models\\x", "C:/models/x", "D:Model", "\\\\server\\share",
    "s3://bucket/x", "gs://b/x", "file:///x", "https://example.com/a/b", "$BASE", "${BASE}/x",
    "%MODEL%", "{{ base_model }}", "<user>/<repo>", "<your model>", "your-username/your-model",
    "your_username/x", "username/model", "YOUR-ORG/x", "user/repo", "owner/repo",
]  # fmt: skip
NAMES = [
    "gpt2", "a/b", "acme/none-of-your-business", "nonetype/x", "meta-llama/Llama-3.1-8B",
    "unknownlabs/x", "01-ai/Yi-34B", "deepseek-ai/DeepSeek (unspecified)", "acme/NA-7B",
    "username123/x", "null-space/x", "C4/x", "n1/x",
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING)
def test_what_names_nothing_becomes_no_entity(tmp_path, text):
    assert no_name(text)
    for what in ("model", "dataset"):
        assert not read_name(text, what).name
    keys = f"base_model: {json.dumps([text, None, 'a/base'])}\ndatasets: {json.dumps([text])}"
    file = write(tmp_path, "acme/x/README.md", f"---\n{keys}\n---\n")
    imported = import_claims("card", file)
    assert {claim.parent for claim in imported.claims} == {"a/base"}
    assert len(imported.left_out) == 3
    graph = {
        "nodes": [{"id": "acme/x", "kind": "model"}, {"id": text, "kind": "model"}],
        "edges": [{"subject": "acme/x", "relation": "trained_from", "object": text}],
    }
    imported = import_claims("modsleuth", write(tmp_path, "g.json", json.dumps(graph)))
    assert (imported.claims, imported.entities) == ((), ())
    quoted = '"' + text.replace('"', '""') + '"'
    rows = f"{HEAD}acme/x,{quoted},logits,notes\n{quoted},a/b,logits,notes\na/b,c/d,logits,notes\n"
    imported = import_claims("csv", write(tmp_path, "claims.csv", rows))
    assert [(claim.child, claim.parent) for claim in imported.claims] == [("a/b", "c/d")]
    for maker in ("OpenAI ", "Anthropic ", ""):
        record = {**RECORD, "Model Generated": [maker + text, "OpenAI GPT-4"]}
        imported = import_claims("dpi", write(tmp_path, "s.json", json.dumps({"k": record})))
        known = {"openai/gpt-4", "a/d"}
        if is_word(text):
            assert {entity.id for entity in imported.entities} == known


def is_word(text):
    """Whether a text says that there is nothing; a path behind a maker's name is an odd name."""
    return (
        "/" not in text.strip()
        and text.strip()[:1].isalpha()
        and "\\" not in text
        and (":" not in text)
    )


@pytest.mark.parametrize("text", NAMES)
def test_what_names_something_is_kept(tmp_path, text):
    assert no_name(text) == ""
    rows = f"{HEAD}acme/x,{text},logits,notes\n"
    [claim] = import_claims("csv", write(tmp_path, "claims.csv", rows)).claims
    assert claim.parent == text


# ---- rows and files ----

BAD_ROWS = [
    ("acme/y,a/b,copied,x", "line 3", "relation = 'copied'"),
    ("acme/y,a/b,logits", "line 3", "fewer cells"),
    ("acme/y,a/b,logits,x,more", "line 3", "fewer cells"),
    ("acme/y,acme/y,logits,x", "line 3", "cannot be made from itself"),
    (",a/b,logits,x", "line 3", "child = ''"),
    ("acme/y,a/b,logits,", "line 3", "source = ''"),
]


@pytest.mark.parametrize(("row", "where", "found"), BAD_ROWS)
def test_a_bad_row_is_a_reject_and_the_others_are_read(tmp_path, row, where, found):
    good = ["acme/x,a/b,logits,x", "acme/z,a/b,logits,x"]
    file = write(tmp_path, "claims.csv", f"{HEAD}{good[0]}\n{row}\n{good[1]}\n")
    imported = import_claims("csv", file)
    assert [claim.child for claim in imported.claims] == ["acme/x", "acme/z"]
    [reject] = imported.rejected
    assert (reject.file, reject.where) == (str(file), where)
    assert found in reject.found
    assert reject.do
    assert reject.flaw in imported.left_out


def test_a_csv_file_that_is_cut_gives_the_rows_before_the_cut(tmp_path):
    rows = f'{HEAD}acme/x,a/b,logits,x\nacme/y,a/b,logits,"half of a'
    imported = import_claims("csv", write(tmp_path, "claims.csv", rows))
    assert [claim.child for claim in imported.claims] == ["acme/x"]
    [reject] = imported.rejected
    assert reject.where == "line 3"
    assert reject.do.endswith("nothing behind it is read")


BAD_CARDS = {
    "cut": ("---\nbase_model: a/b\nlicense: [mit", "line 1"),
    "open": ("---\nbase_model: [a/b\n---\n", "line 3"),
    "list": ("---\n- a\n---\n", "line 2"),
    "tab": ("---\nbase_model:\ta/b\n\tx: 1\n---\n", "line 2"),
    "twice": ("---\nbase_model: a/b\nbase_model: a/c\n---\n", "line 3"),
    "latin1": (b"---\ntags: [caf\xe9]\n---\n", ""),
    "deep": ("---\na: " + "[" * 3000 + "]" * 3000 + "\n---\n", ""),
    "nul": (b"---\nbase_model: a/b\x00\n---\n", "line 2"),
}


def test_bad_cards_of_a_folder_are_rejects_with_place_and_remedy(tmp_path):
    write(tmp_path, "acme/good/README.md", CARD)
    write(tmp_path, "acme/plain/README.md", "# no front matter\n")
    for name, (data, _) in BAD_CARDS.items():
        write(tmp_path, f"acme/{name}/README.md", data)
    imported = import_claims("card", tmp_path)
    assert [claim.child for claim in imported.claims] == ["acme/good"]
    told = {reject.file.split("/")[-2]: reject for reject in imported.rejected}
    assert told.keys() == BAD_CARDS.keys()
    for name, (_, where) in BAD_CARDS.items():
        assert told[name].where.startswith(where)
        assert told[name].found
        assert told[name].do
    assert any("plain/README.md: no front matter" in line for line in imported.left_out)


@law(15)
@given(st.lists(st.sampled_from(["good", *BAD_CARDS]), min_size=1, max_size=12))
def test_the_good_ones_are_read_whatever_stands_between(tmp_path_factory, kinds):
    folder = tmp_path_factory.mktemp("cards")
    for number, kind in enumerate(kinds):
        data = CARD if kind == "good" else BAD_CARDS[kind][0]
        write(folder, f"acme/m{number}/README.md", data)
    good = [f"acme/m{number}" for number, kind in enumerate(kinds) if kind == "good"]
    if not good and len(kinds) == kinds.count("cut"):  # cards without front matter are read
        assert len(import_claims("card", folder).rejected) == len(kinds)
    elif not good and "cut" not in kinds:
        with pytest.raises(InputError):
            import_claims("card", folder)
    else:
        imported = import_claims("card", folder)
        assert sorted(claim.child for claim in imported.claims) == sorted(good)
        assert len(imported.rejected) == len(kinds) - len(good)


def test_several_paths_are_one_import(tmp_path):
    good = write(tmp_path, "one/acme/x/README.md", CARD)
    bad = write(tmp_path, "two/acme/y/README.md", BAD_CARDS["open"][0])
    missing = tmp_path / "nowhere"
    imported = import_all("card", [bad, good, missing])
    assert [claim.child for claim in imported.claims] == ["acme/x"]
    assert [reject.file for reject in imported.rejected] == [str(bad), str(missing)]
    with pytest.raises(InputError, match="none of the 2 paths can be read"):
        import_all("card", [bad, missing])
    with pytest.raises(InputError, match="not valid YAML"):
        import_all("card", [bad])


@pytest.mark.parametrize(
    ("flaw", "expected"),
    [
        ("f.csv: line 3: x = 'y': bad", ("line 3", "x = 'y': bad")),
        ("f.csv: line 3, byte 7: bad; save it as UTF-8", ("line 3, byte 7", "bad")),
        ("f.csv: key 'nodes': found dict; give a graph", ("key 'nodes'", "found dict")),
        ("f.csv: edges[4]: found int", ("edges[4]", "found int")),
        ("f.csv: cannot be read", ("", "cannot be read")),
        ("something else", ("", "something else")),
        ("f.csv: ", ("", "cannot be read")),
    ],
)
def test_an_error_is_taken_apart(flaw, expected):
    reject = rejected("f.csv", flaw)
    assert (reject.where, reject.found) == expected
    assert reject.do
    assert str(reject).startswith("f.csv: ")


# ---- the command ----


def called(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["mashbill", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, capsys.readouterr().out


def test_rejects_are_told_at_the_end_and_by_the_exit_code(tmp_path, monkeypatch, capsys):
    write(tmp_path, "cards/acme/x/README.md", CARD)
    to = ("--to", tmp_path / "catalogue")
    asked = ("catalogue", "import", "card", tmp_path / "cards", *to)
    assert called(monkeypatch, capsys, *asked)[0] == 0
    bad = write(tmp_path, "cards/acme/y/README.md", BAD_CARDS["open"][0])
    code, text = called(monkeypatch, capsys, *asked)
    assert code == 3
    assert "1 file or row rejected" in " ".join(text.split())
    last = " ".join(text.split())
    assert last.rindex("Rejected, and not read") > last.rindex("use them with --catalogue")
    code, text = called(monkeypatch, capsys, *asked, "--json")
    assert code == 3
    [reject] = json.loads(text)["rejected"]
    assert reject.keys() == {"file", "where", "found", "do"}
    assert (reject["file"], reject["where"]) == (str(bad), "line 3")
