"""What an audit says of rows and weights that were removed, and derives where they are gone.

Of a removed dataset the nodes stay, and how many rows had each. So what was made of its rows is
still held to them: each node that a row points at has to be one that a row of the input could give.
Which of them it is cannot be composed again, and is told as not derived.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.plain import counted
from mashbill.core.removals import Removal, removals_in
from mashbill.core.store import is_locked
from mashbill.lineage.evidence.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.ledger import Entry
    from mashbill.lineage.circuit.composer import Composer
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.lineage.evidence.made import Made, Rows

_NAMED = 3
_GONE = -1
"""in place of the code of a row that was removed"""


@dataclass
class Removed:
    """The removals that an audit goes by."""

    in_force: Mapping[str, Removal] = field(default_factory=dict)
    """artifact -> its removal"""
    strange: Sequence[tuple[int, str]] = ()
    """(entry, why it removes nothing)"""
    files: Mapping[str, Removal] = field(default_factory=dict)
    """file of the store -> the removal by which it went"""
    _begun: Mapping[str, int] = field(default_factory=dict)
    """artifact -> the last entry that says that a run begins it"""

    @classmethod
    def of(cls, entries: Sequence[Entry], names: Mapping[str, str]) -> Removed:
        """Read what entries that count say."""
        found = removals_in(entries, names)
        begun = {str(e.predicate.get("artifact")): e.index for e in entries if e.event == "start"}
        files = {name: one for one in found.in_force.values() for name in one.files}
        return cls(found.in_force, found.strange, files, begun)

    def told(self) -> list[Finding]:
        """Say of each removed artifact when, by whom and why."""
        return [Finding(name, one.entry, str(one)) for name, one in self.in_force.items()]

    def of_artifact(self, artifact: str) -> str:
        """Say how an artifact was removed; empty if it was not."""
        removal = self.in_force.get(artifact)
        return f"{artifact} was {removal}" if removal is not None else ""

    def look(self, store: Path, file: str) -> tuple[str, str]:
        """Say what is wrong with a file that was removed and is there, or why that is no fault.

        Args:
            store: the folder.
            file: of the store.

        Returns:
            (what is wrong, what is told as newer); both are empty if it is gone.
        """
        removal = self.files[file]
        if not os.path.lexists(store / file):
            return "", ""
        if self._begun.get(removal.artifact, -1) > removal.entry:
            return "", "is of an artifact that was removed, and that a run makes again"
        if is_locked(store, removal.artifact):
            return "", "is being removed at this moment"
        wrong = (
            f"is there, and entry {removal.entry} removed it: it was put back, or the removal was "
            "cut off; `mashbill gc` takes it away"
        )
        return wrong, ""


def compare_with_gone(
    table: NodeTable,
    shards: Sequence[Rows],
    given: Sequence[Made],
    composer: Composer,
    wrong: list[str],
) -> str:
    """Compare nodes with what inputs could give, where rows of some, or the rows themselves, went.

    Rows that came from rows which are there are compared one by one.

    Args:
        table: the nodes of a dataset.
        shards: its rows; none of one that was removed itself.
        given: what its rows came from, in the order in which ``_from`` counts.
        composer: of its nodes, from those of the inputs.
        wrong: gets what does not follow from the inputs.

    Returns:
        what could not be composed again.
    """
    codes = np.concatenate(
        [
            np.empty(0, np.int64),
            *(
                np.full(one.manifest.rows, _GONE) if one.removed else one.bills + offset
                for one, offset in zip(given, composer.offsets, strict=False)
            ),
        ]
    )
    loose = set() if shards else set(range(len(table.numbered)))
    for rows in shards:
        origins = rows.origins
        if origins is None:
            wrong.append("its rows do not say which rows they came from: it was taken out")
            return ""
        if len(origins) and not 0 <= origins.min() <= origins.max() < len(codes):
            return ""  # found already: they say that they came from rows that are not there
        if rows.ends is not None:
            loose |= set(rows.bills.tolist())
            continue
        came = codes[origins]
        there = came != _GONE
        loose |= set(rows.bills[~there].tolist())
        numbers = composer.one_each(came[there])
        pairs = zip(numbers.tolist(), rows.bills[there].tolist(), strict=True)
        odd = sum(composer.table.numbered[one] != table.numbered[two] for one, two in pairs)
        if odd:
            wrong.append(f"{counted(odd, 'row')} of it rest on something else than its inputs say")
    names = [table.numbered[number] for number in sorted(loose)]
    wrong += [
        f"node {node[:16]}... follows from no row that its inputs had"
        for node in composer.impossible({node: table.bodies[node] for node in names})
    ]
    gone = [str(one.manifest.ref) for one in given if one.removed]
    if not shards:
        return (
            "its rows were removed: its nodes follow from its inputs, and which row has which is "
            "not said any more"
        )
    more = f" and {len(gone) - _NAMED} more" if gone[_NAMED:] else ""
    return (
        f"rows of {', '.join(gone[:_NAMED])}{more} were removed: its nodes follow from those that "
        "stayed, and which of them each row has was not composed again"
    )


def count_gone(manifest: Manifest, table: NodeTable, wrong: list[str]) -> None:
    """Compare what the nodes of a removed dataset count with what its manifest states."""
    if sum(table.records) != manifest.rows:
        wrong.append(
            f"its nodes count {counted(sum(table.records), 'row')}, and its manifest states "
            f"{manifest.rows:,}"
        )
