"""What a verifier is: what it is given, the score that it gives, and the keys that recipes give it.

A verifier scores an output in [0, 1] with a reason. Where nothing can be said it says so: an output
is *undecided* if the verifier looked and could not tell, and *failed* if it could not look, as in
an outage, a time-out, or where a parser is missing. Neither is ever 0, which says "wrong".

A program that scores is a source that is no model and adds no hop.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from mashbill.core import registry
from mashbill.core.errors import StageError
from mashbill.core.literals import Literals
from mashbill.core.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.core.teacher import Answer, TeacherSession

Outcome = Literal["scored", "undecided", "failed"]
"""what became of scoring one output"""
OUTCOMES: tuple[Outcome, ...] = ("scored", "undecided", "failed")
_PROMISES = "CONTRIBUTING.md, 'A verifier'"
_LINE = 200  # characters of an isolation: it is a column, and is counted by its words


@dataclass(frozen=True)
class Case:
    """One output to be scored."""

    output: str
    """what is scored"""
    reference: str | None = None
    """what is known to be right; None if the row says nothing"""
    row: Mapping[str, Any] = field(default_factory=dict)
    """what else of the row the verifier reads: see :meth:`VerifierSpec.reads`"""


@dataclass(frozen=True)
class Control:
    """An output of which it is known what it is worth: see :mod:`mashbill.core.controls`."""

    name: str
    """what it is, as "pays for ..." goes on"""
    case: Case
    is_right: bool


@dataclass(frozen=True)
class Score:
    """What a verifier says of one output.

    Raises:
        ValueError: if the value is no number in [0, 1], or is there where nothing was scored, or
            if no reason is given where nothing was scored, or if the isolation is no line.
    """

    value: float | None
    """0 for wrong to 1 for right; None if it is undecided or failed"""
    reason: str = ""
    """why, in a line"""
    components: Mapping[str, float] = field(default_factory=dict)
    """the parts of the value by name, each in [0, 1], of those that the verifier declares"""
    outcome: Outcome = "scored"
    isolation: str = ""
    """under which isolation the output was run, in a few words; empty if it was not run"""
    call: str = ""
    """digest of the teacher's call that it rests on, the first of several; empty if none is"""

    def __post_init__(self) -> None:
        """Hold it to what a score is."""
        if not _is_line(self.isolation):
            msg = (
                f"an isolation is a line of at most {_LINE} characters, and this is "
                f"{self.isolation!r:.60}"
            )
            raise ValueError(msg)
        if self.outcome not in OUTCOMES:
            msg = f"an outcome is one of {', '.join(OUTCOMES)}, and this is {self.outcome!r}"
            raise ValueError(msg)
        if self.outcome != "scored":
            if self.value is not None or self.components:
                msg = f"what is {self.outcome} has no value, and this has {self.value!r}"
                raise ValueError(msg)
            if not self.reason.strip():
                msg = f"what is {self.outcome} needs a reason, and this gives none"
                raise ValueError(msg)
            return
        for name, value in {"value": self.value, **self.components}.items():
            if not _is_share(value):
                msg = (
                    f"a score's {name} is a number from 0 to 1, and this is {value!r}; where "
                    "nothing can be said, use Score.undecided or Score.failed"
                )
                raise ValueError(msg)

    @classmethod
    def undecided(cls, reason: str, isolation: str = "") -> Score:
        """Return that the verifier looked and cannot tell."""
        return cls(None, reason, outcome="undecided", isolation=isolation)

    @classmethod
    def failed(cls, reason: str, isolation: str = "") -> Score:
        """Return that the verifier could not look: an outage, a time-out, a missing parser."""
        return cls(None, reason, outcome="failed", isolation=isolation)


