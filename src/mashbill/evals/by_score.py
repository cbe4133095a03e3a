"""Systems by a verifier's scores of their answers, of which one may be a row's only one or several.

What came of an answer is kept apart: scored; undecided or failed, as the verifier says; truncated;
missing, where there is no output; unanswered, where a row has no answer at all. Only what was
scored has a score, and bounds say what the rest could come to.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.attempts import Attempts
from mashbill.core.dataset import Dataset
from mashbill.core.errors import InputError
from mashbill.core.naming import free_names
from mashbill.core.paired import spread_of
from mashbill.core.reasons import Reasons, rejections
from mashbill.core.record import one_batch, user_columns
from mashbill.core.texts import texts_of
from mashbill.core.verifier import Case
from mashbill.evals.columns_given import by_seed, came_of, reason_of
from mashbill.evals.form import Form
from mashbill.evals.measured import Measured
from mashbill.verifiers.judge_controls import LOOKED_AT
from mashbill.verifiers.scoring import (
    CAME,
    ISOLATION,
    REASON,
    Looked,
    check_looked,
    held_to_itself,
    score_rows,
    unheeded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.core.verifier import VerifierSession, VerifierSpec
    from mashbill.evals.answers import Answers

UNANSWERED = "unanswered"
_SAID = (*CAME, UNANSWERED)
_AT_ONCE = 1024


@dataclass(frozen=True)
class Asked:
    """How answers are scored."""

    verifier: VerifierSession
    column: str
    """of answers: what is scored"""
    reference: str
    """column with what is known to be right, of the rows or of the answers; empty for none"""
    finish: str
    """column of answers with why each ended; empty if they do not say"""
    passes: float
    """score from which an attempt passes"""
    unanswered_is_wrong: bool
    """whether no answer counts as 0"""
    warn: Callable[[str], None]
    """is told what may be wrong"""


@dataclass(frozen=True)
class _Seed:
    """What came of the answers of one dataset, by row; all of shape (rows,)."""

    sums: np.ndarray
    scored: np.ndarray
    passed: np.ndarray
    unscored: np.ndarray
    came: Counter[str]
    codes: np.ndarray
    """what came of each row's answers, a bit for each name of ``_SAID``; uint8"""
    why: list[str | None]
    """the verifier's reason of each row's first answer"""
    isolation: Counter[str]
    """under which isolation answers were run"""
    form: Form
    """how long answers are, and how many repeat"""

    @property
    def values(self) -> np.ndarray:
        """The mean score of each row, NaN where none was scored."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found: np.ndarray = self.sums / self.scored
        return found


def scored(
    system: str,
    made: Sequence[Answers],
    rows: pa.Table,
    how: Asked,
    units: np.ndarray,
    ks: tuple[int, ...],
) -> Measured:
    """Return what a system's answers are worth.

    Args:
        system: its name.
        made: its answers, a dataset a seed.
        rows: of the evaluation.
        how: they are scored.
        units: rows with the same number are one prompt, whose answers are attempts at it.
        ks: of pass@k; those that say most if there are none.

    Raises:
        InputError: if a column is not there.
    """
    seeds = [_seed(answers, rows, how) for answers in made]
    values = np.stack([seed.values for seed in seeds])
    came: Counter[str] = Counter()
    for seed in seeds:
        came.update(seed.came)
    facts: dict[str, Any] = {
        "came": {name: came[name] for name in _SAID if came[name] or name == CAME[0]},
        **_bounds(seeds),
        **_form(seeds).as_json(),
    }
    if under := sum((seed.isolation for seed in seeds), Counter[str]()):
        facts["isolation"] = dict(under)
    if came[UNANSWERED] and (why := _why(made)):
        facts["why_unanswered"] = why
    attempts = [_attempts(seed, units) for seed in seeds]
    if any(scored + other > 1 for tally in attempts for scored, _, other in tally.groups) or ks:
        facts["pass_at"] = _pass_at(attempts, ks)
    means = np.array([math.fsum(row) / len(row) for row in values.T.tolist()])
    given = {system: pa.array(means, pa.float64(), mask=np.isnan(means))}
    if len(seeds) > 1:
        given |= {
            name: pa.array(own, pa.float64(), mask=np.isnan(own))
            for name, own in zip(by_seed(system, len(seeds)), values, strict=True)
        }
    given[came_of(system)] = pa.array(_all_said(seeds), pa.string())
    given[reason_of(system)] = pa.array(seeds[0].why, pa.string())
    return Measured(values, facts, given)


def check_read(answers: Answers, rows: pa.Table, how: Asked) -> None:
    """See that a verifier can be given a system's answers, by the columns and what they hold.

    Raises:
        InputError: if one is not there, or holds something else than texts.
    """
    reads = how.verifier.spec.reads()
    none = np.empty(0, np.int64)
    table, right = _beside(answers.data.read(0, 0), none, rows, how, reads, answers.name)
    looked = Looked(answers.name, how.column, right, how.finish)
    check_looked(how.verifier.spec, one_batch(table), looked)


def _beside(
    answers: pa.Table,
    places: np.ndarray,
    rows: pa.Table,
    how: Asked,
    reads: Sequence[str],
    of: str,
) -> tuple[pa.Table, str]:
    """Return answers with what their verifier reads, and the column with what is right.

    What is right is the rows', if they say it. It gets a name of its own there, since answers may
    have a column of the same name: the very one that is scored, or one that the verifier reads.
    What else it reads is the answer's own where it has it, such as the conversation that it ended.

    Raises:
        InputError: if a column is not there, or what is right is the answer itself.
    """
    own, theirs = user_columns(answers.column_names), user_columns(rows.column_names)
    kept = {name: answers.column(name) for name in own}
    at = pa.array(places)
    for name in reads:
        if name not in own and name != how.column:
            if name not in theirs:
                raise InputError(_lacking(name, own, theirs, of))
            kept[name] = rows.column(name).take(at)
    right = how.reference
    if right in theirs:
        wanted = f"{right} of the rows"
        right = free_names([wanted], kept)[wanted]
        kept[right] = rows.column(how.reference).take(at)
    elif right and right == how.column:
        lacking = ", and the rows that it answers have no such column"
        raise InputError(held_to_itself(right, of, lacking))
    elif right and right not in own:
        raise InputError(_lacking(right, own, theirs, of))
    return pa.table(kept), right


def _lacking(name: str, own: Sequence[str], theirs: Sequence[str], of: str) -> str:
    return (
        f"neither {of} nor the rows that it answers have a column {name!r}; they have "
        f"{', '.join(dict.fromkeys([*own, *theirs]))}; correct the name, or keep the "
        "column along the way"
    )


def _seed(answers: Answers, rows: pa.Table, how: Asked) -> _Seed:
    count = rows.num_rows
    sums, done, passed, other = (np.zeros(count) for _ in range(4))
    came: Counter[str] = Counter()
    codes = np.zeros(count, np.uint8)
    why: list[str | None] = [None] * count
    isolation: Counter[str] = Counter()
    form = Form()
    reads = how.verifier.spec.reads()
    for start, piece in answers.data.chunks(_AT_ONCE) if answers.data.num_rows else ():
        places = answers.places[start : start + piece.num_rows]
        table, right = _beside(piece, places, rows, how, reads, answers.name)
        batch, looked = one_batch(table), Looked(answers.name, how.column, right, how.finish)
        if name := unheeded(batch, looked):
            how.warn(
                f"column {name} of {answers.name} says that some answers were cut off, and they "
                f'are scored as if they were whole: set finish = "{name}" to tell them apart'
            )
        found = score_rows(how.verifier, batch, looked)
        came.update(found.came)
        form.add(texts_of(batch, how.column, answers.name))
        if ISOLATION in found.columns:
            isolation.update(name for name in found.columns[ISOLATION].to_pylist() if name)
        values = found.values
        if how.unanswered_is_wrong:
            values = np.where([each == "missing" for each in found.came], 0.0, values)
        there = ~np.isnan(values)
        sums += np.bincount(places, np.where(there, values, 0), count)
        done += np.bincount(places, there, count)
        passed += np.bincount(places, values >= how.passes, count)
        other += np.bincount(places, ~there, count)
        for place, reason in zip(places.tolist(), found.columns[REASON].to_pylist(), strict=True):
            if not codes[place] and why[place] is None:
                why[place] = reason
        bits = np.array([1 << _SAID.index(each) for each in found.came], np.uint8)
        np.bitwise_or.at(codes, places, bits)
    lacking = (done + other) == 0
    came[UNANSWERED] += int(lacking.sum())
    (done if how.unanswered_is_wrong else other)[lacking] = 1
    codes[lacking] = 1 << _SAID.index(UNANSWERED)
    return _Seed(sums, done, passed, other, came, codes, why, isolation, form)


def _form(seeds: Sequence[_Seed]) -> Form:
    """Return the form of the answers under all seeds."""
    whole = Form()
    for seed in seeds:
        whole.answers += seed.form.answers
        whole.characters += seed.form.characters
        whole.repeating += seed.form.repeating
    return whole


def _why(made: Sequence[Answers]) -> str:
    """Return the commonest reasons for which the last step before rejected rows; no row's text."""
    reasons = Reasons(elided=True)
    for answers in made:
        if isinstance(answers.data, Dataset):
            found = rejections(answers.data.path, answers.data.manifest.rejected, elided=True)
            for one in found.commonest(None):
                reasons.add(one.reason, one.rows)
    return reasons.told()


