"""A service on loopback that behaves in many ways, a gateway before it, and clients."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from mashbill.conduct.events import Hashes
from mashbill.conduct.gateway.running import Gateway
from mashbill.conduct.gateway.settings import Settings
from mashbill.conduct.scan.engine import Advice

HASHES = Hashes(b"k" * 32)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Say something about rivers."}]}
ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "They flow.", "reasoning": "Hm."}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}  # fmt: skip

USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
SAID = {"id": "m1", "type": "message", "role": "assistant"}
OF_PATH = {
    "/v1/chat/completions": ANSWER,
    "/v1/models": {"object": "list", "data": [
        {"id": "m", "object": "model", "created": 1, "owned_by": "o"}]},
    "/v1/embeddings": {"object": "list", "model": "m", "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1}},
    "/v1/responses": {"id": "r1", "object": "response", "created_at": 1, "model": "m",
        "status": "completed", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": USAGE, "output": [{**SAID, "status": "completed", "content": [
            {"type": "output_text", "text": "They flow.", "annotations": []}]}]},
    "/v1/messages": {**SAID, "model": "m", "stop_reason": "end_turn", "usage": USAGE,
        "content": [{"type": "text", "text": "They flow."}]},
    "/v1/messages/count_tokens": {"input_tokens": 7},
}  # fmt: skip


def _sse(*values):
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() if "type" in each
            else f"data: {json.dumps(each)}\n\n".encode() for each in values]  # fmt: skip


def _chunk(text):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    whole = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**whole, "choices": [choice]}


def _delta(text):
    return {"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": text}}  # fmt: skip


STREAMS = {
    "/v1/chat/completions": [*_sse(_chunk("Hello"), _chunk(" world")), b"data: [DONE]\n\n"],
    "/v1/messages": _sse(
        {"type": "message_start", "message": {**SAID, "model": "m", "content": [],
                                              "usage": USAGE, "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        _delta("Hello"), _delta(" world"), {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ),
}  # fmt: skip


@dataclass
class Engine:
    """An engine that holds what a test says, and fails when a test says so."""

    held: dict[bytes, Advice] = field(default_factory=dict)
    batches: list = field(default_factory=list)
    fails: bool = False
    waits: threading.Event | None = None

    def observe(self, batch):
        if self.waits is not None:
            self.waits.wait(20)
        if self.fails:
            msg = "told to"
            raise RuntimeError(msg)
        self.batches.append(batch)

    def advice(self, account):
        if self.fails:
            msg = "told to"
            raise RuntimeError(msg)
        return self.held.get(account, Advice())

    @property
    def rows(self):
        return [row for batch in self.batches for row in batch.to_pylist()]


@dataclass
class Upstream:
    """A service; how it answers is in the header ``how`` of a request."""

    port: int = 0
    asked: list = field(default_factory=list)
    cancelled: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    body: bytes = json.dumps(ANSWER).encode()
    kind: str = "application/json"
    parts: list = field(default_factory=list)
    by_path: bool = False
    """whether it answers in the format of the path's API"""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request):
        data = b""
        while part := await request.content.readany():
            data += part
        self.asked.append((request.method, request.raw_path, request.headers.copy(), data))
        how = request.headers.get("how", "well")
        path = request.raw_path.partition("?")[0]
        if self.by_path:
            self.body = json.dumps(OF_PATH[path]).encode()
            self.parts = STREAMS.get(path, [])
        try:
            return await getattr(self, how)(request, data)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def well(self, _request, _data):
        return web.Response(body=self.body, content_type=self.kind)

    async def echo(self, _request, data):
        return web.Response(body=data, content_type="application/octet-stream")

    async def stream(self, request, _data):
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        for part in self.parts:
            await out.write(part)
            await asyncio.sleep(0)
        await out.write_eof()
        return out

    async def steps(self, request, _data):
        """Write one event, and the next only when the test has seen the first."""
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        await out.write(b'data: {"n": 1}\n\n')
        await self.gate.wait()
        await out.write(b'data: {"n": 2}\n\n')
        await out.write_eof()
        return out

    async def slow(self, request, data):
        await self.gate.wait()
        return await self.well(request, data)

    async def stalls(self, request, _data):
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        await out.write(b"data: 1\n\n")
        await asyncio.sleep(30)
        return out

    async def dies(self, request, _data):
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        await out.write(b"data: 1\n\n")
        await asyncio.sleep(0.05)
        request.transport.abort()
        return out

    async def short(self, request, _data):
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{"
        )
        request.transport.close()
        await asyncio.sleep(1)

    async def closes(self, request, _data):
        request.transport.abort()
        await asyncio.sleep(1)

    async def nonsense(self, request, _data):
        request.transport.write(b"\x00\xff this is no HTTP\r\n\r\n")
        request.transport.close()
        await asyncio.sleep(1)

    async def huge(self, request, _data):
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n"
        )
        await asyncio.sleep(1)

    async def latin(self, request, _data):
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nX-Even: yes\r\nContent-Length: 2\r\n\r\nok"
        )
        request.transport.close()
        await asyncio.sleep(1)

    async def limited(self, _request, _data):
        headers = {"Retry-After": "7", "x-ratelimit-limit-requests": "5"}
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)

    async def broken(self, _request, _data):
        return web.Response(status=500, text="<html>oh</html>", content_type="text/html")

    async def packed(self, _request, _data):
        return web.Response(
            body=gzip.compress(self.body), content_type=self.kind,
            headers={"Content-Encoding": "gzip", "Server": "theirs", "Connection": "X-Hop",
                     "X-Hop": "1", "Keep-Alive": "timeout=5", "X-End": "2"},
        )  # fmt: skip