def _is_line(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= _LINE and not set(text) & set("\r\n\0")


def _is_share(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value <= 1


@dataclass(frozen=True)
class Around:
    """What a verifier that asks teachers is given where it scores."""

    teacher: Callable[[str], TeacherSession]
    """gives a teacher of the recipe by its name there"""
    observe: Callable[[Mapping[str, Any]], None] = lambda _: None
    """takes counts of what was seen, beside scores, for the stage's measures"""


class Verifier(Protocol):
    """What a verifier kind implements (CONTRIBUTING.md shows one)."""

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return a score for each of a batch of outputs, in order.

        A score depends on its own case alone. It raises for no output: what cannot be scored is
        undecided or failed.
        """
        ...


class AsksTeachers(Protocol):
    """What a verifier implements whose spec names teachers by ``asks()``."""

    def score_by(self, cases: Sequence[Case], around: Around) -> list[Score]:
        """Return a score for each of a batch of outputs, in order, as :class:`Verifier` does.

        What a teacher did not answer is failed; what it wrote and cannot be read is undecided.
        """
        ...


@dataclass(frozen=True)
class Rules:
    """What a run has to know of a verifier's scores before it has any."""

    release: str
    """another one wherever the same output may get another score"""
    components: tuple[str, ...]
    """names of the parts of its scores; each becomes a column ``score_NAME``"""
    repeats: bool
    """whether the same case gets the same score on any machine"""
    needs_reference: bool
    """whether it cannot say anything of an output without a reference"""
    may_leave_out: bool = False
    """whether a score may lack some components, of which nothing could be said"""
    reference_is_right: bool = False
    """whether a reference is an output that is right, so that it can be tried on those of rows"""
    isolates: bool = False
    """whether it runs outputs; which isolation each was run under becomes a column ``isolation``"""


class VerifierSpec(Literals):
    """The literals of one verifier of a recipe. Subclasses load it."""

    release: ClassVar[str] = "1"
    """of its rules: another one wherever the same output may get another score, so that a recipe
    run again tells of it"""
    components: ClassVar[tuple[str, ...]] = ()
    """names of the parts of its scores; each becomes a column ``score_NAME``"""
    repeats: ClassVar[bool] = False
    """whether the same case gets the same score on any machine, so that an audit may score again"""
    needs_reference: ClassVar[bool] = False
    """whether it cannot say anything of an output without a reference"""
    reference_is_right: ClassVar[bool] = False
    """whether a reference, where a stage names one, is an output that is right: it is tried on
    those of some rows. So it is with kinds that need references and read nothing else"""
    isolates: ClassVar[bool] = False
    """whether it runs outputs, and says of each under which isolation"""

    kind: str
    """which verifier this is"""

    @property
    def rules(self) -> Rules:
        """What a run has to know of its scores; a kind that is made of others says theirs."""
        return Rules(
            self.release,
            self.components,
            self.repeats,
            self.needs_reference,
            reference_is_right=self.reference_is_right
            or (self.needs_reference and not self.reads()),
            isolates=self.isolates,
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """Return the extras of mashbill that it needs: told before anything runs."""
        return ()

    @property
    def source(self) -> Source:
        """The source of lineage that it is: a program, unless a model judges."""
        return Source(
            name=", ".join((f"verifier {self.kind}", *self.caveats())),
            what="program",
            kind="program",
            route="in-process",
            version=self.rules.release,
        )

    def caveats(self) -> Mapping[str, str]:
        """Return what speaks against its scores, by a few words that its name on the bill ends in.

        Each is told as a sentence where it scores.
        """
        return {}

    def reads(self) -> tuple[str, ...]:
        """Return the columns of a row that it reads beside output and reference.

        A case's ``row`` holds these and no others.
        """
        return ()

    def asks(self) -> tuple[str, ...]:
        """Return whom of [teachers.*] it asks about one output, each as often as it does.

        They are sources beside it, by judgement for verifying, and what they are asked is counted,
        priced and permitted as a stage's own questions are.
        """
        return ()

    @property
    def asks_to_write(self) -> bool:
        """Whether the teachers that it asks must be able to write."""
        return False

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the keys of a recipe table with teachers renamed, for a rebuild.

        Args:
            table: the keys, as written in the recipe.
            names: teacher -> who stands in its place.
        """
        del names
        return table

    def check(self, folder: Path) -> None:
        """Raise RecipeError if the files beside the recipe cannot serve; nothing has run yet."""
        del folder

    @property
    def question_column(self) -> str:
        """The column with what an output answers, where teachers see it: for negative controls."""
        return ""

    @property
    def most_chars(self) -> int | None:
        """Characters of a text at most that teachers are sent; None where it asks none."""
        return None

    @property
    def rests_on_one_answer(self) -> bool:
        """Whether a score follows from one answer of a teacher: see :meth:`says_again`."""
        return False

    def says_again(self, answers: Sequence[Answer | None], choices: tuple[str, ...]) -> list[Any]:
        """Return the score that follows from each answer, None for none.

        Args:
            answers: of the calls that rows rest on; None where one rests on none.
            choices: that these calls put; empty if they put none.
        """
        del choices
        return [None] * len(answers)

    @property
    def accepted(self) -> str:
        """Why it is asked although it fails its negative controls; empty if it is not."""
        return ""

    def made_of(self) -> Mapping[str, VerifierSpec]:
        """Return the verifiers that it is made of, by name: each is tried on its own."""
        return {}

    def controls(self) -> tuple[Control, ...]:
        """Return outputs of which it is known what they are worth: a plan tries it on them.

        Beside these, a kind that compares with references is tried on those of some rows, before
        it scores the first.
        """
        return ()

    def files(self) -> tuple[str, ...]:
        """Return the files beside the recipe whose bytes are part of the identity."""
        return ()

    def addresses(self) -> tuple[str, ...]:
        """Return the paths and addresses that its keys name: all that it opens beside the recipe.

        They are checked when the recipe is loaded: see :mod:`mashbill.core.folder`.
        """
        return self.files()

    def load(self, folder: Path, cache: Path, threads: int) -> Verifier:
        """Load the verifier; a relative path starts from ``folder``, that of the recipe."""
        raise NotImplementedError


class _Held:
    """A verifier, loaded with its first case, for all sessions of it."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._loaded: Any = None

    def get(self) -> Any:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


class VerifierSession:
    """A loaded verifier, held to what verifiers promise."""

    def __init__(self, name: str, spec: VerifierSpec, load: Callable[[], Verifier]) -> None:
        """Prepare; the verifier is loaded with its first case.

        Args:
            name: what the recipe calls it.
            spec: its keys.
            load: loads it.
        """
        self.spec = spec
        self._name = name
        self._held = _Held(load)
        self._around: Around | None = None

    def asking(
        self,
        teacher: Callable[[str], TeacherSession],
        observe: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> VerifierSession:
        """Return the same verifier as it asks these teachers: a slice's, or a trial's.

        Args:
            teacher: gives a teacher by its name.
            observe: takes counts of what it sees, under the verifier's name.
        """
        own, told = self._name, observe or (lambda _: None)
        around = Around(teacher, lambda counts: told({own: counts}))
        other = copy.copy(self)
        vars(other)["_around"] = around
        return other

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return a score for each case, in order.

        Raises:
            StageError: naming the verifier and what it gave that is no score.
        """
        if not cases:
            return []
        scores: Any = self._scored(cases)
        if not isinstance(scores, list | tuple) or len(scores) != len(cases):
            given = f"{len(scores)}" if isinstance(scores, list | tuple) else type(scores).__name__
            raise self._broke(f"it was given {len(cases)} outputs at once and gave {given} scores")
        rules = self.spec.rules
        for place, score in enumerate(scores):
            if not isinstance(score, Score):
                raise self._broke(f"it gave {score!r:.60} of output {place}, which is no Score")
            declared, said = set(rules.components), set(score.components)
            strange = said - declared if rules.may_leave_out else said ^ declared
            if score.outcome == "scored" and strange:
                raise self._broke(
                    f"its score of output {place} has the components "
                    f"{', '.join(sorted(score.components)) or 'none'}, and it declares "
                    f"{', '.join(rules.components) or 'none'}"
                )
            if score.isolation and not rules.isolates:
                raise self._broke(
                    f"it ran output {place} ({score.isolation!r:.60}), and its kind does not say "
                    "that it runs outputs: set isolates = True"
                )
        return list(scores)

    def _scored(self, cases: Sequence[Case]) -> Any:
        if not self.spec.asks():
            return self._held.get().score(cases)
        if self._around is None:
            msg = (
                f"verifiers.{self._name} asks {', '.join(dict.fromkeys(self.spec.asks()))}, and "
                "nobody can be asked here: teachers are asked in a run alone"
            )
            raise StageError(msg)
        return self._held.get().score_by(cases, self._around)

    def _broke(self, what: str) -> StageError:
        origin = registry.origin(self.spec.kind, registry.VERIFIERS)
        whose = " ".join(origin.get(key, "") for key in ("distribution", "version")).strip()
        return StageError(
            f"verifiers.{self._name}: kind {self.spec.kind!r} of {whose or 'no distribution'} "
            f"broke what a verifier promises: {what} (see {_PROMISES})"
        )
