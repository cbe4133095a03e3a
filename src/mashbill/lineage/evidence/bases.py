"""Whether what a model started from is what its literals name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core.artifact import ArtifactRef
from mashbill.core.base_model import KINDS, MODELS, ModelSpec
from mashbill.core.canonical import canonical, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.core.artifact import Manifest


def models_named(literals: Mapping[str, Any]) -> dict[str, ModelSpec]:
    """Return the ``[models.NAME]`` that a stage's literals state, of those that are read here."""
    stated = literals.get(MODELS)
    found = {}
    for name, table in stated.items() if isinstance(stated, dict) else ():
        kind = KINDS.get(str(table.get("kind"))) if isinstance(table, dict) else None
        try:
            if kind is not None:
                found[str(name)] = kind.model_validate(table)
        except ValidationError:
            continue  # of another release
    return found


def strange_bases(manifest: Manifest) -> Iterator[str]:
    """Yield where a manifest's inputs are not the bases that its literals name, or have others."""
    models = models_named(manifest.stage)
    stated = manifest.stage.get(MODELS)
    for name in sorted((set(stated) if isinstance(stated, dict) else set()) - models.keys()):
        yield f"its literals state a base {name!r:.60} that is none"
    base = manifest.stage.get("base")
    names = {ArtifactRef.parse(item.name).name for item in manifest.inputs if item.is_artifact}
    if manifest.kind == "model" and isinstance(base, str) and base not in {"", *models, *names}:
        yield f"its literals start from {base!r:.60}, which is not among its inputs"
    given = {item.name for item in manifest.inputs if item.is_artifact and item.role == "base"}
    sources = {item.digest: item.name for item in manifest.inputs if item.is_base}
    wanted: dict[str, str] = {}
    for name, model in models.items():
        if model.made_as:
            if model.made_as not in given:
                yield f"its literals name the base {model.made_as}, which is not among its inputs"
            continue
        source = model.source
        wanted[digest_bytes(canonical(source.model_dump(mode="json")))] = name
    for digest in sorted(wanted.keys() - sources.keys()):
        yield f"its literals name the base {wanted[digest]!r}, which is not among its inputs"
    for digest in sorted(sources.keys() - wanted.keys()):
        yield f"started from {sources[digest]}, a base that its literals do not name"
