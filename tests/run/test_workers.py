"""Slices in worker processes: what comes out is the same, whoever did them and in which order."""

from __future__ import annotations

import base64
import inspect
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_support import execute, write_recipe

import mashbill.core.errors as all_errors
from mashbill import Channel, StageSpec, Store, Uses, load_recipe
from mashbill.core import registry
from mashbill.core.errors import InputError, LosingError, MashbillError, MissingExtraError
from mashbill.core.ledger import Signer
from mashbill.core.record import FROM
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.run import pool as pools
from mashbill.run import slices as slicing
from mashbill.run.display import Quiet
from mashbill.run.execution import Execution
from mashbill.run.handed import fit_to_hand
from mashbill.run.slices import run_slices
from mashbill.run.stage_work import MadeSlice


def manifests(root):
    return {path.parent.name: path.read_bytes() for path in Path(root).glob("*/*/manifest.json")}


def run(recipe, root, display=None, **how):
    store = Store(root, Signer.default())
    execution = Execution(root.parent / "cache", threads=1, display=display or Quiet(), **how)
    done = execute(build(load_recipe(recipe), store), store, execution)
    return store, done


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    recipe = write_recipe(folder / "recipe")
    run(recipe, folder / "store")
    return recipe, manifests(folder / "store")


class KillsWorkers(Quiet):
    """Kills a worker each time that a slice of some stages is committed."""

    def __init__(self, pids, times):
        super().__init__()
        self.pids, self.left, self.killed = pids, times, []

    def advance(self, name, *_):
        if name in {"labelled", "relabelled", "confident"} and self.left and self.pids():
            self.left -= 1
            pid = self.pids()[0]
            self.killed.append(pid)
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def pool(monkeypatch):
    """Return where the run's pool is, once it has one."""
    made = []
    init = pools.Pool.__init__

    def kept(self, *given):
        made.append(self)
        init(self, *given)

    monkeypatch.setattr(pools.Pool, "__init__", kept)
    return made


@pytest.mark.slow
def test_manifests_are_those_of_one_worker_though_workers_are_killed(alone, pool, tmp_path):
    recipe, wanted = alone
    display = KillsWorkers(lambda: pool[0].pids if pool else [], 3)
    store, _ = run(recipe, tmp_path / "store", display, workers=2)
    assert manifests(store.root) == wanted
    assert len(display.killed) == 3
    assert set(pool[0].ends) == {-signal.SIGKILL}
    assert Auditor(store.root).run().holds
    assert not list((store.root / "datasets").rglob(".part*")), "nothing is left of what was killed"
    for pid in display.killed:
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_workers_end_with_their_run(alone, pool, tmp_path):
    recipe, _ = alone
    run(recipe, tmp_path / "store", workers=2)
    assert pool[0].pids == []
    assert not Path(pool[0]._server.address).exists()


