"""Importers: what they read, what they leave out, and that they only ever add."""

import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mashbill import Store
from mashbill.cli import app
from mashbill.core.errors import InputError
from mashbill.lineage.exports import export, gather
from mashbill.lineage.exports.bill_file import bill_text
from mashbill.policy.claims import ENTIRE, Claim, Entity, load_catalogue
from mashbill.policy.importers import FORMATS, KINDS, import_claims
from mashbill.policy.importers.cards import read as read_cards
from mashbill.policy.importers.licences import from_dpi, from_hub
from mashbill.policy.relations import RELATIONS

DATA = Path(__file__).parent / "data"
NOTHING = load_catalogue(shipped=False)


def edges(imported):
    return {(c.child, c.relation, c.parent) for c in imported.claims}


def entity(imported, name):
    return next(e for e in imported.entities if e.id == name)


# cards


def test_cards_become_claims_and_say_what_was_passed_over():
    imported = import_claims("card", DATA / "cards")
    assert edges(imported) == {
        ("acme/student-7b", "base-weights", "acme/base-7b"),
        ("acme/student-7b", "trained-on", "acme/chats"),
        ("acme/student-7b", "trained-on", "other/web"),
        ("acme/student-7b-lora", "adapter", "acme/student-7b"),
        ("acme/chats", "composed-from", "other/web"),
    }
    notes = {c.child: c.note for c in imported.claims if c.route == "weights"}
    assert notes["acme/student-7b"] == "the card gives no relation to its base model"
    assert notes["acme/student-7b-lora"] == ""
    assert {c.status for c in imported.claims} == {"stated"}
    assert entity(imported, "acme/student-7b").license == "Apache-2.0"
    assert entity(imported, "acme/student-7b").kind == "open-weights"
    assert entity(imported, "acme/student-7b-lora").license == "LicenseRef-Acme-Community-Licence-2"
    assert entity(imported, "acme/chats") == Entity(
        id="acme/chats",
        what="dataset",
        kind="public-dataset",
        license="CC-BY-4.0",
        source="hf:datasets/acme/chats:README.md",
    )
    left = "\n".join(imported.left_out)
    assert "plain/README.md: no front matter" in left
    assert "student-7b/README.md: datasets: 'some notes of ours' is no id" in left
    assert "chats/README.md: source_datasets: 'extended|squad' names no dataset" in left
    assert len(imported.left_out) == 3


def card(folder, front, name="acme/x"):
    file = folder / name / "README.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"---\n{front}\n---\ntext\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("front", "relation", "note"),
    [
        ("base_model: a/b\nbase_model_relation: [x]", "base-weights", "['x']"),
        ("base_model: a/b\nbase_model_relation: finetune", "base-weights", ""),
        ("base_model: [a/b, a/c]\nbase_model_relation: merge", "merge", ""),
        ("base_model: a/b\nbase_model_relation: quantized", "quantized", ""),
        ("base_model: gpt2\nbase_model_relation: distilled", "base-weights", "'distilled'"),
        ("base_model: hf.co/a/b\nbase_model_relation: [x]", None, None),
    ],
)
def test_the_relation_to_a_base_is_the_cards_or_noted(tmp_path, front, relation, note):
    claims = import_claims("card", card(tmp_path, front)).claims
    assert {c.relation for c in claims} == ({relation} if relation else set())
    assert all(note in c.note for c in claims)


def test_a_card_is_of_its_folder_its_cache_entry_or_whom_the_caller_names(tmp_path):
    front = "base_model: a/b"
    commit = "0" * 40
    cached = card(tmp_path, front, f"models--acme--x/snapshots/{commit}")
    assert import_claims("card", cached).claims[0].source == f"hf:acme/x@{commit}:README.md"
    odd = card(tmp_path, front, "what ever/it is")
    assert import_claims("card", odd, entity="hf:me/mine").claims[0].child == "me/mine"
    with pytest.raises(InputError, match=r"not OWNER/NAME.*give the id"):
        import_claims("card", odd)
    assert any("not OWNER/NAME" in line for line in read_cards(tmp_path).left_out)
    with pytest.raises(InputError, match="single card only"):
        import_claims("card", tmp_path, entity="me/mine")


