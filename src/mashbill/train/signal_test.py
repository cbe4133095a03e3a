"""Whether what a teacher with another tokenizer says of a student's tokens is a signal at all.

Distillation across tokenizers goes wrong without a word: losses fall, and what is learned is
nothing or wrong. So before the first step some answers of the rows themselves are tried, of which
it is known what is right, and a teacher that does not tell them apart is refused:

* the groups' log-probabilities, in sum, have to be the teacher's own of its whole answer, computed
  by
  another way, so that nothing is left out, counted twice or moved by a token;
* most bytes of answers have to be in groups, and groups have to be short;
* of an answer and the same one with its words (its letters, where it has few words) in another
  order,
  the aligned score has to prefer the first, in most pairs;
* the teacher's log-probability of a token has to be better than that of all tokens being alike;
* where distributions are compared, most of the teacher's probability has to be in tokens that the
  student has too, and most of the student's tokens in answers have to be some that the teacher has:
  others are the rest, to which such a teacher gives nothing, and so would the student learn to.

Of two prompts it is measured, too, whether each answer is likelier behind its own than the two are
exchanged (which no answer wins by being likely everywhere); where answers are too short to be put
in another order, that decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.models.token_alignment import UnalignedError, align
from mashbill.train.aligned_rows import AlignedPair, Pair, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.train.cross_nats import CrossTeacher

LEAST_ALIGNED = 0.5
"""share of answers of which something is aligned"""
LEAST_COVERED = 0.9
"""share of the bytes of tried answers that are in groups"""
LONGEST_GROUP = 48
"""bytes of a group that says anything of a token"""
MOST_LONG = 0.25
"""share of bytes in longer groups"""
LEAST_PREFERRED = 0.75
"""share of pairs in which the right one is preferred; by chance it is a half"""
FEWEST_PAIRS = 8
"""pairs below which nothing is said"""
FEWEST_TOKENS = 32
"""tokens of the teacher's below which its nats say nothing"""
MOST_OF_UNIFORM = 0.9
"""nats of a token, of those of all tokens being alike"""
MOST_UNSHARED = 0.1
"""of the student's tokens in answers, those that the teacher has not, where these are the rest"""
LEAST_MASS = 0.5
"""of the teacher's probability within the common vocabulary"""
_ORDERS = 8  # orders that one answer is put in, at most
_WANTED = 48  # pairs
_CLOSE = 2e-3  # of a sum of log-probabilities computed in two ways


@dataclass
class _Tried:
    """One answer."""

    pair: Pair
    aligned: AlignedPair
    text: bytes
    untold: int
    """bytes of its first token, where nothing stands before a text to tell it"""
    sums: np.ndarray = field(default_factory=lambda: np.empty(0))
    """the teacher's log-probability of each group"""


