"""What must be so whatever a detector finds: the same from the same log, nothing from shuffled one.

* A second scan of a log gives the same cases, byte for byte.
* A scan that ends half-way and is taken up from its state gives the same cases.
* With account labels permuted over the rows, while key, card, address and prompt stay with their
  row, no accounts are said to act as one.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from scanned import HASHES, ROWS, World, made, model

from mashbill.conduct.events import SCHEMA
from mashbill.conduct.evidence.tiers import ORDER
from mashbill.conduct.logs.reading import open_log
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mashbill.conduct.scan.ticking import Held

_ACCOUNT = SCHEMA.get_field_index("account")


@dataclass(frozen=True)
class Changed:
    """A batch with other accounts."""

    events: pa.RecordBatch
    position: Any


def controls(world: World, folder: Path) -> dict[str, Any]:
    """Make a small world, scan it in several ways, and compare what is found."""
    made(world, folder)
    scorer, levels = model()
    log = open_log(folder / "events.jsonl", HASHES, scorer=scorer)
    batches = list(log.batches(None, ROWS // 10))

    def scanned(name: str, parts: Iterable[Iterable[Any]]) -> tuple[str, int, list[Held]]:
        held: list[Held] = []
        for number, part in enumerate(parts):
            state = State(folder / f"{name}.sqlite", {"key": HASHES.keyid})
            scan = Scan(state, HASHES, levels, "events.jsonl", "native", held.append)
            scan.take(part)
            if number == len(parts) - 1:  # type: ignore[arg-type]
                scan.end()
            digest, cases = _cases(state)
            state.database.close()
        return digest, cases, held

    half = len(batches) // 2
    whole, cases, held = scanned("whole", [batches])
    again, _, _ = scanned("again", [log.batches(None, ROWS)])
    cut, _, _ = scanned("cut", [batches[:half], batches[half:]])
    _, _, shuffled = scanned("shuffled", [list(_shuffled(batches, world.seed))])
    return {
        "rows": sum(batch.events.num_rows for batch in batches),
        "cases": cases,
        "again_same": whole == again,
        "cut_same": whole == cut,
        "joint": _joint(held),
        "shuffled_joint": _joint(shuffled),
        "shuffled_single": len({one.weighed.name for one in shuffled}) - _joint(shuffled, least=0),
    }


def _cases(state: State) -> tuple[str, int]:
    """Return the digest of all cases of a state, and how many there are."""
    rows = state.database.run("SELECT id, version, body FROM cases ORDER BY id, version")
    told = hashlib.sha256()
    for row in rows:
        told.update(repr(row).encode())
    return told.hexdigest(), len(rows)


def _joint(held: list[Held], least: int = ORDER.index("review")) -> int:
    """Return how many findings say that several accounts act as one."""
    return len(
        {
            one.weighed.name
            for one in held
            if len(one.weighed.accounts) > 1 and ORDER.index(one.tier) >= least
        }
    )


def _shuffled(batches: list[Any], seed: int) -> Iterator[Changed]:
    """Yield batches whose accounts are permuted over all rows of the log."""
    accounts = list(
        itertools.chain.from_iterable(
            batch.events.column(_ACCOUNT).to_pylist() for batch in batches
        )
    )
    order = np.random.default_rng(seed).permutation(len(accounts)).tolist()
    start = 0
    for batch in batches:
        stop = start + batch.events.num_rows
        column = pa.array([accounts[one] for one in order[start:stop]], SCHEMA.field(_ACCOUNT).type)
        yield Changed(
            batch.events.set_column(_ACCOUNT, SCHEMA.field(_ACCOUNT), column), batch.position
        )
        start = stop
