"""Rewards of attempts, as a verifier of the recipe gives them while a student learns.

A reward is a score in [0, 1]. An attempt of which the verifier could not tell (*undecided*), or at
which it could not look (*failed*), has none, and never 0. An attempt that was cut off is
*truncated*: by ``truncated`` it is scored as any other, left out, or paid a fixed reward.

What becomes columns of a rollout: ``reward`` (null where there is none), ``outcome`` (``scored``,
``undecided``, ``failed`` or ``truncated``), ``reason``, ``isolation`` where outputs are run, and a
column ``score_NAME`` for each component; beside them the digest of the call where a teacher judged.
An empty completion is scored as any other: saying nothing is an attempt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from mashbill.core.cells import is_missing
from mashbill.core.controls import check_rows
from mashbill.core.errors import InputError
from mashbill.core.record import CALL
from mashbill.core.texts import calls_column, texts_of
from mashbill.core.verifier import OUTCOMES, Case, Score
from mashbill.train.grpo import OF_ATTEMPTS
from mashbill.verifiers.scoring import REASON, SCORE, TRUNCATED, columns_of, texts_there

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.core.verifier import VerifierSession

REWARD, OUTCOME = "reward", "outcome"
Truncated: TypeAlias = Literal["score", "leave-out"] | float
"""what becomes of attempts that were cut off: scored, left out, or paid so much"""
CAME = (*OUTCOMES, "truncated")
"""what may come of an attempt"""
_TRIED = 64
"""rows whose references a verifier is tried on, of which some are compared"""
_TOLD = 3
"""reasons that an error names"""


@dataclass(frozen=True)
class Attempts:
    """Attempts of a step, or a part of them."""

    step: int
    completions: Sequence[str]
    is_cut: np.ndarray
    """whether no end came, bool, shape (attempts,)"""
    rows: Sequence[Mapping[str, Any]]
    """what the prompt's row of each has"""
    asked: Sequence[str] = ()
    """what was asked, as a text: the column ``prompt`` for a verifier, where rows have none"""


