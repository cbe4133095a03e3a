"""How far student and teacher are apart on aligned groups: what live teachers are learned from.

For whoever has states of the student's and a teacher's weights at hand: ``logit_kd`` on given rows,
and trainers whose student samples. A served teacher gives log-probabilities of its tokens alone:
:func:`served_sums`, and :func:`mashbill.train.cross_losses.score_function` behind that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from mashbill.models.common_tokens import CommonTokens, common_tokens
from mashbill.models.token_alignment import Answered, Reader, align
from mashbill.models.tokenizer_identity import ids_of
from mashbill.train.aligned_rows import AlignedPair, row_of
from mashbill.train.cross_losses import (
    chunk_nats,
    group_sums,
    outcome_logprobs,
    score_function,
    sorted_distance,
    token_logprobs,
)
from mashbill.train.divergences import Divergence, divergence_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.models.teacher_logits import TeacherLogits

Across = Literal["chunks", "common", "prefixes", "uld"]
"""what is learned of aligned groups: see :mod:`mashbill.train.cross_losses`"""
Head = tuple[torch.Tensor, torch.Tensor | None]
_SB, _SE, _TB, _TE, _BYTES, _EXACT = range(6)


@dataclass
class CrossTeacher:
    """A teacher with another tokenizer, whose weights are here, and what it has in common."""

    teacher: TeacherLogits
    reader: Reader
    student: Reader
    across: Across
    how: Divergence
    rows: int
    """of the student's head"""

    def __post_init__(self) -> None:
        """Find the tokens that both have."""
        rows = (self.rows, ids_of(self.teacher.encoder.tokenizer))
        prefixes = self.across == "prefixes"
        self.common: CommonTokens = common_tokens(
            self.student, self.reader, rows, prefixes=prefixes
        )
        device = self.teacher.head[0].device
        self._of_student = torch.from_numpy(self.common.student_v)
        self._of_teacher = torch.from_numpy(self.common.teacher_v).to(device)

    def states(self, pairs: Sequence[AlignedPair]) -> torch.Tensor:
        """Return the teacher's states of all that it reads, one behind the other."""
        sequences = [torch.from_numpy(ids) for pair in pairs for ids in pair.teacher]
        return self.teacher.states(sequences)

    def nats(
        self,
        pairs: Sequence[AlignedPair],
        states: torch.Tensor,
        head: Head,
        *,
        sampled: bool = False,
    ) -> torch.Tensor:
        """Return nats of each group of all pairs, in their order, differentiable by the student's.

        Args:
            pairs: the student's sequences, and what they are aligned with.
            states: the student's, behind each token of all sequences, float32.
            head: its weights and bias.
            sampled: whether the student wrote the answers itself: then log-probabilities of groups
                give an estimate of the reverse KL's gradient, in place of a divergence.
        """
        groups, ids, told = _together(pairs)
        nats = states.new_zeros(len(groups))
        if not len(groups):
            return nats + states.sum() * 0
        theirs = self.states(pairs)
        is_exact = groups[:, _EXACT] > 0
        if self.across == "uld":
            return nats + self._sorted(groups, states, head, theirs)
        by_chunk = np.ones(len(groups), bool) if self.across == "chunks" else ~is_exact
        if by_chunk.any():
            t = 1.0 if sampled else self.how.temperature
            own = self._sums(groups[by_chunk, _SB:_TB], ids, states, head, t)
            with torch.no_grad():
                spans = groups[by_chunk, _TB:_BYTES]
                teacher = self._sums(spans, told, theirs.float(), self.teacher.head, t)
                teacher = teacher.to(own.device)
            found = score_function(teacher, own) if sampled else chunk_nats(teacher, own, self.how)
            nats = nats.index_add(0, _where(by_chunk, nats), found.to(nats.dtype))
        if not by_chunk.all():
            found = self._outcomes(groups[~by_chunk], states, head, theirs)
            nats = nats.index_add(0, _where(~by_chunk, nats), found.to(nats.dtype))
        return nats

    def teacher_sums(self, pairs: Sequence[AlignedPair]) -> torch.Tensor:
        """Return the teacher's log-probability of each group's tokens, in sum, at temperature 1."""
        groups, _, told = _together(pairs)
        with torch.no_grad():
            theirs = self.states(pairs).float()
            return self._sums(groups[:, _TB:_BYTES], told, theirs, self.teacher.head, 1.0)

    def teacher_mass(self, pairs: Sequence[AlignedPair]) -> float:
        """Return the mean probability within the common vocabulary, where tokens are compared."""
        groups, _, _ = _together(pairs)
        at = groups[groups[:, _EXACT] > 0, _TB] - 1
        if not len(at):
            return 0.0
        with torch.no_grad():
            weight, bias = self.teacher.head
            states = self.states(pairs).float()[torch.from_numpy(at).to(weight.device)]
            found = outcome_logprobs(
                states, weight, self._of_teacher, self.common.outcomes, bias_v=bias
            )
            return float(1 - found[:, -1].exp().mean())

    def _sums(
        self,
        spans: np.ndarray,
        ids: np.ndarray,
        states: torch.Tensor,
        head: Head,
        temperature: float,
    ) -> torch.Tensor:
        """Return log-probabilities of the tokens of each span, in sum, float64."""
        sizes = spans[:, 1] - spans[:, 0]
        group = np.repeat(np.arange(len(spans)), sizes)
        within = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = np.repeat(spans[:, 0], sizes) + within
        device = states.device
        found = token_logprobs(
            # The state before a token tells it.
            states[torch.from_numpy(at - 1).to(device)],
            head[0],
            torch.from_numpy(ids[at]).to(device),
            temperature=temperature,
            bias_v=head[1],
        )
        return group_sums(found.double(), torch.from_numpy(group).to(device), len(spans))

    def _firsts(
        self, groups: np.ndarray, states: torch.Tensor, theirs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states that tell the first token of each group."""
        own = states[torch.from_numpy(groups[:, _SB] - 1).to(states.device)]
        return own, theirs[torch.from_numpy(groups[:, _TB] - 1).to(theirs.device)].float()

    def _outcomes(
        self, groups: np.ndarray, states: torch.Tensor, head: Head, theirs: torch.Tensor
    ) -> torch.Tensor:
        own, teacher = self._firsts(groups, states, theirs)
        t, many = self.how.temperature, self.common.outcomes
        outcome_v = self._of_student.to(states.device)
        log_q = outcome_logprobs(own, head[0], outcome_v, many, temperature=t, bias_v=head[1])
        with torch.no_grad():
            weight, bias = self.teacher.head
            log_p = outcome_logprobs(
                teacher, weight, self._of_teacher, many, temperature=t, bias_v=bias
            )
        return divergence_of(log_p.to(log_q.device), log_q, self.how)

    def _sorted(
        self, groups: np.ndarray, states: torch.Tensor, head: Head, theirs: torch.Tensor
    ) -> torch.Tensor:
        own, teacher = self._firsts(groups, states, theirs)
        return sorted_distance(
            (teacher, *self.teacher.head), (own, *head), temperature=self.how.temperature
        )


def written_again(student: Reader, ids: Sequence[int], teacher: Reader) -> list[int]:
    """Return what a student wrote in the teacher's tokens, to be read behind the teacher's prompt.

    What is no text (a character that was begun and not ended) ends it. Where the student ended its
    answer, the teacher's end stands behind.

    Args:
        student: how it reads and writes.
        ids: of its answer.
        teacher: how the teacher reads.

    Raises:
        BytesLostError: if an id is none of the student's.
    """
    has_end = bool(ids) and ids[-1] in student.ends
    whole = b"".join(student.bytes.of(ids[: len(ids) - has_end]))
    text = whole.decode(errors="ignore")
    is_text = text.encode() == whole
    if not is_text:
        try:
            whole.decode()
        except UnicodeDecodeError as error:
            text = whole[: error.start].decode()
    if student.bytes.has_marker and text.startswith(" "):
        text = text[1:]  # the space that stands before its first word, and is no part of it
    found = list(teacher.encoder.tokenizer.encode(text, add_special_tokens=False).ids)
    return [*found, *(teacher.encoder.ends[:1] if has_end and is_text else ())]


def sampled_pair(
    student: tuple[Reader, Sequence[int], Sequence[int]],
    teacher: tuple[Reader, Sequence[int]],
    *,
    context: int = 0,
) -> AlignedPair:
    """Return a student's own answer as a teacher with another tokenizer reads it, aligned.

    Args:
        student: how it reads; ids of its prompt; ids of what it wrote, the end included.
        teacher: how it reads; ids of the prompt as its own template writes it.
        context: tokens of a sequence that the teacher takes; any number if 0.

    Raises:
        UnalignedError: if nothing can be aligned, saying why.
        BytesLostError: if an id is none of the student's.
    """
    own, prompt, ids = student
    theirs, asked = teacher
    told = written_again(own, ids, theirs)
    groups = align(
        own,
        Answered([*prompt, *ids], len(prompt), len(prompt) + len(ids)),
        theirs,
        Answered([*asked, *told], len(asked), len(asked) + len(told)),
        context=context,
    )
    return AlignedPair(
        np.array([*prompt, *ids], np.int64),
        [np.array([*asked, *told], np.int64)],
        np.array([row_of(group) for group in groups], np.int64).reshape(-1, 6),
    )


def served_sums(pair: AlignedPair, logprobs: Sequence[float | None]) -> np.ndarray:
    """Return a served teacher's log-probability of each group's tokens, in sum, float64.

    It is not a number where the server gave none for one of them, or minus infinity.

    Args:
        pair: as :func:`sampled_pair` gives it.
        logprobs: of each token of the teacher's sequence, prompt included; None where there is
            none.

    Raises:
        ValueError: if they are not as many as the tokens.
    """
    tokens = sum(map(len, pair.teacher))
    if len(logprobs) != tokens:
        msg = f"{len(logprobs)} log-probabilities for {tokens} tokens"
        raise ValueError(msg)
    known = np.array([np.nan if each is None else each for each in logprobs], np.float64)
    known[~np.isfinite(known)] = np.nan
    return np.array([known[begin:end].sum() for begin, end in pair.groups[:, _TB:_BYTES]])


def _together(pairs: Sequence[AlignedPair]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return groups of all pairs by places in what stands together, and both sides' ids."""
    found, own, told = [], 0, 0
    for pair in pairs:
        moved = pair.groups.copy()
        moved[:, _SB:_TB] += own
        moved[:, _TB:_BYTES] += told
        found.append(moved)
        own += len(pair.student)
        told += sum(map(len, pair.teacher))
    teacher = [ids for pair in pairs for ids in pair.teacher]
    return (
        np.concatenate(found),
        np.concatenate([pair.student for pair in pairs]),
        np.concatenate(teacher) if teacher else np.empty(0, np.int64),
    )


def _where(chosen: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero(chosen)).to(like.device)
