"""Artifacts as sides of a comparison: evaluations, and what one evaluation rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.errors import InputError, StoreError
from mashbill.core.evaluation import is_evaluation
from mashbill.core.plain import listed
from mashbill.report.comparing import Run, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_MOST = 12  # evaluations that are named


def sides_of(store: Store, names: Sequence[str]) -> tuple[list[Side], list[str]]:
    """Return artifacts as sides, and what is to be told of them.

    Raises:
        StoreError: if there is none of a name.
        InputError: if something has several evaluations, or is named twice.
    """
    found = [store.find(name) for name in names]
    twice = [str(one.ref) for place, one in enumerate(found) if one in found[:place]]
    if twice:
        msg = f"{twice[0]} is named twice, and does not differ from itself"
        raise InputError(msg)
    notes: list[str] = []
    sides = []
    for manifest in found:
        run = _evaluated(store, manifest, notes)
        if run is not None:
            sides.append(Side(str(manifest.ref), {_PLACE: (run,)}))
        else:
            notes.append(f"no evaluation rests on {manifest.ref}")
            own = {"own measures": (Run(manifest),)}
            sides.append(Side(str(manifest.ref), own if manifest.kind == "model" else {}))
    return sides, notes


_PLACE = "evaluation"


def _evaluated(store: Store, manifest: Manifest, notes: list[str]) -> Run | None:
    """Return where something is measured: itself, or the one evaluation that rests on it.

    Raises:
        InputError: if there are several.
    """
    if is_evaluation(manifest.measures):
        return Run(manifest)
    newest = {
        one.name: one
        for one in store.manifests()
        if is_evaluation(one.measures) and _rests_on(store, one, manifest)
    }
    if not newest:
        return None
    if len(newest) > 1:
        names = listed([str(one.ref) for one in newest.values()], _MOST)
        msg = f"{manifest.ref} has {len(newest)} evaluations; name one of them: {names}"
        raise InputError(msg)
    evaluation = next(iter(newest.values()))
    systems = _resting_on(store, evaluation, manifest)
    notes.append(f"{manifest.ref} is measured in {evaluation.ref}, as {listed(list(systems))}")
    return Run(evaluation, None, {system: system for system in systems})


def _resting_on(store: Store, evaluation: Manifest, manifest: Manifest) -> tuple[str, ...]:
    """Return the systems of an evaluation that rest on something."""
    inputs = {item.name.partition("@")[0]: item for item in evaluation.inputs if item.is_artifact}
    found = []
    named = {**evaluation.stage.get("systems", {}), **evaluation.stage.get("models", {})}
    for system, stages in named.items():
        for stage in [stages] if isinstance(stages, str) else stages:
            item = inputs.get(stage)
            made = store.find(item.name) if item is not None else None
            if made is not None and _rests_on(store, made, manifest):
                found.append(system)
    return tuple(dict.fromkeys(found)) or tuple(evaluation.measures["systems"])


def _rests_on(store: Store, one: Manifest, other: Manifest) -> bool:
    """Return whether an artifact is another one, or was made from it in however many steps."""
    return other.ref in {made.ref for made in (one, *behind(store, one))}


def behind(store: Store, manifest: Manifest) -> list[Manifest]:
    """Return the artifacts that something rests on, as far as the store has them."""
    found: dict[str, Manifest] = {}
    left = [item.name for item in manifest.inputs if item.is_artifact]
    while left:
        name = left.pop(0)
        if name in found:
            continue
        try:
            made = store.find(name)
        except StoreError:
            continue
        found[name] = made
        left += [item.name for item in made.inputs if item.is_artifact]
    return [*found.values()]
