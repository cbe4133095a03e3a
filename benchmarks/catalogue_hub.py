"""A catalogue the size of a public hub, as its two CSV files: few are built on by many.

``python benchmarks/catalogue_hub.py FOLDER --models 3000000 --edges 3000000`` writes one;
``catalogue_scale.py`` does so by itself and times commands on it. Nothing in it is about anybody.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

COUNTRIES = ("US", "CN", "FR", "DE", "GB", "CA", "JP", "KR", "IN", "unknown")
RELATIONS = {
    "base-weights": 0.25, "adapter": 0.2, "quantized": 0.15, "merge": 0.05, "trained-on": 0.2,
    "sft-data": 0.08, "preference-judge": 0.03, "filter-classifier": 0.02, "rewrite": 0.02,
}  # fmt: skip
DATA_SHARE = 0.1
FIGURES_SHARE = 0.02
"""models whose claims state tokens of a phase"""
OLDEST = 20_000
"""one of so many rests on nothing"""


def names(models: int, seed: int) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return ids, makers of heavy tail, and which are data."""
    draw = np.random.default_rng(seed)
    maker = np.minimum((models // 10 + 1) * draw.random(models) ** 3, models // 10).astype(np.int64)
    is_data = draw.random(models) < DATA_SHARE
    sizes = np.array(["model", "model-7B", "model-1.5B", "model-8x7B", "model-70B-GGUF"])
    word = pa.array(np.where(is_data, "data", sizes[draw.choice(5, models, p=[0.6, *[0.1] * 4])]))
    ids = pc.binary_join_element_wise(
        "maker", pc.cast(pa.array(maker), pa.string()), "/", word, "-",
        pc.cast(pa.array(np.arange(models)), pa.string()), "",
    )  # fmt: skip
    return ids, maker, is_data


def write_entities(file: Path, models: int, seed: int = 1) -> None:
    ids, maker, is_data = names(models, seed)
    draw = np.random.default_rng(seed + 1)
    kinds = np.array(["open-weights", "closed-api", "unknown"])[
        draw.choice(3, models, p=[0.9, 0.005, 0.095])
    ]
    licences = np.array(["Apache-2.0", "MIT", "LicenseRef-Llama-3.1", ""])
    days = np.array([f"{y}-{m:02d}-{d:02d}" for y in (2023, 2024, 2025) for m in range(1, 13)
                     for d in range(1, 29)])  # fmt: skip
    other = pc.binary_join_element_wise(
        "also-", pc.cast(pa.array(np.arange(models)), pa.string()), ""
    )
    table = pa.table(
        {
            "id": ids,
            "what": np.where(is_data, "dataset", "model"),
            "provider": pc.binary_join_element_wise("Maker ", pc.cast(maker, pa.string()), ""),
            "country": np.array(COUNTRIES)[maker % len(COUNTRIES)],
            "kind": np.where(is_data, "public-dataset", kinds),
            "license": licences[draw.choice(4, models)],
            "released": days[draw.integers(0, len(days), models)],
            "parameters": np.array(["7B", "1.5B", "70B", ""])[draw.choice(4, models)],
            "aliases": pc.if_else(pa.array(draw.random(models) < 0.01), other, ""),
            "source": pc.binary_join_element_wise(ids, "README.md", "@0000000:"),
        }
    )
    pa_csv.write_csv(table, file)


def write_claims(file: Path, models: int, edges: int, seed: int = 1) -> None:
    ids, _, is_data = names(models, seed)
    draw = np.random.default_rng(seed + 2)
    child = draw.integers(max(models // OLDEST, 2), models, edges)
    parent = np.minimum((child * draw.random(edges) ** 3).astype(np.int64), child - 1)
    words = np.array(list(RELATIONS))
    relation = words[draw.choice(len(words), edges, p=list(RELATIONS.values()))]
    relation = np.where(is_data[parent], "trained-on", relation)
    stated = draw.random(models)[child] < FIGURES_SHARE
    tokens = np.where(stated, draw.integers(1, 1000, edges).astype(str), "")
    table = pa.table(
        {
            "child": pc.take(ids, child),
            "parent": pc.take(ids, parent),
            "relation": relation,
            "route": np.array(["weights", "api", "unknown"])[draw.choice(3, edges)],
            "dataset": np.where(draw.random(edges) < 0.1, "a mixture, with a comma", ""),
            "tokens": tokens,
            "of": np.where(stated, "sft", ""),
            "of_tokens": np.where(stated, "1000000", ""),
            "status": np.array(["stated", "derived", "alleged"])[
                draw.choice(3, edges, p=[0.7, 0.28, 0.02])
            ],
            "date": np.array(["2025-06-01", ""])[draw.choice(2, edges)],
            "source": pc.binary_join_element_wise(pc.take(ids, child), "README.md", "@0000000:"),
            "note": np.where(draw.random(edges) < 0.02, 'said "as it is", in a card', ""),
        }
    )
    pa_csv.write_csv(table, file)


def write_hub(folder: Path, models: int, edges: int, seed: int = 1) -> None:
    """Write ``entities-hub.csv`` and ``claims-hub.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_entities(folder / "entities-hub.csv", models, seed)
    write_claims(folder / "claims-hub.csv", models, edges, seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=int, default=3_000_000)
    parser.add_argument("--edges", type=int, default=3_000_000)
    asked = parser.parse_args()
    write_hub(asked.folder, asked.models, asked.edges)
