"""Ten minutes of traffic through the gateway, while the service behind it fails in three ways.

    python benchmarks/conduct/soak.py [--minutes 10] [--rate 60] [--clients PYTHON]

`mashbill conduct serve` runs as an operator starts it, with its engine, its model of texts and its
state on disk, in front of a mock service of its own process. Requests come at fixed times (an open
loop), a half of them streams, from 40 keys; with ``--clients``, a python that has them, the
official clients of OpenAI and Anthropic ask beside them, streaming. In the second fifth of the time
the service is killed three times and started again, in the third it answers after two seconds, in
the fourth with what is no answer. The gateway's memory, open files, threads and state are read
every five seconds from /proc.

It ends with 1 if memory or open files grow on: if their middle in the last tenth of the time is
over that of an earlier one by 5% and more, or by 8 files. Memory is held to the second tenth, and
files to the seventh, since connections that a slow service made necessary are kept while they are
used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))

import machine
from gateway import ANSWER, CHUNK, SOURCE, free, quantile, wait_for

TEXTS = (
    "Translate the sentence about the river {} into Spanish.",
    "Grade the answer {} of 10 and give a reason in one line.",
    "Solve the equation x + {} = 91 and show each step.",
)
SAID = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        "content": [{"type": "text", "text": "They flow."}]}  # fmt: skip
MANNERS = ("well", "killed", "slow", "wrong", "well")
"""what the service is like in each fifth of the time"""
PROMPTS = 3000
"""different ones, so that what is remembered is full soon, and all that grows on is a leak"""
SLOW = 2.0  # seconds
EVERY = 5.0  # seconds between looks at the gateway
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}


async def service(port: int, manner: Path) -> None:
    """Serve the mock service, as the file says."""
    chunk = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
    delta = {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": "They "}}  # fmt: skip
    start = {"type": "message_start", "message": SAID | {"content": []}}
    begin = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    said = b"".join(
        f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode()
        for one in (start, begin, delta, {"type": "content_block_stop", "index": 0},
                    {"type": "message_stop"})
    )  # fmt: skip

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked = json.loads(await request.read() or b"{}")
        how = manner.read_text()  # noqa: ASYNC240 - a word
        if how == "slow":
            await asyncio.sleep(SLOW)
        messages = request.path.endswith("/messages")
        if how == "wrong":
            return web.Response(status=200, body=b"\x00\xff{not json", content_type="text/plain")
        if not asked.get("stream"):
            return web.json_response(SAID if messages else ANSWER)
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        for _ in range(1 if messages else 10):
            await out.write(said if messages else chunk)
            await asyncio.sleep(0.01)
        if not messages:
            await out.write(b"data: [DONE]\n\n")
        await out.write_eof()
        return out

    await asyncio.get_running_loop().create_server(
        web.Server(answer, access_log=None), "127.0.0.1", port
    )
    await asyncio.Event().wait()


@dataclass
class Soak:
    """What is going on, and what came of it."""

    gateway: int
    seconds: float
    rate: float
    manner: Path
    """file that says what the service is like"""
    began: float = 0.0
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=dict)
    clients: Counter[str] = field(default_factory=Counter)
    looks: list[dict[str, float]] = field(default_factory=list)

    def phase(self) -> int:
        """Return which fifth of the time it is."""
        return min(4, int(5 * (time.monotonic() - self.began) / self.seconds))

    def name(self) -> str:
        return f"{self.phase() + 1} {MANNERS[self.phase()]}"


async def ask(soak: Soak, session: aiohttp.ClientSession, number: int) -> None:
    """Send one request, and count how it ended."""
    name, at = soak.name(), time.perf_counter()
    text = TEXTS[number % len(TEXTS)].format(number % PROMPTS)
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": text}],
        "stream": number % 2 == 0,
    }
    try:
        async with session.post(
            f"http://127.0.0.1:{soak.gateway}/v1/chat/completions", json=body,
            headers={"Authorization": f"Bearer sk-{number % 40}"},
        ) as got:  # fmt: skip
            await got.read()
            told = str(got.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        told = type(error).__name__
    soak.codes.setdefault(name, Counter())[told] += 1
    soak.took.setdefault(name, []).append(time.perf_counter() - at)


async def official(gateway: int, manner: Path, seconds: float) -> Counter[str]:
    """Ask with the official clients, one stream after the other, until the time is over."""
    import anthropic
    import openai

    base, counted = f"http://127.0.0.1:{gateway}", Counter[str]()
    one = openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="sk-official", max_retries=0)
    other = anthropic.AsyncAnthropic(base_url=base, api_key="sk-official", max_retries=0)
    asked: Any = [{"role": "user", "content": "Say something about rivers."}]
    until = time.monotonic() + seconds
    calls = {
        "openai": lambda: one.chat.completions.create(model="m", messages=asked, stream=True),
        "anthropic": lambda: other.messages.create(
            model="m", messages=asked, max_tokens=9, stream=True
        ),
    }
    while time.monotonic() < until:
        for name, call in calls.items():
            how = manner.read_text()  # noqa: ASYNC240 - a word
            try:
                parts = [part async for part in await call()]
            except Exception as error:  # noqa: BLE001 - what a client says is what is counted
                counted[f"{name}, service {how}: {type(error).__name__}"] += 1
            else:
                told = "whole" if len(parts) > 4 else f"{len(parts)} parts"
                counted[f"{name}, service {how}: {told}"] += 1
        await asyncio.sleep(0.25)
    return counted


def look(soak: Soak, process: int, folder: Path) -> None:
    """Read what the gateway holds (proc(5))."""
    home = Path(f"/proc/{process}")
    pages = int((home / "statm").read_text().split()[1])
    soak.looks.append(
        {
            "second": round(time.monotonic() - soak.began, 1),
            "memory_mb": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            "files": len(list((home / "fd").iterdir())),
            "threads": len(list((home / "task").iterdir())),
            "state_mb": sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6,
        }
    )


class Service:
    """The mock service, as a process that can be killed and started again."""

    def __init__(self, port: int, manner: Path) -> None:
        """Start it."""
        self._command = [sys.executable, __file__, "--as", "service", str(port), str(manner)]
        self.start()

    def start(self) -> None:
        """Start it, again if need be."""
        self.process = subprocess.Popen(self._command, env=ENVIRONMENT)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


async def watch(soak: Soak, upstream: Service, process: int, folder: Path) -> None:
    """Change the service's manners, and look at the gateway."""
    kills = 0
    while (passed := time.monotonic() - soak.began) < soak.seconds:
        manner = MANNERS[soak.phase()]
        if soak.manner.read_text() != manner:
            soak.manner.write_text(manner)
        if manner == "killed" and kills < 3 and 5 * passed / soak.seconds - 1 > kills / 3:
            kills += 1
            upstream.kill()
            await asyncio.sleep(2)
            upstream.start()
        look(soak, process, folder)
        await asyncio.sleep(EVERY)