def _bounds(seeds: Sequence[_Seed]) -> dict[str, float]:
    """Return the mean score if nothing that was not scored were worth anything, and if all were."""
    least = [seed.sums / (seed.scored + seed.unscored) for seed in seeds]
    most = [(seed.sums + seed.unscored) / (seed.scored + seed.unscored) for seed in seeds]
    if not least[0].size:
        return {"at_least": 0.0, "at_most": 1.0}
    return {"at_least": float(np.mean(least)), "at_most": float(np.mean(most))}


def _attempts(seed: _Seed, units: np.ndarray) -> Attempts:
    made = Attempts()
    count = int(units.max()) + 1 if len(units) else 0
    counts = (seed.scored, seed.passed, seed.unscored)
    summed = [np.bincount(units, own, count).astype(np.int64).tolist() for own in counts]
    for done, passed, other in zip(*summed, strict=True):
        made.add(done, passed, other)
    return made


def _pass_at(attempts: Sequence[Attempts], ks: tuple[int, ...]) -> dict[str, Any]:
    """Return pass@k of each k; over several seeds their mean and its spread."""
    ks = ks or attempts[0].ks()
    if len(attempts) == 1:
        return {str(k): attempts[0].pass_at(k).as_json() for k in ks}
    found = {}
    for k in ks:
        each = [tally.pass_at(k) for tally in attempts]
        told = [math.nan if one.estimate is None else one.estimate for one in each]
        spread = spread_of(told).as_json()
        found[str(k)] = {
            "estimate": spread.pop("mean"), **spread,
            "at_least": float(np.mean([one.at_least for one in each])),
            "at_most": float(np.mean([one.at_most for one in each])),
        }  # fmt: skip
    return found