def test_a_data_card_is_known_by_its_keys_where_no_folder_tells(tmp_path):
    imported = import_claims("card", card(tmp_path, "size_categories: [n<1K]\nbase_model: a/b"))
    assert imported.entities[0].what == "model"
    imported = import_claims("card", card(tmp_path, "source_datasets: [a/b]"))
    assert edges(imported) == {("acme/x", "composed-from", "a/b")}


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("a: [1", r"README.md: line \d: front matter is not valid YAML"),
        ("a: 2025-13-45", r"README.md: line 2: front matter is not valid YAML: 2025-13-45"),
        ("- a", r"README.md: line 2: front matter is \['a'\], expected keys"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_front_matter_that_is_none_is_named(tmp_path, front, message):
    with pytest.raises(InputError, match=message):
        import_claims("card", card(tmp_path, front))


def test_values_that_mean_nothing_are_left_out_and_not_fatal(tmp_path):
    front = "base_model: [{a: 1}, acme/X]\nlicense: [mit, gpl-3.0]\ndatasets: 7\nmodel-index: no"
    imported = import_claims("card", card(tmp_path, front))
    assert imported.claims == ()
    assert entity(imported, "acme/x").license is None
    assert len(imported.left_out) == 4


def test_our_own_card_comes_back(finished, tmp_path):
    root, _, _ = finished
    store = Store(root)
    file = card(tmp_path, "", "acme/confident")
    file.write_text(export(store, store.find("confident"), "card"))
    bill = file.with_name("bill.json")
    text = bill_text(gather(store, store.find("confident")))
    for found, reason in [(None, "is not beside the card"), (text + " ", "SHA-256 is another")]:
        if found is not None:
            bill.write_text(found)
        imported = import_claims("card", file)
        assert not [c for c in imported.claims if "x-mashbill" in c.note]
        assert [line for line in imported.left_out if reason in line]
    bill.write_text(text)
    imported = import_claims("card", file)
    block = [c for c in imported.claims if c.of == ENTIRE]
    assert block
    assert any(c.child == "acme/confident" for c in block)
    steps = {e.id for e in imported.entities if e.is_step}
    assert all(c.child == "acme/confident" or c.child in steps for c in block)
    assert all(c.relation in RELATIONS for c in block)
    assert all(name.startswith("acme/confident: ") for name in steps)
    known = {e.id: e.kind for e in imported.entities}
    assert all(known[c.parent] != "unknown" for c in block if c.parent not in steps)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"channels": ["logits"], "depth": 1}, ("logits", 0.5)),
        ({"channels": ["logits"], "depth": 1, "share_high": 1.0}, ("logits", None)),
        ({"channels": ["logits"], "depth": 2}, None),
        ({"channels": ["logits", "prompt"], "depth": 1}, None),
        ({"channels": ["telepathy"], "depth": 1}, None),
        ({"channels": ["logits"], "depth": "1"}, None),
        ({"depth": 1}, None),
    ],
)
def test_a_line_of_a_bill_is_a_claim_if_it_is_one_step(tmp_path, line, expected):
    source = {"name": "gpt-x", "what": "model", "kind": "closed-api", "route": "api:openai",
              "provider": "OpenAI"}  # fmt: skip
    whole = {"source": source, "share_low": 0.5, "share_high": 0.5, **line}
    block = json.dumps({"format": 1, "artifact": "m@1", "bill": [whole]})
    imported = import_claims("card", card(tmp_path, f"x-mashbill: {block}"))
    got = [(c.relation, c.share) for c in imported.claims]
    assert got == ([expected] if expected else [])
    assert len(imported.left_out) == (0 if expected else 1)
    if expected:
        assert imported.claims[0].route == "api"
        assert entity(imported, "openai/gpt-x").provider == "OpenAI"


@pytest.mark.parametrize(
    ("block", "beside", "reason"),
    [
        ({"format": 2}, None, "its bill is said to be in None"),
        ({"format": 2, "bill": "../../etc/passwd"}, None, "is said to be in '../../etc/passwd'"),
        ({"format": 2, "bill": "bill.json"}, None, "is not beside the card"),
        ({"format": 2, "bill": "bill.json"}, "[]", "SHA-256 is another"),
        ({"format": 2, "bill": "bill.json", "sha256": True}, "{", "not valid JSON"),
        ({"format": 2, "bill": "bill.json", "sha256": True}, "[1]", "holds no bill"),
        ({"format": True}, None, "format True is not known"),
        ([], None, "format [] is not known"),
    ],
)
def test_a_reference_to_a_bill_that_cannot_be_read_is_left_out(tmp_path, block, beside, reason):
    if beside is not None and block.get("sha256"):
        block = {**block, "sha256": hashlib.sha256(beside.encode()).hexdigest()}
    file = card(tmp_path, f"x-mashbill: {json.dumps(block)}")
    if beside is not None:
        file.with_name("bill.json").write_text(beside)
    imported = import_claims("card", file)
    assert imported.claims == ()
    assert [line for line in imported.left_out if reason in line], imported.left_out


