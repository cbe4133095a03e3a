"""Environments with a taskset: ``verifiers.v1``, whose tasks score a trace.

Its tasks raise where a reward cannot be had. What they leave out, since it needs a runtime that is
not there, is told; or a reward would be the sum of what is left.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from mashbill.verifiers.environment.rubrics import Outage


class TasksetEnvironment:
    """A taskset of which each task scores what was said to it."""

    interface = "taskset"

    def __init__(self, kind: Any, arguments: dict[str, Any]) -> None:
        """Prepare to score.

        Args:
            kind: the module's class of tasksets.
            arguments: of its config.
        """
        self._v1 = importlib.import_module("verifiers.v1")
        generic = importlib.import_module("verifiers.v1.utils.generic")
        made = generic.concrete_type(kind, self._v1.TasksetConfig) or self._v1.TasksetConfig
        self._config = made(**arguments)
        self._task = kind.task_type()
        self.asked = False

    @property
    def asks(self) -> bool:
        """Whether it asks a model, as far as can be seen."""
        return self.asked or bool(getattr(self._config.task, "judges", None))

    async def reward_of(self, task: dict[str, Any], output: str) -> dict[str, Any]:
        """Return the reward and its parts."""
        v1 = self._v1
        data = self._task.data_type().model_validate(task)
        made = self._task(data, self._config.task)
        lacking = [one.__name__ for one in (*made.hooks("reward"), *made.hooks("metric"))
                   if _needs_runtime(one)]  # fmt: skip
        if lacking or made.NEEDS_CONTAINER:
            what = f"{lacking[0]} needs" if lacking else "its tasks need"
            msg = f"{what} a runtime of its own, and here an output alone is scored"
            raise Outage(msg)
        trace = v1.Trace(
            task=v1.TraceTask(type=type(made).__name__, data=data),
            agent=v1.AgentInfo(config=v1.AgentConfig()),
        )
        said = [*self._prompt(data), v1.MessageNode(message=_assistant(output), sampled=True)]
        for place, node in enumerate(said):
            node.parent = place - 1 if place else None
        trace.nodes = said
        trace.root_reply = output
        trace.is_completed, trace.ok = True, True
        await made.score(trace)
        self.asked |= bool(trace.extra_usage or trace.info.get("judge_calls"))
        unscored = [name for name, reward in trace.rewards.items() if reward is None]
        if unscored or not trace.rewards or not trace.ok:
            what = f"{unscored[0]} was not scored" if unscored else "it gave no reward"
            raise Outage(what)
        parts = {name: reward.score for name, reward in trace.rewards.items() if reward}
        return {"reward": trace.reward, "parts": parts}

    def _prompt(self, data: Any) -> list[Any]:
        kinds = importlib.import_module("verifiers.v1.types")
        said = data.prompt
        if isinstance(said, str):
            said = [kinds.UserMessage(content=said)]
        system = [kinds.SystemMessage(content=data.system_prompt)] if data.system_prompt else []
        return [self._v1.MessageNode(message=message) for message in [*system, *(said or [])]]


def _assistant(output: str) -> Any:
    return importlib.import_module("verifiers.v1.types").AssistantMessage(content=output)


def _needs_runtime(function: Any) -> bool:
    wanted = inspect.signature(function).parameters.get("runtime")
    return wanted is not None and wanted.default is inspect.Parameter.empty
