"""What comes in is bounded by what comes out of it: bodies, streams, errors, batches' results."""

import asyncio
import contextlib
import gzip
import json
import subprocess
import sys
import zlib
from datetime import UTC, datetime

import pytest
from client.test_http import SERVER, recipe, run
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_service import OpenAIBatches, Service, chat
from tests_support import rows_of

from mashbill import TeacherError
from mashbill.client import transport
from mashbill.client.limits import Pace, asked_to_wait
from mashbill.client.scrubbing import Scrubber
from mashbill.client.transport import Carrier, Http, TransportError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])

MIB = 1024 * 1024


def packed(size, wbits=31):
    """Return so many bytes of spaces, packed: one flushed block, again and again."""
    pack = zlib.compressobj(9, wbits=-15)
    block = pack.compress(b" " * MIB) + pack.flush(zlib.Z_FULL_FLUSH)
    heads = {31: b"\x1f\x8b\x08\0\0\0\0\0\0\x03", 15: b"\x78\xda", -15: b""}
    return heads[wbits] + block * (size // MIB) + b"\x03\0"


GZIP = packed(1900 * MIB)
BOMBS = {
    "gzip": lambda h: h.reply(200, GZIP, Content_Encoding="gzip"),
    "deflate": lambda h: h.reply(200, packed(600 * MIB, 15), Content_Encoding="deflate"),
    "raw deflate": lambda h: h.reply(200, packed(600 * MIB, -15), Content_Encoding="deflate"),
    "x-gzip of many members": lambda h: h.reply(
        200, gzip.compress(b" " * MIB) * 600, Content_Encoding="X-GZIP"
    ),
    "gzip in gzip": lambda h: h.reply(200, gzip.compress(GZIP), Content_Encoding="gzip, gzip"),
    "br": lambda h: h.reply(200, b"\x00" * 100, Content_Encoding="br"),
    "zstd": lambda h: h.reply(200, b"\x00" * 100, Content_Encoding="zstd"),
    "an error": lambda h: h.reply(500, GZIP, Content_Encoding="gzip"),
    "a length": lambda h: h.cut(b"x", 10**12),
    "a stream of one line": lambda h: h.reply(
        200, GZIP, "text/event-stream", Content_Encoding="gzip"
    ),
}

PEAK = """
import asyncio, resource, sys
from mashbill.client.transport import Carrier, TransportError
async def main(url):
    carrier = Carrier(4, {})
    await small(carrier, url)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sys.argv[2:]:
        for method in ("POST", "GET"):
            try:
                response = await carrier.send(method, url + "/" + path, {}, b"")
                print("whole", response.status, len(response.body))
            except TransportError as error:
                print("refused", error.reason)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", (after - before) // 1024)
    await carrier.close()
async def small(carrier, url):
    await carrier.send("POST", url + "/small", {}, b"")
asyncio.run(main(sys.argv[1]))
"""


def test_a_megabyte_that_unpacks_to_gigabytes_takes_no_more_than_is_allowed():
    names = list(BOMBS)

    def answer(handler, path, data):
        if path == "/small":
            handler.reply(200, gzip.compress(b"small"), Content_Encoding="gzip")
        else:
            BOMBS[names[int(path[1:])]](handler)

    with Service(answer) as service:
        done = subprocess.run(
            [sys.executable, "-c", PEAK, service.url, *map(str, range(len(names)))],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert len(lines) == 2 * len(names)
    peak = int(last.removeprefix("peak "))
    # Results of batches may have 256 MiB; they are held in pieces and once put together.
    assert peak < 600, done.stdout
    assert sum(line.startswith("whole 500") for line in lines) == 2
    assert all(line.startswith("refused") for line in lines if "whole 500" not in line), lines


def test_an_answer_takes_a_fraction_of_that():
    def answer(handler, path, data):
        handler.reply(200, b"small") if path == "/small" else BOMBS["gzip"](handler)

    with Service(answer) as service:
        program = PEAK.replace('("POST", "GET")', '("POST",)')
        done = subprocess.run([sys.executable, "-c", program, service.url, "x"],
                              capture_output=True, text=True, timeout=60)  # fmt: skip
    assert "larger than the 33,554,432 bytes" in done.stdout, done.stderr
    assert int(done.stdout.split()[-1]) < 110, done.stdout


def test_a_server_of_bombs_alone_ends_the_run_and_one_bomb_is_a_rejected_row(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "LARGEST_ANSWER", MIB)

    def answer(handler, path, data):
        bad = json.loads(data)["messages"][-1]["content"].endswith("number 1")
        if bad or handler.server.all_bad:
            handler.reply(200, GZIP, Content_Encoding="gzip")
        else:
            handler.reply(
                200, gzip.compress(json.dumps(chat("well")).encode()), Content_Encoding="gzip"
            )

    with Service(answer) as service:
        service.all_bad = False
        store, _ = run(recipe(tmp_path / "r", SERVER.format(url=service.url)), tmp_path / "s")
        assert len(rows_of(store, "out")) == 3
        (rejected,) = rows_of(store, "out", "rejected")
        assert "1,048,576 bytes" in rejected["_reason"]
        assert len(service.asked) == 4, "what would come again is not asked for again"
        service.all_bad, service.asked = True, []
        path = recipe(tmp_path / "o", SERVER.format(url=service.url), rows=30)
        with pytest.raises(TeacherError, match=r"could read none of the first 20.*1,048,576 bytes"):
            run(path, tmp_path / "os")
    assert len(service.asked) < 30


def test_results_of_a_batch_that_are_a_bomb_end_the_run_with_what_was_found(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "LARGEST_RESULTS", 8 * MIB)
    batches = OpenAIBatches(polls=0)
    bomb = packed(64 * MIB)

    def answer(handler, path, data):
        if path.endswith("/content"):
            handler.reply(200, bomb, Content_Encoding="gzip")
        else:
            batches(handler, path, data)

    with Service(answer) as service:
        teacher = SERVER.format(url=service.url) + "batch = true\npoll = 0.05\n"
        with pytest.raises(TeacherError, match=r"/content: the response is larger than the 8,388"):
            run(recipe(tmp_path / "r", teacher), tmp_path / "s")


def carried(reply):
    """Return the body that is read of what a server replies."""
    with Service(lambda h, *_: reply(h)) as service:

        async def main():
            http = Http(2)
            try:
                return (await http.send("POST", service.url, {}, b"{}")).body
            finally:
                await http.close()

        return asyncio.run(main())


WHOLE = json.dumps(chat("héllo " * 1000)).encode()
PACKED = {
    "gzip": gzip.compress(WHOLE),
    "Gzip": gzip.compress(WHOLE[:700]) + gzip.compress(b"") + gzip.compress(WHOLE[700:]),
    " x-gzip ": gzip.compress(WHOLE) + b"\0" * 64,
    "deflate": zlib.compress(WHOLE),
    "Deflate": zlib.compress(WHOLE)[2:-4],
    "identity": WHOLE,
    "gzip, identity": gzip.compress(WHOLE),
    "": WHOLE,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_every_encoding_that_is_asked_for_is_unpacked(encoding):
    found = carried(lambda h: h.reply(200, PACKED[encoding], Content_Encoding=encoding))
    assert found == WHOLE


@pytest.mark.parametrize(
    "data",
    [gzip.compress(WHOLE)[:-9], gzip.compress(WHOLE)[:40], b"no gzip at all", b"\x1f\x8b",
     gzip.compress(WHOLE)[:-4] + b"\0\0\0\0", gzip.compress(WHOLE) + b"rubbish"],
    ids=["without-its-sum", "begun", "none", "two-bytes", "another-sum", "rubbish-behind"],
)  # fmt: skip
def test_what_cannot_be_unpacked_to_its_end_is_cut_off(data):
    with pytest.raises(TransportError) as caught:
        carried(lambda h: h.reply(200, data, Content_Encoding="gzip"))
    assert (caught.value.kind, caught.value.oversized) == ("cut", False)


@law(150)
@given(
    st.binary(max_size=4000),
    st.lists(st.integers(0, 5000), max_size=6),
    st.sampled_from([31, 15, -15]),
    st.integers(1, 5000),
)
def test_pieces_cut_anywhere_unpack_to_the_same_up_to_a_bound(whole, cuts, wbits, most):
    pack = zlib.compressobj(wbits=wbits)
    data = pack.compress(whole) + pack.flush()
    if wbits == -15 and (data[0] & 15 == 8 or data[0] == 0x1F):
        return  # looks as if it had a header, as raw deflate now and then does
    unpack, found, before = transport._Unpacker(), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        found += unpack.feed(data[before:cut], most - len(found))
        before = max(before, cut)
        if len(found) >= most:
            break
    assert found == whole[:most]


@law(100)
@given(st.binary(max_size=300))
def test_any_bytes_are_unpacked_or_refused(data):
    unpack = transport._Unpacker()
    with contextlib.suppress(TransportError):
        assert len(unpack.feed(data, 1000)) <= 1000
        unpack.end()


NAMES = [b"Retry-After", b"retry-after-ms", b"x-ratelimit-remaining-requests", b"Location",
         b"x-ratelimit-reset-requests", b"x-ratelimit-limit-requests", b"Content-Type", b"X-Odd",
         b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Connection"]  # fmt: skip


@law(120)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=12)), max_size=5),
    st.sampled_from([b"200", b"204", b"301", b"429", b"500", b"101", b"999", b"-1", b"\xff"]),
    st.binary(max_size=20),
)
def test_any_bytes_as_any_header_make_a_response_or_a_failure_that_can_be_told(
    headers, status, body
):
    lines = [name + b": " + value for name, value in headers]
    reply = b"HTTP/1.1 " + status + b" odd\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def main():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        carrier = Carrier(2, {}, Scrubber(["sk-0123456789"]))
        try:
            port = server.sockets[0].getsockname()[1]
            async with asyncio.timeout(20):
                response = await carrier.send("GET", f"http://127.0.0.1:{port}/", {}, b"")
        except TransportError as error:
            error.reason.encode()
            return
        finally:
            server.close()
            await carrier.close()
        asked_to_wait(response.headers, datetime.now(UTC)).header.encode()
        pace = Pace()
        pace.learn(response.headers, 0.0)
        (pace.held_by + pace.unbelieved).encode()

    asyncio.run(main())


