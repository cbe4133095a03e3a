"""No wait is silent, longer than is documented, or deaf to Ctrl-C; no later run is poisoned."""

import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer

import pytest
from client.test_http import SERVER, recipe, run
from tests_service import Handler, Service, chat
from tests_support import rows_of

from mashbill import TeacherError
from mashbill.calls.journal import Journal
from mashbill.run.display import Quiet

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])

MAIN = [sys.executable, "-c", "from mashbill.cli import main; main()"]


class Heard(Quiet):
    """A display that keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


def well(handler, *_):
    handler.reply(200, chat("well"))


def always(status, **headers):
    body = {"error": {"message": "slow down"}}
    return lambda handler, *_: handler.reply(status, body, **headers)


@pytest.mark.parametrize(("status", "said"), [(429, "1e400"), (503, str(10**20))])
def test_an_absurd_wait_ends_the_run_at_once_and_holds_no_later_one(tmp_path, said, status):
    path = None
    with Service(always(status, **{"Retry-After": said})) as service:
        teacher = SERVER.format(url=service.url) + 'license = "MIT"\n'
        path = recipe(tmp_path / "r", teacher, rows=1)
        with pytest.raises(TeacherError, match=r"127.0.0.1:\d+, model m-1: Retry-After: .*not bel"):
            run(path, tmp_path / "s")
        service.answer = well
        began = time.monotonic()
        store, _ = run(path, tmp_path / "s")
    assert time.monotonic() - began < 30
    assert len(rows_of(store, "out")) == 1


@pytest.mark.parametrize("said", ["-1e400", "nan"])
def test_what_is_no_wait_is_none(tmp_path, said):
    sent = []

    def answer(handler, path, data):
        sent.append(1)
        (
            always(503, **{"Retry-After": said.encode("latin-1", "replace").decode("latin-1")})
            if len(sent) == 1
            else well
        )(handler)

    with Service(answer) as service:
        store, _ = run(
            recipe(tmp_path / "r", SERVER.format(url=service.url), rows=1), tmp_path / "s"
        )
    assert len(sent) == 2
    assert len(rows_of(store, "out")) == 1


ODD_DETAILS = [
    *(f'{{"held": {held}, "model": "m-1"}}' for held in
      ["1e400", "1e20", "-5", '"x"', "null", "[1]", "NaN", "true", "1e5", "{}", "9" * 4000]),
    "{}", "[]", "no JSON", "", "[" * 5000, '{"held": ' + "9" * 5000 + "}",
]  # fmt: skip


def test_what_an_older_run_left_in_the_journal_holds_nobody_for_ever(tmp_path):
    with Service(well) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + 'license = "MIT"\n', rows=1)
        store, _ = run(path, tmp_path / "s")
        journal, now = Journal.of(store), datetime.now(UTC)
        with sqlite3.connect(tmp_path / "s" / "calls.sqlite") as db:
            db.execute("DELETE FROM bought")
            (name,) = db.execute("SELECT run FROM runs").fetchone()
            for detail in ODD_DETAILS:
                for at in (now.isoformat(), "9999-12-31T00:00:00", "yesterday", ""):
                    db.execute(
                        "INSERT INTO events (run, at, kind, account, call, detail) "
                        "VALUES (?, ?, 'rate-limited', 'server', '', ?)",
                        (name, at, detail),
                    )
            db.execute(
                "INSERT INTO events (run, at, kind, account, call, detail) VALUES "
                "(?, '9999-12-31T00:00:00', 'rate-limited', 'server', '', '{\"held\": 800}')",
                (name,),
            )
            db.commit()
            assert journal.held("server", "m-1", now) == 0
            journal.close()
            db.execute("DELETE FROM events WHERE json_valid(detail) = 0 OR at NOT LIKE '2%'")
        other = recipe(tmp_path / "o", SERVER.format(url=service.url) + 'license = "MIT"\n', rows=1)
        # Another artifact of the same journal: it asks the same host and model.
        other.write_text(other.read_text().replace('version = "1"', 'version = "2"'))
        began = time.monotonic()
        run(other, tmp_path / "s")
    assert time.monotonic() - began < 60


LIMIT, LEFT, RESET = (f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset"))


@pytest.mark.parametrize(
    ("reset", "outcome"), [("1e400", "reset-requests: 1e400 is out of all bounds"), ("2h", "")]
)
def test_an_empty_window_that_is_absurd_is_told_and_a_long_one_ends_the_run(
    tmp_path, reset, outcome
):
    heard, headers = Heard(), {LIMIT: "6000", LEFT: "0", RESET: reset}
    with Service(lambda h, *_: h.reply(200, chat("well"), **headers)) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url), rows=2)
        if outcome:
            store, _ = run(path, tmp_path / "s", display=heard)
            assert len(rows_of(store, "out")) == 2
            assert outcome in " ".join(heard.lines)
        else:
            with pytest.raises(TeacherError, match=f"m-1: {RESET}: 2h holds every request back"):
                run(path, tmp_path / "s", display=heard)


def test_a_wait_is_told_with_its_header_and_its_end(tmp_path):
    heard, sent = Heard(), []

    def answer(handler, path, data):
        sent.append(1)
        (always(429, **{"Retry-After": "3.5"}) if len(sent) == 1 else well)(handler)

    with Service(answer) as service:
        run(
            recipe(tmp_path / "r", SERVER.format(url=service.url), rows=2),
            tmp_path / "s",
            display=heard,
        )
    (line,) = [line for line in heard.lines if "waits" in line]
    assert re.search(
        r"127.0.0.1:\d+, model m-1: waits \d s, until \d\d:\d\d:\d\d UTC: Retry-After: 3.5", line
    )
    assert "Ctrl-C" in line


def test_what_a_service_says_reaches_the_display_as_text(tmp_path):
    heard, sent = Heard(), []

    def answer(handler, path, data):
        sent.append(1)
        if len(sent) == 1:
            handler.reply(
                429, {"error": {"message": "\x1b[2J\u202e\r[/bold] wait"}}, Retry_After="3"
            )
        else:
            well(handler)

    with Service(answer) as service:
        run(
            recipe(tmp_path / "r", SERVER.format(url=service.url), rows=1),
            tmp_path / "s",
            display=heard,
        )
    assert [line for line in heard.lines if "waits" in line]
    assert all(line.isprintable() for line in heard.lines)


def test_silence_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("mashbill.client.waiting.SILENT", 0.8)
    heard = Heard()

    def answer(handler, path, data):
        time.sleep(2)
        well(handler)

    with Service(answer) as service:
        run(
            recipe(tmp_path / "r", SERVER.format(url=service.url), rows=1),
            tmp_path / "s",
            display=heard,
        )
    (line,) = [line for line in heard.lines if "nothing has come" in line]
    assert "1 requests are in flight" in line


def test_a_long_wait_of_an_earlier_run_ends_the_next_one_with_what_to_do(tmp_path):
    with Service(always(429, **{"Retry-After": "1000"})) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url))
        with pytest.raises(TeacherError, match="asks to wait 1000 s"):
            run(path, tmp_path / "s")
        service.answer, service.asked = well, []
        with pytest.raises(TeacherError, match=r"model m-1: an earlier run was told so \(Retry-Af"):
            run(path, tmp_path / "s")
    assert service.asked == []


# -- who cannot be reached -------------------------------------------------------------------------


def closed_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_refused_connection_is_told_at_once_and_ends_the_run_before_patience(tmp_path):
    heard, port = Heard(), closed_port()
    teacher = SERVER.format(url=f"http://127.0.0.1:{port}") + "patience = 2\n"
    path = recipe(tmp_path / "r", teacher)
    told_at = []
    heard.tell = lambda line: told_at.append((time.monotonic(), line))
    with pytest.raises(TeacherError, match="connection refused"):
        run(path, tmp_path / "s", display=heard)
    (found,) = [each for each in told_at if "refused" in each[1]]
    assert time.monotonic() - found[0] > 1.5, "as soon as it was refused, and not at the end"
    assert f"127.0.0.1:{port}" in found[1]
    assert "until" in found[1]
    assert "Ctrl-C" in found[1]


def test_a_server_that_starts_late_is_waited_for(tmp_path):
    heard, port = Heard(), closed_port()
    path = recipe(tmp_path / "r", SERVER.format(url=f"http://127.0.0.1:{port}"), rows=1)

    class Late(Heard):
        def tell(self, line):
            super().tell(line)
            if "refused" in line:
                service.server_bind()
                service.server_activate()
                service.__enter__()

    service = Service.__new__(Service)
    ThreadingHTTPServer.__init__(service, ("127.0.0.1", port), Handler, bind_and_activate=False)
    service.asked, service.answer = [], well
    heard = Late()
    store, _ = run(path, tmp_path / "s", display=heard)
    service.__exit__()
    assert len(rows_of(store, "out")) == 1


UNREACHABLE = {
    "no such name": ("https://no-such-host.invalid/v1", None, "no address is known for no-such"),
    "https where http is": ("https://127.0.0.1:{port}/v1", b"HTTP/1.1 400\r\n\r\n", "speak http,"),
    "no HTTP": ("http://127.0.0.1:{port}/v1", b"SSH-2.0-OpenSSH_9\r\n", "not answer in HTTP"),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_an_address_that_cannot_be_right_ends_the_run_at_once(tmp_path, monkeypatch, case):
    monkeypatch.setenv("MASHBILL_CONTACT", "data@example.org")
    url, reply, said = UNREACHABLE[case]
    if case == "no such name":
        monkeypatch.setattr("asyncio.BaseEventLoop.getaddrinfo", no_name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        table = f'kind = "server"\nmodel = "m-1"\nbase_url = "{url}"\n'
        path = recipe(tmp_path / "r", table.format(port=server.getsockname()[1]))
        began = time.monotonic()
        with pytest.raises(TeacherError, match=said):
            run(path, tmp_path / "s")
        server.shutdown(socket.SHUT_RDWR)
    assert time.monotonic() - began < 40


async def no_name(*_, **__):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_wrong_path_is_told_with_the_path_and_what_it_lacks(tmp_path):
    with Service(always(404)) as service:
        table = f'kind = "server"\nmodel = "m-1"\nbase_url = "{service.url}"\n'
        with pytest.raises(TeacherError, match=r"404.*base_url.*/chat/completions was asked.*/v1"):
            run(recipe(tmp_path / "r", table), tmp_path / "s")
    assert len(service.asked) == 1


def test_a_redirect_is_told_and_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY_ONE", "sk-0123456789")
    with Service(well) as other:
        to = f"{other.url}/v1/chat/completions"
        with Service(always(307, Location=to)) as service:
            table = SERVER.format(url=service.url) + 'key_env = "KEY_ONE"\n'
            with pytest.raises(TeacherError, match=f"redirects to '{to}'"):
                run(recipe(tmp_path / "r", table), tmp_path / "s")
    assert other.asked == []


# -- Ctrl-C ----------------------------------------------------------------------------------------


def interrupted(path, store, ready):
    """Run a recipe until it is ready, press Ctrl-C; return seconds until it ended, and output."""
    process = subprocess.Popen(
        [*MAIN, "run", str(path), "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 60
    try:
        while not ready():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.7)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return time.monotonic() - began, process.returncode, output


WAITS = {
    "a Retry-After": (always(429, **{"Retry-After": "800"}), ""),
    "an empty window": (
        lambda h, *_: h.reply(200, chat("well"), **{LIMIT: "60", LEFT: "0", RESET: "800s"}),
        "",
    ),
    "failures of a batch": (always(500), "batch = true\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_any_wait_promptly(tmp_path, wait):
    answer, more = WAITS[wait]
    with Service(answer) as service:
        teacher = SERVER.format(url=service.url) + 'license = "MIT"\n' + more
        path = recipe(tmp_path / "r", teacher, rows=20)
        seconds, code, output = interrupted(path, tmp_path / "s", lambda: service.asked)
    assert seconds < 20, output
    assert code == 130, output
    assert "Stopped. Run the same command again" in output
    assert "Traceback" not in output


def test_ctrl_c_ends_the_wait_for_a_server_that_is_not_there(tmp_path):
    path = recipe(
        tmp_path / "r", SERVER.format(url=f"http://127.0.0.1:{closed_port()}") + 'license = "MIT"\n'
    )
    calls = tmp_path / "s" / "calls.sqlite"
    seconds, code, output = interrupted(path, tmp_path / "s", calls.exists)
    assert (code, "Traceback" in output) == (130, False), output
    assert seconds < 20


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_what_is_in_flight(tmp_path):
    with Service(lambda *_: time.sleep(100)) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + 'license = "MIT"\n')
        process = subprocess.Popen(
            [*MAIN, "run", str(path), "--store", str(tmp_path / "s")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until = time.monotonic() + 60
        while not service.asked and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(1.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 20, output
    assert process.returncode == 130, output
    assert "in flight" in output
    assert "Traceback" not in output, output
