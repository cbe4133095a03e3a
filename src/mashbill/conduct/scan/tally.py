"""A batch of events, summed up for the tables of a scan (:mod:`mashbill.conduct.scan.tables`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.conduct.signals import timing

if TYPE_CHECKING:
    from mashbill.conduct.events import Hashes

SPAN = 4 * 3600 * 1_000_000
"""microseconds of a span in which an account's exchanges are counted"""
TOO_MANY_REQUESTS = 429
TRAITS = ("payment", "network", "address", "agent")
"""what is kept of whoever asks; the last two are shown in a case, and count for nothing"""


@dataclass(frozen=True, slots=True)
class Levels:
    """From which log10 odds on a prompt trips: seldom among ordinary ones, and next to never."""

    jailbreak: tuple[float, float]
    extraction: tuple[float, float]
    model: str = ""
    """SHA-256 of the weights of the model of texts that they belong to"""


@dataclass
class Account:
    """What a batch says of one account."""

    first: int
    last: int
    organisation: bytes | None = None
    signed_up: int | None = None
    exchanges: int = 0
    limited: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    scored: int = 0
    trips: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    declared: int = 0
    banned: int | None = None


@dataclass
class Tally:
    """A batch, summed up."""

    accounts: dict[bytes, Account] = field(default_factory=dict)
    spans: Counter[tuple[bytes, int]] = field(default_factory=Counter)
    traits: Counter[tuple[bytes, str, bytes]] = field(default_factory=Counter)
    items: Counter[tuple[bytes, int]] = field(default_factory=Counter)
    samples: dict[tuple[bytes, str], list[tuple[Any, ...]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """(account, pool) -> (hash, row, time, skeleton, jailbreak, extraction)"""
    moments: set[tuple[bytes, int]] = field(default_factory=set)
    """(account, slot) of :mod:`mashbill.conduct.signals.timing`"""
    recent: list[tuple[int, str, bytes, bytes]] = field(default_factory=list)
    limits: list[tuple[int, str, bytes, bytes]] = field(default_factory=list)
    blobs: dict[bytes, tuple[int, bytes, str]] = field(default_factory=dict)
    presented: dict[tuple[bytes, bytes, str], tuple[int, str]] = field(default_factory=dict)
    newest: int = 0
    rows: int = 0
    digest: int = 0
    """sum of the hashes of the rows' names: the same in whichever order they came"""


def tally(batch: pa.RecordBatch, hashes: Hashes, levels: Levels) -> Tally:
    """Return a batch of :data:`mashbill.conduct.events.SCHEMA`, summed up."""
    found = Tally(rows=batch.num_rows)
    columns = {name: _listed(batch.column(name)) for name in batch.schema.names}
    skeletons = _bytes_of(batch.column("skeleton"))
    get = columns.__getitem__
    for number, (name, time, kind, account) in enumerate(
        zip(get("id"), get("time"), get("kind"), get("account"), strict=True)
    ):
        one = found.accounts.get(account)
        if one is None:
            one = found.accounts[account] = Account(time, time)
        one.first, one.last = min(one.first, time), max(one.last, time)
        found.newest = max(found.newest, time)
        row = {key: values[number] for key, values in columns.items()}
        if row["organisation"] is not None:
            one.organisation = min(row["organisation"], one.organisation or row["organisation"])
        if row["signed_up"] is not None or kind == "signup":
            opened = row["signed_up"] if row["signed_up"] is not None else time
            one.signed_up = opened if one.signed_up is None else min(one.signed_up, opened)
        for trait in TRAITS:
            if row[trait] is not None:
                found.traits[account, trait, row[trait]] += 1
        named = hashes.row(name)
        found.digest += int(named, 16)
        if kind == "ban":
            one.banned = time if one.banned is None else min(one.banned, time)
        elif kind == "exchange":
            _exchange(found, one, row, named, skeletons[number], levels)
    return found


def _exchange(
    found: Tally, one: Account, row: dict[str, Any], named: str, skeleton: bytes, levels: Levels
) -> None:
    account, time = row["account"], row["time"]
    one.exchanges += 1
    one.tokens_in += row["tokens_in"] or 0
    one.tokens_out += row["tokens_out"] or 0
    one.declared += row["declared"] is not None
    found.spans[account, time // SPAN] += 1
    if skeleton:
        (found.limits if row["status"] == TOO_MANY_REQUESTS else found.recent).append(
            (time, named, account, skeleton)
        )
    if row["status"] == TOO_MANY_REQUESTS:
        one.limited += 1
        return  # nothing was had
    slot = timing.slot(time)
    if slot is not None:
        found.moments.add((account, slot))
    sample = (int(named, 16) >> 1, named, time, skeleton, row["jailbreak"], row["extraction"])
    if row["item"] is not None:
        found.items[account, int.from_bytes(row["item"]) >> 1] += 1
        found.samples[account, "all"].append(sample)
    if row["jailbreak"] is not None and row["extraction"] is not None:
        one.scored += 1
        for place, pool, score, (low, high) in (
            (0, "J", row["jailbreak"], levels.jailbreak),
            (2, "X", row["extraction"], levels.extraction),
        ):
            if score >= low:
                one.trips[place + (score >= high)] += 1
                found.samples[account, pool].append(sample)
    model = row["model"] or ""
    for blob in row["blobs_out"] or ():
        made = (time, account, model)
        found.blobs[blob] = min(made, found.blobs.get(blob, made))
    for blob in row["blobs_in"] or ():
        key = (blob, account, model)
        found.presented[key] = min((time, named), found.presented.get(key, (time, named)))


def _listed(column: pa.Array) -> list[Any]:
    """Return a column as values; times as microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return (
        column.to_pylist()
        if not pa.types.is_list(column.type) or column.type.value_type != (pa.uint32())
        else [None] * len(column)
    )


def _bytes_of(column: pa.ListArray) -> list[bytes]:
    """Return each list of a column of uint32 as its bytes, without a number of Python for each."""
    values = column.flatten().to_numpy(zero_copy_only=False).astype("<u4")
    lengths = np.asarray(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    ends = np.cumsum(lengths)
    raw = values.tobytes()
    return [raw[4 * (end - size) : 4 * end] for end, size in zip(ends, lengths, strict=True)]
