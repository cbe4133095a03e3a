"""A gateway as a program: restart without a lost request, TLS, the sink, LiteLLM's guardrail."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from conduct.gateway_support import CHAT, HASHES, Engine, alone, running, until, upstream

from mashbill.conduct.events import batch_of
from mashbill.conduct.gateway.metrics import Metrics
from mashbill.conduct.gateway.running import Gateway
from mashbill.conduct.gateway.sink import Sink
from mashbill.conduct.gateway.sockets import hand_over
from mashbill.conduct.logs.native import write_native
from mashbill.conduct.scan.engine import Advice
from mashbill.core.errors import InputError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
SOURCE = Path(__file__).parents[2] / "src"
ONCE = {"Connection": "close"}


class Load:
    """Asks again and again, on connections that are kept and on new ones, and counts what fails."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}/v1/chat/completions"
        self.done, self.failed, self.ends = 0, [], False

    async def ask(self, headers):
        async with aiohttp.ClientSession() as session:
            while not self.ends:
                try:
                    async with session.post(self.address, json=CHAT, headers=headers) as got:
                        assert got.status == 200
                        await got.read()
                        self.done += 1
                except (aiohttp.ClientError, AssertionError, OSError) as error:
                    self.failed.append(repr(error))

    async def during(self, work):
        tasks = [asyncio.ensure_future(self.ask(ONCE if at % 2 else {})) for at in range(8)]
        try:
            await work()
        finally:
            self.ends = True
            await asyncio.gather(*tasks)


def test_a_gateway_that_takes_another_s_place_loses_no_request():
    async def work():
        async with running(times={"hand_over": 0.1, "drain": 5}) as run:
            one = run.gateway
            load = Load(run.port)

            async def swap():
                nonlocal one
                for _ in range(2):
                    await asyncio.sleep(0.1)
                    told = one._settings.model_copy(
                        update={
                            "listen": one._settings.listen.model_copy(update={"port": run.port})
                        }
                    )
                    other = Gateway(told, engine=Engine(), scorer=None, hashes=HASHES)
                    await other.start()
                    assert await one.end()
                    before = load.done
                    await until(lambda before=before: load.done > before + 10)
                    one = other

            await load.during(swap)
            assert load.failed == []
            assert load.done > 50
            run.gateway = one

    alone(work)


def test_an_ending_gateway_says_so_and_ends_what_it_has():
    async def work():
        async with running() as run:
            slow = asyncio.ensure_future(run.ask(how="slow").__aenter__())
            await until(lambda: run.up.asked)
            ending = asyncio.ensure_future(run.gateway.end())
            await until(lambda: run.gateway._draining)
            assert await run.gateway.why_not_ready() == "ending"
            run.up.gate.set()
            got = await slow
            assert (got.status, got.headers["Connection"]) == (200, "close")
            assert await got.read() == run.up.body
            assert await ending
        async with running(times={"drain": 0.2}) as run:
            slow = asyncio.ensure_future(run.ask(how="slow").__aenter__())
            await until(lambda: run.up.asked)
            assert not await run.gateway.end()  # it was cut, and that is told
            with pytest.raises(aiohttp.ClientError):
                await slow

    alone(work)


PROGRAM = """
import sys
from mashbill.conduct.events import Hashes
from mashbill.conduct.gateway.serving import serve
from mashbill.conduct.gateway.settings import Settings

settings = Settings.model_validate_json(sys.argv[1])
hashes = Hashes(b"k" * 32)
whole = serve(settings, None, None, hashes, told=lambda _: open(sys.argv[2], "w").close())
sys.exit(0 if whole else 3)
"""


@pytest.mark.slow
def test_a_program_that_is_told_to_end_loses_no_request_and_writes_what_it_saw(tmp_path):
    async def work():
        async with upstream() as up:
            port = _free()
            settings = json.dumps(
                {"upstream": up.address, "listen": {"port": port}, "admin": {"port": None},
                 "sink": {"folder": str(tmp_path / "events")}}
            )  # fmt: skip

            async def started(number):
                ready = tmp_path / f"ready{number}"
                program = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", PROGRAM, settings, str(ready),
                    env={**os.environ, "PYTHONPATH": str(SOURCE)},
                )  # fmt: skip
                for _ in range(600):
                    if ready.exists():
                        return program
                    await asyncio.sleep(0.05)
                pytest.fail("it does not begin")

            one = await started(0)
            load = Load(port)

            async def swap():
                nonlocal one
                for number in (1, 2):
                    other = await started(number)
                    one.send_signal(signal.SIGTERM)
                    assert await asyncio.wait_for(one.wait(), 30) == 0
                    one = other
                    await asyncio.sleep(0.5)

            await load.during(swap)
            one.send_signal(signal.SIGTERM)
            assert await one.wait() == 0
            assert load.failed == []
            lines = [line for path in (tmp_path / "events").iterdir()
                     for line in path.read_bytes().splitlines()]  # fmt: skip
            assert len({json.loads(line)["id"] for line in lines}) == len(lines) == load.done

    alone(work)


