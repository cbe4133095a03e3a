"""A model trained elsewhere, through the real runner: its bill, its word, and its audit."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from safetensors.numpy import save_file
from tests_insider import Insider
from tests_support import rows_of, run_stages
from tests_trained import (
    MODEL,
    ROWS,
    at_the_end,
    digests_of,
    record,
    take,
    write_model,
)

import mashbill as mb
from mashbill.core.canonical import digest_file
from mashbill.core.errors import DriftError, MashbillError
from mashbill.core.said_learning import SAID
from mashbill.core.store import Store
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.contradicted import table_of, told_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.exports import gather
from mashbill.run.rederiving import Rederiver

WORD = "nothing of it is derived again"


def lines_of(store, name="student"):
    return {
        line.source.name: (line.share, line.depth, line.channels)
        for line in bill(table_of(store, store.find(name)))
    }


def audited(store):
    return Auditor(store.root).run()


def test_its_files_are_kept_and_its_bill_has_base_and_datasets(tmp_path):
    store = take(tmp_path, MODEL + "epochs = { said = 2, own = 1 }\n", README__md="# hi\n")
    manifest = store.find("student")
    folder = store.folder("model", manifest.ref)
    for name in ("model.safetensors", "config.json"):
        assert (folder / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert (folder / "trainer-card.md").read_text() == "# hi\n"
    lines = lines_of(store)
    # 6 rows of 6 words twice, and 4 of 7 words once.
    words = {"a/b": 2 * 36 / 100, "own texts": 28 / 100}
    for name, share in words.items():
        # How much of the base is left is not known, as with our own trainers.
        assert lines[name][:2] == ((0.0, pytest.approx(share)), 1)
    assert lines["tiny-base"] == ((0.0, 1.0), 1, ("weights",))
    assert {one.name: one.epochs for one in manifest.learned_from} == {"said@1": 2, "own@1": 1}
    result = audited(store)
    assert result.holds
    assert any(WORD in one.what and "no record" in one.what for one in result.not_derived)


def test_a_dataset_of_which_nothing_is_said_is_an_interval_and_is_warned_of(tmp_path):
    store = take(tmp_path, MODEL + "epochs.said = 1\n")
    assert lines_of(store)["own texts"][0] == (0.0, 1.0)
    assert lines_of(store)["a/b"][0] == (0.0, 1.0)
    warnings = store.find("student").measures["warnings"]
    assert len(warnings) == 1
    assert "own@1" in warnings[0]


def test_the_record_says_how_much_and_is_held_to_the_store(tmp_path):
    first = take(tmp_path, "")
    digest = digests_of(first)
    told = record(
        [
            {"artifact": "said@1", "digest": digest["said"], "rows": 6, "tokens": 300},
            {"artifact": "own@1", "digest": digest["own"], "rows": 4, "tokens": 100},
        ],
        epochs=2.0,
    )
    store = take(tmp_path, record=told)
    assert lines_of(store)["a/b"][0] == (0.0, 0.75)
    manifest = store.find("student")
    assert (manifest.tokens, manifest.token_unit) == (400, "tokens")
    assert manifest.measures[SAID]["by"] == "record"
    assert manifest.measures[SAID]["trainer"] == ["trl", "1.16.0"]
    result = audited(store)
    assert result.holds
    assert any("its record mashbill.json" in one.what for one in result.not_derived)


def refused(folder, match, *args, **more):
    with pytest.raises(MashbillError, match=match) as caught:
        take(folder, *args, **more)
    return str(caught.value)


OTHER = {"artifact": "else@1", "digest": "ab" * 32, "rows": 6}
BOTH = [{"name": "said", "rows": 6}, {"name": "own", "rows": 4}]


@pytest.mark.parametrize(
    ("told", "keys", "match"),
    [
        (record([OTHER]), "", "inputs names no such dataset"),
        (record([{"sums": "cd" * 32}]), "", "SHA256SUMS is cdcd.*inputs names no such dataset"),
        (record(BOTH[:1]), "", r"inputs names 'own' \(own@1\), and out/mashbill.json says nothing"),
        (record([*BOTH, BOTH[0]]), "", "speaks twice of said@1"),
        (record([{"name": "said", "rows": 7}, BOTH[1]]), "", "7 rows of said@1 .*it has 6"),
        (record(BOTH, epochs=2.0), "epochs.said = 1\n", "epochs.said = 1.* says 2"),
        (
            record([{**BOTH[0], "tokens": 5}, BOTH[1]]),
            "tokens.said = 6\n",
            "tokens.said = 6 in the recipe, and out/mashbill.json says 5",
        ),
        (
            record([{**BOTH[0], "tokens": 5, "parts": {"x": 4}}, BOTH[1]]),
            "",
            "5 tokens of said@1 were seen, and its parts add up to 4",
        ),
        ({**record(BOTH), "base": {"name": "acme/other"}}, "", "acme/other.*name that base"),
        ({**record(BOTH), "base": None}, "", "weights were drawn at random"),
        ({**record(BOTH), "format": 2}, "", "format is 2, and 1 is read"),
        ({**record(BOTH), "steps": -1}, "", "out/mashbill.json: record.steps = -1"),
        ({**record(BOTH), "stepz": 1}, "", "record.stepz = 1 is an unknown key"),
        ([], "", "expected an object"),
        ({**record(BOTH), "weights": {"a": "b"}}, "", "record.weights.a"),
        (record(BOTH), 'trainer = "axolotl"\n', "trainer = 'axolotl', and out/mashbill.json"),
        (record(BOTH), 'trainer_version = "1"\n', "trainer_version = '1', and .*1.16.0"),
        (record(BOTH, method="full"), 'method = "lora"\n', "method = 'lora', and .* says 'full'"),
    ],
)
def test_what_recipe_and_record_do_not_agree_on_is_refused_naming_both(tmp_path, told, keys, match):
    refused(tmp_path, match, MODEL + keys, record=told)
    assert not (tmp_path / "store" / "models").exists() or not any(
        (tmp_path / "store" / "models").iterdir()
    )


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ('folder = "nowhere"\ninputs = ["own"]\n', "nowhere: there is no such folder; beside it"),
        ('folder = "out"\n', "inputs is empty"),
        ('folder = "out"\ninputs = ["own", "own"]\n', "inputs names 'own' twice"),
        ('folder = "out"\ninputs = ["owm"]\n', "did you mean 'own'"),
        ('folder = "out"\ninputs = ["own@7"]\n', "no such artifact; it has own@1|has no datasets"),
        ('folder = "out"\ninputs = ["own"]\nepochs.owm = 2\n', "did you mean 'own'"),
        ('folder = "out"\ninputs = ["own"]\nepochs.own = -1\n', "epochs.own = -1"),
        ('folder = "out"\ninputs = ["own"]\ntokens.own = 1.5\n', "tokens.own = 1.5"),
        ('folder = "out"\ninputs = ["own"]\nweights.own = 0\n', "weights.own = 0"),
        ('folder = "out"\ninputs = ["own"]\nmethod = "merge"\n', "learns from no text"),
        ('folder = "out"\nmethod = "merge"\nparents = ["small"]\n', "at least two"),
        ('folder = "out"\nmethod = "quantise"\n', "needs the base that it was made from"),
        (
            'folder = "out"\nbase = "small"\nmethod = "quantise"\n',
            "no GGUF file and no quantization_config",
        ),
        ('folder = "out"\ninputs = ["own"]\nparents = ["small"]\n', "parents is for method"),
        ('folder = "out"\ninputs = ["own"]\nbase = "smal"\n', "did you mean 'small'"),
        ('folder = "out"\ninputs = ["./own.jsonl/"]\n', "needs .*bill.json|is no folder that"),
        ('folder = "out"\ninputs = ["own"]\nstores."own@1" = "x"\n', "stores names 'own@1'"),
        ('folder = "../out"\ninputs = ["own"]\n', "leads out of the recipe's folder"),
        ('folder = "own.jsonl"\ninputs = ["own"]\n', "no GGUF by its name"),
        ('folder = "empty"\ninputs = ["own"]\n', "has no weights as safetensors or GGUF"),
        ('folder = "pickled"\ninputs = ["own"]\n', "pytorch_model.bin is a pickle"),
        ('folder = "ours"\ninputs = ["own"]\n', "is a model that mashbill made"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(tmp_path, keys, match):
    for name, file in (("empty", "config.json"), ("pickled", "pytorch_model.bin")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    write_model(tmp_path / "ours", manifest__json={}, nodes__parquet="x")
    refused(tmp_path, match, f'\n[stages.student]\nkind = "trained"\n{keys}')


def card(**front):
    return f"---\n{json.dumps(front)}\n---\n# a model\n"


CLAIMS = [
    ({"config": {"_name_or_path": "acme/tiny-base"}}, ""),
    ({"config": {"_name_or_path": "/home/me/bases/x1"}}, ""),
    ({"config": {"_name_or_path": "/home/me/Qwen3-8B"}}, "names /home/me/Qwen3-8B"),
    ({"config": {"_name_or_path": "Qwen/Qwen3-8B"}}, "config.json .* names Qwen/Qwen3-8B"),
    ({"config": {"_name_or_path": "evil/tiny-base"}}, "names evil/tiny-base"),
    ({"README__md": card(base_model="acme/tiny-base")}, ""),
    ({"README__md": card(base_model=["acme/tiny-base"], datasets=["me/answers"])}, ""),
    ({"README__md": card(base_model="openai/gpt-oss-20b")}, "the card .*/gpt-oss-20b"),
    ({"README__md": card(datasets=["me/other-data"])}, "the card .*datasets.* me/other-data"),
    ({"README__md": card(**{"x-mashbill": {"artifact": "reader@3"}})}, "reader@3"),
    ({"README__md": card(**{"x-mashbill": {"artifact": "own@1"}})}, ""),
    ({"README__md": "---\n{{{\n---\n"}, ""),
    ({"README__md": "no front matter"}, ""),
]


@pytest.mark.parametrize(("files", "says"), CLAIMS)
def test_what_the_files_claim_is_held_against_the_recipe_and_silence_is_not(tmp_path, files, says):
    write_model(tmp_path / "out", **files)
    store = take(tmp_path, MODEL + "epochs = { said = 1, own = 1 }\n")
    told = told_of(store, "student@1")
    assert audited(store).holds
    if not says:
        assert told is None
        return
    assert told is not None
    assert re.search(says, told.says), told.says
    table = table_of(store, store.find("student"))
    lines = {line.source.title: line for line in bill(table)}
    assert lines["student@1 (contradicted)"].source.kind == "unknown"
    # What is claimed is on the bill, too, at a share that is not known.
    claimed = told.marks[0].names[0]
    assert lines[claimed].share == (0.0, 1.0)
    # Nodes say what was declared, whatever the files claim.
    plain = NodeTable.of(store, store.find("student"))
    assert "student@1 (contradicted)" not in {line.source.title for line in bill(plain)}


def test_weights_that_changed_after_training_are_told(tmp_path):
    write_model(tmp_path / "out")
    told = record(BOTH, weights=at_the_end(tmp_path / "out"))
    save_file({"w": __import__("numpy").ones(4, "float32")}, tmp_path / "out" / "model.safetensors")
    store = take(tmp_path, record=told)
    found = told_of(store, "student@1")
    assert found is not None
    assert "model.safetensors is not as mashbill.json has it at the end" in found.says
    assert "student@1 (contradicted)" in {
        line.source.title for line in bill(table_of(store, store.find("student")))
    }


def test_a_second_run_is_done_already_and_other_weights_are_drift(tmp_path):
    store = take(tmp_path)
    entries = len(store.ledger.entries)
    again = take(tmp_path)
    assert len(again.ledger.entries) == entries
    write_model(tmp_path / "out", seed=9)
    with pytest.raises(DriftError, match=r"out/model\.safetensors"):
        take(tmp_path)
    (tmp_path / "out" / "chat_template.jinja").write_text("x")
    shutil.rmtree(tmp_path / "store" / "models" / "student@1")


def test_an_audit_finds_a_byte_that_was_flipped(tmp_path):
    store = take(tmp_path)
    path = store.folder("model", store.find("student").ref) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    result = audited(store)
    assert not result.holds
    assert any("model.safetensors" in str(one) for one in result.findings)


@pytest.mark.parametrize("what", ["tokens", "weight", "learned", "inputs", "parts", "unsaid"])
def test_an_audit_finds_a_manifest_that_says_else_than_its_nodes(tmp_path, what):
    """Whoever has the key signs for it, and it is found nevertheless."""
    store = take(tmp_path, MODEL + "epochs = { said = 2, own = 1 }\n")
    insider = Insider(store.root)
    manifest = insider.manifest("student@1")
    said = manifest["measures"][SAID]
    if what == "tokens":
        manifest["tokens"] += 1
    elif what == "weight":
        said["datasets"][0]["epochs"] = 3.0
    elif what == "learned":
        manifest["learned_from"][0]["rows"] += 1
    elif what == "inputs":
        said["datasets"] = said["datasets"][1:]
    elif what == "parts":
        said["datasets"][0]["outside"] = [["ab" * 32, 1, 1]]
    else:
        del manifest["measures"][SAID]
    insider.put("student@1", manifest)
    insider.sign()
    result = audited(store)
    assert not result.holds
    assert any("student@1" in str(one) for one in result.findings)


def test_a_run_that_was_killed_leaves_no_artifact_and_the_next_goes_through(tmp_path, monkeypatch):
    from mashbill.run import taken_model

    def cut(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(taken_model, "close_said", cut)
    with pytest.raises(KeyboardInterrupt):
        take(tmp_path)
    assert Store(tmp_path / "store").get(mb.ArtifactRef("student", "1")) is None
    monkeypatch.undo()
    store = take(tmp_path)
    assert store.find("student").ref.name == "student"
    assert audited(store).holds


PUBLISHED = """
[stages.student]
kind = "trained"
folder = "out"
base = "small"
inputs = ["./pub/", "own"]
"""


def published(tmp_path, **stages):
    """A dataset that a student wrote half of, published by another store."""
    first = take(tmp_path / "first", "")
    mb.open(first.root)["said"].publish(str(tmp_path / "pub"))
    return first


def test_a_published_folder_is_taken_by_its_bill_and_found_by_the_digest_of_its_sums(tmp_path):
    first = published(tmp_path)
    sums = digest_file(tmp_path / "pub" / "SHA256SUMS")
    told = record(
        [{"sums": sums, "rows": 6, "tokens": 30}, {"name": "own", "rows": 4, "tokens": 10}]
    )
    store = take(tmp_path, PUBLISHED, record=told)
    assert lines_of(store)["a/b"] == ((0.0, 0.75), 1, ("content",))
    said = store.find("student").measures[SAID]["datasets"][0]
    assert said["name"] == "said@1"
    assert "the word of its bill.json" in said["told"]
    result = audited(store)
    assert result.holds
    assert any("the word of its bill.json" in one.what for one in result.not_derived)
    # By content, too, as the bill has it.
    other = tmp_path / "again"
    shutil.copytree(tmp_path / "pub", other / "pub")
    digest = digests_of(first)["said"]
    told = record(
        [{"digest": digest, "rows": 6, "tokens": 30}, {"name": "own", "rows": 4, "tokens": 10}]
    )
    assert lines_of(take(other, PUBLISHED, record=told))["a/b"][0] == (0.0, 0.75)


def test_a_published_folder_that_was_changed_is_refused(tmp_path):
    published(tmp_path)
    bill_file = tmp_path / "pub" / "bill.json"
    bill_file.write_text(bill_file.read_text().replace("a/b", "a/c"))
    refused(tmp_path, "bill.json is not the file that SHA256SUMS lists", PUBLISHED)


def test_rows_of_a_published_folder_that_were_changed_are_refused(tmp_path):
    published(tmp_path)
    rows = next((tmp_path / "pub").rglob("*.parquet"))
    rows.write_bytes(rows.read_bytes() + b"x")
    refused(tmp_path, f"{rows.name} is not the file that SHA256SUMS lists", PUBLISHED)


def test_a_published_model_is_no_dataset(tmp_path):
    first = take(tmp_path / "first")
    mb.open(first.root)["student"].publish(str(tmp_path / "pub"))
    refused(tmp_path, "holds a model", PUBLISHED)


def test_a_dataset_of_this_store_and_of_another_is_named_by_its_address(tmp_path):
    take(tmp_path, "")
    here = MODEL.replace('"said", "own"', '"said@1"').replace("student", "here")
    here = here.replace('base = "small"\n', "")
    store = take(tmp_path, here + 'epochs."said@1" = 1\n')
    assert lines_of(store, "here")["a/b"][0] == (1.0, 1.0)
    other = tmp_path / "other"
    stages = MODEL.replace('"said", "own"', '"said@1", "own"')
    stages += 'stores."said@1" = "../store"\nepochs = { "said@1" = 2, own = 1 }\n'
    away = take(
        other, stages, allow=[tmp_path / "store"], rows=ROWS.replace("stages.said", "stages.x")
    )
    assert lines_of(away)["a/b"][0] == (0.0, pytest.approx(0.72))
    assert any("of another store, signed by" in one.what for one in audited(away).not_derived)
    assert audited(away).holds


def test_depth_goes_one_hop_further_where_a_student_wrote_the_dataset(tmp_path):
    """A model that was taken in labelled; the one that learned from that rests on its teacher."""
    stages = """
