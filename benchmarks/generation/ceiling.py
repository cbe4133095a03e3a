"""How fast the server can be: raw sockets on the other core, requests made beforehand."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from typing import Any
from urllib.request import Request, urlopen

import uvloop
from common import MODEL, prompt


class Sender(asyncio.Protocol):
    """Sends the next request once the reply to the last is whole."""

    def __init__(self, requests: Any, done: asyncio.Event, left: list[int]) -> None:
        self.requests = requests
        self.done = done
        self.left = left
        self.size = 0
        self.got = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send the next request, if there is one."""
        request = next(self.requests, None)
        if request is not None:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self.size:
            end = data.find(b"\r\n\r\n")
            found = data.find(b"content-length: ")
            self.size = end + 4 + int(data[found + 16 : data.find(b"\r", found)])
        self.got += len(data)
        if self.got < self.size:
            return
        self.size = self.got = 0
        self.left[0] -= 1
        if not self.left[0]:
            self.done.set()
        self.send()


async def run(host: str, port: int, requests: list[bytes], connections: int) -> float:
    """Send all; return the seconds that it took."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    left = [len(requests)]
    feed = iter(requests)
    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Sender(feed, done, left), host, port)
    await done.wait()
    return time.perf_counter() - started


def main() -> None:
    """Print requests a second, and how many the server could answer by its own processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--core", type=int)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    requests = []
    for row in range(given.rows):
        body = {"model": MODEL, "messages": [{"role": "user", "content": prompt(row)}]}
        text = json.dumps(body).encode()
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
            b"Authorization: Bearer x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n"
        )
        requests.append(head % len(text) + text)
    base = f"http://127.0.0.1:{given.port}"
    with urlopen(Request(f"{base}/reset", method="POST")):  # noqa: S310 - loopback
        pass
    used = time.process_time()
    seconds = uvloop.run(run("127.0.0.1", given.port, requests, given.connections))
    used = time.process_time() - used
    with urlopen(f"{base}/stats") as reply:  # noqa: S310 - loopback
        stats = json.load(reply)
    print(
        json.dumps(
            {
                "requests_a_second": round(given.rows / seconds),
                "by_the_server's_processor_time": round(given.rows / stats["cpu_s"]),
                "by_the_sender's_processor_time": round(given.rows / used),
                "connections": given.connections,
                "distinct": stats["distinct"],
                "server_rss_mib": round(stats["rss_mib"]),
            }
        )
    )


if __name__ == "__main__":
    main()
