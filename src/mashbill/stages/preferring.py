"""Which of two completions is better: by judges, by a score, or as the recipe declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.agreement import agreement, counted
from mashbill.stages.voting import ask, held_against_gold, share_of_votes, verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import TeacherSession
    from mashbill.stages.completions import Completions
    from mashbill.stages.pairing import Pairs
    from mashbill.stages.prefer import PreferSpec
    from mashbill.stages.voting import Asking, Votes, Word

_WORDS = {1.0: "first", -1.0: "second", 0.0: "tie"}
_WEAK = 0.2
"""kappa or alpha below which judges are told to agree hardly more than by chance"""
_MANY = 20  # pairs from which on that is told


@dataclass
class Found:
    """What was found of each pair."""

    better: np.ndarray
    """1 if its first is better, -1 if its second is, 0 for a tie; NaN if nobody said; (pairs,)"""
    margins: np.ndarray | None = None
    """by how much its first is better, NaN where nobody said; None where nothing is measured"""
    reasons: list[str | None] = field(default_factory=list)
    """why a pair is rejected"""
    ties: list[str] = field(default_factory=list)
    """what a tie of this pair is"""
    calls: list[str | None] | None = None
    """digest of a call that each rests on; None where nobody is asked"""
    words: Mapping[str, Word] = field(default_factory=dict)
    """what each judge says"""
    shares: np.ndarray | None = None
    """share of the judges' votes that its first has"""


def declared(pairs: int) -> Found:
    """Return that the first of each pair is better, as the recipe says."""
    return Found(np.ones(pairs), reasons=[None] * pairs, ties=[""] * pairs)


def by_reward(scores: np.ndarray, pairs: Pairs, within: float) -> Found:
    """Return which has the higher score.

    Args:
        scores: of all rows.
        pairs: those that are compared.
        within: difference up to which neither is better.
    """
    margins = scores[pairs.first] - scores[pairs.second]
    better = np.where(np.abs(margins) <= within, 0.0, np.sign(margins))
    ties = [
        f"a tie: the scores are {one:.4g} and {two:.4g}"
        for one, two in zip(
            scores[pairs.first].tolist(), scores[pairs.second].tolist(), strict=True
        )
    ]
    return Found(better, margins, [None] * len(pairs), ties)


def by_judges(
    teachers: Mapping[str, TeacherSession],
    how: Asking,
    votes: Votes,
    given: Completions,
    pairs: Pairs,
    columns: tuple[str, str],
) -> Found:
    """Ask judges about all pairs.

    Args:
        teachers: the judges, by name.
        how: they are asked.
        votes: how their votes become a verdict.
        given: the completions.
        pairs: those that are compared.
        columns: of what was asked, and of completions.
    """
    asked, column = columns
    cells = [
        given.texts(pairs.first, asked),
        given.texts(pairs.first, column),
        given.texts(pairs.second, column),
    ]
    lacks = [
        next((name for name, cell in zip((asked, column, column), row, strict=True)
              if cell is None), None)
        for row in zip(*cells, strict=True)
    ]  # fmt: skip
    reasons = [None if name is None else f"its column {name} is empty" for name in lacks]
    prompts, one, two = ([text or "" for text in cell] for cell in cells)
    equal = [a == b for a, b in zip(one, two, strict=True)]
    same = "both completions are the same"
    open_ = list(reasons)
    if how.swap:  # one way round, what a judge leans to is measured over all
        open_ = [reason or (same if is_so else None) for reason, is_so in
                 zip(reasons, equal, strict=True)]  # fmt: skip
    words = {
        name: ask(teacher, how, prompts, (one, two), open_) for name, teacher in teachers.items()
    }
    said = list(words.values())
    better, margins = verdicts(said, votes)
    for at in np.flatnonzero(np.isnan(better)).tolist():
        reasons[at] = reasons[at] or next(
            (word.problems[at] for word in said if word.problems[at]), None
        )
    reasons = [reason or (same if is_so else None) for reason, is_so in
               zip(reasons, equal, strict=True)]  # fmt: skip
    calls = [
        next((call for call in each if call), None)
        for each in zip(*(word.calls for word in said), strict=True)
    ]
    ties = [_tie(said, how, at) if better[at] == 0 else "" for at in range(len(better))]
    return Found(better, margins, reasons, ties, calls, words, share_of_votes(said))


