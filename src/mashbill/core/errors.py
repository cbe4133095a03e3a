"""Every error mashbill raises on purpose.

    MashbillError
    ├── RecipeError         the recipe file: unknown key, wrong value, missing reference
    ├── InputError          a file, corpus or address that cannot be read
    ├── DriftError          a name@version that exists with another fingerprint
    ├── CanonicalError      a value that has no canonical form
    ├── StoreError          the store is locked, absent or not a store
    │   └── RemovedError    rows or weights that were removed on purpose
    ├── AuditError          evidence that does not hold
    ├── TeacherError        a teacher that cannot be loaded or asked
    │   ├── BudgetError     a cap in money, tokens or calls is reached
    │   ├── LosingError     what a stage's teacher answers is rejected, so no more of it is bought
    │   └── ConductError    a request that our own rules of conduct forbid
    ├── PolicyError         a plan or release that terms or rules deny, or want reviewed
    ├── PluginError         what goes wrong in a plugin, told as its own
    │   └── StageError      a stage or verifier that breaks what such a one promises
    └── MissingExtraError   an optional part of the package is not installed

A new error subclasses the nearest of these, and its message names what was found, where, and
what to do. Anything else that escapes is a bug.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mashbill.core.installed import install_command, install_with, missing, requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 16_000
"""characters of a message: what it quotes may be a stranger's, and of any length"""


class MashbillError(Exception):
    """Base of all deliberate errors; its text is shown to the user without a traceback."""

    failed: Mapping[str, str] = {}
    """of the error that a run ends with: stages that failed -> why"""
    not_made: Mapping[str, str] = {}
    """stages that could not begin -> the stage or teacher that they need"""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what another process makes the same error of, whatever its class takes."""
        return _again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        """Return the message; one that has no end is cut."""
        text = super().__str__()
        if len(text) <= _LONGEST:
            return text
        return f"{text[:_LONGEST]}… ({len(text) - _LONGEST:,} characters more)"


def _again(
    kind: type[MashbillError], args: tuple[Any, ...], state: dict[str, Any]
) -> MashbillError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class RecipeError(MashbillError):
    """A recipe that cannot be read: names the file, the key, the value and the remedy."""


class InputError(MashbillError):
    """An input file or address that cannot be read."""


class DriftError(MashbillError):
    """A ``name@version`` that is already recorded with another fingerprint."""

    stages: tuple[str, ...] = ()
    """stages of the recipe that need another version, as far as all are known"""
    made: tuple[str, ...] = ()
    """the same by the names that they are made under, of which arms and seeds give a stage several
    """


class CanonicalError(MashbillError):
    """A value that has no canonical form, so that no digest of it would be stable."""


class StoreError(MashbillError):
    """A store that is absent, locked by another run, or damaged on reading."""


class RemovedError(StoreError):
    """Rows or weights that are needed and were removed: says on which day, by whom and why."""


class AuditError(MashbillError):
    """Evidence that does not hold, raised where going on would build on it."""


class TeacherError(MashbillError):
    """A teacher that cannot be loaded or asked."""


class BudgetError(TeacherError):
    """A hard cap is reached; what was bought is in the journal."""


class LosingError(TeacherError):
    """What a teacher answers is rejected, so that no more of it is bought; what was is kept.

    Args:
        text: what was found, why, and what to do.
        wants_review: whether somebody only has to say that the run is to go on.
    """

    def __init__(self, text: str, *, wants_review: bool = False) -> None:
        super().__init__(text)
        self.wants_review = wants_review


class ConductError(TeacherError):
    """A request that our own rules of conduct forbid; it was not sent."""


class PolicyError(MashbillError):
    """A plan or release that terms, licences or house rules deny, or want reviewed."""

    def __init__(self, text: str, outcome: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class PluginError(MashbillError):
    """What went wrong in a plugin, told as its own: distribution, version, entry point, cause."""


class StageError(PluginError):
    """A stage or verifier broke what it promises: names it, its kind, rows and what is wrong."""


class MissingExtraError(MashbillError):
    """An optional part is needed; the message names its packages and what installs them here.

    Where it is raised as an import fails although the packages are there, it says how that failed.

    Args:
        what: what it is for, as the beginning of a sentence.
        extras: extras of mashbill that bring it.
    """

    def __init__(self, what: str, *extras: str) -> None:
        named = " and ".join(repr(extra) for extra in extras)
        parts = f"{what} needs mashbill's extra{'s' * (len(extras) > 1)} {named}"
        cause = sys.exception()
        lacking = sorted({name for extra in extras for name in missing(extra)})
        if not lacking and isinstance(cause, ModuleNotFoundError) and cause.name:
            lacking = [cause.name.split(".")[0]]
        if cause is not None and not lacking:
            wanted = [item for extra in extras for item in requirements(extra).values()]
            remedy = install_with(["--force-reinstall", *wanted])
            said = f"{type(cause).__name__}: {cause!s:.300}"
            super().__init__(
                f"{parts}, which is installed but cannot be imported ({said}); run: {remedy}"
            )
            return
        gap = f", of which there is no {', '.join(lacking)} here" if lacking else ""
        super().__init__(f"{parts}{gap}; run: {install_command(extras)}")
