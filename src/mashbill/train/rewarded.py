"""Learning from rewards, as ``grpo`` does it: what it adds to the loop of trainers that sample.

    for each step, once it was sampled:
        rewards of all attempts, by the verifier: columns of the rollouts
        advantages, from the rewards of each group
        for each micro-batch of the attempts that anything is learned from:
            states -> log-probabilities of the sampled tokens, at the temperature of sampling
            loss of these, each token by its weight over the whole step; backward

All of it follows from the rollouts' columns and the weights, so that the steps can be made again.
The base, where a divergence from it is wanted, is the student with its adapters switched off, or a
second copy of the base's weights where all weights are trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from mashbill.core.errors import InputError
from mashbill.core.record import FROM
from mashbill.models.causal_base import CausalBase
from mashbill.train.advantages import advantages, counted
from mashbill.train.completions import Completions
from mashbill.train.group_rewards import Attempts, Rewarding, random_rewards
from mashbill.train.grpo import WATCHED
from mashbill.train.losses import token_nats
from mashbill.train.policy_losses import (
    PARTS,
    Clip,
    PolicyLoss,
    TokenWeights,
    linear_policy,
    token_weights,
)
from mashbill.train.precision import autocast
from mashbill.train.reference import without_adapters
from mashbill.train.rollouts import Rollouts
from mashbill.train.watching import Seen, alarms, figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from mashbill.core.stage import StageContext
    from mashbill.train.grpo import GrpoSpec
    from mashbill.train.processes import World
    from mashbill.train.sampled_steps import Around


class Rewarded:
    """See the module; a :class:`mashbill.train.sampled_steps.Learner`."""

    def __init__(self, around: Around) -> None:
        """Load who pays, where attempts are to be scored.

        Raises:
            RecipeError: if the verifier is wrong about references.
            InputError: if a column that it reads is not there.
        """
        self._around = around
        self._spec: GrpoSpec = around.spec
        spec, ctx = self._spec, around.ctx
        self._base: CausalBase | None = None
        self._paying = self._watching = None
        if around.rows is None:
            return
        more = {"reference": spec.reference, "truncated": spec.truncated}
        if spec.by:
            whole = spec.batch * spec.attempts
            self._paying = Rewarding.of_stage(spec.by, ctx, spec.inputs, **more, whole=whole)
        if spec.watch:
            self._watching = Rewarding.of_stage(
                spec.watch, ctx, spec.inputs, reference=spec.reference
            )

    def begin(self, rows: Rollouts) -> Callable[[], Mapping[str, pa.Array]]:
        """Score attempts; return what gives their columns."""
        reads, spec = self._around.rows, self._spec
        assert reads is not None  # noqa: S101 - what is made again is not scored again
        positions = rows.table.column(FROM).to_pylist()
        attempts = Attempts(
            rows.step, rows.column("completion"), rows.is_cut,
            [reads.row(position) for position in positions], rows.column("prompt"),
        )  # fmt: skip
        if self._paying is not None:
            found = self._paying.columns(attempts)
        else:
            found = random_rewards(
                self._around.ctx.seed, attempts, positions, rows.column("sample"), spec.truncated
            )
        if self._watching is not None:
            found[WATCHED] = self._watching.scores(attempts)
        return lambda: found

    def advantages(self, rows: Rollouts) -> np.ndarray:
        """Return the advantage of each attempt, float64, shape (rollouts,)."""
        return advantages(rows.numbers("reward"), rows.group, self._spec.advantage)

    def weights(self, rows: Rollouts) -> np.ndarray:
        """Return the size of what a token of each attempt counts in the loss.

        In units of a token of ``normalise = "constant"``: an attempt's advantage.
        """
        spec, weights = self._spec, self._token_weights(rows)
        found = np.abs(self.advantages(rows)) * weights.reward_n + spec.kl * weights.divergence_n
        scaled: np.ndarray = found * (len(rows) * spec.max_new_tokens)
        return scaled

    def learn(self, rows: Rollouts, world: World) -> dict[str, float]:
        """Go back through the losses of a step's attempts; return its figures."""
        spec = self._spec
        advantage, weights = self.advantages(rows), self._token_weights(rows)
        used = (advantage != 0) & (weights.reward_n > 0)
        if spec.kl:
            used |= weights.divergence_n > 0
        active = np.flatnonzero(used)
        part = Rollouts(rows.table.take(active))
        sums = np.zeros(len(PARTS))
        shared = self._around.student.shares
        for micro in part.micro(spec.micro_tokens, world.rank, world.size, shared=shared):
            sums += self._learn(part, micro, advantage[active], _of(weights, active))
        totals = dict(zip(PARTS, world.sum(sums.tolist()), strict=True))
        tokens = int(rows.sampled_tokens[active].sum())
        told = {
            "loss": totals["reward_loss"] + spec.kl * totals["divergence"],
            "clipped": totals["clipped"] / max(tokens, 1),
            "moved": totals["moved"] / max(tokens, 1),
        }
        if spec.kl:
            told["divergence"] = totals["divergence"]
        return told | figures(_seen(rows))

    def end(self, ctx: StageContext, steps: Iterator[Rollouts]) -> None:
        """Count what came of attempts, and warn of what looks wrong."""
        told: list[dict[str, float]] = []
        groups = learned = 0
        outcomes: dict[str, int] = {}
        under: dict[str, int] = {}
        for rows in steps:
            told.append(figures(_seen(rows)))
            groups += len(np.unique(rows.group))
            learned += int(np.count_nonzero(self.weights(rows)))
            _count(outcomes, rows.column("outcome"))
            if "isolation" in rows.table.column_names:
                _count(under, rows.column("isolation"))
        ctx.measures["outcomes"] = outcomes
        if under:
            ctx.measures["isolation"] = under
        ctx.measures["paid_by"] = self._spec.by or "chance (a control)"
        if not learned and self._spec.part == "model":
            came = ", ".join(f"{count:,} {name}" for name, count in outcomes.items())
            msg = (
                f"stages.{ctx.name}: nothing was learned: in {groups:,} of {groups:,} groups no "
                f"attempt was better than another ({came}); no model was made of it. Look at "
                f"{self._spec.rollouts}, and take prompts that the base solves at times, more "
                "attempts, a higher temperature, or another verifier"
            )
            raise InputError(msg)
        for sentence in alarms(told):
            ctx.warn(sentence)
        if self._spec.reward == "random":
            ctx.warn(
                "the rewards were random: this is a control, and what it learned is what comes of "
                "sampling from itself alone"
            )

    def _token_weights(self, rows: Rollouts) -> TokenWeights:
        spec = self._spec
        kept = np.ones(len(rows), bool)
        if spec.truncated == "leave-out":
            kept = ~rows.is_cut
        scored = counted(rows.numbers("reward"), rows.group)
        return token_weights(
            rows.sampled_tokens, scored & kept, kept, spec.normalise, spec.max_new_tokens
        )

    def _learn(
        self, rows: Rollouts, micro: list[int], advantage: np.ndarray, weights: TokenWeights
    ) -> np.ndarray:
        """Go back through a micro-batch; return :data:`PARTS` in sum."""
        spec, student = self._spec, self._around.student
        tokens = _Tokens(rows, micro, spec.temperature, shared=student.shares)
        device = student.model.device

        def each(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(values[micro][tokens.owner]).to(device)

        base = None
        if spec.kl:
            base = self._by_base(tokens)
        loss = PolicyLoss(
            tokens.sampled.to(device), each(advantage), each(weights.reward_n),
            Clip(spec.clip_low, spec.clip_high), kl=spec.kl, base_t=base,
            divergence_t=each(weights.divergence_n),
        )  # fmt: skip
        with student.together(tokens.lengths, tokens.follows):
            states, head, bias = tokens.states(student, self._around.dtype)
            total, parts = linear_policy(states, head, tokens.targets.to(device), loss, bias_v=bias)
            total.backward()
        found: np.ndarray = parts.double().cpu().numpy()
        return found

    def _by_base(self, tokens: _Tokens) -> torch.Tensor:
        """Return the log-probability of each token by the base, at the same temperature."""
        spec, around = self._spec, self._around
        base = around.student
        if spec.method == "full":
            if self._base is None:
                self._base = CausalBase.load(
                    around.base.folder, around.base.title, packs=spec.packing,
                    device=str(around.student.model.device),
                )  # fmt: skip
            base = self._base
        was_training = base.model.training
        base.model.eval()
        try:
            beside = base.together(tokens.lengths, tokens.follows)
            with torch.no_grad(), without_adapters(base), beside:
                states, head, bias = tokens.states(base, around.dtype)
                targets = tokens.targets.to(states.device)
                return -token_nats(states, head, targets, bias_v=bias)
        finally:
            base.model.train(was_training)


class _Tokens:
    """The sampled tokens of a micro-batch, sequences one behind the other."""

    def __init__(
        self, rows: Rollouts, micro: Sequence[int], temperature: float, *, shared: bool
    ) -> None:
        self._temperature = temperature
        self._of = Completions.of(rows.pairs(micro), shared=shared)
        self.lengths, self.follows = self._of.lengths, self._of.follows
        self.owner, self.targets = self._of.owner, self._of.targets
        self.sampled = torch.tensor(
            [each for n in micro for each in rows.logprobs[n]], dtype=torch.double
        )

    def states(
        self, model: CausalBase, dtype: str
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return the states that tell the tokens, and the head, at the temperature of sampling."""
        device = model.model.device
        ids = self._of.sequences
        groups = [ids] if model.packs else [[each] for each in ids]
        with autocast(dtype, device):
            states = torch.cat([model.states(group, self.follows) for group in groups])
        head, bias = model.head
        told = states[self._of.told.to(device)].float() / self._temperature
        return told, head, None if bias is None else bias / self._temperature


def _of(weights: TokenWeights, which: np.ndarray) -> TokenWeights:
    return TokenWeights(weights.reward_n[which], weights.divergence_n[which])


def _seen(rows: Rollouts) -> Seen:
    watched = rows.numbers(WATCHED) if WATCHED in rows.table.column_names else None
    return Seen(
        rows.ids, rows.logprobs, rows.group, rows.is_cut, rows.numbers("reward"),
        rows.column("outcome"), watched,
    )  # fmt: skip


def _count(into: dict[str, int], values: Sequence[str | None]) -> None:
    for value in values:
        if value:
            into[value] = into.get(value, 0) + 1
