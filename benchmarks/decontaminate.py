"""Rows held against 20,000 evaluation items: time a document, leaks found, and false hits.

Items are half tasks of a dozen templates, of which all runs but those around names and numbers are
common text, and half questions of words drawn by Zipf's law; answers are numbers, names or texts. Rows:

* **leaks**, some of each kind: the whole item; the question alone; the answer far behind it; other
  case, punctuation and spacing; in the middle of a document of 2,000 words; a line a word; in a turn
  of a chat; the long answer alone; a short question of three words with its answer. Found means that
  the row is turned down.
* **none of them leaks**: documents of 200 words of the same vocabulary; documents that have a
  template's words around other things; tasks of the same templates with other names and numbers,
  that are in no set; short answers; and English of this machine, the docstrings of Python's own
  modules and the descriptions of packages.

Time is of the processor, of the stage over the documents of 200 words (one column, as a dataset has
them), without the index, whose time is told apart.
"""

# ruff: noqa: E501 - tasks, a line each

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import itertools
import json
import os
import random
import resource
import statistics
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

NAMES = ("Ada", "Bela", "Chidi", "Dana", "Emeka", "Farah", "Goro", "Hana", "Ines", "Jiro", "Kofi")
THINGS = ("apples", "marbles", "stamps", "pencils", "cards", "shells", "tickets", "coins", "roses")
PLACES = ("Lima", "Oslo", "Accra", "Hanoi", "Quito", "Perth", "Sofia", "Tunis", "Osaka", "Cairo")
TEMPLATES = (
    "{n} had {a} {t} in {p} and gave {b} of them to {m} before lunch. How many {t} did {n} have left?",
    "A train leaves {p} at {a} minutes past noon and needs {b} minutes to reach {q}. When is it there?",
    "{n} and {m} share {a} {t} so that {n} gets {b} more than {m}. How many {t} does {m} get?",
    "If {a} workers in {p} build a wall in {b} days, how long do {c} workers need for the same wall?",
    "Find the remainder when {a} to the power of {b} is divided by {c}, and give it as a whole number.",
    "Let x be a whole number such that {a}x + {b} = {c}. What is the value of x in this equation?",
    "{n} buys {a} {t} for {b} cents each and sells them for {c} cents each in {p}. What is the profit?",
    "The sum of {a} numbers is {b}, and their mean without the largest is {c}. What is the largest?",
    "Which of these cities is closest to {p}, going by ship: {q}, or the harbour that {n} described?",
    "A box of {a} {t} has {b} red ones. {n} draws {c} without looking. How many can be red at most?",
    "In {p} it rained on {a} of {b} days. What is the chance of rain on each of the next {c} days?",
    "{n} reads {a} pages a day of a book of {b} pages, and {m} reads {c}. Who of the two ends first?",
)
KINDS = (
    "whole", "question", "far", "written otherwise", "in the middle", "a line a word", "in a chat",
    "long answer", "short pair",
)  # fmt: skip


class World:
    """Draws items and documents, always the same."""

    def __init__(self) -> None:
        self.draw = random.Random(11)
        letters = "etaoinshrdlucmfwyp"
        made = {
            "".join(self.draw.choices(letters, k=self.draw.randint(2, 9))) for _ in range(40_000)
        }
        self.words = sorted(made)
        self.draw.shuffle(self.words)
        self.weights = [1 / (at + 10) for at in range(len(self.words))]

    def text(self, words: int) -> str:
        """Return words by Zipf's law."""
        return " ".join(self.draw.choices(self.words, self.weights, k=words))

    def task(self) -> str:
        """Return a task of a template."""
        d = self.draw
        (n, m), (p, q) = d.sample(NAMES, 2), d.sample(PLACES, 2)
        a, b, c = (str(d.randint(2, 999)) for _ in range(3))
        told = {"n": n, "m": m, "p": p, "q": q, "t": d.choice(THINGS), "a": a, "b": b, "c": c}
        return d.choice(TEMPLATES).format(**told)

    def items(self, count: int) -> list[dict[str, str]]:
        """Return evaluation items, no two of one question."""
        found: dict[str, str] = {}
        long = [word for word in self.words[1000:] if len(word) > 4]
        while len(found) < count:
            kind = self.draw.random()
            if kind < 0.5:
                found[self.task()] = str(self.draw.randint(1, 9999))
            elif kind < 0.6:
                rare = self.draw.choices(long, k=2)
                found[f"who {rare[0]} {rare[1]}?"] = " ".join(
                    self.draw.choices(self.words[1000:], k=2)
                )
            else:
                asked = f"Why does {self.text(self.draw.randint(8, 60))}?"
                found[asked] = self.text(self.draw.choice((1, 2, 3, 20, 60)))
        return [{"question": question, "answer": answer} for question, answer in found.items()]

    def otherwise(self, text: str) -> str:
        """Return a text with other case, punctuation and spacing."""
        between = (" ", "  ", "\n", ", ", " - ", "... ", " (", ") ", "\t", "\u00a0")
        ways = (str.upper, str.lower, str.title, str)
        return "".join(
            self.draw.choice(ways)(word.strip(".,?:")) + self.draw.choice(between)
            for word in text.split(" ")
        )

    def leak(self, kind: str, items: list[dict[str, str]]) -> str:
        """Return a row's text that leaks an item."""
        short = kind == "short pair"
        while True:
            item = self.draw.choice(items)
            asked, said = item["question"], item["answer"]
            fits = len(said.split()) >= 20 if kind == "long answer" else True
            if fits and short == (len(asked.split()) < 5):
                break
        if kind == "in a chat":
            turns = [
                {"role": "user", "content": "Ask me something."},
                {"role": "assistant", "content": asked},
            ]
            return json.dumps(turns)
        return {
            "whole": f"{self.text(40)} {asked} {said} {self.text(40)}",
            "question": f"{asked}",
            "far": f"{asked} {self.text(300)} {said}",
            "written otherwise": self.otherwise(f"{self.text(30)} {asked} {self.text(30)}"),
            "in the middle": f"{self.text(1000)} {asked} {self.text(1000)}",
            "a line a word": "\n".join(asked.split(" ")),
            "long answer": f"{self.text(30)} {said} {self.text(30)}",
            "short pair": f"{self.text(20)} {asked} {self.text(40)} {said}.",
        }[kind]

    def harmless(self, count: int, items: list[dict[str, str]]) -> dict[str, list[str]]:
        """Return texts that leak nothing, by kind."""
        known = {item["question"] for item in items}
        tasks = [task for task in (self.task() for _ in range(count)) if task not in known]
        blank = dict.fromkeys("nmpqt", "someone") | dict.fromkeys("abc", "several")
        stems = [template.format(**blank) for template in TEMPLATES]
        return {
            "documents": [self.text(200) for _ in range(count)],
            "a template's words": [
                f"{self.text(50)} {self.draw.choice(stems)} {self.text(50)}" for _ in range(count)
            ],
            "other tasks": tasks,
            "short answers": [self.draw.choice(items)["answer"][:20] for _ in range(count)],
            "english": english(count),
        }


