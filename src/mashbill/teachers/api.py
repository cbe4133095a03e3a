"""Teachers behind a provider's API: what a plan needs to know of them.

This version plans with them (source, route, role) and has no client to ask them with; a run that
would have to ask one stops before its first stage. The client comes with generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.errors import TeacherError
from mashbill.core.recipe import TeacherSpec
from mashbill.core.source import Source

if TYPE_CHECKING:
    from pathlib import Path

MAKERS = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Google"}
"""Providers whose own API serves their own closed models, and how they write their names."""


class ApiTeacherSpec(TeacherSpec):
    """``kind = "api"``."""

    can_be_asked: ClassVar[bool] = False
    can_write: ClassVar[bool] = False

    kind: Literal["api"] = "api"
    provider: Literal["openai", "anthropic", "gemini"]
    """whose API"""
    model: str
    """model as the provider names it"""

    @property
    def source(self) -> Source:
        """A closed model, reached by its maker's API."""
        return Source(
            name=self.model,
            what="model",
            kind="closed-api",
            route=f"api:{self.provider}",
            provider=MAKERS[self.provider],
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What changes its answers, as far as a caller can know."""
        return {"kind": "api", "provider": self.provider, "model": self.model}

    def load(self, folder: Path, cache: Path, threads: int) -> Any:
        """Refuse.

        Raises:
            TeacherError: always.
        """
        del folder, cache, threads
        msg = (
            f"{self.provider}:{self.model} can be planned with and not yet asked: this version has "
            "no API client; use `mashbill plan --teacher` for it, and an embedded teacher to run"
        )
        raise TeacherError(msg)


def parse_teacher(text: str) -> ApiTeacherSpec:
    """Read ``PROVIDER:MODEL``, as ``mashbill plan --teacher`` takes it.

    Raises:
        TeacherError: naming the providers there are.
    """
    provider, colon, model = text.partition(":")
    if not colon or provider not in MAKERS or not model:
        msg = f"--teacher {text!r}: write PROVIDER:MODEL with a provider of {', '.join(MAKERS)}"
        raise TeacherError(msg)
    return ApiTeacherSpec.model_validate({"provider": provider, "model": model})
