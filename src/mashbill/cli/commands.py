"""Which module each command is in, so that a command loads what it needs and no other's.

A question about one model takes less time than loading what all twenty commands need. A module that
is loaded registers its commands with the application; those of the others are loaded when all are
to be listed, or a name is none of theirs. A test holds the table to what the modules register.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer

from mashbill.cli.ending import Told

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = {
    "audit": "auditing",
    "brief": "brief",
    "checkpoint": "evidence",
    "prove": "evidence",
    "export": "evidence",
    "bill": "lineage",
    "trace": "lineage",
    "check": "policy",
    "publish": "publishing",
    "affected": "removal",
    "rebuild": "removal",
    "plan": "running",
    "run": "running",
    "report": "running",
    "whatif": "whatif",
    "conduct": "conduct",
    "journal": "conduct",
    "catalogue": "public",
    "signers": "signers",
    "terms": "terms",
}
"""command -> its module here; in the order in which they are listed"""


class Commands(Told):
    """The application, whose commands are loaded when they are asked for."""

    @property
    def commands(self) -> Any:
        """All commands by name, in their order."""
        self._load(HOME.values())
        return self._found

    @commands.setter
    def commands(self, found: Any) -> None:
        self._found = _in_order(found)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as click has it
        """Return a command; None if there is none of that name."""
        if cmd_name in HOME:
            self._load([HOME[cmd_name]])
            return self._found[cmd_name]
        return self.commands.get(cmd_name)

    def _load(self, modules: Iterable[str]) -> None:
        for module in dict.fromkeys(modules):
            import_module(f"mashbill.cli.{module}")
        app = import_module("mashbill.cli.options").app
        if len(self._found) < len(app.registered_commands) + len(app.registered_groups):
            inner: Any = typer.main.get_group(app)
            found = inner._found  # noqa: SLF001 - of the same class
            self._found = _in_order(found)


def _in_order(found: Any) -> dict[str, Any]:
    """Return commands in the order of the table, whichever module was loaded first."""
    return {name: found[name] for name in [*HOME, *found] if name in found}