def _all_said(seeds: Sequence[_Seed]) -> list[str]:
    """Return in words what came of each row's answers, under all seeds."""
    codes = np.bitwise_or.reduce([seed.codes for seed in seeds])
    words = {
        code: " and ".join(name for bit, name in enumerate(_SAID) if code >> bit & 1)
        for code in np.unique(codes).tolist()
    }
    return [words[code] for code in codes.tolist()]


def cases_of(made: Answers, rows: pa.Table, how: Asked, verifier: VerifierSpec) -> list[Case]:
    """Return a system's first answers that say something, as a verifier is given them.

    Args:
        made: the answers.
        rows: of the evaluation.
        how: they are scored.
        verifier: that is asked, or a part of it.
    """
    stop = min(LOOKED_AT, made.data.num_rows)
    if not stop:
        return []
    reads = verifier.reads()
    some = made.data.read(0, stop)
    table, right = _beside(some, made.places[:stop], rows, how, reads, made.name)
    outputs = texts_of(table, how.column, made.name)
    known = texts_of(table, right, made.name) if right else [""] * stop
    beside = table.select(list(reads)).to_pylist() if reads else [{}] * stop
    return [
        Case(output, reference or None, row)
        for output, reference, row in zip(outputs, known, beside, strict=True)
        if output.strip()
    ]
