"""Which HTTP client to build on: processor time a request, by library and protocol version.

Each client asks one server 900 times, 32 at once, the body and the reply as in W1. What is compared
is the client's own processor time, since the server (hypercorn, which speaks both versions) is
slower. It needs an environment of its own, .venvs/http2, with aiohttp, uvloop, httpx2[http2] and
hypercorn.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import uvloop

ROWS, AT_ONCE, REPEATS = 900, 32, 7  # the server ends a connection after a thousand
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "word " * 60}]}).encode()
REPLY = json.dumps({"choices": [{"message": {"content": "word " * 90}}], "usage": {}}).encode()
HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}
APP = """
REPLY = %r
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": REPLY})
"""


async def all_of(ask: Any) -> None:
    """Ask as often as is wanted, so many at once."""
    todo = iter(range(ROWS))

    async def worker() -> None:
        for _ in todo:
            if len(await ask()) != len(REPLY):
                msg = "another reply"
                raise SystemExit(msg)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def by_aiohttp(url: str, context: Any) -> None:
    """HTTP/1.1."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> bytes:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                return await response.read()

        await all_of(ask)


def by_httpx(*, http2: bool) -> Any:
    """HTTP/1.1 or HTTP/2."""

    async def run(url: str, context: Any) -> None:
        limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        async with httpx2.AsyncClient(
            http1=not http2, http2=http2, limits=limits, verify=context, timeout=60
        ) as client:

            async def ask() -> bytes:
                response = await client.post(url, content=BODY, headers=HEADERS)
                if response.http_version != ("HTTP/2" if http2 else "HTTP/1.1"):
                    raise SystemExit(response.http_version)
                return response.content

            await all_of(ask)

    return run


CLIENTS = {
    "aiohttp, HTTP/1.1": by_aiohttp,
    "httpx2, HTTP/1.1": by_httpx(http2=False),
    "httpx2, HTTP/2": by_httpx(http2=True),
}


def main() -> None:
    """Measure side by side, and print."""
    import ssl

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP % (REPLY, len(REPLY)))
        subprocess.run(
            ["/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        server = subprocess.Popen(
            [sys.executable, "-m", "hypercorn", "app:app", "--bind", "127.0.0.1:8991",
             "--certfile", "cert.pem", "--keyfile", "key.pem", "--keep-alive", "60"], cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(3)
            found: dict[str, list[float]] = {client: [] for client in CLIENTS}
            for _ in range(REPEATS):
                for client, run in CLIENTS.items():
                    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
                    began = time.process_time()
                    uvloop.run(run("https://localhost:8991/v1/chat/completions", context))
                    found[client].append(1000 * (time.process_time() - began) / ROWS)
        finally:
            server.terminate()
            server.wait()
    least = statistics.median(found["aiohttp, HTTP/1.1"])
    for client, times in found.items():
        told = statistics.median(times)
        print(
            f"{client:20} {told:.3f} ms a request ({min(times):.3f} to {max(times):.3f}), "
            f"{told / least:.1f} times aiohttp"
        )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "transports.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