async def run(soak: Soak, upstream: Service, process: int, folder: Path) -> None:
    """Send requests at their times, while the service changes."""
    soak.began = time.monotonic()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(60)
    ) as session:
        watching = asyncio.ensure_future(watch(soak, upstream, process, folder))
        tasks: set[asyncio.Task[None]] = set()
        for number in range(int(soak.rate * soak.seconds)):
            if (wait := soak.began + number / soak.rate - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(ask(soak, session, number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks, watching)


def grew(soak: Soak) -> dict[str, dict[str, float]]:
    """Return the middles of the second tenth of the time, of the seventh, and of the last."""
    return {
        what: {
            name: statistics.median(
                one[what]
                for one in soak.looks
                if begin <= 10 * one["second"] / soak.seconds < begin + 1
            )
            for name, begin in (("second", 1), ("seventh", 6), ("last", 9))
        }
        for what in ("memory_mb", "files", "threads", "state_mb")
    }


def main() -> None:
    """Run it, print what was counted, and end with 1 if something grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=60)
    parser.add_argument("--clients", default="", help="python with openai and anthropic")
    parser.add_argument("--as", dest="role", nargs="*", default=[], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        port, manner = int(given.role[1]), Path(given.role[2])
        if given.role[0] == "service":
            asyncio.run(service(port, manner))
        else:
            print(json.dumps(asyncio.run(official(port, manner, float(given.role[3])))))
        return
    with tempfile.TemporaryDirectory() as folder:
        soak, alive = soaked(Path(folder), given)
    told(soak, alive=alive)


def soaked(folder: Path, given: argparse.Namespace) -> tuple[Soak, bool]:
    """Run service, gateway, clients and load; say also whether the gateway still ran at the end."""
    manner, settings, home = folder / "manner", folder / "settings.toml", folder / "conduct"
    manner.write_text(MANNERS[0])
    port, gateway = free(), free()
    settings.write_text(
        f'upstream = "http://127.0.0.1:{port}"\nlog = "{folder}/log.jsonl"\n'
        f"[listen]\nport = {gateway}\n[admin]\nport = {free()}\n"
    )
    serve = "from mashbill.cli import main; main()"
    command = [sys.executable, "-c", serve, "conduct", "serve"]
    command += ["--settings", str(settings), "--folder", str(home)]
    soak = Soak(gateway, 60 * given.minutes, given.rate, manner)
    upstream = Service(port, manner)
    programs = [subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)]
    try:
        wait_for(gateway, programs[0], 120)
        if given.clients:
            asks = [given.clients, __file__, "--as", "clients", str(gateway), str(manner)]
            programs.append(subprocess.Popen([*asks, str(soak.seconds)], stdout=subprocess.PIPE))
        asyncio.run(run(soak, upstream, programs[0].pid, home))
        alive = programs[0].poll() is None
        if given.clients:
            soak.clients.update(json.loads(programs[1].communicate(timeout=90)[0]))
    finally:
        upstream.kill()
        for program in programs:
            program.terminate()
            program.wait(60)
    return soak, alive


def told(soak: Soak, *, alive: bool) -> None:
    """Print and write what was counted."""
    for name in sorted(soak.codes):
        took = soak.took[name]
        codes = ", ".join(f"{code} {n:,}" for code, n in soak.codes[name].most_common())
        print(f"fifth {name}: {codes}; p50 {1e3 * quantile(took, 0.5):.1f} ms, "
              f"p99 {1e3 * quantile(took, 0.99):.0f} ms")  # fmt: skip
    for what, number in sorted(soak.clients.items()):
        print(f"{what}: {number:,}")
    middles = grew(soak)
    for what, one in middles.items():
        told_of = ", ".join(f"{tenth} tenth {value:.1f}" for tenth, value in one.items())
        print(f"{what}: {told_of}")
    machine.write(Path(__file__).parents[1] / "conduct_soak.json", {
        "minutes": soak.seconds / 60, "rate": soak.rate, "codes": soak.codes,
        "clients": soak.clients, "middles": middles, "looks": soak.looks,
        "machine": machine.describe(),
    })  # fmt: skip
    memory, files = middles["memory_mb"], middles["files"]
    if not alive:
        sys.exit("the gateway ended by itself")
    if memory["last"] > 1.05 * memory["second"]:
        sys.exit("memory still grows")
    if files["last"] > files["seventh"] + 8:
        sys.exit("open files still grow")


if __name__ == "__main__":
    main()
