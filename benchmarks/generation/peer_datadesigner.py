"""NVIDIA NeMo DataDesigner: a seed of prompts and a column for each step."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version
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
    sealed,
    stdout_to_stderr,
)


def run(given: argparse.Namespace, rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Create the dataset; resume one that was begun under OUT."""
    import data_designer.config as dd
    import pandas as pd
    from data_designer.engine.storage.artifact_storage import ResumeMode
    from data_designer.interface import DataDesigner

    seed = given.out / "seed.parquet"  # W5 finds its rows here too
    pd.DataFrame({"prompt": [row["prompt"] for row in rows]}).to_parquet(seed)
    fair = given.settings == "fair"
    parallel = {"max_parallel_requests": given.concurrency, "timeout": TIMEOUT} if fair else {}
    model = dd.ModelConfig(
        alias="m",
        model=MODEL,
        provider="fake",
        inference_parameters=dd.ChatCompletionInferenceParams(**parallel),
        skip_health_check=fair,
    )
    provider = dd.ModelProvider(name="fake", endpoint=given.base_url, api_key="none")
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(seed)))
    if given.work == "w7":
        builder.add_column(
            dd.LLMStructuredColumnConfig(
                name="answer", prompt="{{ prompt }}", model_alias="m", output_format=SCHEMA
            )
        )
    else:
        builder.add_column(
            dd.LLMTextColumnConfig(name="answer", prompt="{{ prompt }}", model_alias="m")
        )
    if given.work == "w2":
        asked = judge_prompt("{{ answer }}")
        builder.add_column(dd.LLMTextColumnConfig(name="verdict", prompt=asked, model_alias="m"))
    designer = DataDesigner(given.out / "artifacts", model_providers=[provider])
    if fair:
        designer.set_run_config(
            dd.RunConfig(
                max_in_flight_tasks=max(1024, 2 * given.concurrency), otel_metrics_port=None
            )
        )
    made = designer.create(
        builder, num_records=given.rows, dataset_name="bench", resume=ResumeMode.IF_POSSIBLE
    )
    found = made.load_dataset()
    if given.work == "w2":
        found = found[found["verdict"] == "yes"]
    return list(zip(found["prompt"], found["answer"], strict=True))


def main() -> None:
    """Run DataDesigner."""
    given = arguments(__doc__)
    sealed(given.out)
    os.environ["DATA_DESIGNER_HOME"] = str(given.out / "home" / "data-designer")
    rows = read_prompts(given.prompts, given.rows)
    with stdout_to_stderr():
        meter = Meter()
        replies = run(given, rows)
        spent = meter.stop()
    meter.line(
        given,
        "datadesigner",
        **check(rows, replies, given.work),
        bytes_on_disk=bytes_under(given.out, given.prompts),
        **spent,
        versions={"data-designer": version("data-designer")},
    )


if __name__ == "__main__":
    main()