def english(count: int) -> list[str]:
    """Return docstrings of Python's own modules, and descriptions of packages."""
    told = (text for text in _english() if isinstance(text, str) and len(text) > 40)
    return list(itertools.islice(told, count))


def _english() -> Iterator[Any]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(errors="replace"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                yield ast.get_docstring(node)
    for distribution in importlib.metadata.distributions():
        yield distribution.metadata.get_payload()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--count", type=int, default=20_000, help="documents of 200 words")
    parser.add_argument("--leaks", type=int, default=500, help="of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    from machine import describe, write

    world = World()
    items = world.items(given.items)
    stage = Stage(items)
    leaks = {kind: [world.leak(kind, items) for _ in range(given.leaks)] for kind in KINDS}
    harmless = world.harmless(given.count, items)
    found: dict[str, Any] = {
        "machine": describe(), "load": os.getloadavg(), "items": len(items),
        "index_seconds": round(stage.index_seconds, 2), "sets": stage.sets,
        "leaks": {}, "false_hits": {}, "microseconds": [],
    }  # fmt: skip
    missed = 0
    for kind, texts in leaks.items():
        hit = sum(reason is not None for reason in stage.look(texts)[0])
        missed += len(texts) - hit
        found["leaks"][kind] = [hit, len(texts)]
        print(f"{kind}: {hit} of {len(texts)} found")
    for kind, texts in harmless.items():
        reasons = [reason for reason in stage.look(texts)[0] if reason]
        found["false_hits"][kind] = [len(reasons), len(texts)]
        print(f"{kind}: {len(reasons)} of {len(texts)} taken for leaks", *reasons[:3], sep="\n   ")
    for _ in range(given.rounds):
        _, seconds = stage.look(harmless["documents"])
        found["microseconds"].append(round(seconds / given.count * 1e6, 1))
    found["median_microseconds"] = statistics.median(found["microseconds"])
    found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print("microseconds a document", found["microseconds"], "peak MiB", found["peak_mib"])
    write(Path(__file__).with_name("decontaminate.json"), found)
    if missed:
        sys.exit(f"{missed} leaks were not found")


class Stage:
    """mashbill's stage over texts in memory."""

    def __init__(self, items: list[dict[str, str]]) -> None:
        from mashbill.core.stage import StageContext
        from mashbill.stages.decontaminate import DecontaminateSpec

        against = {"set": {"question": "question", "answer": "answer"}}
        self._spec = DecontaminateSpec.model_validate({"input": "in", "against": against})
        table = Items(pa.Table.from_pylist(items))
        here = Path()
        self._context = StageContext(
            name="out", seed=1, recipe_folder=here, cache=here, work=here, threads=1,
            input=lambda _: table, teacher=None, predictor=None, progress=lambda *_: None,
        )  # fmt: skip
        began = time.process_time()
        self.look(["nothing"])
        self.index_seconds = time.process_time() - began
        self.sets = self._context.overall["sets"]

    def look(self, texts: list[str]) -> tuple[list[str | None], float]:
        """Return why each text is turned down, and how long that took."""
        batches = pa.table({"text": pa.array(texts, pa.string())}).to_batches(max_chunksize=4096)
        began = time.process_time()
        out = [batch.column("_reason") for batch in self._spec.run(iter(batches), self._context)]
        seconds = time.process_time() - began
        return [reason for column in out for reason in column.to_pylist()], seconds


class Items:
    """A set as a dataset, as far as the stage asks for one."""

    def __init__(self, table: pa.Table) -> None:
        self._table, self.num_rows = table, table.num_rows

    def read(self, start: int, stop: int, columns: Any = None) -> pa.Table:
        """Return some rows."""
        return self._table.select(columns).slice(start, stop - start)


if __name__ == "__main__":
    main()
