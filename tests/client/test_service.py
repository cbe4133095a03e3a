"""The client against a service with faults and limits, through the real runner."""

import sqlite3
import time
from collections import Counter

import pytest
from tests_support import execute, rows_of
from typer.testing import CliRunner

from mashbill import Signer, Store, TeacherError, load_recipe
from mashbill.calls import upkeep as keeping
from mashbill.calls.journal import Journal
from mashbill.cli import app
from mashbill.client.budget import Caps
from mashbill.core.errors import BudgetError
from mashbill.lineage.evidence.audit import Auditor
from mashbill.plan import build
from mashbill.run.executor import Execution
from mashbill.teachers import fake_service

RECIPE = """
[recipe]
name = "service"
version = "1"
[teachers.t]
kind = "fake-service"
words = {{ good = ["sun", "warm"], bad = ["rain"] }}
{teacher}
[stages.prompts]
kind = "corpus"
title = "prompts"
origin = "own-dataset"
source = "prompts.jsonl"
[stages.out]
kind = "generate"
input = "prompts"
teacher = "t"
shard_rows = {shard}
{stage}
"""
PROMPTS = [f"Say something about the number {i} and the sun" for i in range(200)]


@pytest.fixture
def service(monkeypatch):
    """Every service that a run makes, in order."""
    made = []

    def transport(spec):
        made.append(fake_service.FakeService(spec))
        return made[-1]

    monkeypatch.setattr(fake_service.FakeServiceSpec, "transport", transport)
    return made


def recipe(folder, teacher="", stage="", shard=64, prompts=PROMPTS):
    folder.mkdir(exist_ok=True)
    lines = [f'{{"text": "{text}"}}' for text in prompts]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(teacher=teacher, stage=stage, shard=shard))
    return path


def run(path, root, allow=(), **how):
    store = Store(root, Signer.default())
    plan = build(load_recipe(path, allow), store)
    done = execute(plan, store, Execution(root.parent / "cache", 1, **how))
    return store, done[-1]


def sent(services):
    return sum((s.sent for s in services), Counter())


def test_every_fault_is_weathered_and_no_row_is_lost_or_misaligned(tmp_path, service):
    teacher = "limited = 0.05\nretry_after = 0.05\nerrors = 0.05\ncuts = 0.05\ngarbage = 0.05\n"
    path = recipe(tmp_path / "r", teacher + "hangs = 0.02\ntimeout = 0.8")
    store, done = run(path, tmp_path / "s")
    rows = rows_of(store, "out")
    assert [row["prompt"] for row in rows] == PROMPTS
    assert done.calls == len(PROMPTS)
    assert all(row["text"] for row in rows)
    assert service[0].breaches == []
    assert set(service[0].served.values()) == {1}, "none was bought twice"
    journal = Journal.of(store)
    kinds = Counter(event.kind for event in journal.events(journal.runs()[0].run))
    assert {"rate-limited", "server", "cut", "invalid", "timeout"} <= set(kinds)
    plain, _ = run(recipe(tmp_path / "p"), tmp_path / "plain")
    assert [row["text"] for row in rows_of(plain, "out")] == [row["text"] for row in rows]
    assert Auditor(store.root).run().holds


def test_a_rerun_buys_nothing_and_one_percent_more_rows_buy_one_percent(tmp_path, service):
    run(recipe(tmp_path / "r"), tmp_path / "s")
    assert run(recipe(tmp_path / "r"), tmp_path / "s")[1].was_cached
    path = recipe(tmp_path / "r", prompts=[*PROMPTS, "A new one", "Another"])
    path.write_text(path.read_text().replace('version = "1"', 'version = "2"'))
    _, done = run(path, tmp_path / "s")
    assert done.calls == 2
    assert sum(sent(service).values()) == 202


def test_the_same_prompt_twice_is_bought_once_even_at_the_same_time(tmp_path, service):
    path = recipe(tmp_path / "r", "latency = 0.05", shard=8, prompts=PROMPTS[:4] * 20)
    store, done = run(path, tmp_path / "s")
    # The corpus rejects what is there twice: the prompts come again by their samples' absence.
    assert done.calls == 4
    assert len(rows_of(store, "out")) == 4
    assert set(sent(service).values()) == {1}


