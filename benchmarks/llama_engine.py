"""llama.cpp (xllamacpp) as an engine of the embedded teacher, beside OpenVINO.

Run by hand on a machine that does nothing else, with xllamacpp installed (`dev` has it):
`python benchmarks/llama_engine.py [texts] [rounds]`. Labelling is the four-shot prompt of
recipes/grey_area.toml, writing is 32 answers of 48 tokens. The two are interleaved, and ratios of
each round are told beside the rates, since what else runs slows both. Each is called without HTTP.
Writes benchmarks/results/llama_engine.json.
"""

import json
import statistics
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
from mashbill.run import default_cache

THREADS = 2
SLOTS = 4
WRITTEN, TOKENS = 32, 48


def llama(gguf: Path) -> Any:
    asked = xllamacpp.CommonParams()
    asked.model.path = str(gguf)
    asked.hostnames, asked.port = ["127.0.0.1"], 0
    asked.n_ctx, asked.n_parallel = 8192, SLOTS
    for each in (asked.cpuparams, asked.cpuparams_batch):
        each.n_threads = THREADS
    return xllamacpp.Server(asked)


def together(call: Any, bodies: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(SLOTS) as pool:
        return [said if isinstance(said, dict) else json.loads(said)
                for said in pool.map(call, bodies)]  # fmt: skip


def labels_by_llama(server: Any, asked: list[Question]) -> np.ndarray:
    said = together(
        server.handle_completions,
        [{"prompt": q.prefix + q.body, "max_tokens": 1, "logprobs": 20, "temperature": 0}
         for q in asked],
    )  # fmt: skip
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


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 96
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    asked, recipe = sample(count)
    prompts = [Question("", f"Write two sentences about number {n}.") for n in range(WRITTEN)]
    spec = recipe.teachers["smollm2"]
    load = {}
    began = time.perf_counter()
    changed = {"max_tokens": TOKENS}
    openvino = spec.model_copy(update=changed).load(recipe.folder, default_cache(), THREADS)
    by_batches(openvino, asked[:1] + prompts[:1])
    load["openvino"] = round(time.perf_counter() - began, 2)
    began = time.perf_counter()
    server = llama(spec.gguf(recipe.folder, default_cache()))
    labels_by_llama(server, asked[:1])
    load["llama.cpp"] = round(time.perf_counter() - began, 2)

    def timed(work: Any) -> tuple[Any, float]:
        start = time.perf_counter()
        made = work()
        return made, time.perf_counter() - start

    told = {"labelling": [], "writing": []}
    for turn in range(rounds):
        # A question that was asked before would come from llama.cpp's cache of prompts.
        fresh = [Question(q.prefix, f" {turn}{q.body}", q.choices) for q in asked]
        one, own = timed(lambda fresh=fresh: by_batches(openvino, fresh))
        other, its = timed(lambda fresh=fresh: labels_by_llama(server, fresh))
        here = np.array([answer.logprobs for answer in one])
        margins = here[:, 0] - here[:, 1], other[:, 0] - other[:, 1]
        told["labelling"].append({
            "openvino_per_second": round(count / own, 2),
            "llama_per_second": round(count / its, 2),
            "llama_over_openvino": round(own / its, 3),
            "correlation": round(float(np.corrcoef(*margins)[0, 1]), 4),
            "same_label": round(float((here.argmax(1) == other.argmax(1)).mean()), 4),
        })  # fmt: skip
        fresh = [Question("", f"{q.body} ({turn})") for q in prompts]
        one, own = timed(lambda fresh=fresh: by_batches(openvino, fresh))
        tokens, its = timed(lambda fresh=fresh: lines_by_llama(server, fresh))
        told["writing"].append({
            "openvino_texts_per_second": round(WRITTEN / own, 2),
            "llama_texts_per_second": round(WRITTEN / its, 2),
            "llama_over_openvino": round(own / its, 3),
            "llama_tokens": tokens,
        })  # fmt: skip
    ratios = {
        name: round(statistics.median(each["llama_over_openvino"] for each in found), 3)
        for name, found in told.items()
    }
    report = {
        **describe(), "xllamacpp": xllamacpp.__version__, "threads": THREADS, "slots": SLOTS,
        "texts": count, "load_seconds": load, **told, "median_llama_over_openvino": ratios,
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    main()
