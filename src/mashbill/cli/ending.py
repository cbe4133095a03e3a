"""How a command ends: with an exit code, and with a plain sentence if it is not as it should be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup

from mashbill.cli.faults import fault, of_the_system, tracebacks
from mashbill.cli.printing import err, tell_error
from mashbill.core import registry
from mashbill.core.errors import LosingError, MashbillError, PluginError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT = {"allow": 0, "deny": 1, "review": 3}
"""exit code of each outcome"""

# Typer carries a copy of click in newer releases, and uses click itself in older ones.
_Usage: Any = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")
STOPPED = "Stopped. Run the same command again to go on from here."


class TellingGroup(TyperGroup):
    """The application: what is wrong with a command line is told through the one console."""

    def main(self, *args: Any, **asked: Any) -> Any:
        """Run a command, and end the program unless ``standalone_mode`` is false."""
        if not asked.get("standalone_mode", True):
            return super().main(*args, **asked)
        try:
            code = super().main(*args, **{**asked, "standalone_mode": False})
        except _Usage as error:
            _tell_usage(error)
            code = error.exit_code
        except typer.Abort:
            code = 1
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Do what is asked; an interrupt of a command that says nothing of it is told."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            err.say("Stopped.")
            raise typer.Exit(130) from None


def ended(call: Callable[[], Any]) -> NoReturn:
    """Call something, and end the program; deliberate errors are told without a traceback."""
    try:
        with tracebacks():
            call()
    except PolicyError as error:
        tell_error("refused", error)
        code = EXIT[error.outcome]
    except PluginError as error:
        tell_error("error", error)
        code = 1
    except MashbillError as error:
        tell_error("error", error)
        wants_review = isinstance(error, LosingError) and error.wants_review
        code = EXIT["review"] if wants_review else 2
    except BrokenPipeError:
        code = 141
    except OSError as error:
        plugin = registry.blamed(error)
        tell_error("error", of_the_system(error) if plugin is None else plugin)
        code = 2 if plugin is None else 1
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is told, too, in a line
        told, code = fault(error)
        tell_error("error", told)
    except KeyboardInterrupt:
        err.say(STOPPED)
        code = 130
    else:
        code = 0
    sys.exit(code)


def _tell_usage(error: Any) -> None:
    """Say what is wrong with a command line, as click words it, and how it is meant to be."""
    context = getattr(error, "ctx", None)
    if context is not None:
        if type(error).__name__ == "NoArgsIsHelpError":
            return  # the help is printed when it is raised
        err.say(context.get_usage())
        err.say(f"Try '{context.command_path} --help' for help.")
    tell_error("error", error.format_message())
