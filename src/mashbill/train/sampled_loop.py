"""Training on what the student samples: the loop of ``grpo`` and ``on_policy``.

    for each step:
        take ``batch`` prompts of this pass's order
        sample ``attempts`` completions of each, by the student as it stands
        let them be scored; yield them as rows, which are committed
        learn from the rows, as the trainer says; step AdamW at the schedule's rate

What is drawn follows from seed, step, prompt and attempt alone. A run that was killed goes on from
its checkpoint: rollouts that are committed are learned from as they are, and only behind them is
sampled again, so it comes to the same rollouts and the same weights, to the bit, on one machine.
The model's own stage takes over weights and curves, or makes the same steps from the rollouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.errors import InputError, StoreError
from mashbill.core.model import Decoding
from mashbill.core.record import one_batch
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.models.products import fast_linear
from mashbill.models.sampled import sample
from mashbill.models.tokenizer_identity import ids_of
from mashbill.train.answer_nats import Answers, Scored
from mashbill.train.checkpoint import chosen
from mashbill.train.examples import Examples
from mashbill.train.memory import freed_memory_kept
from mashbill.train.precision import autocast, choose_how
from mashbill.train.processes import World, own_device, together
from mashbill.train.prompts import PromptRows, prompts
from mashbill.train.rollouts import Asked, Rollouts
from mashbill.train.sampled_steps import (
    Around,
    Learner,
    Order,
    SampledTraining,
    shared,
)
from mashbill.train.sampling import Sampling
from mashbill.train.stepping import begun, save_trained
from mashbill.train.told_others import told_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.stage import StageContext
    from mashbill.models.causal_base import CausalBase
    from mashbill.train.sampled_keys import SampledSpec

HOW = "computed"
"""measure of rollouts: in what and by how many threads the steps were computed"""
_TRIED = 512
"""tokens by which it is tried what is faster"""


@dataclass
class _Sampler:
    """Gives the rollouts of a step: those that are committed, or new ones."""

    spec: SampledSpec
    ctx: StageContext
    student: CausalBase
    rows: PromptRows
    data: Examples
    order: Order
    learner: Learner
    dtype: str
    classes: int
    """tokens that may come: those that the tokenizer has"""

    def of(self, step: int) -> Rollouts:
        """Return the rollouts of a step."""
        found = self.ctx.committed(step)
        if found is None:
            return self._new(step)
        return Rollouts(found)

    def _new(self, step: int) -> Rollouts:
        asked: list[Asked] = []
        for group, number in enumerate(self.order.of(step)):
            position = self.rows.position(self.data, number)
            prompt, ids = self.rows.said(position), self.data.ids(number).tolist()
            asked += [
                Asked(position, prompt, ids, group, attempt)
                for attempt in range(self.spec.attempts)
            ]
        parts, waiting = [], []
        for some in self._parts(asked):
            made = self._sampled(step, some)
            texts = [self.rows.text(one.ids) for one in made]
            parts.append(Rollouts.of(step, some, made, texts))
            waiting.append(self.learner.begin(parts[-1]))
        return Rollouts.joined(
            [part.with_columns(told()) for part, told in zip(parts, waiting, strict=True)]
        )

    def _parts(self, asked: Sequence[Asked]) -> list[list[Asked]]:
        """Return attempts in parts that are sampled at once, those of one prompt together."""
        found: list[list[Asked]] = []
        held, last = 0, -1
        for one in asked:
            length = len(one.prompt_ids) + self.spec.max_new_tokens
            if not found or (one.group != last and held + length > self.spec.sample_tokens):
                found.append([])
                held = 0
            found[-1].append(one)
            held, last = held + length, one.group
        return found

    def _sampled(self, step: int, asked: Sequence[Asked]) -> Any:
        spec = self.spec
        given = spec.given_answers(step, asked, self.rows, self.ctx.seed)
        if given is not None:
            return given
        draws = [
            np.random.default_rng([self.ctx.seed, step, one.group, one.sample]) for one in asked
        ]
        decoding = Decoding(
            max_tokens=spec.max_new_tokens, temperature=spec.temperature, top_p=spec.top_p,
            seed=self.ctx.seed,
        )  # fmt: skip
        with autocast(self.dtype, self.student.model.device):
            return sample(
                self.student.model, [one.prompt_ids for one in asked], draws, self.rows.ends,
                spec.max_new_tokens, decoding, batch_tokens=spec.sample_tokens,
                classes=self.classes,
            )  # fmt: skip


def rollouts(spec: SampledSpec, ctx: StageContext) -> Iterator[pa.RecordBatch]:
    """Train, and yield the rollouts of each step before it learns from them."""
    with freed_memory_kept(), fast_linear():
        yield from _rollouts(spec, ctx)


def _rollouts(spec: SampledSpec, ctx: StageContext) -> Iterator[pa.RecordBatch]:
    base = ctx.base(spec.base)
    encoder = ConversationTokens(base.folder)
    rows = PromptRows(spec, encoder, base.folder, ctx)
    data = prompts(rows, encoder, ctx)
    student = begun(spec, base, ctx.seed, own_device())
    _check_context(spec, data, student)
    order = Order(len(data), spec, ctx.seed)
    how = chosen(ctx.work, lambda: _choose(spec, student, data, ctx.threads))
    how |= {"steps": order.steps}
    torch.set_num_threads(how["threads"])
    learner = spec.learner(Around(spec, ctx, student, base, encoder, how["dtype"], rows))
    sampler = _Sampler(
        spec, ctx, student, rows, data, order, learner, how["dtype"], ids_of(encoder.tokenizer)
    )
    few = [data.ids(number).tolist() for number in order.of(0)]
    with together(ctx, "sampled", told_others(spec, ctx, base, how, spec.live_teachers())) as world:
        torch.set_num_threads(max(1, how["threads"] // world.size))
        training = SampledTraining.of(spec, ctx, student, order, how["dtype"], world, learner)
        for step in range(training.step):
            yield one_batch(_committed(ctx, step))
        if training.step == 0:
            Sampling.of_prompts(ctx, few, encoder).before(student.model)
        while training.step < order.steps:
            found = sampler.of(training.step)
            yield one_batch(found.table)
            training.advance(shared(found, world))
        training.keep()
    ctx.measures |= data.counts | {"prompts": len(data), "steps": order.steps, HOW: how}
    learner.end(ctx, (Rollouts(_committed(ctx, step)) for step in range(order.steps)))


def _committed(ctx: StageContext, step: int) -> pa.Table:
    found = ctx.committed(step)
    if found is None:
        msg = (
            f"{ctx.name}: its training stands behind step {step}, and the rollouts of that step "
            f"are not there; remove {ctx.work.name} from the store's .work, and it begins anew"
        )
        raise StoreError(msg)
    return found


def train(spec: SampledSpec, ctx: StageContext, out: Path) -> None:
    """Take over what the rollouts came to, or make their steps again; write the student's files."""
    with freed_memory_kept(), fast_linear():
        _train(spec, ctx, out)


