"""The embedded teacher's engines, side by side, on the labelling of recipes/grey_area.toml.

Run by hand on a machine that does nothing else: `python benchmarks/engines.py [questions]`. Prints
questions a second, time to load, and how far the engines' log-probabilities are apart; writes
benchmarks/results/engines.json. Each engine is timed twice, interleaved, and the better run kept,
since a stolen core makes a run slow and never fast.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from mashbill import Question, load_recipe
from mashbill.core.cache import default_cache
from mashbill.files.fetch import fetch, member
from mashbill.workspace.recipes import recipe_path


def sample(count: int) -> tuple[list[Question], object]:
    recipe = load_recipe(recipe_path("grey_area"))
    corpus = recipe.stages["corpus"]
    archive = fetch(corpus.source, corpus.sha256, recipe.folder, default_cache())
    lines = []
    for inside in corpus.members.values():
        text = member(archive, inside).decode().splitlines()
        lines += [line.split("\t")[2] for line in text]
    step = len(lines) // count
    return recipe.stages["labelled"].questions(recipe.folder, lines[::step][:count]), recipe


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    asked, recipe = sample(count)
    spec = recipe.teachers["smollm2"]
    threads = os.cpu_count() or 1
    result, answers = {"questions": count, "threads": threads}, {}
    teachers = {}
    for engine in ("openvino", "torch"):
        began = time.perf_counter()
        teachers[engine] = spec.model_copy(update={"engine": engine}).load(
            recipe.folder, default_cache(), threads
        )
        result[engine] = {"load_seconds": round(time.perf_counter() - began, 2), "rates": []}
    for _ in range(2):
        for engine, teacher in teachers.items():
            sizes = teacher.sizes(asked)
            order = sorted(range(count), key=lambda i: sizes[i])
            logprobs = np.zeros((count, 2))
            began = time.perf_counter()
            for start in range(0, count, teacher.batch):
                places = order[start : start + teacher.batch]
                batch = teacher.answer([asked[i] for i in places])
                logprobs[places] = [answer.logprobs for answer in batch]
            rate = count / (time.perf_counter() - began)
            result[engine]["rates"].append(round(rate, 2))
            answers[engine] = logprobs
    best = {engine: max(result[engine]["rates"]) for engine in teachers}
    result["openvino_over_torch"] = round(best["openvino"] / best["torch"], 3)
    one, other = answers["openvino"], answers["torch"]
    result["largest_difference_in_logprob"] = float(np.abs(one - other).max())
    result["same_label"] = float((one.argmax(1) == other.argmax(1)).mean())
    print(json.dumps(result, indent=2))
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "engines.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
