"""Distillation of a language model by its teacher's logits, as ``logit_kd`` does it.

    for each step:
        take ``batch`` sequences of this pass's order
        for each micro-batch of them:
            q = the student's distribution at each token whose next one is learned
            p = the teacher's there: read from the cache, or of the teacher that runs beside it
            numerator = sum of weight x ((1 - ce_weight) x divergence(p, q) + ce_weight x nats)
            (numerator / sum of the weights of the whole step).backward()
        cut the gradient, step AdamW at the schedule's rate

Cached or live, the same lines compute it: they differ in where p comes from. Order, checkpoints and
what is chosen once are those of :mod:`mashbill.train.fine_tuning`, and so is what follows: a run
that was killed ends with the same curve and the same weights, to the bit, on the same machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mashbill.core.base_model import BaseWeights
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_object
from mashbill.models.causal_base import CausalBase
from mashbill.models.causal_writer import CausalWriter
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.llama import Shape, config_of
from mashbill.models.products import fast_linear
from mashbill.models.teacher_logits import TeacherLogits
from mashbill.models.tokenizer_identity import ids_of
from mashbill.train.across import AcrossLoss, AcrossTokenizers
from mashbill.train.activations import recompute_activations
from mashbill.train.batches import Batches
from mashbill.train.checkpoint import Checkpoint, chosen
from mashbill.train.examples import Examples, check_lengths, examples
from mashbill.train.fine_tuning import heldout_loss
from mashbill.train.given_logits import CachedTeacher, Given, LiveTeacher
from mashbill.train.losses import Divergence, linear_divergence
from mashbill.train.memory import freed_memory_kept
from mashbill.train.precision import autocast, choose_how
from mashbill.train.processes import own_device
from mashbill.train.repeatable import compute_repeatably, random_of, set_random
from mashbill.train.sampling import Sampling
from mashbill.train.schedule import rate_at
from mashbill.train.staying_finite import check_finite
from mashbill.train.student_files import save_student
from mashbill.train.told_learned import tell_learned

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.train.logit_kd import LogitKdSpec

_MEASURED = 10
"""times that the held-out loss is measured while training goes"""


@freed_memory_kept()
@fast_linear()
def train(spec: LogitKdSpec, ctx: StageContext, out: Path) -> None:
    """Train, and write the student's files into ``out``.

    Raises:
        InputError: if logits are of another tokenizer, template or teacher, or kept at another
            temperature.
    """
    compute_repeatably()
    weights = ctx.teacher_weights(spec.teacher) if spec.teacher else None
    base = ctx.base(spec.base) if spec.base else weights
    assert base is not None  # noqa: S101 - the spec has one or the other
    encoder = ConversationTokens(base.folder)
    torch.manual_seed(ctx.seed)
    device = own_device()
    student = _student(spec, base, encoder, device)
    if spec.checkpointing:
        recompute_activations(student.model)
    given: Given | AcrossTokenizers
    if spec.live:
        assert weights is not None  # noqa: S101 - the spec has it
        data = examples(spec, spec.inputs, encoder, ctx, "learned")
        if spec.across == "refuse":
            given = LiveTeacher(TeacherLogits(weights, ctx.threads, device), encoder, base)
        else:
            given = AcrossTokenizers(spec, ctx, student, (base, weights), encoder, data)
    else:
        given = CachedTeacher(spec, ctx, base, encoder, weights, device)
        data = given.data
    heldout = examples(spec, [spec.heldout], encoder, ctx, "heldout") if spec.heldout else None
    _check_lengths(spec, student, given, data, heldout)
    rows = len(student.head[0])
    if rows < given.vocabulary:
        msg = (
            f"{student.title}: its tokenizer has {given.vocabulary:,} ids and its head {rows:,} "
            "rows, so some tokens have no logit; name a base whose files fit each other"
        )
        raise InputError(msg)
    batches = Batches(data, spec, ctx.seed)
    loss: _Loss | AcrossLoss = (
        AcrossLoss(spec, student, given, data, batches)
        if isinstance(given, AcrossTokenizers)
        else _Loss(spec, student, given, data, batches)
    )
    how = chosen(ctx.work, lambda: _choose(spec, student, loss, batches, ctx.threads))
    torch.set_num_threads(how["threads"])
    loss.dtype = how["dtype"]
    training = _Training(spec, ctx, student, loss, batches, heldout)
    sampling = Sampling(ctx, heldout, encoder)
    if training.step == 0:
        sampling.before(student.model)
    training.run()
    student.attend_as_loaded()
    save_student(student.model, base, spec.weights_dtype, out)
    sampling.after(student.model)
    sampling.tell_repeating(student.model, data)
    # What was saved is loaded on a processor, and held against this.
    ctx.trained = CausalWriter(student.model.to("cpu"), out)
    tell_learned(spec, ctx, data, batches, student, how, heldout)
    ctx.measures["classes"] = given.vocabulary


def _student(
    spec: LogitKdSpec, base: BaseWeights, encoder: ConversationTokens, device: str
) -> CausalBase:
    """Return the student as it begins: its base, or a new model in the teacher's tokenizer."""
    if spec.base:
        return CausalBase.load(base.folder, base.title, packs=spec.packing, device=device)
    told = json_object(base.folder / "config.json", error=InputError)
    shape = Shape(ids_of(encoder.tokenizer), spec.width, spec.layers, spec.heads, spec.context)
    special = {"begin": told.get("bos_token_id"), "end": encoder.ends[0]}
    config = LlamaConfig(**config_of(shape, special | {"pad": told.get("pad_token_id")}))
    model = LlamaForCausalLM(config).to(device).train()
    return CausalBase(model, "the new student", packs=spec.packing)


