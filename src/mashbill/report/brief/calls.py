"""Each call's day held against the text that was in force on that day.

Terms bind whoever calls, on the day of the call. The journal has the day, the route and the
account of every call; the registry has the texts with their days. Calls that were made of one
source, by one account, under the same texts are one row, with the first and last of their days.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from mashbill.core.record import CALL
from mashbill.core.students import STUDENT
from mashbill.policy.restrictions import reached_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mashbill.calls.journal import Journal
    from mashbill.core.artifact import Manifest
    from mashbill.core.source import Source
    from mashbill.core.store import Store
    from mashbill.lineage.exports import Account
    from mashbill.policy.documents import Registry

_BATCH = 20_000  # rows whose calls are looked up at once


@dataclass
class Asked:
    """Calls of one source, by one account, under the same texts."""

    source: str
    way: str
    """host and account, or in this process"""
    texts: tuple[str, ...]
    """each text that governs the route, with the version that held, or that none is known"""
    is_known: bool
    """whether a text of that day is in the registry for every document, or none is needed"""
    days: set[date] = field(default_factory=set)
    calls: int = 0


class _Who(NamedTuple):
    """Who answered, and the texts that held."""

    name: str
    texts: tuple[str, ...]
    is_known: bool


@dataclass(frozen=True)
class Called:
    """All calls that an artifact rests on."""

    asked: tuple[Asked, ...]
    missing: int
    """calls that rows name and the journal does not have: pruned, or made elsewhere"""
    removed: tuple[str, ...] = ()
    """datasets whose rows were removed, each with when and by whom: which calls those rested on is
    not known any more"""


def calls_of(store: Store, account: Account, journal: Journal | None, registry: Registry) -> Called:
    """Return the calls that an artifact's records, and those it was made from, rest on."""
    found: dict[tuple[str, str, tuple[str, ...]], Asked] = {}
    named, present, met = 0, 0, set[int]()
    gone: list[str] = []
    for step in account.steps:
        manifest = step.manifest
        removal = store.removal(manifest.ref)
        if removal is not None:
            if any(item.was_asked for item in manifest.inputs):
                gone.append(f"{manifest.ref} ({removal})")
            continue
        teachers = [
            account.sources[taken.id]
            for taken in step.taken
            if taken.role == "teacher" and taken.id in account.sources
        ]
        for calls in _calls(store, manifest, met):
            named += len(calls)
            if journal is None:
                continue
            for teacher, route, _, at in journal.when(calls):
                present += 1
                day, told = date.fromisoformat(at[:10]), json.loads(teacher)
                who = _student(told) or _governed(_of(teachers, told), day, registry)
                _count(found, who, _way(route), day)
    rows = sorted(found.values(), key=lambda row: (row.source, row.way, min(row.days)))
    return Called(tuple(rows), named - present, tuple(gone))


def _calls(store: Store, manifest: Manifest, met: set[int]) -> Iterator[list[str]]:
    """Yield the calls that a dataset's rows hold and that were not met before."""
    if manifest.kind != "dataset" or not manifest.shards:
        return
    rows = store.dataset(manifest.ref)
    if CALL not in rows.columns or _is_handed_on(manifest):
        return
    for start in range(0, rows.num_rows, _BATCH):
        column = rows.read(start, min(start + _BATCH, rows.num_rows), [CALL]).column(CALL)
        calls = {int.from_bytes(value[:8]): value for value in column.to_pylist() if value}
        new = [value.hex() for key, value in sorted(calls.items()) if key not in met]
        met.update(calls)
        yield new


def _is_handed_on(manifest: Manifest) -> bool:
    """Return whether a dataset has its calls from another one, where they are counted."""
    return not any(item.was_asked for item in manifest.inputs)


def _student(identity: Any) -> _Who | None:
    """Return who a model that was trained here is; None if an identity is of somebody else."""
    if not isinstance(identity, dict) or identity.get("kind") != STUDENT:
        return None
    texts = ("it was trained here; what it was trained on has its own rows",)
    return _Who(f"{identity.get('model')} (trained here)", texts, is_known=True)


def _of(teachers: list[Source], identity: Any) -> Source | str:
    """Return the teacher of a step that an identity is of, or the names of those it may be."""
    if len(teachers) == 1:
        return teachers[0]
    values = {value for value in _values(identity) if isinstance(value, str)}
    fits = [one for one in teachers if one.name in values or one.title in values]
    if len(fits) != 1:
        fits = [one for one in teachers if any(one.name.startswith(v) for v in values if v)]
    return fits[0] if len(fits) == 1 else " or ".join(one.title for one in teachers)


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def _governed(source: Source | str, day: date, registry: Registry) -> _Who:
    """Return a teacher with the texts that governed asking it on a day."""
    if isinstance(source, str):
        return _Who(source, ("which of these it was is not recorded",), is_known=False)
    return _Who(f"{source.title} ({source.route})", *texts_on(registry, source, day))


def _count(
    found: dict[tuple[str, str, tuple[str, ...]], Asked], who: _Who, way: str, day: date
) -> None:
    key = (who.name, way, who.texts)
    row = found.setdefault(key, Asked(who.name, way, who.texts, who.is_known))
    row.days.add(day)
    row.calls += 1


def _way(route: str) -> str:
    if not route:
        return "in this process"
    told = json.loads(route)
    by = f"account {told['account']}" if told.get("account") else "no account named"
    of = f" of {told['organisation']}" if told.get("organisation") else ""
    return f"{told.get('host') or told.get('service')}, {by}{of}"


def texts_on(registry: Registry, source: Source, day: date) -> tuple[tuple[str, ...], bool]:
    """Return the texts that governed reaching a source on a day, and if all of them are known."""
    if source.kind == "test-double":
        return ("it stands in for a model; nobody's terms apply",), True
    told, known = [], True
    for provider, route in reached_by(source):
        documents = registry.governing(provider, source.name, route, day)
        if not documents and route == "weights" and source.license:
            told.append(f"licence of the weights: {source.license}, as recorded")
        elif not documents:
            what = f"{'API' if route == 'api' else route} terms of {provider}"
            if route == "weights":
                what = f"licence of the weights of {source.name}"
            told.append(f"not known: the registry has no {what}")
            known = False
        for document in documents:
            version = document.on(day)
            if version is None:
                told.append(f"{document.title}: not known; no text of that day is in the registry")
                known = False
                continue
            begins = (
                f"in force from {version.effective_from}"
                if version.effective_from
                else (f"seen {version.begins}" if version.begins else "of an unknown day")
            )
            mark = ", second-hand" if version.second_hand else ""
            told.append(f"{document.title}, {begins}{mark}")
    return tuple(told), known
