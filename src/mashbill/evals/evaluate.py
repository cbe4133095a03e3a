"""``evaluate``: systems on rows that no step has learned from, and how they differ.

What is measured follows from the keys: with ``by`` a verifier scores answers; with ``models`` alone
the rows' texts are weighed; else labels are held against human ones. Systems are datasets of
answers, or models; one that was trained under several seeds is a list of these, one a seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.controls import MOST_TRIED
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.explaining import check_columns
from mashbill.core.record import FROM, OURS, kept_beside, one_batch
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import Uses
from mashbill.core.teacher import Asks
from mashbill.evals.columns_given import check_apart
from mashbill.evals.evaluating import Evaluating
from mashbill.evals.models import FINISH, PROMPT
from mashbill.verifiers.asked_by import AsksVerifier
from mashbill.verifiers.scoring import held_to_itself

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.core.verifier import VerifierSpec

System = str | tuple[str, ...]
"""a stage, or one a seed"""
_OF_SCORES = ("reference", "finish", "unanswered", "passes", "pass_at", "chance")
_OF_WRITING = ("max_tokens", "temperature", "samples")
_KS = 10  # of pass@k that a recipe may name
_METRICS = {"labels": "accuracy", "scores": "score", "likelihood": "bits_per_byte"}


class EvaluateSpec(AsksVerifier):
    """``kind = "evaluate"``."""

    streams = False
    looks_behind = True
    references: ClassVar[tuple[str, ...]] = ("input", "systems", "models", "against")
    added: ClassVar[frozenset[str]] = frozenset(
        {
            "models", "by", "column", *_OF_SCORES, "ask", *_OF_WRITING, "text", "group", "level",
            "retention", "contamination", "against", "looked_for",
        }
    )  # fmt: skip

    kind: Literal["evaluate"] = "evaluate"
    input: str
    """dataset of held-out rows; where labels are compared, with humans' in its column ``gold``"""
    systems: dict[str, System] = Field(default={})
    """system -> dataset of its answers to those rows, made by ``label``, ``apply``, ``generate``,
    ``verify``...; or a list of such, one a seed"""
    models: dict[str, System] = Field(default={})
    """system -> model that writes: a stage that trains one, or a [models.*] table; or a list. With
    ``by`` it answers the column ``ask``, and without it weighs the column ``text``"""
    compare: tuple[tuple[str, str], ...] = ()
    """pairs of systems whose difference is wanted, such as [["after", "before"]]"""
    by: str = ""
    """which of [verifiers.*] scores answers; labels are compared, or texts weighed, if empty"""
    column: str = "text"
    """column of answers that a verifier scores"""
    reference: str = ""
    """column with what is known to be right, of the rows or of the answers; empty if none is"""
    finish: str = ""
    """column of answers with why each ended: one that was cut off is truncated, and not scored"""
    unanswered: Literal["apart", "wrong"] = "apart"
    """what rows without an answer count as: nothing is known of them, or they are 0"""
    passes: float = Field(default=0.5, gt=0, le=1)
    """score from which an attempt passes, for pass@k"""
    pass_at: tuple[int, ...] = ()
    """the k of pass@k; 1, 2, 4, ... and the commonest number of attempts if there are none"""
    chance: float = Field(default=0.0, ge=0, lt=1)
    """score of whoever knows nothing, such as 0.25 for one of four; labels have the majority's"""
    ask: str = "text"
    """column that models answer"""
    max_tokens: int = Field(default=256, gt=0)
    """of a model's answer, at most"""
    temperature: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)
    """of models that answer; 0 writes what is likeliest"""
    samples: int = Field(default=1, gt=0)
    """answers of a model to each row"""
    text: str = "text"
    """column that models weigh: texts, or conversations, of which the assistant's turns count"""
    group: tuple[str, ...] | None = None
    """columns by which rows belong together, such as ["document"]: they vary as one, and their
    answers are attempts at one prompt"""
    level: str = ""
    """column by whose values scores are told apart, such as difficulty"""
    retention: tuple[tuple[str, str], ...] = ()
    """pairs (student, teacher): how much of the teacher's score the student has"""
    contamination: bool = False
    """whether the rows are looked for in what the systems' models learned from"""
    against: tuple[str, ...] = ()
    """datasets in which they are looked for besides, for all systems"""
    looked_for: tuple[str, ...] = Field(default=("text",), min_length=1)
    """columns of the rows that are looked for there, each by itself"""

    @property
    def repeats(self) -> bool:  # type: ignore[override]
        """Whether an audit may make the rows again: models are not loaded for one."""
        return not self.models

    @property
    def _answering(self) -> list[str]:
        """The stages whose rows are answers."""
        return [name for made in self.systems.values() for name in _stages(made)]

    @property
    def metric(self) -> str:
        """What is measured: accuracy, score or bits_per_byte."""
        return _METRICS["scores" if self.by else "likelihood" if self.models else "labels"]

    @model_validator(mode="after")
    def _has_systems(self) -> EvaluateSpec:
        if not self.systems and not self.models:
            msg = "name systems, datasets of answers, or models that write"
            raise ValueError(msg)
        if self.systems and self.models and not self.by:
            msg = (
                "systems are held against human labels and models weigh texts: put them in two "
                "stages, or set by, for a verifier to score the answers of both"
            )
            raise ValueError(msg)
        for name, made in [*self.systems.items(), *self.models.items()]:
            stages = _stages(made)
            if not stages or len(set(stages)) < len(stages):
                msg = f"{name!r} names no stage, or one twice; write each seed's once"
                raise ValueError(msg)
            if name in OURS or not name.strip() or "\0" in name:
                msg = f"{name!r} is no name of a system: it is a column of the result"
                raise ValueError(msg)
        both = [*self.systems.keys() & self.models.keys()]
        if both:
            msg = f"{both[0]!r} is among systems and among models; name it once"
            raise ValueError(msg)
        seeds = {name: len(_stages(made)) for name, made in (self.systems | self.models).items()}
        check_apart(self.metric, seeds, contamination=self.contamination)
        return self

    @model_validator(mode="after")
    def _answers_are_apart(self) -> EvaluateSpec:
        if self.by and self.models and self.column in (PROMPT, FINISH):
            msg = (
                f"column = {self.column!r}: a model's answers have a column of this name already, "
                f"with {'what it was asked' if self.column == PROMPT else 'why each ended'}; name "
                'the column of answers otherwise, such as "text"'
            )
            raise ValueError(msg)
        if self.reference and self.reference == self.column and self.input in self._answering:
            raise ValueError(held_to_itself(self.reference, self.input))
        return self

    @model_validator(mode="after")
    def _pairs_are_systems(self) -> EvaluateSpec:
        known = [*self.systems, *self.models]
        for key, pairs in (("compare", self.compare), ("retention", self.retention)):
            for name in (name for pair in pairs for name in pair):
                if name not in known:
                    msg = f"{key} names {name!r}, which is not one of systems {known}"
                    raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _keys_have_a_use(self) -> EvaluateSpec:
        fields = type(self).model_fields
        strange = [key for key in _OF_SCORES if getattr(self, key) != fields[key].default]
        if strange and not self.by:
            msg = f"{', '.join(strange)} is for answers that a verifier scores: set by"
            raise ValueError(msg)
        strange = [key for key in _OF_WRITING if getattr(self, key) != fields[key].default]
        if strange and not (self.by and self.models):
            msg = f"{', '.join(strange)} is for models that answer: set models, and by"
            raise ValueError(msg)
        if self.retention and self.metric == _METRICS["likelihood"]:
            msg = "retention is of scores, and perplexity is none: compare the models instead"
            raise ValueError(msg)
        if self.against and not self.contamination:
            msg = "against is for contamination: set contamination = true"
            raise ValueError(msg)
        for key, names in (("group", self.group or ()), ("looked_for", self.looked_for)):
            if any(not name or name in OURS or names.count(name) > 1 for name in names):
                msg = f"{key} names columns of the rows, each once"
                raise ValueError(msg)
        ks = self.pass_at
        if any(k < 1 for k in ks) or len(set(ks)) < len(ks) or len(ks) > _KS:
            msg = f"pass_at lists at most {_KS} numbers from 1 on, each once"
            raise ValueError(msg)
        return self

    @classmethod
    def renamed(cls, table: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
        """Also go into lists of seeds, and leave out comparisons with systems that are gone."""
        flat = {key: value for key, value in table.items() if key not in ("systems", "models")}
        new = super().renamed(flat, names)
        for key in ("systems", "models"):
            made = {system: _renamed(told, names) for system, told in table.get(key, {}).items()}
            if made := {system: told for system, told in made.items() if told}:
                new[key] = made
        left = {*new.get("systems", {}), *new.get("models", {})}
        for key in ("compare", "retention"):
            pairs = [pair for pair in table.get(key, []) if all(name in left for name in pair)]
            new = {**new, key: pairs} if pairs else {k: new[k] for k in new if k != key}
        return new

    def uses(self) -> tuple[Uses, ...]:
        """The rows, the systems' answers beside them, who scores them, and models."""
        verifying = Purpose.VERIFYING
        made = self._answering
        models = [name for system in self.models.values() for name in _stages(system)]
        beside = [*made, *self.against]
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            *(Uses(name, "beside", Channel.JUDGEMENT) for name in dict.fromkeys(beside)),
            *(
                Uses(name, "base", Channel.JUDGEMENT, purpose=verifying)
                for name in dict.fromkeys(models)
            ),
            *(
                Uses(name, "actor", Channel.JUDGEMENT, purpose=verifying, is_verifier=True)
                for name in [self.by] if name
            ),
            *(
                Uses(name, "actor", Channel.JUDGEMENT, is_teacher=True, purpose=verifying)
                for name in dict.fromkeys(self._asked)
            ),
        )  # fmt: skip

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """What its verifier asks about each answer, and in negative controls at most."""
        if not self._asked:
            return super().asks(rows, data, folder)
        counts = [rows.get(name) for name in self._answering]
        if self.input in rows:
            written = sum(len(_stages(made)) for made in self.models.values())
            counts.append(rows[self.input] * self.samples * written)
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            return Asks(0, 0, self._asked, None)
        total = sum(known)
        return Asks(total, total + (MOST_TRIED if total else 0), self._asked, self._asked)

    def check_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> None:
        """See that a verifier that needs a reference is given one."""
        verifier = verifiers.get(self.by)
        if verifier is not None and verifier.rules.needs_reference and not self.reference:
            msg = (
                f"verifier {self.by!r} (kind {verifier.kind!r}) compares with what is known to be "
                'right; set reference = "COLUMN"'
            )
            raise RecipeError(msg)

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns are there, where they are known."""
        del folder
        named = [("group", name) for name in self.group or ()]
        named += [("level", self.level)] if self.level else []
        if self.contamination:
            named += [("looked_for", name) for name in self.looked_for]
        if self.models:
            named.append(("ask", self.ask) if self.by else ("text", self.text))
        rows = columns.get(self.input)
        check_columns(named, rows, self.input)
        for name in self._answering if self.by else ():
            own = [("column", self.column)]
            own += [("finish", self.finish)] if self.finish else []
            check_columns(own, columns.get(name), name)
            self._check_reference(rows, columns.get(name), name)
        if self.by and self.models:
            self._check_reference(rows, (self.column, PROMPT, FINISH), "what models answer")

    def _check_reference(
        self, rows: Sequence[str] | None, answers: Sequence[str] | None, of: str
    ) -> None:
        """See that what is right is there, of the rows or of answers, where that is known.

        Raises:
            RecipeError: if it is not, or is the answers themselves.
        """
        if not self.reference or rows is None or self.reference in rows:
            return
        if self.reference == self.column:
            lacking = f", and {self.input} has no such column"
            raise RecipeError(held_to_itself(self.reference, of, lacking))
        known = None if answers is None else [*rows, *answers]
        check_columns([("reference", self.reference)], known, f"{self.input} or {of}")

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many as the input."""
        return inputs.get(self.input)

    def expected_seconds(self, rows: int | None) -> float | None:
        """Not known where models or verifiers take their time."""
        return None if self.models or self.by else super().expected_seconds(rows)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield a row a held-out row, with what was found of each system; measure the rest."""
        table = pa.Table.from_batches(records)
        if not table.num_rows:
            msg = f"{self.input} has no rows, so nothing can be measured"
            raise InputError(msg)
        work = Evaluating(self, table, ctx)
        given = work.measure()
        kept = work.kept_of_rows(table)
        columns = {**kept_beside(table.select(kept), given), **given}
        positions = pa.array(np.arange(table.num_rows), pa.int64())
        yield one_batch(pa.table({**columns, FROM: positions}))


def _stages(made: System) -> tuple[str, ...]:
    return (made,) if isinstance(made, str) else made


def _renamed(told: Any, names: Mapping[str, str | None]) -> Any:
    """Return a system's stages under their new names; None if none is left."""
    if isinstance(told, str):
        return names.get(told, told)
    left = [new for name in told if (new := names.get(name, name)) is not None]
    return left or None