def _free():
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_the_kernel_takes_the_filter_by_which_connections_are_handed_over():
    import socket

    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        assert hand_over(sock) or sys.platform != "linux"


def certificate(folder):
    """Return a certificate for localhost and its key, in files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def test_it_serves_tls_of_version_1_2_at_least(tmp_path):
    cert, key = certificate(tmp_path)

    async def work():
        listen = {"port": 0, "certificate": str(cert), "key": str(key)}
        async with running(listen=listen) as run:
            context = ssl.create_default_context(cafile=str(cert))
            address = f"https://127.0.0.1:{run.port}/v1/models"
            async with run.session.get(address, ssl=context, server_hostname="localhost") as got:
                assert got.status == 200
            old = ssl.create_default_context(cafile=str(cert))
            old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            with pytest.warns(DeprecationWarning, match="TLSv1_1"):
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(aiohttp.ClientConnectorError):
                await run.session.get(address, ssl=old, server_hostname="localhost")

    alone(work)
    with pytest.raises(InputError, match="no certificate with its key"):
        alone(lambda: running(listen={"certificate": str(key), "key": str(key)}).__aenter__())


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_works_through_it_with_streams_and_large_bodies(tmp_path):
    (tmp_path / "body").write_bytes(b"x" * 2_000_000)

    def curl(*arguments):
        return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True)

    async def work():
        async with running() as run:
            run.up.parts = [b"data: 1\n\n", b"data: 2\n\n"]
            chat = f"{run.address}/v1/chat/completions"
            done = await asyncio.to_thread(
                curl, "-N", "-d", json.dumps(CHAT), "-H", "how: stream", chat
            )
            assert (done.stdout, done.stderr) == (b"data: 1\n\ndata: 2\n\n", b"")
            done = await asyncio.to_thread(
                curl, "--data-binary", f"@{tmp_path / 'body'}", "-H", "how: echo", chat
            )
            assert len(done.stdout) == 2_000_000
            done = await asyncio.to_thread(curl, "-I", f"{run.address}/v1/models")
            assert done.stdout.startswith(b"HTTP/1.1 200")
            done = await asyncio.to_thread(curl, "--http1.0", f"{run.address}/v1/models")
            assert done.stdout == run.up.body

    alone(work)


# The sink


def rows(number):
    return batch_of(
        [{"id": str(at), "time": datetime(2026, 1, 1, tzinfo=UTC), "kind": "exchange",
          "account": b"a" * 16} for at in range(number)]
    )  # fmt: skip


def test_events_are_written_as_lines_rotated_and_kept(tmp_path):
    sink = Sink(tmp_path / "e", lambda batch: write_native(batch, "k"), rotate_bytes=2000,
                sync_seconds=60, keep=2)  # fmt: skip
    for _ in range(9):
        sink.append(rows(10))
    sink.close()
    paths = sorted((tmp_path / "e").iterdir())
    assert len(paths) == 3  # two that are whole, and the last
    for path in paths:
        lines = path.read_bytes().splitlines()
        assert all(json.loads(line)["sketch"]["keyid"] == "k" for line in lines)
        assert path.stat().st_mode & 0o077 == 0


def test_a_line_that_was_written_in_part_spoils_no_other(tmp_path, monkeypatch):
    sink = Sink(tmp_path, lambda batch: write_native(batch, "k"), rotate_bytes=1 << 20,
                sync_seconds=60, keep=0)  # fmt: skip
    write, full = os.write, [False]

    def limited(file, data):
        if full[0]:
            raise OSError(28, "no space")
        full[0] = True
        return write(file, data[:30])

    monkeypatch.setattr(os, "write", limited)
    with pytest.raises(OSError, match="no space"):
        sink.append(rows(1))
    monkeypatch.setattr(os, "write", write)
    sink.append(rows(2))
    sink.close()
    lines = next(tmp_path.iterdir()).read_bytes().splitlines()
    assert len(lines) == 3
    assert [json.loads(line)["id"] for line in lines[1:]] == ["0", "1"]


def test_a_sink_that_fails_is_counted_and_the_gateway_goes_on(tmp_path, monkeypatch):
    async def work():
        async with running(sink={"folder": tmp_path / "e"}) as run:
            monkeypatch.setattr(Sink, "append", _refuse)
            async with run.ask() as got:
                assert got.status == 200
            await run.events()
            await until(lambda: run.gateway.metrics.of("sink_failures_total") == 1)

    alone(work)


def _refuse(self, batch):
    raise OSError(28, "no space")


# LiteLLM's guardrail

ASKED = {
    "input_type": "request", "litellm_call_id": "call-1", "texts": ["Say something about rivers."],
    "structured_messages": CHAT["messages"], "model": "m", "litellm_version": "1.108.7",
    "request_headers": {"user-agent": "curl", "x-secret": "[present]"},
    "request_data": {"user_api_key_hash": "88dc", "user_api_key_user_id": "u1"},
}  # fmt: skip
GUARDED = {"enabled": True, "token_env": "TEST_GUARDRAIL", "account_by": "user"}
PATH = "/beta/litellm_basic_guardrail_api"


def test_a_litellm_proxy_is_told_what_is_held_of_the_account(monkeypatch):
    monkeypatch.setenv("TEST_GUARDRAIL", "secret")

    async def work():
        async with running(guardrail=GUARDED, contact="abuse@example.org") as run:
            async with run.ask(PATH, body=ASKED, Authorization="", x_api_key="secret") as got:
                assert json.loads(await got.read()) == {"action": "NONE"}
            run.engine.held[HASHES.account("u1")] = Advice("act", ("L",), ("case-3",))
            async with run.ask(PATH, body=ASKED, Authorization="Bearer secret") as got:
                told = json.loads(await got.read())
            assert told["action"] == "BLOCKED"
            assert "case-3" in told["blocked_reason"]
            assert "abuse@example.org" in told["blocked_reason"]
            seen = await run.events(2)
            assert (seen[0]["id"], seen[0]["status"], seen[1]["status"]) == ("call-1", 200, 403)
            assert seen[0]["account"] == HASHES.account("u1")
            assert seen[0]["agent"] == HASHES.of("agent", "curl", 8)
            assert seen[0]["item"] == HASHES.of("item", "say something about rivers.", 8)
            later = {**ASKED, "input_type": "response"}
            async with run.ask(PATH, body=later, Authorization="Bearer secret") as got:
                assert json.loads(await got.read())["action"] == "BLOCKED"
            for body, key, status in [(b"{", "secret", 400), (b"[]", "secret", 400),
                                      (ASKED, "other", 401)]:  # fmt: skip
                async with run.ask(PATH, body=body, Authorization=f"Bearer {key}") as got:
                    assert got.status == status
            assert run.up.asked == []

    alone(work)


# Metrics

LINE = re.compile(
    r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? '
    r"[0-9.e+-]+"
)


def test_metrics_are_lines_of_the_text_format():
    metrics = Metrics()
    metrics.count("requests_total", endpoint='a"b\\c\nd', status="200")
    metrics.count("refused_total", 2, reason="x")
    metrics.time("own_seconds", 0.0007)
    metrics.time("own_seconds", 1e9)
    metrics.gauge("running", lambda: 3)
    text = metrics.text().decode()
    assert text.endswith("\n")
    typed = set()
    for line in text.splitlines():
        if line.startswith("# "):
            typed.add(line.split()[2])
            continue
        assert LINE.fullmatch(line.replace("+Inf", "1")), line
        assert re.sub(r"_(bucket|sum|count)$", "", line.split("{")[0].split()[0]) in typed
    buckets = [int(line.split()[1]) for line in text.splitlines() if "own_seconds_bucket" in line]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 2


CLIENTS = os.environ.get("MASHBILL_CLIENTS", "")
OFFICIAL = textwrap.dedent(
    """
    import asyncio, json, sys, urllib.request
    import anthropic, litellm, openai
    from prometheus_client.parser import text_string_to_metric_families

    base, admin = sys.argv[1:]
    ask = [{"role": "user", "content": "Say something about rivers."}]
    client = openai.OpenAI(base_url=base + "/v1", api_key="sk-1", max_retries=0)
    said = client.chat.completions.create(model="m", messages=ask)
    assert said.choices[0].message.content == "They flow.", said
    stream = client.chat.completions.create(
        model="m", messages=ask, stream=True, extra_headers={"how": "stream"}
    )
    assert "".join(part.choices[0].delta.content or "" for part in stream) == "Hello world"
    assert client.models.list().data[0].id == "m"
    said = client.embeddings.create(model="m", input="x", encoding_format="float")
    assert said.data[0].index == 0
    said = client.responses.create(model="m", input="hello")
    assert said.output_text == "They flow."
    try:
        client.chat.completions.create(model="m", messages=ask, extra_headers={"how": "limited"})
    except openai.RateLimitError as error:
        assert error.response.headers["retry-after"] == "7"
    claude = anthropic.Anthropic(base_url=base, api_key="sk-1", max_retries=0)
    said = claude.messages.create(model="m", max_tokens=5, messages=ask)
    assert said.content[0].text == "They flow."
    with claude.messages.stream(
        model="m", max_tokens=5, messages=ask, extra_headers={"how": "stream"}
    ) as stream:
        assert stream.get_final_text() == "Hello world"
    assert claude.messages.count_tokens(model="m", messages=ask).input_tokens == 7
    said = litellm.completion("openai/m", messages=ask, api_base=base + "/v1", api_key="sk-1")
    assert said.choices[0].message.content == "They flow."
    text = urllib.request.urlopen(admin + "/metrics").read().decode()
    assert any(family.name == "mashbill_gateway_requests"
               for family in text_string_to_metric_families(text))
    print("all", len(list(text_string_to_metric_families(text))))
    """
)


@pytest.mark.slow
@pytest.mark.skipif(
    not CLIENTS,
    reason="MASHBILL_CLIENTS names no python with openai, anthropic, litellm, prometheus_client",
)
def test_the_official_clients_work_through_it_unchanged():
    async def work():
        async with running() as run:
            run.up.by_path = True
            program = await asyncio.create_subprocess_exec(
                CLIENTS, "-c", OFFICIAL, run.address, f"http://127.0.0.1:{run.admin}",
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={"PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            )  # fmt: skip
            out, error = await asyncio.wait_for(program.communicate(), 55)
            assert out.startswith(b"all"), error.decode()[-2000:]

    began = time.monotonic()
    alone(work)
    assert time.monotonic() - began < 60


GUARDING = textwrap.dedent(
    """
    import asyncio, sys
    from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api import (
        generic_guardrail_api as api,
    )

    text = "Say something about rivers."
    guard = api.GenericGuardrailAPI(
        api_base=sys.argv[1], api_key="secret", guardrail_name="mashbill", event_hook="pre_call"
    )
    inputs = {"texts": [text], "structured_messages": [{"role": "user", "content": text}]}

    def ask(key):
        data = {"metadata": {"user_api_key_hash": key}}
        return asyncio.run(guard.apply_guardrail(inputs, data, "request"))

    assert ask("good")["texts"] == [text]
    try:
        ask("bad")
    except Exception as error:
        print("blocked", type(error).__name__, error)
    """
)


@pytest.mark.slow
@pytest.mark.skipif(not CLIENTS, reason="MASHBILL_CLIENTS names no python with litellm[proxy]")
def test_litellm_s_own_guardrail_client_goes_on_or_blocks_as_it_is_told(monkeypatch):
    monkeypatch.setenv("TEST_GUARDRAIL", "secret")
    guarded = {"enabled": True, "token_env": "TEST_GUARDRAIL"}

    async def work():
        async with running(guardrail=guarded, contact="abuse@example.org") as run:
            run.engine.held[HASHES.account("bad")] = Advice("act", ("L",), ("case-3",))
            program = await asyncio.create_subprocess_exec(
                CLIENTS, "-c", GUARDING, run.address,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={"PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            )  # fmt: skip
            out, error = await program.communicate()
            assert out.startswith(b"blocked GuardrailRaisedException"), error.decode()[-2000:]
            assert b"case-3" in out
            rows = await run.events(2)
            assert [row["status"] for row in rows] == [200, 403]
            assert rows[0]["item"] == HASHES.of("item", "say something about rivers.", 8)

    alone(work, 170)
