"""Every error mashbill raises on purpose.

    MashbillError
    ├── RecipeError         the recipe file: unknown key, wrong value, missing reference
    ├── InputError          a file, corpus or address that cannot be read
    ├── DriftError          a name@version that exists with another fingerprint
    ├── CanonicalError      a value that has no canonical form
    ├── StoreError          the store is locked, absent or not a store
    ├── AuditError          evidence that does not hold
    ├── TeacherError        a teacher that cannot be loaded or asked
    │   ├── BudgetError     a cap in money, tokens or calls is reached
    │   └── ConductError    a request that our own rules of conduct forbid
    ├── PolicyError         a plan or release that terms or rules deny, or want reviewed
    └── MissingExtraError   an optional part of the package is not installed

A new error subclasses the nearest of these, and its message names what was found, where, and
what to do. Anything else that escapes is a bug.
"""

from __future__ import annotations

_LONGEST = 16_000
"""characters of a message: what it quotes may be a stranger's, and of any length"""


class MashbillError(Exception):
    """Base of all deliberate errors; its text is shown to the user without a traceback."""

    def __str__(self) -> str:
        """Return the message; one that has no end is cut."""
        text = super().__str__()
        if len(text) <= _LONGEST:
            return text
        return f"{text[:_LONGEST]}… ({len(text) - _LONGEST:,} characters more)"


class RecipeError(MashbillError):
    """A recipe that cannot be read: names the file, the key, the value and the remedy."""


class InputError(MashbillError):
    """An input file or address that cannot be read."""


class DriftError(MashbillError):
    """A ``name@version`` that is already recorded with another fingerprint."""


class CanonicalError(MashbillError):
    """A value that has no canonical form, so that no digest of it would be stable."""


class StoreError(MashbillError):
    """A store that is absent, locked by another run, or damaged on reading."""


class AuditError(MashbillError):
    """Evidence that does not hold, raised where going on would build on it."""


class TeacherError(MashbillError):
    """A teacher that cannot be loaded or asked."""


class BudgetError(TeacherError):
    """A hard cap is reached; what was bought is in the journal."""


class ConductError(TeacherError):
    """A request that our own rules of conduct forbid; it was not sent."""


class PolicyError(MashbillError):
    """A plan or release that terms, licences or house rules deny, or want reviewed."""

    def __init__(self, text: str, outcome: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class MissingExtraError(MashbillError):
    """An optional dependency is needed; the message names the extra to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the optional packages: pip install 'mashbill[{extra}]'")
