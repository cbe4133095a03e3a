"""What teachers in this process have in common: what they are on the bill, and how they write."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mashbill.core.model import Decoding
from mashbill.core.source import Source
from mashbill.core.teacher import TeacherSpec


class WritesHere(TeacherSpec):
    """Keys of how a teacher in this process writes."""

    price: ClassVar[float | None] = 0.0
    can_write: ClassVar[bool] = True

    max_tokens: int = Field(default=256, gt=0)
    """tokens of a written answer at most"""
    temperature: float = Field(default=0.0, ge=0)
    """0 writes what is likeliest"""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """share of the likeliest tokens that are drawn from, where the temperature is above 0"""
    seed: int = 0
    """of written answers, where the temperature is above 0"""

    @property
    def decoding(self) -> Decoding:
        """How it writes."""
        return Decoding(self.max_tokens, self.temperature, self.top_p, self.seed)


class LocalTeacherSpec(WritesHere):
    """Keys of a teacher whose weights are here."""

    name: str
    """model as its maker writes it"""
    provider: str
    """its maker"""
    license: str | None = None
    """SPDX identifier of the weights' licence"""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of its file, or of the list of its folder's files"""

    @property
    def source(self) -> Source:
        """The weights, as open weights read from files."""
        return Source(
            name=self.name,
            what="model",
            kind="open-weights",
            route="weights",
            provider=self.provider,
            license=self.license,
            sha256=self.sha256,
        )
