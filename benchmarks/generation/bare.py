"""The limit: an aiohttp loop with a fixed number of workers, which keeps its rows in memory."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

import aiohttp
from common import (
    MODEL,
    TIMEOUT,
    Meter,
    arguments,
    check,
    judge_prompt,
    read_prompts,
    right,
    stdout_to_stderr,
)

TRIES = 6


class Client:
    """Asks, and asks again what was refused or timed out."""

    def __init__(self, session: aiohttp.ClientSession, given: argparse.Namespace) -> None:
        self.session = session
        self.url = f"{given.base_url}/chat/completions"
        self.work = given.work

    async def ask(self, prompt: str) -> str | None:
        """Return the reply's text."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
        for attempt in range(TRIES):
            try:
                async with self.session.post(self.url, json=body) as response:
                    if response.status == 200:
                        reply = await response.json()
                        text = reply["choices"][0]["message"]["content"]
                        if self.work == "w7" and not right(prompt, text, "w7"):
                            continue
                        return text
                    await response.read()
                    pause = float(response.headers.get("retry-after", 0.5 * 2**attempt))
            except (TimeoutError, aiohttp.ClientError):
                pause = 0.5 * 2**attempt
            await asyncio.sleep(pause)
        return None

    async def row(self, prompt: str) -> str | None:
        """Return the text of a row, or none if the judge says no."""
        text = await self.ask(prompt)
        if self.work == "w2" and text is not None and await self.ask(judge_prompt(text)) != "yes":
            return None
        return text


async def run(given: argparse.Namespace, rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Ask for all rows."""
    replies: list[tuple[str, Any]] = []
    timeout = aiohttp.ClientTimeout(total=120, sock_read=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=given.concurrency)
    feed = iter(rows)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers={"Authorization": "Bearer none"}
    ) as session:
        client = Client(session, given)

        async def worker() -> None:
            for row in feed:
                text = await client.row(row["prompt"])
                if text is not None:
                    replies.append((row["prompt"], text))

        await asyncio.gather(*(worker() for _ in range(given.concurrency)))
    return replies


def main() -> None:
    """Run the bare loop."""
    given = arguments(__doc__)
    rows = read_prompts(given.prompts, given.rows)
    with stdout_to_stderr():
        meter = Meter()
        if given.loop == "uvloop":
            import uvloop

            replies = uvloop.run(run(given, rows))
        else:
            replies = asyncio.run(run(given, rows))
        spent = meter.stop()
    meter.line(
        given,
        f"bare-{given.loop}",
        **check(rows, replies, given.work),
        bytes_on_disk=0,
        **spent,
        versions=json.loads(json.dumps({"aiohttp": aiohttp.__version__})),
    )


if __name__ == "__main__":
    main()
