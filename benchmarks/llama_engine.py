"""llama.cpp (xllamacpp) as an engine of the embedded teacher, beside OpenVINO.

Run by hand on a machine that does nothing else, with xllamacpp installed (`dev` has it):
`python benchmarks/llama_engine.py [texts] [rounds]`. Labelling is the four-shot prompt of
recipes/grey_area.toml, writing is 32 answers of 48 tokens. Each engine runs in its own process,
since the threads of one that waits take time of the other; the two are interleaved, llama.cpp with
one thread and with two. Each is called without HTTP, and asks nothing twice.
Writes benchmarks/results/llama_engine.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp
from engines import sample
from machine import describe, write

from mashbill import Question
from mashbill.core.cache import default_cache

ENGINES = {"openvino": 2, "llama-1": 1, "llama-2": 2}
"""engine -> threads"""
SLOTS = 4
WRITTEN, TOKENS = 32, 48


def llama(gguf: Path, threads: int) -> Any:
    asked = xllamacpp.CommonParams()
    asked.model.path = str(gguf)
    asked.hostnames, asked.port = ["127.0.0.1"], 0
    asked.n_ctx, asked.n_parallel = 8192, SLOTS
    for each in (asked.cpuparams, asked.cpuparams_batch):
        each.n_threads = threads
        each.poll = 0
    return xllamacpp.Server(asked)


def together(call: Any, bodies: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(SLOTS) as pool:
        return [
            said if isinstance(said, dict) else json.loads(said) for said in pool.map(call, bodies)
        ]


def labels_by_llama(server: Any, asked: list[Question]) -> np.ndarray:
    said = together(
        server.handle_completions,
        [
            {"prompt": q.prefix + q.body, "max_tokens": 1, "logprobs": 20, "temperature": 0}
            for q in asked
        ],
    )
    found = []
    for question, answer in zip(asked, said, strict=True):
        top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        known = {each["token"]: each["logprob"] for each in top}
        found.append([known.get(choice, top[-1]["logprob"] - 3) for choice in question.choices])
    return np.array(found)


def lines_by_llama(server: Any, asked: list[Question]) -> int:
    said = together(
        server.handle_chat_completions,
        [{"messages": [{"role": "user", "content": q.body}], "max_tokens": TOKENS,
          "temperature": 0} for q in asked],
    )  # fmt: skip
    return sum(answer["usage"]["completion_tokens"] for answer in said)


def by_batches(teacher: Any, asked: list[Question]) -> list[Any]:
    sizes = teacher.sizes(asked)
    order = sorted(range(len(asked)), key=lambda place: sizes[place])
    answers = {}
    for start in range(0, len(asked), teacher.batch):
        places = order[start : start + teacher.batch]
        made = teacher.answer([asked[place] for place in places])
        answers |= dict(zip(places, made, strict=True))
    return [answers[place] for place in range(len(asked))]


def one(engine: str, count: int, turn: int) -> dict[str, Any]:
    """Load an engine, let it label and write, and return what it took and said."""
    asked, recipe = sample(count)
    # A question that was asked before would come from llama.cpp's cache of prompts.
    asked = [Question(q.prefix, f" {turn}{q.body}", q.choices) for q in asked]
    prompts = [
        Question("", f"Write two sentences about number {n} ({turn}).") for n in range(WRITTEN)
    ]
    spec, began = recipe.teachers["smollm2"], time.perf_counter()
    if engine == "openvino":
        spec = spec.model_copy(update={"max_tokens": TOKENS})
        teacher = spec.load(recipe.folder, default_cache(), ENGINES[engine])

        def label() -> np.ndarray:
            return np.array([answer.logprobs for answer in by_batches(teacher, asked)])

        def write_lines() -> int:
            return sum(answer.tokens for answer in by_batches(teacher, prompts))

    else:
        server = llama(spec.gguf(recipe.folder, default_cache()), ENGINES[engine])

        def label() -> np.ndarray:
            return labels_by_llama(server, asked)

        def write_lines() -> int:
            return lines_by_llama(server, prompts)

    loaded = time.perf_counter() - began
    began = time.perf_counter()
    said = label()
    labelling = time.perf_counter() - began
    began = time.perf_counter()
    write_lines()
    writing = time.perf_counter() - began
    return {
        "load_s": round(loaded, 2),
        "labels_a_second": round(count / labelling, 2),
        "texts_a_second": round(WRITTEN / writing, 3),
        "logprobs": said.tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=int, nargs="?", default=96)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("--one", nargs=2)
    asked = parser.parse_args()
    if asked.one:
        print("RESULT", json.dumps(one(asked.one[0], asked.texts, int(asked.one[1]))))
        return
    found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
    for turn in range(asked.rounds):
        for engine, threads in ENGINES.items():
            done = subprocess.run(
                [sys.executable, __file__, str(asked.texts), "--one", engine, str(turn)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            )
            line = next(x for x in done.stdout.splitlines() if x.startswith("RESULT"))
            found[engine].append(json.loads(line.removeprefix("RESULT")))
            told = {k: v for k, v in found[engine][-1].items() if k != "logprobs"}
            print(engine, told, flush=True)
    report: dict[str, Any] = {**describe(), "xllamacpp": xllamacpp.__version__}
    for engine, rounds in found.items():
        said = [np.array(each.pop("logprobs")) for each in rounds]
        own = said[0][:, 0] - said[0][:, 1]
        report[engine] = {"rounds": rounds}
        if engine == "openvino":
            reference, labels = own, said[0].argmax(1)
            continue
        report[engine] |= {
            "correlation": round(float(np.corrcoef(own, reference)[0, 1]), 4),
            "same_label": round(float((said[0].argmax(1) == labels).mean()), 4),
            **{
                f"{key} over openvino": round(
                    statistics.median(
                        mine[key] / other[key]
                        for mine, other in zip(rounds, found["openvino"], strict=True)
                    ),
                    3,
                )
                for key in ("labels_a_second", "texts_a_second")
            },
        }
    print(json.dumps(report, indent=1))
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    main()
