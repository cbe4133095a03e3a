"""What ``verify`` does where a verifier scores rows: their scores, and which of them go."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.missing import missing_in
from mashbill.core.verifier import OUTCOMES, Case, Score
from mashbill.stages.judging import empty_among, texts_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from mashbill.core.verifier import Outcome, VerifierSession, VerifierSpec

SCORE, REASON, ISOLATION = "score", "reason", "isolation"
PART = "score_{}"
"""column of a component"""


def given_by(verifier: VerifierSpec) -> tuple[str, ...]:
    """Return the columns that a verifier's scores become."""
    rules = verifier.rules
    under = (ISOLATION,) if rules.isolates else ()
    return (SCORE, REASON, *under, *(PART.format(name) for name in rules.components))


def scores_of_rows(
    verifier: VerifierSession, batch: pa.RecordBatch, output: str, reference: str, of: str
) -> tuple[list[Score | None], list[str | None]]:
    """Score rows; return the score of each, and why it has none.

    Args:
        verifier: who scores.
        batch: rows.
        output: column of what is scored.
        reference: column of what is known to be right; empty if there is none.
        of: the input, for messages.

    Raises:
        InputError: if one of the columns is not there.
    """
    outputs = texts_of(batch, output, of)
    known: list[str | None] = [None] * batch.num_rows
    if reference:
        lacking = missing_in(batch.column(reference)) if reference in batch.schema.names else ()
        texts = texts_of(batch, reference, of)
        known = [None if no else text for text, no in zip(texts, lacking, strict=True)]
    rows: list[dict[str, Any]] = [{} for _ in outputs]
    if read := verifier.spec.reads():
        for name in read:
            texts_there(batch, name, of)
        rows = batch.select(list(read)).to_pylist()
    reasons = empty_among(batch, [output])
    open_ = [place for place, reason in enumerate(reasons) if reason is None]
    cases = [Case(outputs[place], known[place], rows[place]) for place in open_]
    scores: list[Score | None] = [None] * batch.num_rows
    for place, score in zip(open_, verifier.score(cases), strict=True):
        scores[place] = score
    return scores, reasons


def texts_there(batch: pa.RecordBatch, name: str, of: str) -> None:
    """Raise InputError if rows lack a column, of any type."""
    if name not in batch.schema.names:
        texts_of(batch, name, of)


def turned_down(
    scores: list[Score | None],
    reasons: list[str | None],
    threshold: float,
    kept: Collection[Outcome],
) -> list[str | None]:
    """Return for each row why it goes; None if it stays.

    Args:
        scores: of each.
        reasons: why one was not scored.
        threshold: scores below it go.
        kept: of undecided and failed, what stays all the same.
    """
    found = list(reasons)
    for place, score in enumerate(scores):
        if score is None:
            continue
        if score.value is None:
            found[place] = None if score.outcome in kept else said(score)
        elif score.value < threshold:
            why = f": {score.reason}" if score.reason else ""
            found[place] = f"score {score.value:.4f}, below {threshold}{why}"
    return found


def said(score: Score) -> str:
    """Return a score's reason; one that is none begins with what it is."""
    return score.reason if score.outcome == "scored" else f"{score.outcome}: {score.reason}"


def columns_of(scores: list[Score | None], verifier: VerifierSpec) -> dict[str, pa.Array]:
    """Return scores as columns: null where there is none."""
    values = [None if score is None else score.value for score in scores]
    told = [None if score is None else said(score) or None for score in scores]
    parts = {
        PART.format(name): pa.array(
            [None if score is None else score.components.get(name) for score in scores],
            pa.float64(),
        )
        for name in verifier.rules.components
    }
    columns = {SCORE: pa.array(values, pa.float64()), REASON: pa.array(told, pa.string())}
    if verifier.rules.isolates:
        under = [None if score is None else score.isolation or None for score in scores]
        columns[ISOLATION] = pa.array(under, pa.string())
    return columns | parts


def isolations(scores: list[Score | None]) -> dict[str, int]:
    """Return how many outputs were run under each isolation; what was not run is in none."""
    counts = Counter(score.isolation for score in scores if score is not None and score.isolation)
    return dict(counts)


def outcomes(scores: list[Score | None]) -> dict[str, int]:
    """Return how many outputs were scored, undecided and failed."""
    counts = Counter(score.outcome for score in scores if score is not None)
    return {name: counts[name] for name in OUTCOMES}
