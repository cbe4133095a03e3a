"""Teachers of a student that samples: those beside it, and those that are served.

Both read the student's own token ids. So maps of ids have to be the same, which is compared where
the teacher's tokenizer is at hand; of a served teacher the recipe names its file, or says on its
word whose it is, and then the texts that the server gives beside its log-probabilities are held to
the student's. Never is the size of a vocabulary taken for the map.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import read_json
from mashbill.core.scored_tokens import Tokens
from mashbill.core.store import write_atomically
from mashbill.models.folder_bounds import check_tokenizer
from mashbill.models.teacher_logits import TeacherLogits
from mashbill.models.tokenizer_identity import ids_digest, other_map
from mashbill.train.completions import Completions
from mashbill.train.given_logits import LiveTeacher
from mashbill.train.losses import token_nats
from mashbill.train.teacher_test import TwiceScored, passed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.scored_tokens import TokenScores
    from mashbill.models.causal_base import CausalBase
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.teachers.token_scoring import TokenScorer
    from mashbill.train.rollouts import Rollouts
    from mashbill.train.sampled_steps import Around

_TESTED = "teacher_tests.json"


class Teachers:
    """See the module."""

    def __init__(self, around: Around) -> None:
        """Load those beside the student, and prepare to ask the others, where it samples.

        Raises:
            InputError: if one has another tokenizer, or none that is known.
            TeacherError: if one cannot be loaded, or gives no log-probabilities.
        """
        self._around = around
        spec, ctx = around.spec, around.ctx
        self.live = {name: self._beside(name) for name in spec.live_teachers()}
        """by name"""
        self.served: dict[str, TokenScorer] = {}
        """by name; none where steps are made again from rollouts"""
        self.stated: dict[str, str] = {}
        """served teacher -> how its tokenizer is known"""
        if around.rows is not None:
            for name in spec.served:
                session = ctx.teacher(name)
                scorer = getattr(session, "scorer", None)
                if scorer is None:
                    msg = (
                        f"served names {name!r}, which no server has; leave it out of served, and "
                        "its logits are computed here"
                    )
                    raise TeacherError(msg)
                self.served[name] = scorer()
                self.stated[name] = _same_tokenizer(
                    name, self.served[name], around.encoder, spec.base
                )
                self.served[name].text_of = _text_of(around.encoder)

    def _beside(self, name: str) -> LiveTeacher:
        around = self._around
        try:
            weights = around.ctx.teacher_weights(name)
        except TeacherError as error:
            msg = f"teacher {name!r}: {error}; one that a server has is named in served, too"
            raise TeacherError(msg) from error
        device = str(around.student.model.device)
        logits = TeacherLogits(weights, torch.get_num_threads(), device)
        return LiveTeacher(logits, around.encoder, around.base)

    def check_lengths(self, longest: int) -> None:
        """Raise InputError if a rollout is longer than a teacher was made for.

        Args:
            longest: tokens of prompt and completion.
        """
        for name, teacher in self.live.items():
            if teacher.context and longest > teacher.context:
                msg = (
                    f"a prompt and its completion have {longest:,} tokens, and teacher {name!r} "
                    f"was made for {teacher.context:,}; set max_tokens to that, or less"
                )
                raise InputError(msg)

    def logprobs(
        self, name: str, sequences: Sequence[tuple[list[int], list[int]]]
    ) -> list[list[float]]:
        """Return what a teacher beside the student gives completions, one behind the other.

        Args:
            name: of the teacher.
            sequences: ids of prompt and completion.
        """
        return _logprobs(self.live[name], sequences)

    def test(self, rows: Rollouts) -> None:
        """Put all teachers to the test by what was sampled, once; what it says is kept.

        Args:
            rows: rollouts of one step.

        Raises:
            InputError: if one is noisier than what it teaches.
        """
        path = self._around.ctx.work / _TESTED
        if path.exists():
            return
        spec = self._around.spec
        numbers = range(min(len(rows), spec.test_rollouts))
        pairs = rows.pairs(n for n in numbers if rows.ids[n])
        own = _student_logprobs(self._around.student, pairs)
        found = {}
        for name in spec.teaching.teachers:
            twice = self._twice(name, pairs, own)
            found[name] = passed(name, twice, spec.noise_ratio)
            if name in self.stated:
                found[name]["tokenizer"] = self.stated[name]
        write_atomically(path, json.dumps(found).encode())

    def tests(self) -> dict[str, Any]:
        """Return what the test said of each teacher; empty where it was not made here."""
        path: Path = self._around.ctx.work / _TESTED
        found: dict[str, Any] = read_json(path) if path.exists() else {}
        return found

    def _twice(
        self, name: str, pairs: list[tuple[list[int], list[int]]], own: list[list[float]]
    ) -> TwiceScored:
        """Return the tokens of rollouts as a teacher gives them, in two ways."""
        if name in self.live:
            first: Any = self.logprobs(name, pairs)
            alone: Any = [self.logprobs(name, [pair])[0] for pair in pairs]
            return TwiceScored.of(first, alone, own, "packed, and one sequence at a time")
        scorer = self.served[name]
        asked = [Tokens((*prompt, *ids), len(prompt)) for prompt, ids in pairs]
        first = _given(name, scorer.score(asked), pairs)
        other = self._around.spec.tested_by.get(name)
        if other is not None:
            here = self._beside(other)
            alone = [_logprobs(here, [pair])[0] for pair in pairs]
            how = f"by the server, and by the weights of {other!r} here, one sequence at a time"
            return TwiceScored.of(first, alone, own, how)
        again = _given(name, scorer.score(asked[::-1], again=1), pairs[::-1])[::-1]
        return TwiceScored.of(first, again, own, "by the server twice")


def _given(
    name: str, scores: list[TokenScores], pairs: list[tuple[list[int], list[int]]]
) -> list[tuple[float | None, ...]]:
    """Return log-probabilities of each sequence; none of those that could not be scored.

    Raises:
        TeacherError: if none could.
    """
    if scores and all(each.failed for each in scores):
        msg = (
            f"teacher {name!r} scored none of the {len(scores):,} rollouts that it was tested by; "
            f"of the first: {scores[0].failed}"
        )
        raise TeacherError(msg)
    return [
        (None,) * len(ids) if each.failed else each.logprobs
        for each, (_, ids) in zip(scores, pairs, strict=True)
    ]


def _same_tokenizer(name: str, scorer: TokenScorer, encoder: ConversationTokens, base: str) -> str:
    """Return how it is known that a served teacher has the student's map of ids.

    Raises:
        InputError: if it has another, or if nothing says which it has.
    """
    file, same_as = scorer.reads.file, scorer.reads.same_as
    if file is not None:
        if not file.is_file():
            msg = f"teachers.{name}: tokenizer = {str(file)!r} is not there"
            raise InputError(msg)
        check_tokenizer(file)
        theirs = ids_digest(Tokenizer.from_file(str(file)))
        if apart := other_map(theirs, ids_digest(encoder.tokenizer)):
            msg = (
                f"teachers.{name} has another tokenizer than the student: {apart}; name a teacher "
                "and a base of one family"
            )
            raise InputError(msg)
        return "compared"
    if same_as == base:
        return f"stated to be that of {base}"
    said = f"says that it has that of {same_as!r}" if same_as else "says nothing of its tokenizer"
    msg = (
        f"teachers.{name} {said}, and the student has that of {base!r}: its log-probabilities are "
        "of token ids, which mean other texts in another tokenizer, whatever their number. Set "
        f"tokenizer = its tokenizer.json in [teachers.{name}], or same_tokenizer_as = {base!r} if "
        "you know it"
    )
    raise InputError(msg)


def _text_of(encoder: ConversationTokens) -> Any:
    tokenizer = encoder.tokenizer
    return lambda token: str(tokenizer.decode([token], skip_special_tokens=False))


def _cut(nats: torch.Tensor, sequences: Sequence[tuple[list[int], list[int]]]) -> list[list[float]]:
    found = (-nats).tolist()
    ends = np.cumsum([len(ids) for _, ids in sequences]).tolist()
    return [found[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _logprobs(
    teacher: LiveTeacher, sequences: Sequence[tuple[list[int], list[int]]]
) -> list[list[float]]:
    if not sequences:
        return []
    given, asked = teacher.of_completions(sequences)
    nats = token_nats(
        given.hidden_ne,
        given.head_ve,
        asked.targets.to(given.hidden_ne.device),
        bias_v=given.bias_v,
    )
    return _cut(nats, sequences)


def _student_logprobs(
    student: CausalBase, sequences: Sequence[tuple[list[int], list[int]]]
) -> list[list[float]]:
    """Return what the student gives completions at temperature 1, one sequence at a time."""
    was_training = student.model.training
    student.model.eval()
    try:
        found = []
        for pair in sequences:
            asked = Completions.of([pair], shared=False)
            with torch.no_grad(), student.together(asked.lengths):
                states = student.states(asked.sequences).float()
            head, bias = student.head
            own = states[asked.told.to(states.device)]
            targets = asked.targets.to(own.device)
            found += _cut(token_nats(own, head, targets, bias_v=bias), [pair])
        return found
    finally:
        student.model.train(was_training)
