"""A decision: one rule's outcome, with everything that it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from mashbill.policy.documents import Document, Version

Outcome = Literal["allow", "review", "deny"]
OUTCOMES: tuple[Outcome, ...] = ("allow", "review", "deny")
"""mildest first"""

Engine = Literal["use restriction", "derivative", "house rule"]


@dataclass(frozen=True)
class Decision:
    """What one rule says about one source, or about an artifact."""

    outcome: Outcome
    engine: Engine
    rule: str
    """code of the clause, or name of the house rule"""
    about: str
    """the source or artifact that it is about"""
    because: str
    """one sentence, for people"""
    as_of: date
    """the day that was asked about"""
    document: str = ""
    """id of the document; empty if there is none"""
    title: str = ""
    """what the document is called"""
    effective_from: str = ""
    """first day in force of its version, or the day it was first seen"""
    section: str = ""
    """section of the clause"""
    fragment: str = ""
    """a few words of it"""
    pointer: dict[str, str] = field(default_factory=dict)
    """where the text is"""
    second_hand: bool = False
    """the text was read in a third party's words only"""
    path: tuple[str, ...] = ()
    """from the source to what it is about"""
    used: dict[str, Any] = field(default_factory=dict)
    """facts that decided"""
    lacking: tuple[str, ...] = ()
    """facts that would have been needed"""
    provider: str = ""
    """whose terms they are"""
    in_general: str = ""
    """``because`` without the names of this case, where it has some; by it alike ones are told
    together"""

    def as_json(self) -> dict[str, Any]:
        """Return the decision for a program."""
        return {
            "outcome": self.outcome,
            "engine": self.engine,
            "rule": self.rule,
            "about": self.about,
            "because": self.because,
            "as_of": self.as_of.isoformat(),
            "provider": self.provider,
            "document": self.document,
            "title": self.title,
            "effective_from": self.effective_from,
            "section": self.section,
            "fragment": self.fragment,
            "pointer": self.pointer,
            "second_hand": self.second_hand,
            "path": list(self.path),
            "used": self.used,
            "lacking": list(self.lacking),
        }

    @property
    def lacks(self) -> str:
        """What was lacking, for people, as far as the sentence before does not say it already."""
        house = self.engine == "house rule"
        return ", ".join(
            item for item in self.lacking if not _is_said(item, self.because, anywhere=house)
        )

    @property
    def clause(self) -> str:
        """Where it stands, for people."""
        parts = [self.title or self.document, self.section]
        text = " ".join(part for part in parts if part)
        dated = f" of {self.effective_from}" if self.effective_from else ""
        mark = " (second-hand, re-check)" if self.second_hand else ""
        return f"{text}{dated}{mark}"


def _is_said(item: str, sentence: str, *, anywhere: bool) -> bool:
    """Return whether a sentence says already what is lacking: anywhere, or as a part by itself."""
    if anywhere:
        return item in sentence
    before, found, after = sentence.partition(item)
    while found:
        begins = not before or before.endswith((". ", "; ", ": ", "not recorded "))
        if begins and (not after or after[0] in ".;"):
            return True
        more, found, after = after.partition(item)
        before += item + more
    return False


def strictest(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the strictest of these; allow if there is none."""
    return max(outcomes, key=OUTCOMES.index, default="allow")


def cited(document: Document, version: Version | None) -> dict[str, Any]:
    """Return the fields of a decision that say which text it rests on."""
    fields: dict[str, Any] = {
        "document": document.id,
        "title": document.title,
        "provider": document.provider,
    }
    if version is not None:
        seen = None if version.certain_from else version.first_seen or version.observed_on
        begins = version.effective_from or seen
        fields |= {
            "effective_from": begins.isoformat() if begins else "",
            "pointer": version.pointer.model_dump(exclude_defaults=True),
            "second_hand": version.second_hand,
        }
    return fields
