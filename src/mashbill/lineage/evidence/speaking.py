"""Whether the ledger speaks of the runs that the journal says asked services.

Each run that asked has an entry of the event ``conduct`` with roots over its calls and events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.calls.access import entry_facts, events_root, run_digest
from mashbill.core.errors import MashbillError
from mashbill.core.merkle import root
from mashbill.core.plain import counted
from mashbill.core.store import is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.calls.journal import Journal
    from mashbill.calls.runs import Run
    from mashbill.core.ledger import Entry


def strange_runs(
    journal: Journal,
    entries: Sequence[Entry],
    folder: Path,
    *,
    later: Callable[[], Sequence[Entry]] = tuple,
    calls_known: bool = False,
) -> Iterator[str]:
    """Yield what the journal says of runs that their entries do not.

    Args:
        journal: the calls of the store.
        entries: those that count.
        folder: the store.
        later: returns the entries that were appended since.
        calls_known: whether calls were found altered already, by what rests on them.
    """
    told = {str(e.predicate.get("run")): e for e in entries if e.event == "conduct"}
    begun = {str(e.predicate.get("run")) for e in entries if e.event == "start"}
    try:
        runs = {run.run: run for run in journal.runs()}
        begun |= {str(e.predicate.get("run")) for e in later() if e.event == "start"}
        for name, run in runs.items():
            # A lock excuses no run of which the ledger does not know: anybody may hold one.
            if name not in told and name in begun and is_locked(folder, f"run-{name}"):
                continue  # it is not all there yet
            if name in told:
                entry = told[name]
                # A release that writes "start" entries says the digest of a run's facts, too.
                found = _differences(journal, run, entry.predicate, name in begun)
                differ = [what for what in found if what != "calls" or not calls_known]
                if differ:
                    what = f"its {', '.join(differ)} are not those of entry {entry.index}"
                    yield f"run {name}: {what}"
            elif name not in begun:
                yield f"has a run {name} that no entry of the ledger speaks of; take its rows out"
            elif run.ended:
                yield (
                    f"has a run {name} that came to its end, and no entry says how it had access; "
                    "run its recipe again, which puts it there"
                )
        for name in sorted(told.keys() - runs.keys()):
            yield f"has no run {name}, of which entry {told[name].index} speaks"
        named = {name for (name,) in journal.query("SELECT DISTINCT run FROM events")}
        for name in sorted(named - runs.keys() - told.keys()):
            yield f"has events of a run {name} that is not among its runs; take them out"
        yield from _strange_leaves(journal, told.keys(), begun)
    except (MashbillError, ValueError, TypeError, KeyError, OverflowError) as error:
        yield f"cannot be read: {error!s:.300}"


_NO_PRUNING = (
    "their leaves stand in for answers that may be others; go on from a copy of the journal that "
    "holds"
)


def _strange_leaves(
    journal: Journal, told: Collection[str], begun: Collection[str]
) -> Iterator[str]:
    """Yield what stands among the leaves of pruned calls and was not pruned by mashbill.

    A leaf that was kept counts as the call that it is of, so it must not be possible to put one
    there for an answer that was exchanged: one whose run has an entry is held to that entry's root;
    a call that is there, too, must have been bought again by a run that is.
    """
    ((many,),) = journal.query(
        "SELECT count(*) FROM pruned WHERE run NOT IN (SELECT run FROM runs)"
    ) or ((0,),)
    if many:
        yield f"tells of pruning {counted(many, 'call')} of no run that it has: {_NO_PRUNING}"
    ((many,),) = journal.query(
        "SELECT count(*) FROM pruned p JOIN calls c ON c.request = lower(hex(p.call)) "
        "WHERE p.run IN (SELECT run FROM runs)"
    ) or ((0,),)
    if many:
        yield (
            f"tells of pruning {counted(many, 'call')} to teachers in this process, which mashbill "
            f"never does: {_NO_PRUNING}"
        )
    both = journal.query(
        "SELECT p.call, p.leaf FROM pruned p JOIN bought b ON b.call = p.call "
        "WHERE p.run IN (SELECT run FROM runs)"
    )
    kept = {bytes(call).hex(): bytes(leaf) for call, leaf in both}
    other = [
        row
        for row in journal.rows(kept)
        if row.leaf() != kept[row.call] and row.run not in told and row.run not in begun
    ]
    if other:
        yield (
            f"has other answers to {counted(len(other), 'call')} that were pruned, by a run "
            f"{other[0].run:.60} that no entry of the ledger speaks of: {_NO_PRUNING}"
        )


def _differences(
    journal: Journal, run: Run, predicate: Mapping[str, Any], has_facts: bool
) -> Iterator[str]:
    """Yield what of a run is not as its entry says: calls, events, or its own row."""
    leaves = {row.call: row.leaf() for row in journal.rows_of(run.run)}
    pruned = journal.query("SELECT call, leaf FROM pruned WHERE run = ?", [run.run])
    leaves |= {bytes(call).hex(): bytes(kept) for call, kept in pruned}
    found = root([leaves[call] for call in sorted(leaves)])
    ((rows,),) = journal.query(
        "SELECT count(*) FROM bought b JOIN words w ON w.id = b.run WHERE w.text = ?", [run.run]
    )
    # A key of another type than a digest's is passed over where rows are read by their keys.
    is_all = rows + len(pruned) == len(leaves)
    is_same = is_all and len(leaves) == predicate.get("calls")
    if not is_same or found != predicate.get("calls_root"):
        yield "calls"
    if events_root(journal.events(run.run)) != predicate.get("events_root"):
        yield "events"
        return
    told = predicate.get("run_digest", None if has_facts else run_digest(run))
    if told != run_digest(run):
        yield "facts"
    if not pruned and is_same:
        facts = entry_facts(run, journal.rows_of(run.run), journal.events(run.run))
        named = ("rate_limited", "held_seconds", "breaches")
        yield from (name for name in named if facts[name] != predicate.get(name))
