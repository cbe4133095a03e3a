"""``verify`` by a verifier: slice by slice, or by groups of attempts over the whole input."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.controls import check_rows
from mashbill.core.errors import InputError
from mashbill.core.record import FROM, beyond, kept_beside, one_batch
from mashbill.core.texts import texts_of
from mashbill.core.verifier import Case
from mashbill.stages.choosing import Choice, Groups, group_ids, measured, remarks
from mashbill.stages.judging import marks
from mashbill.verifiers.judge_controls import LOOKED_AT, loaded, tried_by_asking
from mashbill.verifiers.scoring import (
    Looked,
    Scored,
    count,
    score_rows,
    texts_there,
    turned_down,
    unheeded,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.core.verifier import VerifierSession, VerifierSpec
    from mashbill.stages.verify import VerifySpec

GROUP, RANK, VERIFIER = "group", "rank", "verifier"
"""columns of rollouts: which attempts are at one prompt, their order by score, and who scored"""
_TRIED = 64  # rows whose references a verifier is tried on, of which some are compared


class Verifying:
    """A verifier over rows of a stage."""

    def __init__(self, spec: VerifySpec, ctx: StageContext) -> None:
        """Load the verifier, and try it on the references of some rows, before it scores the first.

        Raises:
            RecipeError: naming it and what it gets wrong.
        """
        self._spec, self._ctx = spec, ctx
        self._looked = Looked(spec.input, spec.column, spec.reference, spec.finish)
        self._verifier = ctx.verifier(spec.by)
        if self._verifier.spec.asks():
            self._verifier = self._verifier.asking(ctx.teacher, self._observe)
        self._kept = {
            name for name in ("undecided", "failed", "truncated") if getattr(spec, name) == "keep"
        }
        for said in self._verifier.spec.caveats().values():
            ctx.warn(f"verifiers.{spec.by}: {said}")
        ctx.overall |= ctx.once("controls", lambda: _tried(spec, self._verifier, ctx))

    def _observe(self, counts: Mapping[str, Any]) -> None:
        """Add what a verifier counted to what the stage measures."""
        add_counts(self._ctx.measures.setdefault("judging", {}), counts)

    def sliced(self, records: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield rows as they come; where so many are wanted, what is good beyond them goes, too."""
        spec, ctx = self._spec, self._ctx
        start, kept = 0, ctx.kept
        for batch in records:
            found = score_rows(self._verifier, batch, self._looked)
            self._count(batch, found)
            reasons = turned_down(found, spec.threshold, self._kept, spec.column)
            kept = enough(reasons, spec.accept, kept)
            yield self._rows(batch, start, found, {}, reasons)
            start += batch.num_rows
        left = ctx.input(spec.input).num_rows - ctx.first - start
        if spec.accept is not None and kept >= spec.accept and left:
            ctx.measures["not_looked_at"] = left
            ctx.warn(
                f"{left:,} rows of {spec.input} were not looked at: {spec.accept:,} were accepted "
                "before them"
            )

    def grouped(self, choice: Choice) -> Iterator[pa.RecordBatch]:
        """Yield all rows of the input in order, once each was scored and its group looked at.

        Raises:
            InputError: if fewer rows are good enough than are wanted.
        """
        spec, ctx = self._spec, self._ctx
        data = ctx.input(spec.input)
        laid = ctx.work / "scored"
        laid.mkdir(parents=True, exist_ok=True)
        with Groups(ctx.work / "groups", choice, data.num_rows, spec.input) as groups:
            for start, piece in data.chunks(spec.shard_rows):
                batch = one_batch(piece)
                found = self._laid(batch, laid / f"{start:012d}.arrow")
                self._count(batch, found)
                groups.add(batch, found, self._kept)
                ctx.progress(start + batch.num_rows, data.num_rows, "scored")
            told = groups.settle()
            if spec.accept is not None and told.stay < spec.accept:
                raise InputError(self._too_few(told.stay, data.num_rows))
            ctx.measures |= measured(told, choice)
            for text in remarks(told, choice, spec.input):
                ctx.warn(text)
            kept = 0
            for start, piece in data.chunks(spec.shard_rows):
                batch, stop = one_batch(piece), start + piece.num_rows
                found = Scored.read(laid / f"{start:012d}.arrow")
                keys, lacking = groups.keys(batch)
                ids = {GROUP: group_ids(keys), RANK: groups.ranks(start, stop)}
                reasons = self._why(found, lacking, groups.turned_down(start, stop))
                kept = enough(reasons, spec.accept, kept)
                yield self._rows(batch, start, found, ids, reasons)
        shutil.rmtree(laid, ignore_errors=True)

    def _laid(self, batch: pa.RecordBatch, path: Path) -> Scored:
        """Return what is found of rows, from disk where a run that was killed had found it.

        Answers of teachers are in the journal: they are read again, and counted again.
        """
        if path.is_file() and not self._verifier.spec.asks():
            # One that a machine left torn which lost its power is scored again.
            with suppress(pa.ArrowException, KeyError, OSError):
                laid = Scored.read(path)
                if len(laid.came) == batch.num_rows:
                    return laid
        found = score_rows(self._verifier, batch, self._looked)
        found.write(path)
        return found

    def _why(
        self, found: Scored, lacking: list[str | None], by_group: list[str | None]
    ) -> list[str | None]:
        """Return for each row why it goes: it has no group, it is not good, others are better."""
        alone = [None if name is None else f"its column {name} is empty" for name in lacking]
        own = turned_down(found, self._spec.threshold, self._kept, self._spec.column)
        return [
            first or second or third
            for first, second, third in zip(alone, own, by_group, strict=True)
        ]

    def _too_few(self, stay: int, rows: int) -> str:
        told = self._ctx.measures["scores"]
        came = ", ".join(f"{number:,} {name}" for name, number in told.items())
        return (
            f"stages.{self._ctx.name}: {stay:,} rows of {rows:,} may stay and accept = "
            f"{self._spec.accept} are wanted ({came}); give it more rows, or loosen threshold or "
            "best"
        )

    def _count(self, batch: pa.RecordBatch, found: Scored) -> None:
        spec = self._spec
        if name := unheeded(batch, self._looked):
            self._ctx.warn(
                f"column {name} of {spec.input} says that some outputs were cut off, and they "
                f'are scored as if they were whole: set finish = "{name}" to tell them apart'
            )
        count(found, spec.passing, self._ctx.measures, says_finish=bool(spec.finish))

    def _rows(
        self,
        batch: pa.RecordBatch,
        start: int,
        found: Scored,
        more: dict[str, pa.Array],
        reasons: list[str | None],
    ) -> pa.RecordBatch:
        """Return rows with what was found of them; a column that they have stays beside it."""
        given: dict[str, Any] = {**more, **found.columns}
        if more:
            by = f"{self._spec.by} ({self._verifier.spec.kind} {self._verifier.spec.rules.release})"
            given[VERIFIER] = pa.array([by] * batch.num_rows, pa.string())
        return pa.RecordBatch.from_pydict(
            kept_beside(batch, taken(batch.schema.names, set(given)))
            | given
            | {
                FROM: pa.array(np.arange(start, start + batch.num_rows), pa.int64()),
                **marks("verify", reasons),
            }
        )


