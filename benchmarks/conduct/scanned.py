"""Worlds, made and scanned, each step in a process of its own: what is found, and what it costs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from measured import Found, Served, Truth

from mashbill.conduct.events import SCHEMA, Hashes
from mashbill.conduct.evidence.tiers import ORDER
from mashbill.conduct.logs.reading import open_log
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.conduct.scan.tally import Levels
from mashbill.conduct.simulate.simulating import simulate
from mashbill.conduct.text.scoring import Scorer as Shipped
from mashbill.workspace.conduct import levels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.conduct.logs.gathering import Batch
    from mashbill.conduct.scan.ticking import Held
    from mashbill.conduct.scored import Scorer

HASHES = Hashes(b"benchmark of conduct, one key..."[:32])
ROWS = 20_000
KEPT = (
    "time", "kind", "account", "status", "tokens_in", "tokens_out", "payment", "address", "network",
    "agent", "item", "jailbreak", "extraction",
)  # fmt: skip
"""columns that rivals are given"""


def model() -> tuple[Scorer, Levels]:
    """Return the shipped model of texts, and the levels at which a scan works."""
    return Shipped.shipped(), levels()


@dataclass(frozen=True)
class World:
    """What is simulated."""

    name: str
    seed: int
    scale: float
    days: float | None = None
    kinds: tuple[str, ...] | None = None


@dataclass
class Outcome:
    """What a scan of a world came to; accounts are places in ``truth``."""

    world: World
    rows: int = 0
    bytes: int = 0
    exchanges: dict[str, int] = field(default_factory=dict)
    """rows by kind"""
    simulating: float = 0.0
    """seconds of processor time"""
    scanning: float = 0.0
    scored: bool = False
    truth: list[Truth] = field(default_factory=list)
    when: dict[str, dict[int, int]] = field(default_factory=dict)
    """tier -> account -> when it was first held at that tier or above"""
    groups: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    """tier -> findings about several accounts that reached it, as they were last held"""
    why: dict[int, str] = field(default_factory=dict)
    """account -> which of J, X, I, L it is held for at review or above, in the order of letters"""
    kinds: dict[str, int] = field(default_factory=dict)
    """findings of J, X, I, L at review or above"""
    quarters: list[dict[str, float]] = field(default_factory=list)
    """after each quarter of the rows: rows a second of processor time in it, MiB at most so far"""
    state_bytes: int = 0
    problem: str = ""

    def found(self, tier: str) -> Found:
        """Return what is held at a tier or above."""
        return Found(self.when[tier], self.groups[tier])


def made(world: World, folder: Path) -> dict[str, Any]:
    """Write a world's log into a folder."""
    begun = time.process_time()
    told = simulate(folder, seed=world.seed, scale=world.scale, kinds=world.kinds, days=world.days)
    return {
        "rows": told.rows,
        "bytes": told.bytes,
        "exchanges": dict(told.exchanges),
        "seconds": time.process_time() - begun,
    }


def truth_of(folder: Path) -> tuple[list[Truth], dict[bytes, int]]:
    """Return who the accounts of a world are, and the place of each hashed name."""
    truth, places = [], {}
    with (folder / "truth.jsonl").open() as lines:
        for line in lines:
            told = json.loads(line)
            places[HASHES.account(told["account"])] = len(truth)
            truth.append(Truth(told["honest"], told["kind"], told["cluster"]))
    return truth, places


def peak() -> float:
    """Return the most memory that this process had so far, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


class Watch:
    """Passes batches on, keeps what rivals need of them on disk, and takes its own time away."""

    def __init__(self, rows: int, kept: Path | None) -> None:
        """Watch a log of so many rows."""
        self._whole, self._kept = rows, kept
        self.quarters: list[dict[str, float]] = []
        self.own = 0.0

    def over(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches."""
        schema = pa.schema([SCHEMA.field(name) for name in KEPT])
        file = pa.OSFile(str(self._kept), "wb") if self._kept else pa.BufferOutputStream()
        done, begun, since = 0, time.process_time(), 0
        with pa.ipc.new_stream(file, schema) as writer:
            for batch in batches:
                yield batch
                done += batch.events.num_rows
                if done >= self._whole * (len(self.quarters) + 1) // 4:
                    now = time.process_time() - self.own
                    rate = (done - since) / max(1e-9, now - begun)
                    self.quarters.append({"rows_a_second": rate, "peak_mib": peak()})
                    begun, since = now, done
                if self._kept:
                    start = time.process_time()
                    writer.write_batch(batch.events.select(list(KEPT)))
                    self.own += time.process_time() - start
        file.close()


