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

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.base_model import BaseWeights
from mashbill.core.parsing import read_json
from mashbill.core.store import write_atomically
from mashbill.models.causal_base import CausalBase
from mashbill.models.causal_writer import CausalWriter
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.products import fast_linear
from mashbill.train.activations import recompute_activations
from mashbill.train.adapters import adapted, merged
from mashbill.train.batches import Batches
from mashbill.train.checkpoint import Checkpoint, chosen
from mashbill.train.examples import Examples, check_lengths, examples
from mashbill.train.losses import linear_cross_entropy
from mashbill.train.memory import freed_memory_kept
from mashbill.train.precision import autocast, choose_how
from mashbill.train.processes import World, context_of_another, own_device, together
from mashbill.train.repeatable import compute_repeatably, random_of, set_random
from mashbill.train.sampling import Sampling
from mashbill.train.schedule import rate_at
from mashbill.train.staying_finite import check_finite
from mashbill.train.student_files import save_student
from mashbill.train.told_learned import tell_learned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext
    from mashbill.train.learning_keys import LearningSpec
    from mashbill.train.sft import SftSpec

_MEASURED = 10
"""times that the held-out loss is measured while training goes"""
_BEFORE = "before.json"
"""the held-out loss of the base, which a resumed run does not measure again"""


