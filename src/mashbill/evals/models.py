"""Models as systems: stages or ``[models.*]`` tables, loaded and asked, and what they learned from.

What a stage trained is loaded by its trainer; what comes from elsewhere, as transformers keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core import registry
from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.missing import missing_in
from mashbill.core.model import Decoding
from mashbill.core.teacher import Question
from mashbill.core.texts import texts_of
from mashbill.evals.answers import Answers
from mashbill.evals.overlapping import Learned, learned_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.evals.evaluate import EvaluateSpec
    from mashbill.evals.upstream import Upstream

PROMPT, FINISH = "prompt", "finish"
"""columns of what a model writes here, beside its answers"""
_AT_ONCE = 64


@dataclass(frozen=True)
class Written:
    """Answers that a model wrote here, read as those of a dataset are."""

    table: pa.Table

    @property
    def num_rows(self) -> int:
        """Answers."""
        return int(self.table.num_rows)

    def read(self, start: int, stop: int) -> pa.Table:
        """Return some answers."""
        return self.table.slice(start, stop - start)

    def chunks(self, rows: int) -> Iterator[tuple[int, pa.Table]]:
        """Yield (position of the first, answers) in order."""
        for start in range(0, self.num_rows, rows):
            yield start, self.table.slice(start, rows)


def loaded_model(name: str, ctx: StageContext) -> Any:
    """Return a model.

    Args:
        name: of the stage that trains it, or of a ``[models.*]`` table.
        ctx: the context.

    Raises:
        StoreError: if its files are damaged.
        MissingExtraError: if what it needs is not installed.
    """
    base = ctx.base(name)
    folder, manifest = base.folder, base.manifest
    if manifest is not None:
        kind = str(manifest.stage.get("kind"))
        with registry.telling(f"loading the model {manifest.ref} of", kind, registry.TRAINERS):
            trainer: Any = registry.find(kind, registry.TRAINERS)
            return trainer.load(folder, ctx.threads)
    with needs("a model that writes", "students"):
        from mashbill.models.causal_writer import CausalWriter
    return CausalWriter.load(folder, ctx.threads)


def learned_by_models(
    made: str | tuple[str, ...], ctx: StageContext, upstream: Upstream
) -> Learned:
    """Return what models learned from; one from elsewhere says nothing of that.

    Args:
        made: stages, or ``[models.*]`` tables.
        ctx: the context.
        upstream: the store.
    """
    bases = [ctx.base(name) for name in stages_of(made)]
    found = learned_by([one.manifest for one in bases if one.manifest is not None], upstream)
    for base in bases:
        if base.manifest is None:
            found.unrecorded[base.title] = None
    return found


def written_by(name: str, spec: EvaluateSpec, rows: pa.Table, ctx: StageContext) -> Answers:
    """Return a model's answers to the rows, so many to each.

    A row without a question is not asked, and has none; what the model cannot answer is missing.

    Raises:
        InputError: if the column is not there, or the model does not write.
    """
    model = loaded_model(name, ctx)
    if not hasattr(model, "answer"):
        msg = f"{name} makes a model that does not write, and it is to answer; name another"
        raise InputError(msg)
    asked = texts_of(rows, spec.ask, spec.input)
    there = np.flatnonzero(~missing_in(rows.column(spec.ask), blank=True)).tolist()
    decoding = Decoding(
        max_tokens=spec.max_tokens, temperature=spec.temperature, seed=ctx.seed
    )  # fmt: skip
    todo = [(place, sample) for place in there for sample in range(spec.samples)]
    texts: list[str | None] = []
    ends: list[str | None] = []
    for start in range(0, len(todo), _AT_ONCE):
        some = todo[start : start + _AT_ONCE]
        questions = [Question("", asked[place], sample=sample) for place, sample in some]
        for answer in model.answer(questions, decoding):
            texts.append(None if answer.failed else answer.text)
            ends.append(answer.finish or None)
        ctx.progress(start + len(some), len(todo), f"{name} answers")
    places = np.array([place for place, _ in todo], np.int64)
    return _answers(name, spec, texts, [asked[place] for place, _ in todo], ends, places)


def nothing_written(spec: EvaluateSpec) -> Answers:
    """Return no answers, with the columns that those of models have."""
    return _answers("what models answer", spec, [], [], [], np.empty(0, np.int64))


def _answers(
    name: str,
    spec: EvaluateSpec,
    texts: list[str | None],
    asked: list[str],
    ends: list[str | None],
    places: np.ndarray,
) -> Answers:
    columns = {spec.column: texts, PROMPT: asked, FINISH: ends}
    table = pa.table({key: pa.array(cells, pa.string()) for key, cells in columns.items()})
    return Answers(name, Written(table), places)


def weighing(model: Any, name: str) -> Any:
    """Return what of a model weighs texts.

    Raises:
        InputError: if it does not.
    """
    found = getattr(model, "logprobs", None)
    if found is None:
        msg = f"{name} makes a model that weighs no texts, so it has no perplexity; name another"
        raise InputError(msg)
    return found


def stages_of(made: str | Sequence[str]) -> tuple[str, ...]:
    """Return the stages of a system, one a seed."""
    return (made,) if isinstance(made, str) else tuple(made)
