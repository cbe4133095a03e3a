"""Making the rows of an artifact again, for an audit that derives and does not believe.

A stage is rebuilt from the literals in the manifest, and what it declares is compared with what the
manifest says; where its literals and inputs alone give its rows (:attr:`StageSpec.repeats`), they
are made again and compared: texts and labels exactly, scores of a model within the tolerance that
the manifest records. Nothing is written but scratch, and no plugin's code is run. No teacher is
asked, but for models that stages of the store trained.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from mashbill.core import registry
from mashbill.core.artifact import ArtifactRef
from mashbill.core.base_model import MODELS
from mashbill.core.errors import MashbillError, RecipeError
from mashbill.core.file_origins import ORIGINS
from mashbill.core.recipe import VERIFIERS
from mashbill.core.record import BILL, FROM, ID, REASON, REJECTED_BY, identify
from mashbill.core.rowbytes import digests
from mashbill.core.stage import StageContext
from mashbill.core.tables import read_parquet
from mashbill.lineage.evidence.finding import Rederived
from mashbill.run.answering import hold_to_answers
from mashbill.run.asking_again import ask_again
from mashbill.run.declaring import compare_declared
from mashbill.run.measuring import add_measures, agree, left_out, settle_measures
from mashbill.run.scoring_again import scores_again, verifier_of, verifiers_in
from mashbill.run.slices import Place, Slice, context_of, slices
from mashbill.run.taken_model import compare_said
from mashbill.train.trained import TrainedSpec

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.dataset import Dataset
    from mashbill.core.model import Predictor
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store

_NO_LITERALS = frozenset({"seed", "files", "teachers", VERIFIERS, ORIGINS, MODELS})
_READ_ROWS = 1 << 16
_TOLD = 3


@dataclass(frozen=True)
class Rederiver:
    """Makes rows again from what a store holds.

    Args:
        store: the store that is audited.
        share: of the shards that are made again, 1 for all; drawn by ``seed``.
        threads: for models that are asked again.
        seed: of the drawing.
    """

    store: Store
    share: float = 1.0
    threads: int = 1
    seed: int = 0

    def __call__(self, manifest: Manifest) -> Rederived:
        """Make an artifact again as far as that is possible, and say what differs."""
        found = Rederived()
        try:
            self._identified(manifest, found)
            spec = self._spec(manifest, found)
            if spec is None:
                return found
            compare_declared(spec, manifest, self.store, found)
            if isinstance(spec, TrainedSpec):
                compare_said(spec, manifest, self.store, found)
            if spec.output != "dataset":
                found.not_derived.append("its training was not done again")
            elif any(use.is_teacher for use in spec.uses()):
                hold_to_answers(spec, manifest, self.store, found)
                ask_again(
                    manifest,
                    self.store,
                    found,
                    share=self.share,
                    seed=self.seed,
                    threads=self.threads,
                )
            elif not spec.repeats:
                found.not_derived.append(_why_not(spec))
            elif not found.wrong and scores_again(spec, manifest, found):
                with tempfile.TemporaryDirectory(prefix="mashbill-audit-") as folder:
                    _Again(self, spec, manifest, Path(folder), found).run()
        except MashbillError as error:
            found.not_derived.append(f"its rows could not be made again: {error!s:.300}")
        return found

    def _identified(self, manifest: Manifest, found: Rederived) -> None:
        """See that each row is called by the digest of its own columns."""
        for shard in (*manifest.shards, *manifest.rejected):
            path = self.store.folder(manifest.kind, manifest.ref) / shard.file
            rows = read_parquet(path, path)
            if ID not in rows.column_names:
                continue
            differ = np.flatnonzero(
                np.asarray(pc.not_equal(identify(rows).column(ID), rows.column(ID)))
            )
            if len(differ):
                what = f"{len(differ):,} rows have an {ID} that is not theirs: row {differ[0]}"
                found.wrong.append((shard.file, what))

    def _spec(self, manifest: Manifest, found: Rederived) -> StageSpec | None:
        kind = str(manifest.stage.get("kind"))
        if registry.is_plugin(kind, registry.STAGES, registry.TRAINERS):
            found.not_derived.append(f"its kind {kind!r} is a plugin's, whose code is not run here")
            return None
        names = [ArtifactRef.parse(i.name).name for i in manifest.inputs if i.is_artifact]
        keys = {
            key: _in_order(value, names)
            for key, value in manifest.stage.items()
            if key not in _NO_LITERALS
        }
        try:
            spec: StageSpec = registry.find(
                kind, registry.STAGES, registry.TRAINERS
            ).model_validate(keys)
        except (ValidationError, RecipeError) as error:
            keys_told = ", ".join(str(key) for key in _keys_of(error)) or f"{error!s:.200}"
            found.not_derived.append(f"its literals are not read by this release ({keys_told})")
            return None
        return spec.with_verifiers(verifiers_in(manifest))


def _keys_of(error: Exception) -> list[str]:
    """Return the keys that a stage of this release does not take."""
    if not isinstance(error, ValidationError):
        return []
    return [".".join(map(str, item["loc"]))[:80] for item in error.errors()[:_TOLD]]


def _in_order(value: Any, names: list[str]) -> Any:
    """Return a table that names inputs in their order: canonical JSON sorts its keys."""
    if not isinstance(value, dict):
        return value
    place = {name: at for at, name in enumerate(names)}
    last = len(names)

    def order(item: tuple[str, Any]) -> int:
        key, inner = item
        if isinstance(inner, list) and inner:  # one a seed
            inner = inner[0]
        return place.get(key, place.get(inner, last) if isinstance(inner, str) else last)

    return dict(sorted(value.items(), key=order))


def _why_not(spec: StageSpec) -> str:
    if not spec.uses():
        return "its rows were read from files that are not in the store"
    return f"its kind {spec.kind!r} is none whose rows follow from literals and inputs alone"


class _Again:
    """Runs one stage again and compares its rows with those that were committed."""

    def __init__(
        self,
        rederiver: Rederiver,
        spec: StageSpec,
        manifest: Manifest,
        work: Path,
        found: Rederived,
    ) -> None:
        self._of = rederiver
        self._spec = spec
        self._manifest = manifest
        self._found = found
        # Older releases did not record it.
        self._tolerance = manifest.tolerance or spec.tolerance
        self._folder = rederiver.store.folder(manifest.kind, manifest.ref)
        self._refs = {
            ArtifactRef.parse(item.name).name: ArtifactRef.parse(item.name)
            for item in manifest.inputs
            if item.is_artifact
        }
        self._context = StageContext(
            name=manifest.name,
            seed=int(manifest.stage.get("seed", 0)),
            recipe_folder=work,
            cache=work,
            work=work,
            threads=rederiver.threads,
            input=self._input,
            teacher=self._no_teacher,
            predictor=self._predictor,
            progress=lambda *_: None,
            verifier=lambda name: verifier_of(name, manifest, work, rederiver.threads),
        )

    def _input(self, name: str) -> Dataset:
        return self._of.store.dataset(self._refs[name])

    def _no_teacher(self, name: str) -> Any:
        msg = f"teacher {name!r} is not asked by an audit"
        raise RecipeError(msg)

    def _predictor(self, name: str) -> Predictor:
        return self._predictors[name]

    @cached_property
    def _predictors(self) -> dict[str, Predictor]:
        found = {}
        for item in self._manifest.inputs:
            if not item.is_artifact:
                continue
            manifest = self._of.store.get(ArtifactRef.parse(item.name))
            if manifest is not None and manifest.kind == "model":
                trainer = registry.find(manifest.stage["kind"], registry.TRAINERS)
                folder = self._of.store.folder("model", manifest.ref)
                found[manifest.name] = trainer.load(folder, self._of.threads)
        return found

    def run(self) -> None:
        """Make the rows again and compare."""
        names = [use.name for use in self._spec.uses() if use.role == "rows"]
        inputs = [(name, self._input(name)) for name in names]
        if self._spec.streams:
            self._sliced(inputs)
        else:
            self._whole(inputs[0][1])
        settle_measures(self._context, self._manifest.name)
        self._context.measures |= self._context.overall
        gone = left_out(self._manifest.measures, self._context.measures)
        if self._of.share == 1 and gone:
            self._found.not_derived.append(
                f"it does not state {', '.join(gone)[:200]}, which this release measures: it was "
                "left out, or the release that made it did not measure it"
            )
        if self._of.share == 1 and not agree(self._manifest.measures, self._context.measures):
            self._found.wrong.append(("manifest.json", "its measures come out otherwise"))

    def _sliced(self, inputs: list[tuple[str, Dataset]]) -> None:
        draw = random.Random(f"{self._of.seed} {self._manifest.digest}")  # noqa: S311 - a sample
        offsets = np.zeros(len(inputs), np.int64)
        chosen = [False]

        def skip(_number: int) -> bool:
            chosen[0] = draw.random() < self._of.share
            return not chosen[0]

        self._of_no_slice(sum(-(-data.num_rows // self._spec.shard_rows) for _, data in inputs))
        for item in slices(inputs, offsets, self._spec.shard_rows, skip):
            place = self._before(item)
            if self._spec.wanted is not None and place.kept >= self._spec.wanted:
                continue  # a run ends with the slice that has enough
            own = context_of(self._context, replace(item, place=place))
            out = list(self._spec.run(iter(item.rows.to_batches()), own))
            add_measures(self._context.measures, own.measures)
            self._context.overall |= own.overall
            made = pa.Table.from_batches(out) if out else None
            for begin in ("part", "rejected"):
                file = f"{begin}-{item.number:05d}.parquet"
                self._compare(file, _half(made, item, begin), self._stored(file))

    def _before(self, item: Slice) -> Place:
        """Return what came of the slices before one, as the artifact has it."""
        numbers = ((int(shard.file[5:-8]), shard.rows) for shard in self._manifest.shards)
        return Place(sum(rows for number, rows in numbers if number < item.number))

    def _of_no_slice(self, count: int) -> None:
        """Find shards that are made of none of so many slices of the inputs."""
        known = {
            f"{begin}-{number:05d}.parquet"
            for number in range(count)
            for begin in ("part", "rejected")
        }
        for shard in (*self._manifest.shards, *self._manifest.rejected):
            if shard.file not in known:
                what = f"is made of none of the {count:,} slices that its inputs have"
                self._found.wrong.append((shard.file, what))

    def _whole(self, data: Dataset) -> None:
        """Compare all rows, one behind the other: where a shard ends follows from their size."""
        made: dict[str, list[pa.Table]] = {"part": [], "rejected": []}
        batches = (batch for _, piece in data.chunks(_READ_ROWS) for batch in piece.to_batches())
        for batch in self._spec.run(batches, self._context):
            table = pa.Table.from_batches([batch])
            for begin, halves in made.items():
                half = _half(table, None, begin)
                if half is not None:
                    halves.append(half)
        for begin, halves in made.items():
            shards = self._manifest.shards if begin == "part" else self._manifest.rejected
            stored = [self._stored(shard.file) for shard in shards]
            together = [one for one in stored if one is not None]
            self._compare(
                begin,
                pa.concat_tables(halves) if halves else None,
                pa.concat_tables(together) if together else None,
            )

    def _stored(self, file: str) -> pa.Table | None:
        path = self._folder / file
        return read_parquet(path, path) if path.is_file() else None

    def _compare(self, file: str, made: pa.Table | None, stored: pa.Table | None) -> None:
        """Compare rows: all columns but those that say where they lie and which node they have."""
        rows = [0 if table is None else table.num_rows for table in (made, stored)]
        self._found.rows += max(rows)
        if rows[0] != rows[1]:
            what = f"has {rows[1]:,} rows; made again, {rows[0]:,}"
            self._found.wrong.append((file if "." in file else "", what))
            return
        if made is None or stored is None or not rows[0]:
            return
        columns = [name for name in stored.column_names if name not in {ID, BILL}]
        if sorted(columns) != sorted(made.column_names):
            what = f"has columns {', '.join(columns)}; made again, {', '.join(made.column_names)}"
            self._found.wrong.append((file if "." in file else "", f"{what:.300}"))
            return
        loose = [
            name
            for name in columns
            if self._tolerance is not None and pa.types.is_floating(stored.schema.field(name).type)
        ]
        exact = [name for name in columns if name not in loose]
        differ = _differing(made.select(exact), stored.select(exact))
        for name in loose:
            differ |= ~np.isclose(
                np.asarray(made.column(name).cast(pa.float64())),
                np.asarray(stored.column(name).cast(pa.float64())),
                rtol=0,
                atol=self._tolerance or 0,
                equal_nan=True,
            )
        if differ.any():
            row = int(np.flatnonzero(differ)[0])
            what = f"{int(differ.sum()):,} rows come out otherwise, the first of them row {row}"
            self._found.wrong.append((file if "." in file else "", what))


def _half(made: pa.Table | None, item: Slice | None, begin: str) -> pa.Table | None:
    """Return the rows that were kept, or those that were rejected, as a shard has them."""
    if made is None:
        return None
    if item is not None:
        at = made.schema.get_field_index(FROM)
        made = made.set_column(at, FROM, pc.add(made.column(FROM), item.start))
    if REJECTED_BY not in made.column_names:
        return made if begin == "part" else None
    rejected = pc.is_valid(made.column(REJECTED_BY))
    if begin == "part":
        return made.filter(pc.invert(rejected)).drop_columns([REJECTED_BY, REASON])
    return made.filter(rejected)


def _differing(one: pa.Table, two: pa.Table) -> np.ndarray:
    """Return which rows differ, shape (rows,)."""
    first, second = (
        digests({name: table.column(name) for name in table.column_names}) for table in (one, two)
    )
    return np.array([a != b for a, b in zip(first, second, strict=True)], bool)
