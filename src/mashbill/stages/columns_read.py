"""Which columns of rows a verifier reads beside output and reference, and which key names each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.core.verifier import VerifierSpec


def read_by(key: str, verifier: VerifierSpec) -> list[tuple[str, str]]:
    """Return the columns that a verifier reads, each with the key that names it.

    Args:
        key: where the verifier stands in the recipe.
        verifier: its keys.
    """
    found, waiting = [], [(key, verifier)]
    while waiting:
        at, own = waiting.pop(0)
        parts = own.made_of()
        waiting += [(f"{at}.parts.{name}", part) for name, part in parts.items()]
        for column in () if parts else own.reads():
            named = next((name for name in type(own).model_fields if _names(own, name, column)), "")
            found.append((f"{at}.{named}" if named else at, column))
    return found


def _names(verifier: VerifierSpec, key: str, column: str) -> bool:
    value = getattr(verifier, key)
    return value == column or (isinstance(value, tuple) and column in value)
