"""What number 0 of several processes tells the others before they train with it, as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mashbill.core import registry
from mashbill.core.base_model import BaseWeights
from mashbill.train.processes import World, context_of_another

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.stage import StageContext
    from mashbill.train.adapter_keys import AdaptedSpec


@dataclass(frozen=True)
class Heard:
    """What another process was told."""

    spec: Any
    """the trainer's keys"""
    ctx: StageContext
    """with scratch, and the weights of teachers that it was told of"""
    base: BaseWeights
    how: Mapping[str, Any]
    """what was chosen once"""


def told_others(
    spec: AdaptedSpec,
    ctx: StageContext,
    base: BaseWeights,
    how: Mapping[str, Any],
    teachers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return what others are told.

    Args:
        spec: the trainer's keys.
        ctx: the stage's.
        base: what it starts from.
        how: what was chosen once.
        teachers: whose weights they need, too.
    """
    return {
        "spec": spec.model_dump(mode="json", exclude_unset=True) | {"kind": spec.kind},
        "base": _told(base),
        "teachers": {name: _told(ctx.teacher_weights(name)) for name in teachers},
        "work": str(ctx.work.resolve()),
        "seed": ctx.seed,
        "how": dict(how),
    }


def heard(told: Mapping[str, Any], world: World) -> Heard:
    """Return what this process was told, with its share of the threads set."""
    how = told["how"]
    spec = registry.find(told["spec"]["kind"], registry.TRAINERS).model_validate(told["spec"])
    ctx = context_of_another(Path(told["work"]), told["seed"], how["threads"])
    if told["teachers"]:
        ctx.teacher_weights = {
            name: _weights(one) for name, one in told["teachers"].items()
        }.__getitem__
    torch.set_num_threads(max(1, how["threads"] // world.size))
    return Heard(spec, ctx, _weights(told["base"]), how)


def _told(weights: BaseWeights) -> list[str]:
    return [str(weights.folder), weights.digest, weights.title]


def _weights(told: list[str]) -> BaseWeights:
    folder, digest, title = told
    return BaseWeights(Path(folder), digest, title)
