"""A fake OpenAI server on one core: replies and faults follow from SHA-256 of the prompt."""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import math
import os
import resource
import time
from collections import Counter, deque
from statistics import NormalDist
from typing import Any
from urllib.parse import parse_qs

import uvloop
from common import END, FILLER, JUDGE, yes

try:
    from orjson import loads
except ImportError:
    from json import loads

MODES = (
    "zero",
    "ms50",
    "lognormal",
    "r429",
    "e500",
    "hang",
    "bucket600",
    "storm",
    "schema5",
)
SIGMA = math.log(6 / 0.4) / NormalDist().inv_cdf(0.99)
STORM_IN_FLIGHT = 64
STORM_LATENCY = 0.05
# What tools ask to see whether a server is there, or does schemas: answered, and not counted.
PROBES = {
    "Hello!": b"Hello!",
    "Jason is 25 years old.": b'{\\"name\\": \\"Jason\\", \\"age\\": 25}',
}
CREATED = 1_790_000_000
END_OF_HEAD = b"\r\n\r\n"
LIMITS = (
    b"x-ratelimit-limit-requests: 100000000\r\n"
    b"x-ratelimit-limit-tokens: 1000000000000\r\n"
    b"x-ratelimit-remaining-requests: 99999999\r\n"
    b"x-ratelimit-remaining-tokens: 999999999999\r\n"
    b"x-ratelimit-reset-requests: 1ms\r\n"
    b"x-ratelimit-reset-tokens: 1ms\r\n"
)
FILLER_BYTES = FILLER.encode()
FILLER_TOKENS = (65 + len(FILLER)) // 4
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REASON = {
    200: b"200 OK",
    400: b"400 Bad Request",
    404: b"404 Not Found",
    429: b"429 Too Many Requests",
    500: b"500 Internal Server Error",
}
HEAD = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b\r\n%b"
CHAT = (
    b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":"%b","choices":[{'
    b'"index":0,"message":{"role":"assistant","content":"%b","refusal":null},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,'
    b'"total_tokens":%d},"system_fingerprint":"fp_fake"}'
)
TOOL = (
    b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":"%b","choices":[{'
    b'"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":'
    b'"call_1","type":"function","function":{"name":"%b","arguments":"%b"}}]},"logprobs":null,'
    b'"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,'
    b'"total_tokens":%d},"system_fingerprint":"fp_fake"}'
)
COMPLETION = (
    b'{"id":"cmpl-%b","object":"text_completion","created":%d,"model":"%b","choices":[{'
    b'"index":0,"text":"%b","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,'
    b'"completion_tokens":%d,"total_tokens":%d}}'
)


def envelope(status: int, body: bytes, headers: bytes = b"", *, close: bool = False) -> bytes:
    """Return a response in the bytes of HTTP/1.1."""
    last = b"connection: close\r\n" if close else b""
    return HEAD % (REASON[status], len(body), headers, last, body)


