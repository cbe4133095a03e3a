"""How a run had access, computed from the calls and events of its journal."""

from __future__ import annotations

import bisect
import itertools
import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mashbill.calls.paid_call import leaf_of, netstrings
from mashbill.core import foreign
from mashbill.core.canonical import digest_bytes
from mashbill.core.merkle import Growing, leaf, root

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.calls.paid_call import PaidCall
    from mashbill.calls.runs import Event, Run


_TERMS, _ROUTE, _AT, _ATTEMPTS, _SECONDS = 1, 2, 4, 5, 7


_TOKENS_IN, _TOKENS_OUT, _PRICE, _FLAGS = 8, 9, 11, 12


_GIVEN = timedelta(milliseconds=2)


_SENT = frozenset({"server", "connect", "cut", "timeout", "invalid", "rate-limited"})
"""events of requests that were sent and not answered"""


_HOLDS = frozenset({"server", "invalid", "rate-limited", "window-empty"})
"""events that may hold back what follows"""


CallRecord = list[str]
"""[digest of the texts, *:meth:`PaidCall.conduct`]"""


EventRecord = list[str]
"""[run, at, kind, account, call, detail]"""


def call_record(row: PaidCall) -> CallRecord:
    """Return what a statement lists of a call."""
    return [row.content(), *row.conduct()]


def event_records(events: Iterable[Event]) -> list[EventRecord]:
    """Return what a statement lists of events, in order; answers that came with them are not."""
    records = []
    for event in events:
        detail = {k: v for k, v in json.loads(event.detail).items() if k != "body"}
        text = json.dumps(detail, ensure_ascii=False, sort_keys=True)
        records.append([event.run, event.at, event.kind, event.account, event.call, text])
    return records


def summed(calls: Iterable[CallRecord], events: Sequence[EventRecord]) -> dict[str, Any]:
    """Return all that follows from the records: counts, roots, totals by route, limits, breaches.

    A breach is a request that was sent while a limit held its account and model back, and not
    before the response that said so came: a Retry-After, or a window that was told to be empty.
    Calls, in the order of their digests, are gone through once and none is kept: a run may have
    millions.
    """
    limits = _Limits(events)
    tree, routes = Growing(), defaultdict[str, _Route](_Route)
    for record in calls:
        tree.add(leaf_of(record[0], record[1:]))
        conduct = record[1:]
        route = routes[conduct[_ROUTE]]
        route.add(conduct)
        if "given-up" not in conduct[_FLAGS] and "refused" not in conduct[_FLAGS]:
            sent = _time(conduct[_AT]) - _lasted(conduct[_SECONDS])
            limits.sent(route.place(conduct[_ROUTE]), sent)
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for _, at, kind, account, _, detail in events:
        kinds[account][kind] += 1
        told = json.loads(detail)
        if kind in _SENT and "seconds" in told:
            sent = _time(at) - _lasted(told["seconds"])
            limits.sent((account, str(told.get("model", ""))), sent)
    return {
        "counts": {"calls": tree.size, "events": len(events)},
        "calls_root": tree.root(),
        "events_root": root([leaf(netstrings(record)) for record in events]),
        "routes": [routes[route].told(route) for route in sorted(routes)],
        "events": {account: dict(sorted(kinds[account].items())) for account in sorted(kinds)},
        "rate_limited": sum(count["rate-limited"] for count in kinds.values()),
        "held_seconds": round(limits.together(), 3),
        "breaches": limits.breaches,
    }


class _Route:
    """What went by one route."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._usd = 0.0
        self._terms: set[str] = set()
        self._place: tuple[str, str] | None = None

    def add(self, conduct: Sequence[str]) -> None:
        count = self._count
        count["calls"] += 1
        count["attempts"] += int(conduct[_ATTEMPTS])
        count["tokens_in"] += int(conduct[_TOKENS_IN])
        count["tokens_out"] += int(conduct[_TOKENS_OUT])
        self._usd += float.fromhex(conduct[_PRICE])
        self._terms |= {conduct[_TERMS]} - {""}

    def place(self, route: str) -> tuple[str, str]:
        if self._place is None:
            told = json.loads(route)
            self._place = (told["account"], told["model"])
        return self._place

    def told(self, route: str) -> dict[str, Any]:
        return {
            **json.loads(route),
            **self._count,
            "usd": round(self._usd, 9),
            "terms": sorted(self._terms),
        }


class _Limits:
    """The times at which limits held requests back, and what was sent in them all the same.

    Times are to a millisecond, so a little is given at both ends.
    """

    def __init__(self, events: Sequence[EventRecord]) -> None:
        held: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
        for _, at, kind, account, _, detail in events:
            told = json.loads(detail)
            if kind in _HOLDS and "held" in told:
                begins = _time(at)
                # More than a day was believed once, and statements of then still hold.
                seconds = foreign.number(told["held"], 0.0, 1e9) or 0.0
                until = begins + timedelta(seconds=seconds)
                held[account, str(told.get("model", ""))].append((begins, until))
        self.breaches: list[dict[str, str]] = []
        self._held = {place: sorted(times) for place, times in held.items()}
        self._begins = {place: [b for b, _ in times] for place, times in self._held.items()}
        self._until = {
            place: list(itertools.accumulate((u for _, u in times), max))
            for place, times in self._held.items()
        }
        """of each, the latest end of it and those that began before it"""

    def sent(self, place: tuple[str, str], at: datetime) -> None:
        """Hold a request that was sent to the limits."""
        before = bisect.bisect_left(self._begins.get(place, ()), at - _GIVEN)
        if before and at < self._until[place][before - 1] - _GIVEN:
            self.breaches.append(
                {
                    "account": place[0],
                    "model": place[1],
                    "sent": at.isoformat(),
                    "held_until": self._until[place][before - 1].isoformat(),
                }
            )

    def together(self) -> float:
        """Return the seconds that were held back; where several limits held at a time, once."""
        total = 0.0
        for times in self._held.values():
            ends = times[0][0]
            for begins, until in times:
                total += max((until - max(begins, ends)).total_seconds(), 0.0)
                ends = max(ends, until)
        return total


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _lasted(seconds: Any) -> timedelta:
    """Return how long a request took; what is no number of seconds, as if it took none."""
    return timedelta(seconds=foreign.number(seconds, 0.0, 30 * 86400.0) or 0.0)


def entry_facts(run: Run, rows: Iterable[PaidCall], events: Iterable[Event]) -> dict[str, Any]:
    """Return what the ledger's entry of a run's conduct says."""
    found = summed(map(call_record, rows), event_records(events))
    return {
        "run": run.run,
        "calls": found["counts"]["calls"],
        **{name: found[name] for name in ("calls_root", "events_root")},
        "rate_limited": found["rate_limited"],
        "held_seconds": found["held_seconds"],
        "breaches": len(found["breaches"]),
        "run_digest": run_digest(run),
    }


def run_digest(run: Run) -> str:
    """Return the digest of a run's own row in the journal."""
    facts = json.dumps(run.facts, ensure_ascii=False, sort_keys=True)
    return digest_bytes(netstrings([run.run, run.started, run.ended, facts]))


def events_root(events: Iterable[Event]) -> str:
    """Return the Merkle root over what happened to a run's calls, in order."""
    return root([leaf(netstrings(record)) for record in event_records(events)])