def signal_test(
    teacher: CrossTeacher, kept: Sequence[Pair], counts: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return what was measured, having refused what is no signal.

    Args:
        teacher: and how it is aligned with the student.
        kept: some answers of the rows that are learned from.
        counts: answers there are, and how many were aligned.
        seed: of the orders that words are put in.

    Raises:
        InputError: if the signal is wrong or too weak, with the figures and what to do.
    """
    share = counts["aligned"] / max(1, counts["answers"])
    measures: dict[str, Any] = {"answers": counts["answers"], "aligned_share": round(share, 4)}
    if not kept or share < LEAST_ALIGNED:
        _refuse(
            f"only {counts['aligned']:,} of {counts['answers']:,} answers could be aligned with "
            f"what the teacher reads (at least {LEAST_ALIGNED:.0%} have to be): {_reasons(counts)}",
            "name a teacher whose tokenizer leaves texts as they are, or set reasoning = "
            "'leave-out' if its template writes reasoning in another way",
        )
    tried = [_tried(teacher, pair) for pair in kept]
    measures |= _agreement(teacher, tried)
    measures |= _cover(teacher, tried)
    measures |= _preferences(teacher, tried, seed)
    _judge(measures, across=teacher.across)
    return measures


def _tried(teacher: CrossTeacher, pair: Pair) -> _Tried:
    groups = align(
        teacher.student, pair.student, teacher.reader, pair.teacher, context=teacher.teacher.context
    )
    last = max(group.teacher[1] for group in groups)
    found = AlignedPair(
        np.array(pair.student.ids, np.int64),
        [np.array(pair.teacher.ids[:last], np.int64)],
        np.array([row_of(group) for group in groups], np.int64).reshape(-1, 6),
    )
    own = pair.student
    begin = own.begin if own.text_from < 0 else own.text_from
    ids = [i for i in own.ids[begin : own.end] if i not in teacher.student.ends]
    pieces = teacher.student.bytes.of(ids)
    untold = len(pieces[0]) if pieces and begin == 0 else 0
    return _Tried(pair, found, b"".join(pieces), untold)


def _agreement(teacher: CrossTeacher, tried: Sequence[_Tried]) -> dict[str, Any]:
    """Hold groups' sums against the teacher's log-probability of the answer, computed otherwise."""
    apart, nats, tokens = 0.0, 0.0, 0
    for each in tried:
        each.sums = teacher.teacher_sums([each.aligned]).cpu().numpy()
        groups = each.aligned.groups
        begin, end = int(groups[:, 2].min()), int(groups[:, 3].max())
        whole = teacher.teacher.whole_logprobs(each.aligned.teacher[0])[begin - 1 : end - 1]
        # Tokens between that are in no group: of a template, at an answer's edge.
        inside = np.zeros(end - begin, bool)
        for first, last in groups[:, 2:4] - begin:
            inside[first:last] = True
        outside = float(whole[~inside].sum())
        difference = abs(float(each.sums.sum()) + outside - float(whole.sum()))
        apart = max(apart, difference / max(1.0, abs(float(whole.sum()))))
        nats -= float(whole.sum())
        tokens += len(whole)
    size = teacher.teacher.vocabulary
    return {
        "tried_tokens": tokens,
        "sums_apart": float(f"{apart:.3g}"),
        "teacher_nats_a_token": round(nats / max(1, tokens), 4),
        "of_uniform": round(nats / max(1, tokens) / float(np.log(max(2, size))), 4),
    }


def _cover(teacher: CrossTeacher, tried: Sequence[_Tried]) -> dict[str, Any]:
    groups = np.concatenate([each.aligned.groups for each in tried])
    size = groups[:, 4]
    covered = max(1, int(size.sum()))
    there = max(1, sum(len(each.text.strip()) - each.untold for each in tried))
    found = {
        "tried": len(tried),
        "covered_bytes": round(min(1.0, covered / there), 4),
        "one_to_one_bytes": round(float(size[groups[:, 5] > 0].sum()) / covered, 4),
        "long_group_bytes": round(float(size[size > LONGEST_GROUP].sum()) / covered, 4),
        "bytes_a_group": round(covered / max(1, int((size > 0).sum())), 3),
        "shared_tokens": teacher.common.shared,
    }
    if teacher.across in {"common", "prefixes"}:
        mass = teacher.teacher_mass([each.aligned for each in tried])
        found["teacher_mass_shared"] = round(mass, 4)
        own = [
            each.aligned.student[begin:end]
            for each in tried
            for begin, end in each.aligned.groups[:, :2]
        ]
        outcomes = teacher.common.student_v[np.concatenate(own)]
        found["unshared_tokens"] = round(float((outcomes == teacher.common.outcomes - 1).mean()), 4)
    return found


def _preferences(teacher: CrossTeacher, tried: Sequence[_Tried], seed: int) -> dict[str, Any]:
    random = np.random.default_rng([seed, 0x516])
    orders = max(1, min(_ORDERS, -(-_WANTED // len(tried))))
    right = pairs = 0
    for each in tried:
        for text in _orders(each.text, orders, random):
            wrong = _score(teacher, each.pair, each.pair, text)
            if wrong is not None:
                pairs += 1
                right += bool(_a_byte(each.sums, each.aligned) > wrong)
    own = exchanged = 0
    for one, other in zip(tried[::2], tried[1::2], strict=False):
        if one.text == other.text or one.pair.student.begin <= 1 or other.pair.student.begin <= 1:
            continue
        first = _score(teacher, one.pair, other.pair, other.text)
        second = _score(teacher, other.pair, one.pair, one.text)
        if first is not None and second is not None:
            right_way = _a_byte(one.sums, one.aligned) * len(one.text)
            right_way += _a_byte(other.sums, other.aligned) * len(other.text)
            exchanged += 1
            own += bool(right_way > first * len(other.text) + second * len(one.text))
    return {
        "order_pairs": pairs,
        "order_preferred": round(right / pairs, 4) if pairs else None,
        "prompt_pairs": exchanged,
        "prompt_preferred": round(own / exchanged, 4) if exchanged else None,
    }


def _orders(text: bytes, many: int, random: np.random.Generator) -> Iterator[bytes]:
    """Yield a text with its words, or its letters, in other orders."""
    whole = text.decode(errors="ignore")
    words = whole.split(" ")
    between = " " if len(set(words)) >= 3 else ""
    parts = words if between else list(whole)
    if len(set(parts)) < 2:
        return
    for _ in range(many):
        other = between.join(parts[place] for place in random.permutation(len(parts)))
        # Spaces at its edges would be taken for a template's.
        if other.strip() != whole.strip() and len(other.strip()) == len(whole.strip()):
            yield other.encode()


def _score(teacher: CrossTeacher, asked: Pair, like: Pair, text: bytes) -> float | None:
    """Return the aligned score of a text as the answer to what was asked; None if there is none.

    Args:
        teacher: who scores.
        asked: whose prompts stand before it.
        like: the answer that has an end where the text is to have one.
        text: the answer.
    """
    sides = []
    for reader, answer, other in (
        (teacher.student, asked.student, like.student),
        (teacher.reader, asked.teacher, like.teacher),
    ):
        ids = reader.encoder.tokenizer.encode(text.decode(), add_special_tokens=False).ids
        last = other.ids[other.end - 1]
        ids += [last] if last in reader.ends else []
        begun = list(answer.ids[: answer.begin if answer.text_from < 0 else answer.text_from])
        whole = [*begun, *ids]
        sides.append(answer._replace(ids=whole, end=len(whole)))
    context = teacher.teacher.context
    try:
        groups = align(teacher.student, sides[0], teacher.reader, sides[1], context=context)
    except UnalignedError:
        return None
    if not groups:
        return None
    pair = AlignedPair(
        np.array(sides[0].ids, np.int64),
        [np.array(sides[1].ids[: context or None], np.int64)],
        np.array([row_of(group) for group in groups], np.int64),
    )
    return _a_byte(teacher.teacher_sums([pair]).cpu().numpy(), pair)


def _a_byte(sums: np.ndarray, *pairs: AlignedPair) -> float:
    """Return the log-probability of groups, in nats a byte of theirs.

    What is told by nothing, a text's first token, is in no group, so that bytes may differ.
    """
    return float(sums.sum()) / max(1, sum(int(pair.groups[:, 4].sum()) for pair in pairs))


def _judge(measures: Mapping[str, Any], *, across: str) -> None:
    """Raise InputError if a measure says that there is no signal."""
    if measures["sums_apart"] > _CLOSE:
        _refuse(
            f"log-probabilities of aligned groups are not those of the answer: their sums lie "
            f"{measures['sums_apart']:.3g} of it apart (at most {_CLOSE:g})",
            "name another teacher, and report this with the names of both models",
        )
    if measures["covered_bytes"] < LEAST_COVERED or measures["long_group_bytes"] > MOST_LONG:
        _refuse(
            f"{measures['covered_bytes']:.0%} of the bytes of answers are aligned (at least "
            f"{LEAST_COVERED:.0%}), {measures['long_group_bytes']:.0%} of them in groups of more "
            f"than {LONGEST_GROUP} bytes (at most {MOST_LONG:.0%})",
            "name a teacher whose tokens are more like the student's",
        )
    order, prompt = measures["order_preferred"], measures["prompt_preferred"]
    for what, share, pairs in (
        ("the same text in another order", order, measures["order_pairs"]),
        ("two answers with their prompts exchanged", prompt, measures["prompt_pairs"]),
    ):
        if pairs < FEWEST_PAIRS:
            continue
        if share < LEAST_PREFERRED:
            _refuse(
                f"of {pairs} pairs of an answer and {what}, the teacher's aligned score prefers "
                f"the right one in {share:.0%} (at least {LEAST_PREFERRED:.0%}, by chance 50%), at "
                f"{measures['teacher_nats_a_token']:.2f} nats a token",
                _UNTAUGHT,
            )
        break
    if measures["tried_tokens"] >= FEWEST_TOKENS and measures["of_uniform"] > MOST_OF_UNIFORM:
        _refuse(
            f"the teacher gives the tokens of answers {measures['teacher_nats_a_token']:.2f} nats "
            f"each, {measures['of_uniform']:.0%} of what all tokens being alike would (at most "
            f"{MOST_OF_UNIFORM:.0%})",
            _UNTAUGHT,
        )
    unshared = measures.get("unshared_tokens", 0.0)
    if unshared > MOST_UNSHARED:
        _refuse(
            f"{unshared:.0%} of the student's tokens in answers are none of the teacher's (at most "
            f"{MOST_UNSHARED:.0%}), and the student would be taught to give them nothing",
            f"set across = 'prefixes', where such a token counts as one that it begins with, or "
            f"'chunks' (across = {across!r})",
        )
    mass = measures.get("teacher_mass_shared")
    if mass is not None and measures["one_to_one_bytes"] and mass < LEAST_MASS:
        _refuse(
            f"{mass:.0%} of the teacher's probability is in tokens that the student has too (at "
            f"least {LEAST_MASS:.0%})",
            f"set across = 'chunks', which compares no vocabularies (across = {across!r})",
        )


_UNTAUGHT = (
    "name a teacher that knows such texts; if it does, its tokenizer may not be the one that its "
    "weights were trained with, or its chat template may write prompts that it was not trained on"
)


def _refuse(found: str, remedy: str) -> None:
    msg = f"the teacher's signal across tokenizers is not usable: {found}; {remedy}"
    raise InputError(msg)


def _reasons(counts: Mapping[str, Any]) -> str:
    told = counts.get("such_as", {})
    first = [
        f"{many:,}: {why} (such as: {told.get(why, '')})"
        for why, many in list(counts.get("left_out", {}).items())[:2]
    ]
    return "; ".join(first) or "there are none"


def too_few(measures: Mapping[str, Any]) -> str:
    """Return what is warned of where too few pairs could be made to tell anything; else nothing."""
    most = max(measures["order_pairs"], measures["prompt_pairs"])
    if most >= FEWEST_PAIRS:
        return ""
    return (
        f"whether the teacher's signal across tokenizers is right was tried on {most} pairs, too "
        f"few to tell (at least {FEWEST_PAIRS}): it was not refused, and nothing is known of it"
    )
