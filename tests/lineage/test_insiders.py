"""What the owner of the key altered and signed for is found, where anything in the store speaks
against it; and stores that are odd and honest are not accused."""

import shutil

import pyarrow as pa
import pytest
from tests_insider import Insider
from tests_support import run_stages

from mashbill import Store
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest_bytes
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver

PLANTED = "part-00077.parquet"


def audited(folder, *, deep=False):
    return Auditor(folder, rederive=Rederiver(Store(folder)) if deep else None).run()


def in_manifest(name, change):
    def forge(insider):
        manifest = insider.manifest(name)
        change(manifest)
        insider.put(name, manifest)

    return forge


def another_file(path):
    """Return a change that gives another digest to what a manifest names."""

    def change(manifest):
        *keys, last = path
        item = manifest
        for key in keys:
            item = item[key]
        item[last] = "ab" * 32

    return change


def planted_shard(spoken_of, at_end):
    """Put a shard into first@1, by an entry about some artifact, before or after all commits."""

    def forge(insider):
        folder = insider.of("first@1")
        shutil.copy(folder / "part-00000.parquet", folder / PLANTED)
        facts = {
            k: insider.manifest("first@1")["shards"][0][k]
            for k in ("sha256", "rows", "merkle_root")
        }
        file = f"datasets/first@1/{PLANTED}"
        place = None if at_end else 3
        insider.add("shard", {file: facts["sha256"]}, place, artifact=spoken_of,
                    fingerprint="x", number=77, measures={}, shards={file: facts})  # fmt: skip

    return forge


def planted_file(event):
    """Put a file into a model's folder, and let an entry of some event speak of it."""

    def forge(insider):
        (insider.of("classifier@1") / "evil.py").write_text("boo")
        name = "models/classifier@1/evil.py"
        if event == "commit":
            (statement,) = [
                s
                for s in insider.entries
                if s["predicate"]["event"] == event and s["predicate"]["artifact"] == "classifier@1"
            ]
            statement["subject"].append({"name": name, "digest": {"sha256": ""}})
        else:
            insider.add(event, {name: ""}, artifact="classifier@1")

    return forge


def exchanged_weights(insider):
    """Other weights, as the entry says; the manifest, which readers go by, says the old ones."""
    path = insider.of("scratch@1") / "weights.safetensors"
    path.write_bytes(path.read_bytes() + b" ")


def made_of_itself(insider):
    manifest = insider.manifest("confident@1")
    own = Manifest.model_validate(manifest).digest
    manifest["stage"] |= {"input": "confident"}
    manifest["inputs"] = [
        {"name": "confident@1", "role": "rows", "channel": "content", "digest": own}
    ]
    insider.put("confident@1", manifest)


def without(*keys):
    def change(manifest):
        for item in manifest["inputs"]:
            for key in keys:
                item.pop(key, None)

    return change


def no_learned(insider):
    manifest = insider.manifest("scratch@1")
    del manifest["learned"]
    insider.put("scratch@1", manifest)
    (insider.of("scratch@1") / "learned.parquet").unlink()
    for statement in insider.entries:
        statement["subject"] = [
            item
            for item in statement["subject"]
            if item["name"] != "models/scratch@1/learned.parquet"
        ]


def another_teacher_than_its_digest(manifest):
    for item in manifest["inputs"]:
        if item["role"] == "teacher":
            item["source"]["provider"] = "somebody else"


PLAIN = {
    "a shard once all is committed": (
        planted_shard("first@1", at_end=True),
        f"datasets/first@1/{PLANTED}", "was added once first@1 was committed"),
    "a shard that an entry about another artifact speaks of": (
        planted_shard("rest@1", at_end=False),
        f"datasets/first@1/{PLANTED}", "is no file of rest@1"),
    "a file that a commit covers and no manifest lists": (
        planted_file("commit"), "models/classifier@1/evil.py", "the manifest does not list it"),
    "a file that an entry of another event covers": (
        planted_file("note"), "ledger.jsonl", "speaks of files (models/classifier@1/evil.py)"),
    "weights exchanged under an old manifest": (
        exchanged_weights, "models/scratch@1/weights.safetensors", "another digest of this file"),
    "another digest of the nodes in the manifest": (
        in_manifest("first@1", another_file(("nodes", "sha256"))),
        "datasets/first@1/nodes.parquet", "another digest of this file"),
    "another digest of a shard in the manifest": (
        in_manifest("first@1", another_file(("shards", 0, "sha256"))),
        "datasets/first@1/part-00000.parquet", "the entry of this shard disagree"),
    "another digest of what was learned": (
        in_manifest("scratch@1", another_file(("learned", "sha256"))),
        "models/scratch@1/learned.parquet", "another digest of this file"),
    "a dataset that says it is a model": (
        in_manifest("first@1", lambda m: m.update(kind="model")),
        "datasets/first@1/manifest.json", "describes other content than the entry"),
    "an artifact made of itself": (
        made_of_itself, "datasets/confident@1/manifest.json", "was not committed before it"),
    "a teacher without its source": (
        in_manifest("labelled@1", without("source")),
        "datasets/labelled@1/manifest.json", "does not say which source its teacher"),
    "a teacher without what its calls name it by": (
        in_manifest("labelled@1", without("asks")),
        "datasets/labelled@1/manifest.json", "what its calls name it by"),
    "a teacher whose source is not that of its digest": (
        in_manifest("labelled@1", another_teacher_than_its_digest),
        "datasets/labelled@1/manifest.json", "another digest of its teacher"),
    "a model that does not say what it learned from how often": (
        no_learned, "models/scratch@1/manifest.json", "how often each row was learned from"),
}  # fmt: skip
"""kind -> (what is done, the file that is named, words of the finding)"""


