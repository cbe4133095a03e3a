"""What is to be known before an artifact is used, as far as the recorded facts say it.

Each is a sentence about something that was counted or measured, or that was not. What a model may
do wrong beyond that nobody looked at, and nothing is said of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.plain import counted, listed
from mashbill.core.said_learning import SAID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.lineage.described.describing import Label
    from mashbill.lineage.described.evaluated import Evaluated

_FEW = 1_000
"""rows of training below which their number is a limit"""
_FEW_OF_A_LABEL = 10
_TOLD = 8


def limits(
    manifest: Manifest, labels: Sequence[Label], evaluations: Sequence[Evaluated]
) -> Iterator[str]:
    """Yield the limits of an artifact, a sentence each.

    Args:
        manifest: its.
        labels: those that it tells apart, with their rows.
        evaluations: those whose systems rest on it.
    """
    if manifest.kind == "dataset":
        return
    said = manifest.measures.get(SAID)
    if said is not None:
        by = said.get("by") if isinstance(said, dict) else None
        whose = f"its {by}" if isinstance(by, str) else "its maker"
        yield f"It was trained elsewhere: {whose} says what it learned from; it was not counted."
    rows = sum(each.rows for each in manifest.learned_from)
    if manifest.learned_from and rows < _FEW:
        yield f"It learned from {counted(rows, 'row')}."
    if not manifest.learned_from:
        yield "How many rows it learned from is not recorded."
    rare = [one for one in labels if one.rows is not None and one.rows < _FEW_OF_A_LABEL]
    if rare:
        told = [f"{one.name} ({one.rows:,})" for one in rare[:_TOLD]]
        more = f" and {len(rare) - _TOLD} more" if len(rare) > _TOLD else ""
        yield f"Few rows that it learned from have these labels: {listed(told)}{more}."
    own = [each for each in evaluations if each.own]
    if not own:
        yield "It was not evaluated: no evaluation in its store measures it."
    for each in own:
        for name, result in each.results():
            of = f"{each.name}, {name}" if len(each.own) > 1 else each.name
            if not result.is_known:
                yield f"By {of} its {each.metric} is not known: nothing was scored."
            for remark in list(each.remarks(result))[:_TOLD]:
                yield f"By {of} it {_verb(remark)}."


def _verb(remark: str) -> str:
    return f"is {remark}" if remark.startswith(("not ", "below")) else remark
