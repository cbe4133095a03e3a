"""The command line: parse, call, print.

Exit codes: 0 done, 1 a finding, a denial or a plugin that failed, 2 an error, 3 something that
wants review.
"""

from __future__ import annotations

from rich.markup import escape

from mashbill.cli import conduct, evidence, lineage, policy, public, publishing, removal, running
from mashbill.cli.faults import fault, of_the_system, tracebacks
from mashbill.cli.options import EXIT, app, err, recipe_path
from mashbill.core import registry
from mashbill.core.errors import MashbillError, PluginError, PolicyError

__all__ = [
    "app",
    "conduct",
    "evidence",
    "lineage",
    "main",
    "policy",
    "public",
    "publishing",
    "recipe_path",
    "removal",
    "running",
]


def main() -> None:
    """Run the command line; a deliberate error is told in plain words, without a traceback."""
    try:
        with tracebacks():
            app()
    except PolicyError as error:
        err.print(f"[red]refused:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(EXIT[error.outcome]) from error
    except PluginError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from error
    except MashbillError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from error
    except BrokenPipeError:
        raise SystemExit(141) from None
    except OSError as error:
        plugin = registry.blamed(error)
        told = of_the_system(error) if plugin is None else str(plugin)
        err.print(f"[red]error:[/] {escape(told)}", highlight=False, soft_wrap=True)
        raise SystemExit(2 if plugin is None else 1) from error
    except Exception as error:
        told, code = fault(error)
        err.print(f"[red]error:[/] {escape(told)}", highlight=False, soft_wrap=True)
        raise SystemExit(code) from error
    except KeyboardInterrupt:
        err.print("Stopped. Run the same command again to go on from here.")
        raise SystemExit(130) from None
