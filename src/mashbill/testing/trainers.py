"""``check_trainer``: a trainer over small data, with all laws of trainers checked."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.job import Job
from mashbill.core.store import LEARNED
from mashbill.testing.laws import Laws, check_spec, demand
from mashbill.testing.stages import run_twice
from mashbill.testing.trial import Trial, scratch, tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
) -> tuple[str, ...]:
    """Train over small data and hold a trainer to all laws of trainers; return those that held.

    The run itself loads what was saved and holds it against ``ctx.trained``.

    Args:
        spec: its keys.
        rows: of its input; a dictionary by input where it has several.
        files: beside the recipe.

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
    trial = Trial(spec, tables_of(spec, rows), files=files or {})
    with scratch() as folder:
        with laws.law("job is handed over", "Keep plain values in the keys, which pickle takes."):
            (folder / "job").mkdir()
            job = Job.of(trial.recipe(folder / "job"), "out")
            demand(pickle.loads(pickle.dumps(job)) == job, "it is another one once it was pickled")  # noqa: S301 - what was pickled here
        made = run_twice(laws, trial, folder)
        if made is not None:
            _check_made(laws, spec, *made)
    return laws.settle()


def _check_made(laws: Laws, spec: StageSpec, store: Store, manifest: Manifest) -> None:
    folder = store.folder("model", manifest.ref)
    with laws.law("what it saw", "Set ctx.seen[NAME] to how often each row was learned from."):
        demand((folder / LEARNED).is_file(), "nothing says how often its rows were learned from")
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
