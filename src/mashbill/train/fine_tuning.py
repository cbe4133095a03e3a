"""Supervised fine-tuning, as ``sft`` does it.

    for each step:
        take ``batch`` sequences of this pass's order
        for each micro-batch of them:
            numerator = sum over learned tokens of weight x nats
            (numerator / sum of the weights of the whole step).backward()
        cut the gradient, step AdamW at the schedule's rate

The order follows from the seed alone, and a checkpoint has all that a step changes: a run that was
killed goes on with the same steps, and ends with the same curve and the same weights, to the bit,
on the same machine. How a step is split into micro-batches changes nothing but the order of sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.models.causal_base import CausalBase
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.products import fast_linear
from mashbill.train.batches import Batches
from mashbill.train.checkpoint import chosen
from mashbill.train.examples import Examples, check_lengths, examples
from mashbill.train.losses import linear_cross_entropy
from mashbill.train.memory import freed_memory_kept
from mashbill.train.precision import autocast, choose_how
from mashbill.train.processes import World, own_device, together
from mashbill.train.sampling import Sampling
from mashbill.train.stepping import Stepping, begun, save_trained
from mashbill.train.told_learned import tell_learned
from mashbill.train.told_others import heard, told_others

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext
    from mashbill.train.learning_keys import LearningSpec
    from mashbill.train.sft import SftSpec


@freed_memory_kept()
@fast_linear()
def train(spec: SftSpec, ctx: StageContext, out: Path) -> None:
    """Train, and write the student's files into ``out``."""
    base = ctx.base(spec.base)
    encoder = ConversationTokens(base.folder)
    data = examples(spec, spec.inputs, encoder, ctx, "learned")
    heldout = examples(spec, [spec.heldout], encoder, ctx, "heldout") if spec.heldout else None
    student = begun(spec, base, ctx.seed, own_device())
    check_lengths(data, spec.inputs, student.context, base.title)
    if heldout is not None:
        check_lengths(heldout, [spec.heldout], student.context, base.title)
    batches = Batches(data, spec, ctx.seed)
    how = chosen(ctx.work, lambda: _choose(spec, student, data, batches, ctx.threads))
    sampling = Sampling(ctx, heldout, encoder)
    with together(ctx, "sft", told_others(spec, ctx, base, how)) as world:
        torch.set_num_threads(max(1, how["threads"] // world.size))
        training = _Training(spec, ctx, student, data, batches, how["dtype"], world, heldout)
        if training.step == 0:
            sampling.before(student.model)
        training.run()
    save_trained(spec, ctx, student, base, sampling, out)
    tell_learned(spec, ctx, data, batches, student, how, heldout)


def follow(told: Mapping[str, Any], world: World) -> None:
    """Train as one of several processes, of which number 0 does :func:`train`."""
    found = heard(told, world)
    spec, ctx, base, dtype = found.spec, found.ctx, found.base, found.how["dtype"]
    # What number 0 encoded lies in the stage's scratch; nothing is encoded here.
    data = examples(spec, spec.inputs, ConversationTokens(base.folder), ctx, "learned")
    with freed_memory_kept(), fast_linear():
        student = begun(spec, base, ctx.seed, str(world.device))
        batches = Batches(data, spec, ctx.seed)
        _Training(spec, ctx, student, data, batches, dtype, world).run()


def _choose(
    spec: SftSpec, student: CausalBase, data: Examples, batches: Batches, threads: int
) -> dict[str, Any]:
    few = batches.few()

    def compute(dtype: str) -> None:
        with student.together(data.lengths[few].tolist()):
            _loss_of(student, few, data, batches, dtype).backward()

    return choose_how(spec.dtype, threads, student.model, compute)


def _loss_of(
    student: CausalBase, micro: list[int], data: Examples, batches: Batches, dtype: str
) -> torch.Tensor:
    """Return the numerator of a micro-batch: weights times nats of what is learned, in sum."""
    sequences = [torch.from_numpy(data.ids(number)) for number in micro]
    total: torch.Tensor = torch.zeros((), device=student.model.device)
    groups = [sequences] if student.packs else [[each] for each in sequences]
    numbers = [micro] if student.packs else [[each] for each in micro]
    head, bias = student.head
    for group, own in zip(groups, numbers, strict=True):
        # The state behind a token tells the next one: a sequence's last token tells nothing.
        targets = torch.cat([torch.roll(each, -1) for each in group])
        weights = torch.from_numpy(np.concatenate([batches.next_weights(n) for n in own]))
        with autocast(dtype, student.model.device):
            states = student.states(group)
        device = states.device
        total = total + linear_cross_entropy(
            states.float(), head, targets.to(device), weights.to(device), bias_v=bias
        )
    return total


@dataclass
class _Training(Stepping[Any]):
    """The loop of fine-tuning."""

    heldout: Examples | None = None

    def _learn(self) -> dict[str, float]:
        """Do one step; return the mean loss of its learned tokens, in nats, and the norm."""
        weight = self.batches.weight(self.step)
        total = 0.0
        self.draw_anew()
        for micro in self.batches.micro(self.step, self.world.rank, self.world.size):
            with self.student.together(self.data.lengths[micro].tolist()):
                numerator = _loss_of(self.student, micro, self.data, self.batches, self.dtype)
                (numerator / weight).backward()
            total += float(numerator.detach())
        self.world.sum_gradients(self.parameters)
        (total,) = self.world.sum([total])
        return {"loss": total / weight, "gradient_norm": self.optimise(total / weight)}

    def _measured(self) -> dict[str, float]:
        if self.heldout is None:
            return {}
        loss = heldout_loss(self.student, self.heldout, self.spec, self.dtype)
        return {"held_out_loss": loss}


def heldout_loss(student: CausalBase, heldout: Examples, spec: LearningSpec, dtype: str) -> float:
    """Return the mean loss of what would be learned of held-out rows, in nats a token."""
    student.model.eval()
    with torch.no_grad():
        alone = spec.model_copy(update={"inputs": (spec.heldout,), "weights": {}})
        batches = Batches(heldout, alone, 0)
        numerator = weight = 0.0
        for micro in batches.all_micro():
            with student.together(heldout.lengths[micro].tolist()):
                numerator += float(_loss_of(student, micro, heldout, batches, dtype))
            weight += sum(float(batches.next_weights(number).sum()) for number in micro)
    student.model.train()
    return numerator / max(weight, 1e-9)
