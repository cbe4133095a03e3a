"""Keeping a model that was trained elsewhere: its files, and the nodes of what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef, FileDigest
from mashbill.core.canonical import digest, digest_file
from mashbill.core.errors import MashbillError
from mashbill.core.said_learning import SAID, SaidDataset
from mashbill.core.store import MANIFEST, publish
from mashbill.core.training_record import RECORD
from mashbill.lineage.circuit.declared import learned_beside
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.said_model import close_said, origins_of
from mashbill.run.artifact import committed_shards, write_nodes
from mashbill.stages.marks.claims import claims_contradicted
from mashbill.train.said_by import agreed, known_again, names_of

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.marks import Contradiction
    from mashbill.core.recipe import Recipe
    from mashbill.core.store import Store
    from mashbill.lineage.evidence.finding import Rederived
    from mashbill.run.task import Task
    from mashbill.train.trained import TrainedSpec


def kept_files(task: Task, scratch: Path) -> tuple[Path, tuple[FileDigest, ...]]:
    """Put what a trainer wrote into the store; return the model's folder there, and its files.

    Raises:
        StoreError: if it was removed, and does not come out as it was.
    """
    folder = task.store.folder("model", task.ref)
    committed_shards(task)
    if task.again is not None:
        found = {path.name: digest_file(path) for path in scratch.iterdir()}
        if found != {item.file: item.sha256 for item in task.again.files}:
            raise task.differs("its weights come out")
    files = []
    for path in sorted(scratch.iterdir()):
        files.append(FileDigest(file=path.name, sha256=digest_file(path)))
        publish(path, folder / path.name)
    return folder, tuple(files)


def take_model(task: Task, spec: TrainedSpec, scratch: Path) -> dict[str, Any]:
    """Keep a model that was copied into ``scratch``; return the manifest's parts.

    Raises:
        InputError: if recipe and record disagree.
    """
    recipe, ctx = task.recipe, task.context
    models = {name: one for name, one in recipe.bases(task.name).items() if not one.made_as}
    made = {
        called: task.made[use.name]
        for use, called in zip(recipe.uses(task.name), (u.name for u in spec.uses()), strict=True)
        if use.is_artifact
    }
    taken = spec.take(ctx, models, made)
    tables: dict[str, NodeTable] = {}
    origins = {}
    for one in taken.said:
        if one.outside is not None:
            tables[one.name], origins[one.name] = taken.outside[one.name], one.outside
    for use in recipe.uses(task.name):
        if use.role == "trained-on":
            name = str(task.made[use.name].ref)
            tables[name] = task.tables[use.name]
            origins[name] = origins_of(tables[name])
    parts = spec.parts()
    bases = zip(
        learned_beside(recipe, task.name, task.tables),
        (parts.get(name) for name in spec.parent_names),
        strict=True,
    )
    folder, files = kept_files(task, scratch)
    content = digest([[item.file, item.sha256] for item in files])
    table, found = close_said(
        str(task.ref), content, taken.said, tables, origins, list(bases), has_unnamed=spec.unnamed
    )
    for name in found.unknown:
        ctx.warn(
            f"how much of {name} it saw does not follow from what is said, so its share on the "
            f"bill is an interval; say tokens or epochs of it, or let a record say it"
        )
    return {
        "kind": "model",
        "files": files,
        "tokens": found.tokens,
        "token_unit": found.unit,
        "learned_from": found.learned_from,
        **write_nodes(task, folder, table),
    }


def claimed(store: Store, recipe: Recipe, name: str, manifest: Manifest) -> Contradiction | None:
    """Return what the files of a model that was taken in claim, and the recipe does not say."""
    names = {
        each for base, model in recipe.bases(name).items() for each in names_of(base, model, None)
    }
    folder = store.folder("model", manifest.ref)
    return claims_contradicted(folder, manifest, NodeTable.of(store, manifest), names)


def compare_said(spec: TrainedSpec, manifest: Manifest, store: Store, found: Rederived) -> None:
    """Compare what a manifest says of a training with what its recipe and its record say."""
    folder = store.folder("model", manifest.ref)
    try:
        told = [SaidDataset.read(one) for one in manifest.measures[SAID]["datasets"]]
        by_name = {one.name: one for one in told}
        outside = iter([one for one in told if one.outside is not None])
        known = {}
        for name in spec.inputs:
            if spec.is_outside(name):
                known[name] = known_again(next(outside), None)
                continue
            refs = (ArtifactRef.parse(i.name) for i in manifest.inputs if i.role == "trained-on")
            ref = next(ref for ref in refs if name in (ref.name, str(ref)))
            known[name] = known_again(by_name[str(ref)], store.get(ref))
        record = folder / RECORD
        wanted = agreed(spec, known, spec.counted_by(record, RECORD), RECORD)
    except (KeyError, TypeError, ValueError, StopIteration, MashbillError) as error:
        what = f"does not say of its training what its recipe and its record do: {error!s:.200}"
        found.wrong.append((MANIFEST, what))
        return
    if list(wanted) != told or manifest.measures[SAID]["parents"] != _parents(spec, manifest):
        what = "says else of its training than its recipe and its record do"
        found.wrong.append((MANIFEST, what))


def _parents(spec: TrainedSpec, manifest: Manifest) -> dict[str, float]:
    """Return the part of each parent of a merge, by what the manifest calls it."""
    parts = spec.parts()
    names = [item.name for item in manifest.inputs if item.role == "base"]
    return dict(zip(names, parts.values(), strict=True)) if parts else {}
