"""How ``on_policy`` scores rollouts, and learns from them.

    for each micro-batch of a step's rollouts:
        states = the student's, behind each token whose next one was sampled
        for each teacher, of the tokens that it scores:
            beside the student:   weight x divergence to its whole distribution
            served:               weight x estimate of reverse KL, by the sampled token
        (sum / sum of the weights of all tokens of the step that were scored).backward()

The denominator is counted from the rollouts, after sampling and scoring, over the whole step and
all processes; tokens that a server gave nothing of are in neither sum.

Beside each rollout stands who scored it (``teacher``), and of a served teacher the log-probability
of each token (``logprobs_by_NAME``, null where it gave none), and why there are none at all
(``failed_by_NAME``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from mashbill.core.errors import InputError, TeacherError
from mashbill.core.record import FROM
from mashbill.core.scored_tokens import Tokens
from mashbill.models.tokenizer_identity import ids_of
from mashbill.train.completions import Completions
from mashbill.train.drift import drifted, form_of
from mashbill.train.losses import Divergence, FullTeacher
from mashbill.train.on_policy_losses import Taught, averaged, exact, is_scored, sampled_reverse
from mashbill.train.on_policy_teachers import Teachers
from mashbill.train.precision import autocast
from mashbill.train.rollouts import as_numbers
from mashbill.train.teacher_test import TESTS
from mashbill.train.teaching import BETWEEN, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.teachers.token_scoring import Pending
    from mashbill.train.processes import World
    from mashbill.train.rollouts import Rollouts
    from mashbill.train.sampled_steps import Around

_UNSCORED = 0.05
"""share of the tokens that no teacher scored from which on it is warned of"""
_SAME = "averaged"
"""what the part of a loss is called that is of all teachers' mean"""
_RATIO = " ratio"
"""key of a sum of ratios: no name has a space"""


def logprobs_by(name: str) -> str:
    """Return the column of a served teacher's log-probabilities."""
    return f"logprobs_by_{name}"


def failed_by(name: str) -> str:
    """Return the column that says why a served teacher gave none."""
    return f"failed_by_{name}"


@dataclass
class Step:
    """Who scores the rollouts of a step, which of their tokens, and with which weight."""

    rows: Rollouts
    names: list[str]
    shares: list[dict[str, float]]
    """of each rollout, teacher -> weight, the rollout's own in it"""
    scored: dict[str, list[np.ndarray]]
    """teacher -> which tokens of each rollout it scores, bool; of those that it has a share in"""
    given: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """served teacher -> its log-probabilities of each rollout's tokens"""

    def weight_of(self, name: str) -> float:
        """Return the sum of the weights of all tokens that a teacher scores."""
        return float(sum(
            share.get(name, 0.0) * int(scored.sum())
            for share, scored in zip(self.shares, self.scored[name], strict=True)
        ))  # fmt: skip

    def is_scored_at_all(self) -> list[np.ndarray]:
        """Return which tokens of each rollout any teacher scores."""
        found = [np.zeros(len(ids), bool) for ids in self.rows.ids]
        for name in self.names:
            for number, scored in enumerate(self.scored[name]):
                if name in self.shares[number]:
                    found[number] |= scored
        return found


