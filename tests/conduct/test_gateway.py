"""The gateway passes on what came, and observes beside it: real HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json

import aiohttp
import pytest
from conduct.gateway_support import ANSWER, CHAT, HASHES, Engine, alone, raw, running, until
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.gateway.headers import HOPS

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_bodies_are_untouched_both_ways_where_no_action_is_configured():
    with asyncio.Runner() as runner:
        around = running()
        run = runner.run(around.__aenter__())

        async def try_one(size, body, parts):
            body, run.up.parts = body * size, parts
            async with run.ask(body=body, how="echo") as got:
                assert await got.read() == body
            assert run.up.asked.pop()[3] == body
            async with run.ask(body=body, how="stream") as got:
                assert await got.read() == b"".join(parts)
                assert got.headers["Content-Type"] == "text/event-stream"

        @law(40)
        @given(
            st.sampled_from([1, 1, 1, 2000]),
            st.binary(max_size=100) | st.just(b'{"a": 1e999}'),
            st.lists(st.binary(min_size=1, max_size=60), max_size=5),
        )
        def holds(size, body, parts):
            runner.run(try_one(size, body, parts))

        holds()
        runner.run(around.__aexit__(None, None, None))


def test_an_exchange_becomes_an_event_without_a_prompt():
    async def work():
        async with running() as run:
            async with run.ask(X_Mashbill_Statement="ab" * 32, User_Agent="curl") as got:
                assert got.status == 200
                assert json.loads(await got.read()) == ANSWER
            row = (await run.events())[0]
            assert (row["endpoint"], row["status"], row["model"]) == ("chat", 200, "m")
            assert (row["tokens_in"], row["tokens_out"]) == (7, 3)
            assert row["declared"] == b"\xab" * 32
            assert row["item"] == HASHES.of("item", "say something about rivers.", 8)
            assert row["agent"] == HASHES.of("agent", "curl", 8)
            assert row["address"] == HASHES.of("address", "127.0.0.1", 8)
            assert len(row["skeleton"]) == 1
            assert row["account"] != row["key"]
            assert "rivers" not in repr(row)

    alone(work)


def test_headers_go_on_but_those_of_a_hop_and_accept_encoding_is_narrowed():
    async def work():
        async with running() as run:
            async with run.ask(
                how="packed", Connection="X-Mine", X_Mine="1", TE="trailers", X_Other="2",
                Accept_Encoding="gzip;q=1, br, zstd", Proxy_Authorization="Basic eDp5",
            ) as got:  # fmt: skip
                raw = await got.read()
            assert gzip.decompress(raw) == run.up.body
            assert got.headers["Server"] == "theirs"
            assert got.headers["X-End"] == "2"
            assert not {"x-hop", "keep-alive"} & {name.lower() for name in got.headers}
            sent = run.up.asked[-1][2]
            assert sent["Accept-Encoding"] == "gzip;q=1"
            assert sent["X-Other"] == "2"
            assert sent["Via"] == "1.1 mashbill"
            assert sent["Authorization"] == "Bearer sk-1"
            assert sent["Host"] == f"127.0.0.1:{run.up.port}"
            gone = (HOPS | {"x-mine"}) - {"connection", "keep-alive"}
            assert not gone & {name.lower() for name in sent}
            assert (await run.events())[0]["tokens_out"] == 3  # it was unpacked to be observed

    alone(work)


def test_an_event_of_a_stream_is_passed_on_before_the_next_is_made():
    async def work():
        async with running() as run, run.ask(how="steps") as got:
            first = await got.content.readany()
            assert first == b'data: {"n": 1}\n\n'
            run.up.gate.set()
            assert await got.read() == b'data: {"n": 2}\n\n'

    alone(work)


def test_the_head_of_a_stream_is_passed_on_before_its_first_event():
    async def work():
        async with running() as run:
            run.up.parts = []
            async with run.ask(how="stream") as got:
                assert got.status == 200
                assert got.headers["Transfer-Encoding"] == "chunked"

    alone(work)


PATHS = [
    ("POST", "/v1/completions"), ("POST", "/v1/responses"), ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/v1/responses/resp_1/input_items?limit=2"), ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"), ("GET", "/v1/models/org/name"), ("GET", "/v1/models/a%2Fb"),
    ("POST", "/v1/messages"), ("POST", "/v1/messages?beta=true"),
    ("POST", "/v1/messages/count_tokens"),
]  # fmt: skip
REFUSED = [
    ("POST", "/v1/files"), ("GET", "/v1/chat/completions"), ("GET", "/v1/models/../files"),
    ("GET", "/v1/models/%2e%2e/files"), ("GET", "/v1/models/%252e%252e/files"),
    ("GET", "/v1/models/a//b"), ("GET", "/v1/models/..%5cfiles"), ("PUT", "/v1/models"),
    ("GET", "/v1/responses/a/b/c"), ("POST", "//v1/chat/completions"), ("GET", "/"),
    ("DELETE", "/v1/models/m"), ("GET", "/v1/responses/a%2f..%2f..%2ffiles"),
]  # fmt: skip


def test_paths_of_the_apis_are_passed_on_as_they_stand_and_others_are_refused_clearly():
    async def work():
        async with running() as run:
            for method, path in [*PATHS, *REFUSED]:
                before = len(run.up.asked)
                found = await raw(
                    run.port,
                    f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    "Content-Length: 0\r\n\r\n".encode(),
                )
                if (method, path) in PATHS:
                    assert found.startswith(b"HTTP/1.1 200"), (method, path)
                    assert run.up.asked[-1][:2] == (method, path)
                else:
                    assert found.startswith(b"HTTP/1.1 404"), (method, path, found)
                    assert b"does not pass on" in found
                    assert len(run.up.asked) == before

    alone(work)


def test_other_paths_are_passed_on_where_that_is_configured():
    async def work():
        async with running(other_paths="pass") as run:
            async with run.ask("/v1/files?x=1", body=b"x") as got:
                assert got.status == 200
            assert run.up.asked[-1][1] == "/v1/files?x=1"
            found = await raw(
                run.port, b"GET /a/../b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            assert found.startswith(b"HTTP/1.1 400")

    alone(work)


FAULTS = [("dies", None), ("short", None), ("closes", 502), ("nonsense", 502), ("huge", 502)]


@pytest.mark.parametrize(("how", "status"), FAULTS)
def test_a_service_that_fails_is_never_taken_for_one_that_answered(how, status):
    async def work():
        async with running() as run:
            if status is None:
                with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
                    async with run.ask(how=how) as got:
                        await got.read()
            else:
                async with run.ask(how=how) as got:
                    assert got.status == status
                    error = json.loads(await got.read())["error"]
                    assert error["code"].startswith("upstream_")
            async with run.ask() as got:  # and the next is answered
                assert got.status == 200
            assert run.gateway.metrics.of("upstream_errors_total") == 1
            rows = await run.events(2)
            assert len(rows) == 2

    alone(work)


def test_a_service_that_is_not_there_or_too_slow_is_told_in_the_form_of_the_api():
    async def work():
        async with running(times={"first_byte": 0.2, "drain": 1}) as run:
            async with run.ask("/v1/messages", how="slow") as got:
                assert got.status == 504
                assert json.loads(await got.read())["type"] == "error"
            run.up.gate.set()
        async with running(upstream="http://127.0.0.1:9") as run, run.ask() as got:
            assert got.status == 502
            assert json.loads(await got.read())["error"]["code"] == "upstream_connect"

    alone(work)


def test_a_stream_that_stalls_is_cut_at_its_bound():
    async def work():
        async with running(times={"idle": 0.2, "drain": 1}) as run:
            with pytest.raises(aiohttp.ClientPayloadError):
                async with run.ask(how="stalls") as got:
                    await got.read()
            assert run.gateway.metrics.of("upstream_errors_total", kind="timeout") == 1

    alone(work)


def test_errors_of_the_service_are_passed_on_with_what_they_ask_to_wait():
    async def work():
        async with running() as run:
            async with run.ask(how="limited") as got:
                assert (got.status, got.headers["Retry-After"]) == (429, "7")
                assert got.headers["x-ratelimit-limit-requests"] == "5"
                assert json.loads(await got.read()) == {"error": {"message": "slow down"}}
            async with run.ask(how="broken") as got:
                assert (got.status, await got.read()) == (500, b"<html>oh</html>")
            async with run.ask(how="latin") as got:
                assert await got.read() == b"ok"
                assert got.headers["X-Even"] == "yes"
            rows = await run.events(3)
            assert [row["status"] for row in rows] == [429, 500, 200]
            assert rows[0]["retry_after"] == 7
            assert rows[0]["skeleton"]

    alone(work)


def test_a_client_that_goes_away_ends_the_request_to_the_service():
    async def work():
        async with running() as run:
            task = asyncio.ensure_future(run.ask(how="slow").__aenter__())
            await until(lambda: run.up.asked)
            task.cancel()
            await until(lambda: run.up.cancelled == 1)
            assert (await run.events())[0]["status"] == 0

    alone(work)


def test_a_body_beyond_its_bound_is_refused_before_the_service_hears_of_it():
    async def work():
        async with running(limits={"request_bytes": 2000}) as run:
            async with run.ask(body=b"x" * 2001) as got:
                assert got.status == 413

            async def parts():
                for _ in range(100):
                    yield b"y" * 100

            async with run.session.post(run.address + "/v1/messages", data=parts()) as got:
                assert got.status == 413
                assert json.loads(await got.read())["error"]["type"] == "request_too_large"
            assert run.up.asked == []
            assert run.gateway._limits.held == 0

    alone(work)


def test_bodies_that_are_held_are_bounded_together():
    async def work():
        async with running(limits={"held_bytes": 5000}) as run:
            first = asyncio.ensure_future(run.ask(body=b"x" * 3000, how="slow").__aenter__())
            await until(lambda: run.up.asked)
            async with run.ask(body=b"x" * 3000) as got:
                assert got.status == 503
                assert got.headers["Retry-After"] == "1"
            run.up.gate.set()
            await first
            async with run.ask(body=b"x" * 3000) as got:
                assert got.status == 200

    alone(work)


BAD = {
    "chunking": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    b"\r\nzz\r\nx",
    "two lengths": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Content-Length: 4\r\n\r\nabcd",
    "both": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "no http": b"hello\r\n\r\n",
    "long line": b"GET /v1/models/" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": b"GET /v1/models HTTP/1.1\r\n"
    + b"".join(b"a%d: 1\r\n" % i for i in range(300))
    + b"\r\n",
    "no text": b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: \xff\xfe\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_request_is_refused_and_not_passed_on(name):
    async def work():
        async with running(times={"keep_alive": 2, "drain": 1}) as run:
            found = await asyncio.wait_for(raw(run.port, BAD[name]), 10)
            assert found.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), found
            assert run.up.asked == []
            async with run.ask() as got:
                assert got.status == 200

    alone(work)


def test_a_head_or_a_body_that_comes_too_slowly_is_cut_off():
    async def work():
        times = {"keep_alive": 0.5, "body": 0.5, "drain": 1}
        async with running(times=times) as run:
            reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
            with contextlib.suppress(ConnectionError):
                for _ in range(30):  # a byte at a time
                    writer.write(b"G")
                    await asyncio.sleep(0.05)
                    if reader.at_eof() or reader.exception() is not None:
                        break
                else:
                    pytest.fail("it was not cut off")
            writer.close()
            found = await asyncio.wait_for(
                raw(
                    run.port, b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
                ),
                10,
            )
            assert found.startswith(b"HTTP/1.1 408")

    alone(work)


def test_connections_beyond_their_number_are_told_so_and_others_go_on():
    async def work():
        async with running(limits={"connections": 100}, times={"drain": 1}) as run:
            async with run.ask() as got:
                await got.read()
            idle = [await asyncio.open_connection("127.0.0.1", run.port) for _ in range(300)]
            await asyncio.sleep(0.2)
            assert run.gateway._server.number <= 101
            last = await asyncio.wait_for(idle[-1][0].read(), 5)
            assert last.startswith(b"HTTP/1.1 503")
            async with run.ask() as got:  # on the connection that it has
                assert got.status == 200
            for _, writer in idle:
                writer.close()
            assert run.gateway.metrics.of("connections_refused_total") >= 200

    alone(work)


def test_a_client_that_waits_to_be_told_to_go_on_is_told():
    async def work():
        async with running() as run:
            reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
            body = json.dumps(CHAT).encode()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(body)
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            assert "Expect" not in run.up.asked[-1][2]

    alone(work)


def test_a_large_body_is_passed_on_whole():
    async def work():
        async with running() as run:
            body = b"z" * 3_000_000
            async with run.session.post(
                run.address + "/v1/embeddings", data=io.BytesIO(body), headers={"how": "echo"}
            ) as got:
                assert await got.read() == body
            assert run.up.asked[-1][2]["Content-Length"] == str(len(body))

    alone(work)


def test_a_gateway_that_leads_to_itself_is_told():
    async def work():
        async with running() as run, run.ask(Via="1.1 mashbill") as got:
            assert got.status == 508

    alone(work)


def test_metrics_and_health_are_served_apart():
    async def work():
        async with running() as run:
            async with run.ask() as got:
                await got.read()
            await run.events()
            for port in (run.port, run.admin):
                for path in ("healthz", "readyz"):
                    async with run.session.get(f"http://127.0.0.1:{port}/{path}") as got:
                        assert got.status == 200
            async with run.session.get(f"http://127.0.0.1:{run.admin}/metrics") as got:
                text = (await got.read()).decode()
            assert 'mashbill_gateway_requests_total{endpoint="chat",status="200"} 1' in text
            assert "mashbill_gateway_events_total 1" in text
            async with run.session.get(f"{run.address}/metrics") as got:
                assert got.status == 404
        engine = Engine(fails=True)
        async with running(engine=engine) as run:
            async with run.ask() as got:
                assert got.status == 200
            await until(lambda: run.gateway.observer.failing)
            async with run.session.get(f"http://127.0.0.1:{run.admin}/readyz") as got:
                assert (got.status, await got.text()) == (503, "the engine fails\n")
        async with (
            running(upstream="http://127.0.0.1:9") as run,
            run.session.get(f"http://127.0.0.1:{run.admin}/readyz") as got,
        ):
            assert (got.status, await got.text()) == (503, "the service cannot be reached\n")

    alone(work)
