"""rm and gc: what they show and ask, what is left when they are killed, whom they wait for."""

import json
import shutil
import subprocess
import sys
import time

import pytest
from tests_support import killed, run_stages, run_toy
from typer.testing import CliRunner

import mashbill
from mashbill import Signer, Store, StoreError
from mashbill.cli import app
from mashbill.core.errors import AuditError, InputError
from mashbill.core.removals import CLEAR, REMOVE
from mashbill.core.store import WHOLE
from mashbill.lineage.evidence.audit import Auditor

ROWS = [
    {"text": f"a {'kind' if i % 3 else 'dull'} day number {i}", "mood": "good" if i % 3 else "bad"}
    for i in range(40)
]
STAGES = """
[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"

[stages.part]
kind = "split"
input = "texts"
range = [0.0, 0.8]
shard_rows = 8

[stages.labelled]
kind = "label"
input = "part"
teacher = "t"
prompt = "ask.txt"
labels = { good = " good", bad = " bad" }
calibrate_on = 4
shard_rows = 8

[stages.student]
kind = "classifier"
input = "labelled"
buckets = 64
"""
MORE = '\n[stages.more]\nkind = "split"\ninput = "part"\nrange = [0.0, 0.5]\nshard_rows = 4\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("removing") / "r"
    return run_stages(folder, STAGES, {"texts.jsonl": ROWS, "ask.txt": "{{ text }} ->"}).root