class OnPolicy:
    """What ``on_policy`` adds to the loop: see :class:`mashbill.train.sampled_steps.Learner`."""

    def __init__(self, around: Around) -> None:
        """Load teachers.

        Raises:
            InputError: if a teacher has another tokenizer than the student.
            TeacherError: if one cannot be had.
        """
        self._around = around
        self._spec = spec = around.spec
        self._teaching = spec.teaching
        self._teachers = Teachers(around)
        self._how = Divergence(spec.divergence, spec.skew, spec.beta, spec.softening)
        self._most = float("inf") if spec.most_ratio is None else spec.most_ratio
        self._classes = ids_of(around.encoder.tokenizer)
        rows = len(around.student.head[0])
        if rows < self._classes:
            msg = (
                f"{around.student.title}: its tokenizer has {self._classes:,} ids and its head "
                f"{rows:,} rows, so some tokens have no logit; name a base whose files fit each "
                "other"
            )
            raise InputError(msg)

    # -- scoring ---------------------------------------------------------------------------------

    def begin(self, rows: Rollouts) -> Callable[[], Mapping[str, pa.Array]]:
        """Say who scores each rollout, and ask those that are served; sampling may go on."""
        around = self._around
        assert around.rows is not None  # noqa: S101 - who samples has prompts
        positions = rows.column(FROM)
        told = [
            self._teaching.of(around.rows.row(position), around.rows.where(position))
            for position in positions
        ]
        self._teachers.check_lengths(int(rows.lengths.max()))
        if all(np.isfinite(each).all() for each in rows.logprobs):
            self._teachers.test(rows)
        texts = rows.column("prompt")
        waiting: dict[str, tuple[list[int], Pending]] = {}
        for name, scorer in self._teachers.served.items():
            own = [n for n, each in enumerate(told) if name in each.split(BETWEEN)]
            asked = [
                Tokens((*rows.prompt_ids[n], *rows.ids[n]), len(rows.prompt_ids[n]), texts[n])
                for n in own
            ]
            waiting[name] = own, scorer.begin(asked)
        return lambda: self._columns(rows, told, waiting)

    def _columns(
        self, rows: Rollouts, told: list[str], waiting: dict[str, tuple[list[int], Pending]]
    ) -> dict[str, pa.Array]:
        found = {"teacher": pa.array(told, pa.string())}
        for name, (own, pending) in waiting.items():
            values: list[Any] = [None] * len(rows)
            failed: list[str | None] = [None] * len(rows)
            scores = pending.result()
            for number, each in zip(own, scores, strict=True):
                values[number] = None if each.failed else list(each.logprobs)
                failed[number] = each.failed or None
            if rows.step == 0 and scores and all(each.failed for each in scores):
                msg = f"teacher {name!r} scored no rollout; of the first: {scores[0].failed}"
                raise TeacherError(msg)
            found[logprobs_by(name)] = pa.array(values, pa.list_(pa.float32()))
            found[failed_by(name)] = pa.array(failed, pa.string())
        return found

    # -- learning --------------------------------------------------------------------------------

    def step_of(self, rows: Rollouts) -> Step:
        """Return who scores which tokens, as the rollouts say it."""
        told, spec = rows.column("teacher"), self._spec
        shares = []
        for each in told:
            weight = self._teaching.weight(each)
            shares.append({name: weight * part
                           for name, part in self._teaching.shares(each).items()})  # fmt: skip
        names = list(self._teaching.teachers)
        found = Step(rows, names, shares, {})
        for name in names:
            if name in spec.served:
                values = rows.column(logprobs_by(name))
                given = [_numbers(value, ids) for value, ids in zip(values, rows.ids, strict=True)]
                found.given[name] = given
                found.scored[name] = [
                    is_scored(value, _numbers(sampled, ids))
                    for value, sampled, ids in zip(given, rows.logprobs, rows.ids, strict=True)
                ]
            else:
                found.scored[name] = [np.ones(len(ids), bool) for ids in rows.ids]
        return found

    def weights(self, rows: Rollouts) -> np.ndarray:
        """Return the weight of each rollout: the share of its tokens that count, by weight."""
        step = self.step_of(rows)
        found = np.zeros(len(rows))
        for name in step.names:
            for number, scored in enumerate(step.scored[name]):
                found[number] += step.shares[number].get(name, 0.0) * (
                    scored.mean() if len(scored) else 0.0
                )
        return found

    def learn(self, rows: Rollouts, world: World) -> dict[str, float]:
        """Go back through the losses of a step."""
        spec, student = self._spec, self._around.student
        self._teachers.check_lengths(int(rows.lengths.max()))
        step = self.step_of(rows)
        parts = [_SAME] if spec.combine == "averaged" else step.names
        by_part = {name: step.weight_of(name) for name in step.names}
        whole = sum(by_part.values())
        sums = dict.fromkeys([*parts, _RATIO], 0.0)
        for micro in rows.micro(spec.micro_tokens, world.rank, world.size, shared=student.shares):
            for own in [micro] if student.packs else [[number] for number in micro]:
                self._back(step, own, whole, sums)
        sums = dict(zip(sums, world.sum(list(sums.values())), strict=True))
        told = {"loss": sum(sums[name] for name in parts) / max(whole, 1e-9)}
        if len(parts) > 1:
            told |= {f"divergence_{name}": sums[name] / by_part[name]
                     for name in parts if by_part[name]}  # fmt: skip
        if spec.served:
            served = sum(int(each.sum()) for name in spec.served for each in step.scored[name])
            told["ratio"] = sums[_RATIO] / max(served, 1)
        return told | self._looked(step)

    def _looked(self, step: Step) -> dict[str, float]:
        """Return what a step's curves have beside its loss."""
        rows = step.rows
        scored = sum(int(each.sum()) for each in step.is_scored_at_all())
        tokens = int(rows.sampled_tokens.sum())
        found = {"scored_tokens": float(scored), "unscored": 1 - scored / max(tokens, 1)}
        sampled = np.array([value for each in rows.logprobs for value in each], np.float64)
        if self._spec.mix:
            found["given"] = float(not np.isfinite(sampled).any())
        if np.isfinite(sampled).all() and len(sampled):
            found["entropy"] = -float(sampled.mean())  # what its own samples estimate
            found |= form_of(rows.ids, rows.is_cut.tolist())
        return found

    def _back(self, step: Step, own: list[int], whole: float, sums: dict[str, float]) -> None:
        """Go back through the loss of rollouts that are computed together."""
        rows, student = step.rows, self._around.student
        own = [n for n in own if rows.ids[n]]
        if not own:
            return
        device = student.model.device
        asked = Completions.of(rows.pairs(own), shared=student.shares)
        with student.together(asked.lengths, asked.follows):
            with autocast(self._around.dtype, device):
                states = student.states(asked.sequences, asked.follows)
            states = states.float()[asked.told.to(device)]
            numerator = self._numerator(step, own, asked, states, sums)
            if numerator is not None:
                (numerator / whole).backward()

    def _numerator(
        self,
        step: Step,
        own: list[int],
        asked: Completions,
        states: torch.Tensor,
        sums: dict[str, float],
    ) -> torch.Tensor | None:
        """Return the loss of rollouts in sum; None where nothing of them was scored."""
        rows, device = step.rows, states.device
        by_teacher = {
            name: np.concatenate([
                step.shares[n].get(name, 0.0) * step.scored[name][n] for n in own
            ]) for name in step.names
        }  # fmt: skip
        owner = np.asarray(own)[asked.owner]
        total = None
        if self._spec.combine == "averaged":
            shares = step.shares[own[0]]
            of_each = [self._of(name, rows, own) for name in step.names]
            teacher = averaged(of_each, [shares[name] for name in step.names])
            weights = np.sum(list(by_teacher.values()), 0)
            total = self._exact(states, teacher, weights)
            sums[_SAME] += float(total.detach())
            return total
        for name, weights in by_teacher.items():
            if not weights.any():
                continue
            if name in self._spec.served:
                numerator, ratio = self._sampled(states, step, name, own, weights)
                sums[_RATIO] += ratio
            else:
                mine = [n for n in own if step.shares[n].get(name)]
                here = torch.from_numpy(np.isin(owner, mine)).to(device)
                numerator = self._exact(
                    states[here], self._of(name, rows, mine), weights[np.isin(owner, mine)]
                )
            sums[name] += float(numerator.detach())
            total = numerator if total is None else total + numerator
        return total

    def _of(self, name: str, rows: Rollouts, own: Sequence[int]) -> FullTeacher:
        """Return what a teacher beside the student gives the completions of some rollouts."""
        return self._teachers.live[name].of_completions(rows.pairs(own))[0]

    def _exact(
        self, states: torch.Tensor, teacher: FullTeacher, weights: np.ndarray
    ) -> torch.Tensor:
        head, bias = self._around.student.head
        weighed = torch.from_numpy(weights).to(states.device, torch.float32)
        return exact(states, head, [Taught(teacher, weighed)], self._how, bias_v=bias,
                     classes=self._classes)[0]  # fmt: skip

    def _sampled(
        self, states: torch.Tensor, step: Step, name: str, own: list[int], weights: np.ndarray
    ) -> tuple[torch.Tensor, float]:
        rows, device = step.rows, states.device
        head, bias = self._around.student.head
        tokens, given, sampled = (
            np.concatenate([np.asarray(of[n]) for n in own])
            for of in (rows.ids, step.given[name], rows.logprobs)
        )
        numerator, ratios = sampled_reverse(
            states, head,
            torch.from_numpy(tokens.astype(np.int64)),
            torch.from_numpy(given.astype(np.float32)),
            torch.from_numpy(sampled.astype(np.float32)),
            torch.from_numpy(weights).to(device, torch.float32),
            most_ratio=self._most, bias_v=bias, classes=self._classes,
        )  # fmt: skip
        return numerator, ratios.total

    # -- telling ---------------------------------------------------------------------------------

    def end(self, ctx: StageContext, steps: Iterator[Rollouts]) -> None:
        """Tell what was measured, and warn of what looks wrong."""
        forms, told, tokens, scored = [], [], 0, 0
        for rows in steps:
            told += rows.column("teacher")
            step = self.step_of(rows)
            tokens += int(rows.sampled_tokens.sum())
            scored += sum(int(each.sum()) for each in step.is_scored_at_all())
            if all(np.isfinite(each).all() for each in rows.logprobs):
                forms.append(form_of(rows.ids, rows.is_cut.tolist()))
        tests = self._tests(ctx)
        form, warned = drifted(forms)
        ctx.measures |= {"teachers": counted(told), "scored_tokens": scored, "form": form}
        if tests:
            ctx.measures[TESTS] = tests
        for each in warned:
            ctx.warn(each)
        if tokens and tokens - scored > _UNSCORED * tokens:
            ctx.warn(
                f"{tokens - scored:,} of {tokens:,} tokens were scored by no teacher, and nothing "
                "was learned of them; failed_by_* columns of the rollouts say why"
            )

    def _tests(self, ctx: StageContext) -> dict[str, Any]:
        if self._spec.part == "model":
            found = ctx.input(self._spec.rollouts).manifest.measures.get(TESTS, {})
            return dict(found)
        return self._teachers.tests()


def _numbers(values: Sequence[float | None] | None, ids: Sequence[int]) -> np.ndarray:
    """Return log-probabilities of a rollout's tokens; not a number where there is none."""
    return as_numbers([None] * len(ids) if values is None else values)
