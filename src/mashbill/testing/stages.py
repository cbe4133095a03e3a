"""``check_stage``: a stage over small data, with all laws of stages checked."""

from __future__ import annotations

import pickle
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.job import Job
from mashbill.core.record import BILL, FROM, ID, one_batch
from mashbill.core.rowbytes import digests
from mashbill.core.stage import StageContext, StageSpec, Uses
from mashbill.core.verifier import VerifierSession
from mashbill.run.contract import Contract
from mashbill.testing.laws import Laws, check_spec, demand
from mashbill.testing.trial import Trial, all_rows, scratch, tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.core.teacher import TeacherSpec
    from mashbill.core.verifier import VerifierSpec

_SIZES = (1, 3)
"""rows of a slice that a stage that streams is given, beside all at once"""


def check_stage(
    spec: StageSpec,
    rows: pa.Table | Sequence[Mapping[str, Any]] | Mapping[str, Any],
    *,
    teachers: Mapping[str, TeacherSpec] | None = None,
    verifiers: Mapping[str, VerifierSpec] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    models: Mapping[str, StageSpec] | None = None,
    may_drop: bool = False,
) -> tuple[str, ...]:
    """Run a stage over small data and hold it to all laws of stages; return those that held.

    Args:
        spec: its keys.
        rows: of its input; a dictionary by input where it has several.
        teachers: those that it asks, as its keys name them.
        verifiers: likewise.
        files: beside the recipe: prompts and the like.
        models: trainers of the models that it takes, by name; the data that they learn from are
            among the rows.
        may_drop: whether rows may vanish without being rejected, as where a part is drawn.

    Raises:
        LawError: naming each law that it breaks, and what to mend.
    """
    laws = Laws(f"stage kind {spec.kind!r}")
    check_spec(laws, spec)
    with laws.law("uses", "Return a tuple of mashbill.Uses from uses(), rows first."):
        uses: Any = spec.uses()
        demand(isinstance(uses, tuple), f"uses() gives {type(uses).__name__!r}")
        demand(all(isinstance(use, Uses) for use in uses), "uses() gives what is no Uses")
        demand(uses == spec.uses(), "uses() says another thing when it is asked again")
    if laws.broken:
        laws.settle()
    trial = Trial(
        spec,
        tables_of(spec, rows, models),
        teachers or {},
        verifiers or {},
        files or {},
        models or {},
    )
    before = spec.model_dump_json()
    with scratch() as folder:
        _check_job(laws, trial, folder / "job")
        made = run_twice(laws, trial, folder)
        if made is not None:
            store, manifest = made
            _check_rows(laws, trial, store, manifest, may_drop=may_drop)
            asks = any(use.is_teacher or (use.role == "actor" and use.is_artifact) for use in uses)
            if spec.streams and spec.wanted is None and not asks and spec.uses():
                _check_slices(laws, trial, store)
    with laws.law("keys stay", "Change nothing in self: what a run needs to keep goes into ctx."):
        demand(spec.model_dump_json() == before, "its keys are others after it has run")
    return laws.settle()


def _check_job(laws: Laws, trial: Trial, folder: Path) -> None:
    with laws.law(
        "job is handed over",
        "A job goes to other processes: let pickle take the spec, and its keys be plain values.",
    ):
        folder.mkdir()
        job = Job.of(trial.recipe(folder), "out")
        given = job.given(dict.fromkeys(job.inputs, "0" * 64))
        again = pickle.loads(pickle.dumps(given))  # noqa: S301 - what was pickled here
        demand(again == given, "its job is another one once it was pickled")
        demand(again.fingerprint == given.fingerprint, "its fingerprint is another one then")


def run_twice(laws: Laws, trial: Trial, folder: Path) -> tuple[Store, Manifest] | None:
    """Run a trial in two stores; return the first, and what was made in it."""
    made: list[tuple[Store, Manifest]] = []
    with laws.law(
        "it runs", "The message says what it did that a stage may not, or where it failed."
    ):
        made.append(trial.run(folder / "one"))
    if not made:
        return None
    with laws.law(
        "the same twice",
        "Draw by ctx.seed, go through nothing in the order of a set, and read no clock.",
    ):
        _, again = trial.run(folder / "two")
        demand(
            again.digest == made[0][1].digest,
            "two runs over the same rows made something different",
        )
    return made[0]


