"""Reading ahead: a log read, hashed, sketched and scored by another process, some batches ahead.

Reading and scoring a log in plain words takes more of a processor than weighing what it says. On
two cores both are done at once, and texts are scored by two processes
(:mod:`mashbill.conduct.text.beside`). The one that reads is this module, started by :func:`ahead`.
It is told on its standard input what to read, as JSON, and answers with frames: the lengths of a
line of JSON and of a batch in Arrow's IPC format, four bytes each, then both. It ends where nobody
reads its answers any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.conduct.events import Hashes
from mashbill.conduct.logs.gathering import Batch, Options, Refused
from mashbill.conduct.logs.reading import Log, open_log
from mashbill.conduct.text.beside import Beside
from mashbill.conduct.text.scoring import shipped_digest
from mashbill.core.answering import answers
from mashbill.core.errors import InputError, MashbillError
from mashbill.core.parsing import json_value
from mashbill.core.threads import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


LARGE = 64 << 20
"""bytes of a log from which another process is worth its start"""
_WAITING = 2  # batches
_LENGTHS = struct.Struct(">II")
_TOLD = ("position", "refused_count", "passed", "half")


def batches(
    log: Log, position: Mapping[str, Any] | None = None, rows: int = 20_000
) -> Iterator[Batch]:
    """Yield a log's batches, read ahead where that is worth it; see :func:`ahead`."""
    yield from (ahead if is_worth_it(log) else Log.batches)(log, position, rows)


def is_worth_it(log: Log) -> bool:
    """Say whether a log is large, there is a second core, and its scorer the one that ships."""
    if not sys.executable or getattr(sys, "frozen", False):
        return False
    if log.scorer is not None and getattr(log.scorer, "digest", None) != shipped_digest():
        return False
    return usable_cores() > 1 and log.path.stat().st_size >= LARGE


def ahead(
    log: Log, position: Mapping[str, Any] | None = None, rows: int = 20_000
) -> Iterator[Batch]:
    """Yield what :meth:`mashbill.conduct.logs.reading.Log.batches` yields, read by another process.

    Args:
        log: it; its scorer, if it has one, must be the one that ships with mashbill.
        position: of a batch that was read before; from the beginning if None.
        rows: lines or spans of a batch, at most or little more.

    Raises:
        InputError: if the log cannot be read, or the process ended before it was done.
    """
    wanted = {
        "path": os.fsencode(log.path).hex(), "key": log.hashes.written, "form": log.form,
        "options": {"account_by": log.options.account_by, "longest_line": log.options.longest_line},
        "position": position, "rows": rows, "scored": log.scorer is not None,
    }  # fmt: skip
    program = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdin is not None  # noqa: S101 - piped above
    assert program.stdout is not None  # noqa: S101 - piped above
    try:
        with program.stdin as given, contextlib.suppress(BrokenPipeError):
            given.write(json.dumps(wanted).encode())
        yield from _waiting(_batches(program.stdout, log.path))
    finally:
        program.kill()
        program.wait()


def _waiting(read: Iterator[Batch]) -> Iterator[Batch]:
    """Yield batches that a thread takes in, so that the other process need not wait for us."""
    held: queue.Queue[Batch | Exception | None] = queue.Queue(_WAITING)
    done = threading.Event()

    def give(one: Batch | Exception | None) -> None:
        while not done.is_set():
            with contextlib.suppress(queue.Full):
                held.put(one, timeout=0.5)
                return

    def take() -> None:
        try:
            for batch in read:
                give(batch)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            give(error)
        else:
            give(None)

    threading.Thread(target=take, name="reading ahead", daemon=True).start()
    try:
        while (one := held.get()) is not None:
            if isinstance(one, Exception):
                raise one
            yield one
    finally:
        done.set()


def _batches(stream: IO[bytes], path: Path) -> Iterator[Batch]:
    while True:
        told_bytes, table_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size, path))
        told = json_value(_exactly(stream, told_bytes, path), "what a reader of a log says")
        table = _exactly(stream, table_bytes, path)
        if "error" in told:
            raise InputError(told["error"])
        if "done" in told:
            return
        events = pa.ipc.open_stream(table).read_next_batch()
        yield Batch(
            events,
            refused=tuple(Refused(line, reason) for line, reason in told["refused"]),
            unknown=Counter(told["unknown"]),
            left_out=Counter(told["left_out"]),
            told=tuple(told["told"]),
            **{name: told[name] for name in _TOLD},
        )


def _exactly(stream: IO[bytes], number: int, path: Path) -> bytes:
    found = stream.read(number)
    if len(found) < number:
        msg = f"{path}: the process that read it ended before it was done; scan it again"
        raise InputError(msg)
    return found


def _write(stream: IO[bytes], told: dict[str, Any], events: pa.RecordBatch | None = None) -> None:
    # What is quoted of a bad line may hold halves of surrogate pairs.
    line = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    table = b""
    if events is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, events.schema) as writer:
            writer.write_batch(events)
        table = sink.getvalue().to_pybytes()
    stream.write(_LENGTHS.pack(len(line), len(table)))
    stream.write(line)
    stream.write(table)
    stream.flush()


def _read(wanted: dict[str, Any], out: IO[bytes]) -> None:
    """Read a log as it was asked for, and answer."""
    scorer = None
    try:
        scorer = Beside() if wanted["scored"] else None
        log = open_log(
            Path(os.fsdecode(bytes.fromhex(wanted["path"]))),
            Hashes(bytes.fromhex(wanted["key"])),
            form=wanted["form"],
            options=Options(**wanted["options"]),
            scorer=scorer,
        )
        for batch in log.batches(wanted["position"], wanted["rows"]):
            told = {
                "refused": [(one.line, one.reason) for one in batch.refused],
                "unknown": dict(batch.unknown),
                "left_out": dict(batch.left_out),
                "told": list(batch.told),
                **{name: getattr(batch, name) for name in _TOLD},
            }
            _write(out, told, batch.events)
        _write(out, {"done": True})
    except (MashbillError, OSError) as error:
        _write(out, {"error": str(error)})
    finally:
        if scorer is not None:
            scorer.close()


def main() -> None:
    """Read what the standard input asks for; whoever asked is told to stop, and stops this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = answers()
    with contextlib.suppress(BrokenPipeError):
        _read(json_value(sys.stdin.buffer.read(), "what is to be read"), out)
    # What is still to be flushed has no reader, and Python would say so.
    os._exit(0)


if __name__ == "__main__":
    main()
