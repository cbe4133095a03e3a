"""What house rules may go by where something is not recorded: what holds whatever stands behind it.

A rule forbids a case. That the case is not found says something where the record is whole; where
it ends at a name, or at records of unknown origin, the case may stand behind. So each rule is put
twice: to what is recorded, and, if it does not hold there, to what cannot be otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.lineage.circuit.arrays import SOURCE
from mashbill.lineage.circuit.unrecorded import (
    all_not_recorded,
    is_unknown,
    not_recorded,
    unknown_origin,
    wants_making,
)
from mashbill.policy.house import Unsettled

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mashbill.lineage.bills.bill import Line
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.lineage.bills.prompted import PromptCoverage
    from mashbill.lineage.circuit.arrays import Circuit

_FAR = 1e6  # models on a way, at most
_MOST = 5  # things not recorded that a decision names


def named_ends(circuit: Circuit) -> frozenset[str]:
    """Return names of the leaves of a circuit whose making would want a record."""
    leaves = np.flatnonzero(circuit.described & (circuit.type == SOURCE)).tolist()
    sources = (circuit.source(node) for node in leaves)
    return frozenset(f"{s.title} {s.route}" for s in sources if wants_making(s))


def behind_line(
    line: Line, ends: Collection[str], facts: Mapping[str, Any], *, is_planned: bool
) -> Unsettled | None:
    """Return what holds of whatever stands behind a line of a bill; None if nothing can.

    Args:
        line: of a source of the artifact.
        ends: as of :func:`named_ends`.
        facts: of the artifact and its use, which hold in any case.
        is_planned: it is not made yet, so shares are not known.
    """
    source = line.source
    if not is_unknown(source) and f"{source.title} {source.route}" not in ends:
        return None
    # Records of unknown origin may be a model's, at this depth; what a named source was made from
    # is one model further away, or as far if that source is data.
    nearest = line.depth + (source.what == "model")
    most = (1.0, 1.0) if is_planned else (line.share[1], line.owed[1])
    return Unsettled(
        dict(facts),
        {"share": (0.0, most[0]), "owed": (0.0, most[1]), "depth": (float(nearest), _FAR)},
        (not_recorded(source),),
    )


def behind_root(circuit: Circuit, facts: Mapping[str, Any]) -> Unsettled | None:
    """Return what holds of the sources of a public thing of which no claim tells the making."""
    root = circuit.root
    if circuit.type[root] != SOURCE:
        return None
    source = circuit.source(root)
    if not (is_unknown(source) or wants_making(source)):
        return None
    intervals = {"share": (0.0, 1.0), "owed": (0.0, 1.0), "depth": (1.0, _FAR)}
    return Unsettled(dict(facts), intervals, (not_recorded(source),))


def behind_words(
    prompted: PromptCoverage, facts: Mapping[str, Any], *, is_planned: bool
) -> Unsettled:
    """Return what holds of whoever wrote the words that teachers were asked by, if nobody says.

    They reached what was asked for through ``prompt``, and no text is owed to them.
    """
    most = 1.0 if is_planned else 1 - prompted.recorded[0]
    intervals = {"share": (0.0, most), "owed": (0.0, 0.0), "depth": (1.0, _FAR)}
    return Unsettled(dict(facts), intervals, (f"who wrote {prompted.named}",))


def with_words(
    unsettled: Unsettled | None,
    words: Unsettled,
    facts: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float]],
) -> Unsettled:
    """Return what holds of an artifact in any case where the words of prompts are not declared.

    They may be of sources that no line of its bill tells of; what duties came with them is what
    came with prompts, which no licence in the registry reaches.
    """
    known = facts if unsettled is None else unsettled.facts
    held = {name: value for name, value in known.items() if name != "sources"}
    why = () if unsettled is None else unsettled.why
    return Unsettled(held, intervals, (*words.why, *why))


def of_artifact(
    circuit: Circuit,
    facts: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float]],
    verdicts: Sequence[Verdict],
) -> Unsettled | None:
    """Return which facts of an artifact hold in any case; None if everything is recorded.

    Args:
        circuit: the artifact's.
        facts: as rules are put to them.
        intervals: facts that are known between two ends only.
        verdicts: on closed models, as ``facts`` has them by name.
    """
    why = all_not_recorded(circuit)
    if not why and not any(verdict.unknown for verdict in verdicts):
        return None
    held = {name: value for name, value in facts.items() if name not in _open_facts(circuit, why)}
    open_verdicts = {v.definition.name for v in verdicts if v.unknown}
    held["verdicts"] = {
        verdict.definition.name: _settled(verdict, facts["verdicts"][verdict.definition.name])
        if verdict.definition.name in open_verdicts
        else facts["verdicts"][verdict.definition.name]
        for verdict in verdicts
    }
    told = why or tuple(dict.fromkeys(text for v in verdicts for text in v.unknown))
    if len(told) > _MOST:
        told = (*told[:_MOST], f"and {len(told) - _MOST:,} more")
    return Unsettled(held, intervals, told)


def _open_facts(circuit: Circuit, why: Sequence[str]) -> set[str]:
    """Return which facts could be otherwise: what else there is brings sources, and may duties.

    A named source has terms of its own, and what bound its maker stops there; records of unknown
    origin, and a public thing that nothing is known of, may carry anything.
    """
    found = {"sources"} if why else set()
    if unknown_origin(circuit).any() or circuit.type[circuit.root] == SOURCE:
        found |= {"licence", "licences", "obligations"}
    return found


def _settled(verdict: Verdict, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a verdict holds whatever is not recorded: more can only be found, never less.

    A source that is not recorded can be nearer, and its share comes on top.
    """
    held: dict[str, Any] = {}
    if verdict.conclusion == "yes":
        held["conclusion"] = facts["conclusion"]
    if verdict.depth == 1:
        held["depth"] = 1
    for name in ("share_low", "share_high"):
        if facts[name] >= 1:
            held[name] = facts[name]
    return held
