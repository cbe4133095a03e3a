"""Training by preferences, as ``dpo`` does it.

    for each step:
        take ``batch`` pairs of this pass's order
        (KTO: the reference point, of all the step's pairs, without a gradient)
        for each micro-batch of them:
            r = log-probability by the student - by the reference, of each answer
            numerator = sum of weight x loss of the pairs
            (numerator / sum of the weights of the whole step's pairs).backward()
        cut the gradient, step AdamW at the schedule's rate

How a step is split into micro-batches, or among processes, changes nothing but the order of sums.
Order, checkpoints and what is chosen once are those of :mod:`mashbill.train.stepping`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.base_model import BaseWeights
from mashbill.core.errors import InputError
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.products import fast_linear
from mashbill.train.answer_nats import Answers, logprobs_of
from mashbill.train.batches import Batches
from mashbill.train.checkpoint import chosen
from mashbill.train.examples import check_lengths
from mashbill.train.memory import freed_memory_kept
from mashbill.train.precision import choose_how
from mashbill.train.preference_losses import PreferenceLoss
from mashbill.train.preference_pairs import Pairs, pairs
from mashbill.train.processes import World, own_device, together
from mashbill.train.reference import Comparing, Reference, bound_to, cached
from mashbill.train.sampling import Sampling
from mashbill.train.stepping import Stepping, begun, save_trained
from mashbill.train.told_learned import tell_learned
from mashbill.train.told_others import heard, told_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.models.causal_base import CausalBase
    from mashbill.train.dpo import DpoSpec

_SUMS = (
    "loss", "chosen_reward", "rejected_reward", "margin", "accuracy", "chosen_logprob",
    "rejected_logprob", "chosen_tokens", "rejected_tokens",
)  # fmt: skip
"""what is summed over pairs: the loss by weight, all others each pair alike"""
_HELD_OUT = ("loss", "margin", "accuracy")


@freed_memory_kept()
@fast_linear()
def train(spec: DpoSpec, ctx: StageContext, out: Path) -> None:
    """Train, and write the student's files into ``out``."""
    base = ctx.base(spec.base)
    encoder = ConversationTokens(base.folder)
    data = pairs(spec, spec.inputs, encoder, ctx, "learned")
    heldout = pairs(spec, [spec.heldout], encoder, ctx, "heldout") if spec.heldout else None
    student = begun(spec, base, ctx.seed, own_device())
    for each, names in ((data, spec.inputs), (heldout, (spec.heldout,))):
        if each is not None:
            check_lengths(each.sides, names, student.context, base.title)
    batches = Batches(data, spec, ctx.seed)
    how = chosen(ctx.work, lambda: _choose(spec, student, data, batches, ctx.threads))
    torch.set_num_threads(how["threads"])
    given = _Given(spec, ctx, student, base, encoder, how["dtype"])
    held = None if heldout is None else given.of(heldout, "heldout")
    judged = given.of(data, "learned")
    sampling = Sampling(ctx, None if heldout is None else heldout.sides, encoder)
    with together(ctx, "dpo", told_others(spec, ctx, base, how)) as world:
        torch.set_num_threads(max(1, how["threads"] // world.size))
        training = _Training(spec, ctx, student, data, batches, how["dtype"], world, judged, held)
        if training.step == 0:
            sampling.before(student.model)
        training.run()
    save_trained(spec, ctx, student, base, sampling, out)
    tell_learned(spec, ctx, data, batches, student, how, heldout)
    ctx.measures |= {"pairs": ctx.measures.pop("sequences"), "reference": spec.reference}


def follow(told: Mapping[str, Any], world: World) -> None:
    """Train as one of several processes, of which number 0 does :func:`train`."""
    found = heard(told, world)
    spec, ctx, base, dtype = found.spec, found.ctx, found.base, found.how["dtype"]
    encoder = ConversationTokens(base.folder)
    # What number 0 encoded, and what the reference gave, lie in the stage's scratch.
    data = pairs(spec, spec.inputs, encoder, ctx, "learned")
    with freed_memory_kept(), fast_linear():
        student = begun(spec, base, ctx.seed, str(world.device))
        judged = _Given(spec, ctx, student, base, encoder, dtype).of(data, "learned")
        batches = Batches(data, spec, ctx.seed)
        _Training(spec, ctx, student, data, batches, dtype, world, judged).run()


def _loss_of(spec: DpoSpec) -> PreferenceLoss:
    return PreferenceLoss(spec.loss, spec.beta, spec.smoothing, per_token=spec.per_token)


def _choose(
    spec: DpoSpec, student: CausalBase, data: Pairs, batches: Batches, threads: int
) -> dict[str, Any]:
    """Return what is chosen once; any reference will do to measure a step's time."""
    comparing, few = Comparing(data), batches.few()
    none = np.zeros((len(data), 3))

    def compute(dtype: str) -> None:
        judged = Judged(
            student, comparing, Reference(student, comparing, dtype, none), _loss_of(spec), dtype
        )
        judged.learn(few, np.ones(len(few)), float(len(few)), 0.0)

    return choose_how(spec.dtype, threads, student.model, compute)


@dataclass
class Judged:
    """Pairs, with what student and reference give them."""

    student: CausalBase
    comparing: Comparing
    reference: Reference
    loss: PreferenceLoss
    dtype: str

    @property
    def needs_point(self) -> bool:
        """Whether the loss has a reference point."""
        return self.loss.kind == "kto"

    def point_sums(self, micros: Iterable[list[int]]) -> tuple[float, int]:
        """Return the log-ratios of answers to other prompts, in sum, and how many they are."""
        total, count = 0.0, 0
        for micro in micros:
            have, sequences = self.comparing.mismatched(micro)
            if have:
                given = logprobs_of(self.student, sequences, self.dtype).cpu()
                total += float((given - self.reference.mismatched(have)).sum())
                count += len(have)
        return total, count

    def learn(
        self, micro: list[int], weights: np.ndarray, whole: float, point: float
    ) -> np.ndarray:
        """Go back through the losses of pairs; return what :data:`_SUMS` names, in sum.

        Args:
            micro: numbers of the pairs.
            weights: of each in the loss, shape (pairs,).
            whole: what the loss is divided by: the weights of the whole step's pairs.
            point: KTO's reference point.
        """
        sequences = self.comparing.sides(micro)
        reference = self.reference.sides(micro)
        with self.student.together([len(each.ids) for each in sequences]):
            answers = Answers(self.student, sequences, self.dtype)
            given = answers.logprobs()
            by_side = given.cpu().reshape(-1, 2).T.requires_grad_()
            losses, sums = self._of(micro, by_side, reference, weights, point)
            (by,) = torch.autograd.grad(losses, by_side)
            answers.weighed((by / whole).T.flatten().to(given.device)).backward()
        return sums

    @torch.no_grad()
    def measured(self, micros: Sequence[list[int]]) -> dict[str, float]:
        """Return mean loss, margin and accuracy of pairs that nothing is learned from."""
        total, count = self.point_sums(micros) if self.needs_point else (0.0, 0)
        point = max(0.0, total / max(count, 1))
        sums, pairs_ = np.zeros(len(_SUMS)), 0
        for micro in micros:
            given = logprobs_of(self.student, self.comparing.sides(micro), self.dtype).cpu()
            by_side, reference = given.reshape(-1, 2).T, self.reference.sides(micro)
            sums += self._of(micro, by_side, reference, np.ones(len(micro)), point)[1]
            pairs_ += len(micro)
        found = dict(zip(_SUMS, (sums / pairs_).tolist(), strict=True))
        return {f"held_out_{name}": found[name] for name in _HELD_OUT}

    def _of(
        self, micro: list[int], given_2p: torch.Tensor, reference_2p: torch.Tensor,
        weights: np.ndarray, point: float,
    ) -> tuple[torch.Tensor, np.ndarray]:  # fmt: skip
        tokens = self.comparing.data.answer_tokens[micro].T
        ratios = self.loss.ratios(given_2p, reference_2p, torch.from_numpy(tokens))
        losses = (self.loss.of(ratios, point) * torch.from_numpy(weights)).sum()
        rewards = self.loss.beta * ratios.detach()
        apart = rewards[0] - rewards[1]
        # Of two that are equal neither is preferred: half a hit, as chance would have it.
        right = (apart > 0).double() + (apart == 0).double() / 2
        sums = [
            float(losses.detach()),
            *rewards.sum(1).tolist(),
            float(apart.sum()),
            float(right.sum()),
            *given_2p.detach().sum(1).tolist(),
            *tokens.sum(1).tolist(),
        ]
        return losses, np.array(sums)


@dataclass
class _Given:
    """Makes what is judged: the pairs with the reference's part."""

    spec: DpoSpec
    ctx: StageContext
    student: CausalBase
    base: BaseWeights
    encoder: ConversationTokens
    dtype: str

    def of(self, data: Pairs, key: str) -> Judged:
        """Return pairs with their reference, computing it if it is cached and not there yet.

        Args:
            data: the pairs.
            key: names what is kept of them.

        Raises:
            InputError: if KTO has no answer to another prompt.
        """
        spec, student = self.spec, self.student
        most = min(spec.max_tokens, student.context or spec.max_tokens)
        comparing = Comparing(data, mismatches=most if spec.loss == "kto" else 0)
        if spec.loss == "kto" and (comparing.partner < 0).all():
            msg = (
                "loss = 'kto' estimates its reference point of answers to other prompts, and no "
                "pair has another prompt near it; give it rows of several prompts, or set loss = "
                "'sigmoid'"
            )
            raise InputError(msg)
        found = None
        if spec.reference == "cached":
            once = spec.model_copy(update={"weights": {}})
            found = cached(
                self.ctx.work / f"reference-{key}.pt", student, comparing,
                Batches(data, once, 0), bound_to(self.base, self.encoder, self.dtype),
            )  # fmt: skip
        reference = Reference(student, comparing, self.dtype, found)
        return Judged(student, comparing, reference, _loss_of(spec), self.dtype)


@dataclass
class _Training(Stepping[Pairs]):
    """The loop of training by preferences."""

    judged: Judged | None = None
    held: Judged | None = None

    def _learn(self) -> dict[str, float]:
        """Do one step; return means over its pairs, and the norm."""
        judged = self.judged
        assert judged is not None  # noqa: S101 - each training has one
        numbers = self.batches.of(self.step)
        by_pair = np.array([self.spec.weights.get(name, 1.0) for name in self.spec.inputs])
        weight = float(by_pair[self.data.dataset[numbers]].sum())
        micros = self.batches.micro(self.step, self.world.rank, self.world.size)
        self.draw_anew()
        told: dict[str, float] = {}
        point = 0.0
        if judged.needs_point:
            total, count = self.world.sum(judged.point_sums(micros))
            point = told["reference_point"] = max(0.0, total / max(count, 1))
        sums = np.zeros(len(_SUMS))
        for micro in micros:
            sums += judged.learn(micro, by_pair[self.data.dataset[micro]], weight, point)
        self.world.sum_gradients(self.parameters)
        means = dict(zip(_SUMS, self.world.sum(sums.tolist()), strict=True))
        loss = means.pop("loss") / weight
        told |= {"loss": loss, "gradient_norm": self.optimise(loss)}
        told |= {name: value / len(numbers) for name, value in means.items()}
        return told

    def _measured(self) -> dict[str, float]:
        if self.held is None:
            return {}
        spec = self.spec.model_copy(update={"inputs": ("held",), "weights": {}})
        micros = list(Batches(self.held.comparing.data, spec, 0).all_micro())
        found: dict[str, float] = self.held.measured(micros)
        return found
