"""A run of a million steps against a server that does everything to a client, and watches it.

The server counts breaches by itself, from what arrives: a request before its Retry-After has
passed, a request tried on another key, another User-Agent, a cookie or sealed reasoning handed
back, more in flight than was said, a prompt asked again once it was answered whole.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import urlopen

HERE = Path(__file__).parent
RUN = "from mashbill.cli import main; main()"
CONCURRENCY = 64
HOLD = 0.4  # seconds of a Retry-After
IN_FLIGHT = 0.15  # of these, in which requests may arrive that were sent before it was read
RECIPE = """
[recipe]
name = "hostile"
version = "1"
[teachers.t]
kind = "server"
model = "hostile-1"
base_url = "{url}/v1"
license = "MIT"
concurrency = {concurrency}
timeout = 3
[stages.prompts]
kind = "corpus"
title = "prompts"
origin = "own-dataset"
source = "prompts.jsonl"
text = "prompt"
[stages.out]
kind = "generate"
input = "prompts"
teacher = "t"
"""
ACCOUNTS = """
contact = "benchmark@example.org"
[accounts.main]
service = "server"
base_url = "{url}/v1"
keys_env = ["HOSTILE_ONE", "HOSTILE_TWO"]
organisation = "Example"
"""
SEALED = "c2VhbGVkLXJlYXNvbmluZw"
# Faults of a prompt's first attempt, of a million prompts.
FAULTS: dict[str, int] = {
    "429-seconds": 60, "429-date": 10, "429-milliseconds": 60, "429-silent": 10, "429-absurd": 20,
    "503-held": 40, "200-limited": 20, "window-empty": 40,
    "500": 2000, "502-html": 2000, "529": 500, "hang": 30, "cut": 2000, "hang-up": 2000,
    "not-utf8": 2000, "half-json": 2000, "empty": 1000, "200-error": 2000, "html": 1000,
    "deep": 500, "surrogate": 500, "huge-number": 500, "null-choices": 1000, "list": 500,
    "strange-headers": 2000, "two-lengths": 0, "slow": 20_000, "chunked": 20_000,
    "reasoning": 20_000, "cookie": 20_000, "closes": 5_000, "400": 500, "422": 500,
}  # fmt: skip
DAMAGED = frozenset({
    "cut", "hang-up", "not-utf8", "half-json", "empty", "200-error", "html", "deep",
    "surrogate", "huge-number", "null-choices", "list", "hang",
})  # fmt: skip


def chat(text: str, **more: Any) -> bytes:
    """Return a whole answer."""
    body = {
        "id": "c", "object": "chat.completion", "model": "hostile-1",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": text, **more}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 32},
    }  # fmt: skip
    return json.dumps(body).encode()


class World:
    """What was asked and answered, and every breach."""

    def __init__(self) -> None:
        self.attempts: dict[bytes, int] = {}
        self.answered: set[bytes] = set()
        self.key_of: dict[bytes, bytes] = {}
        self.agents: Counter[bytes] = Counter()
        self.keys: Counter[bytes] = Counter()
        self.faults: Counter[str] = Counter()
        self.breaches: Counter[str] = Counter()
        self.examples: list[str] = []
        self.requests = self.in_flight = self.peak = 0
        self.holds: list[tuple[float, float]] = []

    def breach(self, what: str, detail: str = "") -> None:
        """Note a breach."""
        self.breaches[what] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{what}: {detail}")

    def hold(self, now: float, seconds: float) -> None:
        """Let nothing come until then, but what was on its way."""
        self.holds.append((now + IN_FLIGHT, now + seconds))
        self.holds = [one for one in self.holds if one[1] > now]

    def check(self, now: float, head: bytes, body: bytes, key: bytes) -> None:
        """Hold a request to every rule."""
        self.requests += 1
        self.peak = max(self.peak, self.in_flight)
        if self.in_flight > CONCURRENCY:
            self.breach("more in flight than was said", str(self.in_flight))
        for begins, ends in self.holds:
            if begins < now < ends:
                self.breach("before its Retry-After", f"{ends - now:.3f} s early")
                break
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        agent = fields.get(b"user-agent", b"")
        self.agents[agent] += 1
        if len(self.agents) > 1 or b"benchmark@example.org; run=" not in agent:
            self.breach("another User-Agent", agent.decode("latin-1"))
        secret = fields.get(b"authorization", b"")
        self.keys[secret] += 1
        if self.key_of.setdefault(key, secret) != secret:
            self.breach("a request on another key")
        if b"cookie" in fields:
            self.breach("a cookie handed back")
        if SEALED.encode() in body:
            self.breach("sealed reasoning handed back")
        if key in self.answered:
            self.breach("bought twice")


def fault_of(key: bytes) -> str:
    """Draw what befalls a prompt's first attempt."""
    draw = int.from_bytes(key[:8]) % 1_000_000
    for name, share in FAULTS.items():
        draw -= share
        if draw < 0:
            return name
    return ""


