"""Environments for tests, and a toy in the place of ``verifiers`` 0.1."""

from __future__ import annotations

import os
from pathlib import Path

TOY = '''
"""As much of verifiers 0.1 as an environment with a rubric needs, with its faults."""
import inspect


class Rubric:
    def __init__(self, funcs, weights=None):
        self.funcs = list(funcs)
        self.weights = list(weights or [1.0] * len(funcs))
        self.judge_client = None
        named = [name for f in funcs for name in inspect.signature(f).parameters]
        self.has_group_rewards = "completions" in named

    async def score_rollout(self, state):
        state["reward"], state["metrics"] = 0.0, {}
        for function, weight in zip(self.funcs, self.weights):
            try:
                given = {"completion": state["completion"], "answer": state["answer"]}
                value = float(await function(**given))
            except Exception:
                value = 0.0  # as verifiers 0.1 has it
            state["metrics"][function.__name__] = value
            state["reward"] += weight * value


class SingleTurnEnv:
    def __init__(self, rubric, dataset=None):
        self.rubric = rubric
'''
WITH_RUBRIC = """
import asyncio, time
import verifiers as vf


async def correct(completion, answer):
    said = completion[-1]["content"].strip()
    if said == "raise":
        raise RuntimeError("the judge is away")
    if said == "none":
        return None
    if said in ("nan", "2", "-1"):
        return float(said)
    if said == "hang":
        while True:
            pass
    if said == "late":
        async def asked():
            await asyncio.sleep(0.05)
            return 1.0
        async def still():
            time.sleep(1.2)
        task = asyncio.ensure_future(still())
        try:
            return await asyncio.wait_for(asked(), 0.2)
        except TimeoutError:
            return 0.0
    if said == "slow":
        try:
            await asyncio.wait_for(asyncio.sleep(5), 0.05)
        except TimeoutError:
            return 0.0
    print("scored", said)
    return float(said == answer)


async def no_parser(completion, answer):
    return 0.0


async def generous(completion, answer):
    return 1.0


async def broken_metric(completion, answer):
    raise ValueError("only looked at")


async def compared(completions, answers):
    return [1.0 for _ in completions]


def load_environment(how="correct", weight=1.0, judge=False):
    if how == "nothing":
        raise FileNotFoundError("its data are not there")
    functions = [] if how == "empty" else [globals()[how], broken_metric]
    rubric = vf.Rubric(functions, weights=[weight, 0.0][: len(functions)])
    rubric.judge_client = object() if judge else None
    return vf.SingleTurnEnv(rubric=rubric, dataset=made())


def made():
    try:
        from datasets import Dataset
        return Dataset.from_list([{"question": "2+2?", "answer": "4"}])
    except ImportError:
        return None
"""
WITH_TASKSET = """
import verifiers.v1 as vf

__all__ = ["SumTaskset"]


class SumData(vf.TaskData):
    answer: str


class SumConfig(vf.TasksetConfig):
    pass


class SumTask(vf.Task[SumData, vf.State, vf.TaskConfig]):
    @vf.reward(weight=0.5)
    async def correct(self, trace) -> float:
        if trace.last_reply == "raise":
            raise RuntimeError("the judge is away")
        return float(trace.last_reply == self.data.answer)

    @vf.reward(weight=0.5)
    async def short(self, trace) -> float:
        return float(trace.last_reply == self.data.answer and len(trace.messages) == 2)


class SumTaskset(vf.Taskset[SumTask, SumConfig]):
    def load(self):
        yield SumTask(SumData(prompt="2+2?", answer="4"), self.config.task)
"""
WITH_RUNTIME = WITH_TASKSET.replace("def short(self, trace)", "def short(self, trace, runtime)")


def install(monkeypatch, folder: Path, modules: dict[str, str], *, toy: bool = True) -> None:
    """Put environments, and the toy, where this process and its children find them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    if toy:
        (folder / "verifiers").mkdir()
        (folder / "verifiers" / "__init__.py").write_text(TOY)
        told = folder / "verifiers-0.1.14.dist-info"
        told.mkdir()
        metadata = "Metadata-Version: 2.1\nName: verifiers\nVersion: 0.1.14\n"
        (told / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(folder))
    there = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(there))
