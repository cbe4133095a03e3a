"""Is what was saved what was trained? Asked of every model before it is committed.

A trainer sets ``ctx.trained``, the model as it stands in memory. What was written is loaded, and
both are asked the same.
"""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import StoreError
from mashbill.core.model import Decoding
from mashbill.core.teacher import Question

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.model import Writer
    from mashbill.run.task import Task

_TEXTS = 64
_WRITTEN = 16  # texts that a model which writes goes on from
_TOKENS = 16
_TOLERANCE = 1e-3
"""of a probability, or its logarithm: weights are trained in float64 and saved in float32"""
_ALWAYS = ("", "a", "The film was not good, and the weather is fine!", "Grüße, 42 Züge, 日本語")


def check_written(task: Task, folder: Path) -> None:
    """Load a model from its files and hold its answers against those of the model in memory.

    Args:
        task: the stage that trained it; its context has the model in memory, and the texts that
            it learned from, of which 64 are asked.
        folder: the files.

    Raises:
        StoreError: if the files answer otherwise; nothing is committed then.
    """
    trained: Any = task.context.trained
    where = f"stages.{task.name}: trainer kind {task.spec.kind!r}"
    if trained is None:
        msg = f"{where} does not set ctx.trained, so what it wrote cannot be held against it"
        raise StoreError(msg)
    spec: Any = type(task.spec)
    loaded = spec.load(folder, task.context.threads)
    texts = [*_ALWAYS, *_learned_from(task)]
    # A kind that may make both may have made one that only writes: then neither has labels.
    labels = [hasattr(model, "labels") for model in (loaded, trained)]
    if spec.can_label and (any(labels) or not spec.can_write):
        _check_labels(where, loaded, trained, texts)
    if spec.can_write:
        _check_writes(where, loaded, trained, texts)


def _check_labels(where: str, loaded: Any, trained: Any, texts: list[str]) -> None:
    if tuple(loaded.labels) != tuple(trained.labels):
        msg = (
            f"{where} wrote a model with the labels {list(loaded.labels)}, and trained one with "
            f"{list(trained.labels)}; nothing was committed: this is a fault of the trainer"
        )
        raise StoreError(msg)
    saved, expected = (np.asarray(m.probabilities(texts), float) for m in (loaded, trained))
    same = saved.shape == expected.shape and bool(np.isfinite([saved, expected]).all())
    gap = float(np.abs(saved - expected).max()) if same else float("inf")
    if gap > _TOLERANCE:
        changed = int((saved.argmax(-1) != expected.argmax(-1)).sum()) if same else len(texts)
        msg = (
            f"{where} wrote a model that answers otherwise than the one it trained: probabilities "
            f"{gap:.2g} apart, {changed} of {len(texts)} labels differ. Nothing was committed: "
            "this is a fault of the trainer"
        )
        raise StoreError(msg)


def _check_writes(where: str, loaded: Writer, trained: Writer, texts: list[str]) -> None:
    """Let both go on from the first half of some texts, and weigh the other half."""
    halves = [(text[: len(text) // 2], text[len(text) // 2 :]) for text in texts[:_WRITTEN]]
    asked = [Question("", first) for first, _ in halves]
    asked += [Question("", first, (then, " no")) for first, then in halves if then.strip()]
    saved, expected = (m.answer(asked, Decoding(max_tokens=_TOKENS)) for m in (loaded, trained))
    pairs = list(zip(saved, expected, strict=True))
    differ = sum((a.text, a.finish, a.failed) != (b.text, b.finish, b.failed) for a, b in pairs)
    gaps = [
        abs(one - other)
        for a, b in pairs
        for one, other in zip_longest(a.logprobs, b.logprobs, fillvalue=math.inf)
    ]
    if differ or not all(gap <= _TOLERANCE for gap in gaps):
        msg = (
            f"{where} wrote a model that writes otherwise than the one it trained: "
            f"{differ} of {len(asked)} answers differ, log-probabilities are "
            f"{max(gaps, default=0.0):.2g} apart. Nothing was committed: this is a fault of the "
            "trainer"
        )
        raise StoreError(msg)


def _learned_from(task: Task) -> list[str]:
    texts: list[str] = []
    for use in task.spec.uses():
        if use.role == "trained-on":
            data = task.context.input(use.name)
            if "text" in data.columns:
                texts += data.sample(_TEXTS, ["text"]).column(0).to_pylist()
    return [text for text in texts if text is not None]
