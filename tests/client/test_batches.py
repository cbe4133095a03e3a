"""Batches through the client, against toys of the three providers' endpoints on loopback."""

import json
import sqlite3
import threading
import time

import pytest
from client.test_http import SERVER, recipe, run
from tests_service import AnthropicBatches, GeminiBatches, OpenAIBatches, Service, chat
from tests_support import killed, rows_of

from mashbill import InputError, Signer, Store, TeacherError
from mashbill.calls.journal import Journal
from mashbill.client import batch_calls, batch_lane, gathering, retries
from mashbill.conduct import statement
from mashbill.lineage.evidence.audit import Auditor

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

OTHER = 'kind = "server"\nwire = "{}"\nmodel = "m-1"\nbase_url = "{{url}}"\n'
BATCH = 'batch = true\npoll = 0.1\nlicense = "MIT"\n'
# toy, teacher, a failure that passes, one that stays, one that ends the run
PROVIDERS = {
    "openai": (OpenAIBatches, SERVER, 500, 400, 404),
    "anthropic": (
        AnthropicBatches,
        OTHER.format("anthropic"),
        "overloaded_error",
        "invalid_request_error",
        "not_found_error",
    ),
    "gemini": (GeminiBatches, OTHER.format("gemini"), 13, 3, 5),
}
EVERY = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(gathering, "_GATHER", 0.05)
    monkeypatch.setattr(batch_calls, "_UNSURE", 0.05)
    monkeypatch.setattr(batch_calls, "_backoff", lambda _: 0.05)
    monkeypatch.setattr(retries, "_BACKOFF", 0.02)


def texts(store):
    return [row["text"] for row in rows_of(store, "out")]


def said_of(numbers):
    return [f"said of prompt number {number}" for number in numbers]


def events(store, kind):
    journal = Journal.of(store)
    return [
        json.loads(event.detail)
        for run in journal.runs()
        for event in journal.events(run.run)
        if event.kind == kind
    ]


def states(root):
    """Return how the journal has the batches, by the time of the last change."""
    with sqlite3.connect(root / "calls.sqlite") as db:
        return [state for (state,) in db.execute("SELECT state FROM batches ORDER BY at")]


class Swallowed:
    """A handler whose reply reaches nobody."""

    def reply(self, *_, **__):
        pass


@pytest.mark.few(1)
@EVERY
def test_what_fails_goes_alone_and_what_is_refused_is_recorded(tmp_path, provider):
    toy, teacher, passing, staying, _ = PROVIDERS[provider]

    def fail(prompt, attempt):
        if prompt.endswith("3") and attempt == 0:
            return passing
        return staying if prompt.endswith("2") else None

    batches = toy(polls=1, fail=fail)
    with Service(batches) as service:
        path = recipe(tmp_path / "r", teacher.format(url=service.url) + BATCH, rows=8)
        store, done = run(path, tmp_path / "s")
    assert texts(store) == said_of(n for n in range(8) if n != 2)
    (rejected,) = rows_of(store, "out", "rejected")
    assert "the service refused it: status 400" in rejected["_reason"]
    assert [len(calls) for calls in batches.submitted] == [8, 1]
    assert done.calls == 8
    assert states(store.root) == ["done", "done"]
    assert Auditor(store.root).run().holds


@EVERY
def test_what_fails_in_three_batches_is_given_up(tmp_path, provider):
    toy, teacher, passing, *_ = PROVIDERS[provider]
    batches = toy(polls=0, fail=lambda *_: passing)
    with Service(batches) as service:
        path = recipe(tmp_path / "r", teacher.format(url=service.url) + BATCH, rows=12)
        with pytest.raises(InputError, match=r"12 of 12 were rejected with: 3 attempts failed"):
            run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [12, 12, 12]
    store = Store(tmp_path / "s", Signer.default())
    assert len(events(store, "server")) == 36
    assert events(store, "breaker-open") == []
    assert states(store.root) == ["done"] * 3


@EVERY
def test_a_batch_that_no_request_survives_stops_the_run(tmp_path, provider):
    toy, teacher, *_, ending = PROVIDERS[provider]
    batches = toy(polls=0, fail=lambda prompt, _: None if prompt.endswith("1") else ending)
    with Service(batches) as service:
        path = recipe(tmp_path / "r", teacher.format(url=service.url) + BATCH, rows=8)
        with pytest.raises(TeacherError, match=r"127\.0\.0\.1:\d+: .*404"):
            run(path, tmp_path / "s")
        assert [len(calls) for calls in batches.submitted] == [8]
        # What was answered is paid for, and the batch is not read again.
        assert states(tmp_path / "s") == ["done"]
        batches.fail = lambda *_: None
        store, _ = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [8, 7]
    assert texts(store) == said_of(range(8))


