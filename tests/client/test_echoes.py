"""A server that says the key where text is cut, quoted or read in another encoding."""

import asyncio
import json
import socket
import threading
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.client.scrubbing import GONE, Scrubber
from mashbill.client.transport import LARGEST_ERROR, Carrier, TransportError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

KEY = "sk-SECRET0123456789abcdefghijKLMNOPQRSTUvwxyz"
OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CODES = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
CASES = {"as it is": str, "small": str.lower, "large": str.upper, "other": str.swapcase}


def error(said, status=b"400 Bad Request"):
    return b"HTTP/1.1 " + status + b"\r\n" + JSON % len(said) + said


PLACES = {
    "encoding": lambda pad, key: OK + b"Content-Encoding: " + pad + key + b"\r\n\r\nx",
    "header": lambda pad, key: OK + b"X-Is: " + pad + key + b"\r\nContent-Length: 1\r\n\r\nx",
    "bad header": lambda pad, key: OK + b"Bad Header " + pad + key + b": v\r\n\r\n",
    "status": lambda pad, key: b"HTTP/1.1 " + pad + key + b"\r\n\r\n",
    "no http": lambda pad, key: pad + key + b"\r\n\r\n",
    "chunk": lambda pad, key: OK + b"Transfer-Encoding: chunked\r\n\r\nz" + pad + key + b"\r\n",
    "length": lambda pad, key: OK + b"Content-Length: 9" + pad + key + b"\r\n\r\n",
    "error": lambda pad, key: error(pad + key),
    "long error": lambda pad, key: error(b" " * (LARGEST_ERROR - 20) + pad[:20] + key + b"!" * 40),
}


def told(raw, cut):
    """Return what comes of a response whose first bytes come a little before the rest."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        at, _ = server.accept()
        at.recv(65536)
        at.sendall(raw[:cut])
        time.sleep(0.003 if cut else 0)
        at.sendall(raw[cut:])
        at.close()

    async def ask():
        carrier = Carrier(1, {}, Scrubber([KEY]))
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        try:
            got = await carrier.send("POST", url, {"Authorization": f"Bearer {KEY}"}, b"x")
            return f"{dict(got.headers)} ", got.body
        except TransportError as caught:
            return f"{caught} {caught.reason}", b""
        finally:
            await carrier.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with server:
        try:
            return asyncio.run(asyncio.wait_for(ask(), 10))
        finally:
            thread.join(10)


def pieces(text):
    """Return the pieces of the key that stand in text, in any case."""
    bare = text.replace("\0", "").replace("\\x00", "").lower()
    small = KEY.lower()
    return [small[at : at + 12] for at in range(len(small) - 11) if small[at : at + 12] in bare]


@law(150)
@given(
    st.sampled_from(sorted(PLACES)),
    st.integers(0, 300),
    st.sampled_from(sorted(CASES)),
    st.sampled_from(CODES),
    st.integers(0, 400),
)
@example("bad header", 127, "as it is", "utf-8", 0)
@example("bad header", 100, "as it is", "utf-8", 150)
@example("encoding", 30, "as it is", "utf-8", 0)
@example("error", 0, "as it is", "utf-32", 0)
@example("long error", 0, "small", "utf-8", 0)
def test_no_piece_of_a_key_is_told_wherever_a_server_says_it(place, pad, case, code, cut):
    key = CASES[case](KEY).encode(code)
    said, body = told(PLACES[place](b"x" * pad, key), cut)
    assert pieces(said) == []
    assert pieces(body.decode("latin-1")) == []


@law(60)
@given(
    st.sampled_from(CODES),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
    st.booleans(),
)
def test_an_answer_in_any_encoding_of_json_is_whole_and_without_the_key(code, around, ascii_only):
    whole = {"content": f"{around}{KEY}{around}", "n": [1]}
    body = json.dumps(whole, ensure_ascii=ascii_only).encode(code)
    read = json.loads(Scrubber([KEY]).data(body))
    assert read == {"content": f"{around}{GONE}{around}".replace("\0", ""), "n": [1]} or (
        "\0" in around and pieces(read["content"]) == []
    )
    other = json.dumps({"content": around}, ensure_ascii=ascii_only).encode(code)
    assert Scrubber([KEY]).data(other) == other