def test_workers_are_not_told_the_keys_of_services(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-abcdefgh")
    monkeypatch.setenv("OTHER", "kept")
    workers = pools.Pool(1, {"sk-abcdefgh"})
    try:
        (pid,) = workers.pids
        until = time.monotonic() + 60
        while time.monotonic() < until and not workers._server.connected:
            time.sleep(0.02)
        environ = Path(f"/proc/{pid}/environ").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_text()
    finally:
        workers.close()
    assert "OTHER=kept" in environ
    assert "sk-abcdefgh" not in environ
    assert workers._server.key.hex() not in environ + command


class Deadly(StageSpec):
    """Ends the process that does its second slice, or stumbles there."""

    kind: Literal["deadly"]
    input: str
    how: Literal["exit", "input", "plain", "undeclared"] = "exit"

    def uses(self):
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def run(self, records, ctx):
        for batch in records:
            if "deadly row" in batch.column("text").to_pylist():
                if self.how == "exit":
                    os._exit(7)
                if self.how == "input":
                    raise InputError("this row is no good")
                if self.how == "undeclared":
                    ctx.input("out")
                raise LookupError("a slip")
            yield pa.record_batch(
                {"text": batch.column("text"), FROM: pa.array(range(batch.num_rows), pa.int64())}
            )


PLUGIN = """
from typing import Literal
import os
import pyarrow as pa
from mashbill import FROM, Channel, StageSpec, Uses
from mashbill.core.errors import InputError
"""


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """Install the stage above as a plugin that worker processes find, too."""
    site = tmp_path / "site"
    info = site / "deadly-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "deadly_stage.py").write_text(PLUGIN + inspect.getsource(Deadly))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mashbill.stages]\ndeadly = deadly_stage:Deadly\n")
    (info / "RECORD").write_text("deadly_stage.py,,\ndeadly-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(site))
    registry._points.cache_clear()
    folder = tmp_path / "recipe"
    folder.mkdir()

    def recipe(how):
        rows = [f'{{"text": "row {n}"}}' for n in range(40)]
        rows[25] = '{"text": "deadly row"}'
        (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
        (folder / "r.toml").write_text(
            '[recipe]\nname = "deadly"\ntitle = "Deadly"\nversion = "1"\nresult = "out"\n\n'
            '[stages.rows]\nkind = "corpus"\nsource = "rows.jsonl"\ntitle = "Rows"\n'
            "shard_rows = 10\n\n"
            f'[stages.out]\nkind = "deadly"\ninput = "rows"\nshard_rows = 10\nhow = "{how}"\n'
        )
        return folder / "r.toml"

    yield recipe
    registry._points.cache_clear()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", r"rows 20 to 29 of rows ended each of the times.*exit status 7.*fewer --workers"),
        ("input", r"stages\.out: this row is no good \(rows counted from row 20 of rows\)"),
        ("plain", r"deadly 1\.0.*LookupError: a slip"),
        ("undeclared", r"stage 'out' asks for 'out', which its uses\(\) does not declare"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_told_as_anywhere(deadly, tmp_path, how, told):
    recipe = deadly(how)
    if how != "exit":
        with pytest.raises(MashbillError, match=told):
            run(recipe, tmp_path / "one")
    with pytest.raises(MashbillError, match=told):
        run(recipe, tmp_path / "two", workers=2)
    store = Store(tmp_path / "two")
    shards = [e for e in store.ledger.accepted if e.event == "shard"]
    made = [e.predicate["number"] for e in shards if e.predicate["artifact"] == "out@1"]
    assert made == [0, 1], "what came before it is committed"


# -- the order in which slices are done ----------------------------------------------------------


class Shuffled:
    """Does slices in an order of its own, none before it was submitted."""

    def __init__(self, make, ahead, seed):
        self.make, self.ahead = make, ahead
        self.draw = random.Random(seed)
        self.items = []
        self.done = 0

    def submit(self, item):
        self.items.append(item)
        assert len(self.items) <= self.ahead

    def wait(self):
        item = self.items.pop(self.draw.randrange(len(self.items)))
        self.done += 1
        return item.number, self.make(item)

    def cancel(self):
        self.items.clear()


class Shard:
    def __init__(self):
        self.discarded = False

    def discard(self):
        self.discarded = True


class Item:
    """A slice of a toy stage: each candidate makes a row, or none."""

    def __init__(self, number, good, place=None):
        self.number, self.good, self.place = number, good, place
        self.count = len(good)


class Context:
    def __init__(self):
        self.kept, self.measures, self.overall = 0, {}, {}


class Spec:
    def __init__(self, wanted):
        self.wanted = wanted


def gone_through(monkeypatch, slices, wanted, doing_of, goes_ahead=True):
    """Return what is committed, and how many candidates were asked in all."""
    monkeypatch.setattr(slicing, "replace", lambda item, place: Item(item.number, item.good, place))
    asked, committed, context = set(), [], Context()

    def make(item):
        kept = item.place.kept if item.place else 0
        own = 0
        rows = []
        for at, is_good in enumerate(item.good):
            if wanted is not None and kept + own >= wanted:
                break
            asked.add((item.number, at))
            rows.append((item.number, at, is_good))
            own += is_good
        made = MadeSlice(Shard(), own, {"asked": len(rows)}, {})
        made.shard.rows_made = rows
        return made

    def commit(item, made):
        committed.append(made.shard.rows_made)
        assert not made.shard.discarded
        return context.kept + made.rows

    run_slices(
        Spec(wanted),
        context,
        iter([Item(number, good) for number, good in enumerate(slices)]),
        doing_of(make),
        commit,
        goes_ahead=goes_ahead,
        interrupt=lambda: None,
    )
    return committed, context, asked


SLICES = st.lists(st.lists(st.booleans(), min_size=1, max_size=8), min_size=1, max_size=10)


@given(SLICES, st.none() | st.integers(1, 30), st.integers(1, 6), st.integers(0, 99))
def test_slices_done_in_any_order_are_committed_as_one_after_the_other(slices, wanted, ahead, seed):
    with pytest.MonkeyPatch.context() as patch:
        straight, one, needed = gone_through(
            patch, slices, wanted, lambda make: Shuffled(make, 1, 0), goes_ahead=False
        )
        shuffled, other, asked = gone_through(
            patch, slices, wanted, lambda make: Shuffled(make, ahead, seed)
        )
    assert shuffled == straight
    assert (other.kept, other.measures) == (one.kept, one.measures)
    assert needed <= asked
    if wanted is None:
        assert needed == asked


# -- errors that go from process to process ------------------------------------------------------

KINDS = [
    kind for kind in vars(all_errors).values()
    if isinstance(kind, type) and issubclass(kind, MashbillError)
]  # fmt: skip
MADE = {
    LosingError: lambda: LosingError("lost", wants_review=True),
    all_errors.PolicyError: lambda: all_errors.PolicyError("denied", "deny"),
    MissingExtraError: lambda: MissingExtraError("a thing", "hub"),
}


def test_every_error_of_ours_is_the_same_in_another_process():
    for kind in KINDS:
        error = MADE.get(kind, lambda kind=kind: kind("what is wrong"))()
        error.failed = {"stage": "why"}
        handed = fit_to_hand(error)
        assert handed is error
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(again) is kind
        assert str(again) == str(error)
        assert again.__dict__ == error.__dict__


def test_an_error_that_no_process_can_read_is_told_all_the_same():
    class Local(Exception):  # noqa: N818
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    assert "Local: a and b" in str(fit_to_hand(Local("a", "b")))


# -- services, which the run asks for its workers ------------------------------------------------

MANY = "".join(
    f'{{"text": "Row {n} is about the animal {n * n}, {word}."}}\n'
    for n, word in enumerate(["lovely", "awful", "kind", "dull"] * 24)
)
WRITING = """
[recipe]
name = "some"
version = "1"
seed = 5

[teachers.s]
kind = "fake-service"
words.yes = ["lovely", "kind"]
words.no = ["awful", "dull"]

[stages.texts]
kind = "corpus"
title = "texts"
source = "texts.jsonl"

[stages.out]
kind = "generate"
input = "texts"
teacher = "s"
shard_rows = 6
"""
STAGES = {
    "all": "",
    "some are wanted": "accept = 40\nmin_chars = 30",
    "judged": 'judge = "s"\nthreshold = 0.4',
    "judged, some wanted": 'judge = "s"\nthreshold = 0.4\naccept = 20',
}


@pytest.mark.few(1)
@pytest.mark.parametrize("keys", STAGES.values(), ids=list(STAGES))
def test_a_service_is_asked_by_the_run_and_what_comes_out_is_the_same(tmp_path, keys):
    (tmp_path / "texts.jsonl").write_text(MANY)
    recipe = tmp_path / "some.toml"
    recipe.write_text(WRITING + keys + "\n")
    found = {}
    for workers in (1, 2):
        root = tmp_path / f"store{workers}"
        store, done = run(recipe, root, workers=workers)
        found[workers] = manifests(root)
        out = store.find("out")
        assert sum(item.calls for item in done) >= out.rows > 0
        assert Auditor(root).run().holds
        entry = next(e for e in store.ledger.accepted if e.event == "conduct")
        assert entry.predicate["calls"] == sum(item.calls for item in done)
    assert found[1] == found[2]


@pytest.mark.slow
def test_a_run_whose_workers_and_itself_are_killed_goes_on_where_it_was(alone, tmp_path):
    """SIGKILL of the run ends its workers; the next run finishes with the same bytes."""
    recipe, wanted = alone
    root = tmp_path / "store"
    command = [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(recipe)]
    more = ["--store", str(root), "--threads", "1", "--workers", "2"]
    process = subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    ledger = root / "ledger.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and '"shard"' not in _text(ledger):
        time.sleep(0.02)
    while time.monotonic() < until and not children.read_text().split():
        time.sleep(0.02)
    workers = children.read_text().split()
    process.kill()
    process.wait()
    assert workers
    while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() for pid in workers):
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    run(recipe, root, workers=2)
    assert manifests(root) == wanted
    assert Auditor(root).run().holds


def _text(path):
    if not path.exists():
        return ""
    lines = path.read_text().splitlines()
    whole = [line for line in lines if line.endswith("}")]
    return "".join(base64.b64decode(json.loads(line)["payload"]).decode() for line in whole)
