"""A small recipe over given rows, run in a temporary store as any recipe is."""

from __future__ import annotations

import datetime as dt
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mashbill.core.base_model import FolderModel, ModelSpec
from mashbill.core.ledger import Signer
from mashbill.core.recipe import Head, Recipe
from mashbill.core.record import BILL
from mashbill.core.source import Source
from mashbill.core.stage import StageSpec
from mashbill.core.store import Store
from mashbill.models.folder import digest_of_folder
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.run.display import Display, Quiet
from mashbill.run.execution import Execution
from mashbill.run.executor import execute
from mashbill.run.permission import Acceptance, permit_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mashbill.core.artifact import Manifest
    from mashbill.core.stage import StageContext, Uses
    from mashbill.core.teacher import TeacherSpec
    from mashbill.core.verifier import VerifierSpec

OUT = "out"
"""name of the stage that is tried"""
_DATA = frozenset({"rows", "beside", "trained-on"})


class GivenRows(StageSpec):
    """Rows that a test gives, as a first stage has them."""

    streams: ClassVar[bool] = False
    kind: Literal["given-rows"] = "given-rows"
    file: str
    """Parquet file beside the recipe"""

    def uses(self) -> tuple[Uses, ...]:
        """Nothing: it is a first stage."""
        return ()

    def sources(self, folder: Path) -> tuple[Source, ...]:
        """The rows, as data of one's own."""
        del folder
        return (Source(name="given rows", what="dataset", kind="own-dataset", route="file"),)

    def files(self) -> tuple[str, ...]:
        """The file that holds them."""
        return (self.file,)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield them."""
        del records
        for batch in pq.read_table(ctx.recipe_folder / self.file).to_batches():
            yield batch.append_column(BILL, pa.array(np.zeros(batch.num_rows, np.int32)))


@dataclass(frozen=True)
class Trial:
    """What a stage is tried with."""

    spec: StageSpec
    inputs: Mapping[str, pa.Table]
    """rows of each data set that it takes"""
    teachers: Mapping[str, TeacherSpec] = field(default_factory=dict)
    verifiers: Mapping[str, VerifierSpec] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """files beside the recipe"""
    models: Mapping[str, StageSpec] = field(default_factory=dict)
    """trainers of the models that it takes, or that its students are"""
    seed: int = 7
    bases: Mapping[str, ModelSpec] = field(default_factory=dict)
    """what it starts from"""

    def recipe(self, folder: Path) -> Recipe:
        """Write what it reads into a folder, and return the recipe."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        stages: dict[str, StageSpec] = {}
        for name, table in self.inputs.items():
            pq.write_table(table, folder / f"{name}.parquet")
            stages[name] = GivenRows(file=f"{name}.parquet")
        stages |= self.models
        stages[OUT] = self.spec.with_verifiers(self.verifiers)
        return Recipe.model_construct(
            recipe=Head(name="trial", version="1", seed=self.seed, result=OUT),
            teachers=dict(self.teachers),
            verifiers=dict(self.verifiers),
            models=dict(self.bases),
            stages=stages,
            folder=folder,
        )

    def run(self, folder: Path) -> tuple[Store, Manifest]:
        """Plan, permit and run it in a new store; return the store, and what was made."""
        store = self.new_store(folder)
        return store, self.run_in(store, folder)

    @staticmethod
    def new_store(folder: Path) -> Store:
        """Return a store of a key that nobody else has."""
        return Store(folder / "store", Signer(Ed25519PrivateKey.generate()))

    def run_in(self, store: Store, folder: Path, display: Display | None = None) -> Manifest:
        """Run it, or what a run that was cut off left of it; return what was made."""
        (folder / "recipe").mkdir(parents=True, exist_ok=True)
        recipe = self.recipe(folder / "recipe")
        plan = build(recipe, store, cache=folder / "cache")
        who = Acceptance("mashbill.testing", "a trial over small data of one's own")
        today = dt.datetime.now(dt.UTC).date()
        permit = permit_plan(plan, store, load_registry(), today, accepted=who, answered=who)
        how = Execution(
            folder / "cache", threads=1, go_on_rejected=True, display=display or Quiet()
        )
        done = execute(permit, store, how)
        return done[-1].manifest


def base_of(name: str, path: Path) -> ModelSpec:
    """Return a folder of weights as what a trainer starts from, pinned as it is."""
    return FolderModel(
        name=name, folder=str(path.resolve()), sha256=digest_of_folder(path.resolve())
    )


def tables_of(
    spec: StageSpec,
    rows: Any,
    models: Mapping[str, StageSpec] | None = None,
    bases: Collection[str] = (),
) -> dict[str, pa.Table]:
    """Return the rows of each data set that a stage takes, and those that its models learn from.

    Args:
        spec: the stage.
        rows: a table, a list of dictionaries, or a dictionary of these by input.
        models: trainers of the models that it takes.
        bases: names of what it starts from.

    Raises:
        ValueError: if it takes what this kit cannot give, or rows are missing.
    """
    trained = dict(models or {})
    takers = (spec, *trained.values())
    uses = [use for one in takers for use in one.uses() if use.is_artifact]
    uses = [use for use in uses if use.name not in {*trained, *bases}]
    other = [use.name for use in uses if use.role not in _DATA]
    if other:
        way = "its trainer: models" if trained or spec.output != "model" else "its folder: bases"
        msg = f"it takes the model {other[0]!r}; give {way}={{{other[0]!r}: ...}}"
        raise ValueError(msg)
    names = list(dict.fromkeys(use.name for use in uses))
    given = rows if isinstance(rows, dict) else dict.fromkeys(names, rows)
    lacking = [name for name in names if name not in given]
    if lacking:
        msg = f"no rows are given for its input {lacking[0]!r}"
        raise ValueError(msg)
    return {
        name: each if isinstance(each, pa.Table) else pa.Table.from_pylist(list(each))
        for name, each in given.items()
    }


def all_rows(store: Store, manifest: Manifest) -> tuple[pa.Table | None, pa.Table | None]:
    """Return the rows that were kept, and those that were rejected; None where there are none."""
    folder = store.folder(manifest.kind, manifest.ref)
    halves = (
        [pq.read_table(folder / shard.file) for shard in shards]
        for shards in (manifest.shards, manifest.rejected)
    )
    kept, rejected = (pa.concat_tables(half) if half else None for half in halves)
    return kept, rejected


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mashbill-testing-") as folder:
        yield Path(folder)