def other(value):
    return {"good": "bad", "bad": "good"}.get(value, value)


def other_source(match, **changes):
    def forge(insider):
        insider.sources(lambda body: body.update(changes) if match(body) else None)

    return forge


def lenient(name):
    """Record a tolerance that lets any score pass, and exchange one."""

    def forge(insider):
        in_manifest(name, lambda m: m.update(tolerance=10.0))(insider)
        insider.value(name, "confidence", 0.99)

    return forge


def better_accuracy(manifest):
    manifest["measures"]["systems"]["scratch"]["accuracy"] = 0.99


def swapped_calls(insider):
    def change(table):
        values = table.column("_call").to_pylist()
        values = [*values[1:], values[0]]
        at = table.schema.get_field_index("_call")
        return table.set_column(at, "_call", pa.array(values, pa.binary(32)))

    insider.rows("labelled@1", change)


DEEP = {
    "another label than the teacher's": (
        lambda i: i.value("labelled@1", "label", other),
        "datasets/labelled@1/part-00000.parquet", "not as the answers in the journal say"),
    "another confidence than the teacher's": (
        lambda i: i.value("labelled@1", "confidence", lambda v: v - 0.01, row=5),
        "datasets/labelled@1/part-00000.parquet", "row 5 is not as the answers"),
    "rows that rest on each other's calls": (
        swapped_calls, "datasets/labelled@1/part-00000.parquet", "not as the answers"),
    "another text than the row had that was labelled": (
        lambda i: i.value("labelled@1", "text", lambda v: " ".join(v.split()[::-1])),
        "datasets/labelled@1/part-00000.parquet", "not as the rows of the input are"),
    "a better accuracy": (
        in_manifest("evaluation@1", better_accuracy),
        "datasets/evaluation@1/manifest.json", "measures come out otherwise"),
    "a row of an evaluation": (
        lambda i: i.value("evaluation@1", "scratch", other),
        "datasets/evaluation@1", "come out otherwise"),
    "a tolerance that lets any score of a model pass": (
        lenient("relabelled@1"),
        "datasets/relabelled@1/manifest.json", "lets scores lie 10.0 apart"),
    "a tolerance where nothing is computed": (
        lenient("confident@1"), "datasets/confident@1/manifest.json", "lie 10.0 apart"),
    "an id that is not the row's": (
        lambda i: i.value("first@1", "_id", b"0" * 16, identified=False),
        "datasets/first@1/part-00000.parquet", "an _id that is not theirs"),
    "a corpus of another provider": (
        other_source(lambda b: b["what"] == "dataset", provider="us"),
        "datasets/corpus@1/nodes.parquet", "no node of it is that source"),
    "a teacher that others called": (
        other_source(lambda b: b["what"] == "model", called_by="others"),
        "datasets/labelled@1/manifest.json", "called_by differ"),
}  # fmt: skip
"""the same, of what only making rows again finds"""


