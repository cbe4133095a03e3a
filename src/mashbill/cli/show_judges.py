"""Printing what judges said: how often, how firmly, and how far they agree."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mashbill.cli.printing import out
from mashbill.report.judges import judged_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest


def judged_json(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """Return what judges said for a program, with the statistics made of it."""
    return [asdict(one) for one in judged_in(manifests)]


def print_judged(manifests: Sequence[Manifest]) -> None:
    """Print what judges said for each artifact for which some did."""
    for one in judged_in(manifests):
        for judge in one.judges:
            said = [f"{judge.answered} answered"]
            said += [f"{judge.ties} ties"] if judge.ties else []
            if judge.inconsistent:
                said.append(f"{judge.inconsistent} of these said otherwise the other way round")
            said += [f"as people say in {judge.gold}"] if judge.gold else []
            out.say((one.artifact, "bold"), f", judge {judge.name}: {', '.join(said)}.")
        told = {
            "The judges": one.agreement,
            "Together they say what people say in": one.gold,
            "Held against what people say": one.calibration,
        }
        for begin, text in told.items():
            if text:
                out.say(f"{begin}: {text}.")