class Hostile(asyncio.Protocol):
    """One connection."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world, self.loop, self.buffer = world, loop, b""
        self.pending = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.pending:
            self.pending = False
            self.world.in_flight -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.buffer[:end]
        at = head.lower().find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + size:
            return None
        body, self.buffer = self.buffer[end + 4 : end + 4 + size], b""
        if head.startswith(b"GET /stats"):
            return self._stats()
        self._serve(head, body)
        return None

    def _stats(self) -> None:
        world = self.world
        told = {
            "requests": world.requests, "answered": len(world.answered), "peak": world.peak,
            "breaches": dict(world.breaches), "examples": world.examples,
            "faults": dict(sorted(world.faults.items())), "agents": len(world.agents),
            "keys": sorted(world.keys.values()),
        }  # fmt: skip
        self._send(200, json.dumps(told).encode())

    def _send(self, status: int, body: bytes, *headers: bytes, said: int | None = None) -> None:
        if self.pending:
            self.pending = False
            self.world.in_flight -= 1
        length = len(body) if said is None else said
        lines = b"".join(line + b"\r\n" for line in headers)
        self.transport.write(
            b"HTTP/1.1 %d x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
            % (status, length, lines, body)
        )

    def _serve(self, head: bytes, body: bytes) -> None:
        world, now = self.world, self.loop.time()
        text = json.loads(body)["messages"][-1]["content"]
        key = hashlib.sha256(text.encode()).digest()
        world.in_flight += 1
        self.pending = True
        world.check(now, head, body, key)
        attempt = world.attempts.get(key, 0)
        world.attempts[key] = attempt + 1
        fault = fault_of(key) if attempt == 0 else ""
        if fault:
            world.faults[fault] += 1
        if fault not in DAMAGED and not fault.startswith(("4", "5")) and fault != "200-limited":
            world.answered.add(key)
        self._reply(fault, text, now)

    def _reply(self, fault: str, text: str, now: float) -> None:
        """Answer, or do what the fault says."""
        said, world = f"You asked: {text}", self.world
        error = {"error": {"message": "no", "type": "server_error"}}
        limit = {"error": {"message": "slow", "type": "rate_limit_error", "code": 429}}
        plain = json.dumps(error).encode()
        if fault in {"429-seconds", "503-held", "200-limited"}:
            world.hold(now, HOLD)
            self._send(int(fault[:3]), json.dumps(limit).encode(), b"retry-after: %.3f" % HOLD)
        elif fault == "429-date":
            whole = int(time.time()) + 2
            world.hold(now, whole - time.time())
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(whole))
            self._send(429, json.dumps(limit).encode(), b"retry-after: " + date.encode())
        elif fault == "429-milliseconds":
            world.hold(now, HOLD)
            self._send(429, json.dumps(limit).encode(), b"retry-after-ms: %d" % (HOLD * 1000))
        elif fault == "429-silent":
            self._send(429, json.dumps(limit).encode())
        elif fault == "429-absurd":
            self._send(429, json.dumps(limit).encode(), b"retry-after: NaN, soon, -5")
        elif fault == "window-empty":
            world.hold(now, HOLD)
            self._send(
                200,
                chat(said),
                b"x-ratelimit-limit-requests: 100000000",
                b"x-ratelimit-remaining-requests: 0",
                b"x-ratelimit-reset-requests: %dms" % (HOLD * 1000),
            )
        elif fault in {"500", "529", "400", "422"}:
            self._send(int(fault), plain)
        elif fault == "502-html":
            self._send(502, b"<html>bad gateway</html>")
        elif fault == "hang":
            pass
        elif fault == "cut":
            self._send(200, chat(said)[:40], said=5000)
            self.transport.close()
        elif fault == "hang-up":
            self.transport.close()
        elif fault == "not-utf8":
            self._send(200, chat("said \xff").replace(b"\\u00ff", b"\xff\xfe"))
        elif fault == "half-json":
            self._send(200, chat(said)[:-30])
        elif fault == "empty":
            self._send(200, b"")
        elif fault == "200-error":
            self._send(200, plain)
        elif fault == "html":
            self._send(200, b"<html>welcome</html>")
        elif fault == "deep":
            self._send(200, b"[" * 3000 + b"]" * 3000)
        elif fault == "surrogate":
            self._send(200, chat("half \ud83d of it"))
        elif fault == "huge-number":
            self._send(200, chat(said).replace(b": 20,", b": 1e400,"))
        elif fault == "null-choices":
            self._send(200, b'{"id": "c", "choices": null}')
        elif fault == "list":
            self._send(200, b"[1, 2]")
        elif fault == "strange-headers":
            self._send(
                200, chat(said), b"x-ratelimit-remaining-requests: -1",
                b"x-ratelimit-limit-tokens: 1e999", b"x-ratelimit-reset-tokens: NaN",
                b"ratelimit: ;;;r=,t=x", b"retry-after: \xe2\x98\x83",
            )  # fmt: skip
        elif fault == "slow":
            self.loop.call_later(0.03, self._send, 200, chat(said))
        elif fault == "chunked":
            self._chunked(chat(said))
        elif fault == "reasoning":
            sealed = [{"type": "reasoning.encrypted", "data": SEALED}]
            self._send(200, chat(said, reasoning="because", reasoning_details=sealed))
        elif fault == "cookie":
            self._send(200, chat(said), b"set-cookie: who=you; Path=/")
        elif fault == "closes":
            self._send(200, chat(said), b"connection: close")
            self.transport.close()
        else:
            self._send(200, chat(said))

    def _chunked(self, body: bytes) -> None:
        if self.pending:
            self.pending = False
            self.world.in_flight -= 1
        half = len(body) // 2
        self.transport.write(
            b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:half], body[half:]))
            + b"0\r\n\r\n"
        )


async def serve() -> None:
    """Serve until killed."""
    loop, world = asyncio.get_running_loop(), World()
    server = await loop.create_server(lambda: Hostile(world, loop), "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    await server.serve_forever()


def resident(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def stats(port: int) -> dict[str, Any]:
    """Return what the server counted."""
    with urlopen(f"http://127.0.0.1:{port}/stats", timeout=60) as reply:
        return json.load(reply)


def drive(given: argparse.Namespace, folder: Path, port: int) -> dict[str, Any]:
    """Run the recipe, and watch its memory."""
    url = f"http://127.0.0.1:{port}"
    with (folder / "prompts.jsonl").open("w") as file:
        for number in range(given.steps):
            file.write(f'{{"prompt": "Say what is meant by the number {number} here."}}\n')
    (folder / "recipe.toml").write_text(RECIPE.format(url=url, concurrency=CONCURRENCY))
    (folder / "accounts.toml").write_text(ACCOUNTS.format(url=url))
    command = [sys.executable, "-c", RUN, "run", str(folder / "recipe.toml")]
    began, memory = time.monotonic(), []
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            [*command, "--store", str(folder / "store")],
            stdout=out,
            stderr=out,
            env={**os.environ, "HOSTILE_ONE": "one", "HOSTILE_TWO": "two"},
        )
        while process.poll() is None:
            time.sleep(2)
            if time.monotonic() - began > given.limit:
                process.kill()
            elif process.poll() is None:
                memory.append((stats(port)["requests"], round(resident(process.pid))))
    found = {"ended": process.returncode, "seconds": round(time.monotonic() - began, 1)}
    asking = [one for one in memory if one[0]]
    found["mib_by_requests"] = asking[:: max(1, len(asking) // 12)]
    if process.returncode:
        found["tail"] = (folder / "out").read_text()[-600:]
    return found


def kept(folder: Path) -> dict[str, Any]:
    """Return what came of it in the store."""
    from mashbill import Store
    from mashbill.lineage.evidence.audit import Auditor

    store = Store(folder / "store")
    made = store.manifests()[-1]
    conduct = [e.predicate for e in store.ledger.entries if e.event == "conduct"]
    return {
        "rows": made.rows,
        "rejected": made.rejected_rows,
        "stated": {k: conduct[-1][k] for k in ("rate_limited", "held_seconds", "breaches")},
        "audit": Auditor(store.root).run().holds,
    }


def main() -> None:
    """Serve, drive, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the server")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=3000, help="seconds at most")
    given = parser.parse_args()
    if given.serve:
        import uvloop

        uvloop.run(serve())
        return
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results) as name:
        folder = Path(name)
        os.environ["MASHBILL_KEY_FILE"] = str(folder / "key.pem")
        os.environ["MASHBILL_CHECKPOINTS"] = str(folder / "checkpoints")
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
        )
        try:
            port = json.loads(server.stdout.readline())["port"] if server.stdout else 0
            found = drive(given, folder, port)
            found |= stats(port)
            if not found["ended"]:
                found |= kept(folder)
        finally:
            server.terminate()
            server.wait()
    print(json.dumps(found, indent=1))
    (results / "hostile.json").write_text(json.dumps(found, indent=1) + "\n")
    whole = found["ended"] == 0 and found["rows"] + found["rejected"] == given.steps
    sys.exit(0 if whole and not found["breaches"] and not found["stated"]["breaches"] else 1)


if __name__ == "__main__":
    main()