@pytest.fixture
def insider(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    return Insider(tmp_path / "store")


def test_an_insider_who_alters_nothing_is_not_accused(insider):
    insider.put("first@1", insider.manifest("first@1"))
    insider.sign()
    assert audited(insider.folder, deep=True).findings == []


@pytest.mark.few(7)
@pytest.mark.parametrize("kind", PLAIN)
def test_what_the_owner_of_the_key_forged_is_found_and_named(insider, kind):
    forge, file, words = PLAIN[kind]
    forge(insider)
    insider.sign()
    found = [f for f in audited(insider.folder).findings if words in f.what]
    assert [f.file for f in found] == [file]


@pytest.mark.few(3)
@pytest.mark.parametrize("kind", DEEP)
def test_rows_that_do_not_follow_are_found_by_making_them_again(insider, kind):
    forge, file, words = DEEP[kind]
    forge(insider)
    insider.sign()
    assert audited(insider.folder).findings == []
    found = [f.file for f in audited(insider.folder, deep=True).findings if words in f.what]
    assert file in found


def test_a_provider_that_no_literal_says_is_told_as_not_derived(insider):
    other_source(lambda body: body["what"] == "model", provider="us")(insider)
    insider.sign()
    told = audited(insider.folder, deep=True).not_derived
    assert any("is said to be of us" in item.what for item in told)


def test_an_import_whose_rows_name_another_origin_than_their_node_is_found(tmp_path):
    rows = [{"text": f"text {i}", "generator": "closed-x"} for i in range(4)]
    stages = 'kind = "import"\ntitle = "t"\nsource = "rows.jsonl"\ncalled_by = "others"\n'
    store = run_stages(tmp_path, f"[stages.out]\n{stages}", {"rows.jsonl": rows})
    assert audited(store.root, deep=True).findings == []
    forged = Insider(store.root)
    forged.sources(lambda body: body.update(name="open-y"))
    forged.sign()
    assert audited(store.root).findings == []
    (finding,) = audited(store.root, deep=True).findings
    assert "4 rows name another origin than their node" in finding.what


def test_what_is_left_of_an_artifact_that_was_given_up_is_still_held_to_its_entry(insider):
    store = Store(insider.folder, insider.signer)
    store.give_up(store.find("evaluation"), "was made by mistake")
    assert audited(insider.folder).findings == []
    left = insider.folder / "datasets" / "evaluation@1" / "part-00000.parquet"
    left.write_bytes(b"something else")
    (finding,) = audited(insider.folder).findings
    assert finding.file == "datasets/evaluation@1/part-00000.parquet"
    assert digest_bytes(left.read_bytes()) not in {
        sha256 for entry in store.ledger.entries for sha256 in entry.subjects.values()
    }


def work_of(store, name):
    (entry,) = [
        e for e in store.ledger.entries if e.event == "commit" and e.predicate["artifact"] == name
    ]
    return store.root / ".work" / f"{name}-{entry.predicate['fingerprint'][:12]}"


def test_what_a_run_leaves_that_is_killed_as_it_ends_a_stage_accuses_nobody(insider):
    store = Store(insider.folder)
    last = [e for e in store.ledger.entries if e.event == "commit"][-1].predicate["artifact"]
    (work_of(store, last) / "out").mkdir(parents=True)
    result = audited(insider.folder)
    assert result.findings == []
    assert ["cut off at its end" in item.what for item in result.newer] == [True]


def test_what_is_put_where_an_earlier_stage_worked_is_found(insider):
    (work_of(Store(insider.folder), "first@1") / "out").mkdir(parents=True)
    (finding,) = audited(insider.folder).findings
    assert finding.file.startswith(".work/first@1-")


def test_a_stage_that_is_called_as_a_word_of_another_accuses_nobody(tmp_path):
    rows = [{"text": f"text {i}", "score": i} for i in range(20)]
    stages = """
    [stages.rule]
    kind = "corpus"
    title = "t"
    source = "rows.jsonl"
    [stages.best]
    kind = "filter"
    input = "rule"
    column = "score"
    by = "rule"
    keep_top = 0.5
    [stages.best-of-these]
    kind = "filter"
    input = "best"
    column = "score"
    by = "rule"
    keep_top = 0.5
    """
    store = run_stages(tmp_path, stages, {"rows.jsonl": rows})
    assert audited(store.root, deep=True).findings == []


@pytest.mark.parametrize(
    "generators",
    [
        [" mx ", "mx", None, "n/a"],
        ["person", "claude-sonnet-4", "", "someone/some-model"],
        [["mx", "other"], ["mx"], [], None],
        ["['mx', 'other']", "[]", "mx", "unknown"],
    ],
)
def test_an_import_is_not_accused_for_how_its_rows_spell_names(tmp_path, generators):
    rows = [{"text": f"text {i}", "generator": generators[i % 4]} for i in range(12)]
    stages = """
    [stages.out]
    kind = "import"
    title = "t"
    source = "rows.jsonl"
    human = "person"
    called_by = "others"
    models.mx = { kind = "open-weights", provider = "P", name = "Model X" }
    """
    store = run_stages(tmp_path, stages, {"rows.jsonl": rows})
    assert audited(store.root, deep=True).findings == []


def test_labels_in_any_order_are_held_to_the_answers_as_they_were_asked(tmp_path):
    rows = [{"text": f"text {i} {'warm' if i % 2 else 'cold'}"} for i in range(24)]
    stages = """
    [stages.corpus]
    kind = "corpus"
    title = "t"
    source = "rows.jsonl"
    [stages.soft]
    kind = "label"
    input = "corpus"
    teacher = "t"
    prompt = "p.txt"
    labels = { zed = " good", alpha = " bad" }
    soft = true
    calibrate_on = 8
    shard_rows = 7
    """
    files = {"rows.jsonl": rows, "p.txt": "Text: a kind day -> good\nText: {{ text }} ->\n"}
    store = run_stages(tmp_path, stages, files)
    result = audited(store.root, deep=True)
    assert (result.findings, result.derived_rows) == ([], 24)
