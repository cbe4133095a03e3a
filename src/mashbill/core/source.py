"""Where lineage ends: a source, and the channel by which it reached something."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

SourceKind = Literal["open-weights", "closed-api", "public-dataset", "own-dataset", "test-double"]


class Channel(StrEnum):
    """How a source reached a thing (DESIGN.md section 3)."""

    CONTENT = "content"
    """its text is the text learned from"""
    LOGITS = "logits"
    """its distribution over tokens was the target"""
    WEIGHTS = "weights"
    """its parameters were the starting point, or a part"""
    JUDGEMENT = "judgement"
    """it labelled, scored or preferred"""
    SELECTION = "selection"
    """it decided what stays"""
    TRANSFORM = "transform"
    """it cleaned, translated, read or rewrote a text that another source wrote"""
    PROMPT = "prompt"
    """it wrote what was asked"""


class Source(BaseModel):
    """A leaf of lineage: a model or a dataset, as reached by one route.

    The same weights reached through a provider's API are another source, since other terms hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """name as its maker writes it"""
    what: Literal["model", "dataset"]
    """a model, or a dataset"""
    kind: SourceKind
    """who can have it, and how"""
    route: str
    """how it was reached: weights, file, or ``api:PROVIDER``"""
    provider: str = "unknown"
    """who makes or serves it"""
    version: str = ""
    """release, date or revision; empty if none is known"""
    license: str | None = None
    """SPDX identifier, if there is one"""
    terms: str | None = None
    """reference to the terms of a date; None until a terms registry supplies it"""
    sha256: str | None = None
    """digest of the file it was read from, if it was a file"""

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}".strip()
