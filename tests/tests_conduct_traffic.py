"""Small made-up traffic: events of honest people and of one queue that is dealt out, seeded."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from mashbill.conduct.events import Hashes, batch_of
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.conduct.scan.tally import Levels
from mashbill.conduct.scan.ticking import Held
from mashbill.conduct.sketching import sketch

HASHES = Hashes(b"k" * 32)
LEVELS = Levels((1.0, 2.0), (1.0, 2.0))
START = 1_790_000_000_000_000 // (24 * 3600 * 10**6) * (24 * 3600 * 10**6)
HOUR = 3600 * 10**6
TASK = "Solve the following engineering task in the repository and write a patch with tests"
TOOL = "Please act as the helpful browser assistant of Foo and answer in short plain words"


class Traffic:
    """Events, gathered in any order."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = ["".join(self.random.choices("abcdefghij", k=6)) for _ in range(2000)]
        self.rows: list[dict[str, object]] = []
        self.names: dict[bytes, str] = {}

    def say(self, count: int) -> str:
        return " ".join(self.random.choices(self.words, k=count))

    def ask(self, time: float, account: str, text: str, **more: object) -> None:
        """Add an exchange; time in microseconds from the start on."""
        made = sketch("", text, HASHES)
        hashed = HASHES.account(account)
        self.names[hashed] = account
        for trait in ("payment", "network", "address", "agent"):
            if trait in more:
                more[trait] = HASHES.of(trait, str(more[trait]), 8)
        if "signed_up" in more:
            more["signed_up"] = _time(START + int(more["signed_up"]))  # type: ignore[call-overload]
        if "organisation" in more:
            more["organisation"] = HASHES.of("organisation", str(more["organisation"]), 16)
        row = {
            "id": f"{len(self.rows):08d}", "time": _time(START + int(time)), "kind": "exchange",
            "account": hashed, "model": "m", "status": 200, "item": made.item,
            "skeleton": list(made.skeleton), "jailbreak": -3.0, "extraction": -3.0,
        }  # fmt: skip
        self.rows.append(row | more)

    def ban(self, time: float, account: str) -> None:
        """Add a ban."""
        self.rows.append(
            {"id": f"{len(self.rows):08d}", "time": _time(START + int(time)), "kind": "ban",
             "account": HASHES.account(account)}
        )  # fmt: skip

    def people(self, count: int, days: int, name: str = "chat", template: str = "") -> None:
        """Add people, each on a network of their own, who ask by day; some ask much."""
        for one in range(count):
            rate = self.random.lognormvariate(1.5, 1)
            for day in range(days):
                for _ in range(int(rate * self.random.random() * 2)):
                    self.ask(
                        (day + 0.3 + 0.5 * self.random.random()) * 24 * HOUR, f"{name}{one}",
                        f"{template} {self.say(self.random.randint(5, 40))}",
                        network=f"{name}{one}", payment=f"{name}{one}",
                    )  # fmt: skip

    def queue(self, count: int, days: int, *, each: int = 24, cards: int = 5) -> None:
        """Add accounts that are dealt one queue, paid for by a few cards."""
        for one in range(count):
            for day in range(days):
                for _ in range(each):
                    self.ask(
                        (day + self.random.random()) * 24 * HOUR, f"queue{one}",
                        f"{TASK} {self.say(40)}", network=f"queue{one}",
                        payment=f"card{one % cards}", signed_up=-HOUR * 1000 + one * HOUR // 30,
                    )  # fmt: skip

    def batches(self, rows: int = 3000) -> list["Batch"]:
        """Return all in the order of the log."""
        self.rows.sort(key=lambda row: (row["time"], row["id"]))
        return [
            Batch(batch_of(self.rows[at : at + rows]), {"at": at + rows})
            for at in range(0, len(self.rows), rows)
        ]


class Batch:
    """What a reader of logs yields."""

    def __init__(self, events: pa.RecordBatch, position: object) -> None:
        self.events, self.position = events, position


def scanned(
    traffic: Traffic, path: Path, batches: list["Batch"] | None = None
) -> tuple[list[tuple[str, str, set[str]]], list[tuple[Any, ...]]]:
    """Return what a scan of the traffic finds: (tier, kind, names), and the bytes of its cases."""
    held: list[Held] = []
    state = State(path, {"key": HASHES.keyid})
    scan = Scan(state, HASHES, LEVELS, "log", "native", held.append)
    scan.take(batches if batches is not None else traffic.batches())
    scan.end()
    cases = state.database.run("SELECT id, version, body FROM cases ORDER BY id, version")
    state.database.close()
    return [
        (one.tier, one.weighed.kind, {traffic.names[name] for name in one.weighed.accounts})
        for one in held
    ], cases


def _time(micros: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(micros // 10**6, dt.UTC) + dt.timedelta(
        microseconds=micros % 10**6
    )
