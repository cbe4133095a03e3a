"""A statement of conduct: how a run had access, in a form that a third party can check.

It is a DSSE envelope around an in-toto Statement, signed by the key that signs the ledger. Its
predicate says what was asked of whom, by which route, account and User-Agent, under which terms;
which limits were met and how long each held everything back; and whether any request went before
its time, which is computed from the record and not asserted. Beside it stand the call records
without their texts (each a digest in their place) and the events, so that whoever has the file can
compute all of it again.
"""

from __future__ import annotations

import bisect
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mashbill.conduct.bought import leaf_of, netstrings
from mashbill.core.canonical import canonical
from mashbill.core.errors import AuditError, InputError
from mashbill.core.ledger import STATEMENT_TYPE, open_envelope
from mashbill.core.merkle import leaf, root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from mashbill.conduct.bought import Bought
    from mashbill.conduct.journal import Event, Run
    from mashbill.core.ledger import Entry, Signer

PREDICATE_TYPE = "urn:mashbill:conduct:v1"
_CALL, _TERMS, _ROUTE, _AT, _ATTEMPTS, _SECONDS = 0, 1, 2, 4, 5, 7
_SENT = frozenset({"server", "connect", "cut", "timeout", "invalid", "rate-limited"})
"""events of requests that were sent and not answered"""
_HOLDS = frozenset({"server", "invalid", "rate-limited", "window-empty"})
"""events that may hold back what follows"""

CallRecord = list[str]
"""[digest of the texts, *:meth:`Bought.conduct`]"""
EventRecord = list[str]
"""[run, at, kind, account, call, detail]"""


def call_records(rows: Iterable[Bought]) -> list[CallRecord]:
    """Return what a statement lists of calls, in the order of their digests."""
    return sorted(([row.content(), *row.conduct()] for row in rows), key=lambda record: record[1])


def event_records(events: Iterable[Event]) -> list[EventRecord]:
    """Return what a statement lists of events, in order; answers that came with them are not."""
    records = []
    for event in events:
        detail = {k: v for k, v in json.loads(event.detail).items() if k != "body"}
        text = json.dumps(detail, ensure_ascii=False, sort_keys=True)
        records.append([event.run, event.at, event.kind, event.account, event.call, text])
    return records


def roots(calls: Sequence[CallRecord], events: Sequence[EventRecord]) -> dict[str, str]:
    """Return the Merkle roots over calls and over events."""
    return {
        "calls_root": root([leaf_of(record[0], record[1:]) for record in calls]),
        "events_root": root([leaf(netstrings(record)) for record in events]),
    }


def findings(calls: Sequence[CallRecord], events: Sequence[EventRecord]) -> dict[str, Any]:
    """Return what follows from the records: totals by route, limits met, breaches.

    A breach is a request that was sent while a limit held its account and model back, and not
    before the response that said so came: a Retry-After, or a window that was told to be empty.
    """
    by_route: dict[str, Counter[str]] = defaultdict(Counter)
    whose: dict[str, tuple[str, str]] = {}
    usd: dict[str, float] = defaultdict(float)
    terms: dict[str, set[str]] = defaultdict(set)
    sent: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for record in calls:
        conduct = record[1:]
        route = conduct[_ROUTE]
        count = by_route[route]
        count["calls"] += 1
        count["attempts"] += int(conduct[_ATTEMPTS])
        count["tokens_in"] += int(conduct[8])
        count["tokens_out"] += int(conduct[9])
        usd[route] += float.fromhex(conduct[11])
        terms[route] |= {conduct[_TERMS]} - {""}
        if "given-up" not in conduct[12] and "refused" not in conduct[12]:
            if route not in whose:
                told = json.loads(route)
                whose[route] = (told["account"], told["model"])
            sent[whose[route]].append(
                _time(conduct[_AT]) - timedelta(seconds=float(conduct[_SECONDS]))
            )
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    limits = []
    for _, at, kind, account, _, detail in events:
        kinds[account][kind] += 1
        told = json.loads(detail)
        place = (account, str(told.get("model", "")))
        if kind in _SENT and "seconds" in told:
            sent[place].append(_time(at) - timedelta(seconds=told["seconds"]))
        if kind in _HOLDS and "held" in told:
            limits.append((place, _time(at), float(told["held"])))
    return {
        "routes": [
            {
                **json.loads(route), **dict(by_route[route]), "usd": round(usd[route], 9),
                "terms": sorted(terms[route]),
            }
            for route in sorted(by_route)
        ],
        "events": {account: dict(sorted(kinds[account].items())) for account in sorted(kinds)},
        "rate_limited": sum(count["rate-limited"] for count in kinds.values()),
        "held_seconds": round(_together(limits), 3),
        "breaches": _breaches(limits, sent),
    }  # fmt: skip