def _tie(words: list[Word], how: Asking, at: int) -> str:
    """Say of what kind a tie is."""
    if len(words) == 1:
        if how.swap and abs(words[0].margins[at]) > how.within:
            return "a tie: asked the other way round, the judge preferred the other one"
        return "a tie: the judge finds neither better"
    votes = [word.votes[at] for word in words]
    told = ", ".join(
        f"{votes.count(side)} for {what}"
        for side, what in ((1.0, "the one"), (-1.0, "the other"), (0.0, "neither"))
    )
    return f"a tie: of the judges, {told}"


def measure(
    spec: PreferSpec, given: Completions, pairs: Pairs, found: Found, ctx: StageContext
) -> None:
    """Write down what was found: verdicts, agreement of judges, how they stand to gold.

    Args:
        spec: the stage.
        given: the completions.
        pairs: those that were compared.
        found: what was found of them.
        ctx: gets the measures.
    """
    told = ctx.measures
    told["pairs"] = len(pairs)
    counts = np.bincount(given.inputs[pairs.rows], minlength=len(given.names))
    told["unpaired"] = {  # completions
        name: int(table.num_rows - count)
        for name, table, count in zip(given.names, given.tables, counts.tolist(), strict=True)
    }
    for name, alone in told["unpaired"].items():
        if alone and not spec.leaves_some_out:
            ctx.warn(
                f"{alone:,} row{'s' if alone > 1 else ''} of {name} found no other with equal "
                f"{' and '.join(spec.keys)}, or have none of these; they are in no pair"
            )
    wins = dict.fromkeys(given.names, 0)
    for rows, side in ((pairs.first, 1), (pairs.second, -1)):
        for number in given.inputs[rows[found.better == side]].tolist():
            wins[given.names[number]] += 1
    told["verdicts"] = {
        "better": wins,
        "ties": int((found.better == 0).sum()),
        "not_judged": int(np.isnan(found.better).sum()),
    }
    if spec.gold:
        gold = given.preferred(spec.gold, pairs.first, pairs.second)
        told["gold"] = held_against_gold(found.better, gold)
        for word in found.words.values():
            word.facts["gold"] = held_against_gold(word.votes, gold)
    if not found.words:
        return
    if not spec.judges:
        told["lean_to_the_first"] = found.words[spec.teacher].facts["lean_to_the_first"]
    told["judges"] = {name: dict(word.facts) for name, word in found.words.items()}
    if len(found.words) > 1:
        told["agreement"] = _agreement(found.words)
        _warn_of_judges(told["agreement"], ctx)


def _agreement(words: Mapping[str, Word]) -> dict[str, Any]:
    """Return how far judges agree, with the count of each pattern of votes."""
    votes = np.stack([word.votes for word in words.values()], axis=1)
    patterns = counted(
        tuple(None if np.isnan(vote) else _WORDS[float(vote)] for vote in row) for row in votes
    )
    return {"judges": list(words), "patterns": patterns, **agreement(list(words), patterns)}


def _warn_of_judges(told: Mapping[str, Any], ctx: StageContext) -> None:
    alpha = told["alpha"]
    if told["things"] >= _MANY and alpha is not None and alpha < _WEAK:
        ctx.warn(
            f"the judges {', '.join(told['judges'])} agree hardly more than by chance over "
            f"{told['things']:,} pairs (Krippendorff's alpha {alpha:.2f}, of 1): what they prefer "
            "says little"
        )