def test_refusals_that_stand_before_answers_do_not_stop_the_run(tmp_path):
    batches = AnthropicBatches(
        polls=0, fail=lambda prompt, _: None if prompt.endswith("r 0") else "invalid_request_error"
    )
    with Service(batches) as service:
        teacher = OTHER.format("anthropic").format(url=service.url) + BATCH
        store, _ = run(recipe(tmp_path / "r", teacher, rows=30), tmp_path / "s")
    assert texts(store) == said_of([0])
    assert len(rows_of(store, "out", "rejected")) == 29


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
def test_a_batch_whose_submission_was_cut_off_is_found(tmp_path, provider):
    toy, teacher, *_ = PROVIDERS[provider]
    made, go_on = threading.Event(), threading.Event()
    batches = toy(polls=1)

    def after(path):
        made.set()
        go_on.wait(60)  # the reply never reaches who asked

    batches.after = after
    with Service(batches) as service:
        path = recipe(tmp_path / "r", teacher.format(url=service.url) + BATCH, rows=8)
        killed(path, tmp_path / "s", made.is_set)
        go_on.set()
        store, done = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [8]
    assert done.calls == 8
    assert texts(store) == said_of(range(8))
    assert "found" in [told["state"] for told in events(store, "batch")]


FAULTS = {
    "closed": lambda handler: handler.hang_up(),
    "cut": lambda handler: handler.cut(b'{"id": "b', 5000),
    "half": lambda handler: handler.reply(200, b'{"id": "ba'),
    "502": lambda handler: handler.reply(502, b"<html>bad gateway</html>", "text/html"),
}


@pytest.mark.few(4)
@pytest.mark.parametrize("fault", FAULTS)
@EVERY
def test_a_batch_is_not_made_twice_where_its_reply_did_not_come(tmp_path, provider, fault):
    toy, teacher, *_ = PROVIDERS[provider]
    batches = toy(polls=0)

    def answer(handler, path, data):
        if data and path == toy.makes:
            batches(Swallowed(), path, data)
            FAULTS[fault](handler)
        else:
            batches(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", teacher.format(url=service.url) + BATCH, rows=8)
        store, _ = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [8]
    assert texts(store) == said_of(range(8))
    assert [told["state"] for told in events(store, "batch")] == ["found"]


def failing_first(batches, makes, replies, listed=True):
    """Return an answer that meets the first submissions with these, which make no batch."""
    left = list(replies)

    def answer(handler, path, data):
        if "?" in path and not listed:
            handler.reply(404, {"error": {"message": "no such path"}})
        elif data and path == makes and left:
            status, headers = left.pop(0)
            handler.reply(status, {"error": {"message": "not now"}}, **headers)
        else:
            batches(handler, path, data)

    return answer


def paths(service):
    return [path for path, _, _ in service.asked]


@EVERY
def test_a_submission_that_failed_and_made_nothing_is_made_again(tmp_path, provider):
    toy, teacher, *_ = PROVIDERS[provider]
    batches = toy(polls=0)
    with Service(failing_first(batches, toy.makes, [(503, {}), (500, {})])) as service:
        path = recipe(tmp_path / "r", teacher.format(url=service.url) + BATCH, rows=8)
        store, _ = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [8]
    assert [told["state"] for told in events(store, "batch")] == ["not made"] * 2 + ["running"]
    assert sum("?" in path for path in paths(service)) == 2
    (run_facts,) = Journal.of(store).runs()
    assert {item.attempts for item in Journal.of(store).rows_of(run_facts.run)} == {3}


def test_a_batch_that_was_read_is_not_found_for_the_same_requests_again(tmp_path):
    batches = OpenAIBatches(polls=0, fail=lambda _, attempt: 500 if attempt == 0 else None)
    made = []

    def answer(handler, path, data):
        if data and path == batches.makes:
            made.append(path)
            if len(made) == 2:
                handler.hang_up()
                return
        batches(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=1)
        store, _ = run(path, tmp_path / "s")
    assert len(made) == 3
    told = [told["state"] for told in events(store, "batch")]
    assert told == ["running", "not made", "running"]
    assert texts(store) == said_of([0])


def test_where_nothing_is_listed_a_submission_is_not_made_again_and_again(tmp_path):
    batches = OpenAIBatches(polls=0)
    answer = failing_first(batches, batches.makes, [(500, {})] * 9, listed=False)
    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=8)
        with pytest.raises(TeacherError, match="status 500"):
            run(path, tmp_path / "s")
    assert paths(service).count(batches.makes) == 2
    assert states(tmp_path / "s") == ["submitting"]


