"""What an earlier release wrote wrong, and how such artifacts are known.

An artifact never changes, and one that a fault of ours made cannot stay: it is given up on record,
with what was made from it, and the next run of its recipe makes them anew.

Format 1 of linear classifiers (release 0.1, no number in ``config.json``): the weights of three or
more labels were written in another order than they are read in, so that the saved model gave
labels nearly at random. Two labels have one row of weights, which no order can disturb. A model
that was averaged or rounded from scrambled ones is as wrong, and bears no number either.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.core.parsing import check_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG = "config.json"
LINEAR_FORMAT = 3
"""what this release writes; since 3 it says how texts are taken apart into words"""
LINEAR_KINDS = frozenset({"classifier", "merge", "quantise"})
"""kinds of stages that make linear classifiers"""


def linear_fault(config: Mapping[str, Any]) -> str:
    """Return what is wrong with a linear classifier, given its ``config.json``; empty if nothing.

    The text goes on from the model's name.
    """
    labels = config.get("labels")
    if isinstance(labels, list) and len(labels) > 2 and config.get("format", 1) == 1:
        return (
            f"has {len(labels)} labels and was written by release 0.1, which wrote the weights of "
            "three or more labels in a wrong order, so its answers are nearly random"
        )
    return ""


def model_fault(kind: str, folder: Path) -> str:
    """Return what is wrong with a model's files; empty if nothing that is known.

    Args:
        kind: of the stage that made it.
        folder: where its files are.
    """
    if kind not in LINEAR_KINDS:
        return ""
    check_regular(folder / CONFIG)
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""  # damaged or not there: other checks say so
    return linear_fault(config) if isinstance(config, dict) else ""
