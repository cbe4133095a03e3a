"""Which module each command is in, so that a command loads what it needs and no other's.

A question about one model takes less time than loading what all twenty commands need. A module that
is loaded registers its commands with the application; those of the others are loaded when all are
to be listed, or a name is none of theirs. A test holds the table to what the modules register.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from mashbill.cli.ending import TellingGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = {
    "init": "beginning",
    "stages": "kinds",
    "ls": "looking",
    "show": "looking",
    "predict": "predict",
    "rm": "clearing",
    "gc": "clearing",
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
    "rewards": "rewards",
    "compare": "comparing",
    "harness": "harness",
    "overlap": "overlap",
    "whatif": "whatif",
    "conduct": "conduct_inbound",
    "journal": "journal",
    "catalogue": "public",
    "signers": "signers",
    "terms": "terms",
}
"""command -> its module here; in the order in which they are listed"""

HELP = {
    "init": "Write a first recipe for a file of your own, with a comment at what may be changed.",
    "stages": "List the kinds of stages, verifiers and teachers, or one with its keys and an "
    "example.",
    "ls": "List what is in a store: datasets and models, oldest first.",
    "show": "Show an artifact: rows, what was rejected and why; of a model its labels and "
    "measures.",
    "predict": "Ask a trained model about the rows of a file, or about texts: labels, or what "
    "it writes.",
    "rm": "Remove an artifact's rows or weights; its manifest and nodes stay, and all bills hold.",
    "gc": "Clear a store of what nothing needs: leftovers of runs, superseded versions, caches.",
    "audit": "Check that everything in a store agrees with its ledger, or that a proof holds.",
    "brief": "Write a document for sign-off, as HTML and Markdown: licence, duties, calls, "
    "what is unknown.",
    "checkpoint": "Sign the state of the ledger; keep it elsewhere, and `audit --checkpoint` finds "
    "a cut.",
    "prove": "Write a small file that proves one record, its lineage and its place in the ledger.",
    "export": "Write an artifact's bill in a standard's own form, or a model as one file.",
    "bill": "Print what an artifact was distilled from, and what each definition concludes.",
    "trace": "Walk from one record back to the teacher's call and the human text.",
    "check": "Decide an artifact again: terms, licences, house rules. Exit 0 allow, 1 deny, 3 "
    "review.",
    "publish": "Write a dataset or a model to an address, with a card, the bill and SHA-256 "
    "digests.",
    "affected": "Show which records, datasets, models and evaluations rest on some sources.",
    "rebuild": "Write the recipe of a rebuild without some sources, and plan it; nothing is run.",
    "plan": "Show order, counts, time and price, what goes on the bill, and what terms say to it.",
    "run": "Run a recipe; what is done already is left as it is. Ends with a report.",
    "report": "Write one HTML file about an artifact; it opens offline.",
    "rewards": "Print what verifiers paid for: pass rates, correlations, signs of a hacked reward.",
    "compare": "Put results side by side: arms of a recipe, evaluations, models; paired intervals.",
    "harness": "Say how to make an environment for lm-eval or inspect-ai, and whether one is "
    "named.",
    "overlap": "Say whether two datasets share a text, a prompt, a user. Exit 0 no, 1 yes.",
    "whatif": "Show what breaks if some sources go: losses, substitutes, earliest rebuilds, "
    "impact.",
    "conduct": "How access was had, and is had of those who serve: proof, scans of logs, cases.",
    "journal": "The journal of teacher calls.",
    "catalogue": "What public models were made of, as claims.",
    "signers": "Whose entries of a store's ledger count.",
    "terms": "Terms and licences, as of a day.",
}
"""command -> the first paragraph of its help, so that a list of commands loads none of them"""


class Commands(TellingGroup):
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
        if cmd_name in HOME and cmd_name not in self._found:
            self._load([HOME[cmd_name]])
        return self._found[cmd_name] if cmd_name in self._found else self.commands.get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as click has it
        """Return the names of all commands, in their order."""
        return [*HOME, *(name for name in self._found if name not in HOME)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the list of commands, for which none of them is loaded."""
        found = self._found
        told = {name: TyperCommand(name, help=line) for name, line in HELP.items()}
        self._found = _in_order({**told, **found})
        try:
            super().format_help(ctx, formatter)
        finally:
            self._found = found

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
