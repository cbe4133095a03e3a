"""Cards as programs write them: what is named, what is none, and what is doubtful."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_tables import table

from mashbill.core.errors import InputError
from mashbill.core.nothing import is_nothing
from mashbill.policy.importers import import_claims
from mashbill.policy.importers.card_names import LOADERS, read_name


def put(folder, front, name="lab/made", data=None):
    file = folder / name / "README.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if data is not None else f"---\n{front}\n---\n# text\n".encode())
    return file


CARDS = {
    "Trainer, of a loader and with results": (
        """
license: apache-2.0
base_model: distilroberta-base
tags: [generated_from_trainer]
datasets: [imagefolder]
model-index:
- name: made
  results:
  - task: {name: Image Classification, type: image-classification}
    dataset: {name: imagefolder, type: imagefolder, config: default, args: default}
    metrics: [{name: Accuracy, type: accuracy, value: .nan}]
""",
        {("base-weights", "distilroberta-base")},
        ["a loader of the library"],
    ),
    "Trainer before 2022": (
        "tags: [generated_from_trainer]\ndatasets:\n- null\nmodel_index:\n- name: made",
        set(),
        ["null names nothing"],
    ),
    "TRL, on a public set": (
        """
base_model: Qwen/Qwen2-0.5B
datasets: trl-lib/Capybara
library_name: transformers
model_name: made
tags: [generated_from_trainer, trl, sft]
licence: license
""",
        {("base-weights", "Qwen/Qwen2-0.5B"), ("trained-on", "trl-lib/Capybara")},
        [],
    ),
    "TRL, on rows in memory": (
        "base_model: None\ndatasets: generator\ntags: [trl, dpo]\nlicence: license",
        set(),
        ["says that there is none", "a loader of the library"],
    ),
    "PEFT, of a folder": (
        "library_name: peft\nlicense: other\nbase_model: /mnt/llms/Qwen-tiny\ntags: [lora]",
        set(),
        ["a path, which says nothing"],
    ),
    "LLaMA-Factory, beside its base": (
        "library_name: peft\nlicense: other\nbase_model: ../bases/phi\ntags: [llama-factory]",
        set(),
        ["a path, which says nothing"],
    ),
    "AutoTrain": (
        """
tags: [autotrain, text-generation]
base_model: google/gemma-2b
widget: [{messages: [{role: user, content: hi}]}]
license: other
datasets:
- lab/autotrain-data-ours
- /app/data/ours
""",
        {("base-weights", "google/gemma-2b"), ("trained-on", "lab/autotrain-data-ours")},
        ["a path, which says nothing"],
    ),
    "Unsloth, of a merged adapter": (
        "base_model: lora_model\nlicense: apache-2.0\ntags: [unsloth, trl]\nlanguage:\n- en",
        set(),
        ["a word for something of one's own"],
    ),
    "Axolotl, with the sets as its configuration has them": (
        """
base_model: mistralai/Mistral-7B-v0.1
datasets:
- {path: lab/chats, type: alpaca}
- {path: ./mine.jsonl, type: sharegpt, ds_type: json}
- {path: json, type: alpaca, data_files: [a.json]}
""",
        {("base-weights", "mistralai/Mistral-7B-v0.1"), ("trained-on", "lab/chats")},
        ["a path, which says nothing", "a loader of the library"],
    ),
    "sentence-transformers": (
        """
library_name: sentence-transformers
base_model: microsoft/mpnet-base
base_model_revision: 6996ce1
datasets: [sentence-transformers/all-nli]
""",
        {("base-weights", "microsoft/mpnet-base"),
         ("trained-on", "sentence-transformers/all-nli")},
        [],
    ),
    "mergekit, with a folder among the models": (
        "base_model:\n- a/one\n- ./two\n- b/three\nbase_model_relation: merge\ntags: [mergekit]",
        {("merge", "a/one"), ("merge", "b/three")},
        ["a path, which says nothing"],
    ),
    "sets with name, type and arguments": (
        """
