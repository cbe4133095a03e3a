"""Tampers with a store at random, and asks whether an audit finds it.

`python benchmarks/tampering.py [COUNT] [--seconds N] [--seed N] [--workers N]`. Each tampering is
made in a copy, audited and undone. There are kinds of accidents, of what a stranger does who can
write to the store, and of what an insider does who owns the key. Each is audited without anything
from outside, and then, if nothing was found, with the signer's key id and a checkpoint that was
kept elsewhere. An accident has to be named, too: a finding of the file that was touched, or, for
the ledger, of an entry at or before the first one touched.

Kinds of which nothing in a store can tell are listed with the reason (`insiders.py`,
`strangers.py`). Exits 1 if another was missed. Stops when COUNT are done or the time is up.

Not tampered with, as no record rests on them: unused pages of calls.sqlite.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from accidents import Accidents, Touched
from forging import Forger
from insiders import DEEP, UNFOUND, Insiders
from removers import Removers
from strangers import STRANGERS_UNFOUND, Strangers
from tampered_store import make

from mashbill.core import checkpoint
from mashbill.core.ledger import Signer
from mashbill.core.store import CALLS, LEDGER, Store
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.lineage.evidence.finding import AuditResult

AUDITS_TIMED = 5
WHO = {"t": "accident", "s": "stranger", "i": "insider"}
EXPLAINED = {**UNFOUND, **STRANGERS_UNFOUND}


@dataclass
class Outcome:
    """Tamperings of each kind, and what became of them."""

    who: dict[str, str] = field(default_factory=dict)
    tried: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    """found with nothing from outside"""
    outside: Counter[str] = field(default_factory=Counter)
    """found with the signer's key id and a checkpoint"""
    named: Counter[str] = field(default_factory=Counter)
    """of accidents: the place was named"""
    missed: list[str] = field(default_factory=list)
    """what was to be found and was not"""

    def add(self, other: Outcome) -> None:
        self.who |= other.who
        for name in ("tried", "alone", "outside", "named"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.missed += other.missed


class Campaign(Accidents, Strangers, Insiders, Removers):
    """Tampers with one store, which it leaves as it was."""

    def __init__(self, store: Path, signer: Signer, seed: int) -> None:
        """Tamper with ``store``; ``signer`` is a key that has entries in its ledger."""
        self.store = store
        self.locks = []
        self.draw = random.Random(seed)
        for name in (".work", ".locks"):
            shutil.rmtree(store / name, ignore_errors=True)
        self.whole = {
            path.relative_to(store).as_posix(): path.read_bytes() for path in evidence(store)
        }
        self.files = sorted(self.whole.keys() - {CALLS})
        self.artifacts = sorted({name.rpartition("/")[0] for name in self.files} - {""})
        self.lines = self.whole[LEDGER].split(b"\n")[:-1]
        self.signer = signer
        self.note = checkpoint.make(store / LEDGER, signer)
        self.kinds: dict[str, tuple[str, Callable[[], Touched | None]]] = {
            name[2:].replace("_", " "): (WHO[name[0]], getattr(self, name))
            for name in dir(self)
            if name[:2] in {"t_", "s_", "i_"}
        }

    def forge(self) -> Forger:
        return Forger(self.whole, self.write, self.signer)

    def run(self, count: int, until: float) -> Outcome:
        """Make this many tamperings, the kinds in turn, or as many as there is time for."""
        outcome = Outcome({kind: who for kind, (who, _) in self.kinds.items()})
        kinds = list(self.kinds)
        self.draw.shuffle(kinds)
        for number in range(count):
            if time.monotonic() > until:
                break
            self.one(kinds[number % len(kinds)], outcome)
        return outcome

    def one(self, kind: str, outcome: Outcome) -> None:
        """Make one tampering, audit, and undo it."""
        who, tamper = self.kinds[kind]
        while True:
            touched = tamper()
            if (touched is not None or who != "accident") and self.changed():
                break
            self.undo()
        outcome.tried[kind] += 1
        try:
            alone = self.audited(kind, outside=False)
            cut = touched is not None and touched.needs_checkpoint
            outside = self.audited(kind, outside=True) if cut or not alone.findings else alone
        except Exception as error:  # noqa: BLE001 - an audit that fails is one that missed it
            outcome.missed.append(f"{kind}: {touched}: the audit failed: {error!r}")
        else:
            outcome.alone[kind] += bool(alone.findings)
            outcome.outside[kind] += bool(outside.findings)
            outcome.named[kind] += touched is not None and any(
                finding.file in touched.files
                and (finding.file != LEDGER or _at_or_before(finding.entry, touched.entry))
                for finding in outside.findings
            )
            wanted = outcome.named if touched is not None else outcome.outside
            if wanted[kind] < outcome.tried[kind] and kind not in EXPLAINED:
                told = [str(finding)[:300] for finding in outside.findings[:3]]
                way = f" {self.way}" if who == "insider" else ""
                outcome.missed.append(f"{who}: {kind}{way}: {touched or ''}: {told}")
                wanted[kind] += 1  # told once
        self.undo()

    def audited(self, kind: str, *, outside: bool) -> AuditResult:
        """Audit the store as it is now."""
        again = None
        if kind in DEEP:
            again = Rederiver(Store(self.store))
        notes = [self.note] if outside else []
        signer = self.signer.keyid if outside else None
        return Auditor(self.store, signer, checkpoints=notes, rederive=again).run()

    # Altering files, and putting them back.

    def write(self, name: str, data: bytes) -> None:
        path = self.store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def delete(self, name: str) -> None:
        (self.store / name).unlink()

    def changed(self) -> bool:
        """Return whether anything is otherwise than it was."""
        found = {path.relative_to(self.store).as_posix() for path in self.store.rglob("*")}
        return found != self._names() or any(
            not _is_file(self.store / name) or (self.store / name).read_bytes() != data
            for name, data in self.whole.items()
        )

    def _names(self) -> set[str]:
        folders = {str(part) for name in self.whole for part in Path(name).parents}
        return (self.whole.keys() | folders) - {"."}

    def undo(self) -> None:
        """Put everything back."""
        while self.locks:
            self.locks.pop().close()
        names = self._names()
        for path in sorted(self.store.rglob("*"), reverse=True):
            name = path.relative_to(self.store).as_posix()
            if path.is_symlink() or (name not in names and not path.is_dir()):
                path.unlink()
            elif name not in names:
                shutil.rmtree(path)
        for name, data in self.whole.items():
            path = self.store / name
            if path.exists() and not _is_file(path):
                path.unlink()
            if not path.exists() or path.read_bytes() != data:
                self.write(name, data)
        for path in self.store.parent.glob("outside-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _at_or_before(named: int | None, touched: int | None) -> bool:
    return touched is None or (named is not None and named <= touched)


def evidence(store: Path) -> list[Path]:
    """Return the files that an audit looks at."""
    artifacts = [*store.glob("datasets/*/*"), *store.glob("models/*/*")]
    return sorted(path for path in (store / LEDGER, store / CALLS, *artifacts) if path.is_file())


def work(given: tuple[Path, Path, int, int, float]) -> Outcome:
    """Tamper in a copy of the store, as one of several processes."""
    store, folder, count, seed, seconds = given
    copy = folder / f"worker-{seed}" / "store"
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns(".work", ".locks"))
    campaign = Campaign(copy, Signer.default(), seed)
    baseline = Auditor(copy, checkpoints=[campaign.note], rederive=Rederiver(Store(copy))).run()
    if not baseline.holds:
        message = f"{store} does not hold to begin with: {baseline.findings[0]}"
        raise SystemExit(message)
    return campaign.run(count, time.monotonic() + seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()

    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="mashbill-tampering-") as name:
        folder = Path(name)
        os.environ["MASHBILL_KEY_FILE"] = str(folder / "key.pem")
        store = make(folder / "made")
        audits = []
        for _ in range(AUDITS_TIMED):
            began = time.perf_counter()
            result = Auditor(store).run()
            audits.append(time.perf_counter() - began)
        began = time.perf_counter()
        each, more = divmod(given.count, given.workers)
        tasks = [
            (store, folder, each + (i < more), given.seed + i, given.seconds)
            for i in range(given.workers)
        ]
        with multiprocessing.get_context("spawn").Pool(given.workers) as pool:
            for part in pool.imap_unordered(work, tasks):
                outcome.add(part)
        seconds = time.perf_counter() - began
    tell(outcome)
    print(f"{seconds:.0f} s; one audit {min(audits):.3f} s at best; seed {given.seed}")
    keep(outcome, result, audits, given, seconds)
    if outcome.missed:
        sys.exit(1)


def tell(outcome: Outcome) -> None:
    """Print the table, and each kind that was not found with the reason."""
    print(f"{'who':9} {'kind':52} {'tried':>6} {'alone':>6} {'with':>6} {'not':>5}")
    for who in WHO.values():
        kinds = sorted(
            kind for kind, of in outcome.who.items() if of == who and outcome.tried[kind]
        )
        for kind in kinds:
            tried, alone, outside = (
                count[kind] for count in (outcome.tried, outcome.alone, outcome.outside)
            )
            print(f"{who:9} {kind:52} {tried:6} {alone:6} {outside:6} {tried - outside:5}")
        tried, alone, outside = (
            sum(count[kind] for kind in kinds)
            for count in (outcome.tried, outcome.alone, outcome.outside)
        )
        print(f"{who:9} {'all':52} {tried:6} {alone:6} {outside:6} {tried - outside:5}")
    for kind, why in EXPLAINED.items():
        if outcome.tried[kind] - outcome.outside[kind]:
            print(f"not found: {kind}: {why}")
    for text in outcome.missed[:20]:
        print("missed:", text)


def keep(
    outcome: Outcome, result: AuditResult, audits: list[float], given: argparse.Namespace, s: float
) -> None:
    """Write the figures."""
    from machine import describe, write

    write(
        Path(__file__).with_suffix(".json"),
        {
            "machine": describe(),
            "entries": result.entries,
            "files": result.files,
            "records": result.records,
            "calls": result.calls,
            "audit_seconds": [round(value, 4) for value in sorted(audits)],
            "seed": given.seed,
            "asked": given.count,
            "seconds": round(s, 1),
            "tried": outcome.tried.total(),
            "found_alone": outcome.alone.total(),
            "found_with_signer_and_checkpoint": outcome.outside.total(),
            "missed": len(outcome.missed),
            "kinds": {
                kind: {
                    "who": outcome.who[kind],
                    "tried": tried,
                    "alone": outcome.alone[kind],
                    "with": outcome.outside[kind],
                    **({"why": EXPLAINED[kind]} if kind in EXPLAINED else {}),
                }
                for kind, tried in sorted(outcome.tried.items())
            },
        },
    )


if __name__ == "__main__":
    main()
