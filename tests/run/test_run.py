"""The real runner over the toy chain: resuming, drift, determinism and what it puts on record."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests_support import execute, run_toy, write_recipe

from mashbill import ArtifactRef, DriftError, InputError, Signer, Store, TeacherError, load_recipe
from mashbill.calls.journal import Journal
from mashbill.core.store import NODES
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge, load_definitions
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build, with_teacher
from mashbill.run.executor import Execution
from mashbill.teachers.api import parse_teacher


def digests(store):
    return {str(manifest.ref): manifest.digest for manifest in store.manifests()}


def test_every_stage_commits_and_the_store_holds(finished):
    root, _, done = finished
    assert len(done) == 13
    result = Auditor(root).run()
    assert result.holds, result.findings
    assert result.calls > 0
    assert result.records > 600


def test_a_second_run_does_nothing(finished):
    root, recipe, _ = finished
    entries = len(Store(root).ledger.entries)
    store, done = run_toy(recipe, root)
    assert all(item.was_cached and item.calls == 0 for item in done)
    assert len(store.ledger.entries) == entries


def test_two_runs_give_one_digest(finished, tmp_path):
    store, _ = run_toy(finished[1], tmp_path / "store")
    assert digests(store) == digests(Store(finished[0]))


def test_rejects_keep_their_reason(finished):
    store = Store(finished[0])
    corpus = store.get(ArtifactRef("corpus", "1"))
    rows = pq.read_table(store.folder("dataset", corpus.ref) / "rejected-00000.parquet").to_pylist()
    assert corpus.rows + len(rows) == 600
    assert all(row["_rejected_by"] == "corpus" for row in rows)
    assert all(row["_reason"].startswith("duplicate of toy.jsonl row") for row in rows)


def test_splits_share_no_text_and_gold_stays_with_the_held_out(finished):
    store = Store(finished[0])
    texts = {}
    for name in ("first", "rest", "heldout"):
        data = store.dataset(ArtifactRef(name, "1"))
        texts[name] = set(data.column("text").to_pylist())
        assert ("gold" in data.columns) == (name == "heldout")
    assert not texts["first"] & texts["rest"]
    assert not texts["heldout"] & (texts["first"] | texts["rest"])


def test_the_bill_of_the_last_model_reaches_the_teacher_two_hops_back(finished):
    store = Store(finished[0])
    table = NodeTable.read(store.folder("model", ArtifactRef("scratch", "1")) / NODES)
    lines = {(line.source.name, line.channels): line for line in bill(table)}
    assert lines["toy texts", ("content",)].share == (1.0, 1.0)
    assert lines["toy texts", ("content",)].depth == 1
    assert lines["fake teacher", ("judgement",)].depth == 2
    assert lines["fake teacher", ("judgement", "selection")].depth == 2
    verdicts = [judge(d, table, asked="any").conclusion for d in load_definitions()]
    assert verdicts[:3] == ["none recorded", "none recorded", "yes"]


def test_a_changed_recipe_is_refused_with_what_changed_and_the_cure(finished, tmp_path):
    root, _, _ = finished
    other = write_recipe(tmp_path / "recipe")
    other.write_text(other.read_text().replace("keep_top = 0.5", "keep_top = 0.4"))
    store = Store(root, Signer.default())
    with pytest.raises(DriftError, match=r"keep_top: 0.5 -> 0.4\n.*set version in \[stages.conf"):
        build(load_recipe(other), store)


def test_a_new_version_of_a_stage_is_made_beside_the_old_one(finished, tmp_path):
    import shutil

    shutil.copytree(finished[0], tmp_path / "store")
    recipe = write_recipe(tmp_path / "recipe")
    text = recipe.read_text().replace("keep_top = 0.5", 'keep_top = 0.4\nversion = "2"')
    for name in ("scratch", "heldout-scratch", "evaluation"):
        text = text.replace(f"[stages.{name}]\n", f'[stages.{name}]\nversion = "2"\n')
    recipe.write_text(text)
    store, done = run_toy(recipe, tmp_path / "store")
    assert [item.name for item in done if not item.was_cached] == [
        "confident",
        "scratch",
        "heldout-scratch",
        "evaluation",
    ]
    assert Auditor(store.root).run().holds


def test_a_failing_teacher_loses_nothing_it_answered(recipe_file, tmp_path):
    good = recipe_file.read_text()
    recipe_file.write_text(good.replace("batch = 8", "batch = 8\nfail_every = 3"))
    store = Store(tmp_path / "store", Signer.default())
    execution = Execution(tmp_path / "cache", threads=1)
    attempts = 0
    while attempts < 60:
        attempts += 1
        try:
            execute(build(load_recipe(recipe_file), store), store, execution)
            break
        except TeacherError:
            continue
    assert 2 < attempts < 60
    with sqlite3.connect(store.root / "calls.sqlite") as db:
        asked = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    rows = store.dataset(ArtifactRef("labelled", "1")).num_rows
    held = store.dataset(ArtifactRef("heldout", "1")).num_rows
    assert asked == rows + held


def test_an_unfinished_stage_of_another_recipe_is_given_up_on_record(recipe_file, tmp_path):
    text = recipe_file.read_text()
    recipe_file.write_text(text.replace("batch = 8", "batch = 8\nfail_every = 12"))
    store = Store(tmp_path / "store", Signer.default())
    execution = Execution(tmp_path / "cache", threads=1)
    with pytest.raises(TeacherError):
        execute(build(load_recipe(recipe_file), store), store, execution)
    assert any(e.predicate.get("artifact") == "labelled@1" for e in store.ledger.entries)
    recipe_file.write_text(text.replace("calibrate_on = 32", "calibrate_on = 40"))
    execute(build(load_recipe(recipe_file), store), store, execution)
    assert [e.predicate["artifact"] for e in store.ledger.entries if e.event == "abandon"] == [
        "labelled@1"
    ]
    assert Auditor(store.root).run().holds


def test_a_run_with_a_teacher_that_cannot_be_asked_stops_before_it_starts(recipe_file, tmp_path):
    recipe = with_teacher(load_recipe(recipe_file), parse_teacher("openai:gpt-4o-mini"))
    store = Store(tmp_path / "store", Signer.default())
    plan = build(recipe, store)
    assert [closed.conclusion for closed, _ in plan.verdicts()][:3] == [
        "none recorded",
        "none recorded",
        "yes",
    ]
    with pytest.raises(TeacherError, match="needs a key"):
        execute(plan, store, Execution(tmp_path / "cache"))
    assert store.manifests() == []


def test_without_gold_labels_the_evaluation_says_so(recipe_file, tmp_path):
    text = recipe_file.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("gold")]
    recipe_file.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"no human labels|gold"):
        run_toy(recipe_file, tmp_path / "store")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mood"', '"tone"', r"toy.jsonl: line 1 has no column 'tone'; it has 'text', 'mood'"),
        ('equals = "good"', "at_least = 3", r"line 2: column 'mood' holds '\w+', which is not the"),
        ('"toy.jsonl"', '"toy.txt"', r"toy.txt: the ending does not say the format"),
        ('equals = "good"', 'equals = "x"\nsha256 = "00"', r"its SHA-256 is"),
    ],
)
def test_bad_input_names_file_row_and_remedy(recipe_file, tmp_path, old, new, message):
    recipe_file.write_text(recipe_file.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        run_toy(recipe_file, tmp_path / "store")


def killed_run(recipe, root, after):
    """Run in a process of its own and kill it with SIGKILL after some seconds."""
    code = (
        "import sys; from pathlib import Path; from tests_support import run_toy; "
        "run_toy(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    process = subprocess.Popen([sys.executable, "-c", code, str(recipe), str(root)], env=env)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return False
    assert process.returncode == 0
    return True


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_the_digests_of_one_that_was_not(
    finished, tmp_path
):
    recipe = write_recipe(tmp_path / "recipe", delay=0.05)
    root = tmp_path / "store"
    draw = random.Random(11)
    kills = 0
    while not killed_run(recipe, root, draw.uniform(2.0, 6.0) if kills < 6 else 300):
        kills += 1
    assert kills >= 2
    store = Store(root)
    whole, _ = run_toy(write_recipe(tmp_path / "again", delay=0.05), tmp_path / "whole")
    assert digests(store) == digests(whole)
    assert Auditor(root).run().holds
    # Every call was bought once: as many calls in the journal as in the run that was not killed.
    assert (
        Journal(root / "calls.sqlite").totals()[:2]
        == Journal(tmp_path / "whole" / "calls.sqlite").totals()[:2]
    )


def test_pretraining_resumes_at_its_checkpoint_with_the_same_bytes(finished, tmp_path):
    torch = pytest.importorskip("torch")
    from mashbill.train import decoder

    old = decoder._CHECKPOINT_EVERY
    real = decoder._checkpoint

    class StopError(Exception):
        pass

    def stop_after(path, step, *rest):
        real(path, step, *rest)
        if step == 8:
            raise StopError

    decoder._CHECKPOINT_EVERY = 4
    decoder._checkpoint = stop_after
    try:
        with pytest.raises(StopError):
            run_toy(finished[1], tmp_path / "store")
        decoder._checkpoint = real
        store, _ = run_toy(finished[1], tmp_path / "store")
    finally:
        decoder._CHECKPOINT_EVERY, decoder._checkpoint = old, real
    assert digests(store) == digests(Store(finished[0]))
    assert torch.are_deterministic_algorithms_enabled()


def test_a_locked_store_is_told(finished, recipe_file):
    from mashbill import StoreError

    store = Store(finished[0], Signer.default())
    with (
        store.lock("x@1"),
        pytest.raises(StoreError, match="another run holds x@1"),
        store.lock("x@1"),
    ):
        pass


def test_a_store_may_lie_under_any_name_and_be_read_only(finished, tmp_path):
    import shutil

    root = tmp_path / "a #1 ?% store"
    shutil.copytree(finished[0], root)
    before = sorted(root.iterdir())
    assert Auditor(root).run().holds
    assert Journal(root / "calls.sqlite").totals()[0] > 0
    assert sorted(root.iterdir()) == before


def test_text_that_is_no_unicode_is_rejected_and_told(recipe_file, tmp_path):
    corpus = recipe_file.parent / "toy.jsonl"
    lines = corpus.read_text() + '{"text": "half \\ud83d a pair", "mood": "good"}\n'
    corpus.write_text(lines)
    store, _ = run_toy(recipe_file, tmp_path / "store")
    folder = store.folder("dataset", ArtifactRef("corpus", "1"))
    reasons = pq.read_table(folder / "rejected-00000.parquet").column("_reason").to_pylist()
    assert "not valid Unicode: it holds half of a surrogate pair" in reasons


def test_a_changed_corpus_file_is_another_corpus(finished, tmp_path):
    root, _, _ = finished
    other = write_recipe(tmp_path / "recipe", rows=599)
    with pytest.raises(DriftError, match=r"files.toy.jsonl"):
        build(load_recipe(other), Store(root, Signer.default()))


def test_a_stage_may_only_take_what_it_declares(recipe_file, tmp_path, monkeypatch):
    from mashbill import RecipeError
    from mashbill.stages.apply import ApplySpec

    def sly(self, records, ctx):
        ctx.teacher("fake")
        yield from records

    monkeypatch.setattr(ApplySpec, "run", sly)
    with pytest.raises(RecipeError, match=r"asks for 'fake', which its uses\(\) does not declare"):
        run_toy(recipe_file, tmp_path / "store")
