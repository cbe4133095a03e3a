"""The command that says how a suite's environment is made, and whether one is named."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mashbill.cli.options import JsonOption, app, out, print_json
from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.evals.suites.environments import SUITES, how_to_make, interpreter, version_of


@app.command("harness")
def harness_command(
    suite: Annotated[str, typer.Argument(help="lm-eval or inspect-ai; both if absent.")] = "",
    at: Annotated[str, typer.Option(help="Folder of the environment to be made.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Say how to make an environment for lm-eval or inspect-ai, and whether one is named.

    Nothing is made or run but what the variable of the shell names, asked for its version.
    """
    if suite and suite not in SUITES:
        there = near(suite, SUITES) or f"; there are {', '.join(SUITES)}"
        msg = f"{suite!r} is no suite{there}"
        raise InputError(msg)
    told = {name: _told(name, at) for name in SUITES if suite in ("", name)}
    if as_json:
        print_json(told)
        return
    for name, one in told.items():
        if one["version"]:
            out.say(f"{name}: {one['version']} at {one['python']} ({one['variable']})")
            continue
        out.say(f"{name}: {one['why']}")
        out.say("Make an environment, and name it:")
        for line in one["commands"]:
            out.say(f"    {line}")


def _told(name: str, at: str) -> dict[str, Any]:
    suite = SUITES[name]
    told: dict[str, Any] = {
        "variable": suite.variable, "commands": how_to_make(suite, at),
        "python": None, "version": None, "why": "",
    }  # fmt: skip
    try:
        python = interpreter(suite)
        return {**told, "python": str(python), "version": version_of(suite, python)}
    except InputError as error:
        return {**told, "why": str(error)}
