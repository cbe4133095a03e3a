"""Makes events of exchanges, in a thread beside the loop that passes them on.

Nothing here delays a request. What the bounded queue cannot take is counted and unobserved; what
the engine does not take is offered to it again, up to a bound; what the scorer or the sink fails on
is counted.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.conduct.events import batch_of
from mashbill.conduct.gateway.reading import Answered, Asked, answered, asked, unpacked
from mashbill.conduct.logs.rows import plain_address
from mashbill.conduct.scored import read_of, scores_of
from mashbill.conduct.sketching import sketch

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.gateway.metrics import Metrics
    from mashbill.conduct.gateway.seen import Seen
    from mashbill.conduct.gateway.settings import Observe
    from mashbill.conduct.gateway.sink import Sink
    from mashbill.conduct.scan.engine import Engine
    from mashbill.conduct.scored import Scorer

TICK = 0.1
"""seconds between two looks into the queue"""
_AT_ONCE = 256
_OWED = 200
"""batches that the engine failed on and is offered again"""
_AGAIN = 1.0
"""seconds until then"""
_BLOBS = 512
_WORST = "engine_failed"


@dataclass(frozen=True, slots=True)
class Blobs:
    """Returns opaque reasoning blobs of a request and of an answer, or of an event of a stream."""

    presented: Callable[[Any], list[str]]
    brought: Callable[[Any], list[str]]


class Observer:
    """Takes exchanges; a thread makes events of them for the sink, the engine and the log."""

    def __init__(
        self,
        settings: Observe,
        hashes: Hashes,
        metrics: Metrics,
        blobs: Blobs,
        *,
        engine: Engine | None = None,
        scorer: Scorer | None = None,
        sink: Sink | None = None,
        log: int | None = None,
    ) -> None:
        """Observe; the thread begins with :meth:`start`.

        Args:
            settings: bounds.
            hashes: of accounts, keys, addresses and prompts.
            metrics: where counts go.
            blobs: readers of opaque blobs.
            engine: takes events.
            scorer: scores texts; without one, scores are null.
            sink: keeps events.
            log: a file that is open for appending, of a JSON line for each request.
        """
        self._settings, self._hashes, self._metrics, self._blobs = settings, hashes, metrics, blobs
        self._engine, self._scorer, self._sink, self._log = engine, scorer, sink, log
        self._queue: deque[Seen] = deque()
        self._lines: deque[dict[str, object]] = deque(maxlen=10_000)
        self._bytes = 0
        self._lock = threading.Lock()
        self._owed: deque[pa.RecordBatch] = deque()
        self._owed_at = 0.0
        self._took = time.monotonic()
        self.failing = ""
        """why the engine does not take events; empty while it does"""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mashbill-observer", daemon=True)
        metrics.gauge("queue", lambda: len(self._queue))
        metrics.gauge("engine_age_seconds", lambda: self.engine_age)

    @property
    def is_full(self) -> bool:
        """Whether the queue takes nothing more."""
        settings = self._settings
        return len(self._queue) >= settings.queue or self._bytes >= settings.queue_bytes

    @property
    def engine_age(self) -> float:
        """Seconds that events wait for the engine; 0 if none do."""
        waits = bool(self._owed) or bool(self._queue)
        return time.monotonic() - self._took if waits and self._engine is not None else 0.0

    def start(self) -> None:
        """Begin; what is loaded when it is first used is loaded before."""
        sketch("", "", self._hashes)
        batch_of([{"id": "", "time": datetime.now(UTC), "kind": "exchange", "account": bytes(16)}])
        if self._scorer is not None:
            self._scorer.score(["a text"])
        self._thread.start()

    def put(self, seen: Seen) -> None:
        """Take an exchange; never waits."""
        if self.is_full:
            self._metrics.count("unobserved_total", reason="queue_full")
            return
        if not self._queue and not self._owed:
            self._took = time.monotonic()  # nothing waited till now
        with self._lock:
            self._bytes += seen.held
        self._queue.append(seen)

    def note(self, **line: object) -> None:
        """Write a line of something else than an exchange into the log."""
        self._lines.append({"time": _written(time.time()), **line})

    def close(self, timeout: float) -> bool:
        """Make events of all that waits, and end; return whether it could be done in this time."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.wait(TICK):
            self._turn()
        while self._queue:
            self._turn()
        self._turn(last=True)
        if self._sink is not None:
            self._kept(self._sink.close)

    def _turn(self, *, last: bool = False) -> None:
        """Make events of some of what waits."""
        seen = [self._queue.popleft() for _ in range(min(len(self._queue), _AT_ONCE))]
        with self._lock:
            self._bytes -= sum(each.held for each in seen)
        rows, texts, lines = [], [], []
        for each in seen:
            try:
                row, text, line = self._row(each)
            except Exception as error:  # noqa: BLE001 - a stranger's bytes end no thread
                self._metrics.count("unobserved_total", reason="unread")
                self.note(what="unread", id=each.id, why=type(error).__name__)
                continue
            lines.append(line)
            if row is not None:
                rows.append(row)
                texts.append(text)
            time.sleep(0)  # lets the loop go on that passes requests on
        if rows:
            self._score(rows, texts)
            batch = batch_of(rows)
            self._metrics.count("events_total", len(rows))
            if self._sink is not None:
                self._append(batch)
            self._owed.append(batch)
        self._feed(last=last)
        if self._sink is not None:
            self._kept(self._sink.sync)
        self._write(lines)

    def _row(self, seen: Seen) -> tuple[dict[str, object] | None, str, dict[str, object]]:
        """Return the event of an exchange, the text to score, and its line of the log."""
        found, told = self._asked(seen), self._answered(seen)
        line = _line(seen, found, told)
        if not seen.place.asks:
            return None, "", line
        kept = sketch(found.system, found.text, self._hashes)
        has_body = found.body is not None
        address = plain_address(seen.address) if seen.address else ""
        account, of = seen.account, self._hashes.of
        blobs_in = self._blobs.presented(found.body) if has_body else []
        row: dict[str, object] = {
            "id": seen.id,
            "time": datetime.fromtimestamp(seen.time, UTC),
            "kind": "exchange",
            "account": account.account,
            "key": account.key,
            "organisation": account.organisation,
            "model": found.model,
            "endpoint": seen.place.endpoint,
            "status": seen.status,
            "retry_after": seen.retry_after,
            "tokens_in": told.tokens_in,
            "tokens_out": told.tokens_out,
            "payment": account.payment,
            "address": of("address", address, 8) if address else None,
            "network": self._hashes.network(address) if address else None,
            "agent": of("agent", seen.agent, 8) if seen.agent else None,
            "signed_up": account.signed_up,
            "system": kept.system,
            "item": kept.item,
            "skeleton": list(kept.skeleton) if has_body else None,
            "blobs_in": [of("blob", each, 8) for each in blobs_in[:_BLOBS]] if has_body else None,
            "blobs_out": None
            if seen.answer is None
            else [of("blob", each, 8) for each in told.blobs[:_BLOBS]],
            "reasoning": found.reasoning,
            "declared": seen.declared,
        }
        return row, read_of(found.system, found.text), line

    def _asked(self, seen: Seen) -> Asked:
        if seen.body is None:
            self._metrics.count("unobserved_total", reason="request_too_large")
            return Asked()
        body: bytes | None = seen.body
        if seen.body_encoding:
            body = unpacked(seen.body, seen.body_encoding, self._settings.request_bytes)
        found = asked(seen.place.endpoint, body) if body else Asked()
        if found.body is None and seen.place.asks:
            self._metrics.count("unobserved_total", reason="request_unread")
        return found

    def _answered(self, seen: Seen) -> Answered:
        if seen.answer is None:
            if seen.answer_bytes:
                self._metrics.count("unobserved_total", reason="answer_too_large")
            return Answered()
        if not seen.place.asks or seen.status != 200:
            return Answered()
        data: bytes | None = seen.answer
        if seen.answer_encoding:
            data = unpacked(seen.answer, seen.answer_encoding, self._settings.answer_bytes)
        if data is None:
            self._metrics.count("unobserved_total", reason="answer_unread")
            seen.answer = None
            return Answered()
        return answered(data, streams=seen.streams, brought=self._blobs.brought)

    def _score(self, rows: list[dict[str, object]], texts: list[str]) -> None:
        """Put scores into rows: each text once."""
        if self._scorer is None:
            return
        try:
            found = scores_of(self._scorer, texts)
            for row, jailbreak, extraction in zip(rows, *found, strict=True):
                if jailbreak is not None:
                    row |= {"jailbreak": jailbreak, "extraction": extraction}
        except Exception as error:  # noqa: BLE001 - a model that fails ends no gateway
            self._metrics.count("engine_failures_total", call="score")
            self.note(what="scorer_failed", why=f"{error!r:.300}")

    def _append(self, batch: pa.RecordBatch) -> None:
        assert self._sink is not None  # noqa: S101 - for mypy
        sink = self._sink
        self._kept(lambda: self._metrics.count("sink_bytes_total", sink.append(batch)))

    def _kept(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self._metrics.count("sink_failures_total")
            self.note(what="sink_failed", why=f"{error!r:.300}")

    def _feed(self, *, last: bool) -> None:
        """Give the engine what is owed to it, in order."""
        if self._engine is None:
            self._owed.clear()
            return
        if self.failing and time.monotonic() < self._owed_at and not last:
            self._forget()
            return
        while self._owed:
            try:
                self._engine.observe(self._owed[0])
            except Exception as error:  # noqa: BLE001 - an engine that fails ends no gateway
                self._metrics.count("engine_failures_total", call="observe")
                if not self.failing:
                    self.note(what=_WORST, why=f"{error!r:.300}")
                self.failing = f"{type(error).__name__}"
                self._owed_at = time.monotonic() + _AGAIN
                self._forget()
                return
            self._owed.popleft()
            self._took = time.monotonic()
            self.failing = ""

    def _forget(self) -> None:
        """Drop the oldest of what is owed, where it is more than is held."""
        while len(self._owed) > _OWED:
            lost = self._owed.popleft()
            self._metrics.count("unobserved_total", lost.num_rows, reason=_WORST)

    def _write(self, lines: list[dict[str, object]]) -> None:
        while self._lines:
            lines.append(self._lines.popleft())
        if self._log is None or not lines:
            return
        text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in lines)
        log = self._log
        self._kept(lambda: _write_all(log, text.encode()))


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _line(seen: Seen, found: Asked, told: Answered) -> dict[str, object]:
    """Return the line of the log of an exchange: no prompt, no key, no address."""
    return {
        "time": _written(seen.time),
        "what": "exchange",
        "id": seen.id,
        "account": seen.account.account.hex(),
        "method": seen.method,
        "endpoint": seen.place.endpoint,
        "model": found.model,
        "status": seen.status,
        "streams": seen.streams,
        "whole": seen.whole,
        "bytes_in": seen.body_bytes,
        "bytes_out": seen.answer_bytes,
        "tokens_in": told.tokens_in,
        "tokens_out": told.tokens_out,
        "seconds": round(seen.seconds, 6),
        "first_byte": None if seen.first_byte is None else round(seen.first_byte, 6),
        "tier": seen.tier,
        "action": seen.action,
        "cases": list(seen.cases),
        "refused": seen.refused,
    }


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


def yield_often() -> float:
    """Have threads give way to the loop soon, and return what held before.

    A thread that computes holds the interpreter for 5 ms by default, which would be the latency of
    a request that comes meanwhile.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    return before