@freed_memory_kept()
@fast_linear()
def train(spec: SftSpec, ctx: StageContext, out: Path) -> None:
    """Train, and write the student's files into ``out``."""
    base = ctx.base(spec.base)
    encoder = ConversationTokens(base.folder)
    data = examples(spec, spec.inputs, encoder, ctx, "learned")
    heldout = examples(spec, [spec.heldout], encoder, ctx, "heldout") if spec.heldout else None
    student = _student(spec, base, ctx.seed, own_device())
    check_lengths(data, spec.inputs, student.context, base.title)
    if heldout is not None:
        check_lengths(heldout, [spec.heldout], student.context, base.title)
    batches = Batches(data, spec, ctx.seed)
    how = chosen(ctx.work, lambda: _choose(spec, student, data, batches, ctx.threads))
    sampling = Sampling(ctx, heldout, encoder)
    told = {
        "spec": spec.model_dump(mode="json", exclude_unset=True),
        "base": [str(base.folder), base.digest, base.title],
        "work": str(ctx.work.resolve()),
        "seed": ctx.seed,
        "how": how,
    }
    with together(ctx, "sft", told) as world:
        torch.set_num_threads(max(1, how["threads"] // world.size))
        training = _Training(spec, ctx, student, data, heldout, batches, how["dtype"], world)
        if training.step == 0:
            sampling.before(student.model)
        training.run()
    trained = sum(p.numel() for p in student.model.parameters() if p.requires_grad)
    ctx.measures["trained_parameters"] = trained
    if spec.method == "lora" and spec.merge:
        student.model = merged(student.model)
    student.attend_as_loaded()
    save_student(student.model, base, spec.weights_dtype, out)
    sampling.after(student.model)
    # What was saved is loaded on a processor, and held against this.
    ctx.trained = CausalWriter(student.model.to("cpu"), out)
    tell_learned(spec, ctx, data, batches, student, how, heldout)


def follow(told: Mapping[str, Any], world: World) -> None:
    """Train as one of several processes, of which number 0 does :func:`train`."""
    from mashbill.train.sft import SftSpec as Spec

    spec = Spec.model_validate(told["spec"])
    folder, digest, title = told["base"]
    base = BaseWeights(Path(folder), digest, title)
    ctx = context_of_another(Path(told["work"]), told["seed"], told["how"]["threads"])
    # What number 0 encoded lies in the stage's scratch; nothing is encoded here.
    data = examples(spec, spec.inputs, ConversationTokens(base.folder), ctx, "learned")
    torch.set_num_threads(max(1, told["how"]["threads"] // world.size))
    with freed_memory_kept(), fast_linear():
        student = _student(spec, base, ctx.seed, str(world.device))
        batches = Batches(data, spec, ctx.seed)
        _Training(spec, ctx, student, data, None, batches, told["how"]["dtype"], world).run()


def _student(spec: SftSpec, base: BaseWeights, seed: int, device: str) -> CausalBase:
    """Return the student as it begins, the same in every process."""
    compute_repeatably()
    torch.manual_seed(seed)
    student = CausalBase.load(base.folder, base.title, packs=spec.packing, device=device)
    if spec.checkpointing:
        recompute_activations(student.model)
    if spec.method == "lora":
        student.model = adapted(student.model, spec)
    return student


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
class _Training:
    """The loop, and what it changes; each process computes its part of a step's sequences."""

    spec: SftSpec
    ctx: StageContext
    student: CausalBase
    data: Examples
    heldout: Examples | None
    batches: Batches
    dtype: str
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        """Make the optimiser, and go on from the last checkpoint if there is one."""
        parameters = [p for p in self.student.model.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p.ndim >= 2]
        vectors = [p for p in parameters if p.ndim < 2]
        self._parameters = parameters
        self._optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self.spec.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=self.spec.highest_rate, betas=(0.9, 0.999), eps=1e-8, foreach=False, fused=True,
        )  # fmt: skip
        self._checkpoint = Checkpoint(self.ctx.work, self.ctx.curves)
        self.step = 0
        state = self._checkpoint.load()
        if state is not None:
            self.step = int(state["step"])
            named = dict(self.student.model.named_parameters())
            with torch.no_grad():
                for name, values in state["weights"].items():
                    named[name].copy_(values)
            self._optimiser.load_state_dict(state["optimiser"])
            set_random(state["random"], self.student.model.device)
        self.ctx.curves.resume(self.step)

    def run(self) -> None:
        """Do all steps that are left."""
        if self.step == 0:
            self._measure(0, before=True)
        while self.step < self.batches.steps:
            loss, norm = self._learn()
            counted = self.batches.tokens(self.step)
            self.ctx.curves.log(
                self.step, loss=loss, rate=self._rate(), gradient_norm=norm, tokens=counted
            )
            self.step += 1
            self._measure(self.step)
            self.ctx.progress(self.step, self.batches.steps, "")
            due = self.world.rank == 0 and self._checkpoint.is_due
            if due and self.step < self.batches.steps:
                self._save()

    def _rate(self) -> float:
        spec = self.spec
        share = rate_at(self.step, self.batches.steps, spec.warmup, spec.schedule)
        return spec.highest_rate * share

    def _learn(self) -> tuple[float, float]:
        """Do one step; return the mean loss of its learned tokens, in nats, and the norm."""
        weight = self.batches.weight(self.step)
        total = 0.0
        if self.world.size > 1 and self.spec.method == "lora" and self.spec.dropout:
            # What another process has drawn is in no checkpoint, so that each step draws anew.
            draws = np.random.SeedSequence([self.ctx.seed, self.step, self.world.rank])
            torch.manual_seed(int(draws.generate_state(1)[0]))
        for micro in self.batches.micro(self.step, self.world.rank, self.world.size):
            with self.student.together(self.data.lengths[micro].tolist()):
                numerator = _loss_of(self.student, micro, self.data, self.batches, self.dtype)
                (numerator / weight).backward()
            total += float(numerator.detach())
        self.world.sum_gradients(self._parameters)
        (total,) = self.world.sum([total])
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.spec.clip, foreach=False)
        check_finite(self.step, total / weight, float(norm), "rate")
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return total / weight, float(norm)

    def _measure(self, done: int, *, before: bool = False) -> None:
        """Measure the loss on what is held out: before the first step, on the way, and behind."""
        steps = self.batches.steps
        marks = {round(steps * each / _MEASURED) for each in range(1, _MEASURED + 1)}
        if self.heldout is None or not (before or done in marks):
            return
        loss = heldout_loss(self.student, self.heldout, self.spec, self.dtype)
        if before:
            write_atomically(self.ctx.work / _BEFORE, json.dumps(loss).encode())
            return
        self.ctx.curves.log(done - 1, held_out_loss=loss)
        self.ctx.measures["held_out_loss"] = loss
        self.ctx.measures["held_out_loss_before"] = read_json(self.ctx.work / _BEFORE)

    def _save(self) -> None:
        named = self.student.model.named_parameters()
        self._checkpoint.save(
            {
                "step": self.step,
                "weights": {name: p.detach() for name, p in named if p.requires_grad},
                "optimiser": self._optimiser.state_dict(),
                "random": random_of(self.student.model.device),
            }
        )


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