def error(status: int, kind: str, message: str, headers: bytes = b"") -> tuple[int, bytes, bytes]:
    """Return an error as OpenAI writes them."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    return status, json.dumps(body).encode(), headers


def first_user_message(request: dict[str, Any]) -> str | None:
    """Return the text of the first message of the user: where a tool asks again, it stays."""
    messages = request.get("messages")
    if messages is None:
        given = request.get("prompt")
        if isinstance(given, list):
            given = given[0] if given else None
        return given if isinstance(given, str) else None
    for message in messages:
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return "".join(part.get("text", "") for part in content)
            return content
    return None


class World:
    """The mode, what was asked and what was answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, mode: str, burst: int) -> None:
        self.loop = loop
        self.burst = burst
        self.epoch = 0
        self.connections = 0
        self.open_connections = 0
        self.models: dict[Any, bytes] = {}
        self.reset(mode)

    def reset(self, mode: str) -> None:
        """Forget all counts, and answer by this mode from now on."""
        self.mode = mode
        self.epoch += 1
        self.requests = 0
        self.probes = 0
        self.in_flight = 0
        self.peak_in_flight = 0
        self.abandoned = 0
        self.hung = 0
        self.connections = self.open_connections
        self.peak_connections = self.open_connections
        self.bought: dict[bytes, int] = {}
        self.lost: Counter[bytes] = Counter()
        self.attempts: dict[bytes, int] = {}
        self.statuses: Counter[int] = Counter()
        self.tokens = float(self.burst)
        self.filled_at = self.loop.time()
        self.first_at = 0.0
        self.last_at = 0.0
        self.cpu_at_reset = time.process_time()

    def stats(self) -> dict[str, Any]:
        """Return the counts."""
        counts = self.bought
        if self.lost:
            counts = {
                key: left for key, n in self.bought.items() if (left := n - self.lost[key]) > 0
            }
        answered = sum(counts.values())
        bought = sum(self.bought.values())
        return {
            "mode": self.mode,
            "requests": self.requests,
            "answered": answered,
            "distinct": len(counts),
            "duplicates": answered - len(counts),
            "duplicate_prompts": sum(1 for n in counts.values() if n > 1),
            "bought": bought,
            "bought_twice": bought - len(self.bought),
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "hung": self.hung,
            "abandoned": self.abandoned,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "connections": self.connections,
            "open_connections": self.open_connections,
            "peak_connections": self.peak_connections,
            "probes": self.probes,
            "first_to_last_s": self.last_at - self.first_at,
            "cpu_s": time.process_time() - self.cpu_at_reset,
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    def take(self) -> tuple[bool, bytes]:
        """Take a token of the bucket; return whether there was one, and the headers that tell."""
        now = self.loop.time()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * 10)
        self.filled_at = now
        enough = self.tokens >= 1
        if enough:
            self.tokens -= 1
        left = max(0, int(self.tokens))
        headers = (
            b"x-ratelimit-limit-requests: 600\r\nx-ratelimit-limit-tokens: 1000000000000\r\n"
            b"x-ratelimit-remaining-requests: %d\r\nx-ratelimit-remaining-tokens: 999999999999\r\n"
            b"x-ratelimit-reset-requests: %.3fs\r\nx-ratelimit-reset-tokens: 1ms\r\n"
        ) % (left, (self.burst - self.tokens) / 10)
        if not enough:
            headers += b"retry-after: 1\r\n"
        return enough, headers

    def model(self, name: Any) -> bytes:
        """Return a model's name as the inside of a JSON string."""
        found = self.models.get(name)
        if found is None:
            found = self.models[name] = json.dumps(str(name))[1:-1].encode()
        return found

    def ask(
        self, body: bytes, *, chat: bool
    ) -> tuple[int, bytes, bytes, float | None, bytes | None]:
        """Return status, body, headers, seconds to wait (None: for ever), and the prompt's key."""
        try:
            request = loads(body)
            text = first_user_message(request)
        except (ValueError, AttributeError, TypeError):
            request, text = {}, None
        if text is None:
            self.probes += 1
            return *error(400, "invalid_request_error", "no message of a user", LIMITS), 0, None
        if text in PROBES:
            self.probes += 1
            name = self.model(request.get("model"))
            made = (CHAT if chat else COMPLETION) % (b"probe", CREATED, name, PROBES[text], 1, 1, 2)
            return 200, made, LIMITS, 0, None
        self.requests += 1
        end = text.find(END)
        whole = hashlib.sha256((text if end < 0 else text[:end]).encode())
        key = whole.digest()
        mode = self.mode
        headers = LIMITS
        wait = 0.0
        attempt = 0
        if mode != "zero":
            if mode == "ms50":
                wait = 0.05
            elif mode == "lognormal":
                share = (int.from_bytes(key[16:22]) + 0.5) / 2**48
                wait = 0.4 * math.exp(SIGMA * NormalDist().inv_cdf(share))
            else:
                attempt = self.attempts.get(key, 0)
                self.attempts[key] = attempt + 1
                draw = int.from_bytes(key[8:12]) % 10_000
                if mode == "r429" and attempt == 0 and draw < 100:
                    held = b"retry-after: 1\r\n"
                    return *error(429, "rate_limit_exceeded", "slow down", LIMITS + held), 0, None
                if mode == "e500" and attempt == 0 and draw < 50:
                    return *error(500, "server_error", "a fault", LIMITS), 0, None
                if mode == "hang" and attempt == 0 and draw < 10:
                    self.hung += 1
                    return 0, b"", b"", None, None
                if mode == "bucket600":
                    enough, headers = self.take()
                    if not enough:
                        return *error(429, "rate_limit_exceeded", "over 600", headers), 0, None
                elif mode == "storm":
                    if self.in_flight > STORM_IN_FLIGHT and key[attempt % 32] & 1:
                        held = b"retry-after: 1\r\n"
                        return *error(429, "rate_limit_exceeded", "storm", LIMITS + held), 0, None
                    wait = STORM_LATENCY
        name = whole.hexdigest().encode()
        if text.startswith(JUDGE):
            said, tokens = (b"yes" if yes(key) else b"no"), 1
        elif mode == "schema5":
            if attempt == 0 and draw < 500:
                said, tokens = b'{\\"name\\": \\"%b\\", \\"score\\": ' % name[:16], 12
            else:
                said = b'{\\"name\\": \\"%b\\", \\"score\\": %d}' % (name[:16], key[0])
                tokens = 13
        else:
            said, tokens = b"%b %b" % (name, FILLER_BYTES), FILLER_TOKENS
        self.bought[key] = self.bought.get(key, 0) + 1
        asked = len(text) // 4 + 1
        model = self.model(request.get("model", "fake-1"))
        if mode == "schema5" and request.get("tools"):
            called = self.model(request["tools"][0]["function"]["name"])
            template, middle = TOOL, (model, called, said)
        else:
            template, middle = CHAT if chat else COMPLETION, (model, said)
        made = template % (
            name[:24],
            CREATED,
            *middle,
            asked,
            tokens,
            asked + tokens,
        )
        return 200, made, b"x-request-id: req_%b\r\n%b" % (name[:24], headers), wait, key