Limit = tuple[tuple[str, str], datetime, float]
"""((account, model), when it was told, seconds)"""


def _together(limits: Sequence[Limit]) -> float:
    """Return the seconds that were held back; where several limits held at a time, once."""
    total = 0.0
    until: dict[tuple[str, str], datetime] = {}
    for place, at, held in sorted(limits, key=lambda limit: limit[1]):
        begins = max(at, until.get(place, at))
        ends = max(at + timedelta(seconds=held), begins)
        total += (ends - begins).total_seconds()
        until[place] = ends
    return total


def _breaches(
    limits: Sequence[Limit], sent: Mapping[tuple[str, str], list[datetime]]
) -> list[dict[str, str]]:
    """Return requests that were sent before their time; times are to a millisecond."""
    ordered = {place: sorted(times) for place, times in sent.items()}
    found = []
    for place, at, held in limits:
        times = ordered.get(place, [])
        first = bisect.bisect_right(times, at + timedelta(milliseconds=2))
        until = at + timedelta(seconds=held) - timedelta(milliseconds=2)
        found += [
            {
                "account": place[0], "model": place[1], "sent": time.isoformat(),
                "held_until": until.isoformat(),
            }
            for time in times[first : bisect.bisect_left(times, until)]
        ]  # fmt: skip
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def entry_facts(run: Run, rows: Iterable[Bought], events: Iterable[Event]) -> dict[str, Any]:
    """Return what the ledger's entry of a run's conduct says."""
    calls, befell = call_records(rows), event_records(events)
    found = findings(calls, befell)
    return {
        "run": run.run,
        "calls": len(calls),
        **roots(calls, befell),
        "rate_limited": found["rate_limited"],
        "held_seconds": found["held_seconds"],
        "breaches": len(found["breaches"]),
    }


def make(
    signer: Signer, run: Run, rows: Iterable[Bought], events: Iterable[Event], entry: Entry
) -> dict[str, Any]:
    """Return a statement with its records, ready to be written as JSON.

    Args:
        signer: signs it.
        run: the run.
        rows: its calls.
        events: what befell them.
        entry: the ledger's entry of the run's conduct.

    Raises:
        AuditError: if the journal does not hold what the entry says.
    """
    calls, befell = call_records(rows), event_records(events)
    differ = disagreements(entry.predicate, {"calls": len(calls), **roots(calls, befell)})
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
        "counts": {"calls": len(calls), "events": len(befell)},
        **roots(calls, befell),
        **findings(calls, befell),
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
        "events": befell,
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
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        envelope = canonical(data["statement"])
        calls, events = list(data["calls"]), list(data["events"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: not a statement of conduct: {error!r}"
        raise InputError(msg) from error
    statement, keyid = open_envelope(envelope, str(path))
    if statement.get("predicateType") != PREDICATE_TYPE:
        msg = f"{path}: its signature holds, and it states {statement.get('predicateType')!r}"
        raise AuditError(msg)
    predicate = statement["predicate"]
    try:
        computed = {
            "counts": {"calls": len(calls), "events": len(events)},
            **roots(calls, events),
            **findings(calls, events),
        }
        strangers = {record[4] for record in calls} | {record[0] for record in events}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        return Checked(predicate, keyid, "", (f"its records cannot be read: {error!r}",))
    problems = [
        f"{name} is stated as {predicate.get(name)!r:.120}, and its records give {value!r:.120}"
        for name, value in computed.items()
        if canonical(predicate.get(name)) != canonical(value)
    ]
    if strangers - {predicate["run"]["id"]}:
        problems.append(f"it lists calls of other runs: {sorted(strangers)[:3]}")
    entry = statement["subject"][0]["digest"]["sha256"]
    return Checked(predicate, keyid, entry, tuple(problems))
