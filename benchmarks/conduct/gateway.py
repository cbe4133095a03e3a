"""What the gateway adds to a request's time, beside LiteLLM's proxy, in one run.

    python benchmarks/conduct/gateway.py [--rate 200] [--seconds 5] [--rounds 4]
        [--stream] [--scorer] [--litellm PYTHON]

A mock service, each proxy and the load are processes of their own on one machine. Requests are sent
at fixed times, whether or not earlier ones are answered (an open loop), and each is timed from when
it was to be sent, so that a stall counts for all that it delays. Rounds of each way alternate; the
first of each is for warming up and does not count. What is added is the difference of quantiles
over all counted rounds of a way, to those of asking the service directly.

With ``--stream`` the time is until the first event. With ``--litellm`` its proxy runs from an
environment that has ``litellm[proxy]``, asked through one model of the same mock service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from aiohttp import web

SOURCE = Path(__file__).parents[2] / "src"
TEXT = "Write a sentence about the history of the number {}. " + "It should be short. " * 12
ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "It has been counted. " * 20}}],
    "usage": {"prompt_tokens": 70, "completion_tokens": 60, "total_tokens": 130},
}  # fmt: skip
CHUNK = {
    "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
    "choices": [{"index": 0, "delta": {"content": "It "}, "finish_reason": None}],
}  # fmt: skip


async def mock(port: int) -> None:
    """Serve the mock service."""
    whole = json.dumps(ANSWER).encode()
    event = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked = json.loads(await request.read() or b"{}")
        if not asked.get("stream"):
            return web.Response(body=whole, content_type="application/json")
        out = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await out.prepare(request)
        for _ in range(20):
            await out.write(event)
        await out.write(b"data: [DONE]\n\n")
        await out.write_eof()
        return out

    await asyncio.get_running_loop().create_server(
        web.Server(answer, access_log=None), "127.0.0.1", port
    )
    await asyncio.Event().wait()


def gateway(port: int, upstream: str, folder: str, *, with_scorer: bool) -> None:
    """Serve the gateway as an operator would: events to disk, and scores if asked for."""
    from mashbill.conduct.events import Hashes
    from mashbill.conduct.gateway.serving import serve
    from mashbill.conduct.gateway.settings import Settings

    scorer = None
    if with_scorer:
        from mashbill.conduct.text.scoring import Scorer

        scorer = Scorer.shipped()
    settings = Settings.model_validate(
        {"upstream": upstream, "listen": {"port": port}, "admin": {"port": None},
         "sink": {"folder": f"{folder}/events"}, "log": f"{folder}/log.jsonl"}
    )  # fmt: skip
    serve(settings, None, scorer, Hashes(b"k" * 32))


async def load(port: int, rate: float, seconds: float, *, stream: bool) -> tuple[list[float], int]:
    """Return the seconds of each request, and how many failed."""
    import aiohttp

    address = f"http://127.0.0.1:{port}/v1/chat/completions"
    took, failed = [], 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(at: float, number: int) -> None:
            nonlocal failed
            body = {"model": "m", "messages": [{"role": "user", "content": TEXT.format(number)}]}
            try:
                async with session.post(
                    address, data=json.dumps(body | ({"stream": True} if stream else {})),
                    headers={"Authorization": f"Bearer sk-{number % 50}",
                             "Content-Type": "application/json"},
                ) as got:  # fmt: skip
                    if stream:
                        await got.content.readany()
                        took.append(time.perf_counter() - at)
                    await got.read()
                    if not stream:
                        took.append(time.perf_counter() - at)
                    failed += got.status != 200
            except aiohttp.ClientError:
                failed += 1

        began, tasks = time.perf_counter() + 0.1, []
        for number in range(int(rate * seconds)):
            at = began + number / rate
            if (wait := at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.ensure_future(ask(at, number)))
        await asyncio.gather(*tasks)
    return took, failed


def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(port: int, program: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until something answers there."""
    until = time.monotonic() + seconds
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}).encode()
    while time.monotonic() < until and program.poll() is None:
        ask = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/chat/completions", body,
            {"Content-Type": "application/json", "Authorization": "Bearer sk-1"},
        )  # fmt: skip
        try:
            urllib.request.urlopen(ask, timeout=5).read()  # noqa: S310 - http, written above
        except OSError:
            time.sleep(0.2)
        else:
            return
    ended = "" if program.poll() is None else f": its program ended with {program.poll()}"
    sys.exit(f"nothing answers on port {port}{ended}")