class Slot:
    """One response that is not written yet; those of a connection are written in order."""

    __slots__ = ("close", "data", "epoch", "key", "timer")

    def __init__(self, data: bytes | None, key: bytes | None, epoch: int, close: bool) -> None:
        self.data = data
        self.key = key
        self.epoch = epoch
        self.close = close
        self.timer: asyncio.TimerHandle | None = None


class Connection(asyncio.Protocol):
    """One connection: parses requests, also pipelined ones, and writes the replies in order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.buffer = b""
        self.slots: deque[Slot] = deque()
        self.continued = False
        self.closing = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        world = self.world
        world.connections += 1
        world.open_connections += 1
        world.peak_connections = max(world.peak_connections, world.open_connections)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        world = self.world
        world.open_connections -= 1
        for slot in self.slots:
            if slot.timer is not None:
                slot.timer.cancel()
            if slot.epoch == world.epoch:
                world.in_flight -= 1
                if slot.key is not None:
                    world.abandoned += 1
                    world.lost[slot.key] += 1
        self.slots.clear()

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        at = 0
        out: list[bytes] = []
        while not self.closing:
            end = data.find(END_OF_HEAD, at)
            if end < 0:
                break
            head = data[at:end]
            low = head.lower()
            start = end + 4
            found = low.find(b"\r\ncontent-length:")
            if found >= 0:
                stop = low.find(b"\r", found + 17)
                size = int(low[found + 17 : stop if stop >= 0 else len(low)])
                if len(data) - start < size:
                    self._continue(low, len(data) > start)
                    break
                body, after = data[start : start + size], start + size
            elif low.find(b"\r\ntransfer-encoding:") >= 0:
                parsed = self._chunks(data, start)
                if parsed is None:
                    self._continue(low, len(data) > start)
                    break
                body, after = parsed
            else:
                body, after = b"", start
            self.continued = False
            at = after
            close = low.find(b"\r\nconnection: close") >= 0 or (
                b" http/1.0\r\n" in low[: low.find(b"\r\n") + 2]
                and low.find(b"\r\nconnection: keep-alive") < 0
            )
            self._serve(head, body, close, out)
        self.buffer = data[at:] if at else data
        if out:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self.closing and not self.slots:
            self.transport.close()

    def _continue(self, low: bytes, sending: bool) -> None:
        if not self.continued and b"\r\nexpect: 100-continue" in low and not sending:
            self.continued = True
            self.transport.write(CONTINUE)

    @staticmethod
    def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
        parts = []
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                return None
            size = int(data[at:end].split(b";")[0], 16)
            at = end + 2
            if size == 0:
                while True:  # trailers, and the empty line
                    end = data.find(b"\r\n", at)
                    if end < 0:
                        return None
                    if end == at:
                        return b"".join(parts), at + 2
                    at = end + 2
            if len(data) < at + size + 2:
                return None
            parts.append(data[at : at + size])
            at += size + 2

    def _serve(self, head: bytes, body: bytes, close: bool, out: list[bytes]) -> None:
        world = self.world
        wait: float | None = 0.0
        key = None
        if close:
            self.closing = True
        if head.startswith(b"POST /v1/chat/completions"):
            status, made, headers, wait, key = world.ask(body, chat=True)
        elif head.startswith(b"POST /v1/completions"):
            status, made, headers, wait, key = world.ask(body, chat=False)
        else:
            status, made, headers = self._other(head, body)
            if not self.slots:
                out.append(envelope(status, made, headers, close=close))
                return
            self.slots.append(Slot(envelope(status, made, headers, close=close), None, -1, close))
            return
        now = world.loop.time()
        if not world.first_at:
            world.first_at = now
        world.last_at = now
        if wait == 0 and not self.slots:
            world.statuses[status] += 1
            out.append(envelope(status, made, headers, close=close))
            return
        world.in_flight += 1
        world.peak_in_flight = max(world.peak_in_flight, world.in_flight)
        slot = Slot(None, key, world.epoch, close)
        self.slots.append(slot)
        if wait is None:
            return
        data = envelope(status, made, headers, close=close)
        if wait == 0:
            slot.data = data
            world.statuses[status] += 1
        else:
            slot.timer = world.loop.call_later(wait, self._ready, slot, status, data)

    def _ready(self, slot: Slot, status: int, data: bytes) -> None:
        slot.data = data
        slot.timer = None
        world = self.world
        if slot.epoch == world.epoch:
            world.statuses[status] += 1
        while self.slots and (ready := self.slots[0].data) is not None:
            first = self.slots.popleft()
            self.transport.write(ready)
            if first.epoch == world.epoch:
                world.in_flight -= 1
                world.last_at = world.loop.time()
        if self.closing and not self.slots:
            self.transport.close()

    def _other(self, head: bytes, body: bytes) -> tuple[int, bytes, bytes]:
        method, target = head.split(b"\r\n", 1)[0].decode().split(" ")[:2]
        path, _, query = target.partition("?")
        world = self.world
        if path == "/v1/v1/models":  # where datatrove looks when the base URL ends in /v1
            path = "/v1/models"
        if path == "/v1/models" or path.startswith("/v1/models/"):
            one = {"id": "fake-1", "object": "model", "created": CREATED, "owned_by": "nobody"}
            found = {"object": "list", "data": [one]} if path == "/v1/models" else one
            return 200, json.dumps(found).encode(), b""
        if path == "/stats":
            return 200, json.dumps(world.stats()).encode(), b""
        if path == "/reset" and method == "POST":
            mode = parse_qs(query).get("mode", [None])[0]
            if mode is None and body:
                mode = json.loads(body).get("mode")
            mode = mode or world.mode
            if mode not in MODES:
                return error(400, "invalid_request_error", f"no mode {mode}")
            world.reset(mode)
            return 200, json.dumps(world.stats()).encode(), b""
        return error(404, "not_found", target)


async def serve(given: argparse.Namespace) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    world = World(loop, given.mode, given.burst)
    server = await loop.create_server(
        lambda: Connection(world), "127.0.0.1", given.port, backlog=4096
    )
    port = server.sockets[0].getsockname()[1]
    # A name of this machine that datatrove does not take for the local one.
    await loop.create_server(lambda: Connection(world), "127.0.0.2", port, backlog=4096)
    print(json.dumps({"port": port, "mode": given.mode}), flush=True)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    await server.serve_forever()


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any; the first line says which")
    parser.add_argument("--mode", choices=MODES, default="zero")
    parser.add_argument("--core", type=int, help="the one core to run on")
    parser.add_argument("--burst", type=int, default=600, help="size of bucket600's bucket")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(serve(given))


if __name__ == "__main__":
    main()
