"""``rubric``: several verifiers as one score, by weights, gates and abstentions.

    [verifiers.reward]
    kind = "rubric"

    [verifiers.reward.parts.right]
    kind = "maths"
    weight = 3

    [verifiers.reward.parts.short]
    kind = "form"
    max_words = 200
    gate = 1.0          # a lower score of this part makes the whole 0
    abstains = true     # where it says nothing, the others decide

The score is the mean of the parts by weight. Where a part that may not abstain says nothing the
whole is undecided; where one could not look the whole failed, unless it may abstain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from mashbill.core import registry
from mashbill.core.errors import RecipeError
from mashbill.core.verifier import Case, Rules, Score, VerifierSession, VerifierSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.verifier import Around

_MOST = 32  # parts
_LEAST = 1e-6  # weight of a part that counts
_LINE = 200  # characters of what an isolation is called
_OWN = ("weight", "gate", "abstains", "by")


class Part(BaseModel):
    """One verifier of a rubric, and what its word counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    weight: float = Field(default=1.0, ge=0, le=1e6, allow_inf_nan=False)
    """what it counts beside the others; 0 for one that is a gate alone, or only looked at"""
    gate: float | None = Field(default=None, gt=0, le=1)
    """a score of this part below it makes the whole 0"""
    abstains: bool = False
    """whether the others decide where it says nothing"""
    by: SerializeAsAny[VerifierSpec]
    """the verifier; in a recipe its keys stand beside these"""

    @field_validator("weight")
    @classmethod
    def _is_no_speck(cls, weight: float) -> float:
        if 0 < weight < _LEAST:
            msg = f"is {weight}, which would be lost beside any other: 0, or {_LEAST} and more"
            raise ValueError(msg)
        return weight

    @model_validator(mode="before")
    @classmethod
    def _from_table(cls, table: Any) -> Any:
        """Read the verifier's keys, which stand among the part's own."""
        if not isinstance(table, dict):
            return table
        own = {key: value for key, value in table.items() if key in _OWN}
        keys = {key: value for key, value in table.items() if key not in _OWN}
        given = own.get("by")
        if isinstance(given, dict):  # as literals have it
            keys = {**given, **keys}
        elif given is not None:
            return table
        kind = keys.get("kind")
        if not isinstance(kind, str):
            msg = f"it needs kind = one of {', '.join(registry.kinds(registry.VERIFIERS))}"
            raise ValueError(msg)  # noqa: TRY004 - pydantic names the key of a ValueError
        if kind == "rubric":
            msg = "a rubric's parts are no rubrics: name its parts here"
            raise ValueError(msg)
        try:
            model = registry.find(kind, registry.VERIFIERS)
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return {**own, "by": model.model_validate(keys)}


