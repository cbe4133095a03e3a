"""An audit beside a run judges one moment: what is newer is told as newer, and is no fault."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import CHANNELS
from typer.testing import CliRunner

from mashbill import Signer, Store
from mashbill.cli import app
from mashbill.core import checkpoint
from mashbill.core.ledger import Ledger
from mashbill.core.store import CALLS, LEDGER, MANIFEST, PENDING
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.moment import Moment

MADE_ANEW = "confident@1"


class Replay:
    """A finished store, made again step by step as the run that made it did."""

    def __init__(self, finished: Path, root: Path) -> None:
        self.finished, self.root = finished, root
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        os.link(finished / CALLS, root / CALLS)
        self.lines = (finished / LEDGER).read_bytes().splitlines(keepends=True)
        entries = Ledger(finished / LEDGER).entries
        self.steps = [
            step
            for entry in entries
            for step in (("files", entry), ("entry", entry), ("name", entry))
            if step[0] != "name" or entry.event == "commit"
        ]
        self.done = 0

    def forward(self, to: int) -> None:
        """Do what the run did up to this step."""
        for what, entry in self.steps[self.done : to]:
            if what == "files":
                for name in entry.subjects:
                    target = self.root / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    waits = target.name == MANIFEST
                    os.link(self.finished / name, target.with_name(PENDING) if waits else target)
            elif what == "entry":
                with (self.root / LEDGER).open("ab") as stream:
                    stream.write(self.lines[entry.index])
            else:
                (folder,) = {(self.root / name).parent for name in entry.subjects}
                (folder / PENDING).rename(folder / MANIFEST)
        self.done = max(self.done, to)


def audited(root, at=0, then=lambda: None):
    """Audit a store; before its entry number ``at`` is looked at, something happens to it."""

    def progress(number, total):
        if number == min(at, total - 1):
            then()

    return Auditor(root, progress=progress).run()


def told(result):
    return sorted({(finding.file, finding.what) for finding in result.findings})


@pytest.mark.slow
@law(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whenever_an_audit_begins_and_however_far_the_run_comes_it_holds(finished, tmp_path, data):
    replay = Replay(finished[0], tmp_path / "store")
    last = len(replay.steps)
    begin = data.draw(st.integers(2, last), "step at which the audit begins")
    end = data.draw(st.integers(begin, last), "step that the run has come to")
    replay.forward(begin)
    entries = sum(what == "entry" for what, _ in replay.steps[:begin])
    at = data.draw(st.integers(0, entries - 1), "entry that the audit has come to")
    result = audited(replay.root, at, lambda: replay.forward(end))
    assert told(result) == []
    assert result.entries == entries
    assert result.later == sum(what == "entry" for what, _ in replay.steps[begin:end])


@pytest.mark.slow
def test_an_audit_of_every_step_of_a_run_holds(finished, tmp_path):
    replay = Replay(finished[0], tmp_path / "store")
    for step in range(2, len(replay.steps) + 1):
        replay.forward(step)
        assert told(Auditor(replay.root).run()) == [], replay.steps[step - 1]
    assert Auditor(replay.root).run().newer == []


PLANTED = [
    "datasets/first@1/part-00099.parquet",
    "datasets/planted@1/manifest.json",
    "models/classifier@1/more.bin",
]


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_without_an_entry_is_found_though_a_run_goes_on(finished, tmp_path, name):
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(len(replay.steps) - 6)

    def planted():
        (replay.root / name).parent.mkdir(exist_ok=True)
        (replay.root / name).write_bytes(b"not from here")
        replay.forward(len(replay.steps))

    result = audited(replay.root, 0, planted)
    ((found, what),) = told(result)
    assert found == ("datasets/planted@1" if "planted" in name else name)
    assert what.startswith("no entry of the ledger speaks of this")
    assert result.newer


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("datasets/first@1/part-00000.parquet", "is not there"),
        ("datasets/first@1/manifest.json", "is not there"),
        ("models/classifier@1/nodes.parquet", "has SHA-256"),
        ("datasets/confident@1/part-00000.parquet", "has SHA-256"),
    ],
)
def test_what_is_altered_is_found_though_a_run_goes_on(finished, tmp_path, name, what):
    replay = Replay(finished[0], tmp_path / "store")
    middle = next(
        step
        for step, (what_, entry) in enumerate(replay.steps)
        if what_ == "files" and entry.event == "commit" and entry.predicate["artifact"] == MADE_ANEW
    )
    replay.forward(middle)  # its shards are committed, and it is not
    (replay.root / name).unlink()
    if what == "has SHA-256":
        (replay.root / name).write_bytes(b"altered")
    store = Store(replay.root)
    with store.lock(MADE_ANEW), store.lock("first@2"):
        result = audited(replay.root, 0, lambda: replay.forward(middle + 1))
    assert {file for file, _ in told(result)} == {name}
    assert what in told(result)[0][1]


def test_an_artifact_that_is_given_up_and_made_anew_beside_an_audit_is_no_fault(finished, tmp_path):
    replay = Replay(finished[0], tmp_path / "store")
    step = next(
        step
        for step, (what, entry) in enumerate(replay.steps)
        if what == "files" and entry.event == "commit" and entry.predicate["artifact"] == MADE_ANEW
    )
    replay.forward(step)
    folder = replay.root / "datasets" / MADE_ANEW

    def made_anew():
        store = Store(replay.root, Signer.default())
        store.ledger.append("abandon", artifact=MADE_ANEW, reason="the recipe changed")
        for number, path in enumerate(sorted(folder.glob("part-*"))):
            path.unlink()
            if number == 0:
                path.write_bytes(b"other records, whose entry is still to come")

    result = audited(replay.root, 0, made_anew)
    assert told(result) == []
    assert {item.what for item in result.newer} == {"was given up since, to be made anew"}
    # From then on nothing of it is judged, since all of it was given up.
    after = Auditor(replay.root).run()
    assert told(after) == []


def test_an_artifact_that_is_committed_again_is_being_made_while_its_lock_is_held(
    finished, tmp_path
):
    """A run was killed before the manifest got its name; the next one begins that stage anew."""
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(len(replay.steps))
    folder = replay.root / "models" / "classifier@1"
    shutil.copytree(finished[0] / "models" / "classifier@1", tmp_path / "kept")
    for path in folder.iterdir():
        path.unlink()
    store = Store(replay.root, Signer.default())
    (made,) = [
        e.predicate
        for e in store.ledger.entries
        if e.event == "commit" and e.predicate["artifact"] == "classifier@1"
    ]
    with store.lock("classifier@1"):
        assert told(Auditor(replay.root).run()) != []  # anybody may hold a lock
        store.ledger.append("start", artifact="classifier@1", fingerprint=made["fingerprint"])
        result = Auditor(replay.root).run()
    assert told(result) == []
    assert {item.what for item in result.newer} == {"is being made by a run at this moment"}
    assert {file.rpartition("/")[0] for file, _ in told(Auditor(replay.root).run())} == {
        "models/classifier@1"
    }


def test_a_manifest_that_lost_its_name_is_found_where_others_rest_on_it(finished, tmp_path):
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(len(replay.steps))
    folder = replay.root / "datasets" / "labelled@1"
    (folder / MANIFEST).rename(folder / PENDING)
    assert told(Auditor(replay.root).run()) == [
        ("datasets/labelled@1/manifest.json", "is not there")
    ]


def test_a_ledger_that_is_altered_beside_an_audit_is_found(finished, tmp_path):
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(len(replay.steps))

    def cut():
        (replay.root / LEDGER).write_bytes(b"".join(replay.lines[:-3]))

    ((file, what),) = told(audited(replay.root, 0, cut))
    assert file == LEDGER
    assert "is not as it was when this audit began" in what


def test_entries_that_do_not_hold_excuse_nothing(finished, tmp_path):
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(len(replay.steps))
    name = "datasets/first@1/part-00000.parquet"
    (replay.root / name).unlink()

    def forged():
        other = tmp_path / "other"
        other.mkdir()
        (other / LEDGER).write_bytes((replay.root / LEDGER).read_bytes())
        Ledger(other / LEDGER, Signer.default()).append("abandon", artifact="first@1")
        line = (other / LEDGER).read_bytes().splitlines(keepends=True)[-1]
        with (replay.root / LEDGER).open("ab") as stream:
            stream.write(line.replace(b'"sig":"', b'"sig":"A'))

    assert told(audited(replay.root, 0, forged)) == [(name, "is not there")]


def test_a_line_that_is_being_written_is_waited_for_and_a_torn_one_is_found(finished, tmp_path):
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(len(replay.steps))
    path = replay.root / LEDGER
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert Moment.of(path).torn
    assert told(Auditor(replay.root).run())[-1] == (
        LEDGER,
        "the last line does not end: it was torn or altered",
    )
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)

        def finish():
            time.sleep(0.1)
            stream.write(whole[-40:])
            stream.close()

        writing = threading.Thread(target=finish)
        writing.start()
        result = Auditor(replay.root).run()
        writing.join()
    assert told(result) == []
    assert result.entries == len(replay.lines)


def test_an_audit_that_looks_at_a_lock_lets_a_run_have_it(tmp_path):
    store = Store(tmp_path / "store", Signer.default())
    with store.lock("a@1"):
        assert store.is_locked("a@1")
    looking = (tmp_path / "store" / ".locks" / "a@1").open("rb")
    fcntl.flock(looking, fcntl.LOCK_SH)  # for as long as a look takes, and more
    threading.Timer(0.05, looking.close).start()
    with store.lock("a@1"):
        assert store.is_locked("a@1")
    assert not store.is_locked("a@1")


def test_a_checkpoint_that_a_run_keeps_meanwhile_is_none_of_a_cut_ledger(
    finished, tmp_path, monkeypatch
):
    replay = Replay(finished[0], tmp_path / "store")
    replay.forward(12)
    monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(tmp_path / "kept"))
    signer = Signer.default()
    checkpoint.keep(replay.root, signer)
    read = checkpoint._read

    def run_goes_on(note):
        found = read(note)
        monkeypatch.setattr(checkpoint, "_read", read)
        replay.forward(30)
        checkpoint.keep(replay.root, signer)
        return found

    monkeypatch.setattr(checkpoint, "_read", run_goes_on)
    assert checkpoint.keep(replay.root, signer) is not None


READERS = (
    ["bill", "NAME"],
    ["trace", "NAME", "--row", "0"],
    ["journal", "size"],
    ["export", "NAME", "--format", "prov"],
    ["checkpoint"],
    ["report", "NAME", "--to", "PAGE"],
    ["affected", "--provider", "mashbill"],
)


@pytest.mark.slow
def test_nothing_is_found_and_nobody_fails_beside_a_real_run(tmp_path):
    root = tmp_path / "store"
    run = subprocess.Popen(
        [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(CHANNELS),
         "--store", str(root)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    audits, newer, readers = 0, 0, list(READERS)
    while run.poll() is None:
        time.sleep(0.1)
        if not (root / LEDGER).exists():
            continue
        kept = checkpoint.kept(root)
        result = Auditor(root, checkpoints=[kept] if kept else []).run()
        assert told(result) == []
        audits, newer = audits + 1, newer + bool(result.later)
        made = Store(root).manifests()
        if made and made[-1].kind == "dataset" and readers and audits % 4 == 0:
            names = {"NAME": made[-1].name, "PAGE": str(tmp_path / "page.html")}
            command = [names.get(word, word) for word in readers.pop()]
            done = CliRunner().invoke(app, [*command, "--store", str(root)])
            assert done.exit_code == 0, (command, done.output, done.exception)
    assert run.returncode == 0, run.stderr.read()
    run.stderr.close()
    assert audits > 3
    result = Auditor(root).run()
    assert told(result) == []
    assert (result.newer, result.later) == ([], 0)