def scan(world: World, folder: Path, told: dict[str, Any], *, keep: bool = False) -> Outcome:
    """Scan a world's log; with ``keep``, ``rows.arrow`` has what rivals need.

    What goes wrong in it is told in the outcome, since a benchmark reports what there is.
    """
    scorer, levels = model()
    outcome = Outcome(
        world,
        told["rows"],
        told["bytes"],
        told["exchanges"],
        told["seconds"],
        scored=scorer is not None,
    )
    outcome.truth, places = truth_of(folder)
    held: list[Held] = []
    path = folder / "state.sqlite"
    state = State(path, {"key": HASHES.keyid})
    scanner = Scan(state, HASHES, levels, "events.jsonl", "native", held.append)
    log = open_log(folder / "events.jsonl", HASHES, scorer=scorer)
    watch = Watch(told["rows"], folder / "rows.arrow" if keep else None)
    begun = time.process_time()
    try:
        scanner.take(watch.over(log.batches(None, ROWS)))
        scanner.end()
    except Exception as error:  # noqa: BLE001 - it is what is reported
        outcome.problem = f"{type(error).__name__}: {error}"[:500]
    outcome.scanning = time.process_time() - begun - watch.own
    outcome.quarters = watch.quarters
    state.database.close()
    outcome.state_bytes = path.stat().st_size
    told_by(outcome, held, places)
    return outcome


def told_by(outcome: Outcome, held: list[Held], places: dict[bytes, int]) -> None:
    """Put what was held into an outcome."""
    latest: dict[str, Held] = {}
    for one in held:
        latest[one.weighed.name] = one
    for tier in ("review", "act"):
        least = ORDER.index(tier)
        when: dict[int, int] = {}
        for one in held:
            if ORDER.index(one.tier) >= least:
                for account in one.weighed.accounts:
                    when.setdefault(places[account], one.found)
        outcome.when[tier] = when
        outcome.groups[tier] = [
            tuple(sorted(places[account] for account in one.weighed.accounts))
            for one in latest.values()
            if len(one.weighed.accounts) > 1 and ORDER.index(one.tier) >= least
        ]
    for one in latest.values():
        if ORDER.index(one.tier) >= ORDER.index("review"):
            kind = one.weighed.kind
            outcome.kinds[kind] = outcome.kinds.get(kind, 0) + 1
            for account in one.weighed.accounts:
                place = places[account]
                outcome.why[place] = "".join(sorted({*outcome.why.get(place, ""), kind}))


def rows_of(folder: Path) -> Rows:
    """Return what was kept of a log."""
    return Rows(folder / "rows.arrow", truth_of(folder)[1])


class Rows:
    """The rows of a log, by column, in the order of time."""

    def __init__(self, path: Path, places: dict[bytes, int]) -> None:
        """Map a file that :class:`Watch` wrote."""
        with pa.memory_map(str(path)) as file:
            self.table = pa.ipc.open_stream(file).read_all()
        account = self.table.column("account").combine_chunks().dictionary_encode()
        names = [places[name] for name in account.dictionary.to_pylist()]
        self.account = np.array(names, np.int32)[account.indices.to_numpy()]
        self.time = self.table.column("time").cast(pa.int64()).to_numpy()
        self.is_exchange = self._equals("kind", "exchange")
        status = self.numbers("status", 200)
        self.is_served = self.is_exchange & (status == 200)
        self.is_limited = self.is_exchange & (status == 429)

    def _equals(self, name: str, value: str) -> np.ndarray:
        column = self.table.column(name).combine_chunks().dictionary_encode()
        wanted = np.array([one == value for one in column.dictionary.to_pylist()])
        return np.asarray(wanted[column.indices.to_numpy()])

    def numbers(self, name: str, default: float) -> np.ndarray:
        """Return a column of numbers."""
        return np.asarray(self.table.column(name).fill_null(default).to_numpy())

    def codes(self, name: str) -> np.ndarray:
        """Return a column of hashes as numbers from 0; -1 where it is null."""
        column = self.table.column(name).combine_chunks().dictionary_encode()
        return np.asarray(column.indices.fill_null(-1).to_numpy())

    @property
    def served(self) -> Served:
        """Return the exchanges that were answered."""
        return Served(self.account[self.is_served], self.time[self.is_served])
