"""The command that says what a recipe can name, and with which keys."""

from __future__ import annotations

from typing import Annotated

import typer

from mashbill.cli.options import JsonOption, app, out, print_json
from mashbill.workspace.kinds import TABLES, TITLES, Kind, every, markdown, named


@app.command("stages")
def stages_command(
    kind: Annotated[str, typer.Argument(help="A kind, such as label; all of them if absent.")] = "",
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/stages.md: every kind with every key.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the kinds of stages, verifiers and teachers, or one with its keys and an example.

    Plugins that are installed are among them.
    """
    found = named(kind) if kind else every()
    if as_json:
        print_json([one.told() for one in found])
    elif as_markdown:
        out.emit(markdown(found))
    elif kind:
        for one in found:
            _tell(one)
    else:
        for group in TABLES:
            out.say((TITLES[group], "bold"))
            for one in found:
                if one.group == group:
                    out.say((f"  {one.name:<15}", "cyan"), f" {one.summary}")
        out.say("`mashbill stages KIND` shows keys and an example of one.")


def _tell(kind: Kind) -> None:
    out.say((f"{kind.name}", "bold"), f" ({TITLES[kind.group].lower()}): {kind.summary}")
    if kind.about:
        out.emit(f"\n{kind.about}\n\n")
    out.say(("Keys", "bold"))
    for key in kind.keys:
        what = "needed" if key.required else f"default {key.default}" if key.default else "optional"
        out.say((f"  {key.name}", "cyan"), f"  {key.type}; {what}")
        if key.says:
            out.say(f"      {key.says}")
    if kind.example:
        out.say(("Example", "bold"))
        out.emit(kind.example)