[stages.marked]
kind = "label"
input = "own"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }

[stages.first]
kind = "classifier"
input = "marked"
buckets = 64

[stages.again]
kind = "apply"
input = "marked"
model = "first"

[stages.student]
kind = "trained"
folder = "out"
inputs = ["again"]
epochs.again = 1
"""
    write_model(tmp_path / "out")
    moods = ["lovely bright kind", "awful dull cruel"]
    own = [{"text": f"{moods[n % 2]} day number {n}"} for n in range(40)]
    files = {"own.jsonl": own, "p.txt": "{{ text }} ->"}
    store = run_stages(tmp_path, ROWS[ROWS.index("[stages.own]") :] + stages, files)
    lines = {
        (line.source.what, line.channels): line.depth
        for line in bill(table_of(store, store.find("student")))
    }
    assert max(lines.values()) == 2
    assert len(rows_of(store, "again")) == 40
    mb.open(store.root)["again"].publish(str(tmp_path / "next" / "pub"))
    shutil.copytree(tmp_path / "out", tmp_path / "next" / "out")
    away = PUBLISHED.replace(', "own"', "").replace('base = "small"\n', "")
    told = take(tmp_path / "next", away)
    mine, theirs = (
        {(one.source, one.depth, one.channels) for one in bill(table_of(at, at.find("student")))}
        for at in (store, told)
    )
    assert mine == theirs
    assert audited(store).holds


def test_data_that_nobody_names_are_of_unknown_origin(tmp_path):
    store = take(tmp_path, MODEL + "unnamed = true\nepochs = { said = 1, own = 1 }\n")
    assert lines_of(store)["data that nobody names"][0] == (0.0, 1.0)
    assert audited(store).holds


MERGE = """
[models.other]
kind = "hub"
id = "acme/other"
revision = "1"

