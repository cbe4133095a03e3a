"""The command line: parse, call, print. Exit codes: 0 done, 1 a finding, 2 an error."""

from __future__ import annotations

from rich.markup import escape

from mashbill.cli import evidence, lineage, removal, running
from mashbill.cli.options import app, err, recipe_path
from mashbill.core.errors import MashbillError

__all__ = ["app", "evidence", "lineage", "main", "recipe_path", "removal", "running"]


def main() -> None:
    """Run the command line; a deliberate error is told in plain words, without a traceback."""
    try:
        app()
    except MashbillError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        err.print("Stopped. Run the same command again to go on from here.")
        raise SystemExit(130) from None
