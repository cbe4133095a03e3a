"""Curator (bespokelabs-curator): its OpenAI backend, with its cache under OUT."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version
from typing import Any

from common import (
    MODEL,
    TIMEOUT,
    Meter,
    arguments,
    bytes_under,
    check,
    judge_prompt,
    read_prompts,
    sealed,
    stdout_to_stderr,
)


def run(given: argparse.Namespace, rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Run one call of an LLM, or two for W2."""
    from bespokelabs import curator
    from datasets import Dataset
    from pydantic import BaseModel

    class Record(BaseModel):
        name: str
        score: int

    class Generate(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> str:
            return row["prompt"]

        def parse(self, row: dict[str, Any], response: Any) -> dict[str, Any]:
            text = response if isinstance(response, str) else response.model_dump_json()
            return {"prompt": row["prompt"], "answer": text}

    class Judge(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> str:
            return judge_prompt(row["answer"])

        def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
            return {**row, "verdict": response}

    settings: dict[str, Any] = {"base_url": given.base_url, "api_key": "none"}
    if given.settings == "fair":
        settings |= {
            "max_requests_per_minute": 10**9,
            "max_tokens_per_minute": 10**12,
            "max_concurrent_requests": given.concurrency,
            "request_timeout": TIMEOUT,
        }
    cache = str(given.out / "cache")

    def make(kind: type[curator.LLM], **more: Any) -> curator.LLM:
        return kind(model_name=MODEL, backend="openai", backend_params=dict(settings), **more)

    more = {"response_format": Record} if given.work == "w7" else {}
    dataset = Dataset.from_list([{"prompt": row["prompt"]} for row in rows])
    found = make(Generate, **more)(dataset, working_dir=cache).dataset
    if given.work == "w2":
        found = make(Judge)(found, working_dir=cache).dataset
        found = found.filter(lambda row: row["verdict"] == "yes")
    return list(zip(found["prompt"], found["answer"], strict=True))


def main() -> None:
    """Run Curator."""
    given = arguments(__doc__)
    sealed(given.out)
    if given.settings == "fair":
        os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
    rows = read_prompts(given.prompts, given.rows)
    with stdout_to_stderr():
        meter = Meter()
        replies = run(given, rows)
        spent = meter.stop()
    meter.line(
        given,
        "curator",
        **check(rows, replies, given.work),
        bytes_on_disk=bytes_under(given.out, given.prompts),
        **spent,
        versions={"bespokelabs-curator": version("bespokelabs-curator")},
    )


if __name__ == "__main__":
    main()