def _train(spec: SampledSpec, ctx: StageContext, out: Path) -> None:
    data = ctx.input(spec.rollouts)
    measured = data.manifest.measures
    how = measured[HOW]
    base = ctx.base(spec.base)
    encoder = ConversationTokens(base.folder)
    student = begun(spec, base, ctx.seed, own_device())
    torch.set_num_threads(how["threads"])
    learner = spec.learner(Around(spec, ctx, student, base, encoder, how["dtype"], None))
    order = Order(1, spec.model_copy(update={"steps": int(measured["steps"])}), ctx.seed)
    each = spec.batch * spec.attempts

    def of(step: int) -> Rollouts:
        names = [name for name in data.columns if not name.startswith("_")]
        return Rollouts(data.read(step * each, (step + 1) * each, names).combine_chunks())

    first = of(0)
    few = [first.prompt_ids[place] for place in range(0, len(first), spec.attempts)]
    sampling = Sampling.of_prompts(ctx, few, encoder)
    training = SampledTraining.of(spec, ctx, student, order, how["dtype"], World(), learner)
    if training.step == 0:
        sampling.before(student.model)
    while training.step < order.steps:
        training.advance(of(training.step))
    save_trained(spec, ctx, student, base, sampling, out)
    _tell(spec, ctx, learner, map(of, range(order.steps)), student, how)
    learner.end(ctx, map(of, range(order.steps)))


def _tell(
    spec: SampledSpec,
    ctx: StageContext,
    learner: Learner,
    steps: Iterable[Rollouts],
    student: CausalBase,
    how: Mapping[str, Any],
) -> None:
    """Set what was learned of each rollout, and measures."""
    name = spec.rollouts
    told = [(learner.weights(rows), rows.sampled_tokens, rows.lengths) for rows in steps]
    weights, tokens, lengths = (np.concatenate(each) for each in zip(*told, strict=True))
    ctx.seen[name] = np.ones(len(tokens), np.int64)
    ctx.tokens[name] = tokens
    ctx.loss_weight[name] = weights
    ctx.measures |= {
        "steps": len(told),
        "rollouts": len(tokens),
        "learned_tokens": int(tokens[weights > 0].sum()),
        "sampled_tokens": int(tokens.sum()),
        "read_tokens": int(lengths.sum()),
        "parameters": sum(p.numel() for p in student.model.parameters()),
        "packed": student.packs,
        "dtype": how["dtype"],
    }
    if not weights.any():
        ctx.warn(
            "nothing was learned: in no step was one attempt better than another; take prompts "
            "that the base solves at times, or more attempts"
        )


def _check_context(spec: SampledSpec, data: Examples, student: CausalBase) -> None:
    """Raise InputError if prompts and completions are longer than the student was made for."""
    longest = int(data.lengths.max())
    if student.context and longest + spec.max_new_tokens > student.context:
        msg = (
            f"its longest prompt has {longest:,} tokens, which with max_new_tokens = "
            f"{spec.max_new_tokens:,} is more than the {student.context:,} that {student.title} "
            f"was made for; set max_tokens = {student.context}, or less"
        )
        raise InputError(msg)


def _choose(spec: SampledSpec, student: CausalBase, data: Examples, threads: int) -> dict[str, Any]:
    """Return what is chosen once; a loss on the prompts themselves tells a step's time."""
    few: list[Scored] = []
    for number in range(len(data)):
        ids = np.tile(data.ids(number), 2)
        few.append(Scored(ids, np.ones(len(ids), bool)))
        if sum(len(each.ids) for each in few) >= _TRIED:
            break

    def compute(dtype: str) -> None:
        with student.together([len(each.ids) for each in few]):
            (-Answers(student, few, dtype).weighed(torch.ones(len(few)))).backward()

    return choose_how(spec.dtype, threads, student.model, compute)