@pytest.fixture
def root(made, tmp_path, monkeypatch):
    """A copy of the store; its recipe stands beside it."""
    monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("MASHBILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    shutil.copytree(made.parent, tmp_path / "r")
    return tmp_path / "r" / "store"


def recipe_of(root, more=""):
    path = root.parent / "some.toml"
    if more:
        path.write_text(path.read_text() + more)
    return path


def parts(root, name, kind="datasets"):
    left = (root / kind / f"{name}@1").iterdir()
    return sorted(p.name for p in left if p.name not in ("manifest.json", "nodes.parquet"))


def holds(root):
    return [str(finding) for finding in Auditor(root).run().findings]


def say(*command, code=0, **more):
    done = CliRunner().invoke(app, [str(one) for one in command], **more)
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


# -- killed ----------------------------------------------------------------------------------------

AT_EACH_STEP = """
import os, shutil, signal, sys
from pathlib import Path
import mashbill
from mashbill.core.ledger import Ledger
from mashbill.run import removing

root, verb = Path(sys.argv[1]), sys.argv[2]
steps, at = [0], [0]

def step():
    steps[0] += 1
    if steps[0] == at[0]:
        os.kill(os.getpid(), signal.SIGKILL)

def around(function):
    def stepping(*given, **named):
        step()
        found = function(*given, **named)
        step()
        return found
    return stepping

Path.unlink = around(Path.unlink)
Ledger.append = around(Ledger.append)
removing.sync = around(removing.sync)
while True:
    at[0] += 1
    copy = root.parent / f"{at[0]}" / "store"
    shutil.copytree(root, copy)
    child = os.fork()
    if not child:
        os.environ["MASHBILL_CHECKPOINTS"] = str(copy.parent / "kept")
        space = mashbill.open(copy, cache=copy.parent / "cache")
        space.remove("part", "erasure") if verb == "rm" else space.clear(older_than=0)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        print(at[0], os.WEXITSTATUS(status))
        break
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("again", ["rm", "gc"])
def test_a_removal_that_is_killed_at_any_step_is_ended_by_rm_and_by_gc(root, again, monkeypatch):
    done = subprocess.run(
        [sys.executable, "-c", AT_EACH_STEP, str(root), "rm"],
        capture_output=True, text=True, timeout=170, check=True,
    )  # fmt: skip
    last, code = map(int, done.stdout.split())
    assert code == 0
    assert last > 12  # two steps around the entry, two around each of the five files and more
    was = parts(root, "part")
    for at in range(1, last + 1):
        copy = root.parent / str(at) / "store"
        monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(copy.parent / "kept"))
        removed = bool(Store(copy).removals().in_force)
        left = parts(copy, "part")
        if not removed:
            assert left == was, at  # nothing goes before the entry is there
            assert holds(copy) == []
            space = mashbill.open(copy)
            space.remove("part", "erasure")
        else:
            found = holds(copy)
            assert len(found) == len(left), found
            assert all("`mashbill gc` takes it away" in one for one in found)
            space = mashbill.open(copy)
            if again == "rm":
                space.remove("part")
            else:
                space.clear()
        assert parts(copy, "part") == []
        assert holds(copy) == []
        events = [entry.event for entry in Store(copy).ledger.entries]
        assert events.count(REMOVE) == 1


def test_a_run_that_makes_it_again_and_is_killed_goes_on(root, monkeypatch):
    mashbill.open(root).remove("part")
    recipe = recipe_of(root, MORE)
    folder = root / "datasets" / "part@1"
    monkeypatch.setenv("MASHBILL_CACHE", str(root.parent / "cache"))
    lines = len((root / "ledger.jsonl").read_bytes().splitlines())

    def begun():
        return len([*folder.glob("part-*")]) > 0 or not lines

    killed(recipe, root, begun, "--accept-review", "me", "--reason", "a test", "--threads", "1")
    result = Auditor(root).run()
    assert not result.findings
    run_toy(recipe, root)
    assert not Store(root).removals().in_force
    assert holds(root) == []


def test_what_comes_out_otherwise_is_not_put_back(root, monkeypatch):
    mashbill.open(root).remove("part")
    recipe = recipe_of(root, MORE)
    from mashbill.run import shards

    own = shards.prepare

    def otherwise(number, table, *rest):
        return own(number, table.slice(0, table.num_rows - 1), *rest)

    monkeypatch.setattr(shards, "prepare", otherwise)
    monkeypatch.setattr("mashbill.run.stage_work.prepare", otherwise, raising=False)
    with pytest.raises(StoreError, match=r"differently from what was removed.*set version in"):
        run_toy(recipe, root)
    assert parts(root, "part") == []
    assert holds(root) == []
    assert "part@1" in Store(root).removals().in_force


# -- two at once -----------------------------------------------------------------------------------


def test_while_a_run_goes_on_nothing_is_removed_or_cleared(root):
    store = Store(root, Signer.default())
    with store.reading(), store.reading():  # any number of runs
        with pytest.raises(StoreError, match="a run or a removal goes on"):
            mashbill.open(root).remove("part")
        with pytest.raises(StoreError, match="a run or a removal goes on"):
            mashbill.open(root).clear(older_than=0)
    assert holds(root) == []
    assert mashbill.open(root).remove("part")


def test_a_run_of_an_earlier_release_is_waited_for_too(root):
    store = Store(root, Signer.default())
    with (
        store.lock("run-20261130-000000-abcdef"),
        pytest.raises(StoreError, match="a run goes on in it"),
    ):
        mashbill.open(root).remove("part")


def test_while_something_is_removed_no_run_begins(root):
    with (
        Store(root, Signer.default()).alone(),
        pytest.raises(StoreError, match="something is removed from it at this moment"),
    ):
        run_toy(recipe_of(root, MORE), root)
    assert holds(root) == []


@pytest.mark.slow
def test_a_run_and_removals_in_two_processes_leave_a_store_that_holds(root, tmp_path):
    """One process runs a recipe that reads what the other removes, over and over."""
    recipe = recipe_of(root, MORE)
    code = "from mashbill.cli import main; main()"
    run = [sys.executable, "-c", code, "run", str(recipe), "--store", str(root),
           "--accept-review", "me", "--reason", "a test", "--threads", "1"]  # fmt: skip
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    refused = removed = 0
    while process.poll() is None:
        try:
            mashbill.open(root).remove("part")
            removed += 1
        except StoreError as error:
            refused += "goes on" in str(error)
        time.sleep(0.02)
    told = process.stderr.read()
    assert removed
    reasons = ("removed on", "is removed from it at this moment", "it was removed since this began")
    assert process.returncode == 0 or any(one in told for one in reasons), told
    assert holds(root) == []
    run_toy(recipe, root)
    assert {m.name for m in Store(root).manifests()} >= {"more", "part"}
    assert holds(root) == []


# -- links and keys --------------------------------------------------------------------------------


def link_folder(root):
    folder = root / "datasets" / "part@1"
    folder.rename(root.parent / "elsewhere")
    folder.symlink_to(root.parent / "elsewhere")


def link_all(root):
    (root / "datasets").rename(root.parent / "elsewhere")
    (root / "datasets").symlink_to(root.parent / "elsewhere")


def link_file(root):
    file = root / "datasets" / "part@1" / "part-00000.parquet"
    file.rename(root.parent / "elsewhere")
    file.symlink_to(root.parent / "elsewhere")


@pytest.mark.parametrize("link", [link_folder, link_all, link_file])
def test_no_link_is_followed_out_of_a_store(root, link):
    link(root)
    before = {p: p.read_bytes() for p in root.parent.rglob("*.parquet") if p.is_file()}
    size = (root / "ledger.jsonl").stat().st_size
    with pytest.raises(StoreError, match="is a link, which is not followed"):
        mashbill.open(root).remove("part")
    mashbill.open(root).clear(older_than=0)
    assert {p: p.read_bytes() for p in root.parent.rglob("*.parquet") if p.is_file()} == before
    assert (root / "ledger.jsonl").stat().st_size == size


def test_links_in_the_places_that_gc_looks_into_lead_nowhere(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "run-1").write_text("mine")
    (other / ".part-00001.parquet").write_text("mine")
    shutil.rmtree(root / ".locks", ignore_errors=True)
    shutil.rmtree(root / ".work", ignore_errors=True)
    (root / ".locks").mkdir()
    (root / ".work").symlink_to(other)
    (root / "datasets" / "part@2").symlink_to(other)
    (root / "reports").mkdir(exist_ok=True)
    (root / "datasets" / "part@1" / ".part-00009.parquet").symlink_to(other / "run-1")
    mashbill.open(root).clear(older_than=0)
    assert {p.name for p in other.iterdir()} == {"run-1", ".part-00001.parquet"}


def test_who_is_no_signer_removes_nothing(root, tmp_path, monkeypatch):
    monkeypatch.setenv("MASHBILL_KEY_FILE", str(tmp_path / "another.pem"))
    for asked in (lambda: mashbill.open(root).remove("part"), mashbill.open(root).clear):
        with pytest.raises(AuditError, match="is none of its signers"):
            asked()
    assert parts(root, "part")


def test_a_store_that_is_only_read_is_left_as_it_is(root, monkeypatch):
    going = mashbill.open(root).removing("part")
    found = mashbill.open(root).clearable(older_than=0)
    assert going.files
    assert holds(root) == []
    assert found == mashbill.open(root).clearable(older_than=0)


# -- the commands ----------------------------------------------------------------------------------


def test_without_a_terminal_rm_shows_what_goes_and_wants_yes(root):
    done = say("rm", "part", "--store", root, code=1)
    assert isinstance(done.exception, InputError)
    assert "say --yes" in str(done.exception)
    told = " ".join(done.output.split())
    assert "goes: 5 files, 33 rows" in told
    assert "rests on it: labelled@1 and student@1. They stay" in told
    assert "texts of its rows may still be in:" in told
    assert "what it was made of: texts@1" in told
    assert "`mashbill journal prune`" in told
    assert parts(root, "part")


def test_rm_says_what_it_did_and_a_second_one_that_it_was_done(root):
    first = say("rm", "part", "--store", root, "--yes", "--reason", "to save room").output
    assert "part@1 was removed on 20" in first
    assert "(to save room)" in first
    assert parts(root, "part") == []
    second = say("rm", "part", "--store", root).output
    assert "nothing was left of its rows" in second
    audit = say("audit", "--store", root).output
    assert "removed: part@1 (entry" in audit
    assert "holds:" in audit
    listed = say("ls", "--store", root).output
    shown = say("show", "part", "--store", root).output
    for told in (listed, shown):
        assert "(to save room)" in told
    told = say("plan", recipe_of(root, MORE), "--store", root).output
    assert "more needs it, so that it is made again" in " ".join(told.split())


def test_json_of_rm_ls_show_plan_and_audit_says_the_same(root):
    done = say("rm", "part", "--store", root, "--json", code=1)
    assert isinstance(done.exception, InputError)
    told = json.loads(say("rm", "part", "--store", root, "--yes", "--json").output)
    assert told["entered"] is True
    assert told["rest_on_it"] == ["labelled@1", "student@1"]
    assert {one["file"] for one in told["files"]} == {
        f"datasets/part@1/part-{n:05d}.parquet" for n in range(5)
    }
    assert told["removed"]["key"] == Signer.default().keyid
    again = json.loads(say("rm", "part", "--store", root, "--json").output)
    assert again["entered"] is False
    assert again["removed"] == told["removed"]
    (one,) = [o for o in json.loads(say("ls", "--store", root, "--json").output) if o["removed"]]
    assert one["name"] == "part@1"
    shown = json.loads(say("show", "part", "--store", root, "--json").output)
    assert shown["removed"] == told["removed"]
    assert shown["rows"] == 33
    plan = json.loads(say("plan", recipe_of(root), "--store", root, "--json").output)
    stage = next(one for one in plan["stages"] if one["name"] == "part")
    assert stage["status"] == "done"
    assert stage["removed"].startswith("removed on")
    audit = json.loads(say("audit", "--store", root, "--json").output)
    assert audit["holds"]
    assert [one["file"] for one in audit["removed"]] == ["part@1"]


def test_what_does_not_exist_is_told_with_what_does(root):
    done = say("rm", "nothing", "--store", root, "--yes", code=1)
    assert "it has student@1, labelled@1, part@1 and texts@1" in str(done.exception)
    done = say("rm", "../part", "--store", root, "--yes", code=1)
    assert isinstance(done.exception, StoreError)


def unfinished(root, days=0):
    """Leave what a run that was killed leaves: shards, a temporary file, a lock and its scratch."""
    store = Store(root, Signer.default())
    store.ledger.append("start", artifact="left@1", fingerprint="f" * 64, run="r1")
    folder = root / "datasets" / "left@1"
    folder.mkdir()
    shard = "datasets/left@1/part-00000.parquet"
    shutil.copy(root / "datasets/part@1/part-00000.parquet", root / shard)
    entry = next(e for e in store.ledger.entries if e.event == "shard")
    facts = next(iter(entry.predicate["shards"].values()))
    from mashbill.core.canonical import digest_file

    facts = {**facts, "sha256": digest_file(root / shard)}
    store.ledger.append(
        "shard", {shard: facts["sha256"]}, artifact="left@1", fingerprint="f" * 64, number=0,
        shards={shard: facts},
    )  # fmt: skip
    (folder / ".part-00001.parquet").write_bytes(b"half")
    work = root / ".work" / f"left@1-{'f' * 12}"
    work.mkdir(parents=True)
    (work / "codes.npy").write_bytes(b"0" * 100)
    (root / ".locks" / "run-r1").touch()


def test_gc_shows_sizes_keeps_what_a_run_goes_on_from_and_counts_the_rest_in_an_entry(root):
    unfinished(root)
    told = " ".join(say("gc", "--store", root, "--dry-run").output.split())
    assert "left@1, which a run left" in told
    before = (root / "ledger.jsonl").read_bytes()
    done = json.loads(say("gc", "--store", root, "--yes", "--json").output)
    assert {one["why"] for one in done["cleared"]} == {"temporary"}
    kept = next(one for one in done["found"] if one["why"] == "unfinished")
    assert (kept["goes"], kept["files"]) == (False, 2)
    assert (root / "datasets/left@1/part-00000.parquet").exists()
    assert not (root / "datasets/left@1/.part-00001.parquet").exists()
    assert not (root / ".locks/run-r1").exists()
    assert (root / "ledger.jsonl").read_bytes().startswith(before)
    entry = Store(root).ledger.entries[-1]
    assert entry.event == CLEAR
    assert entry.predicate["cleared"]["temporary"]["files"] == 2
    assert holds(root) == []


def test_gc_gives_up_on_record_what_was_left_longer_ago_than_asked(root):
    unfinished(root)
    say("gc", "--store", root, "--yes", "--older-than", "0")
    assert not (root / "datasets/left@1").exists()
    assert not [*(root / ".work").iterdir()]
    events = [e.event for e in Store(root).ledger.entries][-2:]
    assert events == ["abandon", CLEAR]
    assert holds(root) == []
    assert say("gc", "--store", root, "--older-than", "0").output.strip() == "nothing to clear"


def test_gc_of_a_store_with_nothing_to_clear_enters_nothing(root):
    shutil.rmtree(root / ".locks")
    before = (root / "ledger.jsonl").read_bytes()
    say("gc", "--store", root, "--yes")
    assert (root / "ledger.jsonl").read_bytes() == before


def test_superseded_versions_go_by_an_entry_each_where_nothing_else_rests_on_them(root):
    recipe = recipe_of(root)
    text = recipe.read_text()
    recipe.write_text(
        text.replace("range = [0.0, 0.8]", 'range = [0.0, 0.7]\nversion = "2"')
        .replace("calibrate_on = 4", 'calibrate_on = 4\nversion = "2"')
        .replace("buckets = 64", 'buckets = 64\nversion = "2"')
    )
    run_toy(recipe, root)
    shown = json.loads(say("gc", "--store", root, "--dry-run", "--json").output)
    olds = {one["artifact"] for one in shown["found"] if one["why"] == "superseded"}
    assert olds == {"part@1", "labelled@1", "student@1"}
    assert not any(one["goes"] for one in shown["found"] if one["why"] == "superseded")
    none = json.loads(
        say("gc", "--store", root, "--dry-run", "--superseded", "--keep", "2", "--json").output
    )
    assert not [one for one in none["found"] if one["why"] == "superseded"]
    say("gc", "--store", root, "--yes", "--superseded")
    assert set(Store(root).removals().in_force) == olds
    assert all("newer versions of" in r.reason for r in Store(root).removals().in_force.values())
    assert holds(root) == []
    run_toy(recipe, root)


def test_an_old_version_on_which_something_new_rests_stays(root):
    recipe = recipe_of(root)
    recipe.write_text(
        recipe.read_text().replace("calibrate_on = 4", 'calibrate_on = 5\nversion = "2"')
        .replace("buckets = 64", 'buckets = 64\nversion = "2"')
    )  # fmt: skip
    run_toy(recipe, root)
    recipe.write_text(recipe.read_text() + MORE.replace('input = "part"', 'input = "labelled"'))
    run_toy(recipe, root)
    found = mashbill.open(root).clearable(superseded=True)
    assert {i.artifact for i in found if i.why == "superseded"} == {"labelled@1", "student@1"}


def test_caches_are_shown_and_go_only_if_asked(root, tmp_path):
    cache = tmp_path / "cache"
    (cache / "files" / "abc").mkdir(parents=True)
    (cache / "files" / "abc" / "bytes").write_bytes(b"0" * 1000)
    found = json.loads(say("gc", "--store", root, "--cache", cache, "--yes", "--json").output)
    (one,) = [one for one in found["found"] if one["what"].endswith("files")]
    assert (one["goes"], one["bytes"]) == (False, 1000)
    assert (cache / "files").exists()
    before = (root / "ledger.jsonl").read_bytes()
    say("gc", "--store", root, "--cache", cache, "--yes", "--caches")
    assert not (cache / "files").exists()
    assert (root / "ledger.jsonl").read_bytes() == before  # it is nothing of the store's


def test_a_lock_for_the_whole_store_is_no_finding(root):
    mashbill.open(root).remove("part")
    assert (root / ".locks" / WHOLE).exists()
    assert holds(root) == []
    assert not (root / ".locks" / WHOLE).stat().st_size
