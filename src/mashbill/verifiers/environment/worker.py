"""An environment in a process of its own: see :mod:`mashbill.verifiers.kept_apart`.

It is asked for one output at a time, in an event loop where nothing else runs. A wait of the
environment's own that ran out while this loop stood still is told: what it says of the output is
then no judgement.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from mashbill.verifiers.environment.rubrics import Outage, RubricEnvironment
from mashbill.verifiers.environment.tasksets import TasksetEnvironment
from mashbill.verifiers.kept_apart import serve

_BEAT = 0.05  # seconds between two looks at the loop
_STILL = 0.5  # seconds that it may stand still before a wait that ran out is doubted
_loaded: list[Any] = []


def _environment(module: str, arguments: dict[str, Any]) -> Any:
    """Load an environment, by whichever interface its module has.

    Raises:
        Outage: if it has none.
    """
    package = importlib.import_module(module)
    if callable(getattr(package, "load_environment", None)):
        return RubricEnvironment(package.load_environment(**arguments))
    with suppress(ImportError):
        base = importlib.import_module("verifiers.v1").Taskset
        found = [
            each
            for name in getattr(package, "__all__", ())
            if isinstance(each := getattr(package, name, None), type) and issubclass(each, base)
        ]
        if len(found) == 1:
            return TasksetEnvironment(found[0], arguments)
    msg = f"{module} has neither load_environment nor one Taskset in its __all__"
    raise Outage(msg)


def _release(module: str) -> str:
    names = packages_distributions().get(module.split(".", maxsplit=1)[0], [])
    try:
        own = version(names[0]) if names else ""
        return f"{own} verifiers {version('verifiers')}".strip()
    except PackageNotFoundError:
        return ""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _scored(environment: Any, task: dict[str, Any], output: str) -> dict[str, Any]:
    ran_out: list[str] = []
    longest = 0.0

    async def beats() -> None:
        nonlocal longest
        before = time.monotonic()
        while True:
            await asyncio.sleep(_BEAT)
            now = time.monotonic()
            longest, before = max(longest, now - before - _BEAT), now

    own = asyncio.wait_for

    async def wait_for(awaited: Any, timeout: float | None) -> Any:  # noqa: ASYNC109 - as it is
        try:
            return await own(awaited, timeout)
        except TimeoutError:
            ran_out.append(f"{timeout:g} s")
            raise

    looking = asyncio.ensure_future(beats())
    await asyncio.sleep(0)  # so that it has begun before what may stand still
    asyncio.wait_for = wait_for  # type: ignore[assignment]
    try:
        told: dict[str, Any] = await environment.reward_of(task, output)
        await asyncio.sleep(_BEAT)
    finally:
        asyncio.wait_for = own
        looking.cancel()
    if ran_out and longest > _STILL:
        msg = (
            f"a wait of {ran_out[0]} ran out while its event loop stood still for {longest:.1f} s, "
            "so that it may have had an answer"
        )
        raise Outage(msg)
    return told


def answered(asked: dict[str, Any]) -> Any:
    """Return the answer to what is asked: ``load`` an environment, or ``score`` an output."""
    if asked["what"] == "load":
        _loaded[:] = [_environment(asked["module"], asked["arguments"])]
        return {
            "interface": _loaded[0].interface,
            "asks": _loaded[0].asks,
            "release": _release(asked["module"]),
        }
    told = _loop().run_until_complete(_scored(_loaded[0], asked["task"], asked["output"]))
    return {**told, "asks": _loaded[0].asks}


def _load() -> None:
    importlib.import_module("verifiers")
    sys.setrecursionlimit(2_000)


if __name__ == "__main__":
    serve(_load, answered)