def _check_lengths(
    spec: LogitKdSpec,
    student: CausalBase,
    given: Given | AcrossTokenizers,
    data: Examples,
    heldout: Examples | None,
) -> None:
    """Raise InputError if a sequence is longer than student or teacher was made for."""
    how = "" if spec.live else " in the stage of kind 'logits' that made it"
    if not spec.base:
        how += f", or context = {int(data.lengths.max())} for the new student"
    check_lengths(data, spec.inputs, student.context, student.title, how)
    check_lengths(data, spec.inputs, given.context, "the teacher")
    if heldout is not None:
        check_lengths(heldout, [spec.heldout], student.context, student.title)


@dataclass
class _Loss:
    """The loss of a micro-batch."""

    spec: LogitKdSpec
    student: CausalBase
    given: Given
    data: Examples
    batches: Batches
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Say by what the student is held against the teacher."""
        spec = self.spec
        self._how = Divergence(spec.divergence, spec.skew, spec.beta, spec.temperature)

    def weight(self, step: int) -> float:
        """Return what a step's numerators are divided by."""
        return self.batches.weight(step)

    def of(self, micro: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the numerator, and those of divergence and cross-entropy, shape (2,)."""
        total, parts = torch.zeros(()), torch.zeros(2)
        # What cannot stand one behind the other is computed sequence by sequence.
        for own in [micro] if self.student.packs else [[number] for number in micro]:
            numerator, each = self._together(own)
            total, parts = total.to(numerator.device) + numerator, parts.to(each.device) + each
        return total, parts

    def _together(self, own: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        sequences = [torch.from_numpy(self.data.ids(number)) for number in own]
        device = self.student.model.device
        # The state behind a token tells the next one: a sequence's last token tells nothing.
        next_ids = torch.cat([torch.roll(each, -1) for each in sequences])
        weights = torch.from_numpy(np.concatenate([self.batches.next_weights(n) for n in own]))
        told = weights > 0
        teacher = self.given.of(own, sequences, told)
        with autocast(self.dtype, device):
            states = self.student.states(sequences)
        head, bias = self.student.head
        return linear_divergence(
            states[told.to(device)].float(),
            head,
            teacher,
            weights[told].to(device),
            self._how,
            targets_n=next_ids[told].to(device),
            ce_weight=self.spec.ce_weight,
            bias_v=bias,
            classes=self.given.vocabulary,
        )


def _choose(
    spec: LogitKdSpec,
    student: CausalBase,
    loss: _Loss | AcrossLoss,
    batches: Batches,
    threads: int,
) -> dict[str, Any]:
    few = batches.few()

    def compute(dtype: str) -> None:
        loss.dtype = dtype
        with student.together(loss.data.lengths[few].tolist()):
            loss.of(few)[0].backward()

    return choose_how(spec.dtype, threads, student.model, compute)


@dataclass
class _Training:
    """The loop, and what it changes."""

    spec: LogitKdSpec
    ctx: StageContext
    student: CausalBase
    loss: _Loss | AcrossLoss
    batches: Batches
    heldout: Examples | None

    def __post_init__(self) -> None:
        """Make the optimiser, and go on from the last checkpoint if there is one."""
        self._parameters = list(self.student.model.parameters())
        groups = [
            {"params": [p for p in self._parameters if p.ndim >= 2]},
            {"params": [p for p in self._parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(
            groups, lr=self.spec.highest_rate, betas=(0.9, 0.999), fused=True,
            weight_decay=self.spec.weight_decay,
        )  # fmt: skip
        self._checkpoint = Checkpoint(self.ctx.work, self.ctx.curves)
        self.step = 0
        state = self._checkpoint.load()
        if state is not None:
            self.step = int(state["step"])
            self.student.model.load_state_dict(state["weights"])
            self._optimiser.load_state_dict(state["optimiser"])
            set_random(state["random"], self.student.model.device)
        self.ctx.curves.resume(self.step)

    def run(self) -> None:
        """Do all steps that are left."""
        while self.step < self.batches.steps:
            rate = self._rate()
            told = self._learn(rate)
            counted = self.batches.tokens(self.step)
            self.ctx.curves.log(self.step, rate=rate, tokens=counted, **told)
            self.step += 1
            self._measure(self.step)
            self.ctx.progress(self.step, self.batches.steps, "")
            if self.step < self.batches.steps and self._checkpoint.is_due:
                self._save()

    def _rate(self) -> float:
        spec = self.spec
        share = rate_at(self.step, self.batches.steps, spec.warmup, spec.schedule)
        return spec.highest_rate * share

    def _learn(self, rate: float) -> dict[str, float]:
        """Do one step; return its mean loss and the parts of it, in nats, and the norm."""
        weight = self.loss.weight(self.step)
        total, parts = 0.0, torch.zeros(2)
        for micro in self.batches.micro(self.step):
            with self.student.together(self.loss.data.lengths[micro].tolist()):
                numerator, each = self.loss.of(micro)
                (numerator / weight).backward()
            total += float(numerator.detach())
            parts += each.cpu()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.spec.clip, foreach=False)
        check_finite(self.step, total / weight, float(norm), "rate")
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        told = {"loss": total / weight, "gradient_norm": float(norm)}
        told["divergence"] = float(parts[0]) / weight
        if self.spec.ce_weight:
            told["cross_entropy"] = float(parts[1]) / weight
        return told

    def _measure(self, done: int) -> None:
        """Measure cross-entropy on what is held out, on the way and in the end."""
        steps = self.batches.steps
        marks = {round(steps * each / _MEASURED) for each in range(1, _MEASURED + 1)}
        if self.heldout is None or done not in marks:
            return
        loss = heldout_loss(self.student, self.heldout, self.spec, self.loss.dtype)
        self.ctx.curves.log(done - 1, held_out_loss=loss)
        self.ctx.measures["held_out_loss"] = loss

    def _save(self) -> None:
        self._checkpoint.save(
            {
                "step": self.step,
                "weights": self.student.model.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "random": random_of(self.student.model.device),
            }
        )
