"""reasoning-gym in a process of its own, which is ended where it takes too long.

Run as ``-m`` by :class:`mashbill.verifiers.reasoning_gym.asking.Gym`. A line of JSON in is what is
asked, a line out is the answer. A generator may hang, print, or take all memory there is; and some
evaluate an output as Python. While this process scores, nothing that is written in a text is
executed: the interpreter's own audit hook forbids it before the first instruction.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import cache
from typing import Any

from mashbill.verifiers.kept_apart import serve
from mashbill.verifiers.reasoning_gym.trying import FULL, ITEMS, SEED, tried

_scoring = False
"""whether an output is being scored: then no text is executed"""
_forbidden: list[str] = []
"""what wanted to be executed, since it was last looked at"""


class RunsTextError(RuntimeError):
    """A generator wanted to run a text as a program."""


def _hook(event: str, told: tuple[Any, ...]) -> None:
    if not _scoring or event not in {"exec", "compile"}:
        return
    of = told[1] if event == "compile" else getattr(told[0], "co_filename", "")
    name = os.fsdecode(of) if isinstance(of, bytes | str) else ""
    if name.startswith("<") and not name.startswith("<frozen"):
        msg = "it runs a text as a program"
        _forbidden.append(name)
        raise RunsTextError(msg)


@cache
def _dataset(generator: str, size: int, seed: int, config: str) -> Any:
    made = importlib.import_module("reasoning_gym").create_dataset
    return made(generator, size=size, seed=seed, **json.loads(config))


def _score(generator: str, config: str, output: str, item: Any) -> float:
    """Return what a generator says of an output, in [0, 1].

    Raises:
        ValueError: if that is no such number.
    """
    global _scoring  # noqa: PLW0603 - the hook has no other way to know
    dataset = _dataset(generator, 1, 0, config)
    _scoring = True
    try:
        value = dataset.score_answer(output, item)
    finally:
        _scoring = False
    # bool(text) and nan are what generators have given
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        if isinstance(value, bool):
            return float(value)
        msg = f"its score is {value!r:.40}, which is no number from 0 to 1"
        raise ValueError(msg)
    return float(value)


def answered(asked: dict[str, Any]) -> Any:
    """Return the answer to what is asked: a value that JSON can hold."""
    config = json.dumps(asked.get("config") or {}, sort_keys=True)
    what = asked["what"]
    if what == "names":
        return sorted(importlib.import_module("reasoning_gym.factory").DATASETS)
    if what == "task":
        item = _dataset(asked["generator"], asked["size"], asked["seed"], config)[asked["at"]]
        metadata = {**(item.get("metadata") or {}), "source_dataset": asked["generator"]}
        return {**item, "metadata": metadata, "config": json.loads(config)}
    if what == "score":
        return _score(asked["generator"], config, asked["output"], asked["item"])
    if what == "try":
        name = asked["generator"]
        items = _dataset(name, ITEMS, SEED, config)
        _forbidden.clear()
        found = tried(
            lambda output, item: _score(name, config, output, item),
            [items[at] for at in range(asked.get("items", ITEMS))],
        )
        found.runs = bool(_forbidden)
        if found.runs and found.paid.get("the right answer", 1.0) < FULL:
            found.faults.append("its scoring runs texts as programs, which is forbidden here")
        return found.as_dict()
    msg = f"{what!r} cannot be asked"
    raise ValueError(msg)


def _load() -> None:
    importlib.import_module("reasoning_gym")
    sys.addaudithook(_hook)


if __name__ == "__main__":
    serve(_load, answered)