def test_a_submission_that_is_rejected_is_an_error_at_once(tmp_path):
    batches = OpenAIBatches(polls=0)
    with Service(failing_first(batches, batches.makes, [(400, {})] * 9)) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=8)
        with pytest.raises(TeacherError, match=r"status 400.*not now"):
            run(path, tmp_path / "s")
    assert paths(service) == ["/v1/files", batches.makes]
    assert states(tmp_path / "s") == ["done"]


def test_a_limit_of_a_submission_is_obeyed_and_nothing_is_looked_for(tmp_path):
    batches = OpenAIBatches(polls=0)
    fails = failing_first(batches, batches.makes, [(429, {"Retry_After": "0.5"})])
    times = []

    def answer(handler, path, data):
        times.append(time.monotonic())
        fails(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=8)
        store, _ = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [8]
    assert paths(service)[:3] == ["/v1/files", batches.makes, batches.makes]
    assert not any("?" in path for path in paths(service))
    assert times[2] - times[1] >= 0.5
    (told,) = events(store, "rate-limited")
    assert (told["retry_after"], told["held"], told["model"]) == (0.5, 0.5, "m-1")
    assert "not now" in told["reason"]
    assert told["seconds"] >= 0
    _breached_nothing(store)


def _breached_nothing(store):
    journal = Journal.of(store)
    for facts in journal.runs():
        calls = [statement.call_record(row) for row in journal.rows_of(facts.run)]
        found = statement.summed(calls, statement.event_records(journal.events(facts.run)))
        assert found["breaches"] == []
        assert found["held_seconds"] > 0


def test_a_limit_of_a_poll_holds_the_next_submission_back(tmp_path):
    batches = OpenAIBatches(
        polls=0, fail=lambda prompt, attempt: 500 if attempt == 0 and prompt.endswith("1") else None
    )
    limited = {"left": 1}

    def answer(handler, path, data):
        if path.endswith("/content") and path.startswith("/v1/files/err") and limited["left"]:
            limited["left"] = 0
            handler.reply(503, {"error": {"message": "busy"}}, Retry_After="0.6")
        else:
            batches(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=8)
        store, _ = run(path, tmp_path / "s")
    (told,) = events(store, "rate-limited")
    assert (told["retry_after"], told["held"]) == (0.6, 0.6)
    _breached_nothing(store)


def test_a_service_that_asks_to_wait_for_hours_ends_the_run(tmp_path):
    batches = OpenAIBatches(polls=0)
    answer = failing_first(batches, batches.makes, [(429, {"Retry_After": "7200"})])
    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=4)
        with pytest.raises(TeacherError, match="asks to wait 7200 s"):
            run(path, tmp_path / "s")


@pytest.mark.parametrize("place", ["/v1/batches/batch_0", "/v1/files/out-batch_0/content"])
def test_a_call_that_hangs_is_made_again(tmp_path, place):
    batches, end = OpenAIBatches(polls=0), threading.Event()
    hung = []

    def answer(handler, path, data):
        if path == place and not hung:
            hung.append(path)
            end.wait(40)
            handler.hang_up()
        else:
            batches(handler, path, data)

    with Service(answer) as service:
        teacher = SERVER.format(url=service.url) + BATCH + "timeout = 0.5\n"
        began = time.monotonic()
        store, _ = run(recipe(tmp_path / "r", teacher), tmp_path / "s")
        assert time.monotonic() - began < 20
        end.set()
    assert hung
    assert texts(store) == said_of(range(4))


@pytest.mark.slow
def test_what_an_earlier_run_submitted_has_its_time_and_attempt(tmp_path):
    batches = OpenAIBatches(polls=10**9)
    with Service(batches) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=8)
        began = time.monotonic()
        killed(
            path,
            tmp_path / "s",
            lambda: batches.batches and batches.batches["batch_0"]["polls"] > 1,
        )
        time.sleep(1)
        batches.polls = 0
        store, _ = run(path, tmp_path / "s")
        passed = time.monotonic() - began
    journal = Journal.of(store)
    bought = [item for facts in journal.runs() for item in journal.rows_of(facts.run)]
    assert len(bought) == 8
    assert {item.attempts for item in bought} == {1}
    assert all(1 < item.seconds < passed for item in bought)


