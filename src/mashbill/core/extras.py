"""The one way to import what is optional: what is not there is told with what installs it here.

    with needs("asking a service", "api"):
        import aiohttp

Before the first of them it is settled how threads wait (:mod:`mashbill.core.threads`), which cannot
be changed once torch is there. Nothing but imports stands in such a block. What imports an optional
package at its top is itself imported in one.

Where the code of a plugin is called stands :func:`mashbill.core.registry.telling`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mashbill.core.errors import MashbillError, MissingExtraError
from mashbill.core.installed import NAME
from mashbill.core.threads import sleep_while_waiting


@contextmanager
def needs(what: str, extra: str) -> Iterator[None]:
    """Tell an import that fails as a missing extra, or as a package that is broken here.

    Args:
        what: what it is for, as the beginning of a sentence: ``asking a service``.
        extra: the extra of mashbill that brings the packages.

    Raises:
        MissingExtraError: naming the packages, and the command that installs them.
    """
    sleep_while_waiting()
    try:
        yield
    except MashbillError:
        raise
    except Exception as error:  # of compiled parts it may be OSError, ValueError, RuntimeError
        if _is_fault_of_ours(error):
            raise
        raise MissingExtraError(what, extra) from error


def _is_fault_of_ours(error: Exception) -> bool:
    """Return whether an import failed for something in this package, and not for a package."""
    if isinstance(error, ImportError):
        return (error.name or "").split(".")[0] == NAME
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    inside = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return str(inside).split(".")[0] == NAME