class RubricSpec(VerifierSpec):
    """``kind = "rubric"``."""

    kind: Literal["rubric"] = "rubric"
    parts: dict[str, Part] = Field(min_length=1, max_length=_MOST)
    """name of a part -> its verifier; each becomes a column ``score_NAME``"""

    @model_validator(mode="after")
    def _weighs_something(self) -> RubricSpec:
        if not any(part.weight for part in self.parts.values()):
            msg = "no part has a weight above 0, so nothing would ever be paid"
            raise ValueError(msg)
        strange = [name for name in self.parts if not name.isidentifier()]
        if strange:
            msg = f"parts.{strange[0]!r}: a name becomes a column: letters, digits and _"
            raise ValueError(msg)
        return self

    @property
    def rules(self) -> Rules:
        """Those of its parts, all together."""
        rules = {name: part.by.rules for name, part in sorted(self.parts.items())}
        told = " ".join(f"{name}:{one.release}" for name, one in rules.items())
        return Rules(
            release=f"{self.release} {told}",
            components=tuple(rules),
            repeats=all(one.repeats for one in rules.values()),
            needs_reference=any(one.needs_reference for one in rules.values()),
            may_leave_out=any(part.abstains for part in self.parts.values()),
            reference_is_right=any(one.needs_reference for one in rules.values())
            and not self.reads(),
            isolates=any(one.isolates for one in rules.values()),
        )

    @property
    def extras(self) -> tuple[str, ...]:
        """Those of its parts."""
        return tuple(dict.fromkeys(extra for one in self._all() for extra in one.extras))

    def reads(self) -> tuple[str, ...]:
        """The columns that its parts read."""
        return tuple(dict.fromkeys(name for one in self._all() for name in one.reads()))

    def asks(self) -> tuple[str, ...]:
        """The teachers that its parts ask."""
        return tuple(name for one in self._all() for name in one.asks())

    @property
    def asks_to_write(self) -> bool:
        """Whether those of some part write."""
        return any(one.asks_to_write for one in self._all())

    @property
    def most_chars(self) -> int | None:
        """Characters of a text at most that teachers of its parts are sent."""
        return max((one.most_chars for one in self._all() if one.most_chars), default=None)

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the keys with the teachers of its parts renamed."""
        parts = {}
        for name, part in table.get("parts", {}).items():
            own = {key: value for key, value in part.items() if key in _OWN}
            keys = {key: value for key, value in part.items() if key not in _OWN}
            kind = registry.find(str(keys.get("kind")), registry.VERIFIERS)
            parts[name] = {**own, **kind.renamed(keys, names)}
        return {**table, "parts": parts}

    def check(self, folder: Path) -> None:
        """Check the files of its parts.

        Raises:
            RecipeError: naming the part.
        """
        for name, part in self.parts.items():
            try:
                part.by.check(folder)
            except RecipeError as error:
                msg = f"parts.{name}: {error}"
                raise RecipeError(msg) from error

    def caveats(self) -> dict[str, str]:
        """Those of its parts."""
        return {words: said for one in self._all() for words, said in one.caveats().items()}

    def made_of(self) -> Mapping[str, VerifierSpec]:
        """Its parts."""
        return {name: part.by for name, part in self.parts.items()}

    def files(self) -> tuple[str, ...]:
        """The files that its parts read."""
        return tuple(dict.fromkeys(name for one in self._all() for name in one.files()))

    def addresses(self) -> tuple[str, ...]:
        """The addresses that its parts name."""
        return tuple(dict.fromkeys(name for one in self._all() for name in one.addresses()))

    def load(self, folder: Path, cache: Path, threads: int) -> Rubric:
        """Load its parts, each with its first case."""
        sessions = {
            name: VerifierSession(
                name,
                part.by,
                lambda one=part.by: one.load(folder, cache, threads),  # type: ignore[misc]
            )
            for name, part in self.parts.items()
        }
        return Rubric(self.parts, sessions)

    def _all(self) -> list[VerifierSpec]:
        return [part.by for part in self.parts.values()]


class Rubric:
    """Puts scores of several verifiers together."""

    def __init__(self, parts: Mapping[str, Part], sessions: Mapping[str, VerifierSession]) -> None:
        """Prepare.

        Args:
            parts: by name.
            sessions: of their verifiers.
        """
        # By name, as literals have them: an audit that scores again adds and tells in this order.
        self._parts = dict(sorted(parts.items()))
        self._sessions = sessions

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return the mean of the parts by weight."""
        return self._mean(cases, self._sessions)

    def score_by(self, cases: Sequence[Case], around: Around) -> list[Score]:
        """Return the same, where some parts ask teachers."""
        asking = {
            name: session.asking(around.teacher, around.observe)
            for name, session in self._sessions.items()
        }
        return self._mean(cases, asking)

    def _mean(self, cases: Sequence[Case], sessions: Mapping[str, VerifierSession]) -> list[Score]:
        said = {
            name: sessions[name].score(_seen_by(part, cases)) for name, part in self._parts.items()
        }
        found = []
        for place in range(len(cases)):
            own = {name: scores[place] for name, scores in said.items()}
            under = dict.fromkeys(score.isolation for score in own.values() if score.isolation)
            call = next((score.call for score in own.values() if score.call), "")
            one = replace(self._one(own), isolation="; ".join(under)[:_LINE], call=call)
            found.append(one)
        return found

    def _one(self, said: Mapping[str, Score]) -> Score:
        told = {name: score for name, score in said.items() if score.value is not None}
        lacking = {name: score for name, score in said.items() if name not in told}
        missed = [
            name
            for name, part in self._parts.items()
            if part.gate is not None and name in told and _value(told[name]) < part.gate
        ]
        for outcome in ("failed", "undecided"):
            for name, score in lacking.items():
                if score.outcome == outcome and not self._parts[name].abstains:
                    why = f"{name}: {score.reason}"[:300]
                    return Score.failed(why) if outcome == "failed" else Score.undecided(why)
        weight = sum(self._parts[name].weight for name in told)
        if not weight:
            first = next(iter(lacking.values()), None)
            return Score.undecided(
                f"no part that counts says anything{f': {first.reason}' if first else ''}"[:300]
            )
        components = {name: _value(score) for name, score in told.items()}
        mean = sum(self._parts[name].weight * value for name, value in components.items()) / weight
        parts = ", ".join(f"{name} {value:.2f}" for name, value in components.items())
        if missed:
            return Score(0.0, f"{missed[0]} is below its gate ({parts})", components)
        return Score(min(max(mean, 0.0), 1.0), parts, components)


def _value(score: Score) -> float:
    return 0.0 if score.value is None else score.value


def _seen_by(part: Part, cases: Sequence[Case]) -> list[Case]:
    """Return the cases as a part is given them: with the columns that it reads and no others."""
    names = part.by.reads()
    return [
        Case(case.output, case.reference, {name: case.row.get(name) for name in names})
        for case in cases
    ]