def _check_rows(
    laws: Laws, trial: Trial, store: Store, manifest: Manifest, *, may_drop: bool
) -> None:
    halves = [table for table in all_rows(store, manifest) if table is not None]
    names = [use.name for use in trial.spec.uses() if use.role == "rows"]
    if not names:
        return
    with laws.law(
        "no row is dropped",
        "Yield a row that you turn down too, with _rejected_by and _reason; a stage that draws a "
        "part is checked with may_drop=True.",
    ):
        met = {place for half in halves for place in _places(half.column(FROM))}
        lost = [
            at for at in range(sum(trial.inputs[name].num_rows for name in names)) if at not in met
        ]
        demand(may_drop or not lost, f"row {lost[0] if lost else 0} of its input came to nothing")
    if not trial.spec.keeps_texts or trial.spec.merges:
        return
    with laws.law(
        "_from is right",
        "A stage with keeps_texts gives each row the text of the row that its _from names.",
    ):
        given = pa.concat_tables(
            [trial.inputs[name].select(["text"]) for name in names], promote_options="permissive"
        )
        for half in halves:
            told = half.column("text").to_pylist()
            behind = given.column("text").take(half.column(FROM)).to_pylist()
            wrong = [
                at for at, pair in enumerate(zip(told, behind, strict=True)) if pair[0] != pair[1]
            ]
            demand(not wrong, f"row {wrong[0] if wrong else 0} has not the text that it came from")


def _places(column: pa.ChunkedArray) -> list[int]:
    flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    places: list[int] = flat.to_pylist()
    return places


def _check_slices(laws: Laws, trial: Trial, store: Store) -> None:
    """Hold a stage that streams to giving the same rows however its input is cut."""
    (name, table) = next((n, t) for n, t in trial.inputs.items())
    with laws.law("no rows are no error", "Yield nothing, or an empty batch, for an empty batch."):
        _slice(trial, store, name, table.slice(0, 0))
    with laws.law(
        "slices are the whole",
        "A stage that streams sees a slice alone: let no row depend on another, and count _from "
        "from 0 in each; or set streams = False.",
    ):
        whole = _cut(trial, store, name, table, table.num_rows or 1)
        for size in _SIZES:
            pieces = _cut(trial, store, name, table, size)
            wrong = next(
                (at for at, a, b in zip(count(), pieces, whole, strict=False) if a != b),
                min(len(pieces), len(whole)),
            )
            demand(
                pieces == whole,
                f"slices of {size} give {len(pieces)} rows and the whole {len(whole)}, and row "
                f"{wrong} is the first that differs",
            )


def _cut(trial: Trial, store: Store, name: str, table: pa.Table, size: int) -> list[bytes]:
    """Return the digest of each row that slices of this size give, ``_from`` in the whole."""
    found: list[bytes] = []
    for start in range(0, table.num_rows, size):
        for batch in _slice(trial, store, name, table.slice(start, size), start):
            made = pa.Table.from_batches([batch])
            at = made.schema.get_field_index(FROM)
            made = made.set_column(at, FROM, pc.add(made.column(FROM), start))
            found += digests({key: made.column(key) for key in made.column_names})
    return found


def _slice(
    trial: Trial, store: Store, name: str, rows: pa.Table, first: int = 0
) -> list[pa.RecordBatch]:
    """Run a stage over one slice, held to its contract."""
    with scratch() as folder:
        trial.recipe(folder)
        context = StageContext(
            name="out", seed=trial.seed, recipe_folder=folder, cache=folder, work=folder, threads=1,
            input=lambda key: store.dataset(store.find(key).ref),
            teacher=_nobody, predictor=_nobody, progress=lambda *_: None, current=name, first=first,
            verifier=lambda key: _verifier(trial, key, folder),
        )  # fmt: skip
        data = store.dataset(store.find(name).ref)
        kept = [item for item in data.columns if item in {ID, BILL}]
        whole = data.read(0, data.num_rows, kept).slice(first, rows.num_rows)
        for key in kept:
            rows = rows.append_column(key, whole.column(key))
        batches = trial.spec.run(iter([one_batch(rows)]), context)
        return list(Contract("out", trial.spec).held(batches, rows.num_rows))


def _verifier(trial: Trial, name: str, folder: Path) -> VerifierSession:
    if name not in {use.name for use in trial.spec.uses() if use.is_verifier}:
        _nobody(name)
    spec = trial.verifiers[name]
    return VerifierSession(name, spec, lambda: spec.load(folder, folder, 1))


def _nobody(name: str) -> Any:
    msg = f"it asks {name!r}, which its uses() does not declare"
    raise AssertionError(msg)
