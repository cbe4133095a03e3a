"""The rows of ``prefer``: pairs, or prompts with their completions, as columns of a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.record import CALL, FROM
from mashbill.core.texts import calls_column
from mashbill.stages.judging import marks
from mashbill.stages.preference_shapes import (
    OF_PROMPTS,
    Pair,
    columns_of_pairs,
    columns_of_prompts,
    ranked_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mashbill.stages.completions import Completions
    from mashbill.stages.pairing import Pairs
    from mashbill.stages.prefer import PreferSpec
    from mashbill.stages.preference_shapes import Ranked
    from mashbill.stages.preferring import Found

SAME = "both completions are the same"
_AT_ONCE = 1 << 14  # pairs whose texts are held at once


class Rows:
    """See the module."""

    def __init__(self, spec: PreferSpec, given: Completions, pairs: Pairs, found: Found) -> None:
        """Take what was found.

        Args:
            spec: the stage.
            given: the completions.
            pairs: those that were compared.
            found: what was found of them.
        """
        self._spec = spec
        self._given = given
        self._pairs = pairs
        self._found = found
        self._column, score = spec.read_as
        self._scores = given.numbers(score) if spec.how in {"reward", "ranking"} else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows."""
        if self._spec.shape in OF_PROMPTS:
            yield from self._of_prompts()
            return
        for start in range(0, len(self._pairs), _AT_ONCE):
            yield self._of_pairs(np.arange(start, min(start + _AT_ONCE, len(self._pairs))))

    def _of_pairs(self, at: np.ndarray) -> pa.RecordBatch:
        spec, found = self._spec, self._found
        first, second, better = self._pairs.first[at], self._pairs.second[at], found.better[at]
        asked, *texts = self._texts(at)
        is_tie = better == 0
        reasons = [
            reason or (SAME if one == two else None)
            for reason, one, two in zip(self._reasons(at), *texts, strict=True)
        ]
        pairs, best, scores = [], (better == -1).astype(int), self._score_of(at)
        preferred = (better == 1) | (better == -1)
        for place in range(len(at)):
            side = int(best[place])
            if not preferred[place]:
                pairs.append(Pair(asked[place] or "", None, None))
                continue
            chosen, rejected = (texts[side ^ n][place] for n in (0, 1))
            one, two = (None if scores is None else float(scores[side ^ n][place]) for n in (0, 1))
            pairs.append(Pair(asked[place] or "", chosen or "", rejected or "", one, two))
        columns = columns_of_pairs(spec.shape, pairs)
        columns |= self._beside(at, columns, pairs, best, preferred)
        if spec.ties == "keep":
            tied = [
                [one or "", two or ""] if tie else None
                for one, two, tie in zip(*texts, is_tie.tolist(), strict=True)
            ]
            columns["tie"] = pa.array(is_tie)
            columns["tied"] = pa.array(tied, pa.list_(pa.string()))
        columns[FROM] = self._from(np.stack([first, second], axis=1).tolist())
        if found.calls is not None:
            columns[CALL] = calls_column([found.calls[place] for place in at.tolist()])
        return pa.RecordBatch.from_pydict(columns | marks("prefer", reasons))

    def _from(self, rows: Sequence[Sequence[int]]) -> pa.Array:
        """Return the rows of the inputs that completions are in, each once."""
        places = self._given.positions
        made = [list(dict.fromkeys(places[list(own)].tolist())) for own in rows]
        return pa.array(made, pa.list_(pa.int64()))

    def _texts(self, at: np.ndarray) -> list[list[str | None]]:
        spec, given = self._spec, self._given
        first, second = self._pairs.first[at], self._pairs.second[at]
        return [
            given.texts(first, spec.asked),
            given.texts(first, self._column),
            given.texts(second, self._column),
        ]

    def _reasons(self, at: np.ndarray) -> list[str | None]:
        keeps = self._spec.ties == "keep"
        return [
            self._found.reasons[place]
            or (self._found.ties[place] if self._found.better[place] == 0 and not keeps else None)
            for place in at.tolist()
        ]

    def _score_of(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the score of each side; None where the way of preferring has none."""
        if self._scores is not None:
            return self._scores[self._pairs.first[at]], self._scores[self._pairs.second[at]]
        if self._found.shares is not None:
            return self._found.shares[at], 1 - self._found.shares[at]
        return None

    def _beside(
        self,
        at: np.ndarray,
        columns: dict[str, pa.Array],
        pairs: list[Pair],
        best: np.ndarray,
        preferred: np.ndarray,
    ) -> dict[str, pa.Array]:
        """Return what stands beside the shape: margin, scores, where each is from, votes."""
        spec, found = self._spec, self._found
        more: dict[str, pa.Array] = {}
        if found.margins is not None:
            margins = found.margins[at]
            signed = np.where(preferred, margins * (1 - 2 * best), np.abs(margins))
            more["margin"] = pa.array(signed, mask=np.isnan(signed))
        if spec.is_short:
            return more
        if self._scores is not None and "score_chosen" not in columns:
            for name in ("score_chosen", "score_rejected"):
                more[name] = pa.array([getattr(pair, name) for pair in pairs], pa.float64())
        sides = (self._pairs.first[at], self._pairs.second[at])
        for n, name in enumerate(("chosen_from", "rejected_from")):
            rows = np.where(best == n, *sides).tolist()
            said = [self._given.of(row) if there else None for row, there in
                    zip(rows, preferred.tolist(), strict=True)]  # fmt: skip
            more[name] = pa.array(said, pa.string())
        if found.words and spec.judges:
            more |= self._votes(at, best)
        return more

    def _votes(self, at: np.ndarray, best: np.ndarray) -> dict[str, pa.Array]:
        """Return what each judge said of a pair: chosen, rejected (it is against it), tie."""
        columns: dict[str, pa.Array] = {}
        for name, word in self._found.words.items():
            votes = word.votes[at] * (1 - 2 * best)
            told: list[Any] = [
                None if np.isnan(vote) else {1.0: "for", -1.0: "against", 0.0: "tie"}[float(vote)]
                for vote in votes
            ]
            # Of a tie there is nothing to be for: the sides are those of the pair.
            ties = np.flatnonzero(self._found.better[at] == 0).tolist()
            for place in ties:
                told[place] = {"for": "one", "against": "other"}.get(told[place], told[place])
            columns[f"vote_{name}"] = pa.array(told, pa.string())
        return columns

    def _of_prompts(self) -> Iterator[pa.RecordBatch]:
        order = np.argsort(self._pairs.group, kind="stable")
        ends = np.flatnonzero(np.diff(self._pairs.group[order])) + 1
        waiting: list[np.ndarray] = []
        held = 0
        for at in np.split(order, ends):
            waiting.append(at)
            held += len(at)
            if held >= _AT_ONCE:
                yield self._prompts(waiting)
                waiting, held = [], 0
        if waiting:
            yield self._prompts(waiting)

    def _prompts(self, groups: list[np.ndarray]) -> pa.RecordBatch:
        """Return some prompts as rows; their texts are read together."""
        at = np.concatenate(groups)
        rows = np.unique(np.concatenate([self._pairs.first[at], self._pairs.second[at]]))
        texts, asked = (
            dict(zip(rows.tolist(), self._given.texts(rows, name), strict=True))
            for name in (self._column, self._spec.asked)
        )
        return self._batch([self._prompt(own, texts, asked) for own in groups])

    def _prompt(
        self, at: np.ndarray, texts: Mapping[int, str | None], asked: Mapping[int, str | None]
    ) -> tuple[Ranked, str | None, str | None]:
        """Return a prompt with its completions, why it is rejected, and a call that it rests on."""
        found, pairs = self._found, self._pairs
        said = at[~np.isnan(found.better[at])]
        of = said if len(said) else at
        both = np.stack([pairs.first[of], pairs.second[of]], axis=1)
        rows = list(dict.fromkeys(both.ravel().tolist()))
        better = []
        for place in said.tolist():
            pair = (int(pairs.first[place]), int(pairs.second[place]))
            if found.better[place]:
                better.append(pair if found.better[place] == 1 else pair[::-1])
        ranked = ranked_by(
            asked[rows[0]] or "", rows, lambda row: texts[row] or "", self._given.of,
            self._scores_within(said, rows), better,
        )  # fmt: skip
        why = None
        if not len(said):
            why = next((found.reasons[p] for p in at.tolist() if found.reasons[p]), "not judged")
        elif self._spec.shape == "dpo" and not better:
            why = found.ties[int(said[0])] or "a tie: neither is better"
        calls = found.calls or []
        call = next((calls[p] for p in of.tolist() if calls and calls[p]), None)
        return ranked, why, call

    def _scores_within(self, said: np.ndarray, rows: list[int]) -> dict[int, float]:
        """Return the score of each completion: its own, or its share of all votes on its pairs."""
        if self._scores is not None:
            return {row: float(self._scores[row]) for row in rows}
        shares = self._found.shares
        if shares is None:
            shares = (self._found.better + 1) / 2
        got: dict[int, list[float]] = {}
        for place in said.tolist():
            got.setdefault(int(self._pairs.first[place]), []).append(float(shares[place]))
            got.setdefault(int(self._pairs.second[place]), []).append(1 - float(shares[place]))
        return {row: sum(values) / len(values) for row, values in got.items()}

    def _batch(self, waiting: list[tuple[Ranked, str | None, str | None]]) -> pa.RecordBatch:
        ranked = [one for one, _, _ in waiting]
        columns = columns_of_prompts(self._spec.shape, ranked)
        columns[FROM] = self._from([one.rows for one in ranked])
        if self._found.calls is not None:
            columns[CALL] = calls_column([call for _, _, call in waiting])
        return pa.RecordBatch.from_pydict(
            columns | marks("prefer", [reason for _, reason, _ in waiting])
        )
