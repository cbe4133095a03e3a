"""``check_trainer``: a trainer over small data, with all laws of trainers checked."""

from __future__ import annotations

import pickle
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.curves import CURVES, read_curves
from mashbill.core.job import Job
from mashbill.core.model import Decoding
from mashbill.core.store import LEARNED
from mashbill.run.display import Quiet
from mashbill.teachers.student import Student, StudentSpec
from mashbill.testing.laws import Laws, check_spec, demand
from mashbill.testing.stages import run_twice
from mashbill.testing.teachers import CHOOSING, WRITING, check_answers
from mashbill.testing.trial import Trial, base_of, scratch, tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.artifact import Manifest
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store

_TEXTS = ("", "a", "a kind day", "the film was awful", "Grüße, 日本語")


def check_trainer(
    spec: StageSpec,
    rows: pa.Table | Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    files: Mapping[str, str | bytes] | None = None,
    bases: Mapping[str, Path] | None = None,
) -> tuple[str, ...]:
    """Train over small data and hold a trainer to all laws of trainers; return those that held.

    The run itself loads what was saved and holds it against ``ctx.trained``.

    Args:
        spec: its keys.
        rows: of its input; a dictionary by input where it has several.
        files: beside the recipe.
        bases: what it starts from, by the name that its keys have: a folder as save_pretrained of
            transformers writes one.

    Raises:
        LawError: naming each law that it breaks, and what to mend.
    """
    laws = Laws(f"trainer kind {spec.kind!r}")
    check_spec(laws, spec)
    with laws.law("it makes a model", "Set output: ClassVar[...] = 'model' in the class."):
        demand(spec.output == "model", f"its output is {spec.output!r}")
    with laws.law("what it learns from", "Declare the data by Uses(..., 'trained-on', ...)."):
        demand(any(use.role in {"trained-on", "base"} for use in spec.uses()), "uses() has none")
    if laws.broken:
        laws.settle()
    found = {name: base_of(name, path) for name, path in (bases or {}).items()}
    trial = Trial(spec, tables_of(spec, rows, bases=found), files=files or {}, bases=found)
    with scratch() as folder:
        with laws.law("job is handed over", "Keep plain values in the keys, which pickle takes."):
            (folder / "job").mkdir()
            job = Job.of(trial.recipe(folder / "job"), "out")
            demand(pickle.loads(pickle.dumps(job)) == job, "it is another one once it was pickled")  # noqa: S301 - what was pickled here
        made = run_twice(laws, trial, folder)
        if made is not None:
            _check_made(laws, spec, *made)
            _check_resumed(laws, trial, *made, folder / "cut")
    return laws.settle()


class _CutError(BaseException):
    """A run that is killed: no trainer may catch it."""


class _Cuts(Quiet):
    """Cuts a training off once a step is logged."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def measured(self, name: str, step: int, numbers: Mapping[str, float]) -> None:
        """Cut off there."""
        del name, numbers
        if step >= self._step:
            raise _CutError


def _check_resumed(
    laws: Laws, trial: Trial, store: Store, manifest: Manifest, folder: Path
) -> None:
    """Cut a training off in its middle, where it logs steps, and let it go on."""
    curves = read_curves(store.folder("model", manifest.ref))
    if not curves:
        return
    steps = np.unique(np.concatenate([curve.steps for curve in curves.values()]))
    with laws.law(
        "cut off and resumed",
        "Keep what it goes on from in ctx.work, call ctx.curves.resume with the first step that it "
        "does, and let each step depend on ctx.seed, its number and what was kept alone.",
    ):
        again = trial.new_store(folder)
        with suppress(_CutError):
            trial.run_in(again, folder, _Cuts(int(steps[len(steps) // 2])))
        resumed = trial.run_in(again, folder)
        kept, found = (
            [each.sha256 for each in one.files if each.file == CURVES]
            for one in (manifest, resumed)
        )
        demand(kept == found, "a training that was cut off and resumed has other curves")
        demand(resumed.digest == manifest.digest, "it made something else than a whole run")


def _check_made(laws: Laws, spec: StageSpec, store: Store, manifest: Manifest) -> None:
    folder = store.folder("model", manifest.ref)
    with laws.law("what it saw", "Set ctx.seen[NAME] to how often each row was learned from."):
        demand((folder / LEARNED).is_file(), "nothing says how often its rows were learned from")
    with laws.law("what it can do", "Set can_label or can_write: ClassVar[bool] in the class."):
        demand(spec.can_label or spec.can_write, "the model neither labels nor writes")
    if spec.can_label:
        _check_labels(laws, spec, folder)
    if spec.can_write:
        _check_writes(laws, spec, store, manifest)


def _check_labels(laws: Laws, spec: StageSpec, folder: Path) -> None:
    with laws.law(
        "it labels", "Let load return what has labels, and probabilities(texts) of (texts, labels)."
    ):
        loader: Any = type(spec)
        model, again = (loader.load(folder, 1) for _ in range(2))
        demand(len(set(model.labels)) == len(model.labels) > 1, f"its labels are {model.labels}")
        found = np.asarray(model.probabilities(_TEXTS), float)
        demand(found.shape == (len(_TEXTS), len(model.labels)), f"its shape is {found.shape}")
        demand(
            bool(((found >= 0) & (found <= 1)).all()) and np.allclose(found.sum(1), 1, atol=1e-3),
            "its probabilities are no shares of 1",
        )
        alone = np.concatenate([np.asarray(again.probabilities([text])) for text in _TEXTS])
        demand(np.allclose(alone, found, atol=1e-4), "a text has other probabilities when alone")


def _check_writes(laws: Laws, spec: StageSpec, store: Store, manifest: Manifest) -> None:
    """Ask the model as a student is asked: by all laws of teachers, and drawn by the seed alone."""
    folder = store.folder("model", manifest.ref)
    drawn = StudentSpec(model="out", max_tokens=12, temperature=1.0, seed=3)
    for spec_of in (StudentSpec(model="out", max_tokens=12), drawn):
        student = spec_of.as_made(manifest, folder)
        found: list[Any] = []
        with laws.law(
            "it writes", "Let load return what has answer(questions, decoding): mashbill.Writer."
        ):
            loader: Any = type(spec)
            model = loader.load(folder, 1)
            found.append(Student(model, student.identity, student.batch, student.decoding))
        if found:
            check_answers(laws, found[0], CHOOSING + WRITING, may_end_at_once=True)
    if laws.broken:
        return
    with laws.law(
        "what is drawn", "Draw by decoding.seed, the question and its sample, and nothing else."
    ):
        first, *others = (
            loader.load(folder, 1).answer(
                [replace(one, sample=sample) for one in WRITING],
                replace(drawn.decoding, seed=seed),
            )
            for seed, sample in ((3, 0), (3, 0), (3, 1), (4, 0))
        )
        same, *apart = ([a.text for a in each] for each in others)
        told = [a.text for a in first]
        demand(same == told, "the same seed and question gave another text")
        demand(any(each != told for each in apart), "other seeds and samples gave the same texts")
    with laws.law("it stops", "Write decoding.max_tokens at most; say 'length' where it is cut."):
        (cut,) = loader.load(folder, 1).answer(WRITING[:1], Decoding(max_tokens=1))
        demand(cut.finish in {"length", "stop"}, f"a text of one token ends with {cut.finish!r}")