@pytest.mark.slow
def test_what_nobody_asked_for_yet_is_not_bought_again(tmp_path):
    batches = OpenAIBatches(polls=10**9)
    with Service(batches) as service:
        teacher = SERVER.format(url=service.url) + BATCH
        path = recipe(tmp_path / "r", teacher, rows=8)
        killed(
            path,
            tmp_path / "s",
            lambda: batches.batches and batches.batches["batch_0"]["polls"] > 1,
        )
        batches.polls = 0
        less = recipe(tmp_path / "less", teacher, rows=3)
        less.write_text(less.read_text().replace('"1"', '"2"'))
        store, _ = run(less, tmp_path / "s")
        assert texts(store) == said_of(range(3))
        assert states(store.root) == ["running"]
        _, done = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [8]
    assert done.calls == 5
    assert states(store.root) == ["done"]


def test_each_request_keeps_its_key_in_the_batches_that_follow(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_ONE", "one")
    monkeypatch.setenv("KEY_TWO", "two")
    batches = OpenAIBatches(polls=0, fail=lambda _, attempt: 500 if attempt < 2 else None)
    keys = {}

    def answer(handler, path, data):
        if path == "/v1/files":
            for number in range(16):
                if b'prompt number %d"' % number in data:
                    keys.setdefault(number, []).append(handler.headers["Authorization"])
        batches(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=16)
        path.with_name("accounts.toml").write_text(
            '[accounts.a]\nservice = "server"\nkeys_env = ["KEY_ONE", "KEY_TWO"]\n'
            f'organisation = "Example Ltd"\nbase_url = "{service.url}/v1"\n'
        )
        store, _ = run(path, tmp_path / "s")
    assert len(rows_of(store, "out")) == 16
    assert all(len(used) == 3 and len(set(used)) == 1 for used in keys.values())
    assert {used[0] for used in keys.values()} == {"Bearer one", "Bearer two"}


def test_batches_that_are_not_taken_on_while_others_run_wait_for_these(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_lane, "_MOST", 4)
    batches = OpenAIBatches(polls=3)
    lock = threading.Lock()

    def answer(handler, path, data):
        own = path.rpartition("/")[2]
        if data and path == batches.makes:
            with lock:
                runs = [b for b in batches.batches.values() if "fell" not in b]
                batches(handler, path, data)
                if any(batch["polls"] <= batches.polls for batch in runs):
                    batches.batches[f"batch_{len(batches.batches) - 1}"]["fell"] = True
        elif own in batches.batches and batches.batches[own].get("fell"):
            said = {"data": [{"message": "Enqueued token limit reached"}]}
            handler.reply(200, {"id": own, "status": "failed", "errors": said})
        else:
            batches(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=8)
        store, _ = run(path, tmp_path / "s")
    assert [len(calls) for calls in batches.submitted] == [4, 4, 4]
    assert texts(store) == said_of(range(8))
    (told,) = [told for told in events(store, "batch") if told["state"] == "failed"]
    assert told["reason"] == "Enqueued token limit reached"


def test_batches_that_are_never_taken_on_stop_the_run_and_reject_nothing(tmp_path):
    batches = OpenAIBatches(polls=0)

    def answer(handler, path, data):
        if path.startswith("/v1/batches/"):
            said = {"data": [{"message": "billing"}]}
            own = path.rpartition("/")[2]
            handler.reply(200, {"id": own, "status": "failed", "errors": said})
        else:
            batches(handler, path, data)

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + BATCH, rows=4)
        with pytest.raises(TeacherError, match="3 batches in a row failed: billing"):
            run(path, tmp_path / "s")
    assert len(batches.submitted) == 3
    assert states(tmp_path / "s") == ["done"] * 3


def test_a_batch_costs_half(tmp_path):
    batches = OpenAIBatches(polls=0)

    def single(handler, path, data):
        handler.reply(200, chat(f"said of {json.loads(data)['messages'][-1]['content']}"))

    teacher = 'kind = "api"\nprovider = "openai"\nmodel = "gpt-4o-mini"\nbase_url = "{url}/v1"\n'
    spent = {}
    for name, answer, more in (("single", single, ""), ("batch", batches, "batch = true\n")):
        with Service(answer) as service:
            path = recipe(tmp_path / name, teacher.format(url=service.url) + more)
            store, _ = run(path, tmp_path / f"s-{name}")
        journal = Journal.of(store)
        (facts,) = journal.runs()
        bought = list(journal.rows_of(facts.run))
        assert len(bought) == 4
        spent[name] = [item.price for item in bought]
        assert journal.spent([facts.run])[2] == pytest.approx(sum(spent[name]))
    # 5 tokens read at $0.15 and 7 written at $0.60 a million
    assert spent["single"] == pytest.approx([(5 * 0.15 + 7 * 0.6) / 1e6] * 4)
    assert spent["batch"] == pytest.approx([price / 2 for price in spent["single"]])
