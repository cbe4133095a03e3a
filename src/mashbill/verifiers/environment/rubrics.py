"""Environments with a rubric: releases of ``verifiers`` before 0.2, ``load_environment``.

Its rubric takes what a reward function raises, and what it gives that is no number, for 0. So each
function is given a watcher that remembers such a case, and the score is told as failed.
"""

from __future__ import annotations

import functools
import inspect
import json
from typing import Any


class Outage(Exception):  # noqa: N818 - it is told by its own words
    """A reward that stands for no judgement of the output."""


class RubricEnvironment:
    """An environment whose rubric scores a state."""

    interface = "rubric"

    def __init__(self, loaded: Any) -> None:
        """Prepare to score.

        Args:
            loaded: what the module's ``load_environment`` gave.
        """
        self._rubric = loaded.rubric
        self._system = getattr(loaded, "system_prompt", None)
        self._wrong: list[str] = []
        self._functions = 0
        todo = [self._rubric]
        while todo:
            rubric = todo.pop()
            todo += getattr(rubric, "rubrics", [])
            self._functions += sum(bool(weight) for weight in rubric.weights)
            rubric.funcs = [
                self._watched(function) if weight else function
                for function, weight in zip(rubric.funcs, rubric.weights, strict=True)
            ]
        if not self._functions:
            msg = "its rubric has no reward function with a weight, so that it pays 0 for all"
            raise Outage(msg)
        if getattr(self._rubric, "has_group_rewards", False):
            msg = "its rubric compares the outputs of a group, and here each is scored by itself"
            raise Outage(msg)

    @property
    def asks(self) -> bool:
        """Whether it asks a model, as far as can be seen."""
        todo = [self._rubric]
        while todo:
            rubric = todo.pop()
            todo += getattr(rubric, "rubrics", [])
            if getattr(rubric, "judge_client", None) is not None:
                return True
        return False

    async def reward_of(self, task: dict[str, Any], output: str) -> dict[str, Any]:
        """Return the reward and its parts."""
        prompt = task.get("prompt", task.get("question", ""))
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": prompt}]
        info = task.get("info") or {}
        state: Any = {
            **{key: value for key, value in task.items() if key not in {"prompt", "question"}},
            "input": {**task, "prompt": prompt, "info": info},
            "prompt": prompt,
            "completion": [{"role": "assistant", "content": output}],
            "answer": task.get("answer", ""),
            "info": json.loads(info) if isinstance(info, str) else info,
            "task": task.get("task", "default"),
            "trajectory": [],
            "turn": 1,
            "timing": {"generation_ms": 0.0, "scoring_ms": 0.0, "total_ms": 0.0},
        }
        self._wrong.clear()
        await self._rubric.score_rollout(state)
        if self._wrong:
            raise Outage(self._wrong[0])
        return {"reward": state.get("reward"), "parts": dict(state.get("metrics") or {})}

    def _watched(self, function: Any) -> Any:
        name = getattr(function, "__name__", "a reward function")

        @functools.wraps(function)
        async def watched(*given: Any, **keys: Any) -> Any:
            try:
                value = function(*given, **keys)
                value = await value if inspect.isawaitable(value) else value
                float(value)
            except BaseException as error:
                self._wrong.append(f"{name} raised {type(error).__name__}: {error!s:.120}")
                raise
            return value

        return watched
