"""What a manifest says of its inputs, and how an artifact is committed once it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core import registry
from mashbill.core.artifact import InputRef, named_by
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.store import MANIFEST, PENDING, publish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.artifact import Manifest
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import Uses
    from mashbill.core.store import Store
    from mashbill.core.teacher import TeacherSpec


def asked_of(
    name: str, recipe: Recipe, manifests: Mapping[str, Manifest], store: Store
) -> TeacherSpec:
    """Return a teacher as it is asked: a student with the model that was made.

    Args:
        name: of the teacher.
        recipe: the recipe.
        manifests: of what was made so far, by stage.
        store: where it was made.
    """
    spec = recipe.teachers[name]
    if not spec.made_by:
        return spec
    made = manifests[spec.made_by]
    return spec.as_made(made, store.folder(made.kind, made.ref).resolve())


def input_of(
    use: Uses, recipe: Recipe, manifests: Mapping[str, Manifest], store: Store
) -> InputRef:
    """Return what a manifest says of one input: all that lineage is composed from.

    Args:
        use: as the recipe resolves it.
        recipe: the recipe.
        manifests: of what was made so far, by stage.
        store: where it was made.
    """
    if use.is_teacher:
        source = recipe.teachers[use.name].source
        return InputRef(
            name=source.title,
            role="teacher",
            channel=use.via,
            digest=digest_bytes(canonical(source.model_dump(mode="json"))),
            source=source,
            asks=named_by(recipe.teachers[use.name].identity),
        )
    if use.is_verifier:
        source = recipe.verifiers[use.name].source
        return InputRef(
            name=source.title,
            role="verifier",
            channel=use.via,
            digest=digest_bytes(canonical(source.model_dump(mode="json"))),
            source=source,
        )
    if use.is_source:
        source = recipe.models[use.name].source
        return InputRef(
            name=source.title,
            role=use.role,
            channel=use.via,
            digest=digest_bytes(canonical(source.model_dump(mode="json"))),
            source=source,
        )
    manifest = manifests[use.name]
    asks = None
    if use.asked_as:
        asks = named_by(asked_of(use.asked_as, recipe, manifests, store).identity)
    return InputRef(
        name=str(manifest.ref), role=use.role, channel=use.via, digest=manifest.digest, asks=asks
    )


def commit(store: Store, kind: str, manifest: Manifest, facts: Mapping[str, Any]) -> None:
    """Write the entry, then give the manifest its name: without it an artifact is not there.

    Killed between the two, a run finds no manifest, makes the same one again and signs again;
    until then an audit sees by the manifest that waits how it came about.

    Args:
        store: where its files are.
        kind: of the stage that made it.
        manifest: of what was made.
        facts: what the entry says beside it: seconds, calls, tokens.
    """
    folder = store.folder(manifest.kind, manifest.ref)
    data = manifest.to_bytes()
    subjects = {
        store.relative(folder / item.file): item.sha256
        for item in (*manifest.files, manifest.nodes, *filter(None, [manifest.learned]))
    }
    subjects[store.relative(folder / MANIFEST)] = digest_bytes(data)
    (folder / PENDING).write_bytes(data)
    store.ledger.append(
        "commit",
        subjects,
        artifact=str(manifest.ref),
        kind=manifest.kind,
        fingerprint=manifest.fingerprint,
        digest=manifest.digest,
        plugin=registry.origin(kind, registry.STAGES, registry.TRAINERS),
        **facts,
    )
    publish(folder / PENDING, folder / MANIFEST)