def test_a_limit_that_headers_tell_of_is_kept(tmp_path, service):
    path = recipe(tmp_path / "r", "requests_per_minute = 3000\nconcurrency = 32")
    began = time.monotonic()
    store, _ = run(path, tmp_path / "s")
    journal = Journal.of(store)
    run_id = journal.runs()[0].run
    limited = [e for e in journal.events(run_id) if e.kind == "rate-limited"]
    assert len(limited) <= 2
    assert time.monotonic() - began > 2.5  # 200 at 50 a second, less the first second's worth
    assert service[0].breaches == []
    assert any(
        e.kind == "limits" and '"requests": 3000' in e.detail for e in journal.events(run_id)
    )


def test_a_service_that_is_down_stops_the_run_and_loses_nothing(tmp_path, monkeypatch, service):
    async def down(self, *_):
        return self._response(503, {"error": {"message": "down"}})

    path = recipe(tmp_path / "r", "patience = 0.5")
    with monkeypatch.context() as patch:
        patch.setattr(fake_service.FakeService, "send", down)
        with pytest.raises(TeacherError, match=r"has not answered for 0 s|has not answered"):
            run(path, tmp_path / "s")
    store, done = run(path, tmp_path / "s")
    assert done.calls == len(PROMPTS)
    assert len(rows_of(store, "out")) == len(PROMPTS)


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "bad key"), (404, "no such model"), (302, ""), (429, "insufficient_quota")],
)
def test_what_no_request_could_mend_stops_at_the_first(
    tmp_path, monkeypatch, service, status, message
):
    sends = []

    async def refuse(self, *_):
        sends.append(1)
        return self._response(status, {"error": {"message": message, "code": message}})

    monkeypatch.setattr(fake_service.FakeService, "send", refuse)
    with pytest.raises(TeacherError, match=f"{status}"):
        run(recipe(tmp_path / "r"), tmp_path / "s")
    assert len(sends) == 1


def test_requests_that_are_refused_for_good_are_rejected_rows(tmp_path, monkeypatch, service):
    answer = fake_service.FakeService.send

    async def picky(self, method, url, headers, body):
        if b"number 7 " in body:
            return self._response(400, {"error": {"message": "not about seven"}})
        return await answer(self, method, url, headers, body)

    monkeypatch.setattr(fake_service.FakeService, "send", picky)
    store, _ = run(recipe(tmp_path / "r"), tmp_path / "s")
    (rejected,) = rows_of(store, "out", "rejected")
    assert "not about seven" in rejected["_reason"]
    assert len(rows_of(store, "out")) == len(PROMPTS) - 1
    assert Auditor(store.root).run().holds


def test_a_teacher_whose_every_request_is_refused_stops_the_run(tmp_path, monkeypatch, service):
    async def refuse(self, *_):
        return self._response(400, {"error": {"message": "unknown parameter"}})

    monkeypatch.setattr(fake_service.FakeService, "send", refuse)
    with pytest.raises(TeacherError, match="refused all of the first 20"):
        run(recipe(tmp_path / "r"), tmp_path / "s")


@pytest.mark.parametrize("cap", [{"calls": 50}, {"tokens": 2_000}])
def test_a_cap_is_never_gone_over_and_a_higher_one_goes_on(tmp_path, service, cap):
    path = recipe(tmp_path / "r", "max_tokens = 64")
    with pytest.raises(BudgetError, match="raise the cap"):
        run(path, tmp_path / "s", caps=Caps(**cap))
    store = Store(tmp_path / "s")
    calls, tokens, _ = Journal.of(store).totals()
    assert 0 < calls < len(PROMPTS)
    assert calls <= cap.get("calls", calls)
    assert tokens <= cap.get("tokens", tokens)
    with pytest.raises(BudgetError):  # what earlier runs spent counts
        run(path, tmp_path / "s", caps=Caps(calls=calls))
    assert Journal.of(store).totals()[0] == calls
    run(path, tmp_path / "s", caps=Caps(calls=len(PROMPTS)))
    assert Journal.of(store).totals()[0] == len(PROMPTS)
    assert set(sent(service).values()) == {1}


def test_a_journal_that_cannot_be_written_stops_the_run_with_the_reason(
    tmp_path, service, monkeypatch
):
    monkeypatch.setattr("mashbill.calls.database.check_own", lambda *_: None)  # of the trigger
    path = recipe(tmp_path / "r")
    store = Store(tmp_path / "s", Signer.default())
    plan = build(load_recipe(path), store)
    Journal(store.root / "calls.sqlite", writable=True).close()
    db = sqlite3.connect(store.root / "calls.sqlite")
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON bought WHEN (SELECT count(*) FROM bought) >= 60 "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    db.close()
    with pytest.raises(Exception, match=r"disk is full.*[Mm]ake room"):
        execute(plan, store, Execution(tmp_path / "cache", 1))
    db = sqlite3.connect(store.root / "calls.sqlite")
    db.execute("DROP TRIGGER full")
    db.close()
    store, _ = run(path, tmp_path / "s")
    assert len(rows_of(store, "out")) == len(PROMPTS)


