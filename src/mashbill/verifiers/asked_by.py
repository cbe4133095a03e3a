"""Stages that ask a verifier of the recipe: what it asks of teachers, they ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import PrivateAttr

from mashbill.core.stage import StageSpec
from mashbill.core.verifier import VerifierSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


class AsksVerifier(StageSpec):
    """A stage whose key ``by`` names a verifier, or nothing."""

    if TYPE_CHECKING:
        by: str = ""

    _by: VerifierSpec | None = PrivateAttr(default=None)
    """the verifier that ``by`` names, as the recipe has it"""

    def with_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> Self:
        """Return it with its verifier: what that reads of rows, and asks of teachers."""
        verifier = verifiers.get(self.by)
        if verifier is None:
            return self
        own = self.model_copy()
        own._by = verifier  # noqa: SLF001 - a copy of its own
        return own

    @property
    def _asked(self) -> tuple[str, ...]:
        """Whom its verifier asks about one row, each as often as it does."""
        return self._by.asks() if self._by is not None else ()

    @property
    def most_chars(self) -> int | None:
        """Characters of a text at most that its verifier's teachers are sent."""
        return self._by.most_chars if self._by is not None else None

    @property
    def asks_to_write(self) -> bool:  # type: ignore[override]
        """Whether whom its verifier asks must be able to write."""
        return self._by is not None and self._by.asks_to_write
