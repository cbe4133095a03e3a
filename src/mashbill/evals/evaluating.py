"""The work of an evaluation: systems are measured one by one, and then held against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.controls import check_rows
from mashbill.core.dataset import Dataset
from mashbill.core.errors import InputError
from mashbill.core.evaluation import Result
from mashbill.core.record import user_columns
from mashbill.core.resampling import units_by
from mashbill.core.verifier import Case
from mashbill.evals.answers import Answers, answers_of
from mashbill.evals.by_label import GOLD, gold_of, labelled, majority_of
from mashbill.evals.by_score import Asked, cases_of, check_read, scored
from mashbill.evals.columns_given import OVERLAPPED_BY
from mashbill.evals.comparing import compared, retained
from mashbill.evals.likelihood import weighed
from mashbill.evals.measured import by_level, mean_of, of_seeds
from mashbill.evals.models import (
    FINISH,
    learned_by_models,
    nothing_written,
    stages_of,
    written_by,
)
from mashbill.evals.overlapping import Learned, Overlaps, all_held, learned_by, without
from mashbill.evals.remarks import against_majority
from mashbill.evals.upstream import Upstream
from mashbill.verifiers.judge_controls import loaded, tried_by_asking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext
    from mashbill.evals.evaluate import EvaluateSpec
    from mashbill.evals.measured import Measured

_LEVELS = 200  # values of a column by which scores are told apart
_NO_LEVEL = "(none)"
_TRIED = 64  # references that a verifier is tried on


class Evaluating:
    """One evaluation."""

    def __init__(self, spec: EvaluateSpec, rows: pa.Table, ctx: StageContext) -> None:
        """Look at the rows.

        Args:
            spec: the stage.
            rows: that are held out.
            ctx: where it runs.

        Raises:
            InputError: if a column is not there.
        """
        self._spec, self._rows, self._ctx = spec, rows, ctx
        self._units = None if spec.group is None else self._grouped(spec.group)
        self._levels = self._levels_of(spec.level) if spec.level else {}
        self._made: dict[str, list[Answers]] = {}
        self._learned: dict[str, Learned] = {}
        self._facts: dict[str, Any] = {}

    def measure(self) -> dict[str, pa.Array]:
        """Measure all systems; return the columns that rows get, measures go to the context."""
        spec, ctx = self._spec, self._ctx
        self._made = {name: self._answers(made) for name, made in spec.systems.items()}
        overlaps = self._overlaps() if spec.contamination else None
        systems = self._measured()
        told = {name: self._told(one) for name, one in systems.items()}
        ctx.measures |= {
            "metric": spec.metric,
            "systems": told,
            "rows": self._rows.num_rows,
            **self._facts,
            "compare": compared(
                systems, spec.compare, ctx.seed, self._units, with_wins=spec.metric == "score"
            ),
        }
        if spec.retention:
            chance = self._facts.get("majority", spec.chance)
            ctx.measures["retention"] = retained(
                systems, spec.retention, chance, ctx.seed, self._units
            )
        columns = {name: column for one in systems.values() for name, column in one.columns.items()}
        if overlaps is not None:
            columns[OVERLAPPED_BY] = self._overlapped(overlaps, systems, told)
        return columns

    def kept_of_rows(self, rows: pa.Table) -> list[str]:
        """Return the columns of the rows that go along: of labels those that always did.

        By which columns rows belong together has to be known whenever they are compared later.
        """
        if self._spec.metric != "accuracy":
            return user_columns(rows.column_names)
        kept = dict.fromkeys(("text", GOLD, *(self._spec.group or ())))
        return [name for name in kept if name in rows.column_names]

    def _answers(self, made: str | tuple[str, ...]) -> list[Answers]:
        spec, ctx = self._spec, self._ctx
        rows = ctx.input(spec.input)
        return [answers_of(name, ctx.input(name), rows, spec.input) for name in stages_of(made)]

    def _measured(self) -> dict[str, Measured]:
        spec = self._spec
        if spec.metric == "accuracy":
            gold = gold_of(self._rows, spec.input)
            self._facts |= majority_of(gold)
            return {name: labelled(name, made, gold) for name, made in self._made.items()}
        if spec.metric == "score":
            return self._scored()
        return weighed(spec, self._rows, self._ctx, self._units)

    def _scored(self) -> dict[str, Measured]:
        spec, ctx = self._spec, self._ctx
        verifier = ctx.verifier(spec.by)
        if verifier.spec.asks():
            verifier = verifier.asking(ctx.teacher)
        for said in verifier.spec.caveats().values():
            ctx.warn(f"verifiers.{spec.by}: {said}")
        how = Asked(
            verifier, spec.column, spec.reference, spec.finish, spec.passes,
            spec.unanswered == "wrong", ctx.warn,
        )  # fmt: skip
        # Of all systems, before a model writes its first answer.
        for made in self._made.values():
            for one in made:
                if one.data.num_rows:
                    check_read(one, self._rows, how)
        if spec.models:
            check_read(nothing_written(spec), self._rows, replace(how, finish=FINISH))
        self._made |= {
            name: [written_by(one, spec, self._rows, ctx) for one in stages_of(made)]
            for name, made in spec.models.items()
        }
        self._try(how)
        units = np.arange(self._rows.num_rows) if self._units is None else self._units
        found: dict[str, Measured] = {}
        for name, made in self._made.items():
            ctx.progress(len(found), len(self._made), name)
            own = replace(how, finish=FINISH) if name in spec.models else how
            found[name] = scored(name, made, self._rows, own, units, spec.pass_at)
        self._facts |= {
            "by": f"{spec.by} ({verifier.spec.kind} {verifier.spec.rules.release})",
            "chance": spec.chance,
        }
        return found

    def _try(self, how: Asked) -> None:
        """Try the verifier on what is known, before it scores anything that counts.

        Raises:
            RecipeError: naming it and what it gets wrong.
        """
        spec, ctx, own = self._spec, self._ctx, how.verifier.spec
        made = next((one for all_ in self._made.values() for one in all_ if len(one.places)), None)
        if made is None:
            return
        parts = own.made_of() if own.asks() else {}
        for name, part in (parts or {"": own}).items():
            if part.asks() or not (spec.reference and part.rules.reference_is_right):
                continue
            key = f"{spec.by}.{name}" if name else spec.by
            cases = cases_of(made, self._rows, how, part)
            known = [Case(case.reference, case.reference, case.row)
                     for case in cases[:_TRIED] if case.reference]  # fmt: skip
            if known:
                check_rows(key, loaded(key, part, ctx), known)
        if own.asks():
            ctx.measures |= tried_by_asking(
                spec.by, own, lambda one: cases_of(made, self._rows, how, one), ctx
            )

    def _told(self, one: Measured) -> dict[str, Any]:
        """Return what is told of a system."""
        spec, seed = self._spec, self._ctx.seed
        mean = mean_of(one, seed, self._units)
        told = {**mean.as_json(spec.metric), **one.facts}
        if mean.rows < self._rows.num_rows:
            told["rows"] = mean.rows
        if spec.metric == "accuracy":
            result = Result(mean.value, mean.low, mean.high)
            told["against_majority"] = against_majority(result, self._facts["majority"])
        if seeds := of_seeds(one):
            told["seeds"] = seeds
        if self._levels:
            told["levels"] = by_level(one, self._levels, seed, self._units, spec.metric)
        return told

    def _overlaps(self) -> Overlaps:
        """Read what is looked for, and what was learned from: before anything is asked."""
        spec = self._spec
        answer = spec.reference if spec.reference in self._rows.column_names else ""
        # What is right counts as such, unless it is all that is looked for.
        asked = [name for name in spec.looked_for if name != answer]
        overlaps = Overlaps(
            spec.input, asked or spec.looked_for, answer if asked else "", self._ctx
        )
        self._learned = {name: self._learned_by(name) for name in [*spec.systems, *spec.models]}
        return overlaps

    def _overlapped(
        self,
        overlaps: Overlaps,
        systems: Mapping[str, Measured],
        told: Mapping[str, dict[str, Any]],
    ) -> pa.Array:
        """Look for the rows in what systems learned from; return which datasets hold each."""
        spec, ctx = self._spec, self._ctx
        besides = {str(ctx.input(name).manifest.ref): ctx.input(name) for name in spec.against}
        unrecorded: set[str] = set()
        for name, one in systems.items():
            learned = self._learned[name]
            unrecorded |= learned.unrecorded.keys()
            held = all_held(overlaps, {**learned.data, **besides}, self._rows.num_rows)
            found = without(one, held, ctx.seed, self._units, spec.metric)
            told[name]["overlap"] = {
                **found,
                "datasets": sorted({**learned.data, **besides}),
                "unrecorded": sorted(learned.unrecorded),
            }
        ctx.measures["contamination"] = overlaps.told(sorted(unrecorded))
        return pa.array(overlaps.said(), pa.string())

    def _learned_by(self, name: str) -> Learned:
        """Return what a system has learned from, by the manifests of its answers or its models."""
        upstream = Upstream(self._ctx.input(self._spec.input))
        if name in self._spec.models:
            return learned_by_models(self._spec.models[name], self._ctx, upstream)
        manifests = [made.data.manifest for made in self._made[name]
                     if isinstance(made.data, Dataset)]  # fmt: skip
        return learned_by(manifests, upstream)

    def _grouped(self, columns: tuple[str, ...]) -> np.ndarray:
        """Return the group of each row, counted from 0; one without a value is its own."""
        return units_by([self._column(name, "group") for name in columns])

    def _levels_of(self, name: str) -> dict[str, np.ndarray]:
        cells = [_NO_LEVEL if cell is None else str(cell) for cell in self._column(name, "level")]
        values = sorted(set(cells))
        if len(values) > _LEVELS:
            msg = (
                f"{self._spec.input}: column {name!r} has {len(values):,} values, and level tells "
                f"at most {_LEVELS} apart; name a column with fewer, or leave level out"
            )
            raise InputError(msg)
        all_ = np.array(cells, object)
        return {value: all_ == value for value in values}

    def _column(self, name: str, key: str) -> list[Any]:
        """Return the cells of a column of the rows."""
        if name not in self._rows.column_names:
            there = ", ".join(user_columns(self._rows.column_names))
            msg = (
                f"{self._spec.input} has no column {name!r}; it has {there}; correct {key} in the "
                "recipe"
            )
            raise InputError(msg)
        return list(self._rows.column(name).to_pylist())
