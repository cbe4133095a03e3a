"""Where a student that learns by logits has a teacher's distributions from: beside it, or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mashbill.core.errors import InputError
from mashbill.models.logit_cache import Cached, How, Student, open_cache
from mashbill.models.logit_records import Records
from mashbill.models.teacher_logits import TeacherLogits, template_digest
from mashbill.models.tokenizer_identity import ids_digest, other_map, other_reading
from mashbill.train.completions import Completions
from mashbill.train.examples import Examples
from mashbill.train.logit_kd import HOW_READ
from mashbill.train.losses import FullTeacher, SampledTeacher, Teacher, TopTeacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.base_model import BaseWeights
    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.train.logit_kd import LogitKdSpec

_BARE = "it has no logits"
_ACROSS = "set across = 'prefixes' or 'chunks', which aligns tokens by their bytes"
_OR_NO_BASE = "or leave base out, and a new student gets the teacher's tokenizer"


class Given:
    """Where the teacher's distributions come from."""

    context: int = 0
    """tokens that the teacher was made for, where it runs beside the student; 0 for no bound"""
    vocabulary: int
    """classes: rows of the student's head beyond them are of no token, and learned to be nothing"""

    def of(
        self, micro: Sequence[int], sequences: Sequence[torch.Tensor], told: torch.Tensor
    ) -> Teacher:
        """Return those at the tokens whose next one is learned.

        Args:
            micro: numbers of the sequences.
            sequences: their token ids.
            told: which of all their tokens those are, bool, shape (tokens,).
        """
        raise NotImplementedError


class LiveTeacher(Given):
    """A teacher that runs beside the student."""

    def __init__(
        self, teacher: TeacherLogits, encoder: ConversationTokens, base: BaseWeights
    ) -> None:
        """Take a teacher that reads as the student does.

        Raises:
            InputError: if it has another tokenizer.
        """
        if apart := other_map(teacher.ids, ids_digest(encoder.tokenizer)):
            msg = (
                f"the teacher has another tokenizer than {base.title}: {apart}; {_ACROSS}, name a "
                f"teacher and a base of one family, {_OR_NO_BASE}"
            )
            raise InputError(msg)
        if apart := other_reading(teacher.reading, encoder.reading):
            msg = (
                f"the teacher reads texts otherwise than {base.title}: {apart}, so that it would "
                f"be asked what it was not trained on; {_ACROSS}, name a teacher and a base with "
                f"one tokenizer.json, {_OR_NO_BASE}"
            )
            raise InputError(msg)
        self._teacher = teacher
        self.context = teacher.context
        self.vocabulary = teacher.vocabulary

    def of(
        self, micro: Sequence[int], sequences: Sequence[torch.Tensor], told: torch.Tensor
    ) -> Teacher:
        """Compute them."""
        del micro
        return self._full(self._teacher.states(sequences), told)

    def of_completions(
        self, pairs: Sequence[tuple[list[int], list[int]]]
    ) -> tuple[FullTeacher, Completions]:
        """Return those at the tokens of completions, and how they stand one behind the other.

        Args:
            pairs: ids of each prompt, and of its completion.
        """
        asked = Completions.of(pairs, shared=self._teacher.shares)
        states = self._teacher.states(asked.sequences, asked.follows)
        return self._full(states, asked.told), asked

    def _full(self, states: torch.Tensor, told: torch.Tensor) -> FullTeacher:
        weight, bias = self._teacher.head
        return FullTeacher(states[told.to(states.device)].float(), weight, bias)


class CachedTeacher(Given):
    """A teacher that ran before, in a stage of kind ``logits``."""

    def __init__(
        self,
        spec: LogitKdSpec,
        ctx: StageContext,
        base: BaseWeights,
        encoder: ConversationTokens,
        teacher: BaseWeights | None,
        device: str,
    ) -> None:
        """Open the cache.

        Raises:
            InputError: if it is of another tokenizer, template or teacher, or kept otherwise.
        """
        self._cached: Cached = open_cache(
            {name: ctx.input(name) for name in spec.inputs},
            Student(
                ids_digest(encoder.tokenizer),
                encoder.reading,
                template_digest(base.folder, encoder.tokenizer),
            ),
            lambda how: _records(how).bytes,
            ctx.work / "cached",
        )
        _check_how_read(spec, ctx)
        how = self._cached.how
        if how.temperature != spec.temperature:
            msg = (
                f"{', '.join(spec.inputs)}: logits are kept at temperature {how.temperature:g}, "
                f"and temperature = {spec.temperature:g} is set; set the one that they are kept at"
            )
            raise InputError(msg)
        if teacher is not None:
            _check_teachers(self._cached, spec.teacher, teacher.digest)
        if how.form == "sampled" and spec.divergence != "forward":
            msg = (
                f"divergence = {spec.divergence!r} is not linear in the teacher's probabilities, "
                "so sampled logits would give a biased one; set form = 'top' in the stage that "
                "caches them, or divergence = 'forward'"
            )
            raise InputError(msg)
        self._records = _records(how)
        self._device = device
        self.vocabulary = how.vocabulary
        found = self._cached
        counts: dict[str, Any] = {"rows": found.rows + sum(found.without.values())}
        if found.without:
            counts["left_out"] = {ref: {_BARE: many} for ref, many in found.without.items()}
        self.data = Examples(found.tokens, found.ends, found.dataset, found.row, counts)

    def of(
        self, micro: Sequence[int], sequences: Sequence[torch.Tensor], told: torch.Tensor
    ) -> Teacher:
        """Read them."""
        del sequences, told  # a record a learned token, in the order of both
        own = torch.from_numpy(np.concatenate([self._cached.given(number) for number in micro]))
        kept = self._records.read(own.to(self._device))
        if kept.entropy_n is None:
            return TopTeacher(kept.ids_nk, kept.values_nk)
        return SampledTeacher(kept.ids_nk, kept.values_nk, kept.entropy_n)


def _check_teachers(cached: Cached, name: str, digest: str) -> None:
    """Raise InputError unless all rows are of the teacher that is named."""
    for found, where in cached.teachers.items():
        if found != digest:
            msg = (
                f"{where}: its logits are of weights with digest {found[:12]}, and teacher = "
                f"{name!r} has {digest[:12]}; name whose they are, learn from rows of that teacher "
                "alone, or name a base and no teacher, and each row has its own"
            )
            raise InputError(msg)


def _check_how_read(spec: LogitKdSpec, ctx: StageContext) -> None:
    """Raise InputError if held-out rows would be read otherwise than those that are learned.

    Rows with logits say it where the stage that made them is the input itself.
    """
    for name in spec.inputs:
        made = ctx.input(name).manifest.stage
        for key in HOW_READ if made.get("kind") == "logits" else ():
            ours, theirs = getattr(spec, key), made.get(key, getattr(spec, key))
            if key in spec.model_fields_set and ours != theirs:
                msg = (
                    f"{key} = {ours!r} is about heldout here, and rows of {name} were read with "
                    f"{key} = {'any' if theirs is None else repr(theirs)} when their logits were "
                    "made, which is what is learned; set it there, and make the cache again, or "
                    "leave it out here"
                )
                raise InputError(msg)


def _records(how: How) -> Records:
    return Records("top" if how.form == "top" else "sampled", how.classes, how.vocabulary)
