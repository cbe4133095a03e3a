"""distilabel: a pipeline of steps that are processes."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from typing import Any

from common import (
    JUDGE,
    MODEL,
    SCHEMA,
    TIMEOUT,
    Meter,
    arguments,
    bytes_under,
    check,
    read_prompts,
    sealed,
    stdout_to_stderr,
)


def run(given: argparse.Namespace, rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Run the pipeline, with its cache under OUT."""
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration
    from steps_distilabel import ask_judge, keep

    fair = given.settings == "fair"
    size = {"input_batch_size": given.concurrency} if fair else {}
    timeout = {"timeout": TIMEOUT} if fair else {}
    load = {"batch_size": given.concurrency} if fair else {}
    schema: dict[str, Any] = {}
    if given.work == "w7":
        named = {name: {**kind, "title": name} for name, kind in SCHEMA["properties"].items()}
        titled = {**SCHEMA, "title": "Record", "properties": named}
        schema = {"structured_output": {"schema": titled, "max_retries": 3}}  # by instructor

    def llm() -> OpenAILLM:
        return OpenAILLM(model=MODEL, base_url=given.base_url, api_key="none", **timeout, **schema)

    with Pipeline(name="bench", cache_dir=given.out / "cache") as pipeline:
        first = LoadDataFromDicts(data=[{"instruction": row["prompt"]} for row in rows], **load)
        generate = TextGeneration(name="generate", llm=llm(), **size)
        if given.work == "w2":
            judge = TextGeneration(name="judge", llm=llm(), **size)
            first >> generate >> ask_judge(**size) >> judge >> keep(**size)
        else:
            first >> generate
    distiset = pipeline.run(use_cache=True)
    found = distiset["default"]["train"]
    if given.work == "w2":
        return list(zip(found["prompt"], found["answer"], strict=True))
    return [
        (one, text)
        for one, text in zip(found["instruction"], found["generation"], strict=True)
        if text is not None and not one.startswith(JUDGE)
    ]


def main() -> None:
    """Run distilabel."""
    given = arguments(__doc__)
    sealed(given.out)
    rows = read_prompts(given.prompts, given.rows)
    with stdout_to_stderr():
        meter = Meter()
        replies = run(given, rows)
        spent = meter.stop()
    meter.line(
        given,
        "distilabel",
        **check(rows, replies, given.work),
        bytes_on_disk=bytes_under(given.out, given.prompts),
        **spent,
        versions={"distilabel": version("distilabel"), "openai": version("openai")},
    )


if __name__ == "__main__":
    main()
