"""``grpo``: a student samples, a verifier pays for what is right, and it does more of that.

Group relative policy optimisation (DeepSeekMath, 2024, arXiv 2402.03300), by default with the
corrections of Dr.GRPO (Liu et al., 2025, arXiv 2503.20783): an attempt is held against the mean of
the attempts at the same prompt, and nothing is divided by a deviation or by an attempt's length.
Advantages are in :mod:`mashbill.train.advantages`, the loss in
:mod:`mashbill.train.policy_losses`, rewards in :mod:`mashbill.train.group_rewards`; this file is
what a plan reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.explaining import check_columns
from mashbill.core.extras import needs
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import Uses
from mashbill.core.teacher import Asks
from mashbill.train.sampled_keys import COLUMNS, SampledSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.verifier import VerifierSpec
    from mashbill.train.sampled_steps import Around, Learner

REWARDS = ("reward", "outcome", "reason")
WATCHED = "watched"
OF_ATTEMPTS = frozenset({"prompt", "completion"})
"""columns that a verifier can read of an attempt, whether or not its prompt's row has them"""
_LEAST, _MOST = -10.0, 1.0


class GrpoSpec(SampledSpec):
    """``kind = "grpo"``."""

    rates: ClassVar[tuple[float, float]] = (2e-5, 1e-6)
    references: ClassVar[tuple[str, ...]] = (*SampledSpec.references, "by", "watch")

    kind: Literal["grpo"] = "grpo"
    by: str = ""
    """which of [verifiers.*] pays: a program, a judge, or a rubric of several"""
    reference: str = ""
    """column of the prompts with what is known to be right, for the verifier; empty if none is"""
    watch: str = ""
    """which of [verifiers.*] scores the same attempts and is not learned from: where its score
    falls while the reward rises, the report says so"""
    reward: Literal["verifier", "random"] = "verifier"
    """what pays; random is the control: 0 or 1 as a coin falls, by seed, step and attempt"""
    advantage: Literal["group-mean", "group-std", "batch-std", "leave-one-out"] = "group-mean"
    """how an attempt is held against others at its prompt: less their mean (Dr.GRPO's), divided by
    their standard deviation too (GRPO's) or by that of the step, or less the mean of the others
    alone (RLOO's)"""
    normalise: Literal["constant", "token", "sequence"] = "constant"
    """what the loss is divided by: attempts x max_new_tokens (Dr.GRPO's), the tokens that are
    learned, or each attempt by its own tokens (GRPO's)"""
    clip_low: float = Field(default=0.2, ge=1e-6, lt=1)
    """a token whose probability fell by more than this share since it was sampled is pushed down no
    further"""
    clip_high: float = Field(default=0.2, ge=1e-6, le=10)
    """one whose probability rose by more than this share is pushed up no further"""
    kl: float = Field(default=0.0, ge=0, le=100)
    """what the divergence from the base counts in the loss (estimator k3)"""
    truncated: Literal["score", "leave-out"] | float = "score"
    """what becomes of an attempt that was cut off at max_new_tokens: scored as any other, left out
    of its group and of every denominator, or paid this number"""

    _by: VerifierSpec | None = PrivateAttr(default=None)
    _watch: VerifierSpec | None = PrivateAttr(default=None)

    @field_validator("truncated")
    @classmethod
    def _is_bounded(cls, value: Any) -> Any:
        if not isinstance(value, str) and not _LEAST <= value <= _MOST:
            msg = f"is {value}, and what is paid lies within {_LEAST:g} and {_MOST:g}"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _somebody_pays(self) -> GrpoSpec:
        if self.reward == "verifier" and not self.by:
            msg = (
                'by names the verifier that pays, one of [verifiers.*]; or set reward = "random", '
                "which is the control"
            )
            raise ValueError(msg)
        if self.reward == "random" and (self.by or self.reference):
            msg = 'reward = "random" asks no verifier: leave by and reference out'
            raise ValueError(msg)
        if self.watch and self.watch == self.by:
            msg = f"watch = {self.watch!r} is the verifier that pays; name another, or leave it out"
            raise ValueError(msg)
        if self.attempts < 2:
            msg = (
                "attempts is 1, and an attempt is held against others at its prompt; set 2 or more"
            )
            raise ValueError(msg)
        return self

    def with_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> Self:
        """Return it with its verifiers: what these read of rows, and ask of teachers."""
        own = self.model_copy()
        own._by = verifiers.get(self.by)  # noqa: SLF001 - a copy of its own
        own._watch = verifiers.get(self.watch)  # noqa: SLF001 - as above
        return own

    @property
    def _verifiers(self) -> list[tuple[str, VerifierSpec | None, Purpose]]:
        named = ((self.by, self._by, Purpose.MAKING), (self.watch, self._watch, Purpose.VERIFYING))
        return [each for each in named if each[0]]

    @property
    def most_chars(self) -> int | None:
        """Characters of a text at most that its verifiers' teachers are sent."""
        found = [spec.most_chars for _, spec, _ in self._verifiers if spec is not None]
        return max((each for each in found if each is not None), default=None)

    @property
    def asks_to_write(self) -> bool:  # type: ignore[override]
        """Whether whom its verifiers ask must be able to write."""
        return any(spec.asks_to_write for _, spec, _ in self._verifiers if spec is not None)

    def scorers(self) -> tuple[Uses, ...]:
        """Who pays, and who is only watched, with the teachers that judge for them."""
        found = []
        for name, spec, purpose in self._verifiers:
            actor = Uses(name, "actor", Channel.JUDGEMENT, purpose=purpose, is_verifier=True)
            found.append(actor)
            found += [
                Uses(one, "actor", Channel.JUDGEMENT, is_teacher=True, purpose=purpose)
                for one in dict.fromkeys(spec.asks() if spec is not None else ())
            ]
        return tuple(dict.fromkeys(found))

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """What its verifiers ask about each attempt."""
        del data, folder
        asked = tuple(
            one
            for _, spec, _ in self._verifiers
            for one in (spec.asks() if spec is not None else ())
        )
        if self.part == "model" or not asked:
            return Asks(0, 0, (), ())
        count = self.expected_rows(dict(rows))
        return Asks(count or 0, count or 0, asked, None if count is None else asked)

    def check_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> None:
        """See that a verifier that needs a reference is given one."""
        for key in ("by", "watch"):
            verifier = verifiers.get(getattr(self, key))
            if verifier is not None and verifier.rules.needs_reference and not self.reference:
                msg = (
                    f"verifier {getattr(self, key)!r} (kind {verifier.kind!r}) compares with what "
                    'is known to be right; set reference = "COLUMN"'
                )
                raise RecipeError(msg)

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that prompts are there, and what verifiers read beside them."""
        super().check_inputs(folder, columns)
        named = [("reference", self.reference)]
        for name, spec, _ in self._verifiers:
            reads = spec.reads() if spec is not None else ()
            named += [(f"verifiers.{name}", one) for one in reads if one not in OF_ATTEMPTS]
        for name in self.inputs:
            check_columns(named, columns.get(name), name)

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of a rollout, and what its verifiers say."""
        del inputs, files
        if self.by and self._by is None:
            return None
        rules = None if self._by is None else self._by.rules
        more = [] if rules is None else [f"score_{name}" for name in rules.components]
        more += ["isolation"] if rules is not None and rules.isolates else []
        return (*COLUMNS, *REWARDS, *more, *([WATCHED] if self.watch else []))

    def learner(self, around: Around) -> Learner:
        """Return what scores attempts and learns from them."""
        with needs("training by rewards", "students"):
            from mashbill.train.rewarded import Rewarded
        return Rewarded(around)