def test_exactly_so_many_are_accepted_and_the_candidates_kept(tmp_path, service):
    path = recipe(tmp_path / "r", stage='accept = 60\nsamples = 2\nmatch = "sun|warm"')
    store, done = run(path, tmp_path / "s")
    kept, rejected = rows_of(store, "out"), rows_of(store, "out", "rejected")
    assert len(kept) == 60
    assert all("sun" in row["text"] or "warm" in row["text"] for row in kept)
    assert done.calls == len(kept) + len(rejected) < 400
    again, _ = run(path, tmp_path / "s2")
    assert [r["_id"] for r in rows_of(again, "out")] == [r["_id"] for r in kept]


def test_another_version_of_the_terms_is_another_purchase(tmp_path, monkeypatch, service):
    path = recipe(tmp_path / "r")
    monkeypatch.setattr("mashbill.run.services.terms_in_force", lambda *_: "example@2026-01-01")
    run(path, tmp_path / "s")
    monkeypatch.setattr("mashbill.run.services.terms_in_force", lambda *_: "example@2026-06-01")
    path.write_text(path.read_text().replace('version = "1"', 'version = "2"'))
    store, done = run(path, tmp_path / "s", earlier_terms=True)
    assert done.calls == 0
    path.write_text(path.read_text().replace('version = "2"', 'version = "3"'))
    store, done = run(path, tmp_path / "s")
    assert done.calls == len(PROMPTS)
    assert Journal.of(store).terms() == ["example@2026-06-01", "example@2026-01-01"]
    assert Auditor(store.root).run().holds


@pytest.mark.parametrize("file", ["calls.sqlite", "calls.jsonl"])
def test_replay_answers_from_a_journal_or_an_export_and_asks_nobody(tmp_path, service, file):
    path = recipe(tmp_path / "r")
    store, _ = run(path, tmp_path / "s")
    text = path.read_text()
    keeping.export(tmp_path / "s" / "calls.sqlite", tmp_path / "s" / "calls.jsonl")
    table = f'kind = "replay"\njournal = "../s/{file}"\n[teachers.t.teacher]\n'
    text = text.replace("[teachers.t]\n", "[teachers.t]\n" + table)
    path.write_text(text)
    allow = [tmp_path / "s" / file]
    replayed, _ = run(path, tmp_path / "s2", allow)
    assert len(service) == 1
    assert [r["text"] for r in rows_of(replayed, "out")] == [
        r["text"] for r in rows_of(store, "out")
    ]
    assert Auditor(replayed.root).run().holds
    prompts = [*PROMPTS, "Never asked"]
    recipe(tmp_path / "r", prompts=prompts)
    path.write_text(text)
    with pytest.raises(TeacherError, match="does not hold"):
        run(path, tmp_path / "s3", allow)
    path.write_text(text.replace('journal = "', 'missing = "reject"\njournal = "'))
    rejecting, _ = run(path, tmp_path / "s4", allow)
    (rejected,) = rows_of(rejecting, "out", "rejected")
    assert "holds no answer" in rejected["_reason"]


def test_when_each_call_was_made_and_how_is_told_without_its_texts(tmp_path, service):
    path = recipe(tmp_path / "r", prompts=PROMPTS[:20])
    store, _ = run(path, tmp_path / "s")
    assert len(service) == 1
    journal = Journal.of(store)
    calls = [item.call for item in journal.all_bought()]
    assert len(calls) == 20
    told = sorted(journal.when([*calls, "00" * 32]))
    rows = journal.rows(calls)
    assert told == sorted((row.teacher, row.route, row.terms, row.at) for row in rows)
    done = CliRunner().invoke(
        app, ["brief", "out", "--store", str(tmp_path / "s"), "--to", str(tmp_path / "b")]
    )
    assert done.exit_code == 0, done.output
    text = (tmp_path / "b" / "out@1.brief.md").read_text()
    [row] = [line for line in text.splitlines() if "account" in line and " | 20 | " in line]
    assert told[0][3][:10] in row
