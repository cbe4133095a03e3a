"""What trainers that go on from a base share: how it begins, steps, is kept and is saved.

A trainer says what a step learns (:meth:`Stepping._learn`) and what is measured on what is held
out. The order of steps, the optimiser, rates, checkpoints and curves are here, and so is what
follows from them: a run that was killed ends with the same curve and the same weights, to the bit,
on the same machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch

from mashbill.core.parsing import read_json
from mashbill.core.store import write_atomically
from mashbill.models.causal_base import CausalBase
from mashbill.models.causal_writer import CausalWriter
from mashbill.train.activations import recompute_activations
from mashbill.train.adapters import adapted, merged
from mashbill.train.checkpoint import Checkpoint
from mashbill.train.examples import Examples
from mashbill.train.processes import World
from mashbill.train.repeatable import compute_repeatably, random_of, set_random
from mashbill.train.schedule import rate_at
from mashbill.train.staying_finite import check_finite
from mashbill.train.student_files import save_student

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.base_model import BaseWeights
    from mashbill.core.stage import StageContext
    from mashbill.train.adapter_keys import AdaptedSpec
    from mashbill.train.batches import Batches
    from mashbill.train.sampling import Sampling

_MEASURED = 10
"""times that what is held out is measured while training goes"""
_BEFORE = "before.json"
"""what was measured of the base, which a resumed run does not measure again"""

D = TypeVar("D", bound=Examples)


def begun(spec: AdaptedSpec, base: BaseWeights, seed: int, device: str) -> CausalBase:
    """Return the student as it begins, the same in every process."""
    compute_repeatably()
    torch.manual_seed(seed)
    student = CausalBase.load(base.folder, base.title, packs=spec.packing, device=device)
    if spec.checkpointing:
        recompute_activations(student.model)
    if spec.method == "lora":
        student.model = adapted(student.model, spec)
    return student


def save_trained(
    spec: AdaptedSpec,
    ctx: StageContext,
    student: CausalBase,
    base: BaseWeights,
    sampling: Sampling,
    out: Path,
) -> None:
    """Write a trained student's files into ``out``, and tell the context of it."""
    trained = sum(p.numel() for p in student.model.parameters() if p.requires_grad)
    ctx.measures["trained_parameters"] = trained
    if spec.method == "lora" and spec.merge:
        student.model = merged(student.model)
    student.attend_as_loaded()
    save_student(student.model, base, spec.weights_dtype, out)
    sampling.after(student.model)
    # What was saved is loaded on a processor, and held against this.
    ctx.trained = CausalWriter(student.model.to("cpu"), out)


@dataclass
class Stepping(Generic[D]):
    """The loop, and what it changes; each process computes its part of a step's sequences."""

    spec: AdaptedSpec
    ctx: StageContext
    student: CausalBase
    data: D
    batches: Batches
    dtype: str
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        """Make the optimiser, and go on from the last checkpoint if there is one."""
        parameters = [p for p in self.student.model.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p.ndim >= 2]
        vectors = [p for p in parameters if p.ndim < 2]
        self.parameters = parameters
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
            self._end_step(self._learn(), self.batches.tokens(self.step))

    def draw_anew(self) -> None:
        """Begin a step's random numbers, where what each process has drawn is in no checkpoint."""
        if self.world.size > 1 and self.spec.method == "lora" and self.spec.dropout:
            draws = np.random.SeedSequence([self.ctx.seed, self.step, self.world.rank])
            torch.manual_seed(int(draws.generate_state(1)[0]))

    def optimise(self, loss: float) -> float:
        """Step by the gradients that are there; return their norm.

        Args:
            loss: of the step: what is no number ends the training.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.spec.clip, foreach=False)
        check_finite(self.step, loss, float(norm), "rate")
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return float(norm)

    def _end_step(self, told: Mapping[str, float], tokens: int) -> None:
        """Log a step that was done, and make a checkpoint if one is due.

        Args:
            told: what its curves have.
            tokens: that it read.
        """
        self.ctx.curves.log(self.step, rate=self._rate(), tokens=tokens, **told)
        self.step += 1
        self._measure(self.step)
        self.ctx.progress(self.step, self.batches.steps, "")
        due = self.world.rank == 0 and self._checkpoint.is_due
        if due and self.step < self.batches.steps:
            self._save()

    def _learn(self) -> dict[str, float]:
        """Do one step; return what its curves have: ``loss``, ``gradient_norm`` and more."""
        raise NotImplementedError

    def _measured(self) -> dict[str, float]:
        """Return what is measured on what is held out; nothing where nothing is."""
        raise NotImplementedError

    def _rate(self) -> float:
        spec = self.spec
        share = rate_at(self.step, self.batches.steps, spec.warmup, spec.schedule)
        return spec.highest_rate * share

    def _measure(self, done: int, *, before: bool = False) -> None:
        """Measure on what is held out: before the first step, on the way, and behind."""
        steps = self.batches.steps
        marks = {round(steps * each / _MEASURED) for each in range(1, _MEASURED + 1)}
        if not (before or done in marks):
            return
        found = self._measured()
        if not found:
            return
        if before:
            write_atomically(self.ctx.work / _BEFORE, json.dumps(found).encode())
            return
        self.ctx.curves.log(done - 1, **found)
        self.ctx.measures |= found
        kept = read_json(self.ctx.work / _BEFORE)
        if not isinstance(kept, dict):  # a training that an earlier version began
            kept = {"held_out_loss": kept}
        self.ctx.measures |= {f"{name}_before": value for name, value in kept.items()}

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
