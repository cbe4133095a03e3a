"""datatrove: its inference runner in one local task.

Variants: `off` without checkpoints; `local` by its own HTTP, which it takes for 127.0.0.1, and not
by the OpenAI client, which it takes for any other host.
"""

from __future__ import annotations

import argparse
import gzip
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import (
    MODEL,
    SCHEMA,
    TIMEOUT,
    Meter,
    arguments,
    bytes_under,
    check,
    judge_prompt,
    read_prompts,
    right,
    sealed,
    stdout_to_stderr,
)

TRIES = 4


def shards(folder: Path, rows: list[dict[str, Any]]) -> int:
    """Write the rows that no shard holds yet to a new one, as datatrove's users add input."""
    folder.mkdir(exist_ok=True)
    held = set()
    for path in sorted(folder.glob("*.jsonl")):
        held |= {json.loads(line)["id"] for line in path.read_text().splitlines()}
    new = [row for row in rows if str(row["id"]) not in held]
    if new:
        with (folder / f"{len(list(folder.glob('*.jsonl'))):05d}.jsonl").open("w") as file:
            for row in new:
                file.write(json.dumps({"id": str(row["id"]), "text": row["prompt"]}) + "\n")
    return len(list(folder.glob("*.jsonl")))


def run(given: argparse.Namespace, rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Run the pipeline; tasks that are complete are skipped, as it does."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    fair = given.settings == "fair"
    limit: dict[str, Any] = {}
    if fair:
        limit = {"max_concurrent_generations": given.concurrency, "request_timeout": TIMEOUT}
    url = given.base_url
    if given.variant.startswith("local"):
        url = url.removesuffix("/v1")
    else:
        url = url.replace("127.0.0.1", "127.0.0.2")
    checkpoints = fair and not given.variant.endswith("off")
    tasks = shards(given.out / "input", rows)

    def payload(prompt: str) -> dict[str, Any]:
        body: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]}
        if given.work == "w7":
            named = {"name": "record", "schema": SCHEMA, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    async def rollout(document: Any, generate: Any) -> str | None:
        text = (await generate(payload(document.text))).text
        if given.work == "w2":
            verdict = (await generate(payload(judge_prompt(text)))).text
            return text if verdict == "yes" else None
        if given.work == "w7":  # datatrove checks no schema: the rollout asks again
            for _ in range(TRIES - 1):
                if right(document.text, text, "w7"):
                    break
                text = (await generate(payload(document.text))).text
        return text

    name = "${rank}_chunk_${chunk_index}.jsonl.gz" if checkpoints else "${rank}.jsonl.gz"
    LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(given.out / "input"), glob_pattern="*.jsonl"),
            InferenceRunner(
                rollout_fn=rollout,
                config=InferenceConfig(
                    server_type="endpoint",
                    model_name_or_path=MODEL,
                    endpoint_url=url,
                    api_key="none",
                    **limit,
                ),
                output_writer=JsonlWriter(str(given.out / "output"), output_filename=name),
                checkpoints_local_dir=str(given.out / "checkpoints") if checkpoints else None,
            ),
        ],
        tasks=tasks,
        workers=1,
        logging_dir=str(given.out / "logs"),
    ).run()
    replies = []
    for path in sorted((given.out / "output").glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as file:
            for line in file:
                row = json.loads(line)
                replies += [(row["text"], one) for one in row["metadata"]["rollout_results"]]
    return replies


def main() -> None:
    """Run datatrove."""
    given = arguments(__doc__)
    sealed(given.out)
    rows = read_prompts(given.prompts, given.rows)
    with stdout_to_stderr():
        meter = Meter()
        replies = run(given, rows)
        spent = meter.stop()
    variant = f"-{given.variant}" if given.variant else ""
    meter.line(
        given,
        f"datatrove{variant}",
        **check(rows, replies, given.work),
        bytes_on_disk=bytes_under(given.out, given.prompts),
        **spent,
        versions={"datatrove": version("datatrove"), "openai": version("openai")},
    )


if __name__ == "__main__":
    main()