@asynccontextmanager
async def upstream():
    """Serve an upstream; yields it."""
    found = Upstream()
    server = web.Server(found.answer, handler_cancellation=True, access_log=None,
                        auto_decompress=False)  # fmt: skip
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.gate.set()
        listener.close()
        await server.shutdown(0.1)


@dataclass
class Running:
    """A gateway that runs, before a service."""

    gateway: Gateway
    port: int
    admin: int | None
    up: Upstream
    engine: Engine
    session: aiohttp.ClientSession

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path="/v1/chat/completions", *, method="POST", body=CHAT, how="", **headers):
        """Return a request that is to be awaited."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(
            method, self.address + path, data=data,
            headers={"Content-Type": "application/json", "Authorization": "Bearer sk-1", **sent}
            | ({"how": how} if how else {}),
        )  # fmt: skip

    async def events(self, number=1):
        """Return the rows that the engine took, once there are so many."""
        for _ in range(400):
            if len(self.engine.rows) >= number:
                return self.engine.rows
            await asyncio.sleep(0.01)
        msg = f"{len(self.engine.rows)} events, not {number}"
        raise AssertionError(msg)


@asynccontextmanager
async def running(scorer=None, engine=None, **settings):
    """Run a gateway before a service; yields both."""
    engine = engine or Engine()
    async with upstream() as up:
        times = {"drain": 2, "hand_over": 0.001, **settings.pop("times", {})}
        more = {"listen": {"port": 0}, "admin": {"port": 0}, "times": times, **settings}
        told = Settings.model_validate({"upstream": up.address, **more})
        gateway = Gateway(told, engine=engine, scorer=scorer, hashes=HASHES)
        bound = await gateway.start()
        session = aiohttp.ClientSession(auto_decompress=False)
        try:
            yield Running(gateway, bound.port, bound.admin_port, up, engine, session)
        finally:
            await session.close()
            await gateway.end()


async def until(holds):
    """Wait until something holds, for four seconds at most."""
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.01)
    msg = "it does not come to hold"
    raise AssertionError(msg)


async def raw(port, text):
    """Return all that comes back for bytes that no client would write."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    found = await reader.read()
    writer.close()
    return found


def alone(work, seconds=60):
    """Run a coroutine function to its end, within a bound."""

    async def bounded():
        async with asyncio.timeout(seconds):
            await work()

    asyncio.run(bounded())
