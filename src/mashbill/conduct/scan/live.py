"""The engine of a gateway: a scan whose log is what the gateway sees, in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.building import facts
from mashbill.conduct.scan.engine import Advice
from mashbill.conduct.scan.scanning import Scan
from mashbill.conduct.scan.state import State
from mashbill.conduct.scan.ticking import held_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.scan.database import Database
    from mashbill.conduct.scan.tally import Levels
    from mashbill.conduct.scan.ticking import Held

_WAITING = 1000
"""batches that wait to be taken; one more waits for room"""
_NONE = Advice()


class Live:
    """An engine over a state; what is held of an account is answered from memory."""

    def __init__(
        self,
        address: str | Path,
        hashes: Hashes,
        levels: Levels,
        *,
        log: str = "gateway",
        publish: Callable[[Database], object] | None = None,
        refresh: float = 10.0,
    ) -> None:
        """Begin, in a thread that ends with :meth:`close`.

        Args:
            address: of the state; several gateways may share one of Postgres.
            hashes: of accounts and prompts.
            levels: of scores.
            log: what the gateway's events are called in the state.
            publish: writes cases that were made, given the state's database.
            refresh: seconds after which what is held is read again, since others may have found it.
        """
        self._address, self._hashes, self._levels = address, hashes, levels
        self._log, self._publish, self._refresh = log, publish, refresh
        self._batches: queue.Queue[pa.RecordBatch | None] = queue.Queue(_WAITING)
        self._advice: dict[bytes, Advice] = {}
        self._held: list[Held] = []
        """of the batch that is taken"""
        self.failed: BaseException | None = None
        """what ended its thread, if something did: from then on nothing new is found"""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="conduct", daemon=True)
        self._thread.start()
        self._ready.wait(60)
        if self.failed is not None:
            raise self.failed

    def observe(self, batch: pa.RecordBatch) -> None:
        """Take events, after those that wait; waits for room where too many do.

        Raises:
            RuntimeError: if its thread has ended.
        """
        if self.failed is not None:
            msg = f"the engine has ended: {self.failed}"
            raise RuntimeError(msg)
        self._batches.put(batch, timeout=30)

    def advice(self, account: bytes) -> Advice:
        """Return what is held of an account, from memory."""
        return self._advice.get(account, _NONE)

    def close(self) -> None:
        """Take what waits, and end."""
        if self._thread.is_alive():
            self._batches.put(None)
            self._thread.join(120)

    def _work(self) -> None:
        try:
            state = State(self._address, facts(self._hashes, self._levels))
            scan = Scan(state, self._hashes, self._levels, self._log, "gateway", self._held.append)
            self._told(state.database)
            self._ready.set()
            self._loop(scan, state)
            state.database.close()
        except BaseException as error:  # noqa: BLE001 - told by whoever asks next
            self.failed = error
        finally:
            self._ready.set()

    def _loop(self, scan: Scan, state: State) -> None:
        told = time.monotonic()
        while True:
            try:
                batch = self._batches.get(timeout=self._refresh)
            except queue.Empty:
                pass
            else:
                if batch is None:
                    return
                scan.add(batch)
            if self._held or time.monotonic() - told >= self._refresh:
                self._held.clear()
                self._told(state.database)
                told = time.monotonic()

    def _told(self, database: Database) -> None:
        if self._publish is not None:
            self._publish(database)
        self._advice = {
            account: Advice(
                rows[0][0],
                tuple(sorted({kind for tier, kind, _ in rows if tier == rows[0][0]})),
                tuple(sorted({name for tier, _, name in rows if tier == rows[0][0]})),
            )
            for account, rows in held_of(database).items()
        }