def test_a_block_of_another_format_is_left_out(tmp_path):
    imported = import_claims("card", card(tmp_path, 'x-mashbill: {"format": 9}'))
    assert "format 9 is not known; 1 is" in imported.left_out[0]


@pytest.mark.parametrize(
    ("text", "name", "licence"),
    [
        ("mit", "", "MIT"),
        ("gpl-3.0", "", "GPL-3.0-only"),
        ("odc-by", "", "ODC-By-1.0"),
        ("llama3.1", "", "LicenseRef-Llama-3.1"),
        ("bigcode-openrail-m", "", "LicenseRef-bigcode-openrail-m"),
        ("other", "licenseref-foo bar", "LicenseRef-foo-bar"),
        ("other", "MIT-0", "MIT-0"),
        ("other", "", "LicenseRef-other"),
        ("unknown", "", None),
    ],
)
def test_licences_of_cards(text, name, licence):
    assert from_hub(text, name) == licence


# ModSleuth


def test_a_graph_becomes_second_hand_claims():
    imported = import_claims("modsleuth", DATA / "modsleuth")
    assert edges(imported) == {
        ("acme/student-7b", "base-weights", "acme/base-7b"),
        ("acme/student-7b", "trained-on", "acme/chats"),
        ("acme/chats", "composed-from", "other/web"),
        ("acme/student-7b", "sft-data", "OpenAI/gpt-x"),
        ("acme/base-7b", "pretraining-synthetic", "OpenAI/gpt-x"),
        ("acme/base-7b", "ocr-transform", "acme/readocr"),
        ("acme/chats", "filter-classifier", "OpenAI/gpt-x"),
        ("acme/student-7b", "trained-on", "other/web/english"),
        ("acme/student-7b-w4", "quantized", "acme/student-7b"),
    }
    assert all(c.status == "derived" and c.second_hand for c in imported.claims)
    by_pair = {(c.child, c.parent): c for c in imported.claims}
    base = by_pair["acme/student-7b", "acme/base-7b"]
    assert base.source == "ModSleuth graph: https://example.org/paper, section 2"
    chats = by_pair["acme/student-7b", "acme/chats"]
    assert chats.source == "ModSleuth graph: its copy of paper.pdf"
    assert "its own check: unclear" in chats.note
    assert "weak" in chats.note
    assert by_pair["acme/chats", "other/web"].source == "ModSleuth graph"
    assert entity(imported, "OpenAI/gpt-x").kind == "unknown"
    assert entity(imported, "acme/student-7b").kind == "open-weights"
    assert entity(imported, "acme/student-7b").aliases == ()
    reasons = Counter(line.rsplit(": ", 1)[-1] for line in imported.left_out)
    assert reasons == {
        "'pages that we found' is a description, not a name": 1,
        "nothing of it was learned from": 1,
        "refuted by ModSleuth's own check": 1,
        "filtered_by from a model to a dataset has no meaning here": 1,
        "embedded_by has no counterpart among the relations of claims": 1,
    }
    assert all("viewer.json: edges[" in line for line in imported.left_out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"g.json: line 1: not valid JSON"),
        ("[]", r"g.json: line 1: found list, expected an object"),
        ("{}", r"g.json: key 'nodes': found NoneType, expected a list; give a graph"),
        ('{"nodes": []}', r"key 'edges': found NoneType"),
        ('{"lattice": {"groups": []}, "relations": 1}', r"key 'relations': found int"),
        ("[" * 100_000, r"nested too deeply|not valid JSON"),
    ],
)
def test_what_is_no_graph_is_named(tmp_path, text, message):
    file = tmp_path / "g.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        import_claims("modsleuth", file)


# Data Provenance Initiative


