"""The process of one tracker: lines of JSON in, and its own library behind.

    python -m mashbill.run.tracker KIND WHERE

Lines are those of :mod:`mashbill.run.tracking`: ``begin``, ``resume``, ``step`` with ``numbers``,
``end``. It ends with its input, so it outlives no run, and what was told to it by then is written.
What goes wrong is said in one line of output, and by the exit code.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mashbill.core.extras import needs
from mashbill.core.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_EVERY = 2.0  # seconds between two writings, for those that write many lines at once
_MANY = 500  # lines that are written at once


class Sink(Protocol):
    """One tracker's library."""

    def begin(self, about: Mapping[str, Any]) -> None:
        """Open what stands for a training, again if it was there."""
        ...

    def resume(self, step: int) -> None:
        """Take that what lies at or beyond a step will come again."""
        ...

    def log(self, step: int, numbers: Mapping[str, float], when: float) -> None:
        """Write what was measured at a step."""
        ...

    def end(self) -> None:
        """Close it."""
        ...


class _TensorBoard:
    """Event files in FOLDER/RUN, which TensorBoard reads."""

    def __init__(self, where: str) -> None:
        with needs("tracking by tensorboard", "tensorboard"):
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        self._event, self._summary, self._writer_of = event_pb2, summary_pb2, EventFileWriter
        self._where = Path(where)
        self._writer: Any = None

    def begin(self, about: Mapping[str, Any]) -> None:
        self._writer = self._writer_of(str(self._where / file_name(str(about["run"]))))

    def resume(self, step: int) -> None:
        # Readers drop what an earlier file holds beyond it.
        log = self._event.SessionLog(status=self._event.SessionLog.START)
        self._writer.add_event(self._event.Event(wall_time=time.time(), step=step, session_log=log))

    def log(self, step: int, numbers: Mapping[str, float], when: float) -> None:
        values = [
            self._summary.Summary.Value(tag=name, simple_value=value)
            for name, value in numbers.items()
        ]
        summary = self._summary.Summary(value=values)
        self._writer.add_event(self._event.Event(wall_time=when, step=step, summary=summary))

    def end(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """A run of a project; ``WANDB_MODE=offline`` keeps it on disk, as its library does."""

    def __init__(self, where: str) -> None:
        with needs("tracking by W&B", "wandb"):
            import wandb
        self._wandb, self._project = wandb, where
        self._run: Any = None

    def begin(self, about: Mapping[str, Any]) -> None:
        settings = self._wandb.Settings(silent=True, console="off")
        self._run = self._wandb.init(
            project=self._project, name=str(about["artifact"]), id=_plain(str(about["run"])),
            resume="allow", config=dict(about), settings=settings,
        )  # fmt: skip

    def resume(self, step: int) -> None:
        del step  # lines of steps that are there already are left out by its server

    def log(self, step: int, numbers: Mapping[str, float], when: float) -> None:
        del when
        self._run.log(dict(numbers), step=step)

    def end(self) -> None:
        self._run.finish()


class _MLflow:
    """A run of the experiment that is named as the recipe, at a server or in a database."""

    def __init__(self, where: str) -> None:
        with needs("tracking by MLflow", "mlflow"):
            from mlflow import MlflowClient
            from mlflow.entities import Metric
        self._client, self._metric = MlflowClient(tracking_uri=where), Metric
        self._run = ""
        self._waiting: list[Any] = []
        self._written = time.monotonic()

    def begin(self, about: Mapping[str, Any]) -> None:
        client, name = self._client, str(about["recipe"])
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        tag = _plain(str(about["run"]))
        runs = client.search_runs([experiment], f"tags.`mashbill.run` = '{tag}'", max_results=1)
        if runs:
            self._run = runs[0].info.run_id
            client.update_run(self._run, status="RUNNING")
            return
        tags = {"mashbill.run": tag, "mashbill.artifact": str(about["artifact"])}
        made = client.create_run(experiment, tags=tags, run_name=str(about["artifact"]))
        self._run = made.info.run_id
        for key, value in about.get("literals", {}).items():
            client.log_param(self._run, key, str(value)[:500])

    def resume(self, step: int) -> None:
        del step  # it keeps every value that a step was given

    def log(self, step: int, numbers: Mapping[str, float], when: float) -> None:
        milliseconds = round(when * 1000)
        self._waiting += [self._metric(n, v, milliseconds, step) for n, v in numbers.items()]
        if len(self._waiting) >= _MANY or time.monotonic() - self._written > _EVERY:
            self._write()

    def end(self) -> None:
        self._write()
        self._client.set_terminated(self._run)

    def _write(self) -> None:
        for start in range(0, len(self._waiting), _MANY):
            self._client.log_batch(self._run, metrics=self._waiting[start : start + _MANY])
        self._waiting, self._written = [], time.monotonic()


SINKS: dict[str, Callable[[str], Sink]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _MLflow,
}


def serve(sink: Sink, lines: Iterable[bytes]) -> None:
    """Write all lines until they end, and then close what is open."""
    is_open = False
    for line in lines:
        message = json.loads(line)
        if "begin" in message:
            if is_open:
                sink.end()
            sink.begin(message["begin"])
            is_open = True
        elif "resume" in message:
            sink.resume(int(message["resume"]))
        elif "step" in message:
            numbers = {name: float(value) for name, value in message["numbers"].items()}
            finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
            sink.log(int(message["step"]), finite, time.time())
        elif is_open:
            sink.end()
            is_open = False
    if is_open:
        sink.end()


def _plain(text: str) -> str:
    """Return an id that both libraries and their query languages take."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)


def main(arguments: list[str]) -> int:
    """Run; whatever its library prints goes nowhere, and what went wrong into our own output."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    kind, where = arguments
    try:
        serve(SINKS[kind](where), sys.stdin.buffer)
    except BaseException as error:  # noqa: BLE001 - of a library that is not ours
        told = " ".join(str(error).split())
        said.write(f"{type(error).__name__}: {told:.600}\n")
        said.flush()
        os._exit(1)  # what a library would do as it ends has failed or hangs already
    said.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