@dataclass
class Rewarding:
    """A verifier as it scores attempts."""

    name: str
    """as the recipe calls it"""
    verifier: VerifierSession
    of: str
    """the inputs, for messages"""
    reference: str = ""
    """column with what is known to be right"""
    truncated: Truncated = "score"
    whole: int = 0
    """attempts of a step, where it comes in parts; a part is a step of its own if it is 0"""
    _failed: Counter[str] = field(default_factory=Counter)
    _looked: int = 0
    _step: int = -1

    @classmethod
    def of_stage(
        cls, name: str, ctx: StageContext, inputs: Sequence[str], **more: Any
    ) -> Rewarding:
        """Load a verifier of a stage, and try it on references before it scores the first attempt.

        Args:
            name: of the verifier.
            ctx: the stage's.
            inputs: datasets of prompts.
            more: ``reference``, ``truncated`` and ``whole``.

        Raises:
            RecipeError: naming it and what it gets wrong.
            InputError: if a column that it reads is not there.
        """
        verifier = ctx.verifier(name)
        if verifier.spec.asks():
            verifier = verifier.asking(ctx.teacher)
        for said in verifier.spec.caveats().values():
            ctx.warn(f"verifiers.{name}: {said}")
        made = cls(name, verifier, ", ".join(inputs), **more)
        for one in inputs:
            made.look_at(ctx.input(one), one)
        return made

    def look_at(self, data: Dataset, of: str) -> None:
        """See that rows have what the verifier reads, and try it on their references.

        Args:
            data: rows of prompts.
            of: their name.

        Raises:
            RecipeError: naming the verifier and what it gets wrong.
            InputError: if a column is not there, or holds no text.
        """
        spec = self.verifier.spec
        head = data.read(0, 0)
        reads = [name for name in spec.reads() if name not in OF_ATTEMPTS]
        for name in reads:
            texts_there(head, name, of)
        if self.reference:
            texts_of(head, self.reference, of)
        if not self.reference or not spec.rules.reference_is_right or spec.asks():
            return
        if data.num_rows and not set(spec.reads()) - set(data.columns):
            rows = data.sample(_TRIED, [self.reference, *spec.reads()]).to_pylist()
            known = [(str(row[self.reference] or ""), row) for row in rows]
            check_rows(self.name, self.verifier, [Case(text, text, row) for text, row in known])

    def columns(self, attempts: Attempts) -> dict[str, pa.Array]:
        """Score attempts; return the columns that they get.

        Raises:
            InputError: if the verifier could look at none of a step's attempts.
        """
        cut = attempts.is_cut.tolist()
        open_ = [place for place, each in enumerate(cut) if self.truncated == "score" or not each]
        cases = [self._case(attempts, place) for place in open_]
        scores: list[Score | None] = [None] * len(cut)
        for place, score in zip(open_, self.verifier.score(cases), strict=True):
            scores[place] = score
        self._count(attempts.step, scores)
        columns = columns_of(scores, self.verifier.spec)
        values, whys = columns.pop(SCORE).to_pylist(), columns.pop(REASON).to_pylist()
        paid = None if isinstance(self.truncated, str) else self.truncated
        found = {
            REWARD: [paid if score is None else value
                     for score, value in zip(scores, values, strict=True)],
            OUTCOME: ["truncated" if score is None else score.outcome for score in scores],
            REASON: [TRUNCATED if score is None else why
                     for score, why in zip(scores, whys, strict=True)],
        }  # fmt: skip
        types = {REWARD: pa.float64(), OUTCOME: pa.string(), REASON: pa.string()}
        told = {name: pa.array(each, types[name]) for name, each in found.items()} | columns
        if self.verifier.spec.asks():
            told[CALL] = calls_column([(score and score.call) or None for score in scores])
        return told

    def scores(self, attempts: Attempts) -> pa.Array:
        """Return the scores of attempts, whether they were cut off or not; null where none is."""
        cases = [self._case(attempts, place) for place in range(len(attempts.completions))]
        return pa.array([score.value for score in self.verifier.score(cases)], pa.float64())

    def _case(self, attempts: Attempts, place: int) -> Case:
        row, output = attempts.rows[place], attempts.completions[place]
        known = row.get(self.reference) if self.reference else None
        reads = self.verifier.spec.reads()
        asked = attempts.asked[place] if attempts.asked else None
        beside = {name: row.get(name, asked if name == "prompt" else None) for name in reads}
        if "completion" in beside:  # the attempt's own, whatever its prompt's row has
            beside["completion"] = output
        return Case(output, None if is_missing(known) else known, beside)

    def _count(self, step: int, scores: Sequence[Score | None]) -> None:
        """Count what failed, and end where all of a step has."""
        if step != self._step or not self.whole:
            self._step, self._looked, self._failed = step, 0, Counter()
        self._looked += len(scores)
        asked = [score for score in scores if score is not None]
        self._failed.update(score.reason for score in asked if score.outcome == "failed")
        self._failed["ok"] += sum(score.outcome != "failed" for score in asked)
        failed = self._failed.total() - self._failed["ok"]
        if self._failed["ok"] or not failed or self._looked < self.whole:
            return
        del self._failed["ok"]
        told = "; ".join(f"{count:,} x {why}" for why, count in self._failed.most_common(_TOLD))
        more = len(self._failed) - _TOLD
        told += f"; {more:,} other reasons" if more > 0 else ""
        msg = (
            f"verifiers.{self.name} failed for all {failed:,} attempts of step {step + 1:,} that "
            f"it was given ({told}); nothing of this step was learned. Mend that and run it again: "
            "it goes on from here"
        )
        raise InputError(msg)


def random_rewards(seed: int, attempts: Attempts, positions: Sequence[int], samples: Sequence[int],
                   truncated: Truncated) -> dict[str, pa.Array]:  # fmt: skip
    """Return rewards that say nothing, for a control: 0 or 1, as a coin falls for each attempt.

    Args:
        seed: of the stage.
        attempts: what is paid.
        positions: row of the prompt of each, over all inputs.
        samples: which attempt at its prompt each is.
        truncated: what becomes of those that were cut off.
    """
    coins: list[float | None] = [
        float(np.random.default_rng([seed, attempts.step, position, sample]).integers(2))
        for position, sample in zip(positions, samples, strict=True)
    ]
    outcomes = ["scored"] * len(coins)
    if truncated != "score":
        for place in np.flatnonzero(attempts.is_cut).tolist():
            coins[place] = None if isinstance(truncated, str) else truncated
            outcomes[place] = "truncated"
    reasons = [TRUNCATED if came == "truncated" else None for came in outcomes]
    return {
        REWARD: pa.array(coins, pa.float64()),
        OUTCOME: pa.array(outcomes, pa.string()),
        REASON: pa.array(reasons, pa.string()),
    }
