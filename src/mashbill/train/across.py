"""The loss of a student whose live teacher has another tokenizer, as ``logit_kd`` takes it.

    numerator   = sum over aligned groups of weight x nats
    denominator = sum of the weights of all groups of the step

and beside it the text itself, each part divided by its own sum over the whole step: a group is no
token, and tokens that are in no group are learned by their text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.errors import InputError
from mashbill.models.byte_spans import BytesLostError
from mashbill.models.teacher_logits import TeacherLogits
from mashbill.models.token_alignment import Reader
from mashbill.models.tokenizer_identity import ids_of
from mashbill.train.aligned_rows import AlignedRows, aligned_rows
from mashbill.train.cross_nats import CrossTeacher
from mashbill.train.losses import Divergence, linear_cross_entropy
from mashbill.train.precision import autocast
from mashbill.train.signal_test import signal_test, too_few

if TYPE_CHECKING:
    from mashbill.core.base_model import BaseWeights
    from mashbill.core.stage import StageContext
    from mashbill.models.causal_base import CausalBase
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.train.batches import Batches
    from mashbill.train.examples import Examples
    from mashbill.train.logit_kd import LogitKdSpec


class AcrossTokenizers:
    """A live teacher, and the student's sequences aligned with what it reads."""

    def __init__(
        self,
        spec: LogitKdSpec,
        ctx: StageContext,
        student: CausalBase,
        bases: tuple[BaseWeights, BaseWeights],
        encoder: ConversationTokens,
        data: Examples,
    ) -> None:
        """Align all sequences, and try whether what the teacher says of them is a signal.

        Args:
            spec: the trainer's keys.
            ctx: the stage's; gets what was measured.
            student: what is trained.
            bases: the student's weights, and the teacher's.
            encoder: of the student.
            data: its sequences.

        Raises:
            InputError: if tokens do not say their bytes, or there is no signal.
        """
        base, weights = bases
        teacher = TeacherLogits(weights, ctx.threads, str(student.model.device))
        own, theirs = _reader(encoder, base.title), _reader(teacher.encoder, "the teacher")
        self.vocabulary = ids_of(encoder.tokenizer)
        """ids of the student's tokenizer"""
        self.context = 0
        """any number: what the teacher takes no more of is in no group"""
        how = Divergence(spec.divergence, spec.skew, spec.beta, spec.temperature)
        assert spec.across != "refuse"  # noqa: S101 - whoever calls has asked
        rows = len(student.head[0])
        self.teacher = CrossTeacher(teacher, theirs, own, spec.across, how, rows)
        self.rows: AlignedRows = aligned_rows(spec, ctx, data, own, theirs, teacher.context)
        found = signal_test(self.teacher, self.rows.kept, self.rows.counts, ctx.seed)
        ctx.measures["signal_test"] = found
        self._tell(ctx, found)

    def _tell(self, ctx: StageContext, found: dict[str, Any]) -> None:
        ctx.measures["groups"] = len(self.rows.groups)
        if warned := too_few(found):
            ctx.warn(warned)
        left, such_as = (self.rows.counts.get(key, {}) for key in ("left_out", "such_as"))
        for why, many in left.items():
            ctx.warn(
                f"{many:,} answers are learned by their text alone, and not of the teacher: {why} "
                f"({such_as.get(why, '')})"
            )


class AcrossLoss:
    """The loss of a micro-batch."""

    def __init__(
        self,
        spec: LogitKdSpec,
        student: CausalBase,
        given: AcrossTokenizers,
        data: Examples,
        batches: Batches,
    ) -> None:
        """Take what is learned of what.

        Args:
            spec: the trainer's keys.
            student: what is trained.
            given: the teacher.
            data: the student's sequences.
            batches: which of them a step takes, and weights.
        """
        self.data, self.dtype = data, "float32"
        self._spec, self._student, self._given, self._batches = spec, student, given, batches
        self._of_text = 1.0

    def weight(self, step: int) -> float:
        """Return what a step's numerators are divided by, and see to that of its text."""
        numbers = self._batches.of(step)
        groups = max(sum(float(self._weights(int(n)).sum()) for n in numbers), 1e-9)
        self._of_text = groups / self._batches.weight(step)
        return groups

    def _weights(self, number: int) -> np.ndarray:
        """Return the weight of each group of a sequence: its dataset's."""
        inputs = self._spec.inputs
        weight = self._spec.weights.get(inputs[int(self.data.dataset[number])], 1.0)
        return np.full(len(self._given.rows.groups_of(number)), weight)

    def of(self, micro: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the numerator, and those of divergence and cross-entropy, shape (2,).

        That of cross-entropy is as much larger than its own as the step's groups weigh more than
        its tokens, so that dividing by the weight of groups gives nats a token.
        """
        total, parts = torch.zeros(()), torch.zeros(2)
        for own in [micro] if self._student.packs else [[number] for number in micro]:
            numerator, each = self._together(own)
            total, parts = total.to(numerator.device) + numerator, parts.to(each.device) + each
        return total, parts

    def _together(self, own: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        ids = [self.data.ids(number) for number in own]
        sequences = [torch.from_numpy(each) for each in ids]
        device = self._student.model.device
        with autocast(self.dtype, device):
            states = self._student.states(sequences)
        states, (head, bias) = states.float(), self._student.head
        share = self._spec.ce_weight
        pairs = [self._given.rows.pair(number, each) for number, each in zip(own, ids, strict=True)]
        weights = torch.from_numpy(np.concatenate([self._weights(number) for number in own]))
        nats = self._given.teacher.nats(pairs, states, (head, bias))
        apart = (nats * weights.to(nats)).sum()
        text = torch.zeros_like(apart)
        if share:
            targets = torch.cat([torch.roll(each, -1) for each in sequences]).to(device)
            of_tokens = np.concatenate([self._batches.next_weights(number) for number in own])
            text = self._of_text * linear_cross_entropy(
                states, head, targets, torch.from_numpy(of_tokens).to(device), bias_v=bias
            )
        return (1 - share) * apart + share * text, torch.stack([apart, text]).detach()


def _reader(encoder: ConversationTokens, title: str) -> Reader:
    try:
        return Reader(encoder, title)
    except BytesLostError as error:
        msg = f"across tokenizers: {error}"
        raise InputError(msg) from error