def taken(names: Collection[str], given: set[str]) -> set[str]:
    """Return the names that stand for something else than in the rows that came.

    A rank and who scored speak of the score that rows had: of another one they say nothing.

    Args:
        names: columns of the rows.
        given: columns that they get.
    """
    return given | ({RANK, VERIFIER} if {GROUP, RANK, VERIFIER} <= set(names) else set())


def add_counts(whole: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add counts to counts, table by table; what is no count stays as it is."""
    for name, value in more.items():
        if isinstance(value, dict):
            add_counts(whole.setdefault(name, {}), value)
        elif type(value) is int:
            whole[name] = whole.get(name, 0) + value
        else:
            whole[name] = value


def enough(reasons: list[str | None], wanted: int | None, kept: int) -> int:
    """Reject what would stay beyond the rows that are wanted, in place; return how many stay.

    Args:
        reasons: why each row goes.
        wanted: how many are to stay in all; None for all that are good.
        kept: how many stay before these.
    """
    for place, reason in enumerate(reasons):
        if reason is not None:
            continue
        if wanted is not None and kept >= wanted:
            reasons[place] = beyond(wanted)
        else:
            kept += 1
    return kept


def _tried(spec: VerifySpec, verifier: VerifierSession, ctx: StageContext) -> dict[str, Any]:
    """Try a verifier on the references of some rows; return what is measured of that."""
    own = verifier.spec
    if not own.asks():
        _try_on_references(spec, spec.by, verifier, ctx)
        return {}
    for name, part in own.made_of().items():
        if not part.asks():
            key = f"{spec.by}.{name}"
            _try_on_references(spec, key, loaded(key, part, ctx), ctx)
    return tried_by_asking(spec.by, own, lambda one: _cases(spec, one, ctx), ctx)


def _cases(spec: VerifySpec, verifier: VerifierSpec, ctx: StageContext) -> list[Case]:
    """Return the first rows that have an output, as the verifier is given them."""
    data = ctx.input(spec.input)
    rows = one_batch(data.read(0, min(data.num_rows, LOOKED_AT)))
    for name in verifier.reads():
        texts_there(rows, name, spec.input)
    outputs = texts_of(rows, spec.column, spec.input)
    known = texts_of(rows, spec.reference, spec.input) if spec.reference else [""] * len(outputs)
    beside = rows.select(list(verifier.reads())).to_pylist() if verifier.reads() else []
    return [
        Case(output, reference or None, beside[at] if beside else {})
        for at, (output, reference) in enumerate(zip(outputs, known, strict=True))
        if output.strip()
    ]


def _try_on_references(
    spec: VerifySpec, name: str, verifier: VerifierSession, ctx: StageContext
) -> None:
    """Try a verifier that asks nobody on the references of some rows.

    Raises:
        RecipeError: naming it and what it gets wrong.
    """
    data = ctx.input(spec.input)
    wanted = [spec.reference, *verifier.spec.reads()]
    tells = spec.reference and verifier.spec.rules.reference_is_right
    if tells and data.num_rows and not set(wanted) - set(data.columns):
        rows = data.sample(_TRIED, wanted)
        known = rows.column(spec.reference)
        if pa.types.is_string(known.type) or pa.types.is_large_string(known.type):
            others = rows.select(list(verifier.spec.reads())).to_pylist()
            beside = others or [{}] * rows.num_rows
            check_rows(
                name,
                verifier,
                [
                    Case(text or "", text, row)
                    for text, row in zip(known.to_pylist(), beside, strict=True)
                ],
            )
