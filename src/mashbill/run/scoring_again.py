"""The verifiers of an artifact, read from its literals, for an audit that scores again.

The keys of a verifier that is a program and the release of its rules are among the literals: it is
asked again only by the same rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from mashbill.core import registry
from mashbill.core.errors import MashbillError, RecipeError
from mashbill.core.recipe import VERIFIERS
from mashbill.core.verifier import VerifierSession, VerifierSpec

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.stage import StageSpec
    from mashbill.lineage.evidence.finding import Rederived


def spec_of_verifier(name: str, manifest: Manifest) -> VerifierSpec | str:
    """Return a verifier's keys, by the literals of an artifact; a text that says why it cannot be.

    No plugin's code is run.
    """
    named = manifest.stage.get(VERIFIERS)
    literals = named.get(name) if isinstance(named, dict) else None
    if not isinstance(literals, dict):
        return f"its literals have no verifier {name!r}"
    kind = str(literals.get("kind"))
    if registry.is_plugin(kind, registry.VERIFIERS):
        return f"its verifier {name!r} is a plugin's, whose code is not run here"
    keys = {key: value for key, value in literals.items() if key != "release"}
    try:
        spec: VerifierSpec = registry.find(kind, registry.VERIFIERS).model_validate(keys)
    except (ValidationError, MashbillError) as error:
        return f"its verifier {name!r} is not read by this release: {error!s:.120}"
    if literals.get("release") != spec.rules.release:
        return (
            f"its verifier {name!r} scored by the rules of release {literals.get('release')!s:.20} "
            f"of kind {kind!r}, and this mashbill has release {spec.rules.release}"
        )
    return spec


def verifiers_in(manifest: Manifest) -> dict[str, VerifierSpec]:
    """Return the verifiers that an artifact's literals name, those that can be read."""
    named = manifest.stage.get(VERIFIERS)
    names = named if isinstance(named, dict) else ()
    found = {name: spec_of_verifier(name, manifest) for name in names}
    return {name: spec for name, spec in found.items() if not isinstance(spec, str)}


def scores_again(spec: StageSpec, manifest: Manifest, found: Rederived) -> bool:
    """Return whether all verifiers of a stage can score again; what cannot is noted, and why."""
    for use in spec.uses():
        if not use.is_verifier:
            continue
        verifier = spec_of_verifier(use.name, manifest)
        if isinstance(verifier, str):
            found.not_derived.append(verifier)
        elif not verifier.rules.repeats:
            found.not_derived.append(
                f"its verifier {use.name!r} is of kind {verifier.kind!r}, whose scores need not "
                "come out the same twice"
            )
        elif verifier.files():
            found.not_derived.append(
                f"its verifier {use.name!r} reads {', '.join(verifier.files())[:120]}, which is "
                "not in the store"
            )
        else:
            continue
        return False
    return True


def verifier_of(name: str, manifest: Manifest, folder: Path, threads: int) -> VerifierSession:
    """Return a verifier that scores again.

    Raises:
        RecipeError: if it cannot be read.
    """
    spec = spec_of_verifier(name, manifest)
    if isinstance(spec, str):
        raise RecipeError(spec)
    return VerifierSession(name, spec, lambda: spec.load(folder, folder, threads))
