"""A case that clauses are put to: whose student it is, what for, and what is found of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from mashbill.core.source import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.source import Source
    from mashbill.core.use import StudentKind, Use
    from mashbill.policy.clauses import Clause
    from mashbill.policy.decision import Outcome


EU = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()  # noqa: SIM905
)
"""member states, ISO 3166 alpha-2"""


LEARNED_FROM = frozenset({Channel.CONTENT, Channel.LOGITS, Channel.TRANSFORM, Channel.JUDGEMENT})
"""channels through which outputs become what a student is trained on"""


@dataclass(frozen=True)
class Student:
    """A model that rests on a source."""

    name: str
    kind: StudentKind
    hops: int
    """models from it to the source; 1 is direct"""
    channels: frozenset[Channel]
    """channels on the way; empty if it is only content, which is in it beside weights alone: then
    it learned from the text of a model that was built on them"""
    path: tuple[str, ...] = ()
    """from the source to it, for people"""
    bases: tuple[str, ...] = ()
    """models whose weights it is built on"""

    @property
    def on_outputs(self) -> bool:
        """Whether outputs are what it learned from, and not weights alone."""
        return bool((self.channels or {Channel.CONTENT}) & LEARNED_FROM)

    @property
    def by_weights(self) -> bool:
        """Whether it is built on the weights and on nothing else of the source."""
        return self.channels == {Channel.WEIGHTS}


@dataclass(frozen=True)
class Finding:
    """What a clause comes to."""

    outcome: Outcome
    because: str
    used: dict[str, Any] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    by: Clause | None = None
    """the exception that decided, where one did"""


@dataclass(frozen=True)
class Case:
    """One clause put to one question."""

    clause: Clause
    exceptions: Sequence[Clause]
    """clauses of the same text that lift this one"""
    question: Question
    provider: str
    """whose text it is"""
    leave: bool = False
    """whether the same text says that outputs may train other models"""

    @property
    def rival_of(self) -> str:
        """Whoever a rival in the sense of the clause competes with."""
        return self.question.source.provider if self.clause.rivals == "maker" else self.provider


@dataclass(frozen=True)
class Question:
    """One source, as a plan or an artifact uses it."""

    source: Source
    students: tuple[Student, ...]
    """models that rest on it; none if nothing is trained"""
    use: Use
    as_of: date
    unclear_rivals: tuple[str, ...] = ()
    """names that it is declared to compete with and nobody here knows: each may be anybody's; the
    maker of the source is known by its own name, whether the registry has it or not"""
    by_others: bool = False
    """only the making of public things reached it: who called, and when, is not recorded"""
    carried: bool = False
    """what is asked about is built on its weights, so that its licence goes with it"""