def test_summaries_become_claims_with_rows():
    imported = import_claims("dpi", DATA / "dpi")
    told = {(c.child, c.relation, c.parent, c.dataset): c.rows for c in imported.claims}
    assert told == {
        ("acme/chats", "sft-data", "openai/gpt-4", "chats-one"): 1200,
        ("acme/chats", "sft-data", "openai/chatgpt", "chats-two"): None,
        ("acme/chats", "sft-data", "anthropic/claude-2.1", "chats-two"): None,
        ("old_name", "rewrite", "google/translate", "chats-translated"): None,
    }
    assert all(c.status == "derived" and c.second_hand for c in imported.claims)
    assert any("with 3 others for 300 dialogues" in c.note for c in imported.claims)
    assert entity(imported, "acme/chats").license == "Apache-2.0"
    assert entity(imported, "old_name").license is None
    assert entity(imported, "openai/gpt-4").provider == "OpenAI"
    assert "acme/people" not in {e.id for e in imported.entities}
    left = "\n".join(imported.left_out)
    for reason in (
        "_template.json: a template",
        "Chats.json: chats-two: Model Generated: 'alpaca': the name does not tell whose model",
        "Chats.json: chats-two: Model Generated: 'Other': which names none",
        "Chats.json: chats-elsewhere: Hugging Face URL: no dataset on the hub",
        "old_name has CC-BY-4.0, MIT; not one",
    ):
        assert reason in left
    assert len(imported.left_out) == 5


def test_a_file_of_another_kind_is_no_summary(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(InputError, match=r"x.json: a: found no record with 'Hugging Face URL'"):
        import_claims("dpi", tmp_path)


def test_a_copy_of_the_whole_collection_can_be_given(tmp_path):
    shutil.copytree(DATA / "dpi", tmp_path / "data_summaries")
    (tmp_path / "other.json").write_text("{}")
    assert len(import_claims("dpi", tmp_path).claims) == 4


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("GNU General Public License v3.0", "GPL-3.0-only"),
        ("CDLA Permissive 1.0", "CDLA-Permissive-1.0"),
        ("Academic Research Purposes Only", "LicenseRef-Academic-Research-Purposes-Only"),
        ("Unspecified", None),
    ],
)
def test_licences_of_summaries(text, licence):
    assert from_dpi(text) == licence


# one's own


def test_the_least_of_ones_own_is_four_columns(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("child,parent,relation,source\na/b,c/d,logits,our notes\n")
    claim = Claim(child="a/b", parent="c/d", relation="logits", source="our notes")
    assert import_claims("csv", file).claims == (claim,)
    shutil.copy(file, tmp_path / "claims-mine.csv")
    (tmp_path / "entities.csv").write_text("id,what\na/b,model\na/b,dataset\n")
    imported = import_claims("csv", tmp_path)
    assert imported.claims == (claim,)
    assert imported.entities == (Entity(id="a/b", what="model"),)
    assert sorted(line.split(": ", 1)[1] for line in imported.left_out) == [
        "a/b: described before in other words; the first stands",
        "its name begins with neither claims nor entities",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("child,teacher\n", r"mine.csv: line 1: found teacher; columns are child, parent"),
        ("child,parent,relation,source\na,b,copied,x\n", r"line 2: relation = 'copied'"),
        ("child,parent,relation,source\na,b,logits\n", r"line 2: has more or fewer cells"),
        ("child,parent,relation,source\na,a,logits,x\n", r"line 2: .*cannot be made from itself"),
    ],
)
def test_other_columns_and_wrong_cells_are_named(tmp_path, text, message):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        import_claims("csv", tmp_path / "mine.csv")


# what holds for all


def test_the_help_and_the_refusal_name_the_same_formats(tmp_path):
    done = CliRunner().invoke(app, ["catalogue", "import", "--help"], env={"COLUMNS": "200"})
    refused = CliRunner().invoke(app, ["catalogue", "import", "cards", str(tmp_path)])
    assert isinstance(refused.exception, InputError)
    for kind in KINDS:
        assert re.search(rf"\b{kind}\b", done.output)
        assert re.search(rf"\b{kind}\b", str(refused.exception))


def test_unknown_formats_and_missing_paths_are_named(tmp_path):
    with pytest.raises(InputError, match="format 'xml' is not one of card, modsleuth"):
        import_claims("xml", tmp_path)
    for name, pattern in zip(
        FORMATS, ("README.md", "[*].json", "[*].json", "[*].csv"), strict=True
    ):
        with pytest.raises(InputError, match="no such file or folder"):
            import_claims(name, tmp_path / "none")
        with pytest.raises(InputError, match=f"no {pattern} in this folder"):
            import_claims(name, tmp_path)
        file = tmp_path / "acme" / "x" / "README.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match=r"README.md: cannot be read as"):
            import_claims(name, file)
        file.unlink()