def litellm_of(python: str, port: int, upstream: str, folder: str) -> subprocess.Popen[bytes]:
    """Start LiteLLM's proxy on one model."""
    config = Path(folder) / "litellm.yaml"
    config.write_text(
        json.dumps(
            {"model_list": [{"model_name": "m", "litellm_params": {
                "model": "openai/m", "api_base": f"{upstream}/v1", "api_key": "sk-x"}}],
             "litellm_settings": {"telemetry": False, "num_retries": 0},
             # A proxy that lets anybody in, as the gateway beside it does: keys are passed on.
             "general_settings": {"dangerously_permit_weak_or_unset_master_key": True}}
        )
    )  # fmt: skip
    program = "import sys; from litellm import run_server; run_server()"
    return subprocess.Popen(
        [python, "-c", program, "--config", str(config), "--port", str(port),
         "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR",
             "PYTHONPATH": ""},
    )  # fmt: skip


def processor(program: subprocess.Popen[bytes]) -> float:
    """Return the seconds of processors that a process has taken (proc(5), stat)."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(share * len(took)))]


def measure(
    ways: dict[str, int], options: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return the seconds of each way's requests, rounds alternating."""
    import uvloop

    took, failed = {name: [] for name in ways}, dict.fromkeys(ways, 0)
    for number in range(options.rounds + 1):
        for name, port in ways.items():
            seconds = options.seconds if number else min(2.0, options.seconds)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                some, bad = runner.run(load(port, options.rate, seconds, stream=options.stream))
            if number:
                took[name] += some
                failed[name] += bad
    return took, failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--scorer", action="store_true", help="score texts by the shipped model")
    parser.add_argument("--litellm", default="", help="python of an environment with its proxy")
    parser.add_argument("--as", dest="role", nargs="*", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role and options.role[0] == "mock":
        import uvloop

        uvloop.run(mock(int(options.role[1])))
    elif options.role:
        gateway(int(options.role[1]), options.role[2], options.role[3], with_scorer=options.scorer)
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Run all of it, and print what each way adds."""
    programs = []
    me = [sys.executable, __file__]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with tempfile.TemporaryDirectory() as folder:
        try:
            ways = {"direct": free()}
            upstream = f"http://127.0.0.1:{ways['direct']}"
            programs.append(
                subprocess.Popen([*me, "--as", "mock", str(ways["direct"])], env=environment)
            )
            wait_for(ways["direct"], programs[-1], 120)
            ways["mashbill"] = free()
            more = ["--scorer"] if options.scorer else []
            programs.append(
                subprocess.Popen(
                    [*me, *more, "--as", "gateway", str(ways["mashbill"]), upstream, folder],
                    env=environment,
                )
            )
            wait_for(ways["mashbill"], programs[-1], 120)
            if options.litellm:
                ways["litellm"] = free()
                programs.append(litellm_of(options.litellm, ways["litellm"], upstream, folder))
                wait_for(ways["litellm"], programs[-1], 120)
            before = [processor(program) for program in programs]
            took, failed = measure(ways, options)
            asked = options.rate * (options.seconds * options.rounds + min(2.0, options.seconds))
            work = {
                name: (processor(program) - then) / asked
                for name, program, then in zip(ways, programs, before, strict=True)
            }
            work["direct"] /= len(ways)  # the service is asked by all ways
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(30)
        events = sum(path.read_bytes().count(b"\n") for path in (Path(folder) / "events").iterdir())
    what = "until the first event" if options.stream else "until the whole answer"
    print(f"{options.rate:g} requests a second, {what}, {os.cpu_count()} cores, "
          f"{options.rounds} rounds of {options.seconds:g} s each")  # fmt: skip
    base = {share: quantile(took["direct"], share) for share in (0.5, 0.99)}
    for name, some in took.items():
        p50, p99 = (1e3 * quantile(some, share) for share in (0.5, 0.99))
        added = "" if name == "direct" else (
            f"   added p50 {p50 - 1e3 * base[0.5]:.2f} ms, p99 {p99 - 1e3 * base[0.99]:.2f} ms"
        )  # fmt: skip
        mean = 1e3 * statistics.fmean(some)
        told = (
            f"n={len(some):6} failed={failed[name]} mean {mean:.2f} p50 {p50:.2f} p99 {p99:.2f} ms"
        )
        print(f"{name:10} {told}{added}; {1e3 * work[name]:.2f} ms of a processor a request")
    print(f"events that mashbill wrote: {events}")


if __name__ == "__main__":
    main()
