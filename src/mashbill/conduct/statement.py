"""A statement of conduct: how a run had access, in a form that a third party can check.

It is a DSSE envelope around an in-toto Statement, signed by the key that signs the ledger. Its
predicate says what was asked of whom, by which route, account and User-Agent, under which terms;
which limits were met and how long each held everything back; and whether any request went before
its time, which is computed from the record and not asserted. Beside it stand the call records
without their texts (each a digest in their place) and the events, so that whoever has the file can
compute all of it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.access import call_record, event_records, summed
from mashbill.core.canonical import canonical
from mashbill.core.envelope import STATEMENT_TYPE, open_envelope
from mashbill.core.errors import AuditError
from mashbill.core.parsing import foreign as read_as
from mashbill.core.parsing import json_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mashbill.calls.paid_call import PaidCall
    from mashbill.calls.runs import Event, Run
    from mashbill.core.ledger import Entry, Signer

PREDICATE_TYPE = "urn:mashbill:conduct:v1"


def make(
    signer: Signer, run: Run, rows: Iterable[PaidCall], events: Iterable[Event], entry: Entry
) -> dict[str, Any]:
    """Return a statement with its records, ready to be written as JSON.

    Args:
        signer: signs it.
        run: the run.
        rows: its calls, in the order of their digests.
        events: what happened to them.
        entry: the ledger's entry of the run's conduct.

    Raises:
        AuditError: if the journal does not hold what the entry says.
    """
    calls, happened = [call_record(row) for row in rows], event_records(events)
    found = summed(calls, happened)
    differ = disagreements(entry.predicate, {**found, "calls": len(calls)})
    if differ:
        msg = (
            f"the journal does not hold what the ledger's entry of run {run.run} says: "
            f"{'; '.join(differ)}. Calls that were pruned cannot be stated any more: make "
            "statements before pruning"
        )
        raise AuditError(msg)
    predicate = {
        "run": {"id": run.run, "started": run.started, "ended": run.ended},
        "overrides": run.facts.get("overrides", []),
        **found,
        "public_key": signer.public.hex(),
    }
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"run {run.run}", "digest": {"sha256": entry.digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    return {
        "statement": json.loads(signer.seal(statement)),
        "calls": calls,
        "events": happened,
    }


def disagreements(entry: Mapping[str, Any], stated: Mapping[str, Any]) -> list[str]:
    """Return where a run's entry in the ledger says other than its records."""
    return [
        f"{name} is {str(entry.get(name))[:16]} there and {str(stated.get(name))[:16]} here"
        for name in ("calls", "calls_root", "events_root")
        if entry.get(name) != stated.get(name)
    ]


@dataclass(frozen=True)
class Checked:
    """What came of checking a statement."""

    predicate: dict[str, Any]
    keyid: str
    entry: str
    """digest of the ledger's entry that it is about"""
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems


def check(path: Path) -> Checked:
    """Check a statement's signature, and compute all that it says from its records again.

    Raises:
        InputError: if the file is no statement.
        AuditError: if its signature does not hold.
    """
    data = json_object(path, what="a statement of conduct")
    with read_as(path, "a statement of conduct", remedy="ask for it again"):
        envelope = canonical(data["statement"])
        calls, events = list(data["calls"]), list(data["events"])
    statement, keyid = open_envelope(envelope, str(path))
    if statement.get("predicateType") != PREDICATE_TYPE:
        msg = f"{path}: its signature holds, and it states {statement.get('predicateType')!r}"
        raise AuditError(msg)
    predicate = statement["predicate"]
    run = predicate.get("run")
    if not isinstance(run, dict):
        return Checked(predicate, keyid, "", ("it does not say which run it is about",))
    try:
        computed = summed(calls, events)
        strangers = {record[4] for record in calls} | {record[0] for record in events}
        entry = str(statement["subject"][0]["digest"]["sha256"])
    except Exception as error:  # noqa: BLE001 - whatever wrong records raise is the problem told
        return Checked(predicate, keyid, "", (f"its records cannot be read: {error!r:.300}",))
    problems = [
        f"{name} is stated as {predicate.get(name)!r:.120}, and its records give {value!r:.120}"
        for name, value in computed.items()
        if canonical(predicate.get(name)) != canonical(value)
    ]
    if strangers - {run.get("id")}:
        problems.append(f"it lists calls of other runs: {sorted(map(str, strangers))[:3]}")
    return Checked(predicate, keyid, entry, tuple(problems))
