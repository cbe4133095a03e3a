"""Is what was saved what was trained? Asked of every model before it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.run.task import Task

_TEXTS = 64
_TOLERANCE = 1e-3
"""of a probability: weights are trained in float64 and saved in float32"""
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
    if tuple(loaded.labels) != tuple(trained.labels):
        msg = (
            f"{where} wrote a model with the labels {list(loaded.labels)}, and trained one with "
            f"{list(trained.labels)}; nothing was committed: this is a fault of the trainer"
        )
        raise StoreError(msg)
    texts = [*_ALWAYS, *_learned_from(task)]
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


def _learned_from(task: Task) -> list[str]:
    texts: list[str] = []
    for use in task.spec.uses():
        if use.role == "trained-on":
            data = task.context.input(use.name)
            if "text" in data.columns:
                texts += data.sample(_TEXTS, ["text"]).column(0).to_pylist()
    return [text for text in texts if text is not None]
