"""Where lineage ends: a source, and the channel by which it reached something."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

SourceKind = Literal[
    "open-weights", "closed-api", "public-dataset", "own-dataset", "human", "test-double", "unknown"
]


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


class Purpose(StrEnum):
    """What a step was for, where definitions tell purposes apart."""

    MAKING = "making"
    """its outcome is what is learned from"""
    CLEANING = "cleaning"
    """it read, translated, corrected or deduplicated what was there already"""
    ENRICHING = "enriching"
    """it added facts about a text beside the text"""
    VERIFYING = "verifying"
    """it checked whether an output is right"""


def via(channel: Channel, purpose: Purpose = Purpose.MAKING) -> str:
    """Return how a part reached what it is part of, as bodies write it."""
    return channel.value if purpose is Purpose.MAKING else f"{channel.value}/{purpose.value}"


def parse_via(text: str) -> tuple[Channel, Purpose]:
    """Read what :func:`via` writes."""
    channel, _, purpose = text.partition("/")
    return Channel(channel), Purpose(purpose or Purpose.MAKING)


class Source(BaseModel):
    """A leaf of lineage: a model or a dataset, as reached by one route.

    The same weights reached through a provider's API are another source, since other terms hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """name as its maker writes it"""
    what: Literal["model", "dataset", "unknown"]
    """a model, a dataset, or not recorded: it may be either"""
    kind: SourceKind
    """who can have it, and how; unknown if that is not recorded"""
    route: str
    """how it was reached: weights, file, ``api:PROVIDER``, or ``dataset:TITLE`` for a model whose
    outputs came in a dataset that somebody else made"""
    provider: str = "unknown"
    """who makes or serves it"""
    country: str = "unknown"
    """where the provider sits, ISO 3166 alpha-2"""
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
