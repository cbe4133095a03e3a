"""Taking in what another store made: its files, its manifest, its nodes, and who signed for it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from mashbill.core.base_model import Outside
from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError
from mashbill.core.given import TAKEN_IN
from mashbill.core.parsing import check_regular
from mashbill.core.store import MANIFEST, PENDING, publish
from mashbill.lineage.evidence.taken_in import line_of
from mashbill.models.base_weights import weights_of

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.lineage.evidence.taken_in import AtHand
    from mashbill.plan import Plan
    from mashbill.run.execution import Execution


def take_given(plan: Plan, store: Store, execution: Execution) -> dict[str, Manifest]:
    """Have at hand what the stages of a plan take by its address; return it by address.

    Args:
        plan: the plan.
        store: that it is run in.
        execution: whose display is told of what comes from elsewhere.
    """
    for name, found in plan.given.items():
        if found.told:
            execution.display.tell(found.told)
        if found.is_elsewhere:
            with store.lock(name):
                take_in(found, store)
    return {name: found.manifest for name, found in plan.given.items()}


def check_bases(plan: Plan, cache: Path) -> None:
    """See before anything is bought that what models start from is there, and as it is pinned.

    Args:
        plan: the plan.
        cache: where fetched and converted files are kept.

    Raises:
        InputError: naming the base.
    """
    recipe, seen = plan.recipe, set()
    for stage in plan.stages:
        reads = stage.status != "done" and stage.spec.reads_bases(recipe.folder)
        for name, model in recipe.bases(stage.name).items() if reads else ():
            if isinstance(model, Outside) and name not in seen:
                seen.add(name)
                weights_of(name, model, recipe.folder, cache)


def take_in(found: AtHand, store: Store) -> None:
    """Copy an artifact of another store into this one, and commit it as that one did.

    Each file is held to the digest that the other store's entry gives it. Killed on the way, the
    same run takes it in anew: nothing is there until the entry is.

    Args:
        found: the artifact, where it lies.
        store: where it is to lie.

    Raises:
        InputError: if a file is not as it was committed.
    """
    ref, manifest = found.given.ref, found.manifest
    entry = found.store.committed()[str(ref)]
    there, here = (one.folder(manifest.kind, ref) for one in (found.store, store))
    facts = line_of(found)
    store.ledger.append("start", artifact=str(ref), fingerprint=manifest.fingerprint)
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    for name, sha256 in sorted(entry.subjects.items()):
        file = found.store.root / name
        if file.parent != there:
            msg = f"{found.store.root}: the entry that commits {ref} speaks of {name}; not taken in"
            raise InputError(msg)
        check_regular(file)
        target = here / (PENDING if file.name == MANIFEST else file.name)
        scratch = target.with_name(f".{target.name}.taken")
        if file.is_file():
            shutil.copyfile(file, scratch)
        if not file.is_file() or digest_file(scratch) != sha256:
            msg = (
                f"{file} is not as it was committed, so {ref} is not taken in; run "
                f"`mashbill audit --store {found.store.root}`"
            )
            raise InputError(msg)
        publish(scratch, target)
    store.ledger.append(
        "commit",
        entry.subjects,
        artifact=str(ref),
        kind=manifest.kind,
        fingerprint=manifest.fingerprint,
        digest=manifest.digest,
        **{TAKEN_IN: facts},
    )
    publish(here / PENDING, here / MANIFEST)
