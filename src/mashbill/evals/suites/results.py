"""What suites found: their files of results, read within bounds, as one kind of figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_object
from mashbill.core.proportions import Z, wilson
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 64 << 20  # bytes of a file of results
_FIGURES = 2000  # of one run
_NAME = 120  # characters of a task or metric
_FILES = 200
_CLOSE = 1e-6


@dataclass(frozen=True)
class Figure:
    """One figure of a task."""

    task: str
    metric: str
    """with the filter or the scorer that it is of"""
    value: float
    stderr: float | None
    samples: int | None
    version: str
    """of the task"""
    higher_is_better: bool | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval: Wilson's of a share of right answers, else the normal one.

        Of samples that are all alike the normal one has no width, and so there is none.
        """
        if self.stderr is None:
            return None
        if self.is_share:
            return wilson(self.value, self.samples or 0)
        return (self.value - Z * self.stderr, self.value + Z * self.stderr) if self.stderr else None

    @property
    def is_share(self) -> bool:
        """Whether it is a share of right answers, as its standard error says."""
        count, value = self.samples or 0, self.value
        if self.stderr is None or not (0 <= value <= 1 and count > 1):
            return False
        return abs(self.stderr**2 - value * (1 - value) / (count - 1)) < _CLOSE


def of_lm_eval(folder: Path, who: str) -> list[Figure]:
    """Return what lm-eval found, from the file that it wrote below a folder.

    Raises:
        InputError: if there is none, or it is not what lm-eval writes.
    """
    told = _only(folder, "results_*.json", who)
    found: list[Figure] = []
    better, counts = _table(told.get("higher_is_better")), _table(told.get("n-samples"))
    versions = _table(told.get("versions"))
    for task, figures in _table(told.get("results")).items():
        for key, value in _table(figures).items():
            metric, _, which = key.partition(",")
            if not which or metric.endswith("_stderr") or not _is_number(value):
                continue
            error = figures.get(f"{metric}_stderr,{which}")
            count = _table(counts.get(task)).get("effective")
            is_better = _table(better.get(task)).get(metric)
            found.append(
                Figure(
                    shown(str(task), _NAME),
                    shown(metric if which == "none" else f"{metric} ({which})", _NAME),
                    float(value),
                    float(error) if _is_number(error) else None,
                    count if isinstance(count, int) else None,
                    shown(str(versions.get(task, "")), _NAME),
                    is_better if isinstance(is_better, bool) else None,
                )
            )
    return _checked(found, who)


def of_inspect(folder: Path, who: str) -> list[Figure]:
    """Return what inspect-ai found, from the logs that it wrote into a folder.

    Raises:
        InputError: if there is none, a task did not succeed, or a log is not what it writes.
    """
    found: list[Figure] = []
    paths = sorted(folder.glob("*.json"))[:_FILES]
    for path in paths:
        told = _read(path, who)
        task = _table(told.get("eval"))
        name = shown(str(task.get("task", path.stem)), _NAME)
        if told.get("status") != "success":
            error = _table(told.get("error")).get("message", told.get("status"))
            raise InputError(f"{who}: task {name} did not succeed: {shown(str(error), 400)}")
        for score in _list(_table(told.get("results")).get("scores")):
            metrics = _table(_table(score).get("metrics"))
            values = {key: _table(one).get("value") for key, one in metrics.items()}
            error, count = values.get("stderr"), _table(score).get("scored_samples")
            for metric, value in values.items():
                if metric == "stderr" or not _is_number(value):
                    continue
                found.append(
                    Figure(
                        name,
                        shown(f"{metric} ({_table(score).get('name')})", _NAME),
                        float(value),
                        float(error) if _is_number(error) else None,
                        count if isinstance(count, int) else None,
                        shown(str(task.get("task_version", "")), _NAME),
                    )
                )
    return _checked(found, who)


def _checked(found: list[Figure], who: str) -> list[Figure]:
    if not found:
        raise InputError(f"{who} told no figure of any task")
    if len(found) > _FIGURES:
        raise InputError(f"{who} told {len(found):,} figures, and at most {_FIGURES:,} are taken")
    return found


def _only(folder: Path, pattern: str, who: str) -> dict[str, Any]:
    paths = sorted(folder.rglob(pattern))
    if not paths:
        raise InputError(f"{who} ended and wrote no results")
    return _read(paths[-1], who)


def _read(path: Path, who: str) -> dict[str, Any]:
    try:
        return json_object(path, error=InputError, most=_MOST)
    except InputError as error:
        raise InputError(f"{who}: its results cannot be read: {error}") from error


def _table(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _list(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _is_number(value: Any) -> TypeGuard[int | float]:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value)