ODD = [
    b"[" * 100_000 + b"]" * 100_000, b"1" * 5000, b"\xff\xfe\x00", b"\x00", b'"\\ud800"', b"null",
    json.dumps(chat("half \ud83d")).encode(),
    json.dumps(chat("x")).replace('"x"', "[" * 900 + "]" * 900).encode(),
    json.dumps(chat("x", usage={"prompt_tokens": 10**30})).encode(),
]  # fmt: skip
READ = [
    json.dumps(chat("x", created=10**400)).encode(),
    json.dumps(chat("a\0b")).encode(),
    json.dumps(chat("x", created=float("nan"))).encode(),
]
"""odd, and yet their text is whole"""


def test_an_answer_that_is_odd_in_any_way_is_a_rejected_row_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("mashbill.client.retries._BACKOFF", 0.001)

    def answer(handler, path, data):
        number = int(json.loads(data)["messages"][-1]["content"].rsplit(" ", 1)[1])
        handler.reply(200, (ODD + READ)[number])

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url), rows=len(ODD) + len(READ))
        store, _ = run(path, tmp_path / "s")
    rejected = rows_of(store, "out", "rejected")
    assert [row["text"] for row in rows_of(store, "out")] == ["x", "a\ufffdb", "x"]
    assert len(rejected) == len(ODD)
    assert all(row["_reason"] and row["_reason"].isprintable() for row in rejected)


@pytest.mark.few(6)
@pytest.mark.parametrize("key", ["id", "model"])
@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 7, 10**30, True, "a\0b", "x" * 9000])
def test_what_an_answer_says_beside_its_text_loses_none(tmp_path, key, value):
    def answer(handler, *_):
        handler.reply(200, json.dumps({**chat("well"), key: value}).encode())

    with Service(answer) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url), rows=1)
        store, _ = run(path, tmp_path / "s")
    assert [row["text"] for row in rows_of(store, "out")] == ["well"]
