"""Tampers with a store at random, and asks whether an audit finds it and names the place.

`python benchmarks/tampering.py [COUNT] [STORE] [--seconds N] [--seed N]`. Each tampering is made
in a copy, audited and undone. It counts as found if the audit has a finding, and as named if a
finding is of the tampered file; for the ledger, of an entry at or before the first one that was
touched. Checkpoints are given to the audit only where nothing else could show it: where the
ledger's end is gone, or it was written anew and signed throughout. Without STORE the tests' toy
chain is run. Stops when COUNT are done or the time is up, and exits 1 if one was missed.

Not tampered with, as no record rests on them: unused pages of calls.sqlite (its rows are altered
by SQL instead), calls added to it, and files that no artifact holds.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mashbill.core import checkpoint
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.ledger import GENESIS, Signer
from mashbill.core.store import CALLS, LEDGER, MANIFEST, NODES
from mashbill.lineage.audit import Auditor

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 2
AUDITS_TIMED = 5


@dataclass
class Touched:
    """What a tampering did, and so what an audit has to say."""

    files: set[str]
    """any of these has to be named"""
    entry: int | None = None
    """first entry touched, if the ledger was and is still there"""
    needs_checkpoint: bool = False


@dataclass
class Outcome:
    """Tamperings of each kind, and what became of them."""

    tried: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.tried += other.tried
        self.found += other.found
        self.named += other.named
        self.missed += other.missed


class Campaign:
    """Tampers with one store, which it leaves as it was."""

    def __init__(self, store: Path, signer: Signer, seed: int) -> None:
        """Tamper with ``store``; ``signer`` is a key that has entries in its ledger."""
        self.store = store
        self.draw = random.Random(seed)
        self.dirty: set[str] = set()
        self.whole = {
            path.relative_to(store).as_posix(): path.read_bytes() for path in evidence(store)
        }
        self.files = sorted(self.whole.keys() - {CALLS})
        self.artifacts = sorted({name.rpartition("/")[0] for name in self.files} - {""})
        self.lines = self.whole[LEDGER].split(b"\n")[:-1]
        self.signer = signer
        self.note = checkpoint.make(store / LEDGER, signer)
        self.kinds: dict[str, Callable[[], Touched | None]] = {
            name.removeprefix("t_").replace("_", " "): getattr(self, name)
            for name in dir(self)
            if name.startswith("t_")
        }
        if CALLS not in self.whole:
            self.kinds = {kind: do for kind, do in self.kinds.items() if "call" not in kind}

    def run(self, count: int, until: float) -> Outcome:
        """Make this many tamperings, the kinds in turn, or as many as there is time for."""
        outcome = Outcome()
        kinds = list(self.kinds)
        self.draw.shuffle(kinds)
        for number in range(count):
            if time.monotonic() > until:
                break
            self.one(kinds[number % len(kinds)], outcome)
        return outcome

    def one(self, kind: str, outcome: Outcome) -> None:
        """Make one tampering, audit, and undo it."""
        touched = None
        while touched is None:
            touched = self.kinds[kind]()
            if touched is None or not self.changed():
                self.undo()
                touched = None
        outcome.tried[kind] += 1
        notes = [self.note] if touched.needs_checkpoint else []
        try:
            findings = Auditor(self.store, checkpoints=notes).run().findings
        except Exception as error:  # noqa: BLE001 - an audit that fails is one that missed it
            outcome.missed.append(f"{kind}: {touched}: the audit failed: {error!r}")
        else:
            named = any(
                finding.file in touched.files
                and (finding.file != LEDGER or _at_or_before(finding.entry, touched.entry))
                for finding in findings
            )
            outcome.found[kind] += bool(findings)
            outcome.named[kind] += named
            if not named:
                outcome.missed.append(f"{kind}: {touched}: {[str(f) for f in findings[:3]]}")
        self.undo()

    # Altering files, and putting them back.

    def write(self, name: str, data: bytes) -> None:
        self.dirty.add(name)
        (self.store / name).write_bytes(data)

    def delete(self, name: str) -> None:
        self.dirty.add(name)
        (self.store / name).unlink()

    def changed(self) -> bool:
        """Return whether any file is another than it was."""
        now = {name: self.store / name for name in self.dirty}
        return any(
            (path.read_bytes() if path.exists() else None) != self.whole.get(name)
            for name, path in now.items()
        )

    def undo(self) -> None:
        for name in self.dirty:
            path = self.store / name
            if name in self.whole:
                path.write_bytes(self.whole[name])
                continue
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        self.dirty.clear()

    # Bytes of any file.

    def bytes_of(self, name: str, place: int, data: bytes, *, at_end: bool = False) -> Touched:
        """Write a file whose first altered byte is at ``place``."""
        self.write(name, data)
        if name != LEDGER:
            return Touched({name})
        line = self.whole[LEDGER][:place].count(b"\n")
        return Touched({name}, line, needs_checkpoint=at_end)

    def spot(self) -> tuple[str, bytes, int]:
        # A fifth of the tamperings go to the ledger, which else would be one file of many.
        name = LEDGER if self.draw.random() < 0.2 else self.draw.choice(self.files)
        data = self.whole[name]
        return name, data, self.draw.randrange(len(data))

    def t_flip_a_bit(self) -> Touched:
        name, data, at = self.spot()
        flipped = bytes([data[at] ^ 1 << self.draw.randrange(8)])
        return self.bytes_of(name, at, data[:at] + flipped + data[at + 1 :])

    def t_delete_a_byte(self) -> Touched:
        name, data, at = self.spot()
        return self.bytes_of(name, at, data[:at] + data[at + 1 :])

    def t_insert_a_byte(self) -> Touched:
        name, data, at = self.spot()
        return self.bytes_of(name, at, data[:at] + self.draw.randbytes(1) + data[at:])

    def t_append_bytes(self) -> Touched:
        name, data, _ = self.spot()
        return self.bytes_of(name, len(data), data + self.draw.randbytes(self.draw.randint(1, 9)))

    def t_truncate(self) -> Touched:
        name, data, at = self.spot()
        return self.bytes_of(name, at, data[:at], at_end=True)

    def t_overwrite_with_zeros(self) -> Touched:
        name, data, at = self.spot()
        end = min(len(data), at + self.draw.randint(1, 64))
        return self.bytes_of(name, at, data[:at] + bytes(end - at) + data[end:])

    # Lines of the ledger.

    def write_lines(
        self, lines: list[bytes], entry: int | None = None, *, note: bool = False
    ) -> Touched:
        """Write a ledger; the entry touched is the first that differs, unless given."""
        if entry is None:
            same = [a == b for a, b in zip(lines, self.lines, strict=False)]
            entry = [*same, False].index(False)
        self.write(LEDGER, b"".join(line + b"\n" for line in lines))
        return Touched({LEDGER}, entry, needs_checkpoint=note)

    def t_ledger_line_deleted(self) -> Touched:
        at = self.draw.randrange(len(self.lines) - 1)
        return self.write_lines(self.lines[:at] + self.lines[at + 1 :])

    def t_ledger_line_duplicated(self) -> Touched:
        at, to = self.draw.randrange(len(self.lines)), self.draw.randint(0, len(self.lines))
        return self.write_lines([*self.lines[:to], self.lines[at], *self.lines[to:]])

    def t_ledger_lines_swapped(self) -> Touched:
        one, two = self.draw.sample(range(len(self.lines)), 2)
        lines = list(self.lines)
        lines[one], lines[two] = lines[two], lines[one]
        return self.write_lines(lines)

    def t_ledger_lines_reordered(self) -> Touched:
        start = self.draw.randrange(len(self.lines) - 1)
        end = self.draw.randint(start + 2, len(self.lines))
        piece = self.lines[start:end]
        self.draw.shuffle(piece)
        return self.write_lines([*self.lines[:start], *piece, *self.lines[end:]])

    def t_ledger_tail_cut(self) -> Touched:
        left = self.draw.randint(1, len(self.lines) - 1)
        return self.write_lines(self.lines[:left], note=True)

    def t_ledger_tail_cut_with_its_files(self) -> Touched:
        left = self.draw.randint(1, len(self.lines) - 1)
        spoken = {item["name"] for line in self.lines[:left] for item in opened(line)["subject"]}
        for name in self.whole.keys() - spoken - {LEDGER, CALLS}:
            self.delete(name)
        return self.write_lines(self.lines[:left], note=True)

    def t_ledger_entry_signed_by_another_key(self) -> Touched:
        at = self.draw.randrange(len(self.lines))
        sealed = stranger().seal(opened(self.lines[at]))
        return self.write_lines([*self.lines[:at], sealed, *self.lines[at + 1 :]])

    def t_ledger_entry_introducing_another_key(self) -> Touched:
        at = self.draw.randrange(len(self.lines))
        other, statement = stranger(), opened(self.lines[at])
        statement["predicate"]["public_key"] = other.public.hex()
        # The entry by itself is a new signer's first; what stands behind it has another
        # predecessor, and behind the last one nothing stands.
        is_last = at == len(self.lines) - 1
        lines = [*self.lines[:at], other.seal(statement), *self.lines[at + 1 :]]
        return self.write_lines(lines, at if is_last else at + 1, note=is_last)

    def resigned(self, signer: Signer, start: int) -> list[bytes]:
        """Return the ledger with every line from one on chained and signed anew."""
        lines = self.lines[:start]
        for line in self.lines[start:]:
            statement = opened(line)
            predicate = statement["predicate"]
            predicate["previous"] = digest_bytes(lines[-1]) if lines else GENESIS
            if "public_key" in predicate:
                predicate["public_key"] = signer.public.hex()
            if len(lines) == start:
                predicate["at"] = "2020-01-01T00:00:00.000+00:00"
            lines.append(signer.seal(statement))
        return lines

    def t_ledger_signed_again_by_another_key(self) -> Touched:
        return self.write_lines(self.resigned(stranger(), 0), note=True)

    def t_ledger_signed_again_by_its_own_key(self) -> Touched:
        start = self.draw.randrange(len(self.lines))
        return self.write_lines(self.resigned(self.signer, start), note=True)

    # Files that stay well formed.

    def rewritten(self, name: str, column: str, row: int, value: Any) -> Touched:
        table = read(self.whole[name])
        at = table.schema.get_field_index(column)
        values = table.column(column).to_pylist()
        values[row] = value
        kind = table.schema.field(column)
        table = table.set_column(at, kind, pa.array(values, kind.type))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())
        return Touched({name})

    def shards(self) -> list[str]:
        return [n for n in self.files if n.endswith(".parquet") and not n.endswith(f"/{NODES}")]

    def t_parquet_value(self) -> Touched | None:
        name = self.draw.choice(self.shards())
        table = read(self.whole[name])
        column = self.draw.choice(table.column_names)
        row = self.draw.randrange(table.num_rows)
        value = table.column(column)[row].as_py()
        other = altered(value, self.draw)
        return None if other is None else self.rewritten(name, column, row, other)

    def t_parquet_rows_exchanged(self) -> Touched | None:
        name = self.draw.choice(self.shards())
        table = read(self.whole[name])
        if table.num_rows < 2:
            return None
        order = list(range(table.num_rows))
        one, two = self.draw.sample(order, 2)
        order[one], order[two] = order[two], order[one]
        sink = pa.BufferOutputStream()
        pq.write_table(table.take(order), sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())
        return Touched({name})

    def t_node_edge_or_count(self) -> Touched | None:
        name = self.draw.choice([n for n in self.files if n.endswith(f"/{NODES}")])
        table = read(self.whole[name])
        column = self.draw.choice(["to", "via", "tokens", "number_records", "about", "is_root"])
        row = self.draw.randrange(table.num_rows)
        other = altered(table.column(column)[row].as_py(), self.draw)
        return None if other is None else self.rewritten(name, column, row, other)

    def t_manifest_field(self) -> Touched | None:
        name = self.draw.choice([n for n in self.files if n.endswith(f"/{MANIFEST}")])
        body = json.loads(self.whole[name])
        inner: Any = body
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not keys:
                return None
            key = self.draw.choice(keys)
            if not isinstance(inner[key], dict | list):
                break
            inner = inner[key]
        other = altered(inner[key], self.draw)
        if other is None:
            return None
        inner[key] = other
        self.write(name, canonical(body))
        return Touched({name})

    def t_file_deleted(self) -> Touched:
        name = self.draw.choice(self.files)
        self.delete(name)
        return Touched({name})

    def t_files_swapped(self) -> Touched:
        one, two = self.draw.sample([name for name in self.files if name != LEDGER], 2)
        self.write(one, self.whole[two])
        self.write(two, self.whole[one])
        return Touched({one, two})

    def t_file_added(self) -> Touched:
        folder = self.draw.choice(self.artifacts)
        name = self.draw.choice(["part-99999.parquet", "rejected-99999.parquet", "note.json"])
        copied = self.whole[self.draw.choice(self.files)]
        self.write(f"{folder}/{name}", copied)
        return Touched({f"{folder}/{name}"})

    def t_artifact_added(self) -> Touched:
        folder = self.draw.choice(self.artifacts)
        other = f"{folder}-{self.draw.randrange(100)}"
        (self.store / other).mkdir(exist_ok=True)
        self.write(f"{other}/{MANIFEST}", self.whole[f"{folder}/{MANIFEST}"])
        return Touched({other})

    # Rows of the calls.

    def sql(self, statement: str, values: list[Any]) -> Touched:
        self.dirty.add(CALLS)
        with closing(sqlite3.connect(self.store / CALLS)) as db, db:
            db.execute(statement, values)
        return Touched({CALLS})

    def call(self) -> dict[str, Any]:
        with closing(sqlite3.connect(self.store / CALLS)) as db:
            db.row_factory = sqlite3.Row
            rows = db.execute("SELECT request FROM calls").fetchall()
            request = self.draw.choice(rows)["request"]
            row = db.execute("SELECT * FROM calls WHERE request = ?", [request]).fetchone()
            return dict(row)

    def t_call_value(self) -> Touched | None:
        call = self.call()
        column = self.draw.choice(sorted(call))
        other = altered(call[column], self.draw)
        if column in {"teacher", "choices", "logprobs"} and _same_json(call[column], other):
            return None
        change = f"UPDATE calls SET {column} = ? WHERE request = ?"  # noqa: S608 - our own names
        return None if other is None else self.sql(change, [other, call["request"]])

    def t_call_prefix(self) -> Touched:
        call = self.call()
        change = "UPDATE texts SET text = substr(text, 2) WHERE digest = ?"
        return self.sql(change, [call["prefix"]])

    def t_call_deleted(self) -> Touched:
        return self.sql("DELETE FROM calls WHERE request = ?", [self.call()["request"]])

    def t_call_replaced_by_another(self) -> Touched | None:
        one, two = self.call(), self.call()
        if one == two:
            return None
        two["request"] = one["request"]
        change = f"INSERT OR REPLACE INTO calls ({', '.join(two)}) VALUES "  # noqa: S608 - our own names
        return self.sql(f"{change} ({', '.join('?' * len(two))})", list(two.values()))


def _same_json(one: str, two: str) -> bool:
    """Return whether two texts say the same, as 1.5 and 1.50 do: then nothing was altered."""
    try:
        return bool(json.loads(one) == json.loads(two))
    except ValueError:
        return False


def _at_or_before(named: int | None, touched: int | None) -> bool:
    return touched is None or (named is not None and named <= touched)


def evidence(store: Path) -> list[Path]:
    """Return the files that an audit looks at."""
    artifacts = [*store.glob("datasets/*/*"), *store.glob("models/*/*")]
    return sorted(
        path for path in (store / LEDGER, store / CALLS, *artifacts) if path.is_file()
    )  # fmt: skip


def opened(line: bytes) -> dict[str, Any]:
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(line)["payload"]))
    return statement


def stranger() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


def read(data: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(data)).read()


def altered(value: Any, draw: random.Random) -> Any:
    """Return another value of the same type; None if there is none."""
    match value:
        case bool():
            return not value
        case int():
            return value + draw.choice([-1, 1, 7])
        case float():
            return value + draw.choice([-0.25, 1.0])
        case str():
            at = draw.randint(0, len(value))
            return value[:at] + draw.choice("0aZ ") + value[at:]
        case bytes() if value:
            at = draw.randrange(len(value))
            return value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :]
        case list() if value:
            at = draw.randrange(len(value))
            other = altered(value[at], draw)
            return None if other is None else [*value[:at], other, *value[at + 1 :]]
        case _:
            return None


def toy(folder: Path) -> Path:
    """Run the tests' toy chain and return its store."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tests_support import run_toy, write_recipe

    run_toy(write_recipe(folder / "recipe"), folder / "store")
    return folder / "store"


