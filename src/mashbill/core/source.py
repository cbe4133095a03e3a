"""Where lineage ends: a source, and the channel by which it reached something."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

SourceKind = Literal[
    "open-weights",
    "closed-api",
    "public-dataset",
    "own-dataset",
    "human",
    "program",
    "test-double",
    "unknown",
]


CalledBy = Literal["", "us", "others"]
"""who had a model write rows that came as data: we, whoever acted for us included; others on their
own account; or, where it is empty, nobody said"""


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


@lru_cache(maxsize=64)  # every edge of a circuit has one, and there are some thirty
def parse_via(text: str) -> tuple[Channel, Purpose]:
    """Read what :func:`via` writes."""
    channel, _, purpose = text.partition("/")
    return Channel(channel), Purpose(purpose or Purpose.MAKING)


class Source(BaseModel):
    """A leaf of lineage: a model, a dataset or a program, as reached by one route.

    The same weights reached through a provider's API are another source, since other terms hold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """name as its maker writes it"""
    what: Literal["model", "dataset", "program", "unknown"]
    """a model, a dataset, a program that checks or makes by rules (a verifier, a generator of
    tasks), or not recorded: it may be either"""
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
    called_by: CalledBy = ""
    """who called the model that wrote data, as the recipe declares it: terms bind whoever called"""
    contradicted: str = ""
    """what speaks against what was declared of it, in a sentence; never part of a node, but put
    beside it where lineage is read (:mod:`mashbill.lineage.circuit.contradicted`)"""

    _later: ClassVar[tuple[str, ...]] = ("called_by", "contradicted")
    """facts that came after the first release: not written where nothing is said, so that a node
    keeps its digest"""

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name in self._later:
            if not written.get(name):
                written.pop(name, None)
        return written

    @property
    def title(self) -> str:
        """Name and version, for people."""
        said = f"{self.name} {self.version}".strip()
        return f"{said} (contradicted)" if self.contradicted else said