[stages.merged]
kind = "trained"
folder = "out"
method = "merge"
"""


def test_a_merge_takes_its_parents_by_weights_and_adds_no_text(tmp_path):
    files = {"mergekit_config__yml": "models:\n- model: acme/tiny-base\n- model: acme/other\n"}
    write_model(tmp_path / "out", **files)
    store = take(tmp_path, MERGE + "parents = { small = 3, other = 1 }\n")
    lines = lines_of(store, "merged")
    assert lines == {
        "tiny-base": ((0.75, 0.75), 1, ("weights",)),
        "other": ((0.25, 0.25), 1, ("weights",)),
    }
    assert told_of(store, "merged@1") is None
    assert audited(store).holds
    apart = tmp_path / "apart"
    write_model(apart / "out", mergekit_config__yml="models:\n- model: acme/third\n")
    unknown = take(apart, MERGE + 'parents = ["small", "other"]\n')
    assert {share for share, _, _ in lines_of(unknown, "merged").values()} == {(0.0, 1.0)}
    found = told_of(unknown, "merged@1")
    assert found is not None
    assert "names acme/third" in found.says


def test_a_quantised_model_rests_on_the_weights_of_its_base_alone(tmp_path):
    write_model(tmp_path / "out", config={"quantization_config": {"bits": 4}})
    stages = MODEL.replace('inputs = ["said", "own"]', 'method = "quantise"')
    store = take(tmp_path, stages)
    assert lines_of(store) == {"tiny-base": ((1.0, 1.0), 1, ("weights",))}
    assert audited(store).holds


def test_a_model_of_the_store_that_was_trained_on_elsewhere_is_one_hop_further(tmp_path):
    write_model(tmp_path / "more", seed=3)
    more = """