def own_signer(store: Path) -> Signer:
    """Return a signer whose checkpoint of the copy holds: the user's, with an entry added."""
    from mashbill.core.store import Store

    signer = Signer.default()
    opened_store = Store(store, signer)
    if all(entry.keyid != signer.keyid for entry in opened_store.ledger.entries):
        opened_store.ledger.append("accept")
    return signer


def work(given: tuple[Path, Path, int, int, float]) -> Outcome:
    """Tamper in a copy of the store, as one of several processes."""
    store, folder, count, seed, seconds = given
    copy = folder / f"copy-{seed}"
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns(".work", "cache"))
    campaign = Campaign(copy, own_signer(copy), seed)
    baseline = Auditor(copy, checkpoints=[campaign.note]).run()
    if not baseline.holds:
        message = f"{store} does not hold to begin with: {baseline.findings[0]}"
        raise SystemExit(message)
    return campaign.run(count, time.monotonic() + seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    from machine import describe, write

    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="mashbill-tampering-") as name:
        folder = Path(name)
        os.environ.setdefault("MASHBILL_KEY_FILE", str(folder / "key.pem"))
        store = given.store or toy(folder)
        audits = []
        for _ in range(AUDITS_TIMED):
            began = time.perf_counter()
            result = Auditor(store).run()
            audits.append(time.perf_counter() - began)
        began = time.perf_counter()
        shares = [given.count // WORKERS + (i < given.count % WORKERS) for i in range(WORKERS)]
        tasks = [
            (store, folder, share, given.seed + i, given.seconds) for i, share in enumerate(shares)
        ]
        with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
            for part in pool.imap_unordered(work, tasks):
                outcome.add(part)
        seconds = time.perf_counter() - began
    print(f"{'kind':42} {'tried':>6} {'found':>6} {'named':>6}")
    for kind, tried in sorted(outcome.tried.items()):
        print(f"{kind:42} {tried:6} {outcome.found[kind]:6} {outcome.named[kind]:6}")
    total = {
        key: getattr(outcome, key).total() for key in ("tried", "found", "named")
    }  # fmt: skip
    print(f"{'all':42} {total['tried']:6} {total['found']:6} {total['named']:6}")
    print(f"{seconds:.0f} s; one audit {min(audits):.3f} s at best; seed {given.seed}")
    for text in outcome.missed[:20]:
        print("missed:", text)
    write(
        Path(__file__).with_suffix(".json"),
        {
            "machine": describe(),
            "store": "the tests' toy chain" if given.store is None else given.store.name,
            "entries": result.entries,
            "files": result.files,
            "records": result.records,
            "calls": result.calls,
            "audit_seconds": [round(value, 4) for value in sorted(audits)],
            "seed": given.seed,
            "asked": given.count,
            "seconds": round(seconds, 1),
            **total,
            "missed": len(outcome.missed),
            "kinds": {
                kind: {
                    "tried": tried,
                    "found": outcome.found[kind],
                    "named": outcome.named[kind],
                }
                for kind, tried in sorted(outcome.tried.items())
            },
        },
    )
    if outcome.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
