"""``on_policy``: a student samples, and teachers score each token of it.

On-policy distillation (Agarwal et al., GKD, ICLR 2024, arXiv 2306.13649; Gu et al., MiniLLM, ICLR
2024, arXiv 2306.08543): the states that a student learns in are those that it comes to by itself.
Teachers whose weights are here give their whole distribution at each token, and any divergence of
:mod:`mashbill.train.divergences` is exact. Served teachers give the log-probability of the tokens
that were sampled, by which the gradient of reverse KL is estimated without bias; see
:mod:`mashbill.train.on_policy_losses`. Several teachers divide rollouts between them, or each of
them scores all (:mod:`mashbill.train.teaching`).

Before the first step each teacher is put to a test (:mod:`mashbill.train.teacher_test`), which is
kept with the rollouts. The loop is :mod:`mashbill.train.sampled_loop`; this file is what a plan
reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.explaining import near
from mashbill.core.extras import needs
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import Uses
from mashbill.train.sampled_keys import SampledSpec
from mashbill.train.teaching import Teaching, of_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.models.sampled import Sampled
    from mashbill.train.prompts import PromptRows
    from mashbill.train.rollouts import Asked
    from mashbill.train.sampled_steps import Around, Learner


class OnPolicySpec(SampledSpec):
    """``kind = "on_policy"``."""

    references: ClassVar[tuple[str, ...]] = (
        *SampledSpec.references, "teacher", "teacher_weights", "teacher_of", "served", "tested_by",
    )  # fmt: skip
    rates: ClassVar[tuple[float, float]] = (2e-4, 1e-5)

    kind: Literal["on_policy"] = "on_policy"
    teacher: str = ""
    """which of [teachers.*] scores what is sampled, where it is one for all"""
    teacher_weights: dict[str, float] = Field(default_factory=dict)
    """teacher -> weight, where there are several: each scores all, or teacher_by says which"""
    teacher_by: str = ""
    """column of the prompts that says which of the teachers scores what is sampled of it"""
    teacher_of: dict[str, str] = Field(default_factory=dict)
    """what stands in that column -> teacher; if empty, it holds their names"""
    combine: Literal["sum", "averaged"] = "sum"
    """of several teachers that score all: the weighted sum of divergences to each, or the
    divergence to the one whose logits are the weighted mean of theirs"""
    served: tuple[str, ...] = ()
    """those of the teachers that a server has (kind = 'server'), which give the log-probabilities
    of sampled tokens alone"""
    divergence: Literal["forward", "reverse", "skewed", "skewed-reverse", "jsd", "tv"] = "reverse"
    """what the student's distribution is held against a teacher's by; served ones take reverse"""
    skew: float = Field(default=0.1, ge=1e-6, le=1 - 1e-6)
    """part of the other distribution in what a skewed divergence is taken to"""
    beta: float = Field(default=0.5, ge=1e-6, le=1 - 1e-6)
    """of jsd, which vanishes towards 0 and 1: say forward or reverse there"""
    softening: float = Field(default=1.0, ge=0.01, le=1000)
    """temperature that the distributions of student and teacher are divided by in the loss; how
    the student samples is ``temperature``, and no part of the loss"""
    most_ratio: float | None = Field(default=None, ge=1, le=1e6)
    """what the ratio of the student's probability to that of its sampling is cut to, where a server
    scores: less variance, and a bias; none if absent"""
    mix: float = Field(default=0.0, ge=0, lt=1)
    """share of the steps that learn from given answers in place of sampled ones, by the same
    divergence"""
    given: str = ""
    """column of the prompts that holds these answers"""
    test_rollouts: int = Field(default=16, gt=0, le=4096)
    """rollouts of the first step by which teachers are tested"""
    noise_ratio: float = Field(default=1.0, ge=1e-3, le=1000)
    """part of what a teacher teaches that its noise may be: a noisier one is refused"""
    tested_by: dict[str, str] = Field(default_factory=dict)
    """served teacher -> which of [teachers.*] has the same weights here, to test it by; else it is
    asked twice"""

    @property
    def teaching(self) -> Teaching:
        """Who scores what."""
        return of_keys(self.teacher, self.teacher_weights, self.teacher_by, self.teacher_of)

    @model_validator(mode="after")
    def _somebody_scores(self) -> OnPolicySpec:
        names = self.teaching.teachers
        for name in self.served:
            if name not in names:
                msg = f"served names {name!r}, which is none of its teachers {list(names)}"
                raise ValueError(msg)
        for name in self.tested_by:
            if name not in self.served:
                msg = f"tested_by names {name!r}, which is none of served {list(self.served)}"
                raise ValueError(msg)
        if self.combine == "averaged" and (len(names) < 2 or self.teacher_by):
            msg = "combine = 'averaged' is of several teachers that score all; leave it out"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _servers_can_give_it(self) -> OnPolicySpec:
        if not self.served:
            if self.most_ratio is not None:
                msg = "most_ratio is about tokens that a server scores, and served names none"
                raise ValueError(msg)
            return self
        if why := _unserved(self):
            raise ValueError(why)
        return self

    @model_validator(mode="after")
    def _given_answers_are_somewhere(self) -> OnPolicySpec:
        if bool(self.mix) != bool(self.given):
            msg = (
                "mix is the share of steps that learn from given answers, and given the column of "
                "these: set both or none"
            )
            raise ValueError(msg)
        return self

    def live_teachers(self) -> tuple[str, ...]:
        """Those whose weights are here."""
        return tuple(name for name in self.teaching.teachers if name not in self.served)

    def scorers(self) -> tuple[Uses, ...]:
        """All teachers, and those that served ones are tested by."""
        tests = dict.fromkeys(self.tested_by.values())
        return (
            *(Uses(name, "actor", Channel.LOGITS, is_teacher=True)
              for name in self.teaching.teachers),
            *(Uses(name, "actor", Channel.JUDGEMENT, is_teacher=True, purpose=Purpose.VERIFYING)
              for name in tests if name not in self.teaching.teachers),
        )  # fmt: skip

    def learns_from(self) -> tuple[Uses, ...]:
        """Teachers whose logits are computed as it learns; what others gave is in the rollouts."""
        return tuple(
            Uses(name, "actor", Channel.LOGITS, is_teacher=True) for name in self.live_teachers()
        )

    def uses(self) -> tuple[Uses, ...]:
        """As of every such trainer; given answers are content."""
        found = super().uses()
        if not self.mix or self.part == "model":
            return found
        return tuple(
            Uses(use.name, use.role, Channel.CONTENT) if use.role == "rows" else use
            for use in found
        )

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that prompts are there, and the columns that its keys name."""
        super().check_inputs(folder, columns)
        for name in self.inputs:
            known = columns.get(name)
            for key in ("teacher_by", "given"):
                column = getattr(self, key)
                if column and known is not None and column not in known:
                    there = near(column, known) or f"; it has {', '.join(known)}"
                    msg = f"{key} = {column!r} is no column of {name}{there}"
                    raise RecipeError(msg)

    def given_answers(
        self, step: int, asked: Sequence[Asked], rows: PromptRows, seed: int
    ) -> list[Sampled] | None:
        """Return the answers that stand beside prompts, in a step that learns from such.

        The first step never does: by what is sampled in it teachers are tested.
        """
        if not self.mix or step == 0:
            return None
        with needs("training on what a student samples", "students"):
            from mashbill.train.given_answers import given_answers, is_given
        return given_answers(self, asked, rows) if is_given(self.mix, step, seed) else None

    def learner(self, around: Around) -> Learner:
        """Return what scores rollouts and learns from them."""
        with needs("training on what a student samples", "students"):
            from mashbill.train.on_policy_learning import OnPolicy
        return OnPolicy(around)


def _unserved(spec: OnPolicySpec) -> str:
    """Return why served teachers cannot give what keys ask for; empty if they can."""
    if spec.divergence != "reverse":
        return (
            f"divergence = {spec.divergence!r} needs the teacher's probabilities of tokens that "
            "were not sampled, and a server gives those of the sampled ones: set divergence = "
            "'reverse', whose gradient they estimate without bias, or name teachers whose weights "
            "are here"
        )
    if spec.softening != 1:
        return (
            f"softening = {spec.softening:g} is of both distributions, and a server gives "
            "log-probabilities at temperature 1; leave it out"
        )
    if spec.top_p < 1:
        return (
            f"top_p = {spec.top_p:g} leaves out tokens that could not be sampled then, and without "
            "them a server's log-probabilities estimate no divergence; set top_p = 1, and a lower "
            "temperature if need be"
        )
    if spec.mix:
        return (
            f"mix = {spec.mix:g} learns from answers that the student did not sample, of which a "
            "server's log-probabilities estimate no divergence; leave it out, or learn from them "
            "by a stage of kind 'sft' before"
        )
    if spec.combine == "averaged":
        return "combine = 'averaged' needs whole logits, and a server gives none; set 'sum'"
    return ""