datasets:
- {name: Common Voice 11.0, type: mozilla-foundation/common_voice_11_0, args: 'config: hi'}
- {name: SQuAD, type: squad, args: plain_text}
- {args: default}
""",
        {("trained-on", "mozilla-foundation/common_voice_11_0"), ("trained-on", "squad")},
        ["names no repository"],
    ),
    "values that YAML turns into others": (
        "base_model: [[a/one], [[b/two]]]\ndatasets: [no, 2024-01-31, 12, 1.5, .nan, {}, '']",
        {("base-weights", "a/one"), ("base-weights", "b/two")},
        ["false is no id on the hub", "'2024-01-31' is no id", "12 is no id", "1.5 is no id",
         "nan is no id", "names no repository", "says that there is none"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("front", "claims", "left"), CARDS.values(), ids=CARDS)
def test_what_programs_write_becomes_what_it_means(tmp_path, front, claims, left):
    imported = import_claims("card", put(tmp_path, front))
    assert {(c.relation, c.parent) for c in imported.claims} == claims
    reasons = list(imported.left_out)
    assert len(reasons) == len(left)
    for reason in left:
        assert any(reason in line for line in reasons), (reason, reasons)


@table("name", sorted(LOADERS))
def test_a_loader_is_no_data_set(name):
    for text in (name, name.upper(), f" {name}\n"):
        assert "a loader" in read_name(text, "dataset").reason


@table(
    "text",
    ["NULL", "nan", "N/A", "n.a.", "[More Information Needed]", "Not Specified", "unknown ", "TBD",
     "-", "<NA>", "'None'", "not_available", "", "  ", "No"],
)  # fmt: skip
@table("what", ["model", "dataset"])
def test_texts_for_nothing_name_nothing(text, what):
    assert is_nothing(text)
    assert "says that there is none" in read_name(text, what).reason


@table(
    "text",
    ["./a", "../a/b", ".", "..", "~/a", "/a", "/a/b", "a/b/c", "a/", "a/b/", "a\\b", "C:\\a",
     "d:/a", "\\\\host\\a", "file:///a", "s3://bucket/a", "$HOME/a", "%TEMP%/a", ".cache/a",
     "checkpoint-12", "epoch_3", "step-9000", "rows.jsonl", "rows.parquet", "model.gguf",
     "output_dir", "outputs", "tmp_trainer", "my_dataset", "custom-data", "train", "private",
     "models/llama", "spaces/a", "https://example.org/a", "https://huggingface.co", "a b",
     "{{ base }}", "<base>", "a/b:c", "a--b/c", "a/b.", "-a/b", "a/-b", "über/model"],
)  # fmt: skip
@table("what", ["model", "dataset"])
def test_what_is_surely_no_id_is_left_out(text, what):
    one = read_name(text, what)
    assert one.reason
    assert not one.name


@pytest.mark.parametrize(
    ("text", "name", "note"),
    [
        ("acme/corpus", "acme/corpus", ""),
        (" acme/corpus ", "acme/corpus", ""),
        ("imdb", "imdb", ""),
        ("https://huggingface.co/datasets/acme/corpus/tree/main", "acme/corpus", ""),
        ("hf://datasets/acme/corpus", "acme/corpus", ""),
        ("acme/corpus@1f2e", "acme/corpus", "at revision 1f2e"),
        ({"repo_id": "acme/corpus", "revision": "v2"}, "acme/corpus", "at revision v2"),
        ({"name": "acme/corpus", "revision": 3}, "acme/corpus", "at revision 3"),
        ("data/train", "data/train", "may be a path"),
        ("raw_data/2024", "raw_data/2024", "may be a path"),
        ("acme/rows.json", "acme/rows.json", "may be a file"),
        ("outputs/checkpoint-500", "outputs/checkpoint-500", "may be a checkpoint"),
        ("datasets/squad", "squad", "may be a folder"),
    ],
)
def test_ids_stay_and_doubts_are_noted(text, name, note):
    one = read_name(text, "dataset")
    assert (one.name, one.reason) == (name, "")
    assert note in one.note
    assert bool(note) == bool(one.note)


def test_an_address_of_the_other_kind_is_no_base(tmp_path):
    front = "base_model: https://huggingface.co/datasets/a/b\ndatasets: https://huggingface.co/c/d"
    imported = import_claims("card", put(tmp_path, front))
    assert imported.claims == ()
    assert [line.rsplit(" is ", 1)[1] for line in imported.left_out] == [
        "the address of a dataset",
        "the address of a model",
    ]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
VALUES = st.recursive(
    SCALARS | st.sampled_from(["a/b", "data/x", "json", "./x"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "path", "id"]), inner),
)


@given(VALUES, st.sampled_from(["model", "dataset"]))
def test_every_value_is_an_id_or_has_a_reason(value, what):
    one = read_name(value, what)
    assert bool(one.name) != bool(one.reason)
    assert "\n" not in one.reason
    if one.name:
        assert re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", one.name, re.ASCII)
        assert one.name.lower() not in LOADERS or what == "model"


@pytest.mark.parametrize(
    ("front", "licence", "left"),
    [
        ("license: [mit, MIT, 'MIT License']", "MIT", 0),
        ("license: mit AND isc", "MIT AND ISC", 0),
        ("license: {name: cc-by-4.0, link: x}", "CC-BY-4.0", 0),
        ("license: [null, mit]", "MIT", 0),
        ("license: [none, mit]", "MIT", 0),
        ("license: [mit, isc]", None, 1),
        ("license: no", None, 1),
        ("license: .nan", None, 1),
        ("license: 2024-01-31", None, 1),
        ("license: NOASSERTION", None, 0),
        (
            "license: other\nlicense_name: apache-2.0 with llvm-exception",
            "Apache-2.0 WITH LLVM-exception",
            0,
        ),
        ("license: other\nlicense_name: None\nlicense_link: LICENSE", "LicenseRef-other", 0),
        ("license: other\nlicense_name: 7", "LicenseRef-other", 0),
        ("license: other\nlicense_name: Our Terms 2", "LicenseRef-Our-Terms-2", 0),
    ],
)
def test_licences_of_front_matter(tmp_path, front, licence, left):
    imported = import_claims("card", put(tmp_path, front))
    assert imported.entities[0].license == licence
    assert len(imported.left_out) == left


# one bad file among many

BAD = {
    "a colon": (b"---\ntags: [x]\ntitle: one: two\n---\n", "line 3"),
    "a tab": (b"---\ntags:\n\t- x\n---\n", "line 3"),
    "an at sign": (b"---\n\nauthor: @us\n---\n", "line 3"),
    "a control character": (b"---\na: 1\nb: x\x0by\n---\n", "line 3"),
    "Latin-1": (b"---\na: 1\nb: Universit\xe9\n---\n", "line 3"),
    "UTF-16": ("---\na: b\n---\n".encode("utf-16"), "line 1"),
    "a key twice": (b"---\nlicense: mit\nlicense: isc\n---\n", "line 3"),
    "an alias": (b"---\na: &b 1\nc: *b\n---\n", "line 3"),
    "no such day": (b"---\na: 1\nb: 2023-02-30\n---\n", "line 3"),
    "a list": (b"\n---\n- a\n---\n", "line 3"),
    "a text": (b"---\njust words\n---\n", "line 2"),
    "two documents": (b"---\na: 1\n--- b\nc: 2\n---\n", "line 3"),
    "a long number": (b"---\na: " + b"9" * 99 + b"\n---\n", "line 2"),
    "blank lines before": (b"\n\n\n---\na: b: c\n---\n", "line 5"),
}


@pytest.mark.parametrize(("data", "line"), BAD.values(), ids=BAD)
def test_a_card_that_cannot_be_read_is_left_out_of_many_and_an_error_alone(tmp_path, data, line):
    put(tmp_path, "base_model: a/b", "lab/good")
    file = put(tmp_path, "", "lab/bad", data)
    imported = import_claims("card", tmp_path)
    assert [c.child for c in imported.claims] == ["lab/good"]
    [reason] = imported.left_out
    assert reason.startswith(f"{file}: ")
    assert line in reason
    with pytest.raises(InputError) as told:
        import_claims("card", file)
    assert str(told.value) == reason


@pytest.mark.parametrize(
    "data",
    [b"---\nbase_model: a/b\n# and no end\n", b"# no front matter\n", b"", b"---", b"------\n"],
)
def test_a_card_without_front_matter_is_left_out_alone_too(tmp_path, data):
    imported = import_claims("card", put(tmp_path, "", data=data))
    assert imported.claims == ()
    assert "no front matter" in imported.left_out[0]


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"", b"\r\n  \r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_marks_and_line_ends_change_nothing(tmp_path, start, end):
    data = start + b"---\nbase_model: a/b\ndatasets:\n- c/d\n---\ntext\n".replace(b"\n", end)
    imported = import_claims("card", put(tmp_path, "", data=data))
    assert {c.parent for c in imported.claims} == {"a/b", "c/d"}
    assert imported.left_out == ()


DATA = Path(__file__).parent / "data"
OTHERS = {
    "dpi": ("dpi/Chats.json", "more.json",
            [b"{", b"[]", b"\xff", b'{"a": 1, "a": 2}', b'{"x": {"y": 1}}', b'{"x": NaN}']),
    "modsleuth": ("modsleuth/viewer.json", "more.json",
                  [b"{", b"[1]", b"\xff", b"{}", b'{"nodes": []}',
                   b'{"nodes": 1, "edges": []}', b'{"lattice": 1, "relations": []}']),
    "csv": (None, "claims-more.csv",
            [b"\xff", b"teacher\n", b"child,parent,relation,source\na,b,copied,x\n", b"",
             b"child,parent,relation,source\na,b\n", b'child\n"a']),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_one_bad_file_never_ends_the_import_of_a_folder(tmp_path, name):
    good, more, flaws = OTHERS[name]
    mine = b"child,parent,relation,source\na/b,c/d,logits,notes\n"
    first = tmp_path / ("a.json" if good else "claims-a.csv")
    first.write_bytes((DATA / good).read_bytes() if good else mine)
    whole = import_claims(name, tmp_path)
    assert whole.claims
    bad = tmp_path / more
    for flaw in flaws:
        bad.write_bytes(flaw)
        imported = import_claims(name, tmp_path)
        assert imported.claims == whole.claims
        assert imported.entities == whole.entities
        [reason] = set(imported.left_out) - set(whole.left_out)
        assert str(bad) in reason
        with pytest.raises(InputError, match=re.escape(str(bad))):
            import_claims(name, bad)


def test_a_record_that_is_none_leaves_the_others_of_its_file(tmp_path):
    file = tmp_path / "s.json"
    file.write_text(
        '{"one": 1, "two": {"Hugging Face URL": "https://huggingface.co/datasets/a/b", '
        '"Model Generated": ["OpenAI GPT-4"]}, "three": {}}'
    )
    imported = import_claims("dpi", file)
    assert [c.child for c in imported.claims] == ["a/b"]
    assert [line.split(": ")[1] for line in imported.left_out] == ["one", "three"]


def test_a_folder_of_which_nothing_can_be_read_is_an_error(tmp_path):
    for name in ("lab/one", "lab/two"):
        put(tmp_path, "a: b: c", name)
    with pytest.raises(InputError, match=r"none of the 2 files can be read; .*one/README.md: line"):
        import_claims("card", tmp_path)


def test_cards_of_checkpoints_are_of_no_repository(tmp_path):
    put(tmp_path, "base_model: a/b")
    put(tmp_path, "base_model: a/b", "lab/made/checkpoint-500")
    imported = import_claims("card", tmp_path)
    assert [e.id for e in imported.entities] == ["lab/made"]
    assert "its folders are not OWNER/NAME" in imported.left_out[0]