[stages.second]
kind = "trained"
folder = "more"
base = "student"
inputs = ["own"]
epochs.own = 1
"""
    store = take(tmp_path, MODEL + "epochs = { said = 1, own = 1 }\n" + more)
    lines = {(line.source.name, line.depth) for line in bill(table_of(store, store.find("second")))}
    assert {("own texts", 1), ("a/b", 2), ("tiny-base", 2)} <= lines
    assert audited(store).holds


def test_what_was_contradicted_is_told_of_what_rests_on_it(tmp_path):
    write_model(tmp_path / "out", config={"_name_or_path": "Qwen/Qwen3-8B"})
    write_model(tmp_path / "more", seed=3)
    more = MODEL.replace("student", "second").replace('"out"', '"more"').replace("small", "student")
    store = take(tmp_path, MODEL + more)
    assert told_of(store, "second@1") is None
    titles = {line.source.title for line in bill(table_of(store, store.find("second")))}
    assert "student@1 (contradicted)" in titles


def test_a_deep_audit_holds_what_is_said_to_recipe_and_record(tmp_path):
    """Manifest and nodes are altered so that they agree, and signed for."""
    store = take(
        tmp_path,
        MODEL.replace('base = "small"\n', ""),
        record={**record(BOTH, epochs=2.0), "base": None},
    )
    assert Auditor(store.root, rederive=Rederiver(store)).run().holds
    insider = Insider(store.root)
    manifest = insider.manifest("student@1")
    said = manifest["measures"][SAID]
    for one, learned in zip(said["datasets"], manifest["learned_from"], strict=True):
        one["epochs"] = 3.0
        learned["seen"] += learned["tokens"]
        learned["weight"] += learned["tokens"]
    manifest["tokens"] = sum(one["seen"] for one in manifest["learned_from"])
    table = NodeTable.of(store, store.find("student"))
    body = table.bodies.pop(table.root)
    members = [[how, node, seen * 3 // 2] for how, node, seen in body["members"]]
    table.root = table.add({**body, "members": members})
    path = insider.of("student@1") / "nodes.parquet"
    path.write_bytes(table.to_parquet())
    manifest |= {"nodes_digest": table.digest, "bill": table.root}
    manifest["nodes"]["sha256"] = digest_file(path)
    insider.put("student@1", manifest)
    insider.sign()
    altered = Store(store.root)
    assert Auditor(altered.root).run().holds
    found = Auditor(altered.root, rederive=Rederiver(altered)).run()
    assert [one.what for one in found.findings] == [
        "says else of its training than its recipe and its record do"
    ]


def test_card_page_and_export_say_on_whose_word_it_is(tmp_path):
    store = take(tmp_path, MODEL + "epochs = { said = 2, own = 1 }\n")
    word = "it was trained elsewhere, and what it learned from is what the recipe says"
    mb.open(store.root)["student"].publish(str(tmp_path / "pub"))
    card_text = (tmp_path / "pub" / "README.md").read_text()
    assert word[1:] in card_text
    account = gather(store, store.find("student"))
    assert any(word in one for one in account.unknown)
    ours = gather(store, store.find("said"))
    assert not any("trained elsewhere" in one for one in ours.unknown)
